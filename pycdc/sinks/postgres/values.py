"""Values of Connect schemas -> texts that PostgreSQL's own input functions read, for COPY.

The target's column type decides what becomes of the text; a schemaless value is read by that type alone, and
temporal numbers by `units`.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.times import DAYS, SECONDS, decimal_texts, variable_decimal
from pycdc.sinks.units import MICROSECOND, Units

Text = Callable[[Any], str]

#: What Debezium writes for infinity and -infinity.
_INFINITE_US = {9223372036825200000: "infinity", -9223372036832400000: "-infinity"}


def _itself(value: str) -> str:
    return value


def _boolean(value: bool) -> str:
    return "t" if value else "f"


def _bytes(value: bytes) -> str:
    return "\\x" + value.hex()


_date = DAYS.__getitem__


def _timestamp(us: int) -> str:
    if us in _INFINITE_US:
        return _INFINITE_US[us]
    second, fraction = divmod(us, 1_000_000)
    return f"{SECONDS[second]}.{fraction:06}" if fraction else SECONDS[second]


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
    "io.debezium.data.VariableScaleDecimal": variable_decimal,
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


def texts(values: Sequence[Any], schema: Schema | None, target: str, typmod: int, units: Units) -> Sequence[str]:
    """Values of one column, none of them None, as texts for a column of PostgreSQL type `target` (its internal
    name, `_int4` for arrays). By column, because one look at all types replaces one at each value.

    `units` are the column's, for temporal numbers without schema.

    Raises ValueError, TypeError, KeyError or OverflowError for a value that has no text.
    """
    if schema is not None:
        write = _writer(schema, target)
    elif (kinds := set(map(type, values))) == {int} and target in _MOMENTS:
        return _moments(values, target, units, 6 if typmod < 0 else typmod)
    else:
        if kinds == {str} and target == "numeric" and typmod >= 4:
            return decimal_texts(values, _scale(typmod))
        write = _of_kind(kinds.pop(), target, typmod) if len(kinds) == 1 else _of_any(target, typmod)
    return values if write is _itself else list(map(write, values))


_UTC = ZoneInfo("UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL = {"org.apache.kafka.connect.data.Timestamp": "timestamp", "org.apache.kafka.connect.data.Time": "time"}


def local_texts(values: Sequence[int], schema: Schema | None, target: str, zone: ZoneInfo) -> Sequence[str] | None:
    """Connect's own moments and times, ms, on the wall clock of `zone` (db.timezone), for columns that have no zone.

    None where the zone makes no difference.
    """
    if zone is _UTC or schema is None or schema.name is None or _LOCAL.get(schema.name) != target:
        return None
    return [_local(ms, zone) if target == "timestamp" else _local(ms, zone).partition(" ")[2] for ms in values]


def _local(ms: int, zone: ZoneInfo) -> str:
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone).replace(tzinfo=None).isoformat(" ")
    except OverflowError:  # infinity, and years that have no zones
        return _timestamp(ms * 1000)


def _writer(schema: Schema, target: str) -> Text:
    if schema.name == "io.debezium.data.Bits":
        return _bits(int(schema.parameter("length") or 1)) if target in ("bit", "varbit") else _bytes
    if schema.name in _LOGICAL and target not in ("int4", "int8", "text", "varchar"):  # there the number itself is wanted
        return _LOGICAL[schema.name]
    if schema.name in (DECIMAL, "io.debezium.data.VariableScaleDecimal"):
        return _LOGICAL[schema.name]
    if schema.type == "array" and schema.items is not None:
        return _array(_writer(schema.items, target.removeprefix("_")))
    if schema.type == "boolean":
        return (lambda v: "1" if v else "0") if target in ("bit", "varbit") else _boolean
    if schema.type == "bytes":
        return _bytes
    if schema.type == "string":
        return _itself
    if schema.type in ("map", "struct"):
        return _hstore if target == "hstore" else lambda v: orjson.dumps(v).decode()
    return str


_MOMENTS = frozenset(("timestamp", "timestamptz", "time"))


def _moments(values: Sequence[int], target: str, units: Units, precision: int) -> list[str]:
    unit = (units.of_times if target == "time" else units.of_moments)(values, precision)
    write = _time if target == "time" else _timestamp
    if unit == MICROSECOND:
        return list(map(write, values))
    return [write(v * unit // MICROSECOND) for v in values]


def _array(item: Text) -> Text:
    def text(values: list[Any]) -> str:
        return "{" + ",".join("NULL" if v is None else _quoted(item(v)) for v in values) + "}"

    return text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _hstore(values: dict[str, str | None]) -> str:
    return ",".join(f"{_quoted(k)}=>{'NULL' if v is None else _quoted(v)}" for k, v in values.items())


def _scale(typmod: int) -> int:
    """Digits behind the point of a numeric with a modifier. Source: numeric.c, make_numeric_typmod."""
    return (typmod - 4) & 0x7FF


# ---- schemaless values: JSON gives numbers, texts, lists; the column says what they mean


def _of_kind(kind: type, target: str, typmod: int) -> Text:
    """The writer of values that are all of type `kind`."""
    if kind is str:
        if target == "numeric" and typmod >= 4:
            return lambda value: str(decimal_texts((value,), _scale(typmod))[0])
        return _zoned if target == "timestamptz" else _itself if target != "bytea" else lambda v: _bytes(a2b_base64(v))
    if kind is bool:
        return _boolean
    if kind is int:
        return _OF_NUMBER.get(target, str)
    if kind is list:
        return _array(_of_any(target.removeprefix("_"), typmod))
    if kind is dict:
        return _of_dict(target)
    return str


def _of_any(target: str, typmod: int) -> Text:
    return lambda value: _of_kind(type(value), target, typmod)(value)


def _of_dict(target: str) -> Text:
    def text(value: dict[str, Any]) -> str:
        if target == "numeric" and value.keys() == {"scale", "value"}:
            return variable_decimal({"scale": value["scale"], "value": a2b_base64(value["value"])})
        return _hstore(value) if target == "hstore" else orjson.dumps(value).decode()

    return text


_OF_NUMBER: dict[str, Text] = {
    "date": _date, "timestamp": _timestamp, "timestamptz": _timestamp, "time": _time, "interval": lambda us: f"{us} microseconds"
}  # fmt: skip
