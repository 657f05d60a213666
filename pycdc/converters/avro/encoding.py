"""Avro's binary form: values -> bytes, one by one and a column at a time.

Numbers are varints of the zigzag of the value, looked up 14 bits at a time; strings and bytes carry their
length. A column's encoder takes a prefix, the union branch, so that no second pass adds it.
Source: the Avro specification 1.11, "Binary Encoding".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from math import isnan
from struct import Struct
from typing import Any, Final

import orjson

from pycdc.converters.javatext import unscaled_bytes
from pycdc.errors import RecordError

Encode = Callable[[Any], bytes]
#: Values without None, and the bytes put before each.
EncodeColumn = Callable[[Iterable[Any], bytes], list[bytes]]


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


#: The last 14 bits of a number, and 14 bits that others follow.
_LAST: Final = [_varint(n) for n in range(1 << 14)]
_MORE: Final = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << 14)]
#: Values of a column from which on a branch gets tables of its own (1.5 MB, a millisecond).
_WORTH_A_TABLE: Final = 64


def number(value: int) -> bytes:
    """An int or a long."""
    n = value << 1 if value >= 0 else ~(value << 1)
    if n < 1 << 14:
        return _LAST[n]
    if n < 1 << 28:
        return _MORE[n & 16383] + _LAST[n >> 14]
    if n < 1 << 42:
        return _MORE[n & 16383] + _MORE[n >> 14 & 16383] + _LAST[n >> 28]
    return _MORE[n & 16383] + _MORE[n >> 14 & 16383] + number_bits(n >> 28)


def number_bits(n: int) -> bytes:
    """A number that is a zigzag already, from its 29th bit on."""
    if n < 1 << 14:
        return _LAST[n]
    return _MORE[n & 16383] + number_bits(n >> 14)


@cache
def _tables(prefix: bytes) -> tuple[list[bytes], list[bytes]]:
    """`_LAST` and `_MORE` behind a union branch: few branches exist, and a concatenation per value is spared."""
    return [prefix + b for b in _LAST], [prefix + b for b in _MORE]


def _numbers(values: Iterable[int], prefix: bytes) -> list[bytes]:
    """Neighbours often have their higher bits in common, as ids and times do: those are encoded once."""
    values = list(values)
    if len(values) < _WORTH_A_TABLE:
        return [prefix + number(v) for v in values]
    last_table, more_table = _tables(prefix)
    out: list[bytes] = []
    append, high, tail = out.append, -1, b""
    for value in values:
        n = value << 1 if value >= 0 else ~(value << 1)
        if n < 16384:
            append(last_table[n])
        else:
            if n >> 14 != high:
                high = n >> 14
                tail = number_bits(high)
            append(more_table[n & 16383] + tail)
    return out


def digits_column(texts: Iterable[bytes], prefix: bytes) -> list[bytes]:
    """Numbers from their decimal texts, which one call to a parser of JSON reads three times as fast as `int` each."""
    return _numbers(orjson.loads(b"[%b]" % b",".join(texts)), prefix)


def octets(value: bytes) -> bytes:
    """Length and bytes; a string's UTF-8 as well."""
    return (_LAST[len(value) << 1] if len(value) < 8192 else number(len(value))) + value


@cache
def _lengths(prefix: bytes) -> list[bytes]:
    """Of less than 128 bytes, behind a union branch."""
    return [prefix + n for n in _LAST[:256:2]]


def octets_column(values: Iterable[bytes], prefix: bytes) -> list[bytes]:
    short = _lengths(prefix)
    return [(short[len(v)] if len(v) < 128 else prefix + number(len(v))) + v for v in values]


def string(value: str) -> bytes:
    return octets(value.encode())


def _strings(values: Iterable[str], prefix: bytes) -> list[bytes]:
    return octets_column(map(str.encode, values), prefix)


def boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


_FLOAT, _DOUBLE = Struct("<f"), Struct("<d")
#: Java's one NaN.
_FLOAT_NAN, _DOUBLE_NAN = b"\x00\x00\xc0\x7f", b"\x00\x00\x00\x00\x00\x00\xf8\x7f"


def float32(value: float) -> bytes:
    if isnan(value):
        return _FLOAT_NAN
    try:
        return _FLOAT.pack(value)
    except OverflowError:
        return _FLOAT.pack(float("inf") if value > 0 else float("-inf"))


def float64(value: float) -> bytes:
    return _DOUBLE_NAN if isnan(value) else _DOUBLE.pack(value)


# ---- Decimal


def unscaled(value: Decimal, scale: int) -> int:
    """The whole number that is `value` times ten to the `scale`. Raises RecordError when it is none."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or exponent < -scale:
        raise RecordError("a Decimal does not fit its schema's scale", cause=f"scale {scale}")
    n = int("".join(map(str, digits)) or "0") * int(10 ** (scale + exponent))
    return -n if sign else n


def decimal(scale: int) -> Encode:
    """Two's complement of the unscaled number."""
    return lambda value: octets(unscaled_bytes(unscaled(value, scale)))


def unscaled_octets(value: int) -> bytes:
    """A Decimal given by its unscaled number."""
    return octets(unscaled_bytes(value))


def unscaled_column(values: Iterable[int], prefix: bytes) -> list[bytes]:
    """Decimals given by their unscaled numbers; unscaled_bytes written out, as most fit 62 bits."""
    lengths = _lengths(prefix)
    out = []
    for v in values:
        size = (v if v >= 0 else ~v).bit_length() // 8 + 1
        out.append((lengths[size] if size < 128 else prefix + number(size)) + v.to_bytes(size, "big", signed=True))
    return out


#: Encoders that have a loop of their own for a whole column.
COLUMNS: Final[dict[Encode, EncodeColumn]] = {
    number: _numbers,
    string: _strings,
    octets: octets_column,
    unscaled_octets: unscaled_column,
    boolean: lambda values, prefix: [prefix + b"\x01" if v else prefix + b"\x00" for v in values],
}

#: By Avro's kind.
ENCODERS: Final[dict[str, Encode]] = {
    "int": number, "long": number, "float": float32, "double": float64, "boolean": boolean, "string": string,
    "bytes": octets,
}  # fmt: skip
