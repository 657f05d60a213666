"""PostgresSource: decides where to begin, takes the snapshot, follows the slot, reconnects.

The rules it keeps are those of docs/guarantees.md: IDENTIFY_SYSTEM at every connect (rule 4), publication
before slot (5), the first snapshot's offset before its first row (6), a snapshot on a slot that exists only
through a second slot's exported snapshot (7), the table as the unit of resume (8). It confirms an LSN only
when the runtime says that its offset is stored. A slot or a publication is dropped only when asked.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import msgspec
import psycopg
import structlog

from pycdc.config.definition import ConfigDef
from pycdc.debezium import notifications as told
from pycdc.debezium.envelope import EventSettings
from pycdc.debezium.offsets import OffsetWriter, SnapshotState, position, reached, snapshot_done, snapshot_state
from pycdc.debezium.signals import (
    CLOSE,
    KNOWN,
    OPEN,
    SignalError,
    SnapshotRequest,
    expand,
    log_message,
    snapshot_request,
    stopped_collections,
)
from pycdc.errors import ConnectionLost, PycdcError, ServerError, SlotBusy, SlotLost, SnapshotError
from pycdc.model.javaregex import NameFilter, split_list
from pycdc.model.lsn import format_lsn
from pycdc.model.table import Table
from pycdc.plugins.contracts import Batch, Offset, Progress, Signal, SignalChannels, SourceContext
from pycdc.postgres.catalog import Catalog, TableName
from pycdc.postgres.copy import snapshot_transaction
from pycdc.postgres.publication import add_tables_statement, ensure_publication, unpublished
from pycdc.postgres.replication import ReplicationConnection, SystemIdentity
from pycdc.postgres.session import ConnectionSettings, connect, translate
from pycdc.postgres.slot import SlotInfo, drop_slot, require_covers, require_usable, slot_info
from pycdc.sources.postgres import setup
from pycdc.sources.postgres.config import PostgresSourceConfig
from pycdc.sources.postgres.decoder import StreamDecoder
from pycdc.sources.postgres.incremental import IncrementalSnapshot, Ready
from pycdc.sources.postgres.notifier import Notifier
from pycdc.sources.postgres.relations import merge
from pycdc.sources.postgres.snapshot import Snapshot, snapshot_facts

log = structlog.get_logger(__name__)

#: First pause before a reconnect; it doubles up to retriable.restart.connector.wait.ms.
_FIRST_PAUSE = 0.1
#: How long the stream may be silent before an idle position or a heartbeat is looked at, seconds.
_IDLE_LOOK = 0.5
#: The same while a chunk waits for a position of the WAL: then the server is asked how far it is.
_ASK_AGAIN = 0.05
#: How long the slot of rule 7 may wait for transactions that were open before it, seconds; then the error names them.
_CREATION_LIMIT = 300.0
_READ_BYTES = 1 << 20
#: Runs of a few hundred rows are encoded by column while their texts are still in the processor's cache (measured).
_READ_MESSAGES = 400


class PostgresSource:
    """plugins.contracts.Source for PostgreSQL's logical replication."""

    config: ClassVar[type[ConfigDef]] = PostgresSourceConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, PostgresSourceConfig)
        self.settings = settings
        self._batches: AsyncGenerator[Batch, None] | None = None
        self._repl: ReplicationConnection | None = None
        self._progress = Progress()
        self._context: SourceContext
        self._events: EventSettings
        self._connection: ConnectionSettings
        self._identity: SystemIdentity | None = None
        #: Tables that are named but missing have been warned of.
        self._warned = False
        #: The server has another timeline than the offset is from: only the slot's position is sure (rule 4).
        self._promoted = False
        #: The newest commit border handed out; where a reconnect resumes.
        self._offset: Offset | None = None
        self._snapshot_taken = False
        self._told_skipped = False
        self._notifier: Notifier
        self._incremental: IncrementalSnapshot | None = None
        #: Blocking snapshots that were asked for.
        self._requests: deque[SnapshotRequest] = deque()
        self._manual = settings.flush_mode == "manual" or not settings.flush_lsn_source

    @property
    def partition(self) -> Mapping[str, str]:
        return {"server": self.settings.topic_prefix}

    @property
    def conversion_failure(self) -> str:
        return self.settings.conversion_failure

    @property
    def signal_channels(self) -> SignalChannels | None:
        return setup.signal_channels(self.settings)

    @property
    def queue_bytes(self) -> int:
        return self.settings.queue_bytes or setup.DEFAULT_QUEUE_BYTES

    # ---- plugins.contracts.Source

    async def open(self, context: SourceContext) -> None:
        """Reads the stored offset; connections are made by the first `read`."""
        self._context = context
        self._progress = context.progress
        self._events = setup.event_settings(self.settings, task_id=context.task_id, now_ms=time.time_ns() // 1_000_000)
        self._connection = setup.connection(self.settings, f"pycdc {context.connector}")
        self._notifier = setup.notifier(self.settings)
        self._offset = await context.load_offset(self.partition)
        self._batches = self._forever()

    async def read(self) -> Batch | None:
        assert self._batches is not None
        return await anext(self._batches, None)

    async def confirm(self, offset: Offset) -> None:
        lsn = position(offset)
        if lsn is not None and self._repl is not None and not self._manual:
            self._repl.confirm(lsn)

    async def close(self) -> None:
        if self._batches is not None:
            await self._batches.aclose()
            self._batches = None
        await self._disconnect()
        if self.settings.slot_drop and self.settings.snapshot_mode != "initial_only":
            async with await connect(self._connection) as sql:
                await drop_slot(sql, self.settings.slot)

    # ---- the life of the connection

    async def _forever(self) -> AsyncGenerator[Batch, None]:
        """Sessions one after another until all is done or a fault cannot be retried."""
        failures = 0
        while True:
            try:
                async with aclosing(self._session()) as batches:
                    async for batch in batches:
                        failures, self._progress.fault = 0, ""
                        if batch.offset is not None:
                            self._offset, self._promoted = batch.offset, False
                        batch.runs += self._notifier.take()
                        yield batch
                if self._notifier.pending:
                    yield Batch(self._notifier.take())
                return
            except PycdcError as error:
                limit = self.settings.max_retries
                if not error.retriable or (limit >= 0 and failures >= limit):
                    raise
                pause = min(_FIRST_PAUSE * 2**failures, self.settings.retry_wait / 1000) * random.uniform(0.8, 1.2)  # noqa: S311
                failures = min(failures + 1, 30)
                self._progress.reconnects += 1
                self._progress.fault = str(error)
                log.warning("connection to PostgreSQL lost, trying again", cause=str(error), seconds=round(pause, 1))
                await self._disconnect()
                await asyncio.sleep(pause)

    async def _disconnect(self) -> None:
        repl, self._repl = self._repl, None
        if repl is not None:
            await repl.close()

    async def _session(self) -> AsyncGenerator[Batch, None]:
        """From connecting to the end of the connection."""
        sql = await connect(self._connection)
        try:
            await self._initial_statements(sql)
            catalog = Catalog(sql)
            if self.settings.snapshot_mode == "initial_only":
                async with aclosing(self._initial_only(sql, catalog)) as batches:
                    async for batch in batches:
                        yield batch
                return
            self._repl = await ReplicationConnection.connect(self._connection)
            identity = await self._repl.identify_system()
            self._check_identity(identity)
            await self._ensure_publication(sql, catalog)
            self._warned = True
            async with aclosing(self._from_slot(sql, catalog, identity)) as batches:
                async for batch in batches:
                    yield batch
        except psycopg.Error as error:
            raise translate(error, self._connection, "a query failed") from error
        finally:
            if self._incremental is not None:
                await self._incremental.close()
                self._incremental = None
            await sql.close()
            await self._disconnect()

    async def _initial_statements(self, sql: psycopg.AsyncConnection) -> None:
        text = self.settings.initial_statements
        if text:
            for statement in text.replace(";;", "\0").split(";"):
                if statement.strip():
                    await sql.execute(statement.replace("\0", ";").encode())

    def _check_identity(self, identity: SystemIdentity) -> None:
        """Rule 4: another cluster is never continued on."""
        stored = snapshot_state(self._offset) if self._offset else None
        known = self._identity.system_id if self._identity is not None else stored.system if stored else None
        if known is not None and known != identity.system_id:
            raise SlotLost(
                "the server is another database cluster than before",
                where=self._connection.where,
                cause=f"system identifier {identity.system_id}, was {known}",
                hint="connect to the original cluster, or delete the stored offset to begin with a new snapshot",
                retriable=False,
            )
        timeline = self._identity.timeline if self._identity is not None else stored.timeline if stored else 0
        if timeline and timeline != identity.timeline:
            self._promoted = True
            log.warning("the server changed its timeline; going on from the slot's position", was=timeline, now=identity.timeline)
        self._identity = identity

    async def _ensure_publication(self, sql: psycopg.AsyncConnection, catalog: Catalog) -> None:
        """Rule 5: before the slot, and never recreated."""
        s = self.settings
        operations: list[str] = []
        if s.raw.get("skipped.operations") is not None:
            names = {"c": "insert", "u": "update", "d": "delete", "t": "truncate"}
            operations = [n for op, n in names.items() if op not in s.skipped]
        existing = await catalog.tables()
        self._warn_of_unmatched(existing)
        tables = [t for t in existing if self._captures(t.schema, t.name)]
        info = await ensure_publication(
            sql, s.publication, s.autocreate, tables,  # type: ignore[arg-type]
            publish=operations, via_partition_root=s.via_root, settings=self._connection,
        )  # fmt: skip
        missing = [] if s.autocreate == "no_tables" else await unpublished(sql, info, tables)
        if missing:
            self._tell_unpublished(missing)

    def _tell_unpublished(self, missing: Sequence[TableName]) -> None:
        """The server sends no change of them, and says nothing. Where the user named tables, that is an error."""
        s = self.settings
        names = ", ".join(f"{t.schema}.{t.name}" for t in missing[:5]) + (" ..." if len(missing) > 5 else "")
        mend = add_tables_statement(s.publication, missing)
        if s.raw.get("table.include.list"):
            raise ServerError(
                f"the publication {s.publication!r} lacks {names}", where=self._connection.where,
                cause="the server sends changes of published tables only", hint=mend,
            )  # fmt: skip
        if not self._warned:
            log.warning("tables are not published: only their snapshot is read", tables=names, hint=mend)

    def _warn_of_unmatched(self, existing: Sequence[TableName]) -> None:
        """Once; such a table may be made later."""
        if self._warned:
            return
        for pattern in split_list(self.settings.raw.get("table.include.list") or ""):
            if not any(NameFilter([pattern]).matches(f"{t.schema}.{t.name}") for t in existing):
                log.warning(
                    "no table matches an entry of table.include.list", entry=pattern, database=self.settings.dbname,
                    hint="entries are Java patterns over schema.table; it is captured once it is created",
                )  # fmt: skip

    def _captures(self, schema: str, table: str) -> bool:
        return self._events.filters.table(schema, table)

    # ---- where to begin

    async def _from_slot(self, sql: psycopg.AsyncConnection, catalog: Catalog, identity: SystemIdentity) -> AsyncGenerator[Batch, None]:
        s, offset = self.settings, self._offset
        slot = await slot_info(sql, s.slot)
        done = offset is not None and snapshot_done(offset)
        if slot is not None and slot.lost:
            if s.snapshot_mode != "when_needed":
                require_usable(slot, s.slot, s.dbname)  # raises
            log.warning("the slot lost WAL; dropping it and taking a new snapshot", slot=s.slot, cause=slot.lost)
            await drop_slot(sql, s.slot)
            slot, offset, done = None, None, False
        if slot is not None and slot.confirmed_flush_lsn is None and not slot.lost:
            # our own creation of a moment ago, before a kill: it goes on in the server until its point is found.
            # An offset of before that point would later look older than the slot.
            raise SlotBusy(
                f"the replication slot {s.slot!r} is still being made",
                cause=f"PID {slot.active_pid} waits for transactions that were open before it",
                hint="wait for them, or end them: SELECT pid, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL",
            )
        if slot is not None:
            # a busy one may be our own walsender of a moment ago: attaching to it is tried again
            require_usable(msgspec.structs.replace(slot, active_pid=None), s.slot, s.dbname)
        elif offset is not None and s.snapshot_mode not in ("when_needed", "always"):
            require_usable(None, s.slot, s.dbname)  # raises
        seen = reached(offset) if offset is not None else None
        if slot is not None and seen is not None and seen < (slot.confirmed_flush_lsn or 0):
            if s.snapshot_mode != "when_needed":
                require_covers(slot, seen)  # raises
            log.warning("the slot is ahead of the stored offset; taking a new snapshot", slot=s.slot)
            offset, done = None, False
        if slot is None:
            # Nothing continues: a new slot begins where its snapshot is. The offset is forgotten here as well, or
            # the snapshot's first rows would go out before an offset that says so (rule 6).
            self._offset, offset, done = None, None, False
        unfinished = snapshot_state(offset) if offset is not None and not done else None
        blocking = unfinished is not None and unfinished.only is not None
        wanted = blocking or (
            s.snapshot_mode != "no_data" and (not done or (s.snapshot_mode == "always" and not self._snapshot_taken))
        )
        if not wanted and not self._told_skipped:
            self._told_skipped = True
            self._notifier.initial(told.SKIPPED)
        flow = (
            self._new_slot(sql, catalog, identity, snapshot=wanted)
            if slot is None
            else self._existing_slot(sql, catalog, identity, slot, offset, snapshot=wanted)
        )
        async with aclosing(flow) as batches:
            async for batch in batches:
                yield batch

    async def _new_slot(
        self, sql: psycopg.AsyncConnection, catalog: Catalog, identity: SystemIdentity, *, snapshot: bool
    ) -> AsyncGenerator[Batch, None]:
        """Rule 6: the slot's own exported snapshot is the state that the stream continues."""
        repl = self._connected
        created = await repl.create_slot(self.settings.slot, failover=self.settings.slot_failover, export_snapshot=snapshot)
        log.info("slot created", slot=self.settings.slot, lsn=format_lsn(created.consistent_point))
        writer = OffsetWriter()
        if snapshot:
            state = SnapshotState(self.settings.slot, identity.system_id, identity.timeline)
            async with aclosing(self._snapshot(catalog, writer, state, created.consistent_point, created.snapshot or "")) as batches:
                async for batch in batches:
                    yield batch
        await self._attach(created.consistent_point)
        decoder = self._decoder(writer, created.consistent_point, None)
        async with aclosing(self._stream(sql, decoder, catalog, [])) as batches:
            async for batch in batches:
                yield batch

    async def _existing_slot(
        self, sql: psycopg.AsyncConnection, catalog: Catalog, identity: SystemIdentity, slot: SlotInfo,
        offset: Offset | None, *, snapshot: bool,
    ) -> AsyncGenerator[Batch, None]:  # fmt: skip
        """Go on from the stored offset, or from the slot's position; a snapshot by rule 7."""
        unfinished = offset if offset is not None and not snapshot_done(offset) else None
        state = snapshot_state(unfinished) if unfinished is not None else None
        start = (position(offset) if offset is not None else None) or slot.confirmed_flush_lsn or 0
        if self._promoted or (unfinished is not None and state is None):
            # A snapshot that Debezium began and did not finish: each of its attempts begins at a newer point, and
            # the slot alone still holds the deletes of rows that an earlier one has published.
            start = slot.confirmed_flush_lsn or 0
        if start > identity.wal_end:
            log.warning(
                "the stored offset is beyond the server's WAL; going on from the slot's position",
                offset=format_lsn(start), wal_end=format_lsn(identity.wal_end),
            )  # fmt: skip
            start = slot.confirmed_flush_lsn or 0
        writer = OffsetWriter(offset)
        if snapshot:
            state = state or SnapshotState(slot.name, identity.system_id, identity.timeline)
            writer.snapshot = state
            if unfinished is None:
                # before anything is published, so that a crash finds an unfinished snapshot and not a finished one
                await self._store(writer.at(start))
        await self._attach(start)
        decoder = self._decoder(writer, start, start if offset is not None and offset.get("lsn_commit") else None)
        rest: list[bytes] = []
        if snapshot and state is not None:
            async with aclosing(self._catch_up_and_snapshot(sql, decoder, catalog, writer, state, rest)) as batches:
                async for batch in batches:
                    yield batch
        async with aclosing(self._stream(sql, decoder, catalog, rest)) as batches:
            async for batch in batches:
                yield batch

    @property
    def _connected(self) -> ReplicationConnection:
        assert self._repl is not None
        return self._repl

    async def _attach(self, lsn: int) -> None:
        """START_REPLICATION; a busy slot is tried again slot.max.retries times."""
        s = self.settings
        extra = dict(p.split("=", 1) for p in (s.slot_params or "").split(";") if "=" in p)
        for attempt in range(s.slot_retries + 1):
            try:
                await self._connected.start(s.slot, lsn, [s.publication], messages=True, extra=extra)
                break
            except SlotBusy as error:
                if attempt == s.slot_retries:
                    error.retriable = False
                    raise
                # the first tries are quick: after a crash the server needs a moment to notice that we died
                pause = min(s.slot_retry_delay / 1000, 0.2 * 2**attempt)
                log.warning("the slot is busy, trying again", slot=s.slot, seconds=pause, cause=error.cause)
                await asyncio.sleep(pause)
        self._connected.status_interval = min(self._connected.status_interval, s.status_interval / 1000)
        log.info("streaming", slot=s.slot, lsn=format_lsn(lsn))

    def _decoder(self, writer: OffsetWriter, start: int, last_commit: int | None) -> StreamDecoder:
        decoder = StreamDecoder(
            self._events, writer, start=start, last_commit=last_commit, binary=self.settings.binary,
            heartbeats=self.settings.heartbeat_interval > 0, signal_table=self.settings.signal_table,
        )  # fmt: skip
        self._incremental = IncrementalSnapshot(
            setup.incremental_settings(self.settings), self._connection, self._events, writer.incremental, self._notifier,
            lambda: decoder.passed,
        )  # fmt: skip
        return decoder

    # ---- snapshots

    async def _tables(self, catalog: Catalog, state: SnapshotState) -> list[Table]:
        """What is to be read, by schema and name as the server sorts bytes."""
        include = self.settings.snapshot_include

        def wanted(name: str) -> bool:
            if state.only is not None:
                return name in state.only
            return not include or include.matches(name)

        names = [
            t for t in await catalog.tables()
            if self._captures(t.schema, t.name) and wanted(f"{t.schema}.{t.name}") and f"{t.schema}.{t.name}" not in state.tables
        ]  # fmt: skip
        loaded = await catalog.load([t.oid for t in names])
        return [loaded[t.oid] for t in names if t.oid in loaded and loaded[t.oid].columns]

    def _override(self, table: Table, state: SnapshotState) -> str | None:
        if state.only is not None and state.only.get(table.id):
            return state.only[table.id]
        if not self.settings.snapshot_overrides.matches(table.id):
            return None
        return self.settings.raw.get(f"snapshot.select.statement.overrides.{table.id}")

    async def _snapshot(
        self, catalog: Catalog, writer: OffsetWriter, state: SnapshotState, lsn: int, name: str, last_commit: int | None = None
    ) -> AsyncGenerator[Batch, None]:
        """Read the unfinished tables as of `lsn`; `name` is the exported snapshot, whose exporter stays idle."""
        if self.settings.snapshot_delay:
            await asyncio.sleep(self.settings.snapshot_delay / 1000)
        conn = await connect(self._connection)
        try:
            await self._initial_statements(conn)
            await snapshot_transaction(conn, name or None, settings=self._connection)
            xid, ts_us = await snapshot_facts(conn)
            self._notifier.initial(told.STARTED)
            tables = await self._tables(Catalog(conn), state)
            await self._lock(conn, tables)
            if state.only is not None:
                xid = writer.last_xid or xid  # as Debezium shows it: nothing but the stream moves on
            offset = writer.snapshot_start(lsn, xid, ts_us, state)
            if self._offset is None:
                # On a slot that existed, events before `lsn` may be in flight: their batches carry the offset.
                await self._store(offset)
            log.info("snapshot started", tables=len(tables), lsn=format_lsn(lsn), finished=len(state.tables))
            snapshot = Snapshot(
                conn, tables, self._events, writer, self._progress, self._notifier, lsn=lsn,
                last_commit=last_commit if state.only is not None else None,
                xid=xid, ts_us=ts_us, overrides=lambda table: self._override(table, state),
            )  # fmt: skip
            began = time.monotonic()
            async with aclosing(snapshot.batches()) as batches:
                async for batch in batches:
                    yield batch
            self._snapshot_taken = True
            self._notifier.initial(told.COMPLETED)
            log.info("snapshot completed", rows=self._progress.rows_total, seconds=round(time.monotonic() - began, 1))
        except psycopg.Error as error:
            raise translate(error, self._connection, "the snapshot failed") from error
        finally:
            await conn.close()

    async def _store(self, offset: Offset) -> None:
        """Make an offset durable that no batch carries; never before what was handed out is acknowledged."""
        await self._context.settle()
        await self._context.store_offset(self.partition, offset)
        self._offset = offset

    async def _lock(self, conn: psycopg.AsyncConnection, tables: Sequence[Table]) -> None:
        if self.settings.snapshot_locking != "shared" or not tables:
            return
        from pycdc.postgres.session import quote_name

        await conn.execute(f"SET lock_timeout = {self.settings.snapshot_lock_timeout}".encode())
        names = ", ".join(f"{quote_name(t.schema)}.{quote_name(t.name)}" for t in tables)
        await conn.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())

    async def _initial_only(self, sql: psycopg.AsyncConnection, catalog: Catalog) -> AsyncGenerator[Batch, None]:
        """No slot, no publication: one consistent read, then done. An unfinished one starts again from nothing."""
        if self._offset is not None and snapshot_done(self._offset):
            return
        self._offset = None
        row = await (await sql.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, system_identifier::text FROM pg_control_system()")).fetchone()
        if row is None:
            raise SnapshotError(cause="the server gave no position")
        state = SnapshotState("", str(row[1]), 0)
        async with aclosing(self._snapshot(catalog, OffsetWriter(), state, int(row[0]), "")) as batches:
            async for batch in batches:
                yield batch

    async def _catch_up_and_snapshot(
        self, sql: psycopg.AsyncConnection, decoder: StreamDecoder, catalog: Catalog, writer: OffsetWriter,
        state: SnapshotState, rest: list[bytes],
    ) -> AsyncGenerator[Batch, None]:  # fmt: skip
        """Rule 7. (a) Stream to about the end of WAL; (b) a temporary slot gives point C1 and snapshot X1; (c) stream
        what committed before C1; (d) read at X1. `rest` gets what was read beyond.

        Nothing is streamed during (b): a change committed behind C1 would be published before the older row of X1.
        """
        row = await (await sql.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")).fetchone()
        target = int(row[0]) if row is not None else 0
        self._progress.phase = "catching up"
        async with aclosing(self._until(decoder, catalog, rest, lambda: max(decoder.idle_lsn, decoder.last_commit or 0) >= target)) as batches:
            async for batch in batches:
                yield batch
        other = await ReplicationConnection.connect(self._connection)
        try:
            # A name of its own each time: after a kill the server may still hold the one before.
            name = f"{self.settings.slot[:48]}_tmp_{secrets.token_hex(4)}"
            created = await other.create_slot(name, temporary=True, time_limit=_CREATION_LIMIT, observer=sql)
            decoder.stop_at = created.consistent_point
            if decoder.idle_lsn >= created.consistent_point and not decoder.in_transaction:
                decoder.stopped = True
            async with aclosing(self._until(decoder, catalog, rest, lambda: decoder.stopped)) as batches:
                async for batch in batches:
                    yield batch
            decoder.stop_at, decoder.stopped = None, False
            reading = self._snapshot(
                catalog, writer, state, created.consistent_point, created.snapshot or "", decoder.last_commit
            )
            async with aclosing(reading) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await other.close()

    async def _until(self, decoder: StreamDecoder, catalog: Catalog, rest: list[bytes], enough: Any) -> AsyncGenerator[Batch, None]:
        """Stream until `enough()`, looked at after every batch and while the stream is silent."""
        while not enough():
            batch = await self._next(decoder, catalog, rest)
            if batch is not None:
                yield batch

    # ---- streaming

    async def _stream(
        self, sql: psycopg.AsyncConnection, decoder: StreamDecoder, catalog: Catalog, rest: list[bytes]
    ) -> AsyncGenerator[Batch, None]:
        """Batches for ever. Heartbeats and idle positions go out between them."""
        s = self.settings
        if s.streaming_delay:
            await asyncio.sleep(s.streaming_delay / 1000)
        self._progress.phase = "streaming"
        self._snapshots.resume_reading()
        beat_at = time.monotonic() if s.heartbeat_interval else float("inf")
        xmin_at = 0.0
        idle_sent = 0
        while True:
            if not decoder.in_transaction:
                await self._take_signals(decoder)
                while self._requests:
                    async with aclosing(self._blocking(sql, decoder, catalog, rest, self._requests.popleft())) as batches:
                        async for read in batches:
                            yield read
            if s.xmin_interval and time.monotonic() >= xmin_at:
                await self._fetch_xmin(decoder, sql)
                xmin_at = time.monotonic() + s.xmin_interval / 1000
            batch = await self._next(decoder, catalog, rest, beat_at)
            if time.monotonic() >= beat_at and not decoder.in_transaction:
                await self._heartbeat_query(sql)
                decoder.beat(time.time_ns())
                beat = decoder.take()
                batch = beat if batch is None else _joined(batch, beat)
                beat_at = time.monotonic() + s.heartbeat_interval / 1000
            if (batch is None or batch.offset is None) and not decoder.in_transaction and decoder.idle_lsn > max(
                idle_sent, decoder.last_commit or 0
            ):
                idle_sent = decoder.idle_lsn
                decoder.idle()
                idle = decoder.take()
                batch = idle if batch is None else _joined(batch, idle)
            if batch is not None:
                yield batch
            elif self._notifier.pending:
                yield Batch([])  # what waits goes along with it

    async def _next(
        self, decoder: StreamDecoder, catalog: Catalog, rest: list[bytes], until: float = float("inf")
    ) -> Batch | None:
        """The next batch; None after a short silence, or at `until` (monotonic seconds)."""
        if rest:
            payloads = rest[:]
            rest.clear()
        else:
            look = _IDLE_LOOK
            if self._snapshots.waiting_for is not None:
                self._connected.ask()
                look = _ASK_AGAIN
            limit = min(look, max(until - time.monotonic(), 0.001))
            try:
                async with asyncio.timeout(limit):
                    payloads = await self._connected.read(_READ_BYTES, _READ_MESSAGES)
            except TimeoutError:
                return None
        self._progress.read_lsn = self._connected.received
        taken = 0
        while taken < len(payloads):
            taken = decoder.feed(payloads, taken, time.time_ns())
            if decoder.unknown is not None:
                await self._learn(decoder, catalog)
            if decoder.signal is not None:
                await self._signalled(decoder, catalog)
            if decoder.stopped:
                rest.extend(payloads[taken:])
                break
        if self._snapshots.active:
            decoder.observe(self._snapshots.observe)
        if self._snapshots.waiting_for is not None and not decoder.in_transaction:
            self._publish(decoder, await self._snapshots.reached(max(decoder.last_commit or 0, decoder.idle_lsn)))
        return decoder.take()

    # ---- signals

    @property
    def _snapshots(self) -> IncrementalSnapshot:
        assert self._incremental is not None
        return self._incremental

    async def _signalled(self, decoder: StreamDecoder, catalog: Catalog) -> None:
        """A row of the signal table has come by the stream."""
        signal, decoder.signal = decoder.signal, None
        assert signal is not None
        if signal.type in (OPEN, CLOSE):
            if self._snapshots.active:
                decoder.observe(self._snapshots.observe)
            self._publish(decoder, await self._snapshots.watermark(signal))
        elif "source" in self.settings.signal_channels:
            await self._obey(signal, catalog, decoder)

    async def _take_signals(self, decoder: StreamDecoder) -> None:
        """What came by other channels. It is in the offset before the next one is looked at."""
        waiting = self._context.signals
        while not waiting.empty():
            signal = waiting.get_nowait()
            async with await connect(self._connection) as sql:
                await self._obey(signal, Catalog(sql), decoder)
            border = max(decoder.last_commit or 0, decoder.idle_lsn)
            if border:
                await self._store(decoder.offsets.at(border))
            waiting.task_done()

    async def _obey(self, signal: Signal, catalog: Catalog, decoder: StreamDecoder) -> None:
        """Carry out what a signal says; one that is malformed is told and passed over, as Debezium does."""
        snapshots = self._snapshots
        try:
            match signal.type:
                case "execute-snapshot":
                    request = snapshot_request(signal)
                    if request.blocking:
                        self._requests.append(request)
                    else:
                        await snapshots.execute(request, await self._captured(catalog))
                case "stop-snapshot":
                    snapshots.stop(stopped_collections(signal))
                case "pause-snapshot":
                    snapshots.pause()
                case "resume-snapshot":
                    snapshots.resume()
                case "log":
                    log.info(log_message(signal).replace("{}", str(decoder.offsets.at(decoder.last_commit or 0))))
                case _:
                    log.warning("a signal of unknown type is ignored", id=signal.id, type=signal.type, known=", ".join(KNOWN))
        except SignalError as error:
            log.warning(str(error))

    async def _captured(self, catalog: Catalog) -> list[str]:
        return [f"{t.schema}.{t.name}" for t in await catalog.tables() if self._captures(t.schema, t.name)]

    def _publish(self, decoder: StreamDecoder, ready: Ready | None) -> None:
        if ready is not None:
            self._progress.rows_total += len(ready.rows)
            decoder.insert_rows(ready.templates, ready.rows, ready.table, ready.base, time.time_ns())

    async def _blocking(
        self, sql: psycopg.AsyncConnection, decoder: StreamDecoder, catalog: Catalog, rest: list[bytes], request: SnapshotRequest
    ) -> AsyncGenerator[Batch, None]:
        """The stream waits while the tables are read at one point of it; then it goes on from there (rule 7)."""
        writer = decoder.offsets
        tables = expand(request.collections, await self._captured(catalog))
        assert self._identity is not None
        only = {t: request.condition(t) for t in tables}
        state = SnapshotState(self.settings.slot, self._identity.system_id, self._identity.timeline, only=only)
        log.info("blocking snapshot requested", signal=request.id, tables=tables)
        writer.snapshot = state
        await self._store(writer.at(max(decoder.last_commit or 0, decoder.idle_lsn)))
        try:
            async with aclosing(self._catch_up_and_snapshot(sql, decoder, catalog, writer, state, rest)) as batches:
                async for batch in batches:
                    yield batch
        except ConnectionLost:
            raise  # it goes on after the reconnect, as the offset says
        except PycdcError as error:
            log.error("the blocking snapshot failed; streaming goes on", signal=request.id, cause=error.cause or str(error), hint=error.hint)
            self._notifier.initial(told.ABORTED)
            decoder.stop_at, decoder.stopped = None, False
        writer.snapshot = None
        self._progress.phase = "streaming"

    async def _learn(self, decoder: StreamDecoder, catalog: Catalog) -> None:
        relation = decoder.unknown
        assert relation is not None
        # a table without columns has rows, but nothing to tell of them
        if not relation.columns or not self._captures(relation.schema, relation.name):
            decoder.know(None)
            return
        known = (await catalog.load([relation.oid])).get(relation.oid)
        types = await catalog.types([c.type_oid for c in relation.columns])
        decoder.know(merge(relation, known, types))

    async def _heartbeat_query(self, sql: psycopg.AsyncConnection) -> None:
        if self.settings.heartbeat_query:
            try:
                await sql.execute(self.settings.heartbeat_query.encode())
            except psycopg.Error as error:
                fault = translate(error, self._connection, "heartbeat.action.query failed")
                if fault.retriable or error.sqlstate in ("57P01", "42P01"):
                    raise fault from error
                log.warning("heartbeat.action.query failed", cause=fault.cause)

    async def _fetch_xmin(self, decoder: StreamDecoder, sql: psycopg.AsyncConnection) -> None:
        row = await (
            await sql.execute(
                "SELECT catalog_xmin::text::bigint FROM pg_replication_slots WHERE slot_name = %s", [self.settings.slot]
            )
        ).fetchone()
        decoder.xmin = b"%d" % row[0] if row is not None and row[0] is not None else None


def _joined(first: Batch, second: Batch) -> Batch:
    return Batch(
        first.runs + second.runs, second.offset or first.offset, 0, first.size + second.size,
        max(first.source_ts_us, second.source_ts_us),
    )  # fmt: skip


