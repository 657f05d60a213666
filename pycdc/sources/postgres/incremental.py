"""Incremental snapshots: tables are read chunk by chunk beside the stream, and each chunk enters it at its watermark.

With a signal table the watermarks are rows in it, as Debezium's consumers know them; with read.only, or where
there is no such table, the high watermark is a position of the WAL. One chunk is under way at a time; what is
published is in the offset with the rows that follow, so a restart goes on behind it. What decides which rows
survive is `debezium.windows`. A fault of the database ends one table's scan, never the stream.
"""

from __future__ import annotations

import asyncio
import datetime
import time
import uuid
from collections.abc import Callable, Iterable, Sequence

import msgspec
import psycopg
import structlog

from pycdc.debezium import notifications as told
from pycdc.debezium.envelope import EventSettings, TableEvents, Templates
from pycdc.debezium.signals import CLOSE, OPEN, SignalError, SnapshotRequest, expand
from pycdc.debezium.windows import Collection, IncrementalState, Visibility, Window
from pycdc.errors import ConnectionLost, PycdcError
from pycdc.model.javatext import double_text
from pycdc.model.table import Table
from pycdc.model.template import Row
from pycdc.plugins.contracts import Progress, Run, Signal
from pycdc.postgres import chunks
from pycdc.postgres.catalog import Catalog, TableName
from pycdc.postgres.session import ConnectionSettings, connect
from pycdc.sources.postgres.notifier import Notifier

log = structlog.get_logger(__name__)

#: Seconds before a lost connection is made again.
_PAUSE = 1.0
#: Seconds for a transaction that is committed in the log to become visible.
_BLINK = 0.01
#: A chunk that changes cross again and again is read anew; every so many times the log says so.
_MANY = 10


class Ready(msgspec.Struct):
    """Rows to publish now, of `table`; without rows it is the end, which the next offset is to say."""

    templates: Templates
    rows: list[Row]
    table: str
    base: int


class _Chunk(msgspec.Struct):
    """What was read and waits for its watermark."""

    rows: Sequence[Row]
    visibility: Visibility
    last: list[str | None]


class IncrementalSettings(msgspec.Struct, frozen=True):
    """`signal_table` as schema.table; None = watermarks are positions. `deletes`: insert_delete watermarking."""

    chunk_size: int
    signal_table: str | None
    deletes: bool = False


class IncrementalSnapshot:
    """One source's incremental snapshots, one after another. `state` is what offsets carry."""

    def __init__(
        self, settings: IncrementalSettings, connection: ConnectionSettings, events: EventSettings, state: IncrementalState,
        notifier: Notifier, progress: Progress, labels: dict[int, list[str]], passed: Callable[[], Iterable[int]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._connection = connection
        self._event_settings = events
        self.state = state
        self._notify = notifier
        self._meter = _Meter(progress)
        #: Of enums, as the stream knows them.
        self._labels = labels
        #: Ids of the transactions that the stream passed lately.
        self._passed = passed
        self._conn: psycopg.AsyncConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._stops: list[tuple[str, ...]] = []
        self._events: TableEvents | None = None
        self._window: Window | None = None
        self._chunk: _Chunk | None = None
        self._chunk_id = ""
        self._high: int | None = None
        self._signals: TableName | None = None
        self._id_column = "id"
        self._rereads = 0

    @property
    def active(self) -> bool:
        """Whether changes have to be shown to `observe`."""
        return self._window is not None

    @property
    def waiting_for(self) -> int | None:
        """The position at which the chunk is due; None when it waits for a row, or there is none."""
        return self._high

    # ---- what signals ask for

    def execute(self, request: SnapshotRequest, tables: Sequence[str]) -> None:
        """Queue the tables of `request` among the captured `tables`; begin when nothing is under way."""
        begin = not self.state.running
        wanted = expand(request.collections, list(tables))
        self.state.collections += [
            Collection(t, request.condition(t), request.surrogate_key, request.id) for t in wanted
        ]
        self.state.correlation = request.id
        self._meter.add(wanted, anew=begin)
        log.info("incremental snapshot requested", signal=request.id, tables=wanted)
        if begin:
            self._tell(told.STARTED)
            self.resume_reading()

    def stop(self, patterns: tuple[str, ...]) -> None:
        """Give up tables (all when `patterns` is empty), before the next chunk."""
        if self.state.running:
            self._stops.append(patterns or (".*",))
            if self._idle:
                self._process_stops()
        else:
            log.warning("no incremental snapshot is under way, stop-snapshot is ignored")

    def pause(self) -> None:
        """No further chunk until `resume`."""
        if self.state.running and not self.state.paused:
            self.state.paused = True
            self._tell(told.PAUSED)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.state.running and self.state.paused:
            self.state.paused = False
            self._tell(told.RESUMED)
            self.resume_reading()

    def resume_reading(self) -> None:
        """Begin with the next chunk, if none is under way; also after a restart."""
        if self.state.running and not self.state.paused and self._idle:
            self._meter.show(self.state)
            self._reading = asyncio.ensure_future(self._read())

    @property
    def _idle(self) -> bool:
        """Nothing is being read, and nothing waits for its watermark."""
        return (self._reading is None or self._reading.done()) and not self._chunk_id

    async def close(self) -> None:
        """Stop reading. What was not published is read again by the next one."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._conn is not None:
            await self._conn.close()

    # ---- the stream's side

    def observe(self, run: Run, start: int) -> None:
        """Changes that the stream passes, in order."""
        if self._window is not None:
            self._window.observe(run, start)

    async def watermark(self, signal: Signal) -> Ready | None:
        """A window row has come by the stream. Those of an earlier life are passed over."""
        if not self._chunk_id or not signal.id.startswith(self._chunk_id):
            return None
        if signal.type == OPEN:
            if self._window is not None:
                self._window.open = True
            return None
        return await self._publish() if signal.type == CLOSE else None

    async def reached(self, lsn: int) -> Ready | None:
        """The stream has passed everything before `lsn`."""
        if self._reading is not None and self._reading.done():
            self._reading.result()  # raises what ended it
        if self._high is None or lsn < self._high:
            return None
        return await self._publish()

    async def _publish(self) -> Ready | None:
        """The chunk's rows that no change has overtaken; then the next chunk is begun."""
        if self._reading is not None:
            await self._reading  # its last act is to write the watermark that has just come
        chunk, window, events = self._chunk, self._window, self._events
        self._chunk, self._chunk_id, self._high = None, "", None
        ready: Ready | None = None
        if chunk is not None and window is not None and events is not None:
            rows = window.close(chunk.rows, chunk.visibility)
            if rows is None:
                self._crossed(window)
            else:
                self._rereads = 0
                self.state.last = chunk.last
                self.state.rows += len(chunk.rows)
                self._meter.show(self.state)
                ready = Ready(events.read(), rows, window.table, events.row_base)
        elif not self.state.running:
            ready = Ready((), [], "", 0)
        self._window = None
        self._reading = None
        self.resume_reading()
        return ready

    def _crossed(self, window: Window) -> None:
        self._rereads += 1
        if self._rereads % _MANY == 0:
            log.warning(
                "a chunk is read again and again: changes whose rows cannot be told apart cross it",
                table=window.table, times=self._rereads,
                hint="TRUNCATE, changed columns, or a replica identity without the key; ALTER TABLE ... REPLICA IDENTITY FULL",
            )  # fmt: skip

    # ---- reading

    async def _read(self) -> None:
        """One chunk with its watermarks; at a lost connection all of it again."""
        while True:
            try:
                await self._read_once()
                return
            except ConnectionLost as error:
                log.warning("incremental snapshot: connection lost, reading the chunk again", cause=error.cause)
                self._conn, self._chunk, self._window, self._chunk_id, self._high = None, None, None, "", None
                await asyncio.sleep(_PAUSE)

    async def _read_once(self) -> None:
        self._process_stops()
        if not self.state.running:
            return
        if self._conn is None or self._conn.closed:
            self._conn = await connect(self._connection)
        if self._settings.signal_table is not None and self._signals is None:
            self._signals = await self._find_signal_table()
        opened = _instant()
        self._chunk_id = str(uuid.uuid4())
        if self._signals is not None:
            await self._write("open", OPEN, f'{{"openWindowTimestamp": "{opened}"}}')
        while self.state.running:
            try:
                if await self._read_table():
                    break
            except ConnectionLost:
                raise
            except PycdcError as error:
                log.error(
                    "incremental snapshot of a table failed, going on with the next", table=self.state.collections[0].table,
                    cause=error.cause or str(error), hint=error.hint,
                )  # fmt: skip
                self._scan_completed(told.SQL_EXCEPTION)
        if self._signals is not None:
            close = f'{{"openWindowTimestamp": "{opened}", "closeWindowTimestamp": "{_instant()}"}}'
            await self._write("close", CLOSE, close)
        if self._signals is None:
            self._high = await chunks.current_position(self._conn, self._connection)

    async def _write(self, end: str, kind: str, data: str) -> None:
        """A window row, or its removal; without the right to it positions take over."""
        assert self._conn is not None
        identity = f"{self._chunk_id}-{end}"
        try:
            if end == "close" and self._settings.deletes:
                await chunks.delete_signal(self._conn, self._place, self._id_column, f"{self._chunk_id}-open", self._connection)
            else:
                await chunks.write_signal(self._conn, self._place, (identity, kind, data), self._connection)
        except ConnectionLost:
            raise
        except PycdcError as error:
            log.warning(
                "the signal table cannot be written; incremental snapshots go on with positions of the WAL as watermarks",
                table=self._settings.signal_table, cause=error.cause,
                hint=f"GRANT INSERT, DELETE ON {self._settings.signal_table} TO {self._connection.user}",
            )  # fmt: skip
            self._without_table()

    def _without_table(self) -> None:
        self._signals = None
        self._settings = msgspec.structs.replace(self._settings, signal_table=None)

    @property
    def _place(self) -> tuple[str, str]:
        assert self._signals is not None
        return self._signals.schema, self._signals.name

    async def _find_signal_table(self) -> TableName | None:
        assert self._conn is not None
        for table in await Catalog(self._conn).tables():
            if f"{table.schema}.{table.name}" == self._settings.signal_table:
                self._id_column = (await Catalog(self._conn).load([table.oid]))[table.oid].columns[0].name
                return table
        log.warning(
            "the signal table does not exist; incremental snapshots go on with positions of the WAL as watermarks",
            table=self._settings.signal_table,
            hint=f"CREATE TABLE {self._settings.signal_table} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))",
        )
        self._without_table()
        return None

    async def _read_table(self) -> bool:
        """Read the next chunk of the first table. False = that table is done, and the next one is the first."""
        assert self._conn is not None
        state, collection = self.state, self.state.collections[0]
        table = await self._load(collection.table)
        if table is None:
            log.warning("incremental snapshot: no such captured table", table=collection.table)
            return self._scan_completed(told.UNKNOWN_SCHEMA)
        events = self._table_events(table)
        names = (collection.surrogate_key,) if collection.surrogate_key else events.key_names
        places = [i for n in names for i, c in enumerate(table.columns) if c.name == n]
        if collection.surrogate_key and not places:
            raise SignalError(cause=f"{table.id} has no column {collection.surrogate_key!r}", hint="correct surrogate-key and signal again")
        if not places:
            log.warning("incremental snapshot: the table has no key", table=table.id, hint="name a column in surrogate-key")
            return self._scan_completed(told.NO_PRIMARY_KEY)
        keys = [chunks.KeyColumn(table.columns[i].name, table.columns[i].nullable) for i in places]
        place = (table.schema, table.name)
        if state.maximum is None:
            state.maximum = await chunks.maximum_key(self._conn, place, keys, collection.condition, self._connection)
            if state.maximum is None:
                return self._scan_completed(told.EMPTY)
        identity = [i for n in events.key_names for i, c in enumerate(table.columns) if c.name == n] or places
        captured = self._event_settings.filters.column
        shown = [
            c.name if i in identity or i in places or captured(table.schema, table.name, c.name) else None
            for i, c in enumerate(table.columns)
        ]
        # it must see every change that comes from now on
        self._window = Window(table, identity, events.field_names)
        while True:
            chunk = await chunks.read_chunk(
                self._conn, place, shown, keys, after=state.last, maximum=state.maximum, condition=collection.condition,
                limit=self._settings.chunk_size, settings=self._connection,
            )  # fmt: skip
            if not chunk.rows:
                return self._scan_completed(told.SUCCEEDED)
            visibility = Visibility(chunk.visible)
            if not visibility.missed(self._passed()):
                break
            await asyncio.sleep(_BLINK)
        last = [None if (t := chunk.rows[-1][i]) is None else t.decode() for i in places]
        self._chunk = _Chunk(chunk.rows, visibility, last)
        self._tell(
            told.IN_PROGRESS, current_collection_in_progress=table.id,
            maximum_key=_shown(table, places, state.maximum), last_processed_key=_shown(table, places, last),
        )  # fmt: skip
        return True

    async def _load(self, name: str) -> Table | None:
        assert self._conn is not None
        catalog = Catalog(self._conn, self._labels)
        for t in await catalog.tables():
            if f"{t.schema}.{t.name}" == name and self._event_settings.filters.table(t.schema, t.name):
                return (await catalog.load([t.oid])).get(t.oid)
        return None

    def _table_events(self, table: Table) -> TableEvents:
        """The same templates as long as the table is the same."""
        if self._events is None or self._events.table != table:
            self._events = TableEvents(table, self._event_settings)
        return self._events

    def _scan_completed(self, status: str) -> bool:
        state = self.state
        self._tell(
            told.TABLE_SCAN_COMPLETED, scanned_collection=state.collections[0].table, total_rows_scanned=str(state.rows), status=status,
        )  # fmt: skip
        log.info("incremental snapshot of a table completed", table=state.collections[0].table, rows=state.rows, status=status)
        self._next_table()
        return False

    def _next_table(self) -> None:
        state = self.state
        state.next_table()
        self._events = self._window = None
        self._meter.show(self.state)
        if not state.running:
            self._notify.incremental(told.COMPLETED, state.correlation)
            state.correlation = None

    def _process_stops(self) -> None:
        """Tables to be given up: those that wait first, then the one under way, as Debezium reports them."""
        stops, self._stops = self._stops, []
        state = self.state
        if not stops or not state.running:
            return
        wanted = set(expand(tuple(p for patterns in stops for p in patterns), [c.table for c in state.collections]))
        current = state.collections[0].table
        stopped = [c.table for c in state.collections[1:] if c.table in wanted]
        state.collections[1:] = [c for c in state.collections[1:] if c.table not in wanted]
        if current in wanted:
            stopped.append(current)
            self._next_table()
        self._meter.show(state, ended="aborted")
        self._notify.incremental(told.ABORTED, state.correlation, data_collections=",".join(stopped))
        log.info("incremental snapshot stopped", tables=stopped)

    def _tell(self, kind: str, **details: str) -> None:
        self._meter.show(self.state)
        listed = ",".join(c.table for c in self.state.collections)
        self._notify.incremental(kind, self.state.correlation, data_collections=listed, **details)


class _Meter:
    """Says in a source's progress how far its incremental snapshots are."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        #: Monotonic seconds of the last look.
        self._looked = 0.0

    def add(self, tables: Sequence[str], *, anew: bool) -> None:
        """`tables` are to be read as well, or (`anew`) nothing else."""
        p = self._progress
        if anew:
            p.tables, p.by_table, p.chunks, p.paused_for, p.began = 0, {}, {}, 0.0, time.monotonic()
        p.tables += len(tables)
        p.by_table |= dict.fromkeys(tables, 0)

    def show(self, state: IncrementalState, ended: str = "completed") -> None:
        """To be called whenever `state` has moved; `ended` counts once nothing is left to do."""
        p, now = self._progress, time.monotonic()
        p.began = p.began or now
        p.seconds = now - p.began
        if p.incremental == "paused":
            p.paused_for += now - self._looked
        self._looked = now
        # what goes on after a restart was not added here
        p.tables = max(p.tables, len(state.collections))
        p.tables_done = p.tables - len(state.collections)
        if state.running:
            p.by_table[state.collections[0].table] = state.rows
        p.incremental = "" if not state.running else "paused" if state.paused else "running"
        p.ended = "" if state.running else ended


def _instant() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shown(table: Table, places: Sequence[int], key: Sequence[str | None]) -> str:
    """A key as Java prints its values, for notifications."""
    return ",".join("<null>" if text is None else _java(table.columns[i].type.name, text) for i, text in zip(places, key, strict=True))


def _java(type_name: str, text: str) -> str:
    if type_name == "bool":
        return "true" if text == "t" else "false"
    if type_name in ("float8", "float4"):
        return double_text(float(text))
    return text
