"""Rows that are committed late, where no row tells who wrote it.

By number: those that were missing below the position are asked for again at each poll (`missing`). By timestamp nothing below
the position is looked for: rows wait for the transactions and statements that may still write older ones (`session.now`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pycdc.sources.jdbc.config import INCREMENTING, JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Row, Session
from pycdc.sources.jdbc.mysql.missing import Missing
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.plans import Plan
from pycdc.sources.jdbc.tables import TableId

#: With more ranges than this one look through the window is cheaper than so many looks into the index.
_MOST_RANGES: Final = 500
#: What a memory begins with, so that it is not taken for another dialect's.
_MARK: Final = "missing:"


class LateRows:
    """dialect.Late for one table or query."""

    def __init__(self, source: TableId | str, settings: JdbcSourceConfig) -> None:
        self._window = settings.lookback_ids if settings.mode == INCREMENTING and isinstance(source, TableId) else 0
        self._missing: Missing | None = None
        self._waits = bool(settings.lookback_ms)

    async def look(self, session: Session, plan: Plan, position: Position, tell: Callable[..., None]) -> None:
        """The first one takes up the memory of the stored position."""
        if self._missing is not None or not self._window:
            return
        if position.number is None:
            self._missing = Missing(self._window, 0)  # AUTO_INCREMENT begins at 1
            return
        self._missing = Missing(self._window, position.number)
        if position.snapshot is not None and position.snapshot.startswith(_MARK):
            try:
                self._missing = Missing.of(position.snapshot.removeprefix(_MARK), self._window, position.number)
            except ValueError:
                tell("what was missing below the stored position cannot be read; late rows are looked for above it only")

    def query(self, plan: Plan, position: Position) -> str | None:
        if self._missing is None or not self._missing.ranges:
            return None
        return _statement(plan, self._missing.ranges)

    def unseen(self, plan: Plan, rows: list[Row]) -> list[Row]:
        missing, number = self._missing, plan.tracker.number_of
        assert missing is not None
        return [row for row in rows if missing.is_missing(number(row) or 0)]

    def remember(self, plan: Plan, rows: list[Row]) -> None:
        if self._missing is not None:
            at = plan.tracker.number_at
            self._missing.seen([int(row[at] or 0) for row in rows])

    def memory(self) -> str | None:
        return None if self._missing is None else _MARK + self._missing.text()

    def settled(self, stored: str | None) -> bool:
        """What is missing is given up only as rows come, whose positions say so."""
        return False

    async def shown(self, session: Session, plan: Plan) -> str | None:
        if self._window:
            return f"{_statement(plan, [(2, 2), (5, 7)])} -- rows that were committed late"
        if plan.tracker.stamps is None or not self._waits:
            return None
        notes = (await session.now()).notes
        if notes:
            return f"-- {'; '.join('; '.join(note) for note in notes)}"
        return "-- rows wait for the transactions that may still write older timestamps (INNODB_TRX)"


def _statement(plan: Plan, ranges: Sequence[tuple[int, int]]) -> str:
    """The rows of these numbers; of many ranges all between, of which the caller takes its own."""
    number = plan.statements.id
    if len(ranges) > _MOST_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    within = " OR ".join(f"{number} = {a}" if a == b else f"{number} BETWEEN {a} AND {b}" for a, b in ranges)
    return f"{plan.statements.base} WHERE {within} ORDER BY {number} ASC"
