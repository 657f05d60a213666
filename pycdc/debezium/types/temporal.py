"""date, time, timetz, timestamp and timestamptz under time.precision.mode.

Readers of the usual texts cost a few cached look-ups; infinities, years BC and beyond 9999 take a second
way. The numbers of the infinities are Debezium's (artefacts of Java's overflow), the snapshot's dates
included, which also lose the era. Times inside arrays are cut to milliseconds, as the JDBC driver does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from pycdc.debezium.types.calendar import (
    DAY,
    Cache,
    hybrid_days,
    iso_date,
    iso_time,
    iso_timestamp,
    moment,
    offset_seconds,
    plain_day,
    shown_days,
)
from pycdc.debezium.types.entry import Entry, OutOfRange, Read, Shape, TypeSettings
from pycdc.model.schema import Schema

_DEBEZIUM = "io.debezium.time."
_CONNECT = "org.apache.kafka.connect.data."
_INFINITE = (b"infinity", b"-infinity")
_LONG_MAX = (1 << 63) - 1
_LONG_MIN = -(1 << 63)


def _logical(kind: str, name: str) -> Schema:
    return Schema(type=kind, name=name, version=1)


# ---- date


def _date_reader(infinity: int, minus_infinity: int, *, ignore_era: bool) -> Read:
    special = {b"infinity": infinity, b"-infinity": minus_infinity}

    def read(text: bytes) -> int:
        if text in special:
            return special[text]
        days = plain_day(text) if len(text) == 10 else moment(text, ignore_era=ignore_era).days
        return shown_days(days) if ignore_era else days

    return Cache(read).__getitem__


_read_date = _date_reader(-2147472692, -2147472691, ignore_era=False)
_read_snapshot_date = _date_reader(-622191234, -625821272, ignore_era=True)


def _iso_date_reader(infinity: str, minus_infinity: str, *, ignore_era: bool) -> Read:
    special = {b"infinity": infinity, b"-infinity": minus_infinity}

    def read(text: bytes) -> str:
        if len(text) == 10 and text[4] == text[7] == 45 and not (ignore_era and text[:7] == b"1582-10"):
            return text.decode() + "Z"
        if text in special:
            return special[text]
        days = moment(text, ignore_era=ignore_era).days
        return iso_date(shown_days(days) if ignore_era else days) + "Z"

    return read


_read_iso_date = _iso_date_reader("-5877611-06-21Z", "-5877611-06-22Z", ignore_era=False)
_read_snapshot_iso_date = _iso_date_reader("+292278994-08-16Z", "+292269055-12-02Z", ignore_era=True)


def date(_: Shape, settings: TypeSettings) -> Entry:
    if settings.time == "isostring":
        return Entry(
            schema=_logical("string", _DEBEZIUM + "IsoDate"), read=_read_iso_date, fallback="1970-01-01Z",
            snapshot=_read_snapshot_iso_date, element=_read_snapshot_iso_date,
            default=_default_iso_date, generated="1970-01-01",
        )  # fmt: skip
    name = _CONNECT + "Date" if settings.time == "connect" else _DEBEZIUM + "Date"
    return Entry(
        schema=_logical("int32", name), read=_read_date, fallback=0, snapshot=_read_snapshot_date,
        element=_read_snapshot_date, default=_default_date, generated="1970-01-01",
    )  # fmt: skip


def _default_date(literal: str) -> int:
    # LocalDate.MAX and MIN, cut to 32 bits
    return {"infinity": 169560311, "-infinity": -170999002}.get(literal) or moment(literal.encode()).days


def _default_iso_date(literal: str) -> str:
    infinite = {"infinity": "+999999999-12-31Z", "-infinity": "-999999999-01-01Z"}.get(literal)
    return infinite or iso_date(moment(literal.encode()).days) + "Z"


# ---- time

#: `HH:MM:` -> microseconds; 24:00 is the end of a day.
_MINUTES = {b"%02d:%02d:" % divmod(m, 60): m * 60_000_000 for m in range(1441)}


def _micros(text: bytes) -> int:
    """Times have at most 6 decimals: the float is off by less than a nanosecond."""
    try:
        return _MINUTES[text[:6]] + int(float(text[6:]) * 1e6 + 0.5)
    except (KeyError, OverflowError):
        raise ValueError("is no time") from None


def _millis(text: bytes) -> int:
    return _micros(text) // 1000


def _nanos(text: bytes) -> int:
    return _micros(text) * 1000


def _iso(text: bytes) -> str:
    micros = _micros(text)
    return iso_time(micros % DAY) + "Z"


class _TimeForm(msgspec.Struct, frozen=True):
    """A form of time of day: `of` makes it from microseconds; `last` is the last nanosecond of a day."""

    schema: Schema
    read: Read
    of: Callable[[int], Any]
    last: Any
    fallback: Any = 0


_MICRO_TIME = _TimeForm(_logical("int64", _DEBEZIUM + "MicroTime"), _micros, int, DAY - 1)
_MILLI_TIME = _TimeForm(_logical("int32", _DEBEZIUM + "Time"), _millis, lambda micros: micros // 1000, DAY // 1000 - 1)
_TIMES = {
    "adaptive_time_microseconds": _MICRO_TIME,
    "microseconds": _MICRO_TIME,
    "connect": _TimeForm(_logical("int32", _CONNECT + "Time"), _millis, lambda micros: micros // 1000, DAY // 1000 - 1),
    "nanoseconds": _TimeForm(_logical("int64", _DEBEZIUM + "NanoTime"), _nanos, lambda micros: micros * 1000, DAY * 1000 - 1),
    "isostring": _TimeForm(
        _logical("string", _DEBEZIUM + "IsoTime"), _iso, lambda micros: iso_time(micros % DAY) + "Z", "23:59:59.999999999Z", "00:00:00Z"
    ),
}


def time(shape: Shape, settings: TypeSettings) -> Entry:
    form = _TIMES.get(settings.time) or (_MILLI_TIME if shape.scale <= 3 else _MICRO_TIME)

    def default(literal: str) -> Any:
        micros = _micros((literal if literal.count(":") > 1 else literal + ":00").encode())
        return form.of(micros) if micros < DAY else form.last  # the driver has no 24:00

    return Entry(
        schema=form.schema, read=form.read, fallback=form.fallback, default=default, generated="00:00:00",
        element=lambda text: form.of(_micros(text) // 1000 * 1000 % DAY),
    )  # fmt: skip


_ZONED = re.compile(rb"(\d\d:\d\d:\d\d(?:\.\d{1,6})?)([+-]\d\d(?::\d\d){0,2})")


def _utc(text: bytes) -> int:
    """Microseconds of the day in UTC."""
    match = _ZONED.fullmatch(text)
    if match is None:
        raise ValueError("is no time with time zone")
    return (_micros(match[1]) - offset_seconds(match[2]) * 1_000_000) % DAY


def timetz(_: Shape, __: TypeSettings) -> Entry:
    return Entry(
        schema=_logical("string", _DEBEZIUM + "ZonedTime"), read=lambda text: iso_time(_utc(text)) + "Z",
        fallback="00:00:00Z",
        # java.sql.Time, which the driver makes of elements, shows whole seconds
        element=lambda text: iso_time(_utc(text) // 1_000_000 * 1_000_000) + "Z",
    )  # fmt: skip


# ---- timestamp

_DAYS = Cache(lambda text: plain_day(text) * DAY)
#: ` HH:MM:` -> microseconds: the space proves that the year has four digits.
_SPACED_MINUTES = {b" " + minute: micros for minute, micros in _MINUTES.items()}


def _usual(text: bytes) -> int:
    """Microseconds since 1970 of `YYYY-MM-DD HH:MM:SS[.ffffff]`; other texts raise."""
    return _DAYS[text[:10]] + _SPACED_MINUTES[text[10:17]] + int(float(text[17:]) * 1e6 + 0.5)


def _timestamp_reader(of: Callable[[int], Any], infinity: Any, minus_infinity: Any) -> Read:
    def read(text: bytes) -> Any:
        try:
            return of(_usual(text))
        except (KeyError, ValueError, OverflowError):
            if text in _INFINITE:
                return infinity if text == b"infinity" else minus_infinity
            return of(moment(text).total)

    return read


def _read_micros(text: bytes) -> int:
    """As `_timestamp_reader` makes them, without the call of `of`."""
    try:
        return _DAYS[text[:10]] + _SPACED_MINUTES[text[10:17]] + int(float(text[17:]) * 1e6 + 0.5)
    except (KeyError, ValueError, OverflowError):
        if text in _INFINITE:
            return 9223372036825200000 if text == b"infinity" else -9223372036832400000
        return _in_long(moment(text).total)


def _in_long(micros: int) -> int:
    """Beyond 294247 Java's seconds stay at the highest long, and the fraction carries them over."""
    seconds, fraction = divmod(micros, 1_000_000)
    highest = max(_LONG_MIN, min(seconds * 1_000_000, _LONG_MAX))
    return (highest + fraction - _LONG_MIN) % (1 << 64) + _LONG_MIN


def _to_nanos(micros: int) -> int:
    """Raises OutOfRange beyond int64; Debezium checks the day alone first."""
    if micros // DAY * DAY * 1000 < _LONG_MIN or micros * 1000 > _LONG_MAX:
        raise OutOfRange("is outside the range of nanoseconds in 64 bits (1677-09-22 to 2262-04-11)")
    return micros * 1000


class _TimestampForm(msgspec.Struct, frozen=True):
    schema: Schema
    read: Read
    of: Callable[[int], Any]
    fallback: Any = 0
    #: Of DEFAULT 'infinity' and '-infinity': LocalDateTime.MAX and MIN, overflowing; absent where Java throws.
    infinite: dict[str, Any] = {}


def _to_millis(micros: int) -> int:
    return micros // 1000


_read_millis = _timestamp_reader(_to_millis, 9223372036825200, -9223372036832400)
_MICRO_TIMESTAMP = _TimestampForm(
    _logical("int64", _DEBEZIUM + "MicroTimestamp"), _read_micros, _in_long,
    infinite={"infinity": -9223372036853775810, "-infinity": _LONG_MIN},
)  # fmt: skip
_MILLI_TIMESTAMP = _TimestampForm(_logical("int64", _DEBEZIUM + "Timestamp"), _read_millis, _to_millis)
_TIMESTAMPS = {
    "microseconds": _MICRO_TIMESTAMP,
    "connect": _TimestampForm(_logical("int64", _CONNECT + "Timestamp"), _read_millis, _to_millis),
    "nanoseconds": _TimestampForm(
        _logical("int64", _DEBEZIUM + "NanoTimestamp"), _timestamp_reader(_to_nanos, _LONG_MAX, _LONG_MIN), _to_nanos
    ),
    "isostring": _TimestampForm(
        _logical("string", _DEBEZIUM + "IsoTimestamp"),
        _timestamp_reader(iso_timestamp, "+294247-01-10T04:00:25.2Z", "-290308-12-21T19:59:27.6Z"),
        iso_timestamp,
        "1970-01-01T00:00:00Z",
        {"infinity": "+999999999-12-31T23:59:59.999999999Z", "-infinity": "-999999999-01-01T00:00:00Z"},
    ),
}


def _element_of(form: _TimestampForm) -> Read:
    """Inside arrays the JDBC driver reads dates of before 1582 by the Julian calendar."""

    def read(text: bytes) -> Any:
        if text in _INFINITE or (len(text) >= 19 and text[:4] > b"1582" and text[4] == 45):
            return form.read(text)
        when = moment(text)
        return form.of(hybrid_days(when.days) * DAY + when.micros)

    return read


def timestamp(shape: Shape, settings: TypeSettings) -> Entry:
    form = _TIMESTAMPS.get(settings.time) or (_MILLI_TIMESTAMP if shape.scale <= 3 else _MICRO_TIMESTAMP)

    def default(literal: str) -> Any:
        if literal in form.infinite:
            return form.infinite[literal]
        return form.of(moment(literal.encode()).total)

    return Entry(
        schema=form.schema, read=form.read, fallback=form.fallback, default=default, generated="1970-01-01",
        element=_element_of(form),
    )  # fmt: skip


# ---- timestamptz


def timestamptz(shape: Shape, _: TypeSettings) -> Entry:
    """In UTC, the fraction as wide as the column's precision."""
    digits = shape.scale
    read = _zoned_reader(digits)
    # In arrays the driver's instants go through Java's calendar, which loses the era; this is its smallest.
    lowest = f"+292269055-12-02T23:00:00{'.' + '0' * digits if digits else ''}Z"
    return Entry(
        schema=_logical("string", _DEBEZIUM + "ZonedTimestamp"), read=read,
        element=lambda text: lowest if text == b"-infinity" else read(text.removesuffix(b" BC")),
        fallback="1970-01-01T00:00:00Z",
        default=lambda literal: iso_timestamp(moment(literal.encode()).total, digits), generated="1970-01-01",
    )  # fmt: skip


def _zoned_reader(digits: int) -> Read:
    # by the length of `YYYY-MM-DD HH:MM:SS[.f]+00`: what is missing of the fraction
    endings = {22: "." + "0" * digits + "Z" if digits else "Z"}
    endings |= {23 + n: "0" * (digits - n) + "Z" for n in range(1, digits + 1)}

    def read(text: bytes) -> str:
        s = text.decode()
        try:
            if s[10] == " " and s[-3:] == "+00":
                return f"{s[:10]}T{s[11:-3]}{endings[len(s)]}"
        except (IndexError, KeyError):  # the infinities; years BC or beyond 9999
            pass
        return s if text in _INFINITE else iso_timestamp(moment(text).total, digits)

    return read
