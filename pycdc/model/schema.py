"""Connect's schemas.

A `Schema` is immutable and compared by value. How values of a schema look in Python:

    int8..int64 int | float32, float64 float | boolean bool | string str | bytes bytes
    array list | map dict | struct dict (field name -> value, in field order)
    org.apache.kafka.connect.data.Decimal decimal.Decimal; every other logical type its primitive

Source: Kafka's org.apache.kafka.connect.data (KIP-26).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: No default, which is not the same as a default of null.
NO_DEFAULT: Final = msgspec.UNSET

DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is Connect's word: int8, int16, int32, int64, float32, float64, boolean, string, bytes, array, map, struct."""

    type: str
    optional: bool = False
    name: str | None = None
    version: int | None = None
    doc: str | None = None
    #: In the order in which they are written out.
    parameters: tuple[tuple[str, str], ...] = ()
    #: A value of this schema, as above.
    default: Any = NO_DEFAULT
    fields: tuple[Field, ...] = ()
    items: Schema | None = None
    keys: Schema | None = None
    values: Schema | None = None

    @property
    def has_default(self) -> bool:
        return self.default is not NO_DEFAULT

    def replace(self, **changes: Any) -> Schema:
        """A copy with some attributes changed."""
        return msgspec.structs.replace(self, **changes)

    def field(self, name: str) -> Schema | None:
        """The schema of the field of that name, or None."""
        for f in self.fields:
            if f.name == name:
                return f.schema
        return None

    def parameter(self, name: str) -> str | None:
        for key, value in self.parameters:
            if key == name:
                return value
        return None


class Field(msgspec.Struct, frozen=True):
    """One field of a struct schema."""

    name: str
    schema: Schema


def struct(fields: list[tuple[str, Schema]], **kwargs: Any) -> Schema:
    """A struct schema of these fields in this order."""
    return Schema(type="struct", fields=tuple(Field(n, s) for n, s in fields), **kwargs)


INT8 = Schema(type="int8")
INT16 = Schema(type="int16")
INT32 = Schema(type="int32")
INT64 = Schema(type="int64")
STRING = Schema(type="string")
BOOLEAN = Schema(type="boolean")
BYTES = Schema(type="bytes")
FLOAT32 = Schema(type="float32")
FLOAT64 = Schema(type="float64")
OPTIONAL_STRING = Schema(type="string", optional=True)
OPTIONAL_INT32 = Schema(type="int32", optional=True)
OPTIONAL_INT64 = Schema(type="int64", optional=True)
OPTIONAL_BYTES = Schema(type="bytes", optional=True)
