"""Ranges of offsets that are written as they were begun: for sinks that keep positions in Kafka in their target."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from pycdc.model.change import Changes
from pycdc.plugins.contracts import Partition


class Range(NamedTuple):
    """Offsets, both ends included."""

    first: int
    last: int


class Heap(Protocol):
    """What changes are gathered by; those of another partition are never with them."""

    @property
    def partition(self) -> Partition | None: ...


H = TypeVar("H", bound=Heap)


def range_of(changes: Iterable[Changes]) -> Range:
    """From the first to the last offset."""
    offsets = [c.offsets for c in changes if c.offsets]
    return Range(min(o[0] for o in offsets), max(o[-1] for o in offsets))


def ranges_by_partition(taken: Mapping[H, Sequence[Changes]]) -> dict[Partition, Range]:
    """What the changes of each partition cover."""
    found: dict[Partition, list[Changes]] = {}
    for heap, changes in taken.items():
        if heap.partition is not None:
            found.setdefault(heap.partition, []).extend(changes)
    return {partition: range_of(changes) for partition, changes in found.items()}


def split_behind(changes: Sequence[Changes], last: int) -> tuple[list[Changes], list[Changes]]:
    """Those up to the offset `last`, and those behind it."""
    before: list[Changes] = []
    behind: list[Changes] = []
    for c in changes:
        if c.truncate:
            (before if c.offsets[0] <= last else behind).append(c)
            continue
        at = bisect_right(c.offsets, last)
        before += [c.part(0, at)] if at else []
        behind += [c.part(at, len(c))] if at < len(c) else []
    return before, behind


def by_turn(
    taken: Mapping[H, list[Changes]], begun: Mapping[Partition, Range], positions: Mapping[Partition, int]
) -> tuple[dict[H, list[Changes]], dict[H, list[Changes]], dict[H, list[Changes]]]:
    """What a predecessor was about to write, what comes behind it, and what waits until the former is read in full."""
    again: dict[H, list[Changes]] = {}
    now: dict[H, list[Changes]] = {}
    held: dict[H, list[Changes]] = {}
    for heap, changes in taken.items():
        pending = begun.get(heap.partition) if heap.partition is not None else None
        if pending is None:
            now[heap] = changes
        elif heap.partition is not None and positions.get(heap.partition, -1) <= pending.last:
            held[heap] = changes
        else:
            before, behind = split_behind(changes, pending.last)
            again |= {heap: before} if before else {}
            now |= {heap: behind} if behind else {}
    return again, now, held
