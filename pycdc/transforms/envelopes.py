"""What Debezium's transforms ask of a record: whether it is a change event, and its parts."""

from __future__ import annotations

from typing import Any

from pycdc.errors import RecordError
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.transforms.operand import is_null, known

_SUFFIX = ".Envelope"


def envelope_of(record: Record) -> dict[str, Any] | None:
    """The change event's struct; None for a tombstone and for everything else (heartbeats, messages, plain rows)."""
    if is_null(record.value) or not is_envelope(record.value_schema):
        return None
    value: dict[str, Any] = record.value
    return value


def is_envelope(schema: Schema | None) -> bool:
    """By the schema's name, as Debezium tells it."""
    return schema is not None and schema.name is not None and schema.name.endswith(_SUFFIX)


def text_field(schema: Schema, value: dict[str, Any], name: str, purpose: str) -> str | None:
    """A string field's value, looked at. Raises RecordError when the schema has no such string."""
    field = schema.field(name)
    if field is None or field.type != "string":
        raise RecordError("a record has no such text field", cause=f"{purpose}: field {name}")
    text: str | None = known(value.get(name))
    return text
