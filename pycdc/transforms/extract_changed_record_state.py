"""io.debezium.transforms.ExtractChangedRecordState: headers that name the columns an update changed, and the others.

It needs REPLICA IDENTITY FULL: without the whole old row there is nothing to compare, and both lists are empty.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.model.envelope import AFTER, BEFORE
from pycdc.model.record import Header, Record
from pycdc.model.schema import OPTIONAL_STRING, Schema
from pycdc.transforms.envelopes import envelope_of
from pycdc.transforms.operand import fields_or_null, known
from pycdc.transforms.options import trimmed


class ExtractChangedRecordStateConfig(ConfigDef):
    """Options of ExtractChangedRecordState."""

    changed = Property[str | None]("header.changed.name", trimmed(), doc="Header for the changed columns' names; none without.")
    unchanged = Property[str | None]("header.unchanged.name", trimmed(), doc="Header for the other columns' names; none without.")


class ExtractChangedRecordState:
    """Every change event gets the headers; but for updates they are empty lists."""

    config = ExtractChangedRecordStateConfig
    moves_only: ClassVar[bool] = True
    adds_headers_in_place: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ExtractChangedRecordStateConfig)
        self._headers = [_header(settings.changed), _header(settings.unchanged)]

    def apply(self, record: Record) -> Record:
        event = envelope_of(record)
        if event is None:
            return record
        before, after = (fields_or_null(event.get(part), "ExtractChangedRecordState") for part in (BEFORE, AFTER))
        names: tuple[list[str], list[str]] = ([], [])
        if before is not None and after is not None:
            row = record.value_schema.field(AFTER) if record.value_schema is not None else None
            for name, value in after.items():
                one, other = known(value), known(before.get(name))
                same = _equal(one, other) and not (one is not None and _is_array_of_java(row, name))
                names[same].append(name)
        added = [Header(h.key, h.schema, n) for h, n in zip(self._headers, names, strict=True) if h]
        return record.replace(headers=(*record.headers, *added))


def _header(name: str | None) -> Header | None:
    return Header(name, Schema(type="array", items=OPTIONAL_STRING, optional=True, name=name), None) if name else None


def _is_array_of_java(row: Schema | None, name: str) -> bool:
    """Bits are a byte[] to Debezium, which equals nothing but itself; bytea is a ByteBuffer."""
    schema = None if row is None else row.field(name)
    return schema is not None and schema.name == "io.debezium.data.Bits"


def _equal(a: Any, b: Any) -> bool:
    """Java's equals: 1.5 is not 1.50, NaN is NaN, 0.0 is not -0.0."""
    if isinstance(a, Decimal) and isinstance(b, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, float) and isinstance(b, float):
        return repr(a) == repr(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(v, b[k]) for k, v in a.items())
    return bool(a == b)
