"""org.apache.kafka.connect.transforms.SetSchemaMetadata: gives a schema another name or version."""

from __future__ import annotations

from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, integer, text
from pycdc.errors import Fault, RecordError
from pycdc.model.record import Record
from pycdc.transforms.operand import Operand, PerSchema, is_null, or_default, replace_null


class SetSchemaMetadataConfig(ConfigDef):
    """Options of SetSchemaMetadata."""

    schema_name = Property[str | None]("schema.name", text(), doc="The schema's new name.")
    schema_version = Property[int | None]("schema.version", integer(-(2**31), 2**31 - 1), doc="Its new version.")
    replace_null = replace_null()

    def check(self, faults: list[Fault]) -> None:
        if self.schema_name is None and self.schema_version is None:
            faults.append(Fault("schema.name", "schema.name or schema.version is required"))


class SetSchemaMetadata(Operand):
    """`SetSchemaMetadata$Value`."""

    config = SetSchemaMetadataConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, SetSchemaMetadataConfig)
        changes: dict[str, Any] = {"name": settings.schema_name, "version": settings.schema_version}
        self._changes = {k: v for k, v in changes.items() if v is not None}
        self._replace = settings.replace_null
        self._schemas = PerSchema(lambda schema: schema.replace(**self._changes))

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), self.value(record)
        if schema is None:
            if is_null(value):
                return record
            raise RecordError("SetSchemaMetadata needs a schema", cause="the record has none")
        if type(value) is dict and schema.type == "struct":  # the struct is built anew under the new schema
            value = {f.name: or_default(f.schema, value.get(f.name), replace=self._replace) for f in schema.fields}
        return self.put(record, self._schemas(schema), value)


class SetSchemaMetadataKey(SetSchemaMetadata):
    """`SetSchemaMetadata$Key`."""

    on_key = True
