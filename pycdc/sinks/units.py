"""Of which unit a temporal number is.

A schema says it. Without one the source's time.precision.mode says it; its default, adaptive, writes milliseconds
for timestamps of up to three digits and microseconds for others, and a column of the target cannot tell which of
the two the source has. There a number that would be beyond the year 2299 in the smaller unit settles it, for the
whole column and for good; PostgreSQL's own default, six digits, is seen so at the first row of our days.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pycdc.config.definition import Property, one_of

#: In nanoseconds.
NANOSECOND: Final = 1
MICROSECOND: Final = 1000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000

#: Of the types that say it: moments, and times of day.
MOMENTS: Final = {
    "io.debezium.time.Timestamp": MILLISECOND, "org.apache.kafka.connect.data.Timestamp": MILLISECOND,
    "io.debezium.time.MicroTimestamp": MICROSECOND, "io.debezium.time.NanoTimestamp": NANOSECOND,
}  # fmt: skip
TIMES: Final = {
    "io.debezium.time.Time": MILLISECOND, "org.apache.kafka.connect.data.Time": MILLISECOND,
    "io.debezium.time.MicroTime": MICROSECOND, "io.debezium.time.NanoTime": NANOSECOND,
}  # fmt: skip
_SAID: Final = {"connect": MILLISECOND, "microseconds": MICROSECOND, "nanoseconds": NANOSECOND}
#: Nanoseconds from 1970 to where no row of our days is, and of a day with its 24:00.
_LAST_MOMENT: Final = 10_413_792_000 * SECOND
_DAY: Final = 86_400 * SECOND
#: What Debezium writes for infinity in milliseconds; it must not be taken for microseconds of the year 2262.
_INFINITE: Final = frozenset((9_223_372_036_825_200, -9_223_372_036_832_400))


def time_precision_mode() -> Property[str]:
    """The setting of every sink."""
    return Property[str](
        "time.precision.mode", one_of("adaptive", "adaptive_time_microseconds", "connect", "microseconds", "nanoseconds", "isostring"), default="adaptive",
        doc="That of the source, for temporal numbers of records without schemas.",
    )  # fmt: skip


class Units:
    """What one column's numbers have shown so far."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._seen = MILLISECOND

    def of_moments(self, values: Sequence[int], precision: int) -> int:
        """Nanoseconds of one unit of these timestamps, for a column of `precision` digits."""
        return self._unit(values, MILLISECOND if precision <= 3 else MICROSECOND, _LAST_MOMENT)

    def of_times(self, values: Sequence[int], precision: int) -> int:
        """The same of times of day, which adaptive_time_microseconds never writes in milliseconds."""
        micro = precision > 3 or self._mode == "adaptive_time_microseconds"
        return self._unit(values, MICROSECOND if micro else MILLISECOND, _DAY)

    def _unit(self, values: Sequence[int], largest: int, limit: int) -> int:
        if self._mode in _SAID:
            return _SAID[self._mode]
        if MICROSECOND in (largest, self._seen):
            return MICROSECOND
        if any(abs(v) * MILLISECOND > limit and v not in _INFINITE for v in values):
            self._seen = MICROSECOND
        return self._seen


class ColumnUnits(dict[tuple[str, str], Units]):
    """By table and column."""

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def __missing__(self, place: tuple[str, str]) -> Units:
        made = self[place] = Units(self._mode)
        return made
