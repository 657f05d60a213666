"""java.text.SimpleDateFormat in UTC and English, for texts that Kafka's transforms write and read.

Times are milliseconds since the epoch. As Java's GregorianCalendar does, days before 15 October 1582 are
Julian, and reading is lenient: a 13th month is January of the next year, text behind the pattern is ignored.
Letters whose meaning hangs on the JVM's locale (weeks) are refused, and a year of two digits is not read:
its century would hang on the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from pycdc.model.schema import Schema

#: Connect's logical types whose values are a java.util.Date there, and here their primitive.
DATES = frozenset(f"org.apache.kafka.connect.data.{name}" for name in ("Date", "Time", "Timestamp"))
_DAY_MS = 86_400_000
#: 15 October 1582, the first Gregorian day, counted from the epoch.
_CUTOVER = -141_427
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LETTERS = "GyMLDdFEuaHkKhmsSzZX"
_WEEKS = "YwW"
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_ZONE = re.compile(r"(?:GMT|UTC)?([+-])(\d{1,2}):?(\d{2})?|GMT|UTC|Z|Coordinated Universal Time", re.IGNORECASE)


class _Part(NamedTuple):
    """A literal text (`letter` empty), or a letter that stands `width` times."""

    letter: str
    width: int
    literal: str = ""


class _Moment(NamedTuple):
    era: int  # 0 BC, 1 AD
    year: int  # of the era
    month: int
    day: int
    day_of_year: int
    weekday: int  # Monday is 1
    ms: int  # of the day


class SimpleDateFormat:
    """One pattern. Raises ValueError for a pattern that Java refuses or that is refused here."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._parts = _compiled(pattern)

    def format(self, ms: int) -> str:
        moment = _moment(ms)
        return "".join(p.literal if not p.letter else _WRITERS[p.letter](moment, p.width) for p in self._parts)

    def parse(self, text: str) -> int:
        """Raises ValueError when the text does not begin as the pattern says."""
        fields: dict[str, int] = {}
        at = 0
        for n, part in enumerate(self._parts):
            if not part.letter:
                if not text.startswith(part.literal, at):
                    raise ValueError(f"is not like {self.pattern}")
                at += len(part.literal)
                continue
            abuts = n + 1 < len(self._parts) and bool(self._parts[n + 1].letter)
            at = _read(part, text, at, fields, abuts=abuts)
        return _composed(fields)


def _compiled(pattern: str) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    at = 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise ValueError("has a quote that is not closed")
        at = token.end()
        if token.group(2) is None:
            literal = token.group() if token.group(1) is None else token.group(1).replace("''", "'") or "'"
            parts.append(_Part("", 0, literal))
            continue
        letter = token.group(2)
        if letter in _WEEKS:
            raise ValueError(f"{letter} counts weeks, which differ by country: use yyyy, MM, dd or D")
        if letter not in _LETTERS:
            raise ValueError(f"{letter} is no letter of a date pattern: put texts in '...'")
        if letter == "X" and len(token.group()) > 3:
            raise ValueError("X stands at most three times")
        parts.append(_Part(letter, len(token.group())))
    return tuple(parts)


# ---- calendar


def _moment(ms: int) -> _Moment:
    days, rest = divmod(ms, _DAY_MS)
    year, month, day = _civil(days)
    first = _days(year, 1, 1)
    return _Moment(int(year > 0), year if year > 0 else 1 - year, month, day, days - first + 1, (days + 3) % 7 + 1, rest)


def _civil(days: int) -> tuple[int, int, int]:
    """Days since the epoch -> year (0 is 1 BC), month, day. Years are counted from March."""
    julian = days < _CUTOVER
    shifted = days + (719_470 if julian else 719_468)
    century, era = (0, shifted) if julian else divmod(4 * shifted + 3, 146_097)
    in_era = era if julian else era // 4
    year, rest = divmod(4 * in_era + 3, 1461)
    day_of_year = rest // 4
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    return 100 * century + year + (month >= 10), month + 3 if month < 10 else month - 9, day


def _days(year: int, month: int, day: int) -> int:
    """Days since the epoch; months and days beyond their ends roll over."""
    year, month = year + (month - 1) // 12, (month - 1) % 12
    march_year, march_month = (year - 1, month + 10) if month < 2 else (year, month - 2)
    base = march_year * 365 + march_year // 4 + (153 * march_month + 2) // 5 + day - 1
    gregorian = base - march_year // 100 + march_year // 400 - 719_468
    return gregorian if gregorian >= _CUTOVER else base - 719_470


# ---- writing


def _padded(number: int, count: int) -> str:
    return str(number).rjust(count, "0")


def _month(m: _Moment, count: int) -> str:
    name = _MONTHS[m.month - 1]
    return _padded(m.month, count) if count < 3 else name[:3] if count == 3 else name


def _weekday(m: _Moment, count: int) -> str:
    name = _WEEKDAYS[m.weekday - 1]
    return name if count > 3 else name[:3]


def _hour(m: _Moment) -> int:
    return m.ms // 3_600_000


_WRITERS: dict[str, Callable[[_Moment, int], str]] = {
    "G": lambda m, _: ("BC", "AD")[m.era],
    "y": lambda m, n: _padded(m.year % 100, 2) if n == 2 else _padded(m.year, n),
    "M": _month,
    "L": _month,
    "D": lambda m, n: _padded(m.day_of_year, n),
    "d": lambda m, n: _padded(m.day, n),
    "F": lambda m, n: _padded((m.day - 1) // 7 + 1, n),
    "E": _weekday,
    "u": lambda m, n: _padded(m.weekday, n),
    "a": lambda m, _: "AM" if _hour(m) < 12 else "PM",
    "H": lambda m, n: _padded(_hour(m), n),
    "k": lambda m, n: _padded(_hour(m) or 24, n),
    "K": lambda m, n: _padded(_hour(m) % 12, n),
    "h": lambda m, n: _padded(_hour(m) % 12 or 12, n),
    "m": lambda m, n: _padded(m.ms // 60_000 % 60, n),
    "s": lambda m, n: _padded(m.ms // 1000 % 60, n),
    "S": lambda m, n: _padded(m.ms % 1000, n),
    "z": lambda _, n: "UTC" if n < 4 else "Coordinated Universal Time",
    "Z": lambda _, __: "+0000",
    "X": lambda _, __: "Z",
}


def milliseconds(schema: Schema, value: int) -> int:
    """A value of one of DATES since the epoch."""
    return value * _DAY_MS if schema.name is not None and schema.name.endswith(".Date") else value


def date_text(ms: int) -> str:
    """java.util.Date.toString."""
    return _TO_STRING.format(ms)


def header_text(ms: int) -> str:
    """A java.util.Date as Connect's Values prints it: a time below one day, a date at midnight, else both."""
    if ms < _DAY_MS:
        return _TIME.format(ms)
    return (_DATE if ms % _DAY_MS == 0 else _TIMESTAMP).format(ms)


# ---- reading


def _read(part: _Part, text: str, at: int, fields: dict[str, int], *, abuts: bool) -> int:
    """Reads one letter's text at `at` into `fields`; returns where it ends. `abuts`: another letter follows at once."""
    end = at + part.width if abuts else len(text)  # counted from before the blanks, as Java does
    while at < len(text) and text[at] in " \t":
        at += 1
    if part.letter in "GEa" or (part.letter in "ML" and part.width > 2):
        return _read_name(part.letter, text, at, fields)
    if part.letter in "zZX":
        return _read_zone(text, at, fields)
    number = re.compile(r"-?\d+").match(text, at, end)
    if number is None:
        raise ValueError(f"has no number for {part.letter}")
    if part.letter == "y" and part.width <= 2 and len(number.group()) == 2:
        raise ValueError("has a year of two digits, whose century is not known: use yyyy")
    fields["M" if part.letter == "L" else part.letter] = int(number.group())
    return number.end()


def _read_name(letter: str, text: str, at: int, fields: dict[str, int]) -> int:
    names = {"G": ("BC", "AD"), "a": ("AM", "PM"), "E": _WEEKDAYS}.get(letter, _MONTHS)
    for short in (False, True):
        for n, name in enumerate(names):
            word = name[:3] if short else name
            if text[at : at + len(word)].lower() == word.lower():
                fields["M" if letter == "L" else letter] = n + (letter in "ML")
                return at + len(word)
    raise ValueError(f"has no name for {letter}")


def _read_zone(text: str, at: int, fields: dict[str, int]) -> int:
    zone = _ZONE.match(text, at)
    if zone is None:
        raise ValueError("has no time zone that is known here")
    if zone.group(1):
        minutes = int(zone.group(2)) * 60 + int(zone.group(3) or 0)
        fields["Z"] = minutes if zone.group(1) == "+" else -minutes
    return zone.end()


def _composed(f: dict[str, int]) -> int:
    year = f.get("y", 1970)
    if f.get("G") == 0:
        year = 1 - year
    days = _days(year, 1, f["D"]) if "D" in f else _days(year, f.get("M", 1), f.get("d", 1))
    hour = f["k"] % 24 if "k" in f else f.get("H", 0)
    if "K" in f or "h" in f:
        hour = f.get("K", f.get("h", 0) % 12 if "h" in f else 0) + 12 * f.get("a", 0)
    seconds = (hour * 60 + f.get("m", 0) - f.get("Z", 0)) * 60 + f.get("s", 0)
    return days * _DAY_MS + seconds * 1000 + f.get("S", 0)


_TO_STRING = SimpleDateFormat("EEE MMM dd HH:mm:ss z y")
_TIME = SimpleDateFormat("HH:mm:ss.SSS'Z'")
_DATE = SimpleDateFormat("yyyy-MM-dd")
_TIMESTAMP = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
