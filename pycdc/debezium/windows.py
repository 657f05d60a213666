"""The state of an incremental snapshot, and the window in which stream and chunk overlap (DBLog's algorithm).

A chunk is read while the stream goes on. Its rows are published at a later point of the stream, its high
watermark, but for those that a newer change would be overtaken by: a change inside the window, or of a
transaction that the chunk's query did not see. Of the latter some may lie, in the log, even before the window:
a commit is written before it becomes visible (with synchronous replication long before). A chunk that did not
see a transaction which the stream has passed already is not used (`Visibility.missed`); Debezium has that gap.
Keys are compared as PostgreSQL prints them. No sockets, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import orjson

from pycdc.debezium.source import System
from pycdc.model.envelope import DELETE
from pycdc.model.table import Table
from pycdc.model.template import Row
from pycdc.plugins.contracts import Offset, Run

#: Our own key in the offset: everything, the keys as texts.
STATE_KEY: Final = "pycdc_incremental_snapshot"
#: Debezium's keys. The positions are serialized Java objects there; without them Debezium, after us, reads the
#: table from its start, and we, after Debezium, do the same.
_COLLECTIONS: Final = "incremental_snapshot_collections"
_CORRELATION: Final = "incremental_snapshot_correlation_id"

#: The texts of a key.
Key = tuple[bytes | None, ...]


class Collection(msgspec.Struct):
    """A table that is to be read. `condition` is SQL for WHERE."""

    table: str
    condition: str | None = None
    surrogate_key: str | None = None
    signal: str | None = None


class IncrementalState(msgspec.Struct):
    """What an incremental snapshot has still to do; the first collection is the one being read."""

    collections: list[Collection] = []
    #: Id of the signal that came last; notifications carry it.
    correlation: str | None = None
    #: Key of the last row published, and the table's highest when its reading began; None = not yet.
    last: list[str | None] | None = None
    maximum: list[str | None] | None = None
    rows: int = 0
    paused: bool = False

    @property
    def running(self) -> bool:
        return bool(self.collections)

    def next_table(self) -> None:
        """The first collection is done."""
        del self.collections[0]
        self.last = self.maximum = None
        self.rows = 0

    def to_offset(self) -> Offset:
        """The keys that go into the source offset; none when nothing is left to do."""
        if not self.running:
            return {}
        listed = [
            {f"{_COLLECTIONS}_id": c.table, f"{_COLLECTIONS}_additional_condition": c.condition,
             f"{_COLLECTIONS}_surrogate_key": c.surrogate_key, f"{_COLLECTIONS}_correlation_id": c.signal}
            for c in self.collections
        ]  # fmt: skip
        return {
            _COLLECTIONS: orjson.dumps(listed).decode(), _CORRELATION: self.correlation,
            STATE_KEY: msgspec.json.encode(self).decode(),
        }  # fmt: skip


def incremental_state(offset: Offset | None) -> IncrementalState:
    """What a stored offset says, whether we or Debezium wrote it. What cannot be read begins anew, empty."""
    offset = offset or {}
    try:
        if STATE_KEY in offset:
            return msgspec.json.decode(offset[STATE_KEY], type=IncrementalState)
        if _COLLECTIONS in offset:
            listed: list[dict[str, Any]] = orjson.loads(offset[_COLLECTIONS])
            collections = [
                Collection(
                    c[f"{_COLLECTIONS}_id"], c.get(f"{_COLLECTIONS}_additional_condition") or None,
                    c.get(f"{_COLLECTIONS}_surrogate_key") or None, c.get(f"{_COLLECTIONS}_correlation_id"),
                )
                for c in listed
            ]  # fmt: skip
            return IncrementalState(collections=collections, correlation=offset.get(_CORRELATION))
    except (msgspec.MsgspecError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        pass
    return IncrementalState()


class Visibility:
    """Which transactions a query saw, from the text of txid_current_snapshot(): `xmin:xmax:xip,...`."""

    def __init__(self, text: str) -> None:
        _low, high, running = text.split(":")
        self._xmax = int(high)
        self._running = frozenset(map(int, filter(None, running.split(","))))

    def saw(self, xid: int) -> bool:
        """`xid` without epoch, as the stream has it: the one nearest to the query's moment is meant."""
        full = self._xmax - ((self._xmax - xid + (1 << 31)) % (1 << 32)) + (1 << 31)
        return full < self._xmax and full not in self._running

    def missed(self, passed: Iterable[int]) -> bool:
        """Whether one of the `passed` transactions was still invisible."""
        return not all(map(self.saw, passed))


class Window:
    """One chunk on its way into the stream, from the moment before it is read.

    `keys` are places in the table's row by which rows are told apart, `fields` the names of its captured columns.
    """

    def __init__(self, table: Table, keys: Sequence[int], fields: Sequence[str]) -> None:
        self.table = table.id
        self.keys = tuple(keys)
        self._width = len(table.columns)
        self._fields = tuple(fields)
        #: Old images hold the whole row, so that a null there is a null.
        self._whole_images = table.replica_identity == "f"
        self._required = all(not table.columns[k].nullable for k in keys)
        #: The stream is between the low and the high watermark.
        self.open = False
        #: Changes: transaction, whether inside the window, and the key, None where it cannot be told.
        self._seen: list[tuple[int, bool, Key | None]] = []

    def key(self, row: Row) -> Key:
        """What tells a row of a chunk from others."""
        return tuple(row[k] for k in self.keys)

    def observe(self, run: Run, start: int = 0) -> None:
        """Remember the changes of `run` from row `start` on, if they are the table's."""
        if run.where != self.table:
            return
        base = run.lsn_column
        known = base in (self._width, 2 * self._width) and self._same_fields(run)
        for row in run.rows[start:]:
            xid = int(row[base + System.TX_ID] or 0)
            if not known:
                self._remember(xid, None)
                continue
            streamed_old = base == self._width and run.templates[0].value["op"] == DELETE
            self._remember(xid, self._checked(self.key(row), old=streamed_old))
            if base == 2 * self._width:
                self._remember(xid, self._checked(tuple(row[base // 2 + k] for k in self.keys), old=True))

    def _remember(self, xid: int, key: Key | None) -> None:
        self._seen.append((xid, self.open, key))

    def _checked(self, key: Key, *, old: bool) -> Key | None:
        """None when a text is missing because the image does not hold it."""
        unknown = None in key and (self._required or (old and not self._whole_images))
        return None if unknown else key

    def _same_fields(self, run: Run) -> bool:
        """Whether the stream's rows have the columns that the chunk's have: a table may change meanwhile."""
        schema = next((t.value_schema for t in run.templates if t.value_schema is not None), None)
        row = None if schema is None else schema.field("after")
        return row is not None and tuple(f.name for f in row.fields) == self._fields

    def close(self, rows: Iterable[Row], visibility: Visibility) -> list[Row] | None:
        """The high watermark has come: the rows to publish. None = the chunk has to be read again."""
        taken = {key for xid, inside, key in self._seen if inside or not visibility.saw(xid)}
        if None in taken:
            return None
        return [row for row in rows if self.key(row) not in taken]
