"""A buffer -> what is loaded: whole rows, rows known in part, keys of deleted rows, as the target wants them.

Two marks in rows are no columns: `__op` (0 upsert, 1 delete), as StarRocks' own transform writes it, and `__deleted`,
as ExtractNewRecordState does, unless the table has a column of that name.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from pycdc.errors import BadRow, SinkError
from pycdc.model.change import Changes, Values
from pycdc.sinks.buffer import Buffer, Entry
from pycdc.sinks.lines import Part, alike, by, part_of, with_key
from pycdc.sinks.starrocks.catalog import Target

_OP: Final = "__op"
_DELETED: Final = "__deleted"


#: Topic, partition and offset.
RecordPlace = tuple[str, int | None, int]


class BadRows(Exception):
    """Rows that cannot be written; what each error tells is its own."""

    def __init__(self, errors: Sequence[BadRow]) -> None:
        super().__init__(f"{len(errors)} rows cannot be written")
        self.errors = errors


class Sorted(msgspec.Struct):
    """Parts of one table's write; no row is in two of them."""

    whole: list[Part]
    partial: list[Part]
    deletes: list[Part]


def marks_of(target: Target | None) -> frozenset[str]:
    """Names that rows may have and that are no columns of the table."""
    return frozenset(m for m in (_OP, _DELETED) if target is None or target.column(m) is None)


def sort(buffer: Buffer, target: Target, *, deletes: bool) -> Sorted:
    """Raises BadRow for a delete without key, SinkError for what the table cannot take."""
    marks = marks_of(target)
    if target.primary_key and marks.isdisjoint(buffer.names):  # a table without one has also rows that the buffer has reduced
        marks = frozenset()
    entries, gone = _unmarked(_reduced(buffer, target), marks)
    partial, partly_gone = _unmarked([with_key(e) for e in buffer.partial.values()], marks)
    gone += partly_gone
    if not target.primary_key and (partial or (gone and deletes)):
        _, changes, index = (partial or gone)[0]
        raise SinkError(
            f"{target.name} is no PRIMARY KEY table", where=changes.where(index), cause="rows can only be appended to it, and this one is deleted or changed",
            hint=f"make {target.name} anew with PRIMARY KEY (...), or set delete.enabled=false",
        )  # fmt: skip
    return Sorted(alike(entries), alike(partial), _keys(gone, target) if deletes else [])


def _reduced(buffer: Buffer, target: Target) -> Sequence[Entry]:
    """Rows as the table takes them: to one without primary key all are appended; records without key, which the buffer
    does not reduce, are reduced by the table's.
    """
    key = target.primary_key
    if not key:
        return [(row, c, i) for c in _since_truncate(buffer.changes) if not c.partial for i, row in enumerate(c.rows)]
    entries = list(buffer.rows.values())
    if any(c.key_columns for c in buffer.changes):
        return entries
    names = {n.lower(): n for n in next((e[0] for e in entries if e[0] is not None), {})}
    if not all(k in names for k in key):
        return entries
    found: dict[Hashable, Entry] = {}
    for entry in entries:
        row = entry[0] or {}
        found[tuple(repr(row.get(names[k])) for k in key)] = entry
    return list(found.values())


def _since_truncate(changes: Sequence[Changes]) -> Sequence[Changes]:
    last = max((n for n, c in enumerate(changes) if c.truncate), default=-1)
    return changes[last + 1 :]


def without(buffer: Buffer, records: Iterable[RecordPlace]) -> Buffer:
    """The buffer as it were if these records had not come: an earlier change of a row then counts again."""
    left_out = set(records)
    rest = Buffer()
    for c in buffer.changes:
        kept = [i for i in range(len(c)) if c.record(i) not in left_out]
        if kept or c.truncate:
            rest.put(c if len(kept) == len(c) else c.pick(kept), c.key_columns)
    rest.truncate = buffer.truncate  # it may have been carried out
    return rest


def _unmarked(entries: Sequence[Entry], marks: frozenset[str]) -> tuple[Sequence[Entry], list[Entry]]:
    """Rows without marks, and deletes: the latter as keys, or as rows that hold the key."""
    kept: list[Entry] = []
    gone: list[Entry] = []
    if not marks and all(e[0] is not None for e in entries):
        return entries, gone
    for entry in entries:
        row, changes, index = entry
        if row is None:
            gone.append((changes.keys[index], changes, index))
        elif marks.isdisjoint(row):
            kept.append(entry)
        elif _is_deleted(row):
            gone.append((changes.keys[index] or row, changes, index))
        else:
            kept.append(({k: v for k, v in row.items() if k not in marks}, changes, index))
    return kept, gone


def _is_deleted(row: Values) -> bool:
    """StarRocks' own mark comes first: a row that has both means it."""
    if _OP in row:
        return str(row[_OP]).lower() in ("1", "delete")
    return str(row.get(_DELETED)).lower() == "true"


def _keys(gone: Sequence[Entry], target: Target) -> list[Part]:
    """Keys of deleted rows in columns, in the order of the table's key."""
    parts = []
    for schema, same in by(gone, lambda e: e[1].key_schema if e[0] is e[1].keys[e[2]] else e[1].row_schema):
        names = _names(same[0][0], target, same)
        keys: list[Values] = [e[0] or {} for e in same]
        try:
            parts.append(part_of(names, keys, same, schema))
        except KeyError:
            raise next(_without_key(e, target) for e in same if not all(n in (e[0] or {}) for n in names)) from None
    return parts


def _names(key: Mapping[str, Any] | None, target: Target, same: Sequence[Entry]) -> tuple[str, ...]:
    """The record's own names of the table's key columns."""
    known = {n.lower(): n for n in key or {}}
    if not all(k in known for k in target.primary_key):
        raise _without_key(same[0], target)
    return tuple(known[k] for k in target.primary_key)


def _without_key(entry: Entry, target: Target) -> BadRow:
    key, changes, index = entry
    known = {n.lower() for n in key or {}}
    absent = [target.columns[k].name for k in target.primary_key if k not in known]
    return BadRow.of(
        changes.record(index), f"a delete does not tell the key of {target.name}", where=changes.where(index), cause=f"it lacks {', '.join(absent)}",
        hint="the key of the records must hold the table's primary key: message.key.columns at the source",
    )  # fmt: skip
