"""The type table: PostgreSQL's name of a type -> Kafka Connect's schema and how the text is read.

Types are those that the JDBC driver makes of columns and the original of those; what is not here it leaves out, with a
warning. Values have the Python forms of model/schema.py.

Source: GenericDatabaseDialect and PostgreSqlDatabaseDialect of kafka-connect-jdbc 10.9, the driver's type tables.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from pycdc.debezium.types import binary, numeric
from pycdc.debezium.types.entry import TypeSettings
from pycdc.model.schema import BOOLEAN, BYTES, FLOAT32, FLOAT64, INT16, INT32, INT64, STRING, Schema
from pycdc.model.template import Form
from pycdc.sources.jdbc.times import ValueSettings, date, time, timestamp, timestamptz, timetz
from pycdc.sources.jdbc.types import EXACT, ColumnType, decimal, decimal_schema

#: The scale of numeric without one.
_UNSET_SCALE: Final = 127
#: Decimal digits that fit into 64 bits; the least scale that counts as one.
_INTEGER_DIGITS, _LOWEST_SCALE = 18, -84


#: typmod and settings -> the column's type.
Maker = Callable[[int, ValueSettings], ColumnType]


def _fixed(schema: Schema, read: Callable[[bytes], Any], form: Form = Form.NONE) -> Maker:
    made = ColumnType(schema, read, form)
    return lambda _typmod, _settings: made


# ---- numeric


def _numeric(typmod: int, settings: ValueSettings) -> ColumnType:
    precision, scale = (0, 0) if typmod < 4 else ((typmod - 4) >> 16 & 0xFFFF, (typmod - 4 & 0x7FF ^ 0x400) - 0x400)
    mapping = settings.numeric
    if typmod < 4:
        # the original takes it for a whole number of no digits, which its values are not
        return _DOUBLE if mapping == "best_fit_eager_double" else _unconstrained()
    fits = precision <= _INTEGER_DIGITS
    if fits and (scale == 0 if mapping == "precision_only" else mapping != "none" and _LOWEST_SCALE <= scale < 1):
        return ColumnType(_integer(precision), int, Form.DIGITS)
    if scale > 0 and (mapping == "best_fit_eager_double" or (mapping == "best_fit" and fits)):
        return _DOUBLE
    return decimal(precision, scale)


def _integer(precision: int) -> Schema:
    return Schema(type="int64" if precision > 9 else "int32" if precision > 4 else "int16" if precision > 2 else "int8")


def _unconstrained() -> ColumnType:
    def read(text: bytes) -> Decimal:
        value = EXACT.create_decimal(text.decode())
        if not value.is_finite():
            raise ValueError("is no number")
        return value.quantize(Decimal((0, (1,), -_UNSET_SCALE)), context=EXACT)

    return ColumnType(decimal_schema(_UNSET_SCALE, 0), read)


_DOUBLE = ColumnType(FLOAT64, float)

# ---- bits


def _bits(typmod: int, _: ValueSettings) -> ColumnType:
    """One bit is a boolean, up to eight are a signed byte, more are the text's bytes."""
    if typmod <= 1:
        return ColumnType(BOOLEAN, {b"0": False, b"1": True}.__getitem__)
    if typmod <= 8:
        return ColumnType(Schema(type="int8"), lambda text: (int(text, 2) ^ 0x80) - 0x80)
    return ColumnType(BYTES, bytes)


_TEXT = _fixed(STRING, bytes.decode, Form.TEXT)
_BINARY = binary.bytea(TypeSettings()).read
_MONEY = numeric.money(TypeSettings(decimal="double")).read

#: Types of pg_catalog.
BUILTIN: Final[dict[str, Maker]] = {
    "bool": _fixed(BOOLEAN, {b"t": True, b"f": False}.__getitem__),
    "bit": _bits,
    "int2": _fixed(INT16, int, Form.DIGITS),
    "int4": _fixed(INT32, int, Form.DIGITS),
    "int8": _fixed(INT64, int, Form.DIGITS),
    "oid": _fixed(INT64, int, Form.DIGITS),
    "float4": _fixed(FLOAT32, float),
    "float8": _fixed(FLOAT64, float),
    "money": _fixed(FLOAT64, _MONEY),
    "numeric": _numeric,
    "char": _TEXT,
    "bpchar": _TEXT,
    "varchar": _TEXT,
    "text": _TEXT,
    "name": _TEXT,
    "json": _TEXT,
    "jsonb": _TEXT,
    "uuid": _TEXT,
    "xml": _TEXT,
    "bytea": _fixed(BYTES, _BINARY),
    "date": lambda _, s: ColumnType(*date(s)),
    "time": lambda _, s: ColumnType(*time(s)),
    "timetz": lambda _, s: ColumnType(*timetz(s)),
    "timestamp": lambda _, s: ColumnType(*timestamp(s)),
    "timestamptz": lambda _, s: ColumnType(*timestamptz(s)),
}


def column_type(name: str, schema: str, kind: str, typmod: int, settings: ValueSettings) -> ColumnType | None:
    """Of a type that is no domain; `kind` is typtype. None: it is left out."""
    if kind == "e":
        return _TEXT(typmod, settings)
    maker = BUILTIN.get(name) if schema == "pg_catalog" else None
    return None if maker is None else maker(typmod, settings)
