"""What a stream of measurements was like: least, most, mean and quantiles, in constant memory.

Debezium keeps a DDSketch with a relative accuracy of one percent for its lag; this is the same idea at its
simplest: values fall into buckets whose bounds grow by a constant factor, and a quantile is its bucket's middle.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

#: Relative error of a quantile.
_ACCURACY: Final = 0.01
_GROWTH: Final = math.log((1 + _ACCURACY) / (1 - _ACCURACY))
_MIDDLE: Final = 2 / (1 + (1 + _ACCURACY) / (1 - _ACCURACY))


class Statistics:
    """Over integers of at least 0. Memory grows with the logarithm of the largest one."""

    __slots__ = ("_buckets", "_sum", "count", "least", "most")

    def __init__(self) -> None:
        self.count = 0
        self.least: int | None = None
        self.most: int | None = None
        self._sum = 0
        self._buckets: Counter[int] = Counter()

    def add(self, value: int, times: int = 1) -> None:
        """`value` was measured `times` times."""
        self.count += times
        self._sum += value * times
        self.least = value if self.least is None else min(self.least, value)
        self.most = value if self.most is None else max(self.most, value)
        self._buckets[math.ceil(math.log(value) / _GROWTH) if value else -1] += times

    @property
    def mean(self) -> float | None:
        """None before the first value."""
        return self._sum / self.count if self.count else None

    def quantile(self, q: float) -> float | None:
        """The value that the part `q` (0 to 1) of all lies at or below, within one percent; None before the first."""
        rank = q * (self.count - 1)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen > rank:
                return 0.0 if bucket < 0 else math.exp(bucket * _GROWTH) * _MIDDLE
        return None
