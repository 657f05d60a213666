"""StarRocks' column types: how they are declared and shown, and what a load's value becomes in each.

A value arrives as CSV text or as what a JSON document holds; both conversions raise `Bad` with the BE's reason,
which makes the value NULL, or filters the row under strict_mode. Source: be exec/csv_scanner, formats/json/*.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final

from pycdc.testing.starrocks.dates import parse_datetime
from pycdc.testing.starrocks.errors import Bad, SqlError

#: The raw value of a load -> the stored one. Raises Bad.
Convert = Callable[[Any], Any]


class RawFloat(str):
    """A JSON number with a fraction or exponent, kept as its token."""

    __slots__ = ()


def _no_constant(token: str) -> Any:
    raise ValueError(f"{token} is not JSON")  # Python writes NaN and Infinity; simdjson refuses them


#: Reads documents as the BE's parser does.
DOCUMENT: Final = json.JSONDecoder(parse_float=RawFloat, parse_constant=_no_constant)


def plain(value: Any) -> Any:
    """A document with its numbers as numbers."""
    if isinstance(value, RawFloat):
        return float(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def to_text(value: Any) -> str:
    """What the JSON scanner puts into a VARCHAR slot."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return str(value)
    return str(value) if isinstance(value, int) else json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False)


#: DECIMAL has up to 38 digits, more than Python's own context keeps.
_EXACT = Context(prec=80)
_ALIASES = {
    "INTEGER": "INT", "BOOL": "BOOLEAN", "NUMERIC": "DECIMAL", "BINARY": "VARBINARY", "JSONB": "JSON", "DECIMALV2": "DECIMAL",
    "DECIMAL32": "DECIMAL", "DECIMAL64": "DECIMAL", "DECIMAL128": "DECIMAL",
}  # fmt: skip
BITS: Final = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64, "LARGEINT": 128}
#: Bytes of a key column in the encoded primary key; texts have their own length.
KEY_BYTES: Final = {"BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INT": 4, "BIGINT": 8, "LARGEINT": 16, "DATE": 4, "DATETIME": 8}
#: information_schema's DATA_TYPE and COLUMN_TYPE, and the type's number in MySQL's protocol.
_MYSQL = {
    "BOOLEAN": ("tinyint", "tinyint(1)", 1), "TINYINT": ("tinyint", "tinyint(4)", 1), "SMALLINT": ("smallint", "smallint(6)", 2),
    "INT": ("int", "int(11)", 3), "BIGINT": ("bigint", "bigint(20)", 8), "LARGEINT": ("bigint unsigned", "bigint(20) unsigned", 253),
    "FLOAT": ("float", "float", 4), "DOUBLE": ("double", "double", 5), "DATE": ("date", "date", 10), "DATETIME": ("datetime", "datetime", 12),
    "JSON": ("json", "json", 253), "ARRAY": ("array", "array", 253), "VARBINARY": ("varbinary", "varbinary", 252),
}  # fmt: skip
_ZEROS: dict[str, Any] = {
    "VARCHAR": "", "CHAR": "", "DATE": "0000-01-01", "DATETIME": "0000-01-01 00:00:00", "BOOLEAN": False, "DECIMAL": Decimal(0),
    "JSON": "null", "ARRAY": [], "VARBINARY": b"",
}  # fmt: skip
_LONGEST_TEXT = 1048576
_DECLARATION = re.compile(r"\s*(\w+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)|<(.*)>)?\s*", re.DOTALL)


class SqlType:
    """A column's type, as declared. Raises SqlError."""

    def __init__(self, text: str) -> None:
        m = _DECLARATION.fullmatch(text)
        if m is None:
            raise SqlError(f"Getting syntax error. Detail message: Unexpected input '{text}'.")
        raw = m[1].upper()
        self.base, self.child = _ALIASES.get(raw, raw), m[4] or ""
        self.length, self.precision, self.scale = 0, 0, 0
        if raw in ("STRING", "TEXT"):
            self.base, self.length = "VARCHAR", 65533
        elif self.base in ("VARCHAR", "CHAR", "VARBINARY"):
            self.length = int(m[2]) if m[2] else (_LONGEST_TEXT if self.base == "VARBINARY" else 1)
            if self.length > _LONGEST_TEXT:
                raise SqlError(f"Getting analyzing error. Detail message: Varchar size must be <= 1048576: {self.length}.")
        elif self.base == "DECIMAL":
            self.precision, self.scale = int(m[2] or 10), int(m[3] or 0)
            if self.precision > 38 or self.scale > self.precision:
                raise SqlError("Getting analyzing error. Detail message: DECIMAL's precision should range from 1 to 38.")
        elif self.base not in _MYSQL:
            raise SqlError(f"Getting syntax error. Detail message: No viable statement for input '{text}'.")

    # ---- how it is shown

    def sql(self) -> str:
        """As DESC and SHOW CREATE TABLE have it."""
        if self.base == "DECIMAL":
            return f"decimal({self.precision}, {self.scale})"
        if self.base == "ARRAY":
            return f"array<{self.child.lower()}>"
        return f"{self.base.lower()}({self.length})" if self.length and self.base != "VARBINARY" else self.base.lower()

    def debug(self) -> str:
        """As a BE's messages have it."""
        if self.base == "DECIMAL":
            bits = 32 if self.precision <= 9 else 64 if self.precision <= 18 else 128
            return f"DECIMAL{bits}({self.precision},{self.scale})"
        return f"{self.base}({self.length})" if self.length else self.base

    def mysql(self) -> tuple[str, str, int]:
        """DATA_TYPE, COLUMN_TYPE and the number in MySQL's protocol."""
        if self.base == "DECIMAL":
            return "decimal", f"decimal({self.precision},{self.scale})", 246
        if self.base in ("VARCHAR", "CHAR"):
            return self.base.lower(), f"{self.base.lower()}({self.length})", 253
        return _MYSQL[self.base]

    def zero(self) -> Any:
        """What a NOT NULL column without default is filled with."""
        return _ZEROS.get(self.base, 0)

    # ---- values

    def from_text(self, text: Any) -> Any:
        try:
            return self._from_text(text)
        except (ValueError, InvalidOperation, OverflowError) as error:
            raise Bad from error

    def _from_text(self, text: Any) -> Any:
        base = self.base
        if base in ("VARCHAR", "CHAR"):
            if len(text) * 4 > self.length and len(text.encode()) > self.length:
                raise Bad
            return text
        if base in BITS:
            return self._integer(text.strip())
        if base == "BOOLEAN":
            word = text.strip().lower()
            return word == "true" if word in ("true", "false") else int(word) != 0
        if base in ("FLOAT", "DOUBLE"):
            number = float(text)
            if not math.isfinite(number):
                raise Bad
            return struct.unpack("f", struct.pack("f", number))[0] if base == "FLOAT" else number
        if base == "DECIMAL":
            exact = Decimal(text.strip()).quantize(Decimal(1).scaleb(-self.scale), ROUND_HALF_UP, _EXACT)
            if abs(exact) >= Decimal(10) ** (self.precision - self.scale):
                raise Bad
            return exact
        if base in ("DATE", "DATETIME"):
            return self._moment(text)
        if base == "VARBINARY":
            return text.encode() if isinstance(text, str) else text
        value = json.loads(text)
        if base == "ARRAY" and not isinstance(value, list):
            raise Bad
        return value if base == "ARRAY" else json.dumps(value, sort_keys=True, ensure_ascii=False)

    def _integer(self, text: str) -> int:
        number = int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else int(Decimal(text))
        if not -(1 << BITS[self.base] - 1) <= number < 1 << BITS[self.base] - 1:
            raise Bad
        return number

    def _moment(self, text: str) -> str:
        parts = parse_datetime(text)
        if parts is None:
            raise Bad
        day = f"{parts[0]:04}-{parts[1]:02}-{parts[2]:02}"
        if self.base == "DATE":
            return day
        return f"{day} {parts[3]:02}:{parts[4]:02}:{parts[5]:02}" + (f".{parts[6]:06}" if parts[6] else "")

    def json_converter(self, name: str) -> Convert:
        """`from_json`, with a short cut for the values that need no conversion."""
        base, slow = self.base, self.from_json
        if base in BITS:
            low, high = -(1 << BITS[base] - 1), (1 << BITS[base] - 1) - 1
            return lambda v: v if type(v) is int and low <= v <= high else slow(v, name)
        if base in ("VARCHAR", "CHAR"):
            fits = self.length // 4
            return lambda v: v if type(v) is str and len(v) <= fits else slow(v, name)
        return lambda v: v if v is True and base == "BOOLEAN" else slow(v, name)

    def from_json(self, value: Any, name: str) -> Any:
        base = self.base
        if (base in BITS and base != "LARGEINT") or base in ("FLOAT", "DOUBLE"):
            return self._number_from_json(value, name)
        if base in ("VARCHAR", "CHAR"):
            try:
                return self.from_text(to_text(value))
            except Bad:
                raise Bad(
                    f"Invalid argument: Value length is beyond the capacity. column={name}, capacity={self.length}"
                ) from None
        if base == "JSON":
            return json.dumps(plain(value), sort_keys=True, ensure_ascii=False)
        if base == "ARRAY":
            if not isinstance(value, list):
                raise Bad(f"Invalid argument: Failed to parse value as array, column={name}")
            return plain(value)
        text = to_text(value)
        try:
            return self.from_text(text)
        except Bad:
            raise Bad(f"Value '{text}' is out of range. The type of '{name}' is {self.debug()}") from None

    def _number_from_json(self, value: Any, name: str) -> Any:
        if isinstance(value, bool | dict | list):
            raise Bad(f"Invalid argument: Unsupported value type. Numeric type is required. column={name}")
        if type(value) is int and self.base in BITS:
            if not -(1 << BITS[self.base] - 1) <= value < 1 << BITS[self.base] - 1:
                raise Bad(f"Invalid argument: Value is overflow. column={name}, value={value}")
            return value
        try:
            return self.from_text(to_text(value))
        except Bad:
            if isinstance(value, RawFloat):
                raise Bad(f"Invalid argument: Value is overflow. column={name}, value={value}") from None
            raise Bad(f"Invalid argument: Unable to cast string value to BIGINT. value={value}, column={name}") from None
