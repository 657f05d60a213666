"""Values of Connect schemas -> texts that ClickHouse reads from TSV, by the column's own type.

ClickHouse wraps integers and clamps dates that are out of range without a word; here each is an error. Moments
are written in UTC (`Z`, read with date_time_input_format=best_effort), whatever the column's zone. A schemaless
value is read by the column's type alone; of which unit its temporal numbers are, `units` knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.clickhouse.kinds import arguments, bare, named, nested
from pycdc.sinks.lines import ESCAPES, Unwritable
from pycdc.sinks.times import DAYS, SECONDS, decimal_texts, unscaled_numbers, variable_decimal, with_point
from pycdc.sinks.units import MICROSECOND, MOMENTS, NANOSECOND, SECOND, TIMES, Units

#: What an insert needs so that the texts of this module mean what they say, and a refusal names the row.
SETTINGS: Final = {
    "date_time_input_format": "best_effort", "input_format_null_as_default": 0, "async_insert": 0, "input_format_parallel_parsing": 0,
    "insert_deduplicate": 1, "deduplicate_blocks_in_dependent_materialized_views": 1,
}  # fmt: skip

_INTEGER = re.compile(r"(U?)Int(8|16|32|64|128|256)$")
_DAY: Final = {"Date": (0, 65_535), "Date32": (-25_567, 120_529)}
#: Seconds since 1970 that a moment may have: 1900-01-01 to 2299-12-31, for DateTime 1970 to 2106, with nanoseconds 1900 to 2262.
_MOMENT: Final = {"DateTime": (0, 2**32 - 1), "DateTime64": (-2_208_988_800, 10_413_791_999)}
_NANO: Final = (-2_208_988_800, 9_223_372_035)
_TEXTS: Final = {"DateTime": ("1970-01-01T00:00:00", "2106-02-07"), "DateTime64": ("1900", "2300")}
#: Element types whose texts need no quotes.
_PLAIN: Final = ("Int", "UInt", "Float", "BFloat", "Decimal", "Bool", "Array(", "Map(", "Tuple(", "Point")
_FLOAT32_MAX: Final = 3.4028234663852886e38
_INFINITE: Final = frozenset((float("inf"), float("-inf")))

ADAPTIVE: Final = Units("adaptive")


def texts(values: Sequence[Any], schema: Schema | None, kind: str, units: Units = ADAPTIVE) -> Sequence[str]:
    """Values of one column, none of them None, for a column of type `kind`.

    Raises Unwritable, and what a value of another type than expected raises.
    """
    kind = bare(kind)
    name, _, inside = kind.partition("(")
    integer = _INTEGER.match(kind)
    if integer is not None:
        return _integers(values, unsigned=bool(integer[1]), bits=int(integer[2]))
    if name in _DAY:
        return _days(values, schema, name)
    if name in _MOMENT:
        return _moments(values, schema, name, _precision(name, inside), units)
    if name in ("Time", "Time64"):
        return _times(values, schema, _precision(name, inside), units)
    if name == "Decimal":
        return _decimals(values, schema, int(inside.rstrip(")").split(",")[-1]))
    if name == "Bool":
        return [_boolean(v) for v in values]
    if name in ("Float32", "BFloat16"):
        return _narrow_floats(values)
    if name in ("Array", "Map", "Tuple", "Point"):
        write = _compound(name, kind, schema, units)
        return [write(v) for v in values]
    if name in ("JSON", "Object"):
        return [v if isinstance(v, str) else orjson.dumps(v, default=str).decode() for v in values]
    return _strings(values, schema)


def _precision(name: str, inside: str) -> int:
    """Digits behind the point of a temporal type."""
    return int(re.match(r"\d+", inside)[0]) if name.endswith("64") else 0  # type: ignore[index]


def _strings(values: Sequence[Any], schema: Schema | None) -> Sequence[str]:
    if schema is not None and schema.name == "io.debezium.data.VariableScaleDecimal":
        return list(map(variable_decimal, values))
    if schema is not None and schema.type == "string":
        return values
    return values if set(map(type, values)) <= {str} else list(map(_string, values))


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str).decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _boolean(value: Any) -> str:
    if value in (True, 1, "true"):
        return "true"
    if value in (False, 0, "false"):
        return "false"
    raise Unwritable("neither true nor false")


def _integers(values: Sequence[Any], *, unsigned: bool, bits: int) -> list[str]:
    numbers = values if set(map(type, values)) <= {int} else list(map(_integer, values))
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if min(numbers, default=0) < low or max(numbers, default=0) > high:
        raise Unwritable(f"out of the range {low} to {high}")
    return list(map(str, numbers))


def _integer(value: Any) -> int:
    """A number with a fraction is none: int() would cut it off."""
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise Unwritable("not a whole number")
    return number


def _narrow_floats(values: Sequence[Any]) -> list[str]:
    for value in values:
        if isinstance(value, float) and abs(value) > _FLOAT32_MAX and value not in _INFINITE:
            raise Unwritable("more than 32 bits can hold")
    return list(map(_string, values))


# ---- days and moments


def _days(values: Sequence[Any], schema: Schema | None, kind: str) -> Sequence[str]:
    if (schema is not None and schema.type == "string") or set(map(type, values)) <= {str}:
        return _within(values, "1970" if kind == "Date" else "1900", "2149-06-07" if kind == "Date" else "2300")
    low, high = _DAY[kind]
    if min(values, default=0) < low or max(values, default=0) > high:
        raise Unwritable(f"a day out of the range {DAYS[low]} to {DAYS[high]}")
    return list(map(DAYS.__getitem__, values))


def _moments(values: Sequence[Any], schema: Schema | None, kind: str, precision: int, units: Units) -> Sequence[str]:
    if set(map(type, values)) <= {str}:
        return _within(values, *_TEXTS[kind])
    unit = _unit(schema, precision) or units.of_moments(values, precision)
    low, high = _NANO if precision == 9 else _MOMENT[kind]
    per_second = SECOND // unit
    parts = [divmod(v, per_second) for v in values]
    if parts and not (low <= min(parts)[0] and max(parts)[0] <= high):
        raise Unwritable(f"a moment out of the range of {kind}")
    if unit == NANOSECOND:
        return [f"{SECONDS[second]}.{rest:09}Z" if rest else SECONDS[second] + "Z" for second, rest in parts]
    if unit != MICROSECOND:
        parts = [(second, rest * unit // MICROSECOND) for second, rest in parts]
    return [f"{SECONDS[second]}.{micros:06}Z" if micros else SECONDS[second] + "Z" for second, micros in parts]


def _times(values: Sequence[Any], schema: Schema | None, precision: int, units: Units) -> Sequence[str]:
    if set(map(type, values)) <= {str}:
        return values
    unit = _unit(schema, precision) or units.of_times(values, precision)
    out = []
    for value in values:
        second, rest = divmod(value * unit, SECOND)
        if not 0 <= second <= 86_400:
            raise Unwritable("no time of a day")
        out.append(f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" + (f".{rest:09}"[: precision + 1] if precision else ""))
    return out


def _unit(schema: Schema | None, precision: int) -> int | None:
    """Nanoseconds of one unit. A number that its schema says nothing of is of the column's own, as ClickHouse reads it."""
    if schema is None:
        return None
    name = schema.name or ""
    return MOMENTS.get(name) or TIMES.get(name) or 10 ** (9 - precision)


def _within(values: Sequence[str], low: str, high: str) -> Sequence[str]:
    """ISO 8601 with four digits of a year sorts as text; years before 0 and behind 9999 have a sign, which sorts lower."""
    if values and (min(values) < low or max(values) >= high):
        raise Unwritable(f"out of the range {low} to {high}")
    return values


def _decimals(values: Sequence[Any], schema: Schema | None, scale: int) -> list[str]:
    """More digits than the column's scale would be cut off without a word."""
    if schema is None:
        numbers = unscaled_numbers(values)
        if numbers is not None:
            return with_point(numbers, scale)
        out = [_schemaless_decimal(v, scale) for v in values]
    elif schema.name == "io.debezium.data.VariableScaleDecimal":
        out = list(map(variable_decimal, values))
    else:
        out = [_string(v) for v in values]
    if schema is None or schema.name != DECIMAL or int(schema.parameter("scale") or 0) > scale:
        for text in out:
            if len(text.partition(".")[2].rstrip("0")) > scale:
                raise Unwritable(f"more than {scale} digits behind the point")
            if not text.lstrip("-").replace(".", "", 1).isdigit():
                raise Unwritable("not a decimal number")
    return out


def _schemaless_decimal(value: Any, scale: int) -> str:
    if isinstance(value, str):
        return str(decimal_texts((value,), scale)[0])
    if isinstance(value, dict) and value.keys() == {"scale", "value"}:
        from binascii import a2b_base64

        return variable_decimal({"scale": value["scale"], "value": a2b_base64(value["value"])})
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else _string(value)


# ---- arrays, maps, tuples


def _compound(name: str, kind: str, schema: Schema | None, units: Units) -> Callable[[Any], str]:
    if name == "Array":
        items = _elements(nested(kind, "Array") or "", schema.items if schema is not None else None, units)
        return lambda value: "[" + ",".join(items(_list(value))) + "]"
    if name == "Map":
        key_kind, value_kind = arguments(kind)
        keys = _elements(key_kind, schema.keys if schema is not None else None, units)
        held = _elements(value_kind, schema.values if schema is not None else None, units)
        return lambda value: "{" + ",".join(f"{k}:{v}" for k, v in zip(keys(list(value)), held(list(value.values())), strict=True)) + "}"
    fields = [("x", "Float64"), ("y", "Float64")] if name == "Point" else [named(a) for a in arguments(kind)]
    return _tuple(fields, schema, units)


def _tuple(fields: Sequence[tuple[str, str]], schema: Schema | None, units: Units) -> Callable[[Any], str]:
    """Of a struct by its fields' names, of a list by their order."""
    writers = [_elements(kind, schema.field(field) if schema is not None else None, units) for field, kind in fields]

    def text(value: Any) -> str:
        held = [value[field] for field, _ in fields] if isinstance(value, dict) else _list(value)
        return "(" + ",".join(write([v])[0] for write, v in zip(writers, held, strict=True)) + ")"

    return text


def _elements(kind: str, schema: Schema | None, units: Units) -> Callable[[list[Any]], list[str]]:
    plain = bare(kind).startswith(_PLAIN)

    def written(values: list[Any]) -> list[str]:
        given = iter(texts([v for v in values if v is not None], schema, kind, units))
        return ["NULL" if v is None else next(given) if plain else _quoted(next(given)) for v in values]

    return written


def _list(value: Any) -> list[Any]:
    """A list may come as the text of one (arrays that Debezium shows as JSON)."""
    found = orjson.loads(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise Unwritable("no list")
    return list(found)


def _quoted(text: str) -> str:
    return "'" + text.translate(ESCAPES).replace("'", "\\'") + "'"



