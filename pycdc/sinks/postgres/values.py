"""Values of Connect schemas -> texts that PostgreSQL's own input functions read, for COPY.

The target's column type decides what becomes of the text; a schemaless value is read by that type alone
(temporal numbers then have the units of Debezium's adaptive mode).
"""

from __future__ import annotations

import datetime
from binascii import a2b_base64
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import orjson

from pycdc.model.schema import DECIMAL, Schema

Text = Callable[[Any], str]

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - a timestamp without zone
_ORDINAL = _EPOCH.toordinal()
#: What Debezium writes for infinity and -infinity.
_INFINITE_DAYS = {-2147472692: "infinity", -2147472691: "-infinity", -622191234: "infinity", -625821272: "-infinity"}
_INFINITE_US = {9223372036825200000: "infinity", -9223372036832400000: "-infinity"}


def _plain(value: Any) -> str:
    return str(value)


def _itself(value: str) -> str:
    return value


def _boolean(value: bool) -> str:
    return "t" if value else "f"


def _bytes(value: bytes) -> str:
    return "\\x" + value.hex()


def _date(days: int) -> str:
    if days in _INFINITE_DAYS:
        return _INFINITE_DAYS[days]
    ordinal = days + _ORDINAL
    if 1 <= ordinal <= 3_652_059:
        return datetime.date.fromordinal(ordinal).isoformat()
    return f"J{days + 2_440_588}"  # Julian day: any date PostgreSQL has, BC and beyond the year 9999


class _Seconds(dict[int, str]):
    """Seconds since 1970 -> their text; the rows of a batch often share them. Bounded."""

    def __missing__(self, second: int) -> str:
        if len(self) > 4096:
            self.clear()
        days, rest = divmod(second, 86_400)
        text = self[second] = f"{_date(days)} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        return text


_SECONDS = _Seconds()


def _timestamp(us: int) -> str:
    if us in _INFINITE_US:
        return _INFINITE_US[us]
    second, fraction = divmod(us, 1_000_000)
    return f"{_SECONDS[second]}.{fraction:06}" if fraction else _SECONDS[second]


def _time(us: int) -> str:
    seconds, fraction = divmod(us, 1_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"


def _zoned(text: str) -> str:
    """ISO 8601 has signed years, PostgreSQL has BC."""
    if text[0] == "+":
        return text[1:]
    if text[0] == "-" and text != "-infinity":
        year, _, rest = text[1:].partition("-")
        return f"{int(year) + 1:04}-{rest.removesuffix('Z').replace('T', ' ')}+00 BC"
    return text


def _variable_decimal(value: dict[str, Any]) -> str:
    unscaled = int.from_bytes(value["value"], "big", signed=True)
    return format(_EXACT.scaleb(Decimal(unscaled), -value["scale"]), "f")


def _decimal(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _bits(length: int) -> Text:
    def text(value: bytes) -> str:
        return format(int.from_bytes(value, "little"), "b").zfill(length if length < 1 << 31 else 1)

    return text


def _point(value: dict[str, Any]) -> str:
    return f"({value['x']!r},{value['y']!r})"


_LOGICAL: dict[str, Text] = {
    DECIMAL: _decimal,
    "io.debezium.data.VariableScaleDecimal": _variable_decimal,
    "io.debezium.time.Date": _date,
    "org.apache.kafka.connect.data.Date": _date,
    "io.debezium.time.Timestamp": lambda ms: _timestamp(ms * 1000),
    "org.apache.kafka.connect.data.Timestamp": lambda ms: _timestamp(ms * 1000),
    "io.debezium.time.MicroTimestamp": _timestamp,
    "io.debezium.time.NanoTimestamp": lambda ns: _timestamp(ns // 1000),
    "io.debezium.time.Time": lambda ms: _time(ms * 1000),
    "org.apache.kafka.connect.data.Time": lambda ms: _time(ms * 1000),
    "io.debezium.time.MicroTime": _time,
    "io.debezium.time.NanoTime": lambda ns: _time(ns // 1000),
    "io.debezium.time.ZonedTimestamp": _zoned,
    "io.debezium.time.MicroDuration": lambda us: f"{us} microseconds",
    "io.debezium.data.geometry.Point": _point,
}


def writer(schema: Schema | None, target: str) -> Text:
    """The writer of values for a column of PostgreSQL type `target` (its internal name, `_int4` for arrays)."""
    if schema is None:
        return _by_target(target)
    if schema.name == "io.debezium.data.Bits":
        return _bits(int(schema.parameter("length") or 1)) if target in ("bit", "varbit") else _bytes
    if schema.name in _LOGICAL and target not in ("int4", "int8", "text", "varchar"):  # there the number itself is wanted
        return _LOGICAL[schema.name]
    if schema.name in (DECIMAL, "io.debezium.data.VariableScaleDecimal"):
        return _LOGICAL[schema.name]
    if schema.type == "array" and schema.items is not None:
        return _array(writer(schema.items, target.removeprefix("_")))
    if schema.type == "boolean":
        return (lambda v: "1" if v else "0") if target in ("bit", "varbit") else _boolean
    if schema.type == "bytes":
        return _bytes
    if schema.type == "string":
        return _itself
    if schema.type in ("map", "struct"):
        return _hstore if target == "hstore" else lambda v: orjson.dumps(v).decode()
    return _plain


def _array(item: Text) -> Text:
    def text(values: list[Any]) -> str:
        return "{" + ",".join("NULL" if v is None else _quoted(item(v)) for v in values) + "}"

    return text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _hstore(values: dict[str, str | None]) -> str:
    return ",".join(f"{_quoted(k)}=>{'NULL' if v is None else _quoted(v)}" for k, v in values.items())


def _by_target(target: str) -> Text:
    """A schemaless value: JSON gives numbers, texts, lists; the column says what they mean."""
    numbers: dict[str, Text] = {"date": _date, "timestamp": _timestamp, "timestamptz": _timestamp, "time": _time, "interval": lambda us: f"{us} microseconds"}
    of_number = numbers.get(target)

    def text(value: Any) -> str:
        if type(value) is str:
            if target == "timestamptz":
                return _zoned(value)
            return value if target != "bytea" else _bytes(_base64(value))
        if isinstance(value, bool):
            return _boolean(value)
        if isinstance(value, int) and of_number is not None:
            return of_number(value)
        if isinstance(value, list):
            return _array(_by_target(target.removeprefix("_")))(value)
        if isinstance(value, dict):
            if target == "numeric" and value.keys() == {"scale", "value"}:
                return _variable_decimal({"scale": value["scale"], "value": _base64(value["value"])})
            return _hstore(value) if target == "hstore" else orjson.dumps(value).decode()
        return str(value)

    return text


def decimal_by_scale(scale: int) -> Text:
    """A schemaless precise Decimal: base64 of the unscaled number, the scale is the column's."""
    one = 10**scale
    other = _by_target("numeric")

    def text(value: Any) -> str:
        if type(value) is not str:
            return other(value)
        unscaled = int.from_bytes(a2b_base64(value), "big", signed=True)
        if not scale:
            return str(unscaled)
        whole, fraction = divmod(abs(unscaled), one)
        return f"{'-' if unscaled < 0 else ''}{whole}.{fraction:0{scale}}"

    return text


def _base64(text: str) -> bytes:
    return a2b_base64(text)
