"""org.apache.kafka.connect.transforms.ValueToKey: fields of the value become the key."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.errors import RecordError
from pycdc.model.record import Record
from pycdc.model.schema import Schema, struct
from pycdc.transforms.operand import PerSchema, fields_of, or_default, replace_null
from pycdc.transforms.options import names


class ValueToKeyConfig(ConfigDef):
    """Options of ValueToKey."""

    fields = Property[tuple[str, ...]]("fields", names(), required=True, doc="Fields of the value, in the key's order.")
    replace_null = replace_null()


class ValueToKey:
    """A record without value, or without one of the fields, stops."""

    config = ValueToKeyConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ValueToKeyConfig)
        self._fields = tuple(dict.fromkeys(settings.fields))
        self._replace = settings.replace_null
        self._schemas = PerSchema(self._key_schema)

    def _key_schema(self, schema: Schema) -> Schema:
        fields = []
        for name in self._fields:
            field = schema.field(name)
            if field is None:
                raise RecordError("a record has no such field", cause=f"ValueToKey: field {name}")
            fields.append((name, field))
        return struct(fields)

    def apply(self, record: Record) -> Record:
        value = fields_of(record.value, "ValueToKey")
        if record.value_schema is None:
            return record.replace(key_schema=None, key={name: value.get(name) for name in self._fields})
        schema = self._schemas(record.value_schema)
        key = {f.name: or_default(f.schema, value.get(f.name), replace=self._replace) for f in schema.fields}
        return record.replace(key_schema=schema, key=key)
