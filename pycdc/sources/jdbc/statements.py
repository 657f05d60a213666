"""The SQL of polls, with the position written into it: rows come by COPY, which takes no parameters.

Statements are the original's. Beside them stand those that find what was committed late: rows at or below the position
whose writer a former snapshot does not show. A row's xmin has 32 bits; the newest number given out completes it, since no
row that can be seen is of a later one (PostgreSQL docs, "Transactions and Identifiers").

Source: TimestampIncrementingCriteria of kafka-connect-jdbc 10.9.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pycdc.postgres.session import quote_literal, quote_name
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import WallClock, literal, literal_in

#: The first number that a transaction can have; rows of lower ones were there before all.
_FIRST_XID: Final = 3
_NEWEST: Final = "pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"
_XMIN: Final = "xmin::text::bigint"
#: The number of the transaction that wrote the row, in 64 bits.
_WRITER: Final = f"({_NEWEST} - (({_NEWEST} - {_XMIN}) & 4294967295))"


class Stamps(msgspec.Struct, frozen=True):
    """Columns of which the first that is not NULL counts; `clock` None: they have a zone."""

    columns: tuple[str, ...]
    clock: WallClock | None = None

    def literal(self, moment_us: int) -> str:
        text = literal(moment_us) if self.clock is None else literal_in(self.clock, moment_us)
        return quote_literal(text)


class Statements:
    """Of one table or query. `number` None: nothing grows; `stamps` None: nothing tells a change."""

    def __init__(
        self, source: TableId | str, *, number: str | None = None, stamps: Stamps | None = None, suffix: str = "", quoted: bool = True
    ) -> None:
        self._source = source
        self._number = number
        self._stamps = stamps
        self._suffix = f" {suffix.strip()}" if suffix.strip() else ""
        self._quoted = quoted

    def _name(self, name: str) -> str:
        return quote_name(name) if self._quoted else name

    def _base(self) -> str:
        if isinstance(self._source, str):
            return self._source.strip().rstrip(";")
        schema, table = self._source
        return f"SELECT * FROM {self._name(schema)}.{self._name(table if self._quoted else table.lower())}"

    @property
    def _id(self) -> str:
        assert self._number is not None
        return self._name(self._number)

    @property
    def _stamp(self) -> str:
        assert self._stamps is not None
        names = [self._name(c) for c in self._stamps.columns]
        return names[0] if len(names) == 1 else f"COALESCE({','.join(names)})"

    def everything(self) -> str:
        """Without a condition: what bulk reads, and what is described."""
        return f"{self._base()}{self._suffix}"

    def new(self, position: Position, until_us: int) -> str:
        """Rows above the position; with timestamps, those before `until_us`."""
        after = -1 if position.number is None else position.number
        if self._stamps is None:
            if self._number is None:
                return self.everything()
            return f"{self._base()} WHERE {self._id} > {after} ORDER BY {self._id} ASC{self._suffix}"
        stamp, begin, end = self._stamp, self._stamps.literal(position.stamp_us or 0), self._stamps.literal(until_us)
        if self._number is None:
            return f"{self._base()} WHERE {stamp} > {begin} AND {stamp} < {end} ORDER BY {stamp} ASC{self._suffix}"
        return (
            f"{self._base()} WHERE {stamp} < {end} AND (({stamp} = {begin} AND {self._id} > {after}) OR {stamp} > {begin})"
            f" ORDER BY {stamp},{self._id} ASC{self._suffix}"
        )

    def late(self, position: Position, *, ids: int, window_us: int) -> str | None:
        """Rows at or below the position that its snapshot does not show. None: nothing can tell.

        With numbers alone the answer also holds what was written by transactions that were at work beside it, seen or not:
        rows of their savepoints cannot be told apart from others in a snapshot. The caller knows which it has seen.
        """
        if position.snapshot is None or isinstance(self._source, str):
            return None
        snapshot = quote_literal(position.snapshot)
        if self._stamps is None:
            if self._number is None or position.number is None or not ids:
                return None
            oldest = position.snapshot.partition(":")[0]
            within = f"{self._id} > {position.number - ids} AND {self._id} <= {position.number}"
            return f"{self._base()} WHERE {within} AND {_XMIN} >= {_FIRST_XID} AND {_WRITER} >= {oldest} ORDER BY {self._id} ASC"
        if position.stamp_us is None or not window_us:
            return None
        stamp, low, high = self._stamp, self._stamps.literal(position.stamp_us - window_us), self._stamps.literal(position.stamp_us)
        within, order = f"{stamp} > {low} AND {stamp} <= {high}", stamp
        if self._number is not None:
            within += f" AND ({stamp} < {high} OR {self._id} <= {-1 if position.number is None else position.number})"
            order += f",{self._id}"
        unseen = f"NOT pg_catalog.txid_visible_in_snapshot({_WRITER}, {snapshot}::pg_catalog.txid_snapshot)"
        return f"{self._base()} WHERE {within} AND {_XMIN} >= {_FIRST_XID} AND {unseen} ORDER BY {order} ASC"

    def nulls(self) -> str:
        """One of the rows that no poll finds, because they have no tracking value."""
        columns = [*([self._id] if self._number is not None else ()), *([self._stamp] if self._stamps is not None else ())]
        return f"{self._base()} WHERE {' OR '.join(f'{c} IS NULL' for c in columns)} LIMIT 1"
