"""Which numbers below the position have not been seen: those that may still be committed.

AUTO_INCREMENT gives out numbers before their transactions commit, so a number that is not there may come later. Kept are the
ranges of a window below the position; no transaction's number is needed for it, and no privilege.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, Self

#: So many numbers below the position are remembered over a restart: at most 2 KB of text.
_STORED: Final = 10_000


class Missing:
    """`window`: how many numbers below the position count. Ranges are (first, last), both missing, in order."""

    def __init__(self, window: int, high: int, *, low: int | None = None) -> None:
        """All up to `high` is seen, or too old to be looked for."""
        self._window = window
        self.high = high
        #: Numbers up to here are not looked for.
        self._low = high if low is None else low
        self._ranges: list[tuple[int, int]] = []

    @property
    def ranges(self) -> Sequence[tuple[int, int]]:
        return self._ranges

    def seen(self, numbers: Iterable[int]) -> None:
        """In any order; those above `high` make it higher."""
        high, fresh = self.high, []
        for number in numbers:
            if number == high + 1:
                high = number
            elif number > high:
                fresh.append((high + 1, number - 1))
                high = number
            elif number < high:
                self._found(number)
        self.high = high
        self._ranges += fresh
        self._forget()

    def _found(self, number: int) -> None:
        ranges = self._ranges
        at = bisect_left(ranges, (number + 1,)) - 1
        if at < 0:
            return
        first, last = ranges[at]
        if first <= number <= last:
            ranges[at : at + 1] = [r for r in ((first, number - 1), (number + 1, last)) if r[0] <= r[1]]

    def _forget(self) -> None:
        """What is below the window."""
        self._low = max(self._low, self.high - self._window)
        ranges = self._ranges
        gone = 0
        while gone < len(ranges) and ranges[gone][1] <= self._low:
            gone += 1
        del ranges[:gone]
        if ranges and ranges[0][0] <= self._low:
            ranges[0] = (self._low + 1, ranges[0][1])

    def is_missing(self, number: int) -> bool:
        at = bisect_left(self._ranges, (number + 1,)) - 1
        return at >= 0 and self._ranges[at][0] <= number <= self._ranges[at][1]

    # ---- over a restart

    def text(self) -> str:
        """A bit for each number from `high` downwards, set where it is missing; empty without any."""
        bits, lowest = 0, self.high - min(self._window, _STORED)
        for first, last in self._ranges:
            first = max(first, lowest + 1)
            if first <= last:
                bits |= ((1 << last - first + 1) - 1) << (self.high - last)
        if not bits:
            return ""
        return base64.b64encode(zlib.compress(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), 9)).decode()

    @classmethod
    def of(cls, text: str, window: int, high: int) -> Self:
        """What `text` gave at the same `high`. Raises ValueError."""
        made = cls(window, high, low=high - window)
        if text:
            try:
                bits = int.from_bytes(zlib.decompress(base64.b64decode(text, validate=True)), "little")
            except (binascii.Error, zlib.error) as error:
                raise ValueError("is no memory of missing numbers") from error
            made._ranges = list(_ranges(bits, high))
            made._forget()
        return made


def _ranges(bits: int, high: int) -> Iterable[tuple[int, int]]:
    """From the lowest number on."""
    found, at = [], 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        at += zeros
        ones = (~bits & (bits + 1)).bit_length() - 1
        found.append((high - at - ones + 1, high - at))
        bits >>= ones
        at += ones
    return reversed(found)
