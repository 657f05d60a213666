"""Runs of rows -> encoded records: compiled where a template can be traced, readable otherwise.

One encoder serves one task. It keeps a plan per template (by identity, bounded), proves each plan on its
first row by encoding that row both ways, and sends a row that fails in a plan through the readable path,
which is the one place where error texts are made: LSN, table, column and type, never the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, repeat
from typing import Any

import msgspec

from pycdc.errors import RecordError
from pycdc.model.record import Record
from pycdc.model.template import Leaf, NeedsValue, Row, fill, leaves, mapped_leaves
from pycdc.plan.chain import Chain
from pycdc.plan.compiled import Format, Texts
from pycdc.plugins.contracts import Cell, Converter, Framed, HeaderReader, Headers, Piece, Run

_MAX_PLANS = 4096  # templates kept; a database with more live relations re-makes plans, it does not grow


class Encoded(msgspec.Struct):
    """Records of one topic that follow each other. `headers[i]` belongs to `values[i]`."""

    topic: str
    partition: int | None
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers]
    timestamps: Sequence[int | None] | None = None


class Outcome(msgspec.Struct):
    """What encoding did besides bytes, for metrics."""

    nulls_made: int = 0
    plans: int = 0
    readable_rows: int = 0
    mismatches: int = 0
    dropped: int = 0
    #: Records that could not be made and were left out.
    refused: int = 0


class _Plan(msgspec.Struct):
    topic: str
    partition: int | None
    key: Format | None
    value: Format | None
    headers: tuple[tuple[str, Format | None], ...]
    constant_headers: list[tuple[str, bytes | None]] | None
    dropped: bool = False
    proven: bool = False


#: Asked about a value that has no representation: returns what to write instead (None = null) or raises.
Unrepresentable = Callable[[Leaf, Exception, str], Any]


def refuse(leaf: Leaf, error: Exception, where: str) -> Any:
    """event.converting.failure.handling.mode=fail: the row stops the task."""
    raise RecordError(
        "a column's value cannot be converted",
        where=where,
        cause=f"column {leaf.reader.column_name} of type {leaf.reader.type_name}: {type(error).__name__}",
        hint="set event.converting.failure.handling.mode=warn to write null instead",
    ) from error


class Encoder:
    """`encode` turns the runs of a batch into encoded records, in order."""

    def __init__(
        self,
        key: Converter,
        value: Converter,
        header: Converter,
        chain: Chain | None = None,
        *,
        unrepresentable: Unrepresentable = refuse,
        tolerate: Callable[[RecordError], bool] = lambda _error: False,
        report: Callable[[str, str], None] = lambda _event, _detail: None,
    ) -> None:
        self.key, self.value, self.header = key, value, header
        self._header_reader = value if isinstance(value, HeaderReader) and value.reads_headers else None
        self.chain = chain or Chain()
        self.unrepresentable = unrepresentable
        #: Asked about a record that cannot be made: True leaves it out.
        self.tolerate = tolerate
        self.report = report
        self.outcome = Outcome()
        self._plans: dict[int, tuple[Record, _Plan | None]] = {}

    def encode(self, run: Run) -> list[Encoded]:
        """The records of `run`. With several templates the records of one row stand together."""
        if len(run.templates) == 1:
            return self._encode_one(run.templates[0], run)
        parts = [part for t in run.templates if (part := self._encode_one(t, run))]
        if len(parts) < 2:  # the chain dropped the others for every row, as unwrap does with tombstones
            return parts[0] if parts else []
        if all(len(p) == 1 and len(p[0].values) == len(run.rows) for p in parts):
            wholes = [p[0] for p in parts]
            if len({(w.topic, w.partition) for w in wholes}) == 1:
                return [_interleaved(wholes)]
        return self._row_by_row(run)

    def _row_by_row(self, run: Run) -> list[Encoded]:
        """Templates that go to different topics, or are dropped for some rows: order matters per row."""
        return [
            e
            for row in run.rows
            for t in run.templates
            for e in self._encode_one(t, Run((t,), [row], run.where, run.lsn_column))
        ]

    def _encode_one(self, template: Record, run: Run) -> list[Encoded]:
        plan = self._plan(template)
        if plan is None:
            return self._readable(template, run)
        if plan.dropped:
            self.outcome.dropped += len(run.rows)
            return []
        if not plan.proven and not self._prove(template, plan, run):
            return self._readable(template, run)
        try:
            return [_run_plan(plan, run.rows)]
        except Exception:  # a text that cannot be read, a value that cannot be written: the readable path names it
            return self._readable(template, run)

    # ---- plans

    def _plan(self, template: Record) -> _Plan | None:
        known = self._plans.get(id(template))
        if known is not None:
            return known[1]
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        plan = self._compile(template)
        self._plans[id(template)] = (template, plan)  # holds the template, so that its id stays its own
        return plan

    def _compile(self, template: Record) -> _Plan | None:
        """None: the readable path. Errors of transforms and converters surface there, with a row."""
        if not self.chain.moves_only or self._header_reader is not None:
            return None
        try:
            with mapped_leaves() as mapped:
                record = self.chain.apply(template)
            parts = () if record is None else (record.key, record.value, *(h.value for h in record.headers))
            written = {id(leaf) for part in parts for leaf in leaves(part)}
            if any(id(leaf) not in written for leaf in mapped):
                return None  # a change that may fail belongs to a field that is dropped
            if record is None:
                return _Plan("", None, None, None, (), [], dropped=True)
            if record.timestamp is not None:
                return None  # a plan writes the producer's time
            headers = tuple((h.key, self._format(self.header, record.topic, h.schema, h.value)) for h in record.headers)
            plan = _Plan(
                record.topic,
                record.partition,
                self._format(self.key, record.topic, record.key_schema, record.key),
                self._format(self.value, record.topic, record.value_schema, record.value),
                headers,
                _constant(headers),
            )
        except (NeedsValue, RecordError):
            return None
        self.outcome.plans += 1
        return plan

    def _format(self, converter: Converter, topic: str, schema: Any, value: Any) -> Format | None:
        """Raises NeedsValue when a transform put a default for a leaf's NULL and the converter would not."""
        pieces: list[Piece] = []
        written = converter.write(topic, schema, value, pieces)
        if any(leaf.null is not None for leaf in leaves(value)):
            nulls, defaults = (self._shape(converter, topic, schema, _settled(value, use)) for use in (False, True))
            if nulls != defaults:
                raise NeedsValue("a null of a field with a default")
        return Format(pieces) if written else None

    def _shape(self, converter: Converter, topic: str, schema: Any, value: Any) -> list[bytes | int] | None:
        """What is written, each cell by its column."""
        pieces: list[Piece] = []
        if not converter.write(topic, schema, value, pieces):
            return None
        return _outline(pieces)

    def _prove(self, template: Record, plan: _Plan, run: Run) -> bool:
        """The first row of a plan goes both ways; a difference makes the template readable for good."""
        row = run.rows[0]
        try:
            compiled = _run_plan(plan, [row])
        except Exception:  # the row is at fault: the readable path tells, the plan is proven by a later row
            return False
        nulls = self.outcome.nulls_made
        readable = self._record(template, row, run)
        if self.outcome.nulls_made != nulls:
            return False
        if readable is not None and _same(compiled, readable):
            plan.proven = True
            return True
        self.outcome.mismatches += 1
        self.report("plan differs from the readable path; the template is encoded readably", plan.topic)
        self._plans[id(template)] = (template, None)
        return False

    # ---- readable

    def _readable(self, template: Record, run: Run) -> list[Encoded]:
        out = []
        for row in run.rows:
            record = self._record(template, row, run)
            if record is None:
                self.outcome.dropped += 1
            else:
                out.append(record)
        self.outcome.readable_rows += len(run.rows)
        return _joined(out)

    def _record(self, template: Record, row: Row, run: Run) -> Encoded | None:
        where = _where(run, row)

        def on_error(leaf: Leaf, _text: bytes, error: Exception) -> Any:
            value = self.unrepresentable(leaf, error, where)
            self.outcome.nulls_made += 1
            return value

        try:
            record = self.chain.apply(fill(template, row, on_error))
            if record is None:
                return None
            headers = [(h.key, self._bytes(self.header, record.topic, h.schema, h.value)) for h in record.headers]
            return Encoded(
                record.topic,
                record.partition,
                [self._bytes(self.key, record.topic, record.key_schema, record.key)],
                [self._value_bytes(record, headers)],
                [headers],
                None if record.timestamp is None else [record.timestamp],
            )
        except RecordError as error:
            error.where = where
            if not self.tolerate(error):
                raise
            self.outcome.refused += 1
            return None

    def _value_bytes(self, record: Record, headers: Headers) -> bytes | None:
        if self._header_reader is None:
            return self._bytes(self.value, record.topic, record.value_schema, record.value)
        pieces: list[Piece] = []
        if not self._header_reader.write_with_headers(record.topic, headers, record.value_schema, record.value, pieces):
            return None
        return b"".join(p for p in pieces if isinstance(p, bytes))

    def _bytes(self, converter: Converter, topic: str, schema: Any, value: Any) -> bytes | None:
        pieces: list[Piece] = []
        if not converter.write(topic, schema, value, pieces):
            return None
        return b"".join(p for p in pieces if isinstance(p, bytes))


def _settled(value: Any, use: bool) -> Any:
    """`value` with those leaves NULL: None, or with `use` their defaults."""
    if type(value) is Leaf and value.null is not None:
        return value.null if use else None
    if type(value) is dict:
        return {k: _settled(v, use) for k, v in value.items()}
    return [_settled(v, use) for v in value] if type(value) is list else value


def _outline(pieces: Sequence[Piece]) -> list[bytes | int]:
    """Without what cells and frames do with their texts."""
    out: list[bytes | int] = []
    for p in pieces:
        if isinstance(p, Framed):
            out.extend(_outline(p.pieces))
        else:
            out.append(p.column if isinstance(p, Cell) else p)
    return out


def _where(run: Run, row: Row) -> str:
    lsn = row[run.lsn_column] if run.lsn_column >= 0 else None
    return f"{run.where}, LSN {lsn.decode()}" if lsn is not None else run.where


def _constant(headers: tuple[tuple[str, Format | None], ...]) -> list[tuple[str, bytes | None]] | None:
    """The headers themselves when no row changes them, which is the rule: then one list serves all rows."""
    if any(f is not None and f.literal is None for _, f in headers):
        return None
    return [(k, None if f is None else f.literal) for k, f in headers]


def _run_plan(plan: _Plan, rows: Sequence[Row]) -> Encoded:
    count = len(rows)
    columns: list[Texts] = list(zip(*rows, strict=True))
    keys = repeat(None, count) if plan.key is None else plan.key.encode(columns, count)
    values = repeat(None, count) if plan.value is None else plan.value.encode(columns, count)
    headers: Sequence[Headers]
    if plan.constant_headers is not None:
        headers = [plan.constant_headers] * count
    else:
        names = [name for name, _ in plan.headers]
        texts = [repeat(None, count) if f is None else f.encode(columns, count) for _, f in plan.headers]
        headers = [list(zip(names, row, strict=True)) for row in zip(*texts, strict=True)]
    return Encoded(plan.topic, plan.partition, list(keys), list(values), headers)


def _same(a: Encoded, b: Encoded) -> bool:
    return (a.topic, a.partition, list(a.keys), list(a.values)) == (b.topic, b.partition, list(b.keys), list(b.values)) and [
        list(h) for h in a.headers
    ] == [list(h) for h in b.headers]


def _interleaved(parts: list[Encoded]) -> Encoded:
    """Row by row: the first record of each part, then the second of each part, and so on."""
    def mix(columns: list[Sequence[Any]]) -> list[Any]:
        return [item for row in zip(*columns, strict=True) for item in row]

    stamped = any(p.timestamps is not None for p in parts)
    none: list[int | None] = [None] * len(parts[0].values)
    return Encoded(
        parts[0].topic,
        parts[0].partition,
        mix([p.keys for p in parts]),
        mix([p.values for p in parts]),
        mix([p.headers for p in parts]),
        mix([p.timestamps or none for p in parts]) if stamped else None,
    )


def _joined(records: list[Encoded]) -> list[Encoded]:
    """Neighbours of the same topic and partition become one; those with a time of their own stay apart from others."""
    out = []
    for (topic, partition, stamped), group in groupby(records, lambda r: (r.topic, r.partition, r.timestamps is not None)):
        same = list(group)
        out.append(
            Encoded(
                topic, partition,
                [k for r in same for k in r.keys], [v for r in same for v in r.values], [h for r in same for h in r.headers],
                [t for r in same for t in r.timestamps or ()] if stamped else None,
            )
        )  # fmt: skip
    return out
