"""bytea under binary.handling.mode, bit strings, and types Debezium does not know.

Bit strings become little-endian bytes, only as many as their set bits need; one bit is a boolean. Unknown
types are their text, treated as bytes.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from binascii import a2b_hex, b2a_base64, b2a_hex
from collections.abc import Callable
from typing import Any

from pycdc.debezium.types.entry import Entry, Read, Shape, TypeSettings
from pycdc.model.schema import BYTES, STRING, Schema

_WRAP: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "base64": lambda raw: b2a_base64(raw, newline=False).decode(),
    "base64-url-safe": lambda raw: urlsafe_b64encode(raw).decode(),
    "hex": lambda raw: b2a_hex(raw).decode(),
}


def bytea(settings: TypeSettings) -> Entry:
    """Texts are a backslash, x, and hexadecimal digits (bytea_output = hex)."""
    return _binary(settings, _BYTEA[settings.binary])


def _hex(raw: bytes) -> bytes:
    if raw[:2] != b"\\x":
        raise ValueError("is no bytea in hex format")
    return a2b_hex(raw[2:])


_BYTEA: dict[str, Read] = {
    "bytes": _hex,
    "base64": lambda text: b2a_base64(_hex(text), newline=False).decode(),
    "base64-url-safe": lambda text: urlsafe_b64encode(_hex(text)).decode(),
    "hex": lambda text: text[2:].decode(),
}


def _binary(settings: TypeSettings, read: Read, items: str = "optional") -> Entry:
    schema = BYTES if settings.binary == "bytes" else STRING
    unavailable = {"bytes": settings.placeholder, "hex": settings.placeholder_text}.get(settings.binary)
    return Entry(
        schema=schema, read=read, fallback=b"" if schema is BYTES else "", unavailable=unavailable, items=items
    )


# ---- unknown types

_GEOMETRIC = frozenset(("box", "circle", "line", "lseg", "path", "polygon"))
_NUMBER = re.compile(rb"[^(),<>{}\[\]]+")


def unknown(name: str, settings: TypeSettings) -> Entry:
    """include.unknown.datatypes: the text's bytes; geometric types as the JDBC driver prints them."""
    wrap = _WRAP[settings.binary]
    read: Read = wrap
    if name in _GEOMETRIC:
        read = lambda text: wrap(_NUMBER.sub(lambda m: java_double(float(m[0])).encode(), text))  # noqa: E731
    return _binary(settings, read, items="required")


def java_double(value: float) -> str:
    """Double.toString: an exponent below 10^-3 and from 10^7 on."""
    text = repr(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return text
    if text in _WORDS:
        return _WORDS[text]
    for precision in range(17):
        digits, _, exponent = f"{value:.{precision}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    return f"{digits}{'' if '.' in digits else '.0'}E{int(exponent)}"


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

# ---- bit strings


def bits(shape: Shape, _: TypeSettings) -> Entry:
    """bit(n) and varbit(n)."""
    if shape.length <= 1:
        return Entry(
            schema=Schema(type="boolean"), read=_bit, fallback=False, default=lambda lit: _bit(lit.encode()),
            generated="0", items="absent",
        )  # fmt: skip
    schema = Schema(type="bytes", name="io.debezium.data.Bits", version=1, parameters=(("length", str(shape.length)),))
    return Entry(
        schema=schema, read=_bits, fallback=b"", default=lambda lit: _bits(lit.encode()), generated="0",
        items="absent",
    )  # fmt: skip


def _bit(text: bytes) -> bool:
    return int(text, 2) != 0


def _bits(text: bytes) -> bytes:
    number = int(text or b"0", 2)
    return number.to_bytes((number.bit_length() + 7) // 8, "little")
