"""Connect schemas -> ClickHouse column types, for tables that are made.

Source of the mapping: the ClickHouse sink connector's documentation, "Supported data types".
"""

from __future__ import annotations

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.times import US_OF

_PRIMITIVE = {
    "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "float32": "Float32", "float64": "Float64",
    "boolean": "Bool", "string": "String", "bytes": "String", "struct": "String", "map": "String",
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
    if schema.name in US_OF:
        return "DateTime64(6)"
    if schema.name == "io.debezium.time.ZonedTimestamp":
        return "DateTime64(6, 'UTC')"
    return _PRIMITIVE[schema.type]
