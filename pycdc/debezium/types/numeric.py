"""Numbers: integers, floats, numeric, money and boolean.

Decimal values are read at the column's scale; `unscaled` is the short cut for converters that write the
unscaled number. numeric without precision is a VariableScaleDecimal without trailing zeros. NaN and the
infinities have no Decimal: precise mode raises, as Debezium's conversion fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from pycdc.debezium.types.entry import Entry, Shape, TypeSettings
from pycdc.debezium.types.modifiers import NUMERIC_LENGTH
from pycdc.model.schema import DECIMAL, Schema, struct
from pycdc.model.template import Form

VARIABLE_SCALE = struct(
    [("scale", Schema(type="int32")), ("value", Schema(type="bytes"))],
    name="io.debezium.data.VariableScaleDecimal", version=1, doc="Variable scaled decimal",
)  # fmt: skip

#: numeric has at most 131072 digits before and 16383 behind the point (PostgreSQL docs, "Numeric Types").
_EXACT = Context(prec=150_000)
#: int() refuses longer texts, as a guard against quadratic time; Decimal reads them in less.
_INT_DIGITS = 4300
_SPECIAL = {b"NaN": "NAN", b"Infinity": "POSITIVE_INFINITY", b"-Infinity": "NEGATIVE_INFINITY"}


def integer(kind: str) -> Entry:
    """int16, int32 or int64."""
    low, high = (-(1 << (int(kind[3:]) - 1)), (1 << (int(kind[3:]) - 1)) - 1)

    def default(literal: str) -> int:
        value = int(literal)
        if not low <= value <= high:
            raise ValueError("out of range")
        return value

    return Entry(
        schema=Schema(type=kind), read=int, form=Form.DIGITS, fallback=0, default=default, generated="0",
    )  # fmt: skip


def oid() -> Entry:
    return Entry(schema=Schema(type="int64"), read=int, form=Form.DIGITS, fallback=0)


def real(kind: str) -> Entry:
    """float32 or float64; NaN and the infinities are kept."""
    return Entry(schema=Schema(type=kind), read=float, fallback=0.0, default=float, generated="0.0")


def boolean() -> Entry:
    return Entry(
        schema=Schema(type="boolean"), read=_boolean, fallback=False,
        default=lambda literal: literal.lower() == "true", generated="false",
    )  # fmt: skip


class _Booleans(dict[bytes, bool]):
    def __missing__(self, text: bytes) -> bool:
        raise ValueError("is neither t nor f")


_boolean = _Booleans({b"t": True, b"f": False}).__getitem__


# ---- numeric


def numeric(shape: Shape, settings: TypeSettings) -> Entry:
    """Of decimal.handling.mode."""
    variable = shape.length in (0, NUMERIC_LENGTH) and shape.scale == 0
    if settings.decimal == "double":
        return Entry(
            schema=Schema(type="float64"), read=float, fallback=0.0, default=lambda literal: float(_finite(literal)), generated="0.0"
        )
    if settings.decimal == "string":
        return _numeric_text(None if variable else shape.scale, settings)
    if variable:
        return Entry(schema=VARIABLE_SCALE, read=read_variable, fallback={"scale": 0, "value": b"\x00"})
    return _numeric_precise(shape)


def _numeric_precise(shape: Shape) -> Entry:
    schema = Schema(
        type="bytes", name=DECIMAL, version=1,
        parameters=(("scale", str(shape.scale)), ("connect.decimal.precision", str(shape.length))),
    )  # fmt: skip
    scale = shape.scale
    unscaled = fixed_scale(scale)
    return Entry(
        schema=schema, unscaled=unscaled, read=lambda text: Decimal(unscaled(text)).scaleb(-scale, _EXACT),
        fallback=_zero(scale), default=lambda literal: rescaled(literal, scale), generated="0.0",
    )  # fmt: skip


def _numeric_text(scale: int | None, settings: TypeSettings) -> Entry:
    """PostgreSQL prints numbers plainly and at the column's scale: the text is the value."""

    def default(literal: str) -> str:
        return f"{_finite(literal) if scale is None else rescaled(literal, scale):f}"

    def read(text: bytes) -> str:
        return _SPECIAL.get(text) or text.decode()

    return Entry(
        schema=Schema(type="string"), read=read, fallback=f"{_zero(scale or 0):f}",
        default=default, generated="0.0", unavailable=settings.placeholder_text,
    )  # fmt: skip


def _finite(literal: str) -> Decimal:
    """As Debezium reads a default: NaN and the infinities are none. Raises ValueError."""
    try:
        value = _EXACT.create_decimal(literal)
    except ArithmeticError:
        raise ValueError("is no number") from None
    if not value.is_finite():
        raise ValueError("is no number")
    return value


def _zero(scale: int) -> Decimal:
    return Decimal((0, (0,), -scale))


def rescaled(literal: str, scale: int) -> Decimal:
    """Raises ValueError when digits would be lost or the literal is no number."""
    value = _finite(literal)
    try:
        exact = value.quantize(_zero(scale), context=_EXACT)
    except ArithmeticError:
        raise ValueError("is no number") from None
    if exact != value:
        raise ValueError(f"has more than {scale} decimals")
    return exact


def fixed_scale(scale: int) -> Callable[[bytes], int]:
    """From a text to its unscaled number. The text has exactly `scale` decimals: PostgreSQL prints it so."""
    if scale == 0:
        return _whole
    if scale < 0:
        return lambda text: _whole(text) // 10**-scale

    point = -scale - 1

    def unscaled(text: bytes) -> int:
        if len(text) > scale and text[point] == 46:  # the decimal point where it must be; NaN has none
            digits = text.replace(b".", b"")
            return int(digits) if len(digits) <= _INT_DIGITS else _whole(digits)
        raise ValueError(f"is no number with {scale} decimals")

    return unscaled


def _whole(text: bytes) -> int:
    return int(text) if len(text) <= _INT_DIGITS else int(Decimal(text.decode()))


def read_variable(text: bytes) -> dict[str, Any]:
    """A VariableScaleDecimal. Raises ValueError for NaN and the infinities."""
    whole, _, fraction = text.partition(b".")
    fraction = fraction.rstrip(b"0")
    number = _whole(whole + fraction)
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return {"scale": len(fraction), "value": number.to_bytes(size, "big", signed=True)}


# ---- money

_MONEY = re.compile(r"[^\d.]?(\d[\d,]*(?:\.\d*)?|\.\d+)")


def money(settings: TypeSettings) -> Entry:
    """`$1,234.11`, `-$1.00` or `($1.00)`: the session prints it under lc_monetary=C, or one like it."""
    digits = settings.money_fraction_digits
    if settings.decimal == "double":
        return Entry(schema=Schema(type="float64"), read=lambda t: float(_money(t)), fallback=0.0, items="absent")
    if settings.decimal == "string":
        return Entry(
            schema=Schema(type="string"), read=lambda text: f"{_money(text):f}",
            fallback=f"{_zero(digits):f}", items="absent",
        )  # fmt: skip
    schema = Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", str(digits)),))
    unit = _zero(digits)
    return Entry(
        schema=schema, read=lambda text: _money(text).quantize(unit, ROUND_HALF_UP, _EXACT), fallback=unit, items="absent",
    )  # fmt: skip


def _money(text: bytes) -> Decimal:
    amount = text.decode()
    negative = amount[:1] in ("(", "-")
    match = _MONEY.fullmatch(amount.strip("(-)"))
    if match is None:
        raise ValueError("is no amount of money as lc_monetary=C prints it")
    value = Decimal(match[1].replace(",", ""))
    return -value if negative else value
