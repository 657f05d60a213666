"""interval, as microseconds (months of 30.4375 days) or as an ISO-8601 period.

Texts are those of IntervalStyle postgres: `1 year 2 mons 3 days 04:05:06.78`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pycdc.debezium.types.entry import Entry, Shape, TypeSettings
from pycdc.model.schema import Schema

_TEXT = re.compile(
    r"(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?"
    r"(?:([+-])?(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?"
)
_DAYS_PER_MONTH = 365.25 / 12.0


class _Interval(NamedTuple):
    years: int
    months: int
    days: int
    hours: int
    minutes: int
    seconds: float


def _parse(text: str) -> _Interval:
    match = _TEXT.fullmatch(text)
    if match is None or not text:
        raise ValueError("is no interval in style postgres")
    years, months, days, sign, hours, minutes, seconds, fraction = match.groups(default="0")
    unit = -1 if sign == "-" else 1
    whole = unit * int(seconds)
    return _Interval(
        int(years), int(months), int(days), unit * int(hours), unit * int(minutes),
        whole + unit * int(fraction.ljust(6, "0")) / 1e6,
    )  # fmt: skip


def _micros(text: str) -> int:
    """In floats and saturating, as Debezium computes it."""
    i = _parse(text)
    days = (i.years * 12 + i.months) * _DAYS_PER_MONTH + i.days
    seconds = ((days * 24 + i.hours) * 60 + i.minutes) * 60 + i.seconds
    return max(-(1 << 63), min((1 << 63) - 1, int(seconds * 1e6)))


def _iso(text: str) -> str:
    i = _parse(text)
    seconds = f"{i.seconds:.6f}".rstrip("0").rstrip(".")
    return f"P{i.years}Y{i.months}M{i.days}DT{i.hours}H{i.minutes}M{'0' if seconds == '-0' else seconds}S"


def interval(_: Shape, settings: TypeSettings) -> Entry:
    if settings.interval == "string":
        return Entry(
            schema=Schema(type="string", name="io.debezium.time.Interval", version=1),
            read=lambda text: _iso(text.decode()), fallback="P0Y0M0DT0H0M0S", default=_iso, generated="00:00:00",
            items="absent",
        )  # fmt: skip
    return Entry(
        schema=Schema(type="int64", name="io.debezium.time.MicroDuration", version=1),
        read=lambda text: _micros(text.decode()), fallback=0, default=_micros, generated="00:00:00", items="absent",
    )  # fmt: skip
