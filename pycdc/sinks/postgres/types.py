"""Connect schemas -> PostgreSQL types of new columns, and columns that are too narrow for a schema.

Source of the mapping: Debezium's JDBC sink documentation, "Data and column type mapping". Where the source
propagates its columns' types (column.propagate.source.type), the column becomes of that type, if the target has it.
"""

from __future__ import annotations

import re
from typing import Final

from pycdc.model.schema import DECIMAL, Schema

_PRIMITIVE: Final = {
    "int8": "smallint", "int16": "smallint", "int32": "integer", "int64": "bigint", "float32": "real",
    "float64": "double precision", "boolean": "boolean", "string": "text", "bytes": "bytea", "map": "hstore", "struct": "jsonb",
}  # fmt: skip
_LOGICAL: Final = {
    "io.debezium.data.VariableScaleDecimal": "numeric",
    "io.debezium.time.Date": "date", "org.apache.kafka.connect.data.Date": "date",
    "io.debezium.time.Timestamp": "timestamp", "io.debezium.time.MicroTimestamp": "timestamp",
    "io.debezium.time.NanoTimestamp": "timestamp", "org.apache.kafka.connect.data.Timestamp": "timestamp",
    "io.debezium.time.IsoTimestamp": "timestamp", "io.debezium.time.IsoDate": "date", "io.debezium.time.IsoTime": "time",
    "io.debezium.time.Time": "time", "io.debezium.time.MicroTime": "time", "io.debezium.time.NanoTime": "time",
    "org.apache.kafka.connect.data.Time": "time",
    "io.debezium.time.ZonedTimestamp": "timestamptz", "io.debezium.time.ZonedTime": "timetz",
    "io.debezium.time.MicroDuration": "interval", "io.debezium.time.Interval": "interval",
    "io.debezium.data.Json": "jsonb", "io.debezium.data.Uuid": "uuid", "io.debezium.data.Xml": "xml",
    "io.debezium.data.geometry.Point": "point",
}  # fmt: skip

_SOURCE: Final = "__debezium.source.column."
_SERIALS: Final = {"smallserial": "int2", "serial": "int4", "bigserial": "int8"}
_SIZED: Final = {"varchar": "varchar", "bpchar": "char", "bit": "bit", "varbit": "bit varying"}
#: Types whose values come as something that they cannot be read from.
_UNREADABLE: Final = frozenset(("box", "circle", "line", "lseg", "path", "polygon", "geometry", "geography", "name", "refcursor"))
#: No length, as the drivers say it.
_UNLIMITED: Final = 1 << 29


def column_types(schema: Schema) -> tuple[str, ...]:
    """Types for values of `schema`, the best first; the last one every server has."""
    by_source, by_schema = _source_type(schema), _schema_type(schema)
    plain = "jsonb" if by_schema == "hstore" else by_schema
    return tuple(dict.fromkeys(t for t in (by_source, by_schema, plain) if t))


def _schema_type(schema: Schema) -> str:
    if schema.name == DECIMAL:
        precision = schema.parameter("connect.decimal.precision")
        return f"numeric({precision},{schema.parameter('scale')})" if precision else "numeric"
    if schema.name == "io.debezium.data.Bits":
        length = int(schema.parameter("length") or 1)
        return f"bit({length})" if length < 1 << 31 else "bit varying"
    if schema.name in _LOGICAL:
        return _LOGICAL[schema.name]
    if schema.type == "array" and schema.items is not None:
        return _schema_type(schema.items) + "[]"
    return _PRIMITIVE[schema.type]


def _source_type(schema: Schema) -> str | None:
    """What the source calls the column's type, made SQL; None where it does not say, or where it would not help."""
    name = (schema.parameter(_SOURCE + "type") or "").lower()
    if not re.fullmatch(r"_?[a-z][a-z0-9_]*", name) or name.lstrip("_") in _UNREADABLE:
        return None
    if name.startswith("_"):
        return f"{name[1:]}[]" if schema.type == "array" else None
    name = _SERIALS.get(name, name)
    length = _number(schema.parameter(_SOURCE + "length"))
    if name in _SIZED:
        return f"{_SIZED[name]}({length})" if 0 < length < _UNLIMITED else _SIZED[name]
    if name == "numeric":
        scale = schema.parameter(_SOURCE + "scale")
        return f"numeric({length},{scale})" if 0 < length <= 1000 and scale is not None else "numeric"
    return name


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


#: The widest first: an integer column holds those behind it.
_INTEGERS: Final = ("int8", "int4", "int2")
_HOLDS: Final = {"int8": "int2", "int16": "int2", "int32": "int4", "int64": "int8"}


def widened(schema: Schema, kind: str, typmod: int) -> str | None:
    """The type that a column of type `kind` (internal name) has to become to hold all of `schema`; None = it does.

    Only ever wider: what is narrower at the source than here stays.
    """
    if schema.name is None and kind in _INTEGERS and schema.type in _HOLDS:
        needed = _HOLDS[schema.type]
        return needed if _INTEGERS.index(needed) < _INTEGERS.index(kind) else None
    if schema.type == "float64" and schema.name is None and kind == "float4":
        return "double precision"
    if kind in ("varchar", "bpchar") and schema.type == "string" and typmod > 4:
        return _longer(schema, kind, typmod - 4)
    if kind == "numeric" and typmod >= 4:
        return _wider_numeric(schema, (typmod - 4) >> 16 & 0xFFFF, (typmod - 4) & 0x7FF)
    return None


def _longer(schema: Schema, kind: str, length: int) -> str | None:
    source = (schema.parameter(_SOURCE + "type") or "").lower()
    if not source:
        return None
    needed = _number(schema.parameter(_SOURCE + "length"))
    if source in ("varchar", "bpchar") and 0 < needed < _UNLIMITED:
        return f"{_SIZED[kind]}({needed})" if needed > length else None
    return "text"


def _wider_numeric(schema: Schema, precision: int, scale: int) -> str | None:
    if schema.name == "io.debezium.data.VariableScaleDecimal":
        return "numeric"
    if schema.name != DECIMAL:
        return None
    given = schema.parameter("connect.decimal.precision")
    if given is None:
        return None
    new_scale = max(scale, int(schema.parameter("scale") or 0))
    digits = max(precision - scale, int(given) - int(schema.parameter("scale") or 0))
    return f"numeric({digits + new_scale},{new_scale})" if (digits, new_scale) != (precision - scale, scale) else None
