"""Connect schemas -> ClickHouse column types of new columns, and columns that are too narrow for a schema.

Source of the mapping: the ClickHouse sink connector's documentation, "Supported data types"; finer where a schema
says more. JSON is text: the type JSON holds objects only, and drops their nulls.
"""

from __future__ import annotations

import re
from typing import Final

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.clickhouse.kinds import arguments, bare, is_nullable, may_be_nullable, nullable

_PRIMITIVE: Final = {
    "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "float32": "Float32", "float64": "Float64",
    "boolean": "Bool", "string": "String", "bytes": "String", "struct": "String",
}  # fmt: skip
_LOGICAL: Final = {
    "io.debezium.time.Date": "Date32", "org.apache.kafka.connect.data.Date": "Date32",
    "io.debezium.time.Timestamp": "DateTime64(3, 'UTC')", "org.apache.kafka.connect.data.Timestamp": "DateTime64(3, 'UTC')",
    "io.debezium.time.MicroTimestamp": "DateTime64(6, 'UTC')", "io.debezium.time.NanoTimestamp": "DateTime64(9, 'UTC')",
    "io.debezium.time.ZonedTimestamp": "DateTime64(6, 'UTC')", "io.debezium.data.Uuid": "UUID",
    "io.debezium.data.Enum": "LowCardinality(String)",
}  # fmt: skip
_MOST_DIGITS: Final = 76
#: What a column without a precision gets: as many digits as the connector gives it.
_USUAL_DIGITS: Final = 38


def column_type(schema: Schema, *, key: bool = False, optional: bool | None = None, struct_to_json: bool = False) -> str:
    """The type of a new column; Nullable where the field is optional (or `optional` says so), except in the sorting key."""
    kind = _bare(schema, struct_to_json=struct_to_json)
    null = schema.optional if optional is None else optional
    return nullable(kind) if null and not key and may_be_nullable(kind) else kind


def _bare(schema: Schema, *, struct_to_json: bool) -> str:
    if schema.name == DECIMAL:
        return _decimal(schema)
    if schema.name in _LOGICAL:
        return _LOGICAL[schema.name]
    if schema.type == "array" and schema.items is not None:
        return f"Array({column_type(schema.items, struct_to_json=struct_to_json)})"
    if schema.type == "map" and schema.values is not None:
        return f"Map(String, {column_type(schema.values, struct_to_json=struct_to_json)})"
    if schema.type == "struct" and schema.name is None and struct_to_json:
        return "JSON"
    return _PRIMITIVE[schema.type]


def _decimal(schema: Schema) -> str:
    """A number of more digits than any Decimal has is text, which loses none."""
    scale = int(schema.parameter("scale") or 0)
    precision = int(schema.parameter("connect.decimal.precision") or max(_USUAL_DIGITS, scale))
    return f"Decimal({precision}, {scale})" if precision <= _MOST_DIGITS and scale <= precision else "String"


_INTEGERS: Final = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


def widened(schema: Schema, kind: str) -> str | None:
    """The type that a column of type `kind` has to become to hold all numbers of `schema`; None = it does.

    Only ever wider, and nullable where it was: what is narrower at the source than here stays.
    """
    wider = _wider(schema, bare(kind))
    if wider is None:
        return None
    return nullable(wider) if is_nullable(kind) else wider


def _wider(schema: Schema, kind: str) -> str | None:
    integer = re.fullmatch(r"Int(\d+)", kind)
    if integer is not None and schema.name is None and _INTEGERS.get(schema.type, 0) > int(integer[1]):
        return f"Int{_INTEGERS[schema.type]}"
    if kind == "Float32" and schema.name is None and schema.type == "float64":
        return "Float64"
    if kind.startswith("Decimal(") and schema.name == DECIMAL and schema.parameter("connect.decimal.precision") is not None:
        precision, scale = map(int, arguments(kind))
        new_scale = int(schema.parameter("scale") or 0)
        digits = max(precision - scale, int(schema.parameter("connect.decimal.precision") or 0) - new_scale)
        new = digits + max(scale, new_scale)
        if (digits, max(scale, new_scale)) != (precision - scale, scale) and new <= _MOST_DIGITS:
            return f"Decimal({new}, {max(scale, new_scale)})"
    return None
