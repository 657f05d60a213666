"""The type table: MySQL's types as the protocol tells them -> Kafka Connect's schema and how the text is read.

Types are those that the JDBC drivers make of columns and the original of those. DECIMAL is a DECIMAL for them and not a
NUMERIC, so that numeric.mapping has no effect, as with the original.

Source: MysqlType and NativeProtocol.findMysqlType of Connector/J 9, column.* of MariaDB Connector/J 3, GenericDatabaseDialect
of kafka-connect-jdbc 10.9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from pycdc.model.schema import BOOLEAN, BYTES, FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, STRING, Schema
from pycdc.model.template import Form
from pycdc.mysql.url import Address, zero_dates_of
from pycdc.mysql.wire import BINARY_COLLATION, UNSIGNED, Field, Row
from pycdc.sources.jdbc.times import ValueSettings, date, time, timestamp, timestamp_utc
from pycdc.sources.jdbc.types import ColumnType, decimal

#: Numbers of types (MySQL Source Code Documentation, enum_field_types) -> the word that messages use.
_NAMES: Final = {
    0: "decimal", 1: "tinyint", 2: "smallint", 3: "int", 4: "float", 5: "double", 6: "null", 7: "timestamp", 8: "bigint", 9: "mediumint",
    10: "date", 11: "time", 12: "datetime", 13: "year", 15: "varchar", 16: "bit", 242: "vector", 245: "json", 246: "decimal", 247: "enum", 248: "set",
    249: "text", 250: "text", 251: "text", 252: "text", 253: "varchar", 254: "char", 255: "geometry",
}  # fmt: skip
_BINARY_NAMES: Final = {"text": "blob", "varchar": "varbinary", "char": "binary"}
_TEMPORAL: Final = ("timestamp", "datetime", "date")
#: DECIMAL_NOT_SPECIFIED of the protocol: a temporal or float without a number of digits.
_UNSPECIFIED: Final = 31


class Driver(msgspec.Struct, frozen=True):
    """What a URL says of types; defaults are those of its driver."""

    tiny_is_bit: bool = True
    bit_is_boolean: bool = False
    year_is_date: bool = True
    #: exception, converttonull, or round: to the first of January of the year 1.
    zero_dates: str = "exception"
    #: BIT(1) is a boolean too.
    mariadb: bool = False

    @classmethod
    def of(cls, url: Address) -> Driver:
        return cls(
            url.flag("tinyInt1isBit", default=True), url.flag("transformedBitIsBoolean", default=url.mariadb),
            url.flag("yearIsDateType", default=True), zero_dates_of(url), url.mariadb,
        )  # fmt: skip


class ColumnFacts(msgspec.Struct, frozen=True):
    """`utc`: the session prints it in UTC, else as the clock shows in the session's zone."""

    unsigned: bool = False
    length: int = 0
    decimals: int = 0
    utc: bool = False


def type_name(field: Field) -> str:
    """In the words of CREATE TABLE, without length."""
    name = _NAMES.get(field.type_code, f"type {field.type_code}")
    return _BINARY_NAMES.get(name, name) if field.collation == BINARY_COLLATION and name in _BINARY_NAMES else name


def facts_of(field: Field, *, utc: bool) -> ColumnFacts:
    """Only what decides about its form: a longer varchar is the same."""
    name, unsigned = type_name(field), bool(field.flags & UNSIGNED)
    length = field.length if name in ("tinyint", "decimal", "bit") else 0
    decimals = field.decimals if name in ("decimal", "datetime", "timestamp") and field.decimals != _UNSPECIFIED else 0
    return ColumnFacts(unsigned, length, decimals, utc and name == "timestamp")


def declared(name: str, facts: ColumnFacts) -> str:
    """A number's or moment's type in the words of CREATE TABLE."""
    if name == "decimal":
        name = f"decimal({_precision(facts)},{facts.decimals})"
    elif name in ("datetime", "timestamp"):
        return f"{name}({facts.decimals})" if facts.decimals else name
    return f"{name} unsigned" if facts.unsigned else name


def _precision(facts: ColumnFacts) -> int:
    """Of DECIMAL, whose length holds the sign and the point too."""
    return facts.length - (not facts.unsigned) - (facts.decimals > 0)


# ---- readers


def _int(low: int, high: int) -> Callable[[bytes], int]:
    def read(text: bytes) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError("does not fit into its field")
        return number

    return read


def _whole(schema: Schema, *, checked: bool = False) -> ColumnType:
    """`checked`: numbers of the column may lie beyond the schema."""
    if not checked:
        return ColumnType(schema, int, Form.DIGITS)
    bits = int((schema.type or "").removeprefix("int"))
    return ColumnType(schema, _int(-(1 << bits - 1), (1 << bits - 1) - 1))


def _bit_number(text: bytes) -> int:
    """Of BIT, whose value comes as big-endian bytes; the field is a signed byte."""
    number = int.from_bytes(text)
    if number > 127:
        raise ValueError("does not fit into a byte")
    return number


_SIGNED: Final = {"tinyint": INT8, "smallint": INT16, "mediumint": INT32, "int": INT32, "bigint": INT64}
_UNSIGNED: Final = {"tinyint": INT16, "smallint": INT32, "mediumint": INT64, "int": INT64, "bigint": INT64}
_TEXT: Final = ColumnType(STRING, bytes.decode, Form.TEXT)
_BYTES: Final = ColumnType(BYTES, bytes)
_FIXED: Final = {
    "float": ColumnType(FLOAT32, float), "double": ColumnType(FLOAT64, float),
    "varchar": _TEXT, "char": _TEXT, "text": _TEXT, "enum": _TEXT, "set": _TEXT, "json": _TEXT,
    "varbinary": _BYTES, "binary": _BYTES, "blob": _BYTES, "geometry": _BYTES, "vector": _BYTES,
}  # fmt: skip


def column_type(name: str, facts: ColumnFacts, driver: Driver, values: ValueSettings) -> ColumnType | None:
    """None: it has no form."""
    if name in _FIXED:
        return _FIXED[name]
    if name == "tinyint" and facts.length == 1 and driver.tiny_is_bit and not facts.unsigned:
        return ColumnType(BOOLEAN, lambda text: int(text) == -1 or int(text) > 0) if driver.bit_is_boolean else _whole(INT8)
    if name in _SIGNED:
        return _whole((_UNSIGNED if facts.unsigned else _SIGNED)[name], checked=name == "bigint" and facts.unsigned)
    if name == "bit":
        return ColumnType(BOOLEAN, lambda text: int.from_bytes(text) != 0) if driver.mariadb and driver.bit_is_boolean and facts.length == 1 else ColumnType(INT8, _bit_number)
    if name == "decimal":
        return decimal(_precision(facts), facts.decimals)
    if name == "year":
        return _year(values) if driver.year_is_date else _whole(INT32)
    if name == "date":
        return _dated(*date(values))
    if name in ("datetime", "timestamp"):
        return _dated(*(timestamp_utc(values) if facts.utc else timestamp(values)))
    if name == "time":
        return _time(values)
    return None


def _year(values: ValueSettings) -> ColumnType:
    """The first of January; 0 to 99 are of 1970 to 2069, as the drivers have it."""
    schema, read = date(values)

    def first(text: bytes) -> Any:
        year = int(text)
        if year < 100:
            year += 2000 if year < 70 else 1900
        return read(b"%04d-01-01" % year)

    return ColumnType(schema, first)


def _dated(schema: Schema, read: Callable[[bytes], Any]) -> ColumnType:
    def checked(text: bytes) -> Any:
        # with 00 for month or day it is no day; the year may be 0000
        if text[5:7] == b"00" or text[8:10] == b"00":
            raise ValueError("is no date")
        return read(text)

    return ColumnType(schema, checked)


def _time(values: ValueSettings) -> ColumnType:
    """TIME goes from -838 to 838 hours; of a day are those below 24."""
    schema, read = time(values)

    def of_a_day(text: bytes) -> Any:
        if text[2:3] != b":" or text >= b"24":
            raise ValueError("is no time of a day")
        return read(text)

    return ColumnType(schema, of_a_day)


def is_whole(name: str, facts: ColumnFacts) -> bool:
    return name in _SIGNED or (name == "decimal" and not facts.decimals)


def zero_dates(driver: Driver) -> Callable[[Sequence[Field], list[Row]], None] | None:
    """What is done to rows before anything looks at them: zero dates become NULL or the year 1. None: nothing."""
    if driver.zero_dates == "exception":
        return None
    day = None if driver.zero_dates == "converttonull" else b"0001-01-01"

    def change(fields: Sequence[Field], rows: list[Row]) -> None:
        for at in [i for i, f in enumerate(fields) if type_name(f) in _TEMPORAL]:
            for row in rows:
                text = row[at]
                if text is not None and text.startswith(b"0000-00-00"):
                    row[at] = None if day is None else day + (b" 00:00:00" if len(text) > 10 else b"")

    return change
