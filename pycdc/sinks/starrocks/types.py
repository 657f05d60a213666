"""StarRocks' column types: as the catalog tells them, and as tables are made with from Connect schemas.

Source of the mapping: StarRocks' data types and Flink CDC's StarRocks mapping. A decimal without precision becomes
a text, because no DECIMAL holds all of PostgreSQL's numeric.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.units import MOMENTS, TIMES

#: Bytes.
LONGEST_TEXT: Final = 1_048_576
#: Bytes of an encoded primary key, by a BE's default; a longer text cannot be a key.
_LONGEST_KEY: Final = 128
_MOST_DIGITS: Final = 38

#: Low and high of the integer types.
RANGES: Final = {
    base: (-(1 << bits - 1), (1 << bits - 1) - 1)
    for base, bits in {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64, "LARGEINT": 128}.items()
}
_ALIASES: Final = {"INTEGER": "INT", "BOOL": "BOOLEAN", "NUMERIC": "DECIMAL", "BINARY": "VARBINARY", "JSONB": "JSON", "TEXT": "VARCHAR", "STRING": "VARCHAR"}
_TYPE = re.compile(r"(\w+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)|<(.*)>)?", re.DOTALL)

_DATES: Final = ("io.debezium.time.Date", "org.apache.kafka.connect.data.Date", "io.debezium.time.IsoDate")
_MOMENTS: Final = (*MOMENTS, "io.debezium.time.ZonedTimestamp", "io.debezium.time.IsoTimestamp")
#: Types that a text stands for in VARCHAR, whatever Connect's primitive is.
_TEXTS: Final = (*TIMES, "io.debezium.data.VariableScaleDecimal", "io.debezium.data.Bits")
_PRIMITIVE: Final = {
    "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT", "float32": "FLOAT", "float64": "DOUBLE", "boolean": "BOOLEAN",
    "bytes": "VARBINARY", "struct": "JSON", "map": "JSON",
}  # fmt: skip
_KEY_TYPES: Final = ("BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "DATE", "DATETIME")


#: Each holds all values of those before it.
_INTEGERS: Final = ("TINYINT", "SMALLINT", "INT", "BIGINT", "LARGEINT")
_FLOATS: Final = ("FLOAT", "DOUBLE")


class ColumnType(msgspec.Struct, frozen=True):
    """`base` in capitals, aliases resolved. `length` in bytes, 0 = unbounded. `precision` 0 = not a decimal."""

    text: str
    base: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    items: ColumnType | None = None


def parse_type(text: str) -> ColumnType:
    """A type as DESC shows it: `decimal(12, 2)`, `array<varchar(10)>`, `largeint(40)`."""
    m = _TYPE.match(text.strip())
    if m is None:
        return ColumnType(text, text.upper())
    base = m[1].upper()
    base = "DECIMAL" if base.startswith("DECIMAL") else _ALIASES.get(base, base)
    if base == "DECIMAL":
        return ColumnType(text, base, precision=int(m[2] or 10), scale=int(m[3] or 0))
    if base == "ARRAY":
        return ColumnType(text, base, items=parse_type(m[4] or "varchar"))
    # the number behind an integer type is a width for display
    return ColumnType(text, base, length=int(m[2] or 0) if base in ("VARCHAR", "CHAR", "VARBINARY") else 0)


def column_type(schema: Schema, *, key: bool) -> str:
    """The type of a new column for values of `schema`."""
    bare = _bare(schema)
    if key and bare not in _KEY_TYPES:
        return f"VARCHAR({_LONGEST_KEY})"
    return bare


def wider_type(known: ColumnType, schema: Schema) -> str | None:
    """The type that a column of `known` needs to hold values of `schema` as well; None when it does, or none would.

    Source: what StarRocks lets MODIFY COLUMN do: larger integers, DOUBLE for FLOAT, a DECIMAL with more digits on
    either side of the point.
    """
    wanted = parse_type(_bare(schema))
    for row in (_INTEGERS, _FLOATS):
        if known.base in row and wanted.base in row:
            return wanted.base if row.index(wanted.base) > row.index(known.base) else None
    if known.base != "DECIMAL" or wanted.base != "DECIMAL":
        return None
    scale = max(known.scale, wanted.scale)
    precision = max(known.precision - known.scale, wanted.precision - wanted.scale) + scale
    if precision > _MOST_DIGITS or (precision, scale) == (known.precision, known.scale):
        return None
    return f"DECIMAL({precision},{scale})"


def _bare(schema: Schema) -> str:
    if schema.name == DECIMAL:
        precision = int(schema.parameter("connect.decimal.precision") or 0)
        return f"DECIMAL({precision},{schema.parameter('scale') or 0})" if 0 < precision <= _MOST_DIGITS else f"VARCHAR({LONGEST_TEXT})"
    if schema.name in _DATES:
        return "DATE"
    if schema.name in _MOMENTS:
        return "DATETIME"
    if schema.name in _TEXTS:
        return f"VARCHAR({LONGEST_TEXT})"
    if schema.name == "io.debezium.data.Json":
        return "JSON"
    if schema.type == "array" and schema.items is not None:
        # what an array cannot hold is kept whole
        return "JSON" if (item := _bare(schema.items)) in ("JSON", "VARBINARY") else f"ARRAY<{item}>"
    return _PRIMITIVE.get(schema.type, f"VARCHAR({LONGEST_TEXT})")
