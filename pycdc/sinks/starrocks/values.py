"""Values of Connect schemas -> what StarRocks is given for a column: by column, by the column's own type.

Both formats take the same: a text, a number or a boolean that the column reads back exactly, the text of a document
for JSON, a list for ARRAY. StarRocks drops zones, makes midnight of a time it cannot read, rounds decimals, counts a
text's length in bytes; here each of these is made right or an error. DATETIME holds UTC. A schemaless value is read
by the column's type alone; of which unit its temporal numbers are, `units` knows.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.lines import Unwritable
from pycdc.sinks.starrocks.types import RANGES, ColumnType
from pycdc.sinks.times import DAYS, SECONDS, decimal_texts, unscaled_numbers, variable_decimal, with_point
from pycdc.sinks.units import MICROSECOND, MOMENTS, SECOND, TIMES, Units

_VARIABLE: Final = "io.debezium.data.VariableScaleDecimal"
_DATES: Final = ("io.debezium.time.Date", "org.apache.kafka.connect.data.Date")
#: Days since 1970 of 0001-01-01 and 9999-12-31.
_DAY: Final = (-719_162, 2_932_896)
_DAY_NS: Final = 86_400 * SECOND
#: DATETIME shows six digits whatever the source has: a schemaless number may be milliseconds.
_UNKNOWN_PRECISION: Final = 3
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)Z?", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d+(?:\.(\d*))?", re.ASCII)


def converted(values: Sequence[Any], schema: Schema | None, kind: ColumnType, units: Units) -> Sequence[Any]:
    """Values of one column, none of them None, for a column of type `kind`. `units`: what is known of the column's.

    Raises Unwritable, and what a value of another type than expected raises.
    """
    base = kind.base
    if base in ("VARCHAR", "CHAR"):
        return _bounded(_texts(values, schema), kind.length)
    if base in RANGES:
        return _integers(values, base)
    if base in ("FLOAT", "DOUBLE"):
        return _floats(values)
    if base == "DECIMAL":
        return _decimals(values, schema, kind)
    if base == "DATETIME":
        return _moments(values, schema, units)
    if base == "DATE":
        return _days(values, schema)
    if base == "BOOLEAN":
        return list(map(_boolean, values))
    if base == "JSON":
        return list(map(_document, values))
    if base == "VARBINARY":
        return _bounded_bytes(values, kind.length)
    if base == "ARRAY" and kind.items is not None:
        return [_array(v, schema.items if schema is not None else None, kind.items, units) for v in values]
    return values


def zero(kind: ColumnType) -> Any:
    """What stands in a NOT NULL column of a row that is deleted: StarRocks looks at it all the same."""
    if kind.base in ("VARCHAR", "CHAR", "VARBINARY"):
        return ""
    if kind.base in ("DATE", "DATETIME"):
        return "1970-01-01" + " 00:00:00" * (kind.base == "DATETIME")
    if kind.base == "ARRAY":
        return []
    return {"BOOLEAN": False, "JSON": "{}", "DECIMAL": "0", "LARGEINT": "0", "MAP": {}, "STRUCT": {}}.get(kind.base, 0)


# ---- texts


def _texts(values: Sequence[Any], schema: Schema | None) -> Sequence[str]:
    name = schema.name if schema is not None else None
    if name in _DATES:
        return list(map(_day, values))
    if name in MOMENTS:
        return _moment_texts(values, MOMENTS[name])
    if name in TIMES:
        return [_time_of_day(v, TIMES[name]) for v in values]
    if name == "io.debezium.data.Bits":
        length = int((schema.parameter("length") if schema is not None else None) or 1)
        return [format(int.from_bytes(v, "little"), "b").zfill(length if length < 1 << 31 else 1) for v in values]
    if schema is not None and schema.type == "string":
        return values
    return values if set(map(type, values)) <= {str} else list(map(_text, values))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict) and value.keys() == {"scale", "value"}:
        return _variable(value)
    return _document(value) if isinstance(value, dict | list) else str(value)


def _bounded(texts: Sequence[str], length: int) -> Sequence[str]:
    """UTF-8 takes at most four bytes for a character: most texts need no counting."""
    if length and texts and max(map(len, texts)) * 4 > length:
        longest = max(len(t.encode()) for t in texts)
        if longest > length:
            raise Unwritable(f"it has {longest} bytes, the column takes {length}")
    return texts


def _bounded_bytes(values: Sequence[Any], length: int) -> list[str]:
    """As hexadecimal digits; see body.Slot. Schemaless bytes are base64."""
    found = [v if isinstance(v, bytes) else a2b_base64(v, strict_mode=True) for v in values]
    if length and max(map(len, found), default=0) > length:
        raise Unwritable(f"it has {max(map(len, found))} bytes, the column takes {length}")
    return [v.hex() for v in found]


def _document(value: Any) -> str:
    """The text of a JSON document: a text is one already. A NaN would fail the load, or become null."""
    if isinstance(value, str | bytes):
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Unwritable("it is no JSON document") from None
        return value if isinstance(value, str) else value.decode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_in_document)


def _in_document(value: Any) -> str:
    """As Connect's JSON has it."""
    return b64encode(value).decode() if isinstance(value, bytes) else format(value, "f")


def _array(values: list[Any], items: Schema | None, kind: ColumnType, units: Units) -> list[Any]:
    if kind.base in ("JSON", "VARBINARY"):
        raise Unwritable(f"an array of {kind.text} cannot be loaded")
    if not isinstance(values, list):
        raise Unwritable("it is no array")
    known = iter(converted([v for v in values if v is not None], items, kind, units))
    return [None if v is None else next(known) for v in values]


# ---- numbers


def _boolean(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):  # a bool is one too
        return bool(value)
    word = value.lower() if isinstance(value, str) else None
    if word in ("true", "false", "t", "f", "1", "0"):
        return word in ("true", "t", "1")
    raise Unwritable("it is no boolean")


def _integers(values: Sequence[Any], base: str) -> Sequence[Any]:
    """Numbers; texts of LARGEINT, which is longer than JSON's numbers are read."""
    numbers: Sequence[int] = values if set(map(type, values)) <= {int} else list(map(_integer, values))
    low, high = RANGES[base]
    if numbers and (min(numbers) < low or max(numbers) > high):
        raise Unwritable(f"out of the range {low} to {high}")
    return list(map(str, numbers)) if base == "LARGEINT" else numbers


def _integer(value: Any) -> int:
    if isinstance(value, float | Decimal) and value != int(value):
        raise Unwritable("it has digits behind the point")
    return int(value)


def _floats(values: Sequence[Any]) -> Sequence[float]:
    if not set(map(type, values)) <= {float}:
        values = [float(v if isinstance(v, int | float | str) else _text(v)) for v in values]
    if not all(map(math.isfinite, values)):
        raise Unwritable("StarRocks loads no NaN and no infinity")
    return values


def _variable(value: dict[str, Any]) -> str:
    """A VariableScaleDecimal; its bytes are base64 where no schema says otherwise."""
    number = value["value"]
    return variable_decimal(value if isinstance(number, bytes) else {"scale": value["scale"], "value": a2b_base64(number, strict_mode=True)})


def _decimals(values: Sequence[Any], schema: Schema | None, kind: ColumnType) -> list[str]:
    """StarRocks would round what has more digits behind the point than the column."""
    if schema is None:
        numbers = unscaled_numbers(values)
        if numbers is not None and max(map(abs, numbers), default=0) < 10**kind.precision:
            return with_point(numbers, kind.scale)
    texts = [str(decimal_texts((v,), kind.scale)[0]) if schema is None and isinstance(v, str) else _decimal(v) for v in values]
    if _fits(schema, kind):
        return texts
    for text in texts:
        m = _NUMBER.fullmatch(text)
        if m is None:
            raise Unwritable("it is no decimal number")
        if len((m[1] or "").rstrip("0")) > kind.scale:
            raise Unwritable(f"more than {kind.scale} digits behind the point")
        if len(text.lstrip("-").partition(".")[0].lstrip("0")) > kind.precision - kind.scale:
            raise Unwritable(f"more than {kind.precision - kind.scale} digits before the point")
    return texts


def _decimal(value: Any) -> str:
    if isinstance(value, float):  # repr has the shortest digits that mean it
        return format(Decimal(repr(value)), "f")
    return _text(int(value) if isinstance(value, bool) else value)


def _fits(schema: Schema | None, kind: ColumnType) -> bool:
    """The schema itself says that every value has its place."""
    if schema is None or schema.name != DECIMAL:
        return False
    scale, precision = int(schema.parameter("scale") or 0), int(schema.parameter("connect.decimal.precision") or 0)
    return precision > 0 and scale <= kind.scale and precision - scale <= kind.precision - kind.scale


# ---- dates and times


def _day(days: int) -> str:
    if not _DAY[0] <= days <= _DAY[1]:
        raise Unwritable("a day out of the range 0001-01-01 to 9999-12-31")
    return DAYS[days]


def _days(values: Sequence[Any], schema: Schema | None) -> list[str]:
    name = schema.name if schema is not None else None
    if name in MOMENTS:
        return [_midnight(v * MOMENTS[name]) for v in values]
    return [_date_text(v) if isinstance(v, str) else _day(v) for v in values]


def _midnight(ns: int) -> str:
    if ns % _DAY_NS:
        raise Unwritable("it has a time of day, the column has none")
    return _day(ns // _DAY_NS)


def _date_text(text: str) -> str:
    m = _DATE.fullmatch(text)
    if m is not None:
        return m[1]
    moment = _moment_text(text)
    if moment[10:] != " 00:00:00":
        raise Unwritable("it has a time of day, the column has none")
    return moment[:10]


def _moments(values: Sequence[Any], schema: Schema | None, units: Units) -> Sequence[str]:
    name = schema.name if schema is not None else None
    if name in _DATES:
        return [f"{_day(v)} 00:00:00" for v in values]
    numbers = [v for v in values if not isinstance(v, str)]
    unit = MOMENTS.get(name or "", MICROSECOND) if schema is not None else units.of_moments(numbers, _UNKNOWN_PRECISION)
    if len(numbers) == len(values):
        return _moment_texts(numbers, unit)
    if not numbers:
        return list(map(_moment_text, values))
    given = iter(_moment_texts(numbers, unit))
    return [_moment_text(v) if isinstance(v, str) else next(given) for v in values]


def _moment_texts(values: Sequence[int], unit: int) -> list[str]:
    per_second = SECOND // unit
    if values and not (_DAY[0] * 86_400 * per_second <= min(values) and max(values) < (_DAY[1] + 1) * 86_400 * per_second):
        raise Unwritable("a moment out of the years 1 to 9999")
    parts = [divmod(v, per_second) for v in values]
    if unit != MICROSECOND:
        parts = [(second, rest * unit // MICROSECOND) for second, rest in parts]
    return [f"{SECONDS[second]}.{micros:06}" if micros else SECONDS[second] for second, micros in parts]


class _Walls(dict[str, str]):
    """Moments of UTC up to the second, as ISO 8601 and as StarRocks has them; the rows of a batch often share them. Bounded."""

    def learn(self, text: str, wall: str) -> None:
        if len(self) > 4096:
            self.clear()
        self[text] = wall


_WALLS: Final = _Walls()


def _moment_text(text: str) -> str:
    """ISO 8601 -> the wall clock of UTC, which is all that StarRocks reads of it."""
    wall, rest = _WALLS.get(text[:19]), text[19:]
    if wall is not None and rest[-1:] == "Z":
        digits = rest[1:-1]
        if rest == "Z":
            return wall
        if rest[0] == "." and len(digits) <= 6 and digits.isascii() and digits.isdigit():
            return f"{wall}.{digits:0<6}" if digits.strip("0") else wall
    m = _MOMENT.fullmatch(text)
    if m is None:
        date = _DATE.fullmatch(text)
        if date is None:
            raise Unwritable("it is no moment of the years 1 to 9999")
        return f"{date[1]} 00:00:00"
    fraction = (m[3] or "")[:6].rstrip("0").ljust(6, "0") if m[3] else ""
    rest = f".{fraction}" if fraction.strip("0") else ""
    zone = m[4]
    if zone in (None, "Z") or not zone.strip("+-:0"):
        _WALLS.learn(text[:19], f"{m[1]} {m[2]}")
        return f"{m[1]} {m[2]}{rest}"
    try:
        moved = datetime.datetime.fromisoformat(f"{m[1]}T{m[2]}{zone}").astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise Unwritable("it is no moment of the years 1 to 9999") from None
    return moved.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0") + rest


def _time_of_day(value: int, unit: int) -> str:
    seconds, fraction = divmod(value * unit // MICROSECOND, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}" if fraction else text
