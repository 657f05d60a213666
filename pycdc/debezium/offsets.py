"""The source offset, in Debezium's keys, so that a connector moves between Debezium and pycdc either way.

A position is only ever written at a commit border, where lsn, lsn_proc and lsn_commit are the same: Debezium
after us finds nothing half done. Offsets that Debezium left inside a transaction resume at its last commit.
While a snapshot is under way the offset also holds `snapshot`, `snapshot_completed` and one extra string
key, `pycdc_snapshot`. Source: DESIGN rules 2, 3 and 6 in docs/guarantees.md; Debezium's PostgresOffsetContext.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from pycdc.debezium.windows import incremental_state
from pycdc.errors import PycdcError
from pycdc.plugins.contracts import Offset

SNAPSHOT_KEY: Final = "pycdc_snapshot"
_MESSAGE_TYPE: Final = {"c": "INSERT", "u": "UPDATE", "d": "DELETE", "t": "TRUNCATE", "m": "MESSAGE"}


class OffsetError(PycdcError):
    """The stored offset cannot be read."""


class SnapshotState(msgspec.Struct):
    """What an unfinished snapshot has done. `tables` are the finished ones, as `schema.table`."""

    slot: str
    system: str
    timeline: int
    tables: list[str] = msgspec.field(default_factory=list)
    #: Of a blocking snapshot: the tables that were asked for, with a SELECT of their own or null.
    only: dict[str, str | None] | None = None


def position(offset: Offset) -> int | None:
    """Where streaming resumes: the last commit, else the last processed LSN. None when there is neither.

    Raises OffsetError when a value is not a number.
    """
    for key in ("lsn_commit", "lsn_proc", "lsn"):
        value = offset.get(key)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool):
                raise OffsetError(where=f"key {key}", cause=f"a number is due, not {type(value).__name__}")
            return value & 0xFFFFFFFFFFFFFFFF  # Java has no unsigned long
    return None


def last_commit(offset: Offset | None) -> int | None:
    """The commit that lies before the position, for `source.sequence`. None when none was passed since the snapshot.

    An idle offset says lsn_commit too; what it does not say before the first commit is messageType.
    """
    if offset is None or not offset.get("lsn_commit") or not offset.get("messageType"):
        return None
    return position(offset)


def reached(offset: Offset) -> int | None:
    """The highest LSN that the writer of `offset` had seen: a slot beyond it has skipped something."""
    values = [v for k in ("lsn", "lsn_proc", "lsn_commit") if isinstance(v := offset.get(k), int)]
    return max(values, default=None)


def snapshot_done(offset: Offset) -> bool:
    """Debezium's rule: `snapshot` absent, or snapshot_completed true (also as text).

    A blocking or incremental one that Debezium left is none of the tables' first: streaming goes on.
    """
    kind = offset.get("snapshot")
    if not kind or (str(kind).upper() in ("BLOCKING", "INCREMENTAL") and SNAPSHOT_KEY not in offset):
        return True
    return str(offset.get("snapshot_completed", "false")).lower() == "true"


def snapshot_state(offset: Offset) -> SnapshotState | None:
    """What our own unfinished snapshot left; None when there is none or Debezium wrote the offset."""
    text = offset.get(SNAPSHOT_KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=SnapshotState)
    except (msgspec.DecodeError, TypeError) as error:
        raise OffsetError(where=f"key {SNAPSHOT_KEY}", cause=str(error)) from None


class OffsetWriter:
    """Builds offsets from what the stream passes; keeps the fields that a later idle offset repeats."""

    def __init__(self, loaded: Offset | None = None) -> None:
        loaded = loaded or {}
        self._message_type: str | None = loaded.get("messageType")
        self._tx_id: int | None = loaded.get("txId")
        self._ts_us: int | None = loaded.get("ts_usec")
        self._xmin: int | None = None
        self._transaction: dict[str, Any] = {}
        #: Kept in every offset until the snapshot is done.
        self.snapshot: SnapshotState | None = None
        #: Kept in every offset while it runs.
        self.incremental = incremental_state(loaded)

    @property
    def last_xid(self) -> int | None:
        """Of the newest transaction passed."""
        return self._tx_id

    def event(self, op: str) -> None:
        """An event of this kind was published."""
        self._message_type = _MESSAGE_TYPE[op]

    def at(self, lsn: int) -> Offset:
        """The offset at a commit border, or at a keepalive's LSN when idle."""
        offset: Offset = {"lsn_proc": lsn}
        if self._xmin is not None:
            offset["xmin"] = self._xmin
        if self._message_type is not None:
            offset["messageType"] = self._message_type
        offset["lsn_commit"] = lsn
        offset["lsn"] = lsn
        if self._tx_id is not None:
            offset["txId"] = self._tx_id
        offset |= self._transaction
        if self._ts_us is not None:
            offset["ts_usec"] = self._ts_us
        if self.incremental.running:
            offset |= self.incremental.to_offset()
        return self._with_snapshot(offset)

    def commit(
        self, lsn: int, xid: int, ts_us: int, *, xmin: int | None = None, counts: dict[str, int] | None = None,
        committed: bool = False,
    ) -> Offset:  # fmt: skip
        """The offset behind a commit. `counts` (per table) only with transaction metadata."""
        self._tx_id, self._ts_us, self._xmin = xid, ts_us, xmin
        if counts is not None:
            self._transaction = {"transaction_id": str(xid)}
            self._transaction |= {f"transaction_data_collection_order_{t}": n for t, n in counts.items()}
        if counts is not None or committed or self._message_type is None:
            self._message_type = "COMMIT"
        return self.at(lsn)

    def snapshot_start(self, lsn: int, xid: int | None, ts_us: int, state: SnapshotState) -> Offset:
        """Written and durable before the first snapshot row is published."""
        self._tx_id, self._ts_us, self.snapshot = xid, ts_us, state
        return self.at(lsn)

    def snapshot_end(self, lsn: int) -> Offset:
        """All tables are read. What Debezium leaves until its first streamed event."""
        blocking = self.snapshot is not None and self.snapshot.only is not None
        self.snapshot = None
        if blocking:
            return self.at(lsn)
        offset: Offset = {"last_snapshot_record": True, "lsn": lsn}
        if self._tx_id is not None:
            offset["txId"] = self._tx_id
        if self._ts_us is not None:
            offset["ts_usec"] = self._ts_us
        return offset | {"snapshot": "INITIAL", "snapshot_completed": True}

    def _with_snapshot(self, offset: Offset) -> Offset:
        if self.snapshot is None:
            return offset
        return offset | {
            "snapshot": "INITIAL" if self.snapshot.only is None else "BLOCKING",
            "snapshot_completed": False,
            SNAPSHOT_KEY: orjson.dumps(msgspec.to_builtins(self.snapshot)).decode(),
        }
