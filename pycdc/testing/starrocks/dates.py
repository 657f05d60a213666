"""How a BE reads a date or a time: what it drops without a word is why the sink writes one form only.

Ported from StarRocks' date parser: a trailing `Z` or offset is dropped, a short or wrong time of day gives
midnight, bare digits are read as YYMMDD.. or YYYYMMDD.. .
"""

from __future__ import annotations

import re

#: Year, month, day, hour, minute, second, microsecond.
Moment = tuple[int, int, int, int, int, int, int]

_DIGITS = set("0123456789")
_SPACES = " \t\n\v\f\r"
_MONTH_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_DATE = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)", re.ASCII)
_FRACTION = re.compile(r"\.(\d{0,6})(Z|$)", re.ASCII)


def parse_datetime(text: str) -> Moment | None:
    """None when it is no date at all."""
    stripped = text.strip(_SPACES)
    head = _DATE.match(stripped)
    if head is None:
        return _generic(text)
    year, month, day = map(int, head.groups())
    if not _valid(year, month, day):
        return _generic(text)
    midnight = (year, month, day, 0, 0, 0, 0)
    if len(stripped) == 10 or (stripped[10] != "T" and stripped[10] not in _SPACES):
        return midnight
    rest = stripped[11:] if stripped[10] == "T" else stripped[10:].lstrip(_SPACES)
    time = _TIME.match(rest)
    if time is None:
        return midnight
    hour, minute, second = map(int, time.groups())
    if not (hour <= 23 and minute <= 59 and second <= 59):
        return midnight
    tail = rest[8:]
    if tail[:1] in ("", "Z"):
        return (year, month, day, hour, minute, second, 0)
    fraction = _FRACTION.match(tail)
    if fraction is not None:
        return (year, month, day, hour, minute, second, int((fraction[1] or "0").ljust(6, "0")))
    return _generic(text)


def _valid(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or (year % 400 == 0 and year != 0))
    return year <= 9999 and 1 <= month <= 12 and 1 <= day <= _MONTH_DAYS[month] + (1 if leap and month == 2 else 0)


def _generic(text: str) -> Moment | None:
    """The BE's slow path: runs of digits between punctuation."""
    s = text.lstrip(_SPACES)
    if not s or s[0] not in _DIGITS:
        return None
    found = _fields(s)
    if found is None:
        return None
    values, lengths, year_length, bare = found
    if len(values) < 3:
        return None
    year, month, day, hour, minute, second, us = (values + [0] * 7)[:7]
    if len(lengths) > 6:
        us *= 10 ** (6 - lengths[6])
    if (year_length if bare else lengths[0]) == 2:
        year += 2000 if year < 70 else 1900
    if not (_valid(year, month, day) and hour <= 23 and minute <= 59 and second <= 59):
        return None
    return (year, month, day, hour, minute, second, us)


def _fields(s: str) -> tuple[list[int], list[int], int, bool] | None:
    """Values and their lengths, how long the year is, and whether it is one run of digits. None when it is no date."""
    end, pos = len(s), 0
    while pos < end and (s[pos] in _DIGITS or s[pos] == "T"):
        pos += 1
    bare = pos == end or s[pos] == "."
    year_length = 2 if bare and pos not in (4, 8) and pos < 14 else 4
    values: list[int] = []
    lengths: list[int] = []
    i, index, width = 0, 0, year_length
    while i < end and s[i] in _DIGITS and index < 7:
        start, to_the_end = i, not bare and index != 6
        while i < end and s[i] in _DIGITS and (to_the_end or i - start < width):
            i += 1
        values.append(int(s[start:i]))
        lengths.append(i - start)
        if values[-1] > 999999:
            return None
        width = 2
        if i == end:
            break
        if index == 2 and s[i] == "T":
            i += 1
        elif index == 5:
            if s[i] == ".":
                i, width = i + 1, 6
            elif s[i] in _DIGITS:
                break
        else:
            while i < end and (s[i] in _PUNCTUATION or s[i] in _SPACES):
                if s[i] in _SPACES and index not in (2, 6):
                    return None
                i += 1
        index += 1
    return values, lengths, year_length, bare
