"""org.apache.kafka.connect.transforms.HeaderFrom: moves or copies fields into headers."""

from __future__ import annotations

from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, one_of
from pycdc.errors import Fault, RecordError
from pycdc.model.record import Header, Record
from pycdc.model.schema import Schema
from pycdc.transforms.operand import Operand, PerSchema, bare_struct, fields_of, or_default, replace_null
from pycdc.transforms.options import names

_PURPOSE = "HeaderFrom"


class HeaderFromConfig(ConfigDef):
    """Options of HeaderFrom."""

    fields = Property[tuple[str, ...]]("fields", names(), required=True, doc="Fields whose values become headers.")
    headers = Property[tuple[str, ...]](
        "headers", names(), required=True, doc="Their headers' names, one for each field, in the same order."
    )
    operation = Property[str]("operation", one_of("move", "copy"), required=True, doc="move takes the fields out of the record.")
    replace_null = replace_null()

    def check(self, faults: list[Fault]) -> None:
        if len(self.fields) != len(self.headers):
            faults.append(Fault("headers", f"must name {len(self.fields)} headers, as many as fields", ",".join(self.headers)))


class HeaderFrom(Operand):
    """`HeaderFrom$Value`. A field that the schema has not stops the record; without schema it gives null."""

    config = HeaderFromConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, HeaderFromConfig)
        self._pairs = tuple(zip(settings.fields, settings.headers, strict=True))
        self._fields = frozenset(settings.fields)
        self._move = settings.operation == "move"
        self._replace = settings.replace_null
        self._schemas = PerSchema(self._without)

    def _without(self, schema: Schema) -> Schema:
        return bare_struct(schema, [(f.name, f.schema) for f in schema.fields if f.name not in self._fields])

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), fields_of(self.value(record), _PURPOSE)
        if schema is None:
            added = [Header(header, None, value.get(field)) for field, header in self._pairs]
            rest = {k: v for k, v in value.items() if k not in self._fields} if self._move else value
        else:
            added = [self._header(schema, value, field, header) for field, header in self._pairs]
            if self._move:
                schema = self._schemas(schema)
                rest = {f.name: or_default(f.schema, value.get(f.name), replace=self._replace) for f in schema.fields}
            else:
                rest = value
        return self.put(record, schema, rest).replace(headers=(*record.headers, *added))

    def _header(self, schema: Schema, value: dict[str, Any], field: str, header: str) -> Header:
        own = schema.field(field)
        if own is None:
            raise RecordError("a record has no such field", cause=f"HeaderFrom: field {field}")
        return Header(header, own, or_default(own, value.get(field), replace=self._replace))


class HeaderFromKey(HeaderFrom):
    """`HeaderFrom$Key`."""

    on_key = True
