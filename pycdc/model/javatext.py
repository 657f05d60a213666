"""How Java prints and narrows numbers, for the places whose bytes must equal Kafka Connect's.

Source: Double.toString, Float.toString and BigDecimal.toString (Java SE API).
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

from pycdc.model.schema import Schema

_FLOAT32 = struct.Struct("<f")
#: Below it a float32 has fewer digits.
_SMALLEST_NORMAL = 1.1754943508222875e-38


def float32(value: float) -> float:
    """The nearest float32, as a cast to `float` gives it: what is too large becomes infinite."""
    try:
        nearest: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return nearest


def narrow(number: int, bits: int) -> int:
    """The lowest bits as two's complement, as a cast between Java's integers keeps them."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def double_text(value: float) -> str:
    """Double.toString: `1.0E10`, `100000.0`, `-0.0`, `NaN`, `Infinity`."""
    text = repr(value)
    # Of the decimals with two digits, the nearest: 5e-324 is 4.9E-324. It matters where a digit is much, near zero.
    if text[-4:-1] == "-32" and float(two := f"{value:.1e}") == value:
        text = two
    return _java(text)


def float_text(value: float) -> str:
    """Float.toString of the nearest float32: the fewest digits that read back as the same float32."""
    nearest = float32(value)
    for digits in (6, 7, 8, 9) if not -_SMALLEST_NORMAL < nearest < _SMALLEST_NORMAL else range(2, 10):
        shortest = f"{nearest:.{digits}g}"
        if _FLOAT32.unpack(_FLOAT32.pack(float(shortest)))[0] == nearest:
            break
    return _java(repr(float(shortest)))


def _java(text: str) -> str:
    """Python's shortest repr, laid out as Java does: decimal from 10^-3 up to 10^7, else one digit and E."""
    if text in _WORDS:
        return _WORDS[text]
    sign, text = ("-", text[1:]) if text[0] == "-" else ("", text)
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits.strip("0"):
        return sign + "0.0"
    # the number is 0.DIGITS * 10^point
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if -2 <= point <= 7:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
        return f"{sign}{whole}.{fraction or '0'}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}"


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def decimal_text(value: Decimal) -> str:
    """BigDecimal.toString: plain while the exponent is small, `1E+3` for negative scales."""
    return str(value)


def java_text(schema: Schema | None, value: Any) -> str:
    """String.valueOf of a primitive; a float without schema is a double."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value) if schema is not None and schema.type == "float32" else double_text(value)
    return decimal_text(value) if isinstance(value, Decimal) else str(value)
