"""What PostgreSQL's catalogs say about tables and types, read in bulk.

The order of columns is attnum's, of key columns the key's, of unique indexes that of the JDBC driver's
getIndexInfo (Debezium takes the first as the key of a table without one). A call costs a fixed number of
round trips however many tables it asks for. Never caches: names and types of a moment come from Relation
messages, and their reader decides when to look again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import psycopg

from pycdc.model.table import Column, Index, Table, TypeInfo
from pycdc.postgres.session import translate


class TableName(NamedTuple):
    """`kind` is relkind: r or p (partitioned)."""

    oid: int
    schema: str
    name: str
    kind: str


class Catalog:
    """Reads through `conn`, which may be inside a snapshot's transaction.

    `labels` remembers each enum's labels as they were when they were read first: one that grows keeps its schema
    until the connection is made again, as in Debezium.
    """

    def __init__(self, conn: psycopg.AsyncConnection, labels: dict[int, list[str]] | None = None) -> None:
        self._conn = conn
        self._labels = labels

    async def remember_enums(self) -> None:
        """Read the labels of all enums that there are."""
        assert self._labels is not None
        query: LiteralString = "SELECT enumtypid::int8, array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_catalog.pg_enum GROUP BY 1"
        self._labels.update(dict(await self._rows(query, ())))

    async def server_version(self) -> int:
        """As server_version_num: 150004 is 15.4."""
        return self._conn.info.server_version

    async def tables(self) -> list[TableName]:
        """Every user's table, ordinary and partitioned, by schema and name (in the order of code points)."""
        return [TableName(*row) for row in await self._rows(_TABLES, ())]

    async def load(self, oids: Sequence[int]) -> dict[int, Table]:
        """The tables with these OIDs; one that does not exist (any more) is missing from the answer."""
        wanted = (list(oids),)
        relations = await self._rows(_RELATIONS, wanted)
        attributes = await self._rows(_ATTRIBUTES, wanted)
        indexes = await self._rows(_INDEXES, wanted)
        types = await self.types({row[2] for row in attributes})
        columns_of = defaultdict(list)
        for row in attributes:
            columns_of[row[0]].append(row)
        indexes_of = defaultdict(list)
        for row in indexes:
            indexes_of[row[0]].append(_IndexRow(*row[1:]))
        return {r[0]: _table(r, columns_of[r[0]], indexes_of[r[0]], types) for r in relations}

    async def row_estimates(self, oids: Sequence[int]) -> dict[int, int]:
        """Rows of these tables as the planner counts them; -1 where it has not looked yet."""
        query: LiteralString = "SELECT oid::int8, reltuples::int8 FROM pg_catalog.pg_class WHERE oid = ANY(%s::oid[])"
        return dict(await self._rows(query, (list(oids),)))

    async def types(self, oids: Iterable[int]) -> dict[int, TypeInfo]:
        """The types with these OIDs, with their elements and bases; unknown ones are missing."""
        rows = {row[0]: row for row in await self._rows(_TYPES, (list(oids),))}
        if self._labels is not None:
            for oid, row in rows.items():
                if row[_LABELS]:
                    rows[oid] = (*row[:_LABELS], self._labels.setdefault(oid, row[_LABELS]))
        built: dict[int, TypeInfo] = {}
        for oid in rows:
            _type(oid, rows, built)
        return built

    async def _rows(self, query: LiteralString, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return await (await self._conn.execute(query, parameters)).fetchall()
        except psycopg.Error as error:
            raise translate(error, None, "cannot read the catalog") from None


#: Where _TYPES has an enum's labels.
_LABELS: Final = 8


class _IndexRow(NamedTuple):
    name: str
    primary: bool
    identity: bool
    listed: bool
    columns: tuple[str, ...]


def _table(
    relation: tuple[Any, ...], attributes: list[tuple[Any, ...]], indexes: list[_IndexRow], types: dict[int, TypeInfo]
) -> Table:
    oid, schema, name, kind, replica_identity, comment = relation
    primary = next((tuple(i.columns) for i in indexes if i.primary), ())
    identity = _identity(replica_identity, [row[1] for row in attributes], primary, indexes)
    return Table(
        oid=oid,
        schema=schema,
        name=name,
        kind=kind,
        comment=comment,
        replica_identity=replica_identity,
        primary_key=primary,
        unique_indexes=tuple(Index(name=i.name, columns=tuple(i.columns)) for i in indexes if i.listed),
        columns=tuple(_column(row, types, identity) for row in attributes),
    )


def _identity(
    replica_identity: str, names: list[str], primary: tuple[str, ...], indexes: list[_IndexRow]
) -> frozenset[str]:
    """The columns that an old image holds, as relreplident says."""
    match replica_identity:
        case "f":
            return frozenset(names)
        case "i":
            return frozenset(c for i in indexes if i.identity for c in i.columns)
        case "d":
            return frozenset(primary)
        case _:
            return frozenset()


def _column(row: tuple[Any, ...], types: dict[int, TypeInfo], identity: frozenset[str]) -> Column:
    _, name, type_oid, typmod, nullable, default, auto_increment, comment = row
    return Column(
        name=name,
        type=types[type_oid],
        typmod=typmod,
        nullable=nullable,
        default=default,
        auto_increment=auto_increment,
        comment=comment,
        identity=name in identity,
    )


def _type(oid: int, rows: dict[int, tuple[Any, ...]], built: dict[int, TypeInfo]) -> TypeInfo | None:
    """`oid` with what it refers to; PostgreSQL has no cycles among elements and bases."""
    if oid in built or oid not in rows:
        return built.get(oid)
    _, name, schema, kind, category, element, base, base_typmod, labels = rows[oid]
    built[oid] = TypeInfo(
        oid=oid,
        name=name,
        schema=schema,
        kind=kind,
        category=category,
        element=_type(element, rows, built) if element else None,
        base=_type(base, rows, built) if base else None,
        base_typmod=base_typmod,
        labels=tuple(labels),
    )
    return built[oid]


_TABLES: Final = """
    SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p')
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND n.nspname NOT LIKE 'pg\\_temp\\_%%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%%'
     ORDER BY n.nspname, c.relname"""

_RELATIONS: Final = """
    SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relreplident::text,
           pg_catalog.obj_description(c.oid, 'pg_class')
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY(%s::oid[])"""

# Nullability and what counts as auto-incremented are the JDBC driver's rules (getColumns), Debezium's source.
_ATTRIBUTES: Final = """
    SELECT a.attrelid::int8, a.attname::text, a.atttypid::int8, a.atttypmod,
           NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)),
           CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
           a.attidentity <> '' OR coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%%nextval(%%', false),
           pg_catalog.col_description(a.attrelid, a.attnum)
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attrelid, a.attnum"""

# An index on an expression is no key; a partial one counts, as Debezium has it. Included columns are not
# part of a key. Clustered before the rest, then by name in the order of code points: getIndexInfo's order.
_INDEXES: Final = """
    SELECT i.indrelid::int8, c.relname::text, i.indisprimary, i.indisreplident,
           NOT i.indisprimary AND i.indexprs IS NULL AND i.indisvalid,
           ARRAY(SELECT a.attname::text
                   FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                  WHERE k.place <= i.indnkeyatts ORDER BY k.place)
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = ANY(%s::oid[]) AND i.indisunique
     ORDER BY i.indrelid, NOT i.indisclustered, c.relname"""

_TYPES: Final = """
    WITH RECURSIVE wanted(oid) AS (
        SELECT unnest(%s::oid[])
         UNION
        SELECT r.oid FROM wanted w JOIN pg_catalog.pg_type t ON t.oid = w.oid,
               LATERAL (VALUES (CASE WHEN t.typcategory = 'A' THEN t.typelem END), (t.typbasetype)) AS r(oid)
         WHERE r.oid <> 0)
    SELECT t.oid::int8, t.typname::text, n.nspname::text, t.typtype::text, t.typcategory::text,
           CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END::int8, t.typbasetype::int8, t.typtypmod,
           ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
      FROM wanted w JOIN pg_catalog.pg_type t ON t.oid = w.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"""
