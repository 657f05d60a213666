"""Versions of plugins, and the ranges in which a request may ask for them: `3.6.3.Final`, `[3,4)`, `latest`.

Source: PluginUtils.connectorVersionRequirement of Kafka Connect 4.1 and the version ranges of Maven that it uses.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Final

import msgspec

_RANGE: Final = re.compile(r"([\[(])([^\[\]()]*)([\])])\s*,?\s*")
#: What stands before a release; a release has no qualifier or one of these words.
_BEFORE: Final = {"alpha": 0, "beta": 1, "milestone": 2, "rc": 3, "cr": 3, "snapshot": 4}
_RELEASE: Final = 5
_LATER: Final = {"sp": 6}
_WORDS_OF_RELEASE: Final = ("", "ga", "final", "release")


class _Part(msgspec.Struct, frozen=True):
    """One interval; None: no bound."""

    low: str | None
    high: str | None
    low_in: bool
    high_in: bool

    def __str__(self) -> str:
        return f"{'[' if self.low_in else '('}{self.low or ''},{self.high or ''}{']' if self.high_in else ')'}"

    def holds(self, version: str) -> bool:
        rank = _rank(version)
        low, high = _rank(self.low or ""), _rank(self.high or "")
        above = self.low is None or rank > low or (self.low_in and rank == low)
        return above and (self.high is None or rank < high or (self.high_in and rank == high))


class Range(msgspec.Struct, frozen=True):
    """The versions that will do. No parts: any."""

    parts: tuple[_Part, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(str, self.parts))

    def holds(self, version: str) -> bool:
        return not self.parts or any(part.holds(version) for part in self.parts)


def range_of(text: str | None) -> Range:
    """A version alone is that one and no other. Raises ValueError with Kafka's text."""
    trimmed = (text or "").strip()
    if trimmed in ("", "latest"):
        return Range()
    if not re.search(r"[\[\](),]", trimmed):
        return Range((_Part(trimmed, trimmed, low_in=True, high_in=True),))
    parts, at = [], 0
    while at < len(trimmed):
        match = _RANGE.match(trimmed, at)
        if match is None:
            raise ValueError(f"Invalid version specification: {trimmed}")
        parts.append(_part(trimmed, *match.groups()))
        at = match.end()
    return Range(tuple(parts))


def _part(text: str, opening: str, inner: str, closing: str) -> _Part:
    low, comma, high = (p.strip() for p in inner.partition(","))
    low_in, high_in = opening == "[", closing == "]"
    if not comma:
        high = low
    single = not comma and not (low and low_in and high_in)
    upside_down = bool(low and high) and _rank(low) > _rank(high)
    if single or upside_down or "," in high:
        raise ValueError(f"Invalid version specification: {text}")
    return _Part(low or None, high or None, low_in=low_in, high_in=high_in)


class _Rank(msgspec.Struct, frozen=True, order=True):
    """A version as it is compared; more members than there are stand for a release of zeros."""

    members: tuple[tuple[int, int, str], ...]


#: Versions have fewer members.
_LONGEST: Final = 16
#: What a missing member counts as.
_NOTHING: Final = (_RELEASE, 0, "")


def _rank(version: str) -> _Rank:
    members = [_member(m) for m in re.findall(r"[0-9]+|[^\W\d_]+", version)]
    while members and members[-1] == _NOTHING:
        members.pop()
    # what is missing is compared as nothing, which stands above alpha and below 1
    padded = [known for known, _ in zip_longest(members, range(_LONGEST), fillvalue=_NOTHING)]
    return _Rank(tuple(padded[:_LONGEST]))



def _member(text: str) -> tuple[int, int, str]:
    if text.isdecimal():
        # a number is above every word but when it is 0, which is nothing
        digits = text.lstrip("0")
        return (_RELEASE if not digits else 8, len(digits), digits)
    word = text.lower()
    if word in _WORDS_OF_RELEASE:
        return _NOTHING
    return (_BEFORE.get(word, _LATER.get(word, 7)), 0, word)
