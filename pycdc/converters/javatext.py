"""How Java writes texts and numbers into JSON, for the converters whose bytes must equal Kafka Connect's.

Source: strings as Jackson's JsonGenerator writes them; the numbers' own texts stand in model.javatext.
"""

from __future__ import annotations

import re

from orjson import dumps

from pycdc.model.javatext import decimal_text, double_text, float_text, java_text

__all__ = ["as_jackson", "decimal_text", "double_text", "float_text", "java_text", "quoted", "quoted_whole", "unscaled_bytes"]


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


def quoted_whole(text: str) -> bytes:
    """The same where Jackson writes a string, not bytes: no character stands as two surrogates."""
    out = dumps(text)
    return _upper(out) if b"\\u00" in out else out


def as_jackson(out: bytes) -> bytes:
    """What orjson wrote, with Jackson's escapes."""
    if b"\\u00" in out:
        out = _upper(out)
    if not out.isascii() and _BEYOND_BASIC_PLANE.search(out):
        out = _BEYOND_BASIC_PLANE.sub(_surrogates, out)
    return out


_BEYOND_BASIC_PLANE = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")


def _upper(out: bytes) -> bytes:
    # an escaped backslash before u00 is text and stays as it is
    return b"\\\\".join(map(_upper_escapes, out.split(b"\\\\")))


def _upper_escapes(part: bytes) -> bytes:
    first, *pieces = part.split(b"\\u00")
    return first + b"".join(b"\\u00" + p[:2].upper() + p[2:] for p in pieces)


def _surrogates(match: re.Match[bytes]) -> bytes:
    number = ord(match.group().decode()) - 0x10000
    return b"\\u%04X\\u%04X" % (0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))
