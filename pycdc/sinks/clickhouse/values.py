"""Values of Connect schemas -> texts that ClickHouse reads from TSV, by the column's own type.

ClickHouse wraps integers and clamps dates that are out of range without a word; here each is an error. Moments
are written in UTC (`Z`, read with date_time_input_format=best_effort), whatever the column's zone. A schemaless
value is read by the column's type alone; temporal numbers then have the units of Debezium's adaptive mode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.lines import ESCAPES, Unwritable
from pycdc.sinks.times import DAYS, SECONDS, US_OF, unscaled, variable_decimal

#: What an insert needs so that the texts of this module mean what they say.
SETTINGS: Final = {"date_time_input_format": "best_effort", "input_format_null_as_default": 0, "async_insert": 0}

Text = Callable[[Any], str]

_INTEGER = re.compile(r"(U?)Int(8|16|32|64|128|256)$")
_DAY: Final = {"Date": (0, 65_535), "Date32": (-25_567, 120_529)}
#: Seconds since 1970 that a moment may have: 1900-01-01 to 2299-12-31, for DateTime 1970 to 2106.
_MOMENT: Final = {"DateTime": (0, 2**32 - 1), "DateTime64": (-2_208_988_800, 10_413_791_999)}
_TEXTS: Final = {"DateTime": ("1970-01-01T00:00:00", "2106-02-07"), "DateTime64": ("1900", "2300")}


def nested(kind: str, word: str) -> str | None:
    """`T` of `word(T)`, None when `kind` is something else."""
    return kind[len(word) + 1 : -1] if kind.startswith(word + "(") and kind.endswith(")") else None


def bare(kind: str) -> str:
    """A column's type without LowCardinality and Nullable."""
    for word in ("LowCardinality", "Nullable"):
        kind = nested(kind, word) or kind
    return kind


def is_nullable(kind: str) -> bool:
    """Whether a column of the type may be null."""
    return (nested(kind, "LowCardinality") or kind).startswith(("Nullable(", "Variant(", "Dynamic"))


def is_raw(kind: str) -> bool:
    """Texts of arrays, maps and tuples carry their own escapes."""
    return bare(kind).startswith(("Array(", "Map(", "Tuple(", "Nested("))


def texts(values: Sequence[Any], schema: Schema | None, kind: str) -> Sequence[str]:
    """Values of one column, none of them None, for a column of type `kind`.

    Raises Unwritable, and what a value of another type than expected raises.
    """
    kind = bare(kind)
    name, _, arguments = kind.partition("(")
    integer = _INTEGER.match(kind)
    if integer is not None:
        return _integers(values, unsigned=bool(integer[1]), bits=int(integer[2]))
    if name in _DAY:
        return _days(values, schema, name)
    if name in _MOMENT:
        return _moments(values, schema, name)
    if name == "Decimal":
        return _decimals(values, schema, int(arguments.rstrip(")").split(",")[-1]))
    if name == "Bool":
        return ["true" if v else "false" for v in values]
    if name == "Array":
        return [_array(v, schema.items if schema is not None else None, kind[6:-1]) for v in values]
    if name == "Map":
        return ["{" + ",".join(f"{_quoted(str(k))}:{_quoted(_string(v))}" for k, v in value.items()) + "}" for value in values]
    return _strings(values, schema)


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


def _integers(values: Sequence[Any], *, unsigned: bool, bits: int) -> list[str]:
    numbers = list(map(int, values))
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if min(numbers, default=0) < low or max(numbers, default=0) > high:
        raise Unwritable(f"out of the range {low} to {high}")
    return list(map(str, numbers))


def _days(values: Sequence[Any], schema: Schema | None, kind: str) -> Sequence[str]:
    if (schema is not None and schema.type == "string") or set(map(type, values)) <= {str}:
        return _within(values, "1970" if kind == "Date" else "1900", "2149-06-07" if kind == "Date" else "2300")
    low, high = _DAY[kind]
    if min(values, default=0) < low or max(values, default=0) > high:
        raise Unwritable(f"a day out of the range {DAYS[low]} to {DAYS[high]}")
    return list(map(DAYS.__getitem__, values))


def _moments(values: Sequence[Any], schema: Schema | None, kind: str) -> Sequence[str]:
    if set(map(type, values)) <= {str}:
        return _within(values, *_TEXTS[kind])
    name = schema.name if schema is not None else None
    unit = US_OF.get(name or "", 1)
    low, high = _MOMENT[kind]
    out = []
    for value in values:
        second, fraction = divmod(value * unit if unit > 0 else value // -unit, 1_000_000)
        if not low <= second <= high:
            raise Unwritable(f"a moment out of the range of {kind}")
        out.append(f"{SECONDS[second]}.{fraction:06}Z" if fraction else SECONDS[second] + "Z")
    return out


def _within(values: Sequence[str], low: str, high: str) -> Sequence[str]:
    """ISO 8601 with four digits of a year sorts as text; years before 0 and behind 9999 have a sign, which sorts lower."""
    if values and (min(values) < low or max(values) >= high):
        raise Unwritable(f"out of the range {low} to {high}")
    return values


def _decimals(values: Sequence[Any], schema: Schema | None, scale: int) -> list[str]:
    """More digits than the column's scale would be cut off without a word."""
    if schema is None:
        read = unscaled(scale)
        out = [read(v) if isinstance(v, str) else _string(v) for v in values]
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


def _array(values: Sequence[Any], items: Schema | None, kind: str) -> str:
    known = [v for v in values if v is not None]
    written = iter(texts(known, items, kind))
    plain = bare(kind).startswith(("Int", "UInt", "Float", "Decimal", "Bool", "Array("))
    return "[" + ",".join("NULL" if v is None else next(written) if plain else _quoted(next(written)) for v in values) + "]"


def _quoted(text: str) -> str:
    return "'" + text.translate(ESCAPES).replace("'", "\\'") + "'"
