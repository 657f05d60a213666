"""What rows say of progress: the number and the moment in their tracking columns.

Only the ends of batches are looked at; rows come in the order of these columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pycdc.errors import ServerError
from pycdc.model.template import Row
from pycdc.sources.jdbc.faults import TrackingFault
from pycdc.sources.jdbc.results import ResultColumn, Shape
from pycdc.sources.jdbc.statements import Stamps
from pycdc.sources.jdbc.times import ValueSettings, WallClock, utc_us, wall_us

_WHOLE: Final = ("int2", "int4", "int8", "oid")
_MOST: Final = (1 << 63) - 1
#: The properties that name the columns.
NUMBER_KEY: Final = "incrementing.column.name"
STAMP_KEY: Final = "timestamp.column.name"


class Tracker:
    """Of one shape. Raises TrackingFault for a column that is missing or of another type."""

    def __init__(self, shape: Shape, number: str | None, stamps: Sequence[str], values: ValueSettings) -> None:
        self._where = shape.schema_name or shape.topic
        #: The tracking columns, as the database writes them.
        self.number: str | None = None
        self.stamps: Stamps | None = None
        #: Where the number is.
        self.number_at = -1
        self._stamps_at: list[int] = []
        #: Tracking columns whose NULL hides a row: of several timestamps none, unless all may be NULL.
        self.nullable: tuple[str, ...] = ()
        if number is not None:
            self.number_at = self._at(shape, number, NUMBER_KEY)
            column = shape.columns[self.number_at]
            self._must_be_whole(column)
            self.number = column.name
            if column.nullable:
                self.nullable = (column.name,)
        if stamps:
            self._stamps_at = [self._at(shape, column, STAMP_KEY) for column in stamps]
            columns = [shape.columns[i] for i in self._stamps_at]
            self._must_be_moments(columns)
            if all(c.nullable for c in columns):
                self.nullable += tuple(c.name for c in columns)
            zoned = columns[0].type_name == "timestamptz"
            clock = None if zoned else WallClock(values.zone)
            self.stamps = Stamps(tuple(c.name for c in columns), clock)
            self._moment: Callable[[bytes], int] = utc_us if clock is None else lambda text: _moment(clock, text)

    def _at(self, shape: Shape, column: str, key: str) -> int:
        index = shape.index(column)
        if index is None:
            raise TrackingFault(
                key, f"the column {column} is not there", where=self._where, cause=f"columns: {', '.join(c.name for c in shape.columns)}",
                hint=f"mend {key}, or leave the table out by table.blacklist",
            )  # fmt: skip
        return index

    def _must_be_whole(self, column: ResultColumn) -> None:
        whole = column.type_name in _WHOLE or (column.type_name == "numeric" and column.typmod >= 4 and not (column.typmod - 4) & 0x7FF)
        if not whole:
            raise TrackingFault(
                NUMBER_KEY, f"the incrementing column {column.name} is no whole number", where=self._where, cause=f"it is {column.type_name}",
                hint="incrementing.column.name needs smallint, integer, bigint or numeric(n)",
            )  # fmt: skip

    def _must_be_moments(self, columns: Sequence[ResultColumn]) -> None:
        for column in columns:
            if column.type_name not in ("timestamp", "timestamptz"):
                raise TrackingFault(
                    STAMP_KEY, f"the timestamp column {column.name} is no timestamp", where=self._where, cause=f"it is {column.type_name}",
                    hint="timestamp.column.name needs timestamp or timestamptz",
                )  # fmt: skip
        if len({c.type_name for c in columns}) > 1:
            raise TrackingFault(
                STAMP_KEY, "the timestamp columns are of two types", where=self._where, cause=", ".join(f"{c.name} {c.type_name}" for c in columns),
                hint="name columns that are all timestamp, or all timestamptz",
            )  # fmt: skip

    def number_of(self, row: Row) -> int | None:
        """Raises ServerError for one that the offset cannot hold."""
        if self.number_at < 0:
            return None
        text = row[self.number_at]
        assert text is not None  # the query's condition is never true for NULL
        number = int(text)
        if number > _MOST:
            raise ServerError("a number of the incrementing column does not fit into 64 bits", where=self._where, cause=self.number or "")
        return number

    def stamp_of(self, row: Row) -> int | None:
        """Microseconds since 1970."""
        for at in self._stamps_at:
            text = row[at]
            if text is not None:
                return self._moment(text)
        return None


def _moment(clock: WallClock, text: bytes) -> int:
    wall = wall_us(text)
    return wall - clock.offset(wall)
