"""A case that differs -> a smaller one that still does, by leaving things out one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from case import Case


def shrink(case: Case, differs: Callable[[Case], bool], *, tries: int = 80) -> Case:
    """The smallest case found within so many runs of `differs`. What `differs` cannot run, it must call False."""
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _smaller(case):
            tries -= 1
            if differs(candidate):
                case, smaller = candidate, True
                break
            if tries <= 0:
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Large parts first: what is gone at once need not be taken apart."""
    yield from _without_options(case)
    yield from _without(case, lambda c: c.steps)
    yield from _without(case, lambda c: c.before)
    for n in range(len(case.tables)):
        if len(case.tables) > 1:
            yield _changed(case, lambda c, n=n: c.tables.pop(n))
    for n, table in enumerate(case.tables):
        yield from _without(case, lambda c, n=n: c.tables[n].columns)
        for i, column in enumerate(table.columns):
            if column.default:
                yield _column(case, n, i, default="")
            if column.not_null and column.name not in table.key:
                yield _column(case, n, i, not_null=False)
    for n, step in enumerate(case.steps):
        if len(step) > 1:
            yield from _without(case, lambda c, n=n: c.steps[n])
        for i, change in enumerate(step):
            for name in change.values:
                if len(change.values) > 1:
                    yield _changed(case, lambda c, n=n, i=i, name=name: c.steps[n][i].values.pop(name))
    for i, change in enumerate(case.before):
        for name in change.values:
            if len(change.values) > 1:
                yield _changed(case, lambda c, i=i, name=name: c.before[i].values.pop(name))


def _without_options(case: Case) -> Iterator[Case]:
    if case.config:
        yield _changed(case, lambda c: c.config.clear())
    if "transforms" in case.config:
        yield _changed(case, lambda c: [c.config.pop(k) for k in list(c.config) if k.startswith("transforms")])
    for name in case.config:
        if not name.startswith("transforms"):
            yield _changed(case, lambda c, name=name: c.config.pop(name))


def _without(case: Case, part: Callable[[Case], list]) -> Iterator[Case]:
    """Without the first half, the second half, then each single one."""
    size = len(part(case))
    half = size // 2
    if half > 1:
        yield _changed(case, lambda c: part(c).__delitem__(slice(0, half)))
        yield _changed(case, lambda c: part(c).__delitem__(slice(half, None)))
    for n in reversed(range(size)):
        yield _changed(case, lambda c, n=n: part(c).pop(n))


def _changed(case: Case, change: Callable[[Case], object]) -> Case:
    copy = case.copy()
    change(copy)
    return copy


def _column(case: Case, table: int, index: int, **changes: object) -> Case:
    import dataclasses

    copy = case.copy()
    columns = copy.tables[table].columns
    columns[index] = dataclasses.replace(columns[index], **changes)
    return copy
