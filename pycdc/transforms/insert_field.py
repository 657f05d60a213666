"""org.apache.kafka.connect.transforms.InsertField: adds the record's metadata or a constant as fields."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from pycdc.config.definition import ConfigDef, Kind, Property, parsed
from pycdc.errors import Fault, RecordError
from pycdc.model.record import Record
from pycdc.model.schema import INT32, INT64, STRING, Schema
from pycdc.transforms.operand import Operand, PerSchema, bare_struct, fields_of, is_null, or_default, replace_null
from pycdc.transforms.options import trimmed

_TIMESTAMP = Schema(type="int64", name="org.apache.kafka.connect.data.Timestamp", version=1)


class _Spot(NamedTuple):
    """A field to add; `optional` unless the name was written with `!`."""

    name: str
    optional: bool


def _spot() -> Kind[_Spot]:
    def parse(text: str) -> _Spot:
        word = text.strip()
        name = word[:-1] if word.endswith(("!", "?")) else word
        if not name:
            raise ValueError("must name a field")
        return _Spot(name, not word.endswith("!"))

    return parsed("STRING", parse, "name, name? (optional) or name! (required)")


class InsertFieldConfig(ConfigDef):
    """Options of InsertField."""

    topic = Property[_Spot | None]("topic.field", _spot(), doc="Field for the topic's name.")
    partition = Property[_Spot | None]("partition.field", _spot(), doc="Field for the Kafka partition, where it is known.")
    offset = Property[_Spot | None]("offset.field", _spot(), doc="Field for the Kafka offset; in sinks only.")
    timestamp = Property[_Spot | None]("timestamp.field", _spot(), doc="Field for the record's timestamp, where it has one.")
    static = Property[_Spot | None]("static.field", _spot(), doc="Field for static.value.")
    static_value = Property[str | None]("static.value", trimmed(), doc="The constant.")
    replace_null = replace_null()

    def check(self, faults: list[Fault]) -> None:
        if not any((self.topic, self.partition, self.offset, self.timestamp, self.static)):
            faults.append(Fault("topic.field", "one of topic.field, partition.field, offset.field, timestamp.field, static.field is required"))
        if self.static is not None and self.static_value is None:
            faults.append(Fault("static.value", "is required beside static.field"))


class InsertField(Operand):
    """`InsertField$Value`. A null key or value stays null."""

    config = InsertFieldConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, InsertFieldConfig)
        self._settings = settings
        self._replace = settings.replace_null
        self._schemas = PerSchema(self._longer)

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), self.value(record)
        if is_null(value):
            return record
        fields = fields_of(value, "InsertField")
        if schema is None:
            return self.put(record, None, {**fields, **self._added(record)})
        out = self._schemas(schema)
        kept = {f.name: or_default(f.schema, fields.get(f.name), replace=self._replace) for f in schema.fields}
        blank = dict.fromkeys(f.name for f in out.fields)
        return self.put(record, out, {**blank, **kept, **self._added(record)})

    def _longer(self, schema: Schema) -> Schema:
        s = self._settings
        added = ((s.topic, STRING), (s.partition, INT32), (s.offset, INT64), (s.timestamp, _TIMESTAMP), (s.static, STRING))
        fields = [(f.name, f.schema) for f in schema.fields]
        for spot, own in added:
            if spot is not None:
                if any(spot.name == name for name, _ in fields):
                    raise RecordError("a record has the field already", cause=f"InsertField: field {spot.name}")
                fields.append((spot.name, own.replace(optional=spot.optional)))
        return bare_struct(schema, fields)

    def _added(self, record: Record) -> dict[str, Any]:
        s = self._settings
        found: dict[str, Any] = {}
        if s.topic is not None:
            found[s.topic.name] = record.topic
        if s.partition is not None and record.partition is not None:
            found[s.partition.name] = record.partition
        if s.offset is not None:
            if record.offset < 0:
                raise RecordError("a record of a source has no offset yet", cause="InsertField: offset.field")
            found[s.offset.name] = record.offset
        if s.timestamp is not None and record.timestamp is not None:
            found[s.timestamp.name] = record.timestamp
        if s.static is not None:
            found[s.static.name] = s.static_value
        return found


class InsertFieldKey(InsertField):
    """`InsertField$Key`."""

    on_key = True
