"""org.apache.kafka.connect.transforms.ReplaceField: drops and renames fields."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property, words
from pycdc.model.envelope import HEADER_UNAVAILABLE
from pycdc.model.record import Header, Record
from pycdc.model.schema import Schema
from pycdc.transforms.operand import (
    Operand,
    PerSchema,
    bare_struct,
    fields_of,
    is_null,
    known,
    or_default,
    replace_null,
)
from pycdc.transforms.options import pairs


class ReplaceFieldConfig(ConfigDef):
    """Options of ReplaceField."""

    exclude = Property[tuple[str, ...]](
        "exclude", words(), default=(), doc="Fields to drop; it wins over include.", old_names=("blacklist",)
    )
    include = Property[tuple[str, ...]](
        "include", words(), default=(), doc="If given, only these fields are kept.", old_names=("whitelist",)
    )
    renames = Property[tuple[tuple[str, str], ...]]("renames", pairs(), default=(), doc="Names to change.")
    replace_null = replace_null()


class ReplaceField(Operand):
    """`ReplaceField$Value`. A null key or value stays null."""

    config = ReplaceFieldConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ReplaceFieldConfig)
        self._exclude, self._include = frozenset(settings.exclude), frozenset(settings.include)
        self._renames = dict(settings.renames)
        self._replace = settings.replace_null
        self._schemas = PerSchema(self._kept_schema)

    def _keeps(self, name: str) -> bool:
        return name not in self._exclude and (not self._include or name in self._include)

    def _renamed(self, name: str) -> str:
        return self._renames.get(name, name)

    def _kept_schema(self, schema: Schema) -> Schema:
        return bare_struct(schema, [(self._renamed(f.name), f.schema) for f in schema.fields if self._keeps(f.name)])

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), self.value(record)
        if is_null(value):
            return record
        fields = fields_of(value, "ReplaceField")
        if schema is None:
            return self.put(record, None, {self._renamed(k): v for k, v in fields.items() if self._keeps(k)})
        kept = {
            self._renamed(f.name): or_default(f.schema, fields.get(f.name), replace=self._replace)
            for f in schema.fields
            if self._keeps(f.name)
        }
        return self.put(record, self._schemas(schema), kept).replace(headers=tuple(map(self._followed, record.headers)))

    def _followed(self, header: Header) -> Header:
        """The header that keeps sinks from writing unavailable columns names them as they are called now."""
        if header.key != HEADER_UNAVAILABLE or not self._renames or self.on_key:
            return header
        names = ",".join(self._renamed(name) for name in str(known(header.value)).split(","))
        return Header(header.key, header.schema, names)


class ReplaceFieldKey(ReplaceField):
    """`ReplaceField$Key`."""

    on_key = True
