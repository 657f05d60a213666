"""Texts of dates and times -> days and microseconds since 1970, in the proleptic Gregorian calendar.

PostgreSQL prints years beyond 9999 and a suffix ` BC`, which datetime knows not; those go through a regular
expression, all others through caches bounded in size. A stray text raises ValueError, never another error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")

DAY = 86_400_000_000  # microseconds
_EPOCH = date(1970, 1, 1).toordinal()
#: 1582-10-15.
_GREGORIAN = -141_427
_MOMENT = re.compile(
    rb"(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-]\d\d(?::\d\d){0,2})?)?( BC)?"
)


class Moment(NamedTuple):
    """Days since 1970 and microseconds in the day; `offset` in seconds east of UTC, None without one."""

    days: int
    micros: int
    offset: int | None

    @property
    def total(self) -> int:
        """Microseconds since 1970 in UTC."""
        return self.days * DAY + self.micros - (self.offset or 0) * 1_000_000


class Cache(dict[bytes, V], Generic[V]):
    """A function of texts that remembers its last thousands: days repeat in a table, texts do not."""

    #: About 2 MB when full; 45 years of days.
    limit = 16_384

    def __init__(self, make: Callable[[bytes], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: bytes) -> V:
        value = self._make(text)
        if len(self) >= self.limit:
            self.clear()
        self[text] = value
        return value


def plain_day(text: bytes) -> int:
    """`YYYY-MM-DD` of years 1 to 9999 -> days since 1970."""
    if len(text) != 10 or text[4] != 45 or text[7] != 45:  # fromisoformat also reads forms without these hyphens
        raise ValueError("is no date")
    return date.fromisoformat(text.decode()).toordinal() - _EPOCH


def moment(text: bytes, *, ignore_era: bool = False) -> Moment:
    """Any date or timestamp but the infinities. `ignore_era` takes a year BC as that year AD."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("is no date or timestamp in ISO style")
    year, month, day, hour, minute, second, fraction, offset, era = match.groups()
    y = int(year) if era is None or ignore_era else 1 - int(year)
    micros = 0
    if hour is not None:
        seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
        micros = seconds * 1_000_000 + int((fraction or b"0").ljust(6, b"0"))
    return Moment(days_from_civil(y, int(month), int(day)), micros, None if offset is None else offset_seconds(offset))


def hybrid_days(days: int) -> int:
    """A date's days when it is read as java.util.GregorianCalendar does: Julian before 1582-10-15."""
    if days >= _GREGORIAN:
        return days
    year, month, day = civil_from_days(days)
    y = year - (month <= 2)
    return 365 * y + y // 4 + (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 719_471


def shown_days(days: int) -> int:
    """A date's days when java.sql.Date has held it: the ten days that the calendar skipped in 1582 move on by ten."""
    return days + 10 if _GREGORIAN - 10 <= days < _GREGORIAN else days


def offset_seconds(text: bytes) -> int:
    """`+02`, `-15:59` or `+01:02:03` -> seconds east of UTC."""
    parts = [int(p) for p in text[1:].split(b":")]
    seconds = sum(p * unit for p, unit in zip(parts, (3600, 60, 1), strict=False))
    return -seconds if text[:1] == b"-" else seconds


def days_from_civil(year: int, month: int, day: int) -> int:
    """Years begin in March here, so that the leap day is a year's last."""
    y = year - (month <= 2)
    era, yoe = divmod(y, 400)
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    era, doe = divmod(days + 719_468, 146_097)
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + (3 if mp < 10 else -9)
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def iso_date(days: int) -> str:
    """ISO-8601 as Java prints it: `-0043-03-15`, `+20000-01-01`."""
    year, month, day = civil_from_days(days)
    sign = "+" if year > 9999 else "-" if year < 0 else ""
    return f"{sign}{abs(year):04}-{month:02}-{day:02}"


def iso_time(micros: int, digits: int = 0) -> str:
    """`HH:MM:SS` and the fraction: `digits` wide, or when 0 as wide as it needs to be."""
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    text = f"{fraction:06}"
    text = text[:digits] if digits else text.rstrip("0")
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{'.' if text else ''}{text}"


def iso_timestamp(total: int, digits: int = 0) -> str:
    """Microseconds since 1970 -> `...T...Z`."""
    days, micros = divmod(total, DAY)
    return f"{iso_date(days)}T{iso_time(micros, digits)}Z"
