"""How Java prints numbers, for the converters whose bytes must equal Kafka Connect's.

Source: Double.toString and Float.toString (Java SE API); strings as Jackson's JsonGenerator writes them.
"""

from __future__ import annotations

import struct
from decimal import Decimal

from orjson import dumps

_FLOAT32 = struct.Struct("<f")


def double_text(value: float) -> str:
    """Double.toString: `1.0E10`, `100000.0`, `-0.0`, `NaN`, `Infinity`."""
    return _java(repr(value))


def float_text(value: float) -> str:
    """Float.toString of the nearest float32: the fewest digits that read back as the same float32."""
    try:
        nearest = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        nearest = float("inf") if value > 0 else float("-inf")
    for digits in (6, 7, 8, 9):
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


def unscaled_bytes(unscaled: int) -> bytes:
    """BigInteger.toByteArray: big-endian two's complement, as few bytes as hold the sign."""
    size = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    return unscaled.to_bytes(size, "big", signed=True)


def quoted(text: str) -> bytes:
    """A JSON string as Jackson writes it: raw UTF-8, short escapes, other controls as \\u00XX in capitals."""
    out = dumps(text)
    return upper_escapes(out) if b"\\u00" in out else out


def upper_escapes(out: bytes) -> bytes:
    """`\\u001f` -> `\\u001F` in a quoted JSON string; an escaped backslash before u00 stays as it is."""
    parts = out.split(b"\\\\")
    for i, part in enumerate(parts):
        pieces = part.split(b"\\u00")
        parts[i] = pieces[0] + b"".join(b"\\u00" + p[:2].upper() + p[2:] for p in pieces[1:])
    return b"\\\\".join(parts)
