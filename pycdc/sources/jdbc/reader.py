"""One table or query and its polls: each reads one snapshot, first what was committed late, then what is new.

That order makes every stored position true: all that its snapshot shows at or below it has been handed out. A position
moves past a timestamp only when a later one, or the end, has been seen, because the next poll asks for what is greater.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
import structlog

from pycdc.plugins.contracts import Batch, Run
from pycdc.sources.jdbc.clock import Now
from pycdc.sources.jdbc.config import BULK, JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Dialect, Row, Session
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.plans import Plan, name_of, plan_of
from pycdc.sources.jdbc.results import Described
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.tracking import Tracker

log = structlog.get_logger(__name__)

#: As many rows as are encoded by column while their texts are in the processor's cache (measured).
_ROWS = 500
#: Bytes of a row, for the metric of what was read; the budget that counts is of encoded bytes.
_ROW_BYTES = 128


class TableReader:
    """`source` is a table or a query; `partition` is where its position is stored."""

    def __init__(self, source: TableId | str, dialect: Dialect, settings: JdbcSourceConfig, position: Position, partition: dict[str, str]) -> None:
        self.source = source
        self.partition = partition
        self._dialect = dialect
        self._settings = settings
        self._position = position
        #: The memory of the position that is stored.
        self._stored = position.snapshot
        self._late = dialect.late(source, settings)
        self._described: Described | None = None
        self._told: set[str] = set()
        #: When it is due (monotonic).
        self.due = 0.0
        self.rows = 0

    @property
    def name(self) -> str:
        return name_of(self.source)

    async def poll(self, session: Session) -> AsyncGenerator[Batch, None]:
        """What there is now. Raises PycdcError."""
        s = self._settings
        now = await session.now() if s.stamps else None
        if now is not None:
            self._tell_of_the_clock(now)
            if self._position.stamp_us is None and s.timestamp_initial is not None:
                initial = now.now_us if s.timestamp_initial < 0 else s.timestamp_initial * 1000
                self._position = msgspec.structs.replace(self._position, stamp_us=initial)
        await session.begin(self.source)
        try:
            plan = await plan_of(session, self._dialect, self.source, s, self._described)
            self._described = plan.described
            for column in plan.tracker.nullable:
                self._tell("rows that have NULL in a tracking column are never read", column=column)
            if s.mode == BULK:
                parts = self._all(session, plan)
            else:
                parts = self._changes(session, plan, 0 if now is None else self._until(now, plan))
            async with aclosing(parts) as batches:
                async for batch in batches:
                    yield batch
        finally:
            await session.end()

    def _until(self, now: Now, plan: Plan) -> int:
        """Rows from here on wait. A column of whole seconds goes on giving out the second that has begun."""
        s = self._settings
        until = now.until(delay_us=s.timestamp_delay * 1000, window_us=s.lookback_ms * 1000)
        step = plan.tracker.stamps.step_us if plan.tracker.stamps is not None and s.lookback_ms else 1
        return until - until % step

    # ---- rows

    def _rows(self, session: Session, query: str) -> AsyncGenerator[list[Row], None]:
        return session.rows(query, batch_rows=min(self._settings.batch_rows, _ROWS), what=f"cannot read {self.name}")

    def _batch(self, plan: Plan, rows: list[Row]) -> Batch:
        self.rows += len(rows)
        return Batch([Run((plan.described.template,), rows, self.name)], size=_ROW_BYTES * len(rows), partition=self.partition)  # type: ignore[arg-type]

    async def _all(self, session: Session, plan: Plan) -> AsyncGenerator[Batch, None]:
        async with aclosing(self._rows(session, plan.statements.everything())) as pieces:
            async for rows in pieces:
                yield self._batch(plan, rows)

    async def _changes(self, session: Session, plan: Plan, until: int) -> AsyncGenerator[Batch, None]:
        await self._late.look(session, plan, self._position, self._tell)
        async with aclosing(self._came_late(session, plan)) as late:
            async for batch in late:
                yield batch
        self._position = msgspec.structs.replace(self._position, snapshot=self._late.memory())
        tracker, ahead = plan.tracker, self._position
        async with aclosing(self._rows(session, plan.statements.new(self._position, until))) as pieces:
            async for rows in pieces:
                batch = self._batch(plan, rows)
                self._late.remember(plan, rows)
                ahead = Position(tracker.number_of(rows[-1]), tracker.stamp_of(rows[-1]), self._late.memory())
                batch.source_ts_us = ahead.stamp_us or 0
                self._move(batch, tracker, rows, ahead)
                yield batch
        if ahead != self._position or self._late.settled(self._stored):
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

    async def _came_late(self, session: Session, plan: Plan) -> AsyncGenerator[Batch, None]:
        query = self._late.query(plan, self._position)
        if query is None:
            return
        found = 0
        async with aclosing(self._rows(session, query)) as pieces:
            async for read in pieces:
                if rows := self._late.unseen(plan, read):
                    found += len(rows)
                    self._late.remember(plan, rows)
                    yield self._batch(plan, rows)
        if found:
            log.info("rows were committed late", table=self.name, rows=found)
            yield self._stored_at(msgspec.structs.replace(self._position, snapshot=self._late.memory()))

    # ---- what the user should know, once

    def _tell_of_the_clock(self, now: Now) -> None:
        at = self._position.stamp_us
        if at is not None and now.now_us < at:
            self._tell("the server's clock is behind the position: nothing new is read until it has caught up", seconds=(at - now.now_us) // 1_000_000)
        if self._settings.lookback_ms:
            for what, hint in now.notes:
                self._tell(what, hint=hint)

    def _tell(self, what: str, **more: object) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning(what, table=self.name, **more)
