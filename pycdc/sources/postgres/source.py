"""PostgresSource: connects, decides where to begin, and reconnects; `snapshots` reads snapshots, `streaming` the slot.

The rules it keeps are those of docs/guarantees.md: IDENTIFY_SYSTEM at every connect (rule 4), publication
before slot (5), the first snapshot's offset before its first row (6), a snapshot on a slot that exists only
through a second slot's exported snapshot (7), the table as the unit of resume (8). It confirms an LSN only
when the runtime says that its offset is stored. A slot or a publication is dropped only when asked.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

import msgspec
import psycopg
import structlog

from pycdc.config.definition import ConfigDef
from pycdc.debezium import notifications as told
from pycdc.debezium.envelope import EventSettings
from pycdc.debezium.offsets import (
    OffsetWriter,
    SnapshotState,
    last_commit,
    position,
    reached,
    snapshot_done,
    snapshot_state,
)
from pycdc.errors import Fault, PycdcError, ServerError, SlotBusy, SlotLost
from pycdc.model.javaregex import NameFilter, split_list
from pycdc.model.lsn import format_lsn
from pycdc.plugins.contracts import Batch, Offset, Progress, SignalChannels, SourceContext
from pycdc.postgres.catalog import TableName
from pycdc.postgres.identity import set_identities
from pycdc.postgres.publication import add_tables_statement, ensure_publication, unpublished
from pycdc.postgres.replication import ReplicationConnection, SystemIdentity
from pycdc.postgres.session import ConnectionSettings, connect, translate
from pycdc.postgres.slot import SlotInfo, drop_slot, end_former_reader, require_covers, require_usable, slot_info
from pycdc.sources.postgres import setup
from pycdc.sources.postgres.config import PostgresSourceConfig
from pycdc.sources.postgres.notifier import Notifier
from pycdc.sources.postgres.session import Session
from pycdc.sources.postgres.snapshots import Snapshots
from pycdc.sources.postgres.streaming import Streaming

log = structlog.get_logger(__name__)

#: First pause before a reconnect; it doubles up to retriable.restart.connector.wait.ms.
_FIRST_PAUSE = 0.1


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
        #: Only the slot's position is sure: the server has another timeline than the offset is from (rule 4), or the
        #: user trusts the slot alone (offset.mismatch.strategy).
        self._promoted = False
        #: The newest commit border handed out; where a reconnect resumes.
        self._offset: Offset | None = None
        self._snapshot_taken = False
        self._told_skipped = False
        self._notifier: Notifier
        self._snapshots: Snapshots
        self._policy = setup.snapshot_policy(settings)
        self._manual = settings.flush_mode == "manual" or not settings.flush_lsn_source

    @classmethod
    async def check_connection(cls, settings: ConfigDef, faults: Sequence[Fault]) -> Mapping[str, str]:
        """plugins.contracts.Checked: Debezium tells whatever is wrong at the host's key."""
        assert isinstance(settings, PostgresSourceConfig)
        why = await setup.connection_fault(settings, faults)
        return {} if why is None else {PostgresSourceConfig.hostname.name: f"Error while validating connector config: {why}"}

    @property
    def partition(self) -> Mapping[str, str]:
        return {"server": self.settings.topic_prefix}

    @property
    def conversion_failure(self) -> str:
        return self.settings.conversion_failure

    @property
    def event_failure(self) -> str:
        return self.settings.event_failure

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
        self._progress.labels = self.settings.metric_tags
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
        if self.settings.slot_drop and self._policy.stream:
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
        sql = await connect(setup.with_time_limit(self._connection, self.settings))
        session = Session(self.settings, self._events, self._connection, self._context, self._notifier, sql, self._store)
        self._snapshots = Snapshots(session)
        try:
            await session.prepare(sql)
            await session.catalog.remember_enums()
            if not self._policy.stream:
                flow = self._initial_only()
            else:
                self._repl = await ReplicationConnection.connect(self._connection)
                session.identity = await self._repl.identify_system()
                self._check_identity(session.identity)
                await self._ensure_publication(session)
                if self.settings.identity_autoset:
                    await self._set_identities(session)
                self._warned = True
                flow = self._from_slot(session)
            async with aclosing(flow) as batches:
                async for batch in batches:
                    yield batch
        except psycopg.Error as error:
            raise translate(error, self._connection, "a query failed") from error
        finally:
            self._snapshot_taken |= self._snapshots.taken
            await sql.close()
            await self._disconnect()

    async def _store(self, offset: Offset) -> None:
        """Make an offset durable that no batch carries; never before what was handed out is acknowledged."""
        await self._context.settle()
        await self._context.store_offset(self.partition, offset)
        self._offset = offset

    async def _initial_only(self) -> AsyncGenerator[Batch, None]:
        done = self._offset is not None and snapshot_done(self._offset)
        if self._policy.data == "never" or (done and self._policy.data == "unfinished"):
            return
        self._offset = None
        async with aclosing(self._snapshots.without_slot()) as batches:
            async for batch in batches:
                yield batch

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

    async def _ensure_publication(self, session: Session) -> None:
        """Rule 5: before the slot, and never recreated."""
        s = self.settings
        operations: list[str] = []
        if s.raw.get("skipped.operations") is not None:
            names = {"c": "insert", "u": "update", "d": "delete", "t": "truncate"}
            operations = [n for op, n in names.items() if op not in s.skipped]
        existing = await session.catalog.tables()
        self._warn_of_unmatched(existing)
        tables = [t for t in existing if session.captures(t.schema, t.name)]
        self._progress.captured = len(tables)
        self._guard(len(tables))
        info = await ensure_publication(
            session.sql, s.publication, s.autocreate, tables,  # type: ignore[arg-type]
            publish=operations, via_partition_root=s.via_root, settings=self._connection,
        )  # fmt: skip
        missing = [] if s.autocreate == "no_tables" else await unpublished(session.sql, info, tables)
        if missing:
            self._tell_unpublished(missing)

    def _guard(self, count: int) -> None:
        """guardrail.collections.max."""
        s = self.settings
        if not s.guardrail or count <= s.guardrail:
            return
        if s.guardrail_action == "fail":
            raise ServerError(
                f"{count} tables would be captured, more than guardrail.collections.max={s.guardrail}", where=self._connection.where,
                hint="narrow table.include.list, or raise the limit",
            )  # fmt: skip
        if not self._warned:
            log.warning("more tables are captured than guardrail.collections.max", tables=count, limit=s.guardrail)

    async def _set_identities(self, session: Session) -> None:
        """replica.identity.autoset.values."""
        named = [
            t.oid for t in await session.catalog.tables()
            if session.captures(t.schema, t.name) and self.settings.identity_autoset.value(f"{t.schema}.{t.name}")
        ]  # fmt: skip
        tables = await session.catalog.load(named)
        await set_identities(session.sql, self.settings.identity_autoset, list(tables.values()), self._connection)

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

    # ---- where to begin

    async def _from_slot(self, session: Session) -> AsyncGenerator[Batch, None]:
        s, offset, sql, policy = self.settings, self._offset, session.sql, self._policy
        slot = await slot_info(sql, s.slot)
        done = offset is not None and snapshot_done(offset)
        lost = False
        if slot is not None and slot.lost:
            if not policy.when_lost:
                require_usable(slot, s.slot, s.dbname)  # raises
            log.warning("the slot lost WAL; dropping it and taking a new snapshot", slot=s.slot, cause=slot.lost)
            await drop_slot(sql, s.slot)
            slot, offset, done, lost = None, None, False, True
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
        elif offset is not None and not policy.when_lost and policy.data != "always":
            require_usable(None, s.slot, s.dbname)  # raises
        seen = reached(offset) if offset is not None else None
        if slot is not None and seen is not None and seen < (slot.confirmed_flush_lsn or 0):
            if s.mismatch in ("trust_slot", "trust_greater_lsn"):
                log.warning(
                    "the slot is ahead of the stored offset; going on from the slot, what lies between is not delivered",
                    slot=s.slot, offset=format_lsn(seen), confirmed=format_lsn(slot.confirmed_flush_lsn or 0), strategy=s.mismatch,
                )  # fmt: skip
                self._promoted = True
            elif policy.when_lost:
                log.warning("the slot is ahead of the stored offset; taking a new snapshot", slot=s.slot)
                offset, done, lost = None, False, True
            else:
                require_covers(slot, seen)  # raises
        elif slot is not None and s.mismatch == "trust_slot" and seen is not None and seen > (slot.confirmed_flush_lsn or seen):
            log.info("offset.mismatch.strategy=trust_slot: reading again from the slot's position", slot=s.slot)
            self._promoted = True
        if slot is None:
            # Nothing continues: a new slot begins where its snapshot is. The offset is forgotten here as well, or
            # the snapshot's first rows would go out before an offset that says so (rule 6).
            lost |= offset is not None and policy.when_lost
            self._offset, offset, done = None, None, False
        unfinished = snapshot_state(offset) if offset is not None and not done else None
        blocking = unfinished is not None and unfinished.only is not None
        due = {"never": False, "unfinished": not done, "always": not done or not self._snapshot_taken}
        wanted = blocking or lost or due[policy.data]
        if not wanted and not self._told_skipped:
            self._told_skipped = True
            self._notifier.initial(told.SKIPPED)
            self._progress.ended = "skipped"
        flow = (
            self._new_slot(session, snapshot=wanted)
            if slot is None
            else self._existing_slot(session, slot, offset, snapshot=wanted)
        )
        async with aclosing(flow) as batches:
            async for batch in batches:
                yield batch

    async def _new_slot(self, session: Session, *, snapshot: bool) -> AsyncGenerator[Batch, None]:
        """Rule 6: the slot's own exported snapshot is the state that the stream continues."""
        created = await self._connected.create_slot(
            self.settings.slot, failover=self.settings.slot_failover, export_snapshot=snapshot,
            time_limit=self.settings.creation_timeout or None, observer=session.sql,
        )  # fmt: skip
        log.info("slot created", slot=self.settings.slot, lsn=format_lsn(created.consistent_point))
        writer = OffsetWriter()
        if snapshot:
            reading = self._snapshots.at_point(
                writer, self._new_state(session), created.consistent_point, created.snapshot or "", first=True
            )
            async with aclosing(reading) as batches:
                async for batch in batches:
                    yield batch
        await self._attach(created.consistent_point)
        streaming = Streaming(session, self._connected, writer, created.consistent_point, None)
        async with aclosing(self._stream(streaming, None)) as batches:
            async for batch in batches:
                yield batch

    def _new_state(self, session: Session) -> SnapshotState:
        assert session.identity is not None
        return SnapshotState(self.settings.slot, session.identity.system_id, session.identity.timeline)

    async def _existing_slot(
        self, session: Session, slot: SlotInfo, offset: Offset | None, *, snapshot: bool
    ) -> AsyncGenerator[Batch, None]:
        """Go on from the stored offset, or from the slot's position; a snapshot by rule 7."""
        assert session.identity is not None
        unfinished = offset if offset is not None and not snapshot_done(offset) else None
        state = snapshot_state(unfinished) if unfinished is not None else None
        start = (position(offset) if offset is not None else None) or slot.confirmed_flush_lsn or 0
        if self._promoted or (unfinished is not None and state is None):
            # A snapshot that Debezium began and did not finish: each of its attempts begins at a newer point, and
            # the slot alone still holds the deletes of rows that an earlier one has published.
            start = slot.confirmed_flush_lsn or 0
        if start > session.identity.wal_end:
            log.warning(
                "the stored offset is beyond the server's WAL; going on from the slot's position",
                offset=format_lsn(start), wal_end=format_lsn(session.identity.wal_end),
            )  # fmt: skip
            start = slot.confirmed_flush_lsn or 0
        writer = OffsetWriter(offset)
        if snapshot:
            state = state or self._new_state(session)
            writer.snapshot = state
            if unfinished is None:
                # before anything is published, so that a crash finds an unfinished snapshot and not a finished one
                await self._store(writer.at(start))
        await self._attach(start)
        resumed = start if last_commit(offset) is not None else None
        streaming = Streaming(session, self._connected, writer, start, resumed)
        async with aclosing(self._stream(streaming, state if snapshot else None)) as batches:
            async for batch in batches:
                yield batch

    async def _stream(self, streaming: Streaming, snapshot: SnapshotState | None) -> AsyncGenerator[Batch, None]:
        """The stream without end, after the snapshot that is still due."""
        try:
            if snapshot is not None:
                async with aclosing(self._snapshots.beside(streaming, snapshot)) as batches:
                    async for batch in batches:
                        yield batch
            async with aclosing(streaming.forever(self._snapshots.blocking)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await streaming.close()

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
                if attempt == 0 and self._context.confirm_owner is not None:
                    await self._context.confirm_owner()
                    await end_former_reader(self._connection, s.slot)
                if attempt == s.slot_retries:
                    error.retriable = False
                    raise
                # the first tries are quick: after a crash the server needs a moment to notice that we died
                pause = min(s.slot_retry_delay / 1000, 0.2 * 2**attempt)
                log.warning("the slot is busy, trying again", slot=s.slot, seconds=pause, cause=error.cause)
                await asyncio.sleep(pause)
        self._connected.status_interval = min(self._connected.status_interval, s.status_interval / 1000)
        log.info("streaming", slot=s.slot, lsn=format_lsn(lsn))
