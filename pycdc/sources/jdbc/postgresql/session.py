"""dialect.Session over psycopg: the catalog, the clock, one snapshot a poll, rows by COPY.

Source: the metadata of the PostgreSQL JDBC driver (getTables), whose order and kinds of tables these are; PostgreSQL docs,
"pg_stat_activity".
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final

import msgspec
import psycopg

from pycdc.errors import PycdcError
from pycdc.postgres.copy import copy_rows
from pycdc.postgres.session import ConnectionSettings, connect, quote_name, translate
from pycdc.sources.jdbc.clock import Now
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import ResultColumn, Row, TableFacts, TableGone
from pycdc.sources.jdbc.tables import TableId

#: relkind -> the driver's word.
_KINDS: Final = {"f": "FOREIGN TABLE", "m": "MATERIALIZED VIEW", "p": "PARTITIONED TABLE", "r": "TABLE", "v": "VIEW"}


class ColumnFacts(msgspec.Struct, frozen=True):
    """Domains give their base type, as the protocol does. `table` 0: it is no table's column."""

    type_oid: int
    typmod: int = -1
    table: int = 0
    number: int = 0
    type_schema: str = ""
    type_kind: str = "b"


class PostgresSession:
    """`open` makes one."""

    def __init__(self, conn: psycopg.AsyncConnection, settings: ConnectionSettings) -> None:
        self._conn = conn
        self._settings = settings
        self.where = settings.where
        #: What the catalog says of types, asked for when something is new: name, schema, kind.
        self._types: dict[int, tuple[str, str, str]] = {}

    @classmethod
    async def open(cls, settings: ConnectionSettings) -> PostgresSession:
        return cls(await connect(settings), settings)

    async def close(self) -> None:
        await self._conn.close()

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.UndefinedTable as error:
            fault = translate(error, self._settings, what)
            raise TableGone(fault.what, where=fault.where, cause=fault.cause, hint=fault.hint) from None
        except psycopg.Error as error:
            raise translate(error, self._settings, what) from None

    async def _one(self, statement: str, values: Sequence[Any] = (), what: str = "a query failed") -> tuple[Any, ...] | None:
        with self._translated(what):
            return await (await self._conn.execute(statement.encode(), values)).fetchone()

    async def _all(self, statement: str, values: Sequence[Any] = (), what: str = "a query failed") -> list[tuple[Any, ...]]:
        with self._translated(what):
            return await (await self._conn.execute(statement.encode(), values)).fetchall()

    async def _run(self, statement: str, what: str = "a query failed") -> None:
        with self._translated(what):
            await self._conn.execute(statement.encode())

    # ---- tables and the clock

    async def tables(self, settings: JdbcSourceConfig) -> list[TableId]:
        kinds = [kind for kind, word in _KINDS.items() if word in settings.table_types]
        rows = await self._all(_TABLES, (kinds, settings.schema_pattern or "%", settings.catalog_pattern or "%"), "cannot list the tables")
        found = [(kind, TableId(schema, table)) for kind, schema, table in rows]
        found.sort(key=lambda entry: (_KINDS[entry[0]], entry[1]))
        return [table for _kind, table in found]

    async def facts(self, table: TableId, *, quoted: bool) -> TableFacts:
        name = f"{quote_name(table.schema)}.{quote_name(table.table)}" if quoted else f"{table.schema}.{table.table.lower()}"
        row = await self._one(_FACTS, (name,), f"cannot read {table.name}")
        return TableFacts() if row is None else TableFacts(row[1], finds_late=row[0] in ("r", "p"))

    async def now(self) -> Now:
        """Whoever ends between this and the snapshot is in the snapshot."""
        row = await self._one(_NOW)
        assert row is not None
        now_us, writer_us, any_us, sees_all, standby = row
        blind = (
            "other roles' transactions cannot be seen, so rows do not wait for them; late ones are looked for behind the position",
            f'GRANT pg_monitor TO "{self._settings.user}"',
        )
        return Now(now_us, writer_us, any_us, () if sees_all or standby else (blind,))

    async def snapshot(self) -> tuple[bool, str]:
        """Whether this is a standby, and the transaction's snapshot."""
        row = await self._one("SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.txid_current_snapshot()::text")
        assert row is not None
        return bool(row[0]), str(row[1])

    # ---- one poll

    async def begin(self, source: TableId | str) -> None:
        await self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    async def end(self) -> None:
        try:
            if not self._conn.closed:
                await self._conn.execute("ROLLBACK")
        except psycopg.Error:
            await self._conn.close()

    async def columns(self, query: str, source: TableId | str) -> list[ResultColumn]:
        """Described by the server itself: the query is planned and not run."""
        with self._translated("cannot look at the columns"):
            await self._conn.execute(f"DECLARE pycdc_described NO SCROLL CURSOR FOR {query}".encode())
            cursor = await self._conn.execute("FETCH 0 FROM pycdc_described")
            result = cursor.pgresult
            assert result is not None
            found = [
                ((result.fname(i) or b"").decode(), ColumnFacts(result.ftype(i), result.fmod(i), result.ftable(i), result.ftablecol(i)))
                for i in range(result.nfields)
            ]
            await self._conn.execute("CLOSE pycdc_described")
        await self._learn({c.type_oid for _name, c in found})
        required = await self._required({c.table for _name, c in found} - {0})
        return [self._known(name, column, required) for name, column in found]

    def _known(self, name: str, column: ColumnFacts, required: set[tuple[int, int]]) -> ResultColumn:
        type_name, schema, kind = self._types.get(column.type_oid, ("", "", ""))
        facts = msgspec.structs.replace(column, type_schema=schema, type_kind=kind)
        return ResultColumn(name, type_name, (column.table, column.number) not in required, facts)

    async def _learn(self, oids: set[int]) -> None:
        if new := oids - self._types.keys():
            self._types.update({oid: (name, schema, kind) for oid, name, schema, kind in await self._all(_TYPES, (list(new),))})

    async def _required(self, tables: set[int]) -> set[tuple[int, int]]:
        """Columns that are never NULL, by table and number."""
        return {(t, n) for t, n in await self._all(_REQUIRED, (list(tables),))} if tables else set()

    def rows(self, query: str, *, batch_rows: int, what: str) -> AsyncGenerator[list[Row], None]:
        return copy_rows(self._conn, query, batch_rows=batch_rows, settings=self._settings, what=what)

    # ---- for those who want to know before

    async def limit(self, milliseconds: int) -> None:
        await self._run(f"SET statement_timeout = {milliseconds}")

    async def any(self, query: str) -> bool:
        return await self._one(f"SELECT 1 FROM ({query}) AS q") is not None

    async def way(self, query: str) -> str:
        """Asked of the planner with other ways forbidden, since a table that is still small is read whole anyway."""
        await self._run("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        row = await self._one(f"EXPLAIN (FORMAT JSON) {query}")
        if row is None:
            raise PycdcError("the server explains nothing")
        nodes = list(_nodes(row[0][0]["Plan"]))
        if any(n["Node Type"] == "Seq Scan" for n in nodes):
            return "no index serves: each poll reads the whole table"
        indexes = ", ".join(dict.fromkeys(n["Index Name"] for n in nodes if "Index Name" in n)) or "none"
        sorts = any("Sort" in n["Node Type"] for n in nodes)
        return f"index {indexes}{', and sorts' if sorts else ''}"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


_TABLES: Final = """
    SELECT c.relkind::text, n.nspname::text, c.relname::text
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = ANY(%s) AND n.nspname LIKE %s AND pg_catalog.current_database() LIKE %s
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND n.nspname NOT LIKE 'pg\\_temp\\_%%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%%'"""

_FACTS: Final = """
    SELECT c.relkind::text,
           (SELECT a.attname::text
              FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (a.attidentity <> '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%%nextval(%%')
             ORDER BY a.attnum LIMIT 1)
      FROM pg_catalog.pg_class c WHERE c.oid = %s::regclass"""

_TYPES: Final = """
    SELECT t.oid::int8, t.typname::text, n.nspname::text, t.typtype::text
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ANY(%s::oid[])"""

_REQUIRED: Final = """
    SELECT a.attrelid::int8, a.attnum::int4
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull))"""

# now() is the statement's beginning: earlier than the look at the sessions
_NOW: Final = """
    SELECT (extract(epoch FROM now()) * 1000000)::int8,
           (extract(epoch FROM min(xact_start) FILTER (WHERE backend_xid IS NOT NULL)) * 1000000)::int8,
           (extract(epoch FROM min(xact_start)) * 1000000)::int8,
           pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), pg_catalog.pg_is_in_recovery()
      FROM pg_catalog.pg_stat_activity
     WHERE pid <> pg_catalog.pg_backend_pid() AND datname = pg_catalog.current_database()
       AND backend_type IS DISTINCT FROM 'autovacuum worker' AND backend_type IS DISTINCT FROM 'walsender'
       AND application_name IS DISTINCT FROM pg_catalog.current_setting('application_name')"""
