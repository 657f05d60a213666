"""A batch that the target refuses as a whole, written again in the order in which its changes came.

Halves, then halves of those that are refused, down to the single changes at fault; what stands before and behind
them is written. Order across keys, which the reduced batch did not keep, is kept here: two rows that swap a
unique value pass once they are written one after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pycdc.errors import BadRow
from pycdc.model.change import Changes

#: A change: what it came in, and its place in it.
_Unit = tuple[Changes, int]

#: Writes changes, all or none. Raises BadRow; with its `record` when it is known which one it is.
Write = Callable[[Sequence[Changes]], Awaitable[None]]
#: Told of a change that is left out. Raises when none may be.
Refuse = Callable[[BadRow], None]


async def write_in_order(changes: Sequence[Changes], write: Write, refuse: Refuse) -> None:
    """Write what can be written of `changes`, in their order. `refuse` hears of the others, `record` set."""
    waiting = [[(c, i) for c in changes for i in range(max(len(c), 1))]]
    whole = True
    while waiting:
        units = waiting.pop()
        error: BadRow | None = None
        if not whole or len(units) == 1:  # as a whole it was refused before
            try:
                await write(_regrouped(units))
                continue
            except BadRow as refused:
                error = refused
        whole = False
        at = _index(units, error)
        if error is not None and at is not None:
            c, i = units[at]
            error.record = c.record(i)
            error.where = error.where or c.where(i)
            refuse(error)
            parts = [units[:at], units[at + 1 :]]
        else:
            parts = [units[: len(units) // 2], units[len(units) // 2 :]]
        waiting += [p for p in reversed(parts) if p]


def _index(units: Sequence[_Unit], error: BadRow | None) -> int | None:
    """Which unit is at fault."""
    if error is None:
        return None
    if len(units) == 1:
        return 0
    return next((n for n, (c, i) in enumerate(units) if error.record is not None and c.record(i) == error.record), None)


def _regrouped(units: Sequence[_Unit]) -> list[Changes]:
    """Neighbours of one Changes together again."""
    out: list[Changes] = []
    begin = 0
    for n in range(1, len(units) + 1):
        if n == len(units) or units[n][0] is not units[begin][0]:
            first = units[begin]
            out.append(first[0] if first[0].truncate else first[0].part(first[1], units[n - 1][1] + 1))
            begin = n
    return out
