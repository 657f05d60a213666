"""What a query gives: its columns, the schema of its records, and the template that rows fill.

Columns are described by the server itself, in the transaction in which the rows are read: between the two nobody can alter
the table. A template stays the same object until the columns change, because plans are kept by it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import psycopg
import structlog

from pycdc.errors import ServerError
from pycdc.model.record import Record
from pycdc.model.schema import Schema, struct
from pycdc.model.template import Leaf
from pycdc.sources.jdbc.times import ValueSettings
from pycdc.sources.jdbc.types import column_type

log = structlog.get_logger(__name__)


class ResultColumn(msgspec.Struct, frozen=True):
    """One column; domains give their base type, as the protocol does. `table` 0: it is no table's column."""

    name: str
    type_oid: int
    typmod: int = -1
    table: int = 0
    number: int = 0
    nullable: bool = True
    type_name: str = ""
    type_schema: str = ""
    type_kind: str = "b"


class Shape(msgspec.Struct, frozen=True):
    """`schema_name` None: of a query."""

    topic: str
    schema_name: str | None
    columns: tuple[ResultColumn, ...]

    def index(self, column: str) -> int | None:
        """Of a column of that name, in any case if there is only one such. None: there is none."""
        names = [c.name for c in self.columns]
        if column in names:
            return names.index(column)
        alike = [i for i, name in enumerate(names) if name.lower() == column.lower()]
        return alike[0] if len(alike) == 1 else None


class Described(msgspec.Struct, frozen=True):
    """A shape and its template."""

    shape: Shape
    template: Record


async def describe(conn: psycopg.AsyncConnection, query: str) -> list[ResultColumn]:
    """The columns of `query`, which is planned and not run. Raises psycopg.Error."""
    await conn.execute(f"DECLARE pycdc_described NO SCROLL CURSOR FOR {query}".encode())
    cursor = await conn.execute("FETCH 0 FROM pycdc_described")
    result = cursor.pgresult
    assert result is not None
    found = [
        ResultColumn((result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i), result.ftable(i), result.ftablecol(i))
        for i in range(result.nfields)
    ]
    await conn.execute("CLOSE pycdc_described")
    return found


class Describer:
    """Of one connection: what the catalog says of columns and types, asked for when something is new."""

    def __init__(self, conn: psycopg.AsyncConnection, values: ValueSettings) -> None:
        self._conn = conn
        self._values = values
        self._types: dict[int, tuple[str, str, str]] = {}

    async def shape(self, query: str, topic: str, schema_name: str | None) -> Shape:
        """Raises psycopg.Error, and ServerError for columns that share a name."""
        columns = await describe(self._conn, query)
        names = [c.name for c in columns]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise ServerError("a query has several columns of one name", where=topic, cause=twice, hint=f"give them names of their own: SELECT a.{twice} AS ...")
        await self._learn({c.type_oid for c in columns})
        required = await self._required({c.table for c in columns} - {0})
        return Shape(topic, schema_name, tuple(self._known(c, required) for c in columns))

    def _known(self, column: ResultColumn, required: set[tuple[int, int]]) -> ResultColumn:
        name, schema, kind = self._types.get(column.type_oid, ("", "", ""))
        nullable = (column.table, column.number) not in required
        return msgspec.structs.replace(column, nullable=nullable, type_name=name, type_schema=schema, type_kind=kind)

    async def _learn(self, oids: set[int]) -> None:
        if new := oids - self._types.keys():
            rows = await (await self._conn.execute(_TYPES, (list(new),))).fetchall()
            self._types.update({oid: (name, schema, kind) for oid, name, schema, kind in rows})

    async def _required(self, tables: set[int]) -> set[tuple[int, int]]:
        """Columns that are never NULL, by table and number."""
        if not tables:
            return set()
        return {(t, n) for t, n in await (await self._conn.execute(_REQUIRED, (list(tables),))).fetchall()}

    def described(self, shape: Shape) -> Described:
        """Its template. Columns of types without form are left out, with a warning."""
        fields: list[tuple[str, Schema]] = []
        value: dict[str, Any] = {}
        for i, column in enumerate(shape.columns):
            form = column_type(column.type_name, column.type_schema, column.type_kind, column.typmod, self._values)
            if form is None:
                log.warning(
                    "a column is left out: its type has no form in Kafka Connect", topic=shape.topic, column=column.name, type=column.type_name,
                    hint=f"read it by a query, or by a view and table.types=VIEW, as {column.name}::text",
                )  # fmt: skip
                continue
            fields.append((column.name, form.schema.replace(optional=column.nullable)))
            value[column.name] = Leaf(i, form.reader(column.name, column.type_name))
        return Described(shape, Record(topic=shape.topic, value_schema=struct(fields, name=shape.schema_name), value=value))


_TYPES: Final = """
    SELECT t.oid::int8, t.typname::text, n.nspname::text, t.typtype::text
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ANY(%s::oid[])"""

_REQUIRED: Final = """
    SELECT a.attrelid::int8, a.attnum::int4
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull))"""
