"""org.apache.kafka.connect.converters.{Short,Integer,Long,Float,Double,Boolean}Converter: one primitive, big-endian.

A value of another type is refused, as Java's cast does; without schema any number in range passes.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef
from pycdc.errors import RecordError
from pycdc.model.schema import Schema
from pycdc.model.template import Leaf
from pycdc.plugins.contracts import Cell, Piece


class NumberConverterConfig(ConfigDef):
    """These converters have no options."""


class _Primitive:
    """Base of the six; `layout` is the message, `schema` what is read."""

    config = NumberConverterConfig
    layout: ClassVar[struct.Struct]
    schema: ClassVar[Schema]
    #: A null of another schema is refused too: only the BooleanConverter looks at the schema, the others cast.
    checks_nulls: ClassVar[bool] = False

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        self.is_key = is_key

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if value is None and not self.checks_nulls:
            return False
        if schema is not None and schema.type != self.schema.type:
            raise self._refused(topic, f"the schema's type is {schema.type}")
        if value is None:
            return False
        if type(value) is Leaf:
            read, pack = value.reader.read, self._pack
            out.append(Cell(value.column, lambda text: pack(read(text)), None))
            return True
        try:
            out.append(self._pack(value))
        except (struct.error, TypeError, OverflowError):
            raise self._refused(topic, f"a value of Python's type {type(value).__name__}") from None
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter."""
        if data is None:
            return self.schema, None
        if len(data) != self.layout.size:
            raise self._refused(topic, f"a message of {len(data)} bytes, {self.layout.size} are due")
        return self.schema, self._unpack(data)

    def _pack(self, value: Any) -> bytes:
        return self.layout.pack(value)

    def _unpack(self, data: bytes) -> Any:
        return self.layout.unpack(data)[0]

    def _refused(self, topic: str, cause: str) -> RecordError:
        return RecordError(f"{type(self).__name__} takes only {self.schema.type}", where=topic, cause=cause)


def _optional(kind: str) -> Schema:
    return Schema(type=kind, optional=True)


class ShortConverter(_Primitive):
    """Two bytes."""

    layout, schema = struct.Struct(">h"), _optional("int16")


class IntegerConverter(_Primitive):
    """Four bytes."""

    layout, schema = struct.Struct(">i"), _optional("int32")


class LongConverter(_Primitive):
    """Eight bytes."""

    layout, schema = struct.Struct(">q"), _optional("int64")


class FloatConverter(_Primitive):
    """Four bytes, IEEE 754."""

    layout, schema = struct.Struct(">f"), _optional("float32")


class DoubleConverter(_Primitive):
    """Eight bytes, IEEE 754."""

    layout, schema = struct.Struct(">d"), _optional("float64")


class BooleanConverter(_Primitive):
    """One byte, 1 or 0."""

    layout, schema = struct.Struct(">?"), _optional("boolean")
    checks_nulls = True

    def _pack(self, value: Any) -> bytes:
        if type(value) is not bool:
            raise TypeError
        return b"\x01" if value else b"\x00"

    def _unpack(self, data: bytes) -> Any:
        if data not in (b"\x00", b"\x01"):
            raise self._refused("", f"the byte {data[0]}")
        return data == b"\x01"
