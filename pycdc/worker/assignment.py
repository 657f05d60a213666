"""Who runs what: only what must move moves, and nothing runs twice.

What a member has to give up is in nobody's hands for one meeting: it is given to another when the first has said that it
runs no more. What nobody has is given at once, to whoever has least.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

T = TypeVar("T", bound=str)


def deal(held: Mapping[str, Collection[T]], work: Collection[T], *, first: str = "") -> dict[str, list[T]]:
    """What each member has from now on.

    `held`: what each says that it runs; `work`: all there is to do. What two members run is left to the one that has less.
    `first` comes before others that have as little.
    Behind as many meetings as it takes to give things up, no member has two more than another.
    """
    kept = _kept(held, work)
    running = {item for items in held.values() for item in items}
    for item in sorted(set(work) - running):
        least = min(kept, key=lambda m: (len(kept[m]), m != first, m))
        kept[least].append(item)
    return {member: sorted(items) for member, items in kept.items()}


def _kept(held: Mapping[str, Collection[T]], work: Collection[T]) -> dict[str, list[T]]:
    """What each goes on with: its own, up to its share."""
    wanted = set(work)
    kept: dict[str, list[T]] = {member: [] for member in held}
    owners: dict[T, list[str]] = {}
    for member in sorted(held):
        for item in sorted(wanted.intersection(held[member])):
            owners.setdefault(item, []).append(member)
    for item, members in owners.items():
        if len(members) == 1:
            kept[members[0]].append(item)
    for item, members in owners.items():
        if len(members) > 1:
            kept[min(members, key=lambda m: (len(kept[m]), m))].append(item)
    if not held:
        return kept
    share, more = divmod(len(wanted), len(held))
    for place, member in enumerate(sorted(kept, key=lambda m: (-len(kept[m]), m))):
        del kept[member][share + (place < more) :]
    return kept
