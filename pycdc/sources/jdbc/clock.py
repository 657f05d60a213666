"""Up to which moment rows may be read by a timestamp, without passing by transactions that will still write older ones.

A row's timestamp is mostly the beginning of its transaction or statement: as long as one is at work, what is younger than it
waits. One that has written nothing yet counts only for as long as late rows are looked for anyway, so that a long report
holds up nothing.
"""

from __future__ import annotations

import msgspec


class Now(msgspec.Struct, frozen=True):
    """Moments in microseconds since 1970, asked for before the snapshot of a poll is taken."""

    now_us: int
    #: Beginning of the oldest transaction that has written, and of the oldest of all; None: there is none.
    writer_us: int | None
    any_us: int | None
    #: What the user should know of it, each with what mends it.
    notes: tuple[tuple[str, str], ...] = ()

    def until(self, *, delay_us: int, window_us: int) -> int:
        """Rows from here on wait for a later poll; `window_us` 0: for nobody."""
        until = self.now_us - delay_us
        if window_us:
            if self.writer_us is not None:
                until = min(until, self.writer_us)
            if self.any_us is not None:
                until = min(until, max(self.any_us, self.now_us - window_us))
        return until
