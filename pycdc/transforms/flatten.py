"""org.apache.kafka.connect.transforms.Flatten: nested structs become one, names joined by a delimiter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.errors import RecordError
from pycdc.model.record import Record
from pycdc.model.schema import NO_DEFAULT, Schema
from pycdc.transforms.operand import Operand, PerSchema, bare_struct, default_of, fields_of, is_null, known, or_default
from pycdc.transforms.options import trimmed


class FlattenConfig(ConfigDef):
    """Options of Flatten."""

    delimiter = Property[str]("delimiter", trimmed(), default=".", doc="Stands between the names of the levels.")


class Flatten(Operand):
    """`Flatten$Value`. Arrays stay as they are; a map under a schema stops the record."""

    config = FlattenConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, FlattenConfig)
        self._delimiter = settings.delimiter
        self._schemas = PerSchema(
            lambda s: bare_struct(s, list(self._flat_schema(s, "", optional=s.optional, default=default_of(s))))
        )

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), self.value(record)
        if is_null(value):
            return record
        fields = fields_of(value, "Flatten")
        if schema is None:
            return self.put(record, None, dict(self._flat_map(fields, "")))
        out = self._schemas(schema)
        blank = dict.fromkeys(f.name for f in out.fields)
        return self.put(record, out, {**blank, **dict(self._flat_struct(schema, fields, ""))})

    def _name(self, prefix: str, name: str) -> str:
        return f"{prefix}{self._delimiter}{name}" if prefix else name

    def _flat_schema(self, schema: Schema, prefix: str, *, optional: bool, default: Any) -> Iterator[tuple[str, Schema]]:
        """A field is optional when a level above it is; a default of a level above gives its fields theirs."""
        for f in schema.fields:
            name = self._name(prefix, f.name)
            may_be_null = optional or f.schema.optional
            own = default_of(f.schema)
            if own is None and default is not None:
                own = default.get(f.name)
            if f.schema.type == "struct":
                yield from self._flat_schema(f.schema, name, optional=may_be_null, default=own)
            elif f.schema.type == "map":
                raise RecordError("Flatten takes no maps under a schema", cause=f"field {name}")
            else:
                yield name, f.schema.replace(optional=may_be_null, default=NO_DEFAULT if own is None else own)

    def _flat_struct(self, schema: Schema, value: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for f in schema.fields:
            name = self._name(prefix, f.name)
            held = or_default(f.schema, value.get(f.name))
            if f.schema.type != "struct":
                yield name, held
            elif not is_null(held):
                yield from self._flat_struct(f.schema, fields_of(held, "Flatten"), name)

    def _flat_map(self, value: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, held in value.items():
            if isinstance(known(held), dict):
                yield from self._flat_map(held, self._name(prefix, key))
            else:
                yield self._name(prefix, key), held


class FlattenKey(Flatten):
    """`Flatten$Key`."""

    on_key = True
