"""Length and scale of a column, as the JDBC driver derives them from the type and its modifier.

They show in Bits' length, in propagated source types, and decide where truncation applies. Unlimited is
2147483647. Source: PostgreSQL's typmod encodings (numerictypmodin and its kin) and the captures.
"""

from __future__ import annotations

from pycdc.debezium.types.entry import Shape
from pycdc.model.table import Column, TypeInfo

UNLIMITED = 2147483647
#: What the driver shows for numeric without precision.
NUMERIC_LENGTH = 131089

_FIXED = {"int2": 5, "int4": 10, "oid": 10, "int8": 19, "float4": 8, "float8": 17, "bool": 1, "char": 1}
#: Characters of a printed value without its fraction of a second.
_PRINTED = {"time": 8, "timetz": 14, "timestamp": 22, "timestamptz": 28}
_FRACTION = {-1: 7, 0: 0, 1: 3}


def shape_of(column: Column) -> Shape:
    """Length and scale of the column in the stream; domains give those of their base."""
    if column.typmod != -1:
        return Shape(_precision(column.type, column.typmod), _scale(column.type, column.typmod))
    typ, typmod = base_of(column.type)
    return Shape(_precision(typ, typmod) or NUMERIC_LENGTH, _scale(typ, typmod))


def base_of(typ: TypeInfo) -> tuple[TypeInfo, int]:
    """The type under any domains and the first modifier on the way down; -1 when there is none."""
    typmod = -1
    while typ.kind == "d" and typ.base is not None:
        if typmod == -1:
            typmod = typ.base_typmod
        typ = typ.base
    return typ, typmod


def _scalar(typ: TypeInfo) -> str:
    return typ.element.name if typ.element is not None else typ.name


def _precision(typ: TypeInfo, typmod: int) -> int:
    """0 for numeric without precision: the driver's two metadata calls differ there."""
    name = _scalar(typ)
    if name in _FIXED:
        return _FIXED[name]
    if name == "numeric":
        return 0 if typmod == -1 else (typmod - 4) >> 16 & 0xFFFF
    if name in ("bpchar", "varchar"):
        return UNLIMITED if typmod == -1 else typmod - 4
    if name in ("bit", "varbit"):
        return UNLIMITED if typmod == -1 else typmod
    if name == "date":
        return 13
    if name == "interval":
        return 49
    if name in _PRINTED:
        return _PRINTED[name] + _FRACTION.get(typmod, typmod + 1)
    return UNLIMITED


def _scale(typ: TypeInfo, typmod: int) -> int:
    name = _scalar(typ)
    if name in ("float4", "float8"):
        return _FIXED[name]
    if name == "numeric" and typmod != -1:
        scale = (typmod - 4) & 0x7FF
        return scale - 0x800 if scale & 0x400 else scale  # eleven bits, signed (PostgreSQL 15)
    if name in _PRINTED or name == "interval":
        return 6 if typmod == -1 else typmod & 0xFFFF
    return 0
