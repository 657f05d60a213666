"""dialect.Session over pycdc.mysql: the catalog, the clock, one snapshot a poll, rows as the server sends them.

Source: DatabaseMetaData.getTables of Connector/J 9, whose order and kinds of tables these are; MySQL Reference Manual, "The
INFORMATION_SCHEMA INNODB_TRX Table", "START TRANSACTION", "Metadata Locking".
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from pycdc.errors import PycdcError
from pycdc.mysql.diagnosis import NoTable
from pycdc.mysql.session import ConnectionSettings, quote_literal
from pycdc.mysql.session import Session as Connection
from pycdc.mysql.wire import NOT_NULL
from pycdc.sources.jdbc.clock import Now
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import ResultColumn, Row, TableFacts, TableGone
from pycdc.sources.jdbc.mysql import types
from pycdc.sources.jdbc.mysql.way import way_of
from pycdc.sources.jdbc.mysql.work import Clock
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import WallClock

log = structlog.get_logger(__name__)

#: table_type -> the drivers' word.
_KINDS: Final = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE", "VIEW": "VIEW"}
_SYSTEM: Final = "'information_schema', 'mysql', 'performance_schema', 'sys'"
#: Two days of a year by which zones with summer time differ from those without.
_WINTER, _SUMMER = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC)


class MySqlSession:
    """`open` makes one."""

    def __init__(self, connection: Connection, driver: types.Driver, clock: Clock, *, utc: bool, mariadb: bool, only: str | None) -> None:
        """`only`: the one database whose tables are read where the configuration names none."""
        self._connection = connection
        self.where = connection.settings.where
        self._clock = clock
        self._utc = utc
        self._mariadb = mariadb
        self._only = only
        self._change = types.zero_dates(driver)

    @classmethod
    async def open(cls, settings: ConnectionSettings, driver: types.Driver, zone: ZoneInfo, *, only: str | None = None) -> MySqlSession:
        connection = await Connection.connect(settings)
        try:
            await connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            utc = await _shows(connection, zone)
            if utc:
                # moments that are printed in UTC stay apart in the hour that a clock shows twice
                await connection.execute("SET SESSION time_zone = '+00:00'")
            version = (await connection.execute("SELECT VERSION()"))[0][0] or b""
            clock = Clock(connection, None if utc else WallClock(zone))
            return cls(connection, driver, clock, utc=utc, mariadb=b"mariadb" in version.lower(), only=only)
        except BaseException:
            await connection.close()
            raise

    async def close(self) -> None:
        await self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except NoTable as fault:
            raise TableGone(fault.what, where=fault.where, cause=fault.cause) from None

    # ---- tables and the clock

    async def tables(self, settings: JdbcSourceConfig) -> list[TableId]:
        where = f"table_schema LIKE {quote_literal(settings.catalog_pattern or '%')}"
        if self._only is not None and not settings.catalog_pattern:
            where = f"table_schema = {quote_literal(self._only)}"
        rows = await self._connection.execute(_TABLES.format(system=_SYSTEM, where=where), "cannot list the tables")
        found = [(_KINDS.get(_text(kind), ""), TableId(_text(database), _text(table))) for kind, database, table in rows]
        return [table for _kind, table in sorted(entry for entry in found if entry[0] in settings.table_types)]

    async def facts(self, table: TableId, *, quoted: bool) -> TableFacts:
        """`quoted` or not, a name means the same here."""
        name = {"database": quote_literal(table.schema), "table": quote_literal(table.table)}
        with self._translated():
            rows = await self._connection.execute(_FACTS.format(**name), f"cannot read {table.name}")
        if not rows:
            return TableFacts()
        kind, serial = rows[0]
        return TableFacts(None if serial is None else _text(serial), finds_late=kind != b"VIEW")

    async def now(self) -> Now:
        return await self._clock.now()

    # ---- one poll

    async def begin(self, source: TableId | str) -> None:
        """The snapshot is that of the first row read, behind the lock that `columns` takes: no ALTER TABLE comes in between."""
        await self._connection.execute("START TRANSACTION READ ONLY")

    async def end(self) -> None:
        if not self._connection.closed:
            with contextlib.suppress(PycdcError):  # a lost connection is met by the next statement
                await self._connection.execute("ROLLBACK")

    async def columns(self, query: str, source: TableId | str) -> list[ResultColumn]:
        """LIMIT 0 reads nothing, and locks the tables' definitions until the transaction ends."""
        described = f"{query} LIMIT 0" if isinstance(source, TableId) else f"SELECT * FROM (\n{query}\n) AS q LIMIT 0"
        with self._translated():
            fields, _ = await self._connection.fetched(described, "cannot look at the columns")
        return [ResultColumn(f.name, types.type_name(f), not f.flags & NOT_NULL, types.facts_of(f, utc=self._utc)) for f in fields]

    async def rows(self, query: str, *, batch_rows: int, what: str) -> AsyncGenerator[list[Row], None]:
        with self._translated():
            async with contextlib.aclosing(self._connection.rows(query, batch_rows=batch_rows, what=what, change=self._change)) as batches:
                async for rows in batches:
                    yield rows

    # ---- for those who want to know before

    async def limit(self, milliseconds: int) -> None:
        limit = f"max_statement_time = {milliseconds / 1000}" if self._mariadb else f"max_execution_time = {milliseconds}"
        await self._connection.execute(f"SET SESSION {limit}")

    async def any(self, query: str) -> bool:
        return bool(await self._connection.execute(query))

    async def way(self, query: str) -> str:
        fields, rows = await self._connection.fetched(f"EXPLAIN FORMAT=TRADITIONAL {query}", "the server explains nothing")
        return way_of([f.name for f in fields], rows)


async def _shows(connection: Connection, zone: ZoneInfo) -> bool:
    """Whether the session's clock is db.timezone's. If not, what it shows is taken for that of db.timezone, as the original does."""
    moments = [int(day.timestamp()) for day in (_WINTER, _SUMMER)]
    row = (await connection.execute(f"SELECT {', '.join(f'FROM_UNIXTIME({at})' for at in moments)}, @@session.time_zone"))[0]
    expected = [day.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S").encode() for day in (_WINTER, _SUMMER)]
    if list(row[:2]) == expected:
        return True
    log.warning(
        "the server's clock shows another zone than db.timezone: timestamps are off by the difference, as with the original",
        server=_text(row[2]), db_timezone=zone.key,
        hint="set db.timezone to the server's zone, and the positions of the tables with it (PATCH /connectors/NAME/offsets)",
    )  # fmt: skip
    return False


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


_TABLES: Final = """
    SELECT table_type, table_schema, table_name FROM information_schema.tables
     WHERE table_schema NOT IN ({system}) AND {where}"""

_FACTS: Final = """
    SELECT t.table_type,
           (SELECT c.column_name FROM information_schema.columns c
             WHERE c.table_schema = {database} AND c.table_name = {table} AND c.extra LIKE '%auto_increment%' ORDER BY c.ordinal_position LIMIT 1)
      FROM information_schema.tables t WHERE t.table_schema = {database} AND t.table_name = {table}"""
