"""Dates and times in Kafka Connect's own forms, and moments as the tracking columns have them.

Texts are those of PostgreSQL's sessions in UTC with DateStyle ISO, or of MySQL's. What has no zone is wall clock in db.timezone; where a clock was set
back the later of two moments is meant, where it was set forward the moment after, as with Java's calendar. Days before
1582-10-15 are shown by the Julian calendar unless date.calendar.system says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from pycdc.debezium.types.calendar import (
    DAY,
    Cache,
    civil_from_days,
    hybrid_days,
    iso_date,
    moment,
    offset_seconds,
    plain_day,
)
from pycdc.model.schema import INT64, STRING, Schema

Read = Callable[[bytes], Any]
#: A schema and how a text becomes its value.
Kind = tuple[Schema, Read]

_CONNECT: Final = "org.apache.kafka.connect.data."
_MINUTE: Final = 60_000_000
#: ` HH:MM:` -> microseconds of the day.
_MINUTES: Final = {b" %02d:%02d:" % divmod(m, 60): m * _MINUTE for m in range(1441)}
#: What the driver makes of the infinities, ms.
_INFINITE: Final = {b"infinity": 9_223_372_036_825_200_000, b"-infinity": -9_223_372_036_832_400_000}
_GREGORIAN: Final = -141_427 * DAY  # 1582-10-15
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # wall clock


class ValueSettings(msgspec.Struct, frozen=True):
    """What decides how values look."""

    numeric: str = "none"
    granularity: str = "connect_logical"
    zone: ZoneInfo = ZoneInfo("UTC")
    legacy: bool = True

    @property
    def utc(self) -> bool:
        return self.zone.key in ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Z", "Zulu")


# ---- wall clock and moments, both in microseconds since 1970


class WallClock:
    """Of one zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[int, int] = {}

    def offset(self, wall_us: int) -> int:
        """Microseconds east of UTC where the clock shows this."""
        minute = wall_us // _MINUTE
        known = self._offsets.get(minute)
        if known is None:
            if len(self._offsets) >= 16_384:
                self._offsets.clear()
            known = self._offsets[minute] = self._look_up(minute)
        return known

    def _look_up(self, minute: int) -> int:
        try:
            wall = _EPOCH + timedelta(minutes=minute)
        except OverflowError:  # years that datetime does not know are in no zone's history
            wall = _EPOCH
        offsets = [wall.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
        return min(offsets) // timedelta(microseconds=1)

    def shown(self, moment_us: int) -> int:
        """What the clock shows at a moment."""
        try:
            at = datetime.fromtimestamp(moment_us // 1_000_000, UTC).astimezone(self._zone)
        except (OverflowError, ValueError, OSError):
            return moment_us
        return moment_us + (at.utcoffset() or timedelta()) // timedelta(microseconds=1)


_DAYS: Final = Cache(lambda text: plain_day(text) * DAY)


def wall_us(text: bytes) -> int:
    """Of a timestamp without zone. Raises ValueError."""
    try:
        return _DAYS[text[:10]] + _MINUTES[text[10:17]] + int(float(text[17:]) * 1e6 + 0.5)
    except (KeyError, ValueError, OverflowError):
        return moment(text).total


def utc_us(text: bytes) -> int:
    """Of a timestamp with zone, printed in UTC. Raises ValueError."""
    return wall_us(text[:-3]) if text[-3:] == b"+00" else moment(text).total


def literal(moment_us: int) -> str:
    """An SQL string for either type of timestamp: the type of the column decides whether the zone counts.

    In UTC; see `literal_in` for columns without zone.
    """
    return _literal(moment_us) + "+00"


def literal_utc(moment_us: int) -> str:
    """The same where the session is in UTC, without zone."""
    return _literal(moment_us)


def literal_in(clock: WallClock, moment_us: int) -> str:
    """The same for a column without zone."""
    return _literal(clock.shown(moment_us))


def _literal(us: int) -> str:
    days, micros = divmod(us, DAY)
    year, month, day = civil_from_days(days)
    seconds, fraction = divmod(micros, 1_000_000)
    era = " BC" if year < 1 else ""
    return f"{year if year > 0 else 1 - year:04}-{month:02}-{day:02} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}{era}"


# ---- the types


def date(settings: ValueSettings) -> Kind:
    def read(text: bytes) -> int:
        days = plain_day(text) if len(text) == 10 else moment(text).days
        return hybrid_days(days) if settings.legacy else days

    return Schema(type="int32", name=_CONNECT + "Date", version=1), Cache(read).__getitem__


def _micros(text: bytes) -> int:
    try:
        return _MINUTES[b" " + text[:6]] + int(float(text[6:]) * 1e6 + 0.5)
    except KeyError:
        raise ValueError("is no time") from None


def _time(read: Read) -> Kind:
    return Schema(type="int32", name=_CONNECT + "Time", version=1), read


def time(settings: ValueSettings) -> Kind:
    if settings.utc:
        return _time(lambda text: _micros(text) // 1000)
    clock = WallClock(settings.zone)

    def read(text: bytes) -> int:
        wall = _micros(text)
        return (wall - clock.offset(wall)) % DAY // 1000

    return _time(read)


def timetz(_: ValueSettings) -> Kind:
    def read(text: bytes) -> int:
        sign = max(text.rfind(b"+"), text.rfind(b"-"))
        return (_micros(text[:sign]) - offset_seconds(text[sign:]) * 1_000_000) % DAY // 1000

    return _time(read)


def timestamp(settings: ValueSettings) -> Kind:
    if settings.utc:
        return _timestamp(settings, wall_us)
    clock = WallClock(settings.zone)

    def read(text: bytes) -> int:
        wall = wall_us(text)
        return wall - clock.offset(wall)

    return _timestamp(settings, read)


def timestamp_utc(settings: ValueSettings) -> Kind:
    """Of a moment that is printed in UTC, without zone."""
    return _timestamp(settings, wall_us)


def timestamptz(settings: ValueSettings) -> Kind:
    return _timestamp(settings, utc_us)


def _timestamp(settings: ValueSettings, of: Callable[[bytes], int]) -> Kind:
    """`of` gives the moment of a text."""
    schema, shape, infinite = _form(settings)

    def read(text: bytes) -> Any:
        if text in _INFINITE:
            return infinite(_INFINITE[text])
        us = of(text)
        if us < _GREGORIAN and settings.legacy:
            us = hybrid_days(us // DAY) * DAY + us % DAY
        return shape(us)

    return schema, read


def _none(_: int) -> Any:
    raise ValueError("infinity has no such form")


def _form(settings: ValueSettings) -> tuple[Schema, Callable[[int], Any], Callable[[int], Any]]:
    """Of timestamp.granularity: schema, value of microseconds, value of the infinities' milliseconds."""
    clock = WallClock(settings.zone)

    def iso(us: int, zeros: str) -> str:
        days, micros = divmod(clock.shown(us), DAY)
        seconds, fraction = divmod(micros, 1_000_000)
        return f"{iso_date(days)}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}{zeros}"

    forms: dict[str, tuple[Schema, Callable[[int], Any], Callable[[int], Any]]] = {
        "micros_long": (INT64, int, _none),
        "micros_string": (STRING, str, _none),
        "micros_iso_datetime_string": (STRING, lambda us: iso(us, ""), _none),
        "nanos_long": (INT64, lambda us: us * 1000, _none),
        "nanos_string": (STRING, lambda us: str(us * 1000), _none),
        "nanos_iso_datetime_string": (STRING, lambda us: iso(us, "000"), _none),
    }
    connect = Schema(type="int64", name=_CONNECT + "Timestamp", version=1)
    return forms.get(settings.granularity) or (connect, lambda us: us // 1000, int)
