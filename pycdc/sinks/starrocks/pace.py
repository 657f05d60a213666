"""How often StarRocks is written to.

Every load makes a version of its table, and a table takes so many before loads are refused (tablet_max_versions,
1000). Small writes therefore keep a distance; full ones do not wait, their size is distance enough. When
StarRocks says that it has too many, the distance doubles, and comes back in steps as writes succeed.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

#: Rows of a table from which a write is full: as many as the runtime gathers before it writes.
FULL: Final = 10_000
#: The longest distance that refusals lead to, seconds; see config.LONGEST_INTERVAL_MS.
_LONGEST: Final = 10.0
#: From what distance on, seconds, doubling begins, however short the interval is.
SLOWED = 0.5


class Pace:
    """One sink's. `interval` in seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self.distance = interval
        self._last = float("-inf")

    async def turn(self, rows: int) -> None:
        """Waits until the next write may begin; `rows` of the table that has most."""
        is_slowed = self.distance > self._interval
        if rows < FULL or is_slowed:
            await asyncio.sleep(max(0.0, self._last + self.distance - time.monotonic()))
        if is_slowed:
            self.distance = max(self._interval, self.distance * 0.9)
        self._last = time.monotonic()

    def slower(self) -> None:
        self.distance = min(_LONGEST, max(self.distance, SLOWED) * 2)
