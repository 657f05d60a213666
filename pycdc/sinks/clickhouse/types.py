"""Connect schemas -> ClickHouse column types, and values -> what clickhouse-connect inserts.

Source of the mapping: the ClickHouse sink connector's documentation, "Supported data types". A value outside
a type's range (Date32 and DateTime64 end in 1900 and 2299) is an error, never a silent clamp.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from pycdc.model.schema import DECIMAL, Schema

Convert = Callable[[Any], Any]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY_ZERO = datetime.date(1970, 1, 1).toordinal()
_PRIMITIVE = {
    "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "float32": "Float32", "float64": "Float64",
    "boolean": "Bool", "string": "String", "bytes": "String", "struct": "String", "map": "String",
}  # fmt: skip
_UNIT_US = {
    "io.debezium.time.Timestamp": 1000, "org.apache.kafka.connect.data.Timestamp": 1000, "io.debezium.time.MicroTimestamp": 1,
}  # fmt: skip
_DATES = ("io.debezium.time.Date", "org.apache.kafka.connect.data.Date")


def column_type(schema: Schema, *, key: bool) -> str:
    """The type of a new column; Nullable where the field is optional, except in the sorting key."""
    if schema.type == "array" and schema.items is not None:
        return f"Array({column_type(schema.items, key=False)})"
    bare = _bare(schema)
    return bare if key or not schema.optional else f"Nullable({bare})"


def _bare(schema: Schema) -> str:
    if schema.name == DECIMAL:
        scale = schema.parameter("scale") or "0"
        return f"Decimal({schema.parameter('connect.decimal.precision') or 38}, {scale})"
    if schema.name in _DATES:
        return "Date32"
    if schema.name in _UNIT_US:
        return "DateTime64(6)"
    if schema.name == "io.debezium.time.ZonedTimestamp":
        return "DateTime64(6, 'UTC')"
    return _PRIMITIVE[schema.type]


def converter(schema: Schema | None) -> Convert | None:
    """What turns a value of `schema` into the Python value that is inserted; None: as it is."""
    if schema is None:
        return None
    if schema.name in _DATES:
        return lambda days: datetime.date.fromordinal(days + _DAY_ZERO)
    if schema.name in _UNIT_US:
        unit = _UNIT_US[schema.name]
        return lambda n: _EPOCH + datetime.timedelta(microseconds=n * unit)
    if schema.name == "io.debezium.time.ZonedTimestamp":
        return datetime.datetime.fromisoformat
    if schema.name == "io.debezium.data.VariableScaleDecimal":
        return lambda v: format(Decimal(int.from_bytes(v["value"], "big", signed=True)).scaleb(-v["scale"]), "f")
    if schema.type == "array":
        item = converter(schema.items)
        return None if item is None else lambda values: [None if v is None else item(v) for v in values]
    if schema.type in ("struct", "map"):
        return lambda v: orjson.dumps(v, default=str).decode()
    return bytes.hex if schema.type == "bytes" and schema.name is None else None


def zero(schema: Schema | None) -> Any:
    """Fills a column of a deleted row that may not be null."""
    if schema is None or schema.optional:
        return None
    if schema.type == "array":
        return []
    if schema.name in _DATES:
        return datetime.date(1970, 1, 1)
    if schema.name in _UNIT_US or schema.name == "io.debezium.time.ZonedTimestamp":
        return _EPOCH
    if schema.name == DECIMAL:
        return Decimal(0)
    return "" if _bare(schema) == "String" else 0
