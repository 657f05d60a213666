"""When snapshots are taken and at which point: of a new slot, beside a slot that exists, without one, on demand.

The rules are 6 to 8 of docs/guarantees.md. What the rows look like and how they are read is `snapshot`'s.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Final

import psycopg
import structlog

from pycdc.debezium import notifications as told
from pycdc.debezium.offsets import OffsetWriter, SnapshotState
from pycdc.debezium.signals import SnapshotRequest, expand
from pycdc.errors import ConnectionLost, PycdcError, SnapshotError
from pycdc.model.lsn import format_lsn
from pycdc.model.table import Table
from pycdc.plugins.contracts import Batch
from pycdc.postgres.catalog import Catalog
from pycdc.postgres.copy import snapshot_transaction
from pycdc.postgres.replication import ReplicationConnection
from pycdc.postgres.session import quote_name, translate
from pycdc.sources.postgres import setup
from pycdc.sources.postgres.session import Session
from pycdc.sources.postgres.snapshot import Snapshot, snapshot_facts
from pycdc.sources.postgres.streaming import Streaming

log = structlog.get_logger(__name__)

#: How long the slot of rule 7 may wait for transactions that were open before it, seconds; then the error names them.
_CREATION_LIMIT: Final = 300.0


class Snapshots:
    """Takes the snapshots of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: One was taken to its end.
        self.taken = False

    # ---- the occasions

    async def without_slot(self) -> AsyncGenerator[Batch, None]:
        """snapshot.mode=initial_only: no slot, no publication, one consistent read. Begins again from nothing when cut."""
        query = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, system_identifier::text FROM pg_control_system()"
        row = await (await self._session.sql.execute(query)).fetchone()
        if row is None:
            raise SnapshotError(cause="the server gave no position")
        state = SnapshotState("", str(row[1]), 0)
        async with aclosing(self.at_point(OffsetWriter(), state, int(row[0]), "", first=True)) as batches:
            async for batch in batches:
                yield batch

    async def beside(self, streaming: Streaming, state: SnapshotState) -> AsyncGenerator[Batch, None]:
        """Rule 7. (a) Stream to about the end of WAL; (b) a temporary slot gives point C1 and snapshot X1; (c) stream
        what committed before C1; (d) read at X1.

        Nothing is streamed during (b): a change committed behind C1 would be published before the older row of X1.
        """
        session, decoder = self._session, streaming.decoder
        row = await (await session.sql.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")).fetchone()
        target = int(row[0]) if row is not None else 0
        session.progress.phase = "catching up"
        async with aclosing(streaming.until(lambda: streaming.position >= target)) as batches:
            async for batch in batches:
                yield batch
        other = await ReplicationConnection.connect(session.connection)
        try:
            # A name of its own each time: after a kill the server may still hold the one before.
            name = f"{session.settings.slot[:48]}_tmp_{secrets.token_hex(4)}"
            created = await other.create_slot(name, temporary=True, time_limit=_CREATION_LIMIT, observer=session.sql)
            decoder.stop_at = created.consistent_point
            if decoder.idle_lsn >= created.consistent_point and not decoder.in_transaction:
                decoder.stopped = True
            async with aclosing(streaming.until(lambda: decoder.stopped)) as batches:
                async for batch in batches:
                    yield batch
            decoder.stop_at, decoder.stopped = None, False
            reading = self.at_point(
                decoder.offsets, state, created.consistent_point, created.snapshot or "", last_commit=decoder.last_commit
            )
            async with aclosing(reading) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await other.close()

    async def blocking(self, streaming: Streaming, request: SnapshotRequest) -> AsyncGenerator[Batch, None]:
        """On demand: the stream waits while the tables are read at one point of it; then it goes on from there."""
        session, decoder = self._session, streaming.decoder
        identity = session.identity
        assert identity is not None
        tables = expand(request.collections, await session.captured())
        only = {t: request.condition(t) for t in tables}
        state = SnapshotState(session.settings.slot, identity.system_id, identity.timeline, only=only)
        log.info("blocking snapshot requested", signal=request.id, tables=tables)
        decoder.offsets.snapshot = state
        await session.store(decoder.offsets.at(streaming.position))
        try:
            async with aclosing(self.beside(streaming, state)) as batches:
                async for batch in batches:
                    yield batch
        except ConnectionLost:
            raise  # it goes on after the reconnect, as the offset says
        except PycdcError as error:
            log.error(
                "the blocking snapshot failed; streaming goes on", signal=request.id, cause=error.cause or str(error), hint=error.hint
            )
            session.notifier.initial(told.ABORTED)
            decoder.stop_at, decoder.stopped = None, False
        decoder.offsets.snapshot = None

    # ---- reading at one point

    async def at_point(
        self, writer: OffsetWriter, state: SnapshotState, lsn: int, name: str, *, first: bool = False, last_commit: int | None = None
    ) -> AsyncGenerator[Batch, None]:
        """Read the unfinished tables as of `lsn`; `name` is the exported snapshot, whose exporter stays idle.

        `first`: no offset is stored yet. `last_commit` is where the stream stands, on demand.
        """
        session = self._session
        if session.settings.snapshot_delay:
            await asyncio.sleep(session.settings.snapshot_delay / 1000)
        async with AsyncExitStack() as stack:
            readers = [await self._reader(stack, name or None)]
            conn = readers[0]
            try:
                xid, ts_us = await snapshot_facts(conn)
                session.notifier.initial(told.STARTED)
                tables = await self._tables(Catalog(conn, session.labels), state)
                readers += await self._more_readers(stack, conn, name)
                await self._lock(conn, tables)
                if state.only is not None:
                    xid = writer.last_xid or xid  # as Debezium shows it: nothing but the stream moves on
                offset = writer.snapshot_start(lsn, xid, ts_us, state)
                if first:
                    # On a slot that existed, events before `lsn` may be in flight: their batches carry the offset.
                    await session.store(offset)
                log.info("snapshot started", tables=len(tables), lsn=format_lsn(lsn), finished=len(state.tables), readers=len(readers))
                snapshot = Snapshot(
                    readers, tables, session.events, writer, session.progress, session.notifier, lsn=lsn,
                    last_commit=last_commit if state.only is not None else None, xid=xid, ts_us=ts_us,
                    parts_per_table=setup.parts_per_table(session.settings), overrides=lambda table: self._override(table, state),
                )  # fmt: skip
                session.progress.began, session.progress.ended = time.monotonic(), ""
                async with aclosing(snapshot.batches()) as batches:
                    async for batch in batches:
                        session.progress.seconds = time.monotonic() - session.progress.began
                        yield batch
            except psycopg.Error as error:
                session.progress.ended = "aborted"
                raise translate(error, session.connection, "the snapshot failed") from error
        self.taken, session.progress.ended = True, "completed"
        session.notifier.initial(told.COMPLETED)
        log.info("snapshot completed", rows=session.progress.rows_total, seconds=round(session.progress.seconds, 1))

    async def _reader(self, stack: AsyncExitStack, exported: str | None) -> psycopg.AsyncConnection:
        """A connection inside the snapshot's transaction; it is closed with `stack`."""
        session = self._session
        conn = await session.another()
        stack.push_async_callback(conn.close)
        isolation = session.settings.snapshot_isolation.replace("_", " ").upper()
        await snapshot_transaction(conn, exported, isolation, session.connection)
        return conn

    async def _more_readers(self, stack: AsyncExitStack, first: psycopg.AsyncConnection, name: str) -> list[psycopg.AsyncConnection]:
        """Those of snapshot.max.threads beyond the first, which see what it sees."""
        more = self._session.settings.snapshot_threads - 1
        if not more:
            return []
        if not name:
            row = await (await first.execute("SELECT pg_export_snapshot()")).fetchone()
            assert row is not None
            name = str(row[0])
        return [await self._reader(stack, name) for _ in range(more)]

    async def _tables(self, catalog: Catalog, state: SnapshotState) -> list[Table]:
        """What is to be read, by schema and name as the server sorts bytes."""
        include = self._session.settings.snapshot_include

        def wanted(name: str) -> bool:
            if state.only is not None:
                return name in state.only and name not in state.tables
            return (not include or include.matches(name)) and name not in state.tables

        names = [
            t for t in await catalog.tables() if self._session.captures(t.schema, t.name) and wanted(f"{t.schema}.{t.name}")
        ]
        order = self._session.settings.snapshot_order
        if order != "disabled":
            counts = await catalog.row_estimates([t.oid for t in names])
            names.sort(key=lambda t: counts.get(t.oid, 0), reverse=order == "descending")
        loaded = await catalog.load([t.oid for t in names])
        return [loaded[t.oid] for t in names if t.oid in loaded and loaded[t.oid].columns]

    def _override(self, table: Table, state: SnapshotState) -> str | None:
        """A SELECT that takes the table's place."""
        settings = self._session.settings
        if state.only is not None and state.only.get(table.id):
            return state.only[table.id]
        if not settings.snapshot_overrides.matches(table.id):
            return None
        return settings.raw.get(f"snapshot.select.statement.overrides.{table.id}")

    async def _lock(self, conn: psycopg.AsyncConnection, tables: Sequence[Table]) -> None:
        settings = self._session.settings
        if settings.snapshot_locking != "shared" or not tables:
            return
        await conn.execute(f"SET lock_timeout = {settings.snapshot_lock_timeout}".encode())
        names = ", ".join(f"{quote_name(t.schema)}.{quote_name(t.name)}" for t in tables)
        await conn.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())
