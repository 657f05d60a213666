"""Payloads of the replication stream -> batches of runs. Sans-IO: time and catalog knowledge come in.

`feed` goes on until it meets a relation that the catalog has not told about yet; the caller looks it up,
calls `know` and feeds the rest. Rows that follow each other and fill the same templates share a run, across
transactions. The loop over messages is the hot path: no struct, no options, no call per column but the split.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from pycdc.debezium.common import (
    collections_text,
    heartbeat,
    message,
    message_collection,
    transaction_begin,
    transaction_end,
)
from pycdc.debezium.envelope import EventSettings, TableEvents, Templates
from pycdc.debezium.offsets import OffsetWriter
from pycdc.debezium.signals import CLOSE
from pycdc.errors import DecodeError
from pycdc.model.table import Table
from pycdc.plugins.contracts import Batch, Offset, Run, Signal
from pycdc.postgres import pgoutput
from pycdc.postgres.pgoutput import EPOCH_US, UNCHANGED, XLOGDATA_HEADER, split_tuple

_XLOGDATA: Final = ord("w")
_KEEPALIVE: Final = ord("k")
_BEGIN, _COMMIT, _ORIGIN, _RELATION = ord("B"), ord("C"), ord("O"), ord("R")
_INSERT, _UPDATE, _DELETE, _TRUNCATE, _MESSAGE, _TYPE = ord("I"), ord("U"), ord("D"), ord("T"), ord("M"), ord("Y")
_NEW, _KEY, _OLD = ord("N"), ord("K"), ord("O")

_uint32 = struct.Struct("!I").unpack_from
_uint64 = struct.Struct("!Q").unpack_from
_begin = struct.Struct("!QqI").unpack_from

#: A signal is the first three columns of its row: id, type, data.
_SIGNAL_WIDTH: Final = 3
#: As many transactions may wait for a synchronous standby, committed in the log and not yet visible.
_PASSED: Final = 8192
#: Of a row that did not come by the stream, bytes; the budget that counts is the encoded one.
_ROW_ESTIMATE: Final = 512

#: commit time ms, us, ns; xid; xmin; origin; its LSN; snapshot; now ms, us, ns: System.TS_MS to System.NOW_NS.
Tail = tuple[bytes | None, ...]


class _Relation:
    """What the loop needs of a relation; templates are None where the operation is skipped."""

    __slots__ = ("delete", "events", "insert", "name", "relation", "signals", "truncate", "update", "width")

    def __init__(
        self, relation: pgoutput.Relation, events: TableEvents | None, skipped: frozenset[str], signal_table: str | None
    ) -> None:
        self.relation = relation
        self.events = events
        self.name = f"{relation.schema}.{relation.name}"
        self.width = len(relation.columns)
        captured = events is not None
        #: Its rows are signals: they take the slower way, which looks at them.
        self.signals = self.name == signal_table and self.width >= _SIGNAL_WIDTH
        self.insert: Templates | None = (
            events.insert() if events is not None and "c" not in skipped and not self.signals else None
        )
        self.update = captured and "u" not in skipped
        self.delete = captured and "d" not in skipped
        self.truncate = captured and "t" not in skipped


class StreamDecoder:
    """Assembles batches; one per replication connection's life."""

    def __init__(
        self,
        settings: EventSettings,
        offsets: OffsetWriter,
        *,
        start: int = 0,
        last_commit: int | None = None,
        binary: str = "bytes",
        heartbeats: bool = False,
        signal_table: str | None = None,
    ) -> None:
        self.settings = settings
        self.offsets = offsets
        self.heartbeats = heartbeats
        #: Set: `feed` stopped behind this signal; to be taken (and set to None) before it goes on.
        self.signal: Signal | None = None
        #: Transactions passed lately, by id.
        self.passed: deque[int] = deque(maxlen=_PASSED)
        self._signal_table = signal_table
        self._observed = (0, 0)
        #: Where the stream begins; the server's first keepalives tell of the slot's restart_lsn, which lies before.
        self._start = start
        #: End of the last commit that was passed; None before the first since a fresh start.
        self.last_commit = last_commit
        #: Set: `feed` stops before the first Begin whose commit is at or beyond it.
        self.stop_at: int | None = None
        self.stopped = False
        #: The relation that `feed` stopped at, to be told by `know`.
        self.unknown: pgoutput.Relation | None = None
        #: The last keepalive's LSN while no transaction was open: everything before it has been fed.
        self.idle_lsn = 0
        self.in_transaction = False
        #: slot's catalog_xmin as text, when it is fetched.
        self.xmin: bytes | None = None
        #: Updates left out because they change nothing.
        self.unchanged = 0
        #: Commit time of the newest transaction that ended in this batch, us; 0 = none did.
        self._passed_us = 0
        self._relations: dict[int, _Relation] = {}
        self._message = message(settings, binary)
        self._heartbeat = heartbeat(settings)
        self._begin_templates = transaction_begin(settings)
        self._end_templates = transaction_end(settings)
        self._metadata = settings.transaction_metadata
        self._runs: list[Run] = []
        self._current: Templates | None = None
        self._rows: list[list[bytes | None]] = []
        self._size = 0
        self._offset: Offset | None = None
        self._begins: list[tuple[int, int, int]] = []
        self._op = ""
        self._lsn = 0
        self._xid = 0
        self._commit_us = 0
        self._tail: Tail = ()
        self._now: Tail = ()
        self._head = b'[null,"'
        self._set_head(last_commit)
        self._origin: tuple[bytes | None, bytes | None] = (None, None)
        self._total = 0
        self._counts: dict[str, int] = {}

    @property
    def xid(self) -> int:
        """Of the transaction being read, or read last; 0 = none yet."""
        return self._xid

    # ---- relations

    def know(self, table: Table | None) -> None:
        """Tell the unknown relation's table (columns as its Relation message has them), None = not captured."""
        assert self.unknown is not None
        events = None if table is None else TableEvents(table, self.settings)
        self._relations[self.unknown.oid] = _Relation(self.unknown, events, self.settings.skipped, self._signal_table)
        self.unknown = None

    def events_of(self, name: str) -> TableEvents | None:
        """The events of the relation schema.table as its last Relation had it."""
        return next((r.events for r in self._relations.values() if r.name == name), None)

    def forget(self) -> None:
        """The catalog changed under us: every relation is looked up again when its Relation comes."""
        self._relations.clear()

    # ---- feeding

    def feed(self, payloads: Sequence[bytes], start: int, now_ns: int) -> int:
        """Take payloads from `start` on; returns the index of the first one not taken.

        It stops early at an unknown relation (`unknown`, itself taken), at a row of the signal table (`signal`, taken)
        and at `stop_at` (`stopped`, not taken).
        Raises DecodeError.
        """
        self._set_now(now_ns)
        relations, metadata = self._relations, self._metadata
        head, tail = self._head, self._tail
        index = start
        for index in range(start, len(payloads)):
            data = payloads[index]
            self._size += len(data)
            if data[0] != _XLOGDATA:
                self._keepalive(data)
                if self.stop_at is not None and not self.in_transaction and self.idle_lsn >= self.stop_at:
                    self.stopped = True
                    return index + 1
                continue
            try:
                kind = data[XLOGDATA_HEADER]
                if kind == _INSERT:
                    relation = relations[_uint32(data, 26)[0]]
                    templates = relation.insert
                    if templates is None:
                        if relation.signals:
                            self._signal_row(data, relation)
                            return index + 1
                        continue
                    row: list[bytes | None] = []
                    if data[30] != _NEW or split_tuple(data, 31, row) != len(data) or len(row) != relation.width:
                        pgoutput.decode(data, XLOGDATA_HEADER)  # names the fault
                        raise DecodeError(where=relation.name, cause="the row does not fit its relation")
                    lsn = b"%d" % _uint64(data, 1)[0]
                    row.append(lsn)
                    row.append(head + lsn + b'"]')
                    row += tail
                    if metadata:
                        self._count(row, lsn, relation.name)
                    if templates is not self._current:
                        self._new_run(templates, relation.name, relation.width)
                    self._rows.append(row)
                    self._op = "c"
                elif kind == _UPDATE:
                    self._update(data, relations[_uint32(data, 26)[0]])
                elif kind == _DELETE:
                    self._delete(data, relations[_uint32(data, 26)[0]])
                    if self.signal is not None:
                        return index + 1
                elif kind == _BEGIN:
                    if self.stop_at is not None and _uint64(data, 26)[0] >= self.stop_at:
                        self._size -= len(data)
                        self.stopped = True
                        return index
                    self._begin(data)
                    head, tail = self._head, self._tail
                elif kind == _COMMIT:
                    self._commit(data)
                    head, tail = self._head, self._tail
                else:
                    self._rare(kind, data)
                    head, tail = self._head, self._tail
                    if self.unknown is not None:
                        return index + 1
            except (KeyError, IndexError, struct.error) as error:
                pgoutput.decode(data, XLOGDATA_HEADER)
                raise DecodeError(cause=f"a change of a relation that was never described: {error}") from None
        return len(payloads)

    def _keepalive(self, data: bytes) -> None:
        if data[0] != _KEEPALIVE or len(data) < 9:
            raise DecodeError(cause=f"unknown replication message {data[:1]!r}")
        lsn = _uint64(data, 1)[0]
        if not self.in_transaction and lsn >= self._start:
            self.idle_lsn = lsn

    def _rare(self, kind: int, data: bytes) -> None:
        parsed = pgoutput.decode(data, XLOGDATA_HEADER)
        if isinstance(parsed, pgoutput.Relation):
            # Sent once per connection and after any invalidation. Equal columns prove nothing about defaults
            # and keys: those are looked up whenever a Relation comes, as Debezium does.
            self.unknown = parsed
        elif isinstance(parsed, pgoutput.Origin):
            self._origin = (parsed.name.encode(), b"%d" % parsed.lsn)
            self._make_tail()
        elif isinstance(parsed, pgoutput.Truncate):
            self._truncate(data, parsed)
        elif isinstance(parsed, pgoutput.LogicalMessage):
            self._logical_message(data, parsed)

    # ---- transactions

    def _set_now(self, now_ns: int) -> None:
        self._now = (b"%d" % (now_ns // 1_000_000), b"%d" % (now_ns // 1000), b"%d" % now_ns)
        self._make_tail()

    def _make_tail(self) -> None:
        us = self._commit_us
        xid = b"%d" % self._xid if self.in_transaction else None
        self._tail = (
            b"%d" % (us // 1000), b"%d" % us, b"%d" % (us * 1000), xid, self.xmin, *self._origin, None, *self._now,
        )  # fmt: skip

    def _set_head(self, last_commit: int | None) -> None:
        self._head = b'[null,"' if last_commit is None else b'["%d","' % last_commit

    def _begin(self, data: bytes) -> None:
        commit, ts, self._xid = _begin(data, 26)
        self.passed.append(self._xid)
        self._begins.append((len(self._runs) - 1, len(self._rows), commit))
        self._commit_us = ts + EPOCH_US
        self.in_transaction = True
        self._make_tail()
        if self._metadata:
            self._total = 0
            self._counts = {}
            self._boundary(self._begin_templates, _uint64(data, 1)[0])

    def _commit(self, data: bytes) -> None:
        end = _uint64(data, 35)[0]  # after flags and the commit record's own LSN
        self.last_commit = end
        self._set_head(end)
        if self._metadata:
            self._boundary(self._end_templates, _uint64(data, 1)[0], b"%d" % self._total, collections_text(self._counts))
        if self._op:
            self.offsets.event(self._op)
            self._op = ""
        self._offset = self.offsets.commit(
            end, self._xid, self._commit_us,
            xmin=int(self.xmin) if self.xmin is not None else None,
            counts=dict(self._counts) if self._metadata else None,
        )  # fmt: skip
        self._passed_us = self._commit_us
        self.in_transaction = False
        self._origin = (None, None)

    def _boundary(self, templates: Templates, lsn: int, *more: bytes) -> None:
        ms = b"%d" % (self._commit_us // 1000)
        self._new_run(templates, "transaction", -1)
        self._rows.append([b"%d:%d" % (self._xid, lsn), ms, *more])

    def _count(self, row: list[bytes | None], lsn: bytes, name: str, *, twice: bool = False) -> None:
        """Transaction metadata: the event's place in its transaction, twice for a key change."""
        n = self._counts.get(name, 0) + 1
        self._total += 1
        row += (b"%d:%b" % (self._xid, lsn), b"%d" % self._total, b"%d" % n)
        if twice:
            n += 1
            self._total += 1
            row += (b"%d" % self._total, b"%d" % n)
        self._counts[name] = n

    # ---- rows

    def _new_run(self, templates: Templates, where: str, lsn_column: int) -> None:
        run = Run(templates, [], where, lsn_column)
        self._runs.append(run)
        self._current = templates
        self._rows = run.rows  # type: ignore[assignment]

    def _emit(
        self, templates: Templates, row: list[bytes | None], data: bytes, name: str, base: int, *, twice: bool = False
    ) -> None:
        lsn = b"%d" % _uint64(data, 1)[0]
        row.append(lsn)
        row.append(self._head + lsn + b'"]')
        row += self._tail
        if self._metadata:
            self._count(row, lsn, name, twice=twice)
        if templates is not self._current:
            self._new_run(templates, name, base)
        self._rows.append(row)

    def _update(self, data: bytes, relation: _Relation) -> None:
        events = relation.events
        if events is None:
            return
        kind, pos = data[30], 31
        old_row: list[bytes | None] = []
        old = ""
        if kind in (_KEY, _OLD):
            old = chr(kind)
            pos = split_tuple(data, pos, old_row)
            kind, pos = data[pos], pos + 1
        row: list[bytes | None] = []
        if kind != _NEW or split_tuple(data, pos, row) != len(data) or len(row) != relation.width:
            pgoutput.decode(data, XLOGDATA_HEADER)
            raise DecodeError(where=relation.name, cause="the row does not fit its relation")
        unavailable: frozenset[int] = frozenset()
        if UNCHANGED in row:
            unavailable = self._fill_unchanged(row, old_row, old)
        if old == "O" and self.settings.skip_unchanged and events.unchanged(row, old_row):
            self.unchanged += 1
            return
        changed = bool(old) and events.key_changed(row, old_row, old)
        row += old_row
        base = relation.width * 2 if old else relation.width
        if changed:
            # these are a delete and a create: skipped.operations looks at them, not at the update
            templates = events.key_change(old, unavailable)
            if templates:
                both = not self.settings.skipped & {"c", "d"}
                self._op = "u"
                self._emit(templates, row, data, relation.name, base, twice=both)
        elif relation.update:
            self._op = "u"
            self._emit(events.update(old, unavailable), row, data, relation.name, base)

    @staticmethod
    def _fill_unchanged(row: list[bytes | None], old_row: list[bytes | None], old: str) -> frozenset[int]:
        """Take unchanged TOAST values from the old image where it has them; returns the places still unknown."""
        missing = []
        for i, text in enumerate(row):
            if text is UNCHANGED:
                # a key image holds only its key columns, whose value is never null
                if old == "O" or (old and old_row[i] is not None):
                    row[i] = old_row[i]
                else:
                    row[i] = None
                    missing.append(i)
        return frozenset(missing)

    def _delete(self, data: bytes, relation: _Relation) -> None:
        events = relation.events
        if events is None or not (relation.delete or relation.signals):
            return
        row: list[bytes | None] = []
        if split_tuple(data, 31, row) != len(data) or len(row) != relation.width or data[30] not in (_KEY, _OLD):
            pgoutput.decode(data, XLOGDATA_HEADER)
            raise DecodeError(where=relation.name, cause="the row does not fit its relation")
        identity = row[0]
        if relation.delete:
            self._op = "d"
            self._emit(events.delete(chr(data[30])), row, data, relation.name, relation.width)
        if relation.signals and identity is not None and identity.endswith(b"-open"):
            # incremental.snapshot.watermarking.strategy=insert_delete
            self._lsn = _uint64(data, 1)[0]
            self.signal = Signal(identity.decode().removesuffix("-open") + "-close", CLOSE)

    def _signal_row(self, data: bytes, relation: _Relation) -> None:
        """An insert into the signal table: an event like any other, and a signal by its first three columns."""
        row: list[bytes | None] = []
        if data[30] != _NEW or split_tuple(data, 31, row) != len(data) or len(row) != relation.width:
            pgoutput.decode(data, XLOGDATA_HEADER)
            raise DecodeError(where=relation.name, cause="the row does not fit its relation")
        self._lsn = _uint64(data, 1)[0]
        identity, kind, text = (None if t is None else t.decode() for t in row[:_SIGNAL_WIDTH])
        if relation.events is not None and "c" not in self.settings.skipped:
            self._op = "c"
            self._emit(relation.events.insert(), row, data, relation.name, relation.width)
        if identity is not None and kind is not None:
            self.signal = Signal(identity, kind, text)

    def _truncate(self, data: bytes, parsed: pgoutput.Truncate) -> None:
        for oid in parsed.oids:
            relation = self._relations[oid]
            if relation.events is not None and relation.truncate:
                self._op = "t"
                self._emit(relation.events.truncate(), [], data, relation.name, 0)

    def _logical_message(self, data: bytes, parsed: pgoutput.LogicalMessage) -> None:
        lsn = _uint64(data, 1)[0]
        if not parsed.transactional:
            # it stands alone: position and sequence move to it at once
            self.last_commit = lsn
            self._set_head(lsn)
        if not self.settings.filters.message(parsed.prefix):
            return
        row: list[bytes | None] = [parsed.prefix.encode(), parsed.content]
        if parsed.transactional:
            self._op = "m"
            self._emit((self._message[0],), row, data, message_collection(self._total + 1), 2)
            return
        tail, metadata = self._tail, self._metadata
        now_ms = int(self._now[0] or 0)
        self._tail = (b"%d" % now_ms, b"%d" % (now_ms * 1000), b"%d" % (now_ms * 1_000_000), None, *tail[4:])
        self._metadata = False
        self._emit((self._message[1],), row, data, "", 2)
        self._tail, self._metadata = tail, metadata
        self.offsets.event("m")
        if not self.in_transaction:
            self._offset = self.offsets.at(lsn)

    # ---- what comes out

    def beat(self, now_ns: int) -> None:
        """Add a heartbeat; its offset is the newest commit border."""
        self._new_run(self._heartbeat, "heartbeat", -1)
        self._rows.append([b"%d" % (now_ns // 1_000_000)])
        self._current = None

    def idle(self) -> None:
        """Let the batch carry the last keepalive's LSN; nothing that was fed before it is open."""
        if not self.in_transaction and self.idle_lsn > (self.last_commit or 0):
            self._offset = self.offsets.at(self.idle_lsn)

    def observe(self, observer: Callable[[Run, int], None]) -> None:
        """Show what was fed since the last call: each run, and from which of its rows on."""
        first, start = self._observed
        for run in self._runs[first:]:
            observer(run, start)
            start = 0
        self._observed = (max(len(self._runs) - 1, 0), len(self._rows))

    def insert_rows(self, templates: Templates, rows: Sequence[Sequence[bytes | None]], where: str, base: int, now_ns: int) -> None:
        """Rows of an incremental snapshot's chunk, here in the stream. Outside a transaction the batch gets an offset."""
        if rows:
            now = (b"%d" % (now_ns // 1_000_000), b"%d" % (now_ns // 1000), b"%d" % now_ns)
            lsn = self._lsn if self.in_transaction else max(self.last_commit or 0, self.idle_lsn)
            system = (None, self._head + b'%d"]' % lsn, *now, None, None, None, None, b"incremental", *now)
            self._new_run(templates, where, base)
            self._rows.extend([*row, *system] for row in rows)
            self._current = None
            self._size += _ROW_ESTIMATE * len(rows)
        if not self.in_transaction:
            self._offset = self.offsets.at(max(self.last_commit or 0, self.idle_lsn))

    def take(self) -> Batch:
        """The runs so far; the next `feed` begins new ones."""
        newest_us = self._commit_us if self.in_transaction else self._passed_us
        self._passed_us = 0
        batch = Batch(self._runs, self._offset, 0, self._size, newest_us, self._begins)
        self._runs, self._rows, self._offset, self._size, self._current, self._begins = [], [], None, 0, None, []
        self._observed = (0, 0)
        return batch
