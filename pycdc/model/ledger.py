"""Which prefix of the stream is acknowledged.

Events are numbered in stream order. Work on them (a Kafka batch, a write to a target) is opened with the
number of its first event and closed when its destination has acknowledged it; marks tie an offset to the
number of events before it. `settled()` gives the newest mark before which no work is open: what may be
stored and then confirmed (docs/guarantees.md, "Order of acts"). Work may close in any order.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Ledger(Generic[T]):
    """Contiguous-prefix accounting; plain integers, no sockets, no clock."""

    def __init__(self) -> None:
        self._next_ticket = 0
        self._open: dict[int, int] = {}  # ticket -> first event; insertion order is by ticket, not by event
        self._marks: deque[tuple[int, T]] = deque()

    def open(self, first_event: int) -> int:
        """Begin work whose earliest event is `first_event`; returns the ticket to close it with."""
        ticket = self._next_ticket
        self._next_ticket += 1
        self._open[ticket] = first_event
        return ticket

    def close(self, ticket: int) -> None:
        """The destination acknowledged the work. Closing twice is an error of ours (KeyError)."""
        del self._open[ticket]

    def mark(self, events_before: int, value: T) -> None:
        """`value` may be stored once every event numbered below `events_before` is acknowledged."""
        self._marks.append((events_before, value))

    @property
    def pending(self) -> int:
        """How many pieces of work are open."""
        return len(self._open)

    @property
    def unsettled(self) -> int:
        """How many marks wait."""
        return len(self._marks)

    def settled(self) -> T | None:
        """The newest value whose events are all acknowledged, once; None when there is no new one."""
        values = self.settled_all()
        return values[-1] if values else None

    def settled_all(self) -> list[T]:
        """Every value whose events are all acknowledged, oldest first, each once: where values are of several kinds."""
        low = min(self._open.values(), default=None)
        values = []
        while self._marks and (low is None or self._marks[0][0] <= low):
            values.append(self._marks.popleft()[1])
        return values

    def clear(self) -> None:
        """Forget everything, before a replay from the last stored position."""
        self._open.clear()
        self._marks.clear()
