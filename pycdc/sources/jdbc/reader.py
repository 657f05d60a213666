"""One table or query and its polls: each reads one snapshot, first what was committed late, then what is new.

That order makes every stored position true: all that its snapshot shows at or below it has been handed out. A position
moves past a timestamp only when a later one, or the end, has been seen, because the next poll asks for what is greater.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
import psycopg
import structlog

from pycdc.plugins.contracts import Batch, Run
from pycdc.postgres.copy import copy_rows
from pycdc.postgres.session import ConnectionSettings
from pycdc.sources.jdbc.clock import Now, server_now
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.plans import Plan, name_of, plan_of
from pycdc.sources.jdbc.results import Described, Describer
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.tracking import Tracker

log = structlog.get_logger(__name__)

#: As many rows as are encoded by column while their texts are in the processor's cache (measured).
_ROWS = 500
#: Bytes of a row, for the metric of what was read; the budget that counts is of encoded bytes.
_ROW_BYTES = 128

Row = list[bytes | None]


class TableReader:
    """`source` is a table or a query; `partition` is where its position is stored."""

    def __init__(
        self, source: TableId | str, settings: JdbcSourceConfig, position: Position, partition: dict[str, str], connection: ConnectionSettings
    ) -> None:
        self.source = source
        self.partition = partition
        self._settings = settings
        self._connection = connection
        self._position = position
        #: The snapshot of the position that is stored.
        self._stored = position.snapshot
        self._described: Described | None = None
        #: Numbers handed out last, as texts; the newest ones are all that are looked at for late rows.
        self._seen: deque[bytes | None] = deque(maxlen=2 * settings.lookback_ids)
        self._told: set[str] = set()
        #: When it is due (monotonic).
        self.due = 0.0
        self.rows = 0

    @property
    def name(self) -> str:
        return name_of(self.source)

    async def poll(self, conn: psycopg.AsyncConnection, describer: Describer) -> AsyncGenerator[Batch, None]:
        """What there is now. `conn` is in autocommit. Raises psycopg.Error and PycdcError."""
        s = self._settings
        until = 0
        if s.stamps:
            now = await server_now(conn)
            self._tell_of_the_clock(now)
            if self._position.stamp_us is None and s.timestamp_initial is not None:
                initial = now.now_us if s.timestamp_initial < 0 else s.timestamp_initial * 1000
                self._position = msgspec.structs.replace(self._position, stamp_us=initial)
            until = now.until(delay_us=s.timestamp_delay * 1000, window_us=s.lookback_ms * 1000)
        await conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            snapshot = await self._snapshot(conn)
            plan = await plan_of(conn, describer, self.source, s, self._described)
            self._described = plan.described
            for column in plan.tracker.nullable:
                self._tell("rows that have NULL in a tracking column are never read", column=column)
            if s.mode == "bulk":
                parts = self._all(conn, plan)
            else:
                parts = self._changes(conn, plan, snapshot if plan.finds_late else None, until)
            async with aclosing(parts) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await _end(conn)

    async def _snapshot(self, conn: psycopg.AsyncConnection) -> str | None:
        """The poll's, as text; None on a standby, whose snapshots do not tell who is at work."""
        row = await (await conn.execute("SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.txid_current_snapshot()::text")).fetchone()
        assert row is not None
        standby, text = row
        if standby and self._settings.mode != "bulk":
            self._tell("rows that are committed late cannot be found on a standby", hint="read from the primary")
        return None if standby else str(text)

    # ---- rows

    def _rows(self, conn: psycopg.AsyncConnection, query: str) -> AsyncGenerator[list[Row], None]:
        return copy_rows(conn, query, batch_rows=min(self._settings.batch_rows, _ROWS), settings=self._connection, what=f"cannot read {self.name}")

    def _batch(self, plan: Plan, rows: list[Row]) -> Batch:
        self.rows += len(rows)
        return Batch([Run((plan.described.template,), rows, self.name)], size=_ROW_BYTES * len(rows), partition=self.partition)  # type: ignore[arg-type]

    async def _all(self, conn: psycopg.AsyncConnection, plan: Plan) -> AsyncGenerator[Batch, None]:
        async with aclosing(self._rows(conn, plan.statements.everything())) as pieces:
            async for rows in pieces:
                yield self._batch(plan, rows)

    async def _changes(self, conn: psycopg.AsyncConnection, plan: Plan, snapshot: str | None, until: int) -> AsyncGenerator[Batch, None]:
        async with aclosing(self._late(conn, plan, snapshot)) as late:
            async for batch in late:
                yield batch
        self._position = msgspec.structs.replace(self._position, snapshot=snapshot)
        tracker, ahead = plan.tracker, self._position
        async with aclosing(self._rows(conn, plan.statements.new(self._position, until))) as pieces:
            async for rows in pieces:
                batch = self._batch(plan, rows)
                ahead = Position(tracker.number_of(rows[-1]), tracker.stamp_of(rows[-1]), snapshot)
                self._remember(tracker, rows)
                batch.source_ts_us = ahead.stamp_us or 0
                self._move(batch, tracker, rows, ahead)
                yield batch
        settled = self._stored is not None and not _quiet(self._stored) and snapshot is not None and _quiet(snapshot)
        if ahead != self._position or settled:
            # also without rows, when those who were at work at the stored one have ended: a restart then reads nothing again
            yield self._stored_at(ahead)

    def _move(self, batch: Batch, tracker: Tracker, rows: list[Row], ahead: Position) -> None:
        """The position that holds once this batch is stored."""
        border = len(rows)
        if tracker.number is None:
            # more rows of the last timestamp may follow: up to the one before it
            while border and tracker.stamp_of(rows[border - 1]) == ahead.stamp_us:
                border -= 1
            if not border:
                return
            ahead = Position(None, tracker.stamp_of(rows[border - 1]), ahead.snapshot)
        self._position, batch.offset, batch.border = ahead, ahead.offset(), border
        self._stored = ahead.snapshot

    def _stored_at(self, position: Position) -> Batch:
        """What says no more than that this is the position now."""
        self._position, self._stored = position, position.snapshot
        return Batch([], offset=position.offset(), partition=self.partition)

    # ---- what was committed late

    async def _late(self, conn: psycopg.AsyncConnection, plan: Plan, snapshot: str | None) -> AsyncGenerator[Batch, None]:
        s, before = self._settings, self._position.snapshot
        if snapshot is None or before is None or _nothing_since(before, snapshot):
            return
        query = plan.statements.late(self._position, ids=s.lookback_ids, window_us=s.lookback_ms * 1000)
        if query is None:
            return
        tracker, found = plan.tracker, 0
        known = set(self._seen) if tracker.stamps is None else set()
        async with aclosing(self._rows(conn, query)) as pieces:
            async for read in pieces:
                rows = read if tracker.stamps is not None else [r for r in read if r[tracker.number_at] not in known]
                if rows:
                    found += len(rows)
                    self._remember(tracker, rows)
                    yield self._batch(plan, rows)
        if found:
            log.info("rows were committed late", table=self.name, rows=found)
            yield self._stored_at(msgspec.structs.replace(self._position, snapshot=snapshot))

    def _remember(self, tracker: Tracker, rows: list[Row]) -> None:
        if tracker.stamps is None and self._settings.lookback_ids:
            at = tracker.number_at
            self._seen.extend([row[at] for row in rows])

    # ---- what the user should know, once

    def _tell_of_the_clock(self, now: Now) -> None:
        at = self._position.stamp_us
        if at is not None and now.now_us < at:
            self._tell("the server's clock is behind the position: nothing new is read until it has caught up", seconds=(at - now.now_us) // 1_000_000)
        if self._settings.lookback_ms and not now.sees_all and not now.standby:
            self._tell(
                "other roles' transactions cannot be seen, so rows do not wait for them; late ones are looked for behind the position",
                hint=f'GRANT pg_monitor TO "{self._connection.user}"',
            )  # fmt: skip

    def _tell(self, what: str, **more: object) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning(what, table=self.name, **more)


async def _end(conn: psycopg.AsyncConnection) -> None:
    """The transaction, whatever became of it."""
    try:
        if not conn.closed:
            await conn.execute("ROLLBACK")
    except psycopg.Error:
        await conn.close()


def _quiet(snapshot: str) -> bool:
    """Nobody was at work."""
    oldest, newest, _ = snapshot.split(":")
    return oldest == newest


def _nothing_since(before: str, now: str) -> bool:
    """Nobody was at work at the first snapshot, and no transaction has had a number since."""
    return _quiet(before) and before.split(":")[1] == now.split(":")[1]
