"""org.apache.kafka.connect.converters.ByteArrayConverter: bytes as they are."""

from __future__ import annotations

from typing import Any

from pycdc.config.definition import ConfigDef
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, OPTIONAL_BYTES, Schema
from pycdc.model.template import Leaf, NeedsValue
from pycdc.plugins.contracts import Cell, Piece


class ByteArrayConverterConfig(ConfigDef):
    """The ByteArrayConverter has no options."""


class ByteArrayConverter:
    """Only BYTES schemas, or none."""

    config = ByteArrayConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        self.is_key = is_key

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if schema is not None and schema.type != "bytes":
            raise RecordError("ByteArrayConverter takes only bytes", where=topic, cause=f"schema type {schema.type}")
        if value is None:
            return False
        if type(value) is Leaf:
            if schema is None or schema.name == DECIMAL:
                raise NeedsValue(value.reader.column_name)
            out.append(Cell(value.column, value.reader.read, None))
        elif isinstance(value, bytes):
            out.append(value)
        else:
            raise RecordError("ByteArrayConverter takes only bytes", where=topic, cause=f"a value of Python's type {type(value).__name__}")
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter."""
        return OPTIONAL_BYTES, data
