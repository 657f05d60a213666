"""JdbcSource: the tables of one task, polled one after another over one connection, and made anew when it is lost.

Progress is a position per table (`reader`), each stored under a source partition of its own. What the tables are is told by
the task's configuration in a Connect worker, which divides them; alone, the source looks for them itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar, Final

import structlog

from pycdc.config.definition import ConfigDef
from pycdc.errors import Fault, PycdcError
from pycdc.plugins.contracts import Batch, Offset, Progress, SourceContext
from pycdc.sources.jdbc import explain
from pycdc.sources.jdbc.config import BULK, JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Session, TableGone
from pycdc.sources.jdbc.dialects import dialect_of
from pycdc.sources.jdbc.offsets import QUERY, Position, is_current, partitions, position_of
from pycdc.sources.jdbc.reader import TableReader
from pycdc.sources.jdbc.tables import TableId, chosen, groups, must_differ, read_written, written

log = structlog.get_logger(__name__)

#: First pause before a retry, seconds; it doubles up to connection.backoff.ms.
_FIRST_PAUSE: Final = 0.2
#: Bytes in flight: rows come as fast as the broker takes them, and wait in the server.
_QUEUE_BYTES: Final = 16 << 20


class JdbcSource:
    """plugins.contracts.Source, Divided, Checked and Explained for tables that are polled."""

    config: ClassVar[type[ConfigDef]] = JdbcSourceConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, JdbcSourceConfig)
        self.settings = settings
        self._batches: AsyncGenerator[Batch, None] | None = None
        self._context: SourceContext
        self._progress = Progress()
        self._dialect = dialect_of(settings)
        self._application = "pycdc"
        self._sql: Session | None = None
        self._readers: dict[TableId | str, TableReader] = {}
        given = settings.raw.get("tables")
        #: None: it looks for them itself.
        self._given = None if given is None or settings.custom_query else read_written(given)
        self._look_at = 0.0
        self._connected = False
        #: Since the last poll that came to its end.
        self._failures = 0
        self._told_none = False

    # ---- plugins.contracts.Checked, Explained and Divided

    @classmethod
    async def check_connection(cls, settings: ConfigDef, faults: Sequence[Fault]) -> Mapping[str, str]:
        """What each poll would meet, by the key that mends it."""
        assert isinstance(settings, JdbcSourceConfig)
        return await explain.faults_of(settings, faults)

    @classmethod
    async def explained(cls, settings: ConfigDef) -> Mapping[str, Sequence[str]]:
        """plugins.contracts.Explained."""
        assert isinstance(settings, JdbcSourceConfig)
        return await explain.explained(settings)

    @classmethod
    async def divided(cls, settings: ConfigDef, tasks: int) -> list[dict[str, str]]:
        """The tables of each task, in the original's words."""
        assert isinstance(settings, JdbcSourceConfig)
        if settings.custom_query:
            return [{"tables": "", "tables.fetched": "true"}]
        dialect = dialect_of(settings)
        session = await dialect.connect(settings, "pycdc")
        try:
            tables = chosen(await session.tables(settings), settings, dialect.quote)
        finally:
            await session.close()
        must_differ(tables, settings.topic_prefix)
        return [{"tables": written(group, dialect.quote), "tables.fetched": "true"} for group in groups(tables, tasks)]

    @classmethod
    def divided_for(cls, settings: ConfigDef) -> float:
        assert isinstance(settings, JdbcSourceConfig)
        return settings.table_interval / 1000

    # ---- plugins.contracts.Source

    @property
    def partition(self) -> Mapping[str, str]:
        return {}

    @property
    def conversion_failure(self) -> str:
        return self.settings.conversion_failure

    @property
    def event_failure(self) -> str:
        return "fail"

    @property
    def queue_bytes(self) -> int:
        return _QUEUE_BYTES

    async def open(self, context: SourceContext) -> None:
        """The connection is made by the first `read`."""
        self._context, self._progress = context, context.progress
        self._application = f"pycdc {context.connector}"
        self._readers = {}
        self._look_at = 0.0
        self._batches = self._forever()

    async def read(self) -> Batch | None:
        assert self._batches is not None
        return await anext(self._batches, None)

    async def confirm(self, offset: Offset) -> None:
        """The database is told nothing."""

    async def close(self) -> None:
        if self._batches is not None:
            await self._batches.aclose()
            self._batches = None
        await self._disconnect()

    # ---- the life of the connection

    async def _forever(self) -> AsyncGenerator[Batch, None]:
        """Sessions one after another until a fault cannot be retried."""
        while True:
            try:
                async with aclosing(self._session()) as batches:
                    async for batch in batches:
                        yield batch
            except PycdcError as fault:
                self._failures = failures = self._failures + 1
                limit = self.settings.query_retries if self._connected else self.settings.attempts - 1
                if not fault.retriable or 0 <= limit < failures:
                    raise
                pause = min(_FIRST_PAUSE * 2 ** min(failures, 30), max(self.settings.backoff_ms / 1000, _FIRST_PAUSE)) * random.uniform(0.8, 1.2)  # noqa: S311
                self._progress.reconnects += 1
                self._progress.fault = str(fault)
                log.warning("a poll failed, trying again", cause=str(fault), seconds=round(pause, 1))
                await self._disconnect()
                await asyncio.sleep(pause)

    async def _disconnect(self) -> None:
        sql, self._sql = self._sql, None
        if sql is not None:
            await sql.close()

    async def _session(self) -> AsyncGenerator[Batch, None]:
        """Polls, over one connection."""
        self._sql = sql = await self._dialect.connect(self.settings, self._application)
        while True:
            await self._look_for_tables(sql)
            self._connected, self._progress.phase, self._progress.fault = True, "streaming", ""
            reader = min(self._readers.values(), key=lambda r: r.due, default=None)
            now = time.monotonic()
            due = min(self._look_at, reader.due if reader is not None else self._look_at)
            if due > now:
                await asyncio.sleep(due - now)
                continue
            if reader is None or reader.due > now:
                continue
            async with aclosing(self._polled(sql, reader)) as batches:
                async for batch in batches:
                    yield batch

    async def _polled(self, sql: Session, reader: TableReader) -> AsyncGenerator[Batch, None]:
        progress, before = self._progress, reader.rows
        pause = self.settings.poll_interval
        try:
            async with aclosing(reader.poll(sql)) as batches:
                async for batch in batches:
                    progress.table, progress.rows = reader.name, reader.rows
                    progress.rows_total += reader.rows - before
                    before = reader.rows
                    progress.by_table[reader.name] = reader.rows
                    yield batch
        except TableGone as error:
            if not isinstance(reader.source, TableId):
                raise
            log.warning("a table is gone; its position is kept", table=reader.name, cause=error.cause)
            pause = self.settings.table_interval
        self._failures = 0
        reader.due = time.monotonic() + pause / 1000

    # ---- tables

    async def _look_for_tables(self, sql: Session) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + self.settings.table_interval / 1000
        if self.settings.custom_query:
            wanted: list[TableId | str] = [self.settings.custom_query]
        elif self._given is not None:
            wanted = list(self._given)
        else:
            found = chosen(await sql.tables(self.settings), self.settings, self._dialect.quote)
            must_differ(found, self.settings.topic_prefix)
            wanted = list(found)
        for source in wanted:
            if source not in self._readers:
                self._readers[source] = await self._reader(source)
        for gone in [s for s in self._readers if s not in wanted]:
            log.warning("a table is gone; its position is kept", table=self._readers.pop(gone).name)
        self._progress.captured = len(wanted)
        if not wanted and not self._told_none:
            log.warning("no table is chosen", database=sql.where, hint="look at table.whitelist and schema.pattern; a table is read once it is there")
        self._told_none = not wanted

    async def _reader(self, source: TableId | str) -> TableReader:
        known = partitions(source, self._dialect.places(source, self.settings)) if isinstance(source, TableId) else [QUERY]
        position, partition = Position(), known[0]
        if self.settings.mode != BULK:
            for place in known:
                offset = await self._context.load_offset(place)
                if offset is not None:
                    position = position_of(offset, f"{place}")
                    partition = place if is_current(place) else known[0]
                    break
        return TableReader(source, self._dialect, self.settings, position, partition)
