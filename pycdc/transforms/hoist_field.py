"""org.apache.kafka.connect.transforms.HoistField: wraps the key or value into a struct with one field."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.model.record import Record
from pycdc.model.schema import struct
from pycdc.transforms.operand import Operand, PerSchema
from pycdc.transforms.options import named


class HoistFieldConfig(ConfigDef):
    """Options of HoistField."""

    field = Property[str]("field", named(), required=True, doc="The one field of the new struct.")


class HoistField(Operand):
    """`HoistField$Value`. A null is wrapped as well."""

    config = HoistFieldConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, HoistFieldConfig)
        self._field = settings.field
        self._schemas = PerSchema(lambda schema: struct([(settings.field, schema)]))

    def apply(self, record: Record) -> Record:
        schema = self.schema(record)
        return self.put(record, schema and self._schemas(schema), {self._field: self.value(record)})


class HoistFieldKey(HoistField):
    """`HoistField$Key`."""

    on_key = True
