"""The target's tables: what they are, and how a missing one is made from a Connect schema.

Source of the type mapping: Debezium's JDBC sink documentation, "Data and column type mapping".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import psycopg
from psycopg import sql

from pycdc.model.schema import DECIMAL, Schema

_PRIMITIVE = {
    "int8": "smallint", "int16": "smallint", "int32": "integer", "int64": "bigint", "float32": "real",
    "float64": "double precision", "boolean": "boolean", "string": "text", "bytes": "bytea", "map": "hstore", "struct": "jsonb",
}  # fmt: skip
_LOGICAL = {
    "io.debezium.data.VariableScaleDecimal": "numeric",
    "io.debezium.time.Date": "date", "org.apache.kafka.connect.data.Date": "date",
    "io.debezium.time.Timestamp": "timestamp", "io.debezium.time.MicroTimestamp": "timestamp",
    "io.debezium.time.NanoTimestamp": "timestamp", "org.apache.kafka.connect.data.Timestamp": "timestamp",
    "io.debezium.time.Time": "time", "io.debezium.time.MicroTime": "time", "io.debezium.time.NanoTime": "time",
    "org.apache.kafka.connect.data.Time": "time",
    "io.debezium.time.ZonedTimestamp": "timestamptz", "io.debezium.time.ZonedTime": "timetz",
    "io.debezium.time.MicroDuration": "interval", "io.debezium.time.Interval": "interval",
    "io.debezium.data.Json": "jsonb", "io.debezium.data.Uuid": "uuid", "io.debezium.data.Xml": "xml",
    "io.debezium.data.geometry.Point": "point",
}  # fmt: skip


class Target(msgspec.Struct, frozen=True):
    """A table of the target: its columns' types (internal names) and modifiers, and its primary key.

    `identities` are the columns GENERATED ALWAYS AS IDENTITY.
    """

    schema: str
    name: str
    types: dict[str, str]
    typmods: dict[str, int]
    primary_key: tuple[str, ...]
    identities: frozenset[str] = frozenset()

    def column(self, field: str) -> str:
        """The column of a record's field: by its own name, else by the only one that differs in case."""
        if field in self.types:
            return field
        folded = field.lower()
        found = [c for c in self.types if c.lower() == folded]
        return found[0] if len(found) == 1 else field

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def column_type(schema: Schema) -> str:
    """The PostgreSQL type of a new column for values of `schema`."""
    if schema.name == DECIMAL:
        precision = schema.parameter("connect.decimal.precision")
        return f"numeric({precision},{schema.parameter('scale')})" if precision else "numeric"
    if schema.name == "io.debezium.data.Bits":
        length = int(schema.parameter("length") or 1)
        return f"bit({length})" if length < 1 << 31 else "bit varying"
    if schema.name in _LOGICAL:
        return _LOGICAL[schema.name]
    if schema.type == "array" and schema.items is not None:
        return column_type(schema.items) + "[]"
    return _PRIMITIVE[schema.type]


def create_statement(schema: str, name: str, row: Schema, key: Sequence[str], *, fold: bool = False) -> sql.Composed:
    """CREATE TABLE for rows of `row`; key columns are NOT NULL and the primary key. `fold`: names of lower case."""
    def named(field: str) -> str:
        return field.lower() if fold else field

    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(named(f.name)),
            sql.SQL(column_type(f.schema)),
            sql.SQL(" NOT NULL" if f.name in key or not f.schema.optional else ""),
        )
        for f in row.fields
    ]
    if key:
        columns.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(sql.Identifier(named(k)) for k in key)))
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(sql.Identifier(schema, name), sql.SQL(", ").join(columns))


async def load(conn: psycopg.AsyncConnection, schema: str, name: str) -> Target | None:
    """The table as the catalog has it; None when it is missing."""
    rows = await (
        await conn.execute(
            """
            SELECT a.attname, t.typname, a.atttypmod, a.attidentity = 'a',
                   (SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i
                     WHERE i.indrelid = a.attrelid AND i.indisprimary)
              FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_type t ON t.oid = a.atttypid
             WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0
               AND NOT a.attisdropped AND a.attgenerated = ''
             ORDER BY a.attnum
            """,
            [schema, name],
        )
    ).fetchall()
    if not rows:
        return None
    key = sorted((place, column) for column, *_, place in rows if place is not None)
    return Target(
        schema, name, {r[0]: r[1] for r in rows}, {r[0]: r[2] for r in rows}, tuple(c for _, c in key), frozenset(r[0] for r in rows if r[3])
    )
