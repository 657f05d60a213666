"""How Java prints numbers, for the converters whose bytes must equal Kafka Connect's.

Source: Double.toString and Float.toString (Java SE API); strings as Jackson's JsonGenerator writes them.
"""

from __future__ import annotations

import re
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
    r"""A JSON string as Jackson writes it: raw UTF-8, short escapes, other controls as \u00XX in capitals,
    and characters beyond the basic plane as two escaped surrogates.
    """
    out = dumps(text)
    return as_jackson(out) if b"\\u00" in out or not out.isascii() else out


def as_jackson(out: bytes) -> bytes:
    """What orjson wrote, with Jackson's escapes."""
    if b"\\u00" in out:
        # an escaped backslash before u00 is text and stays as it is
        out = b"\\\\".join(map(_upper_escapes, out.split(b"\\\\")))
    if not out.isascii() and _BEYOND_BASIC_PLANE.search(out):
        out = _BEYOND_BASIC_PLANE.sub(_surrogates, out)
    return out


_BEYOND_BASIC_PLANE = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")


def _upper_escapes(part: bytes) -> bytes:
    first, *pieces = part.split(b"\\u00")
    return first + b"".join(b"\\u00" + p[:2].upper() + p[2:] for p in pieces)


def _surrogates(match: re.Match[bytes]) -> bytes:
    number = ord(match.group().decode()) - 0x10000
    return b"\\u%04X\\u%04X" % (0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))
