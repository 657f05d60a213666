"""Records -> changes of rows: Debezium envelopes and unwrapped records alike.

A change names its table by the record's topic and source block, its row by the key, and carries the values
of the row; columns whose value is not known (unchanged TOAST) are simply not among them, so that no writer
can take a placeholder for a value. Heartbeats, transaction records and the like are no changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from pycdc.errors import BadRow
from pycdc.model.change import Changes, Values, place
from pycdc.model.envelope import (
    AFTER,
    BEFORE,
    CREATE,
    DELETE,
    HEADER_UNAVAILABLE,
    OP,
    PLACEHOLDER,
    READ,
    SOURCE,
    TRUNCATE,
    UPDATE,
)
from pycdc.model.record import Record
from pycdc.model.schema import Schema

_UNAVAILABLE: Final = (PLACEHOLDER, PLACEHOLDER.encode(), [PLACEHOLDER], [PLACEHOLDER.encode()])
_COMPOUND: Final = frozenset((list, bytes))
_ROW_OPS: Final = frozenset((CREATE, READ, UPDATE, DELETE, TRUNCATE))


class _Change(msgspec.Struct):
    """One record's. `values` None: the row is deleted. `partial`: not all columns are known."""

    record: Record
    source: dict[str, Any]
    key_schema: Schema | None
    key: Values | None
    values: Values | None
    row_schema: Schema | None
    partial: bool = False
    truncate: bool = False
    #: Of an envelope.
    op: str = ""
    before: Values | None = None


#: A record's key and its schema. Raises BadRow.
KeyOf = Callable[[Record], tuple[Schema | None, Values | None]]


def changes_of(records: Iterable[Record], key_of: KeyOf | None = None) -> Iterator[Changes]:
    """What `records` stand for, in order; neighbours of a kind together. Raises BadRow when one is no struct."""
    for _, group in groupby(_single(records, key_of or record_key), _kind):
        same = list(group)
        first = same[0]
        yield Changes(
            first.record.topic, first.source, first.key_schema, first.row_schema, [c.key for c in same],
            [] if first.truncate else [c.values for c in same], first.record.partition, [c.record.offset for c in same],
            first.partial, first.truncate, *_images(same),
        )  # fmt: skip


def _images(same: Sequence[_Change]) -> tuple[Sequence[str], Sequence[Values | None]]:
    """Ops and rows before, where the records are envelopes."""
    if not same[0].op or same[0].truncate:
        return (), ()
    return [c.op for c in same], [c.before for c in same] if any(c.before is not None for c in same) else ()


def _single(records: Iterable[Record], key_of: KeyOf) -> Iterator[_Change]:
    """Change by change. The tombstone right behind its delete is left out: it would part the neighbours."""
    last: _Change | None = None
    for record in records:
        change = _change_of(record, key_of)
        if change is None:
            continue
        if record.value is None and last is not None and last.values is None and (last.record.topic, last.key) == (record.topic, change.key):
            continue
        last = change
        yield change


def _kind(change: _Change) -> tuple[Any, ...]:
    """What changes must share to stand together."""
    r, s = change.record, change.source
    table = (r.topic, r.partition, s.get("db"), s.get("schema"), s.get("table"))
    return (*table, id(change.key_schema), id(change.row_schema), change.partial, change.truncate, bool(change.op))


def _change_of(record: Record, key_of: KeyOf) -> _Change | None:
    """None when it is no change, or repeats one (a tombstone behind a delete)."""
    value = record.value
    if value is None:
        # an unwrapped delete, or the tombstone behind an envelope's delete: deleting twice is the same
        return None if record.key is None else _Change(record, {}, *key_of(record), None, None)
    if not isinstance(value, dict):
        raise BadRow.of(_record(record), "a record's value is no struct", where=where(record), cause=f"it is a {type(value).__name__}")
    if OP in value and SOURCE in value:
        return _from_envelope(record, value, key_of)
    if record.value_schema is not None and (record.value_schema.name or "").startswith("io.debezium.connector.common."):
        return None
    values, partial = _known(record, value)
    return _Change(record, {}, *key_of(record), values, record.value_schema, partial)


def _from_envelope(record: Record, value: dict[str, Any], key_of: KeyOf) -> _Change | None:
    op, source = value[OP], value[SOURCE] or {}
    if op not in _ROW_OPS:
        return None
    schema = record.value_schema.field(AFTER) if record.value_schema is not None else None
    if op == TRUNCATE:
        return _Change(record, source, None, None, None, schema, truncate=True)
    before = value.get(BEFORE)
    if op == DELETE:
        return _Change(record, source, *key_of(record), None, schema, op=op, before=before)
    after = value.get(AFTER)
    if not isinstance(after, dict):
        raise BadRow.of(_record(record), "an event has no row", where=where(record), cause=f"op {op} with after of type {type(after).__name__}")
    values, partial = _known(record, after)
    return _Change(record, source, *key_of(record), values, schema, partial, op=op, before=before)


def _known(record: Record, row: Values) -> tuple[Values, bool]:
    """The columns whose value the record carries."""
    named = next((h.value for h in record.headers if h.key == HEADER_UNAVAILABLE), None)
    missing = set(str(named).split(",")) if named else set()
    # a row without the placeholder anywhere, which nearly all are, costs two C-level looks
    if not missing and PLACEHOLDER not in (values := row.values()) and _COMPOUND.isdisjoint(map(type, values)):
        return row, False
    known = {k: v for k, v in row.items() if k not in missing and not _is_placeholder(v)}
    return known, len(known) != len(row)


def _is_placeholder(value: Any) -> bool:
    return type(value) in (str, bytes, list) and value in _UNAVAILABLE


def record_key(record: Record) -> tuple[Schema | None, Values | None]:
    """The record's own key, which has to be a struct."""
    key = record.key
    if key is None or isinstance(key, dict):
        return record.key_schema, key
    raise BadRow.of(_record(record), "a record's key is no struct", where=where(record), cause=f"it is a {type(key).__name__}")


def _record(record: Record) -> tuple[str, int | None, int]:
    return record.topic, record.partition, record.offset


def where(record: Record) -> str:
    """Topic, partition and offset, for messages."""
    return place(record.topic, record.partition, record.offset)
