"""Rows at or below the position whose writer a former snapshot does not show, told by their xmin.

A row's xmin has 32 bits; the newest number given out completes it, since no row that can be seen is of a later one
(PostgreSQL docs, "Transactions and Identifiers"). The memory is the snapshot of the poll that handed out what lies below the
position, as txid_current_snapshot() prints it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from pycdc.postgres.session import quote_literal
from pycdc.sources.jdbc.config import BULK, JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Row, Session
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.plans import Plan
from pycdc.sources.jdbc.statements import Statements
from pycdc.sources.jdbc.tables import TableId

#: The first number that a transaction can have; rows of lower ones were there before all.
_FIRST_XID: Final = 3
_NEWEST: Final = "pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"
_XMIN: Final = "xmin::text::bigint"
#: The number of the transaction that wrote the row, in 64 bits.
_WRITER: Final = f"({_NEWEST} - (({_NEWEST} - {_XMIN}) & 4294967295))"
_SNAPSHOT: Final = re.compile(r"\d+:\d+:[\d,]*")
#: A position that shows what the statement is like.
_SOME: Final = Position(0, 0, "3:3:")


class LateRows:
    """dialect.Late for one table or query."""

    def __init__(self, source: TableId | str, settings: JdbcSourceConfig) -> None:
        self._source = source
        self._settings = settings
        #: Numbers handed out last, as texts; the newest ones are all that are looked at for late rows.
        self._seen: deque[bytes | None] = deque(maxlen=2 * settings.lookback_ids)
        self._snapshot: str | None = None

    async def look(self, session: Session, plan: Plan, position: Position, tell: Callable[..., None]) -> None:
        """The poll's snapshot; None on a standby, whose snapshots do not tell who is at work."""
        self._snapshot = None
        if self._settings.mode == BULK or not plan.finds_late:
            return
        standby, text = await _snapshot_of(session)
        if standby:
            tell("rows that are committed late cannot be found on a standby", hint="read from the primary")
        else:
            self._snapshot = text

    def query(self, plan: Plan, position: Position) -> str | None:
        before = position.snapshot
        if self._snapshot is None or before is None or not _SNAPSHOT.fullmatch(before) or _nothing_since(before, self._snapshot):
            return None
        return self._statement(plan, position)

    def _statement(self, plan: Plan, position: Position) -> str | None:
        s = self._settings
        if isinstance(self._source, str):
            return None
        return late(plan.statements, position, has_number=plan.tracker.number is not None, has_stamp=plan.tracker.stamps is not None, ids=s.lookback_ids, window_us=s.lookback_ms * 1000)

    def unseen(self, plan: Plan, rows: list[Row]) -> list[Row]:
        if plan.tracker.stamps is not None:
            return rows
        known, at = set(self._seen), plan.tracker.number_at
        return [row for row in rows if row[at] not in known]

    def remember(self, plan: Plan, rows: list[Row]) -> None:
        if plan.tracker.stamps is None and self._settings.lookback_ids:
            at = plan.tracker.number_at
            self._seen.extend([row[at] for row in rows])

    def memory(self) -> str | None:
        return self._snapshot

    def settled(self, stored: str | None) -> bool:
        """Those who were at work at the stored one have ended."""
        now = self._snapshot
        return stored is not None and _SNAPSHOT.fullmatch(stored) is not None and not _quiet(stored) and now is not None and _quiet(now)

    async def shown(self, session: Session, plan: Plan) -> str | None:
        query = self._statement(plan, _SOME) if plan.finds_late else None
        return None if query is None else f"{query} -- rows that were committed late"


async def _snapshot_of(session: Session) -> tuple[bool, str]:
    from pycdc.sources.jdbc.postgresql.session import PostgresSession

    assert isinstance(session, PostgresSession)
    return await session.snapshot()


def late(statements: Statements, position: Position, *, has_number: bool, has_stamp: bool, ids: int, window_us: int) -> str | None:
    """None: nothing can tell.

    With numbers alone the answer also holds what was written by transactions that were at work beside the snapshot, seen or
    not: rows of their savepoints cannot be told apart from others in it. The caller knows which it has seen.
    """
    if position.snapshot is None:
        return None
    if not has_stamp:
        if not has_number or position.number is None or not ids:
            return None
        oldest, number = position.snapshot.partition(":")[0], statements.id
        within = f"{number} > {position.number - ids} AND {number} <= {position.number}"
        return f"{statements.base} WHERE {within} AND {_XMIN} >= {_FIRST_XID} AND {_WRITER} >= {oldest} ORDER BY {number} ASC"
    if position.stamp_us is None or not window_us:
        return None
    stamp, low, high = statements.stamp, statements.literal(position.stamp_us - window_us), statements.literal(position.stamp_us)
    within, order = f"{stamp} > {low} AND {stamp} <= {high}", stamp
    if has_number:
        within += f" AND ({stamp} < {high} OR {statements.id} <= {-1 if position.number is None else position.number})"
        order += f",{statements.id}"
    unseen = f"NOT pg_catalog.txid_visible_in_snapshot({_WRITER}, {quote_literal(position.snapshot)}::pg_catalog.txid_snapshot)"
    return f"{statements.base} WHERE {within} AND {_XMIN} >= {_FIRST_XID} AND {unseen} ORDER BY {order} ASC"


def _quiet(snapshot: str) -> bool:
    """Nobody was at work."""
    oldest, newest, _ = snapshot.split(":")
    return oldest == newest


def _nothing_since(before: str, now: str) -> bool:
    """Nobody was at work at the first snapshot, and no transaction has had a number since."""
    return _quiet(before) and before.split(":")[1] == now.split(":")[1]
