"""com.starrocks.connector.kafka.transforms.AddOpFieldForDebeziumRecord: StarRocks' own mark in the row of a change event.

The field `__op` is 0 in `after` of a create or update, 1 in `before` of a delete; other events stay as they are.
The StarRocks sink needs none of it: it reads change events themselves. Configurations of StarRocks' connector have it.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from pycdc.config.definition import ConfigDef
from pycdc.model.envelope import AFTER, BEFORE, CREATE, DELETE, OP, UPDATE
from pycdc.model.record import Record
from pycdc.model.schema import INT32, Field, Schema
from pycdc.transforms.envelopes import envelope_of
from pycdc.transforms.operand import PerSchema, known

_MARK: Final = "__op"
#: Which of the rows is marked, and with what.
_MARKS: Final = {CREATE: (AFTER, 0), UPDATE: (AFTER, 0), DELETE: (BEFORE, 1)}


class AddOpFieldConfig(ConfigDef):
    """It has no options."""


class AddOpFieldForDebeziumRecord:
    """Marks events that have a schema, as the original does."""

    config = AddOpFieldConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        self._schemas = {side: PerSchema(partial(_marked, side=side)) for side in (AFTER, BEFORE)}

    def apply(self, record: Record) -> Record:
        event = envelope_of(record)
        side, mark = _MARKS.get(known(event.get(OP)), ("", 0)) if event is not None else ("", 0)
        row = event.get(side) if event is not None else None
        schema = record.value_schema
        if event is None or schema is None or not isinstance(row, dict) or schema.field(side) is None:
            return record
        return record.replace(value_schema=self._schemas[side](schema), value={**event, side: {**row, _MARK: mark}})


def _marked(event: Schema, side: str) -> Schema:
    """The envelope's schema with the mark in one of its rows."""
    mark = Field(_MARK, INT32)
    return event.replace(fields=tuple(
        Field(f.name, f.schema.replace(fields=(*f.schema.fields, mark))) if f.name == side else f for f in event.fields
    ))  # fmt: skip
