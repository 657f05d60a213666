"""Protobuf's binary form: fields of messages, value by value and a column at a time.

What stands behind a field's tag is its payload. A field without presence is left out where its payload is that of
zero. Varints and zigzag numbers are those of Avro.
Source: Google's "Encoding" of Protocol Buffers; java.util.GregorianCalendar for dates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from struct import Struct
from typing import Any, Final

import orjson

from pycdc.converters.avro.encoding import Encode, float32, float64, number, number_bits, unscaled
from pycdc.converters.javatext import unscaled_bytes
from pycdc.errors import RecordError

EncodeColumn = Callable[[Iterable[Any]], list[bytes]]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_64_BITS: Final = (1 << 64) - 1
_32_BITS: Final = (1 << 32) - 1
#: Numbers below are written by a look-up: lengths and most of the small numbers.
_SHORT: Final = [number_bits(n) for n in range(1 << 14)]
#: 14 bits that others follow.
_MORE: Final = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << 14)]
_UINT32, _UINT64 = Struct("<I"), Struct("<Q")


def varint(n: int) -> bytes:
    """Of a number that is not negative."""
    return _SHORT[n] if n < 16384 else number_bits(n)


def tag(number_: int, wire: int) -> bytes:
    return varint(number_ << 3 | wire)


# ---- payloads


def octets(value: bytes) -> bytes:
    """Length and bytes: bytes, a string's UTF-8, a message."""
    return varint(len(value)) + value


def string(value: str) -> bytes:
    return octets(value.encode())


def boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def signed(value: int) -> bytes:
    """int32 and int64; a negative number takes ten bytes."""
    return varint(value) if value >= 0 else number_bits(value & _64_BITS)


def _ranged(encode: Encode, lowest: int, highest: int, kind: str) -> Encode:
    def checked(value: int) -> bytes:
        if not lowest <= value <= highest:
            raise RecordError("a number does not fit its Protobuf type", cause=f"type {kind}")
        return encode(value)

    return checked


#: Connect's numbers have signs: one of 64 bits stands for the unsigned one of the same bits, as in Java.
_INT32: Final = (-(1 << 31), (1 << 31) - 1)
_UINT32_RANGE: Final = (-(1 << 31), _32_BITS)

#: By Protobuf's type: wire type and payload.
SCALARS: Final[dict[str, tuple[int, Encode]]] = {
    "int32": (VARINT, signed),
    "int64": (VARINT, signed),
    "uint32": (VARINT, _ranged(lambda v: number_bits(v & _32_BITS), *_UINT32_RANGE, "uint32")),
    "uint64": (VARINT, lambda v: number_bits(v & _64_BITS)),
    "sint32": (VARINT, _ranged(number, *_INT32, "sint32")),
    "sint64": (VARINT, number),
    "fixed32": (FIXED32, _ranged(lambda v: _UINT32.pack(v & _32_BITS), *_UINT32_RANGE, "fixed32")),
    "fixed64": (FIXED64, lambda v: _UINT64.pack(v & _64_BITS)),
    "sfixed32": (FIXED32, _ranged(lambda v: _UINT32.pack(v & _32_BITS), *_INT32, "sfixed32")),
    "sfixed64": (FIXED64, lambda v: _UINT64.pack(v & _64_BITS)),
    "float": (FIXED32, float32),
    "double": (FIXED64, float64),
    "bool": (VARINT, boolean),
    "string": (BYTES, string),
    "bytes": (BYTES, octets),
}
_ZERO: Final = {VARINT: b"\x00", FIXED64: bytes(8), BYTES: b"\x00", FIXED32: bytes(4)}


def zero_of(kind: str) -> bytes:
    """The payload of what a field without presence leaves out. A negative zero is none, as in Java."""
    return _ZERO[SCALARS[kind][0]]


# ---- fields


def with_tag(start: bytes, payload: Encode, zero: bytes | None) -> Encode:
    """A whole field; nothing where the payload is `zero`."""
    if zero is None:
        return lambda value: start + payload(value)

    def encode(value: Any) -> bytes:
        written = payload(value)
        return b"" if written == zero else start + written

    return encode


def column_of(start: bytes, payload: Encode, zero: bytes | None) -> EncodeColumn:
    """`with_tag` for many values."""
    own = _COLUMNS.get(payload)
    if own is not None:
        return own(start, zero)
    if zero is None:
        return lambda values: [start + p for p in map(payload, values)]
    return lambda values: [b"" if p == zero else start + p for p in map(payload, values)]


def _signed_column(start: bytes, zero: bytes | None) -> EncodeColumn:
    """Numbers below 2^28 take one or two look-ups; the rest share their higher bits with their neighbours, as times do."""
    nought = start + b"\x00" if zero is None else b""

    def encode(values: Iterable[int]) -> list[bytes]:
        out: list[bytes] = []
        append, high, tail = out.append, -1, b""
        for value in values:
            if value >= 16384:
                if value >> 14 != high:
                    high = value >> 14
                    tail = number_bits(high)
                append(start + _MORE[value & 16383] + tail)
            elif value > 0:
                append(start + _SHORT[value])
            elif value == 0:
                append(nought)
            else:
                append(start + number_bits(value & _64_BITS))
        return out

    return encode


def _octets_column(start: bytes, zero: bytes | None) -> EncodeColumn:
    lengths = [start + n for n in _SHORT[:128]]
    if zero is not None:
        lengths[0] = b""

    def encode(values: Iterable[bytes]) -> list[bytes]:
        return [lengths[len(v)] + v if len(v) < 128 else start + varint(len(v)) + v for v in values]

    return encode


def _strings_column(start: bytes, zero: bytes | None) -> EncodeColumn:
    encode = _octets_column(start, zero)
    return lambda values: encode(map(str.encode, values))


_COLUMNS: Final[dict[Encode, Callable[[bytes, bytes | None], EncodeColumn]]] = {
    signed: _signed_column, octets: _octets_column, string: _strings_column,
}  # fmt: skip


def numbers_of(texts: Iterable[bytes]) -> list[int]:
    """Numbers from their decimal texts, which one call to a parser of JSON reads three times as fast as `int` each."""
    numbers: list[int] = orjson.loads(b"[%b]" % b",".join(texts))
    return numbers


def framed(start: bytes) -> Callable[[bytes], bytes]:
    """A message's bytes -> the field that holds it."""
    return lambda body: start + varint(len(body)) + body


def framed_column(start: bytes) -> Callable[[Sequence[bytes]], list[bytes]]:
    """`framed` for many messages."""
    return lambda bodies: [start + (_SHORT[len(b)] if len(b) < 16384 else number_bits(len(b))) + b for b in bodies]


# ---- messages of logical types, without tag and length


def _field(number_: int, kind: str) -> Encode:
    wire, payload = SCALARS[kind]
    return with_tag(tag(number_, wire), payload, zero_of(kind))


_INT_1, _INT_2, _INT_3, _INT_4 = (_field(n, "int32") for n in (1, 2, 3, 4))
_VALUE, _PRECISION, _SCALE = _field(1, "bytes"), _field(2, "uint32"), _INT_3
_SECONDS, _NANOS = _field(1, "int64"), _INT_2


def unscaled_decimal(scale: int) -> Encode:
    """confluent.type.Decimal of an unscaled number."""
    end = _SCALE(scale)

    def encode(value: int) -> bytes:
        return _VALUE(unscaled_bytes(value)) + _PRECISION(len(str(abs(value)))) + end

    return encode


#: Bytes of an unscaled number up to which its digits, and the lengths around it, are counted by one byte.
_FEW_BYTES: Final = 40


def unscaled_decimals(start: bytes, scale: int) -> EncodeColumn:
    """Fields of `unscaled_decimal`."""
    frame, one, end = framed(start), unscaled_decimal(scale), _SCALE(scale)
    heads = [start + bytes((size + 4 + len(end), 10, size)) for size in range(_FEW_BYTES)]
    tails = [bytes((16, digits)) + end for digits in range(128)]

    def encode(values: Iterable[int]) -> list[bytes]:
        out = []
        for v in values:
            size = (v if v >= 0 else ~v).bit_length() // 8 + 1
            if size < _FEW_BYTES:
                out.append(heads[size] + v.to_bytes(size, "big", signed=True) + tails[len(str(v)) - (v < 0)])
            else:
                out.append(frame(one(v)))
        return out

    return encode


def decimal(scale: int | None) -> Encode:
    """confluent.type.Decimal; at its own scale where the schema has none."""
    if scale is not None:
        whole = unscaled_decimal(scale)
        return lambda value: whole(unscaled(value, scale))

    def encode(value: Decimal) -> bytes:
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int):
            raise RecordError("a Decimal is no number")
        return unscaled_decimal(-exponent)(unscaled(value, -exponent))

    return encode


_MS_OF_DAY: Final = 86_400_000
#: 1970-01-01 as a Julian day number, and the first day of the Gregorian calendar, 1582-10-15, in days since then.
_EPOCH: Final = 2_440_588
GREGORIAN: Final = -141_427
#: Seconds of 0001-01-01 and of the end of 9999.
FIRST, LAST = -62_135_596_800, 253_402_300_799


def date(days: int) -> bytes:
    """google.type.Date of days since 1970. As in Java, days before 1582-10-15 are of the Julian calendar. Raises RecordError."""
    year, month, day = calendar_day(days)
    if year < 1:
        raise RecordError(
            "a date before the year 1 has no form in Protobuf", cause="google.type.Date has no eras",
            hint="set time.precision.mode=adaptive for the connector, which writes days as numbers",
        )  # fmt: skip
    return _INT_1(year) + _INT_2(month) + _INT_3(day)


def calendar_day(days: int) -> tuple[int, int, int]:
    """Year, month and day of days since 1970; year 0 is 1 BC. Source: Richards, "Mapping Time", algorithm 25.4."""
    f = days + _EPOCH + 1401
    if days >= GREGORIAN:
        f += (4 * (days + _EPOCH) + 274_277) // 146_097 * 3 // 4 - 38
    e = 4 * f + 3
    h = 5 * (e % 1461 // 4) + 2
    day, month = h % 153 // 5 + 1, (h // 153 + 2) % 12 + 1
    return e // 1461 - 4716 + (14 - month) // 12, month, day


def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970 of a day as `calendar_day` gives it. Raises ValueError for one that is in no calendar."""
    a = (14 - month) // 12
    y = year + 4800 - a
    start = day + (153 * (month + 12 * a - 3) + 2) // 5 + 365 * y + y // 4
    for days in (start - y // 100 + y // 400 - 32045 - _EPOCH, start - 32083 - _EPOCH):
        if calendar_day(days) == (year, month, day):
            return days
    raise ValueError("a day that is in no calendar")


def time_of_day(ms: int) -> bytes:
    """google.type.TimeOfDay. Raises RecordError."""
    if not 0 <= ms <= _MS_OF_DAY:
        raise RecordError("a time is not of one day", cause="it is below 0 or above 86400000 ms")
    seconds, ms = divmod(ms % _MS_OF_DAY, 1000)
    return _INT_1(seconds // 3600) + _INT_2(seconds // 60 % 60) + _INT_3(seconds % 60) + _INT_4(ms * 1_000_000)


def timestamp(ms: int) -> bytes:
    """google.protobuf.Timestamp. Raises RecordError."""
    seconds, ms = divmod(ms, 1000)
    if not FIRST <= seconds <= LAST:
        raise RecordError(
            "a timestamp has no form in Protobuf", cause="it is not in the years 1 to 9999",
            hint="set time.precision.mode=adaptive for the connector, which writes timestamps as numbers",
        )  # fmt: skip
    return _SECONDS(seconds) + _NANOS(ms * 1_000_000)
