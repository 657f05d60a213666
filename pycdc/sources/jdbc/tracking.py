"""What rows say of progress: the number and the moment in their tracking columns.

Only the ends of batches are looked at; rows come in the order of these columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pycdc.errors import ServerError
from pycdc.model.template import Row
from pycdc.sources.jdbc.dialect import Dialect, Moments, ResultColumn
from pycdc.sources.jdbc.faults import TrackingFault
from pycdc.sources.jdbc.results import Shape
from pycdc.sources.jdbc.statements import Stamps
from pycdc.sources.jdbc.times import ValueSettings

_MOST: Final = (1 << 63) - 1
#: The properties that name the columns.
NUMBER_KEY: Final = "incrementing.column.name"
STAMP_KEY: Final = "timestamp.column.name"


class Tracker:
    """Of one shape. Raises TrackingFault for a column that is missing or of another type."""

    def __init__(self, shape: Shape, dialect: Dialect, number: str | None, stamps: Sequence[str], values: ValueSettings) -> None:
        self._where = shape.schema_name or shape.topic
        self._dialect = dialect
        #: The tracking columns, as the database writes them.
        self.number: str | None = None
        self.stamps: Stamps | None = None
        #: Where the number is.
        self.number_at = -1
        self._stamps_at: list[int] = []
        self._read: list[Callable[[bytes], int]] = []
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
            moments = self._moments(columns, values)
            if all(c.nullable for c in columns):
                self.nullable += tuple(c.name for c in columns)
            self.stamps = Stamps(tuple(c.name for c in columns), moments[0].literal, max(m.step_us for m in moments))
            self._read = [m.read for m in moments]

    def _at(self, shape: Shape, column: str, key: str) -> int:
        index = shape.index(column)
        if index is None:
            raise TrackingFault(
                key, f"the column {column} is not there", where=self._where, cause=f"columns: {', '.join(c.name for c in shape.columns)}",
                hint=f"mend {key}, or leave the table out by table.blacklist",
            )  # fmt: skip
        return index

    def _must_be_whole(self, column: ResultColumn) -> None:
        if not self._dialect.is_whole(column):
            raise TrackingFault(
                NUMBER_KEY, f"the incrementing column {column.name} is no whole number", where=self._where, cause=f"it is {column.type_name}",
                hint=f"incrementing.column.name needs {self._dialect.whole_types}",
            )  # fmt: skip

    def _moments(self, columns: Sequence[ResultColumn], values: ValueSettings) -> list[Moments]:
        found = []
        for column in columns:
            moments = self._dialect.moments(column, values)
            if moments is None:
                raise TrackingFault(
                    STAMP_KEY, f"the timestamp column {column.name} is no timestamp", where=self._where, cause=f"it is {column.type_name}",
                    hint=f"timestamp.column.name needs {self._dialect.moment_types}",
                )  # fmt: skip
            found.append(moments)
        if len({c.type_name for c in columns}) > 1:
            raise TrackingFault(
                STAMP_KEY, "the timestamp columns are of two types", where=self._where, cause=", ".join(f"{c.name} {c.type_name}" for c in columns),
                hint=f"name columns that are all of one type: {self._dialect.moment_types}",
            )  # fmt: skip
        return found

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
        for at, read in zip(self._stamps_at, self._read, strict=True):
            text = row[at]
            if text is not None:
                return read(text)
        return None
