"""Changes of one table, reduced by key: what a batch leaves behind, with the records it came from.

The last change of a key wins; an update that does not know all columns is laid over what the batch already
knows of the row. A truncate empties the buffer and is carried out before the rest. Order across keys inside
a batch is not kept: the writer deletes first, then writes, in one transaction.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import msgspec

from pycdc.sinks.changes import Change


class Row(msgspec.Struct):
    """The reduced change of one key. `values` None: delete. `partial`: an UPDATE of these columns alone."""

    key: dict[str, Any] | None
    values: dict[str, Any] | None
    partial: bool
    change: Change


class Buffer:
    """One table's open batch."""

    def __init__(self) -> None:
        self.rows: dict[Hashable, Row] = {}
        self.truncate = False
        #: Changes put in, before reduction.
        self.changes: list[Change] = []

    def __bool__(self) -> bool:
        return bool(self.rows) or self.truncate

    def put(self, change: Change, key_columns: tuple[str, ...]) -> None:
        """Add one change. Without key columns every change is a row of its own."""
        self.changes.append(change)
        if change.truncate:
            self.rows.clear()
            self.truncate = True
            return
        key = change.key if change.key is not None else change.values or {}
        identity: Hashable = tuple(_hashable(key.get(c)) for c in key_columns) if key_columns else len(self.changes)
        row = Row(change.key, change.values, change.partial, change)
        known = self.rows.get(identity)
        if change.partial and known is not None and known.values is not None and change.values is not None:
            row.values = known.values | change.values
            row.partial = known.partial
        # a key that comes again moves behind: dicts keep the first place otherwise
        self.rows.pop(identity, None)
        self.rows[identity] = row


def _hashable(value: Any) -> Hashable:
    return tuple(map(_hashable, value)) if isinstance(value, list) else repr(value) if isinstance(value, dict) else value
