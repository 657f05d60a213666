"""Changes of one table, reduced by key: what a batch leaves behind, with the place each came from.

The last change of a key wins; an update that does not know all columns is laid over what the batch already
knows of the row. A truncate empties the buffer and is carried out before the rest. Order across keys inside
a batch is not kept: the writer deletes first, then writes, in one transaction.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

from pycdc.errors import BadRow
from pycdc.model.change import Changes, Values
from pycdc.plugins.contracts import Written

#: A row as it becomes (None: deleted), the changes it came in and its place in them. A plain tuple: one per row.
Entry = tuple[Values | None, Changes, int]


class Buffer:
    """One table's open batch."""

    __slots__ = ("_names", "changes", "partial", "rows", "truncate")

    def __init__(self) -> None:
        #: By key: whole rows and deletes, and rows known in part. No key is in both.
        self.rows: dict[Hashable, Entry] = {}
        self.partial: dict[Hashable, Entry] = {}
        self.truncate = False
        #: All that was put in, before reduction.
        self.changes: list[Changes] = []
        self._names: list[str] | None = None

    def __bool__(self) -> bool:
        return bool(self.rows) or bool(self.partial) or self.truncate

    def count_into(self, written: Written) -> None:
        """Count what a write of this buffer did."""
        deletes = sum(1 for e in self.rows.values() if e[0] is None)
        written.deletes += deletes
        written.upserts += len(self.rows) + len(self.partial) - deletes

    @property
    def names(self) -> list[str]:
        """Of the rows' columns, in the order in which they come."""
        if self._names is None:
            rows = [e[0] for entries in (self.rows, self.partial) for e in entries.values() if e[0] is not None]
            self._names = list(dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, rows)))))
        return self._names

    def put(self, changes: Changes, key_columns: Sequence[str]) -> None:
        """Add changes. Without key columns every change is a row of its own.

        Raises BadRow when a key lacks a column.
        """
        self._names = None
        if changes.truncate:
            self.changes.append(changes)
            self.rows.clear()
            self.partial.clear()
            self.truncate = True
            return
        keys = self._identities(changes, key_columns)
        self.changes.append(changes)
        entries = zip(changes.rows, repeat(changes), range(len(changes.rows)))
        if changes.partial:
            for key, entry in zip(keys, entries, strict=True):
                self._lay_over(key, entry)
        else:
            self.rows.update(zip(keys, entries, strict=True))
            if self.partial:
                for key in keys:
                    self.partial.pop(key, None)

    def _lay_over(self, key: Hashable, entry: Entry) -> None:
        known = self.rows.get(key)
        whole = known is not None and known[0] is not None
        if known is not None and not whole:
            del self.rows[key]  # deleted, and now something of it again: only the target's row can tell the rest
        base = known if whole else self.partial.get(key)
        if base is not None and base[0] is not None and entry[0] is not None:
            entry = (base[0] | entry[0], entry[1], entry[2])
        (self.rows if whole else self.partial)[key] = entry

    def _identities(self, changes: Changes, key_columns: Sequence[str]) -> list[Hashable]:
        """One per change, equal for changes of the same row."""
        if not key_columns:
            known = len(self.rows) + len(self.partial)
            return [(None, n) for n in range(known, known + len(changes))]  # like no key's values
        rows: Iterable[Any] = changes.keys
        if None in changes.keys:
            rows = [k if k is not None else r for k, r in zip(changes.keys, changes.rows, strict=True)]
        try:
            found = list(map(itemgetter(*key_columns), rows))
        except (KeyError, TypeError):
            found = [_identity(changes, i, key_columns) for i in range(len(changes))]
        try:
            hash(tuple(found))
        except TypeError:
            return [_hashable(f) for f in found]
        return found


def _identity(changes: Changes, index: int, key_columns: Sequence[str]) -> Any:
    """As itemgetter has it, from the key or else the row, naming what is missing."""
    known: Mapping[str, Any] = (changes.rows[index] or {}) | (changes.keys[index] or {})
    missing = [c for c in key_columns if c not in known]
    if missing:
        raise BadRow.of(
            changes.record(index), f"a record lacks the key column {', '.join(missing)}", where=changes.where(index),
            cause="neither its key nor its value has it", hint="look at primary.key.fields (pk.fields) and primary.key.mode (pk.mode)",
        )  # fmt: skip
    return known[key_columns[0]] if len(key_columns) == 1 else tuple(known[c] for c in key_columns)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    return repr(value) if isinstance(value, dict) else value
