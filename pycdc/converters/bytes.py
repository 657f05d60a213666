"""Bytes as they are: Kafka's ByteArrayConverter, and Debezium's BinaryDataConverter with another one for the rest.

Source: org.apache.kafka.connect.converters.ByteArrayConverter, io.debezium.converters.BinaryDataConverter.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, text
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, OPTIONAL_BYTES, Schema
from pycdc.model.template import Leaf, NeedsValue
from pycdc.plugins.contracts import Cell, Converter, Piece


class ByteArrayConverterConfig(ConfigDef):
    """The ByteArrayConverter has no options."""


class ByteArrayConverter:
    """Only BYTES schemas, or none."""

    config: ClassVar[type[ConfigDef]] = ByteArrayConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        self.is_key = is_key

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if schema is not None and schema.type != "bytes":
            return self._write_other(topic, schema, value, out, f"schema type {schema.type}")
        if value is None:
            return False
        if type(value) is Leaf:
            if schema is None or schema.name == DECIMAL:
                raise NeedsValue(value.reader.column_name)
            out.append(Cell(value.column, value.reader.read, None))
        elif isinstance(value, bytes):
            out.append(value)
        else:
            return self._write_other(topic, schema, value, out, f"a value of Python's type {type(value).__name__}")
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter."""
        return OPTIONAL_BYTES, data

    def _write_other(self, topic: str, schema: Schema | None, value: Any, out: list[Piece], what: str) -> bool:
        """What is not bytes."""
        raise RecordError("ByteArrayConverter takes only bytes", where=topic, cause=what)


class BinaryDataConverterConfig(ConfigDef):
    """Options of Debezium's BinaryDataConverter; those of the other converter stand below `delegate.converter.type.`."""

    delegate = Property[str | None](
        "delegate.converter.type", text(), importance="LOW", doc="Converter of what is not bytes; its options follow behind this key and a dot."
    )


class BinaryDataConverter(ByteArrayConverter):
    """Payloads that the application has serialized itself, as outbox tables hold them; heartbeats and the like by `delegate`."""

    config = BinaryDataConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        super().__init__(settings, is_key=is_key)
        self.delegate: Converter | None = None

    def _write_other(self, topic: str, schema: Schema | None, value: Any, out: list[Piece], what: str) -> bool:
        if self.delegate is None:
            raise RecordError(
                "BinaryDataConverter takes only bytes", where=topic, cause=what,
                hint="set delegate.converter.type=org.apache.kafka.connect.json.JsonConverter behind the converter's key and a dot",
            )  # fmt: skip
        return self.delegate.write(topic, schema, value, out)
