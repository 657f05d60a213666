"""Records -> changes of rows: Debezium envelopes and unwrapped records alike.

A change names its table by the record's topic and source block, its row by the key, and carries the values
of the row; columns whose value is not known (unchanged TOAST) are simply not among them, so that no writer
can take a placeholder for a value. Heartbeats, transaction records and the like are no changes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pycdc.errors import BadRow
from pycdc.model.envelope import (
    AFTER,
    CREATE,
    DELETE,
    HEADER_UNAVAILABLE,
    OP,
    READ,
    SOURCE,
    TRUNCATE,
    UPDATE,
)
from pycdc.model.record import Record
from pycdc.model.schema import Schema

PLACEHOLDER: Final = "__debezium_unavailable_value"
_UNAVAILABLE: Final = (PLACEHOLDER, PLACEHOLDER.encode(), [PLACEHOLDER], [PLACEHOLDER.encode()])
_COMPOUND: Final = frozenset((list, bytes))
_ROW_OPS: Final = frozenset((CREATE, READ, UPDATE, DELETE, TRUNCATE))


class Change(msgspec.Struct):
    """One row of one table as it becomes. `values` None: it is deleted. `partial`: not all columns are known."""

    topic: str
    #: Debezium's source block, empty for unwrapped records.
    source: dict[str, Any]
    key: dict[str, Any] | None
    values: dict[str, Any] | None
    key_schema: Schema | None
    row_schema: Schema | None
    record: Record
    partial: bool = False
    truncate: bool = False


def change_of(record: Record) -> Change | None:
    """The change that `record` stands for; None when it is none, or repeats one (a tombstone behind a delete).

    Raises BadRow when it is no struct.
    """
    value = record.value
    if value is None:
        # an unwrapped delete, or the tombstone behind an envelope's delete: deleting twice is the same
        return None if record.key is None else Change(
            record.topic, {}, _struct(record, record.key), None, record.key_schema, None, record
        )  # fmt: skip
    if not isinstance(value, dict):
        raise BadRow("a record's value is no struct", where=where(record), cause=f"it is a {type(value).__name__}")
    if OP in value and SOURCE in value:
        return _from_envelope(record, value)
    if record.value_schema is not None and (record.value_schema.name or "").startswith("io.debezium.connector.common."):
        return None
    values, partial = _known(record, value)
    return Change(record.topic, {}, _struct(record, record.key), values, record.key_schema, record.value_schema, record, partial)


def _from_envelope(record: Record, value: dict[str, Any]) -> Change | None:
    op, source = value[OP], value[SOURCE] or {}
    if op not in _ROW_OPS:
        return None
    key = _struct(record, record.key)
    schema = record.value_schema.field(AFTER) if record.value_schema is not None else None
    if op == TRUNCATE:
        return Change(record.topic, source, None, None, None, schema, record, truncate=True)
    if op == DELETE:
        return Change(record.topic, source, key, None, record.key_schema, schema, record)
    after = value.get(AFTER)
    if not isinstance(after, dict):
        raise BadRow("an event has no row", where=where(record), cause=f"op {op} with after of type {type(after).__name__}")
    values, partial = _known(record, after)
    return Change(record.topic, source, key, values, record.key_schema, schema, record, partial)


def _known(record: Record, row: dict[str, Any]) -> tuple[dict[str, Any], bool]:
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


def _struct(record: Record, key: Any) -> dict[str, Any] | None:
    if key is None or isinstance(key, dict):
        return key
    raise BadRow("a record's key is no struct", where=where(record), cause=f"it is a {type(key).__name__}")


def where(record: Record) -> str:
    """Topic, partition and offset, for messages."""
    place = f"topic {record.topic}"
    return place if record.offset < 0 else f"{place}, partition {record.partition}, offset {record.offset}"
