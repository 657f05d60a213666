"""Java's hashCode and Debezium's MurmurHash3, for partitions that must not change with the engine.

Sources: the Java SE API's descriptions of hashCode; Austin Appleby's MurmurHash3 (public domain) in the x64
variant of Infinispan, of whose 64 bits the upper 32 count, seed 9001.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from pycdc.model.javatext import narrow
from pycdc.model.schema import Schema
from pycdc.model.simple_date_format import DATES, milliseconds

_MASK = (1 << 64) - 1
_SEED = 9001
#: Keys in one place from which on HashMap makes a tree of it, where the table has so many places.
_TREE, _LEAST_FOR_TREES = 8, 64


def java_hash(schema: Schema | None, value: Any) -> int:
    """The hashCode of a value of that schema. Raises ValueError for a struct, whose hash is no value's."""
    return narrow(_hash(schema, value), 32)


def map_order(keys: Iterable[str]) -> list[str]:
    """In the order in which a ConcurrentHashMap of these keys gives them; keys that share a place stay as they are."""
    listed = list(keys)
    size = 16
    while len(listed) >= size * 3 // 4:
        size *= 2

    return sorted(listed, key=lambda key: _spread(key) & size - 1)


def hash_map(keys: Iterable[str], capacity: int = 16) -> list[str]:
    """In the order in which a HashMap gives keys that were put in one by one; `capacity` is the one it was made with.

    A place with nine keys makes a table of less than 64 grow, too; that such places in larger ones become trees is left out.
    """
    places: dict[int, list[str]] = {}
    capacity = 1 << (capacity - 1).bit_length()

    def grown() -> dict[int, list[str]]:
        made: dict[int, list[str]] = {}
        for _, held in sorted(places.items()):
            for k in held:
                made.setdefault(_spread(k) & capacity - 1, []).append(k)
        return made

    for size, key in enumerate(keys, 1):
        place = places.setdefault(_spread(key) & capacity - 1, [])
        place.append(key)
        if len(place) > _TREE and capacity < _LEAST_FOR_TREES:
            capacity *= 2
            places = grown()
        if size > int(capacity * 0.75):
            capacity *= 2
            places = grown()
    return [key for _, held in sorted(places.items()) for key in held]


def hash_map_copy(keys: Iterable[str]) -> list[str]:
    """In the order of `new HashMap<>(map)` for a map that gives `keys`, in Java 11 and 17 (from 19 on some are smaller)."""
    listed = list(keys)
    return hash_map(listed, int(len(listed) / 0.75 + 1))


def _spread(key: str) -> int:
    code = _hash(None, key) & 0xFFFFFFFF
    return code ^ code >> 16


def murmur_hash(schema: Schema | None, value: Any) -> int:
    """Texts by their UTF-8 bytes, everything else by its hashCode."""
    data = value.encode("utf-8", "replace") if isinstance(value, str) else struct.pack("<i", java_hash(schema, value))
    return narrow(_murmur3(data) >> 32, 32)


def _hash(schema: Schema | None, value: Any) -> int:
    kind = None if schema is None else schema.type
    if value is None:
        return 0
    if isinstance(value, bool):
        return 1231 if value else 1237
    if isinstance(value, str):
        return _polynomial(struct.iter_unpack(">H", value.encode("utf-16-be", "surrogatepass")), 0, lambda unit: int(unit[0]))
    if isinstance(value, int):
        if schema is not None and schema.name in DATES:
            return _folded(milliseconds(schema, value))
        return _folded(value) if kind in (None, "int64") else value
    if isinstance(value, float):
        if kind == "float32":
            return int.from_bytes(struct.pack(">f", value), "big")
        return _folded(int.from_bytes(struct.pack(">d", value), "big"))
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, bytes):
        return _polynomial(reversed(value), 1, lambda byte: byte - 256 if byte > 127 else byte)
    if isinstance(value, list):
        return _polynomial(value, 1, lambda item: _hash(schema and schema.items, item))
    if isinstance(value, dict) and kind in (None, "map"):
        own, held = (None, None) if schema is None else (schema.keys, schema.values)
        return sum(java_hash(own, k) ^ java_hash(held, v) for k, v in value.items())
    raise ValueError("a struct has no hash that two programs share")


def _polynomial(items: Any, start: int, number: Callable[[Any], int]) -> int:
    total = start
    for item in items:
        total = (31 * total + number(item)) & 0xFFFFFFFF
    return total


def _folded(number: int) -> int:
    """A long's two halves."""
    number &= _MASK
    return (number >> 32) ^ (number & 0xFFFFFFFF)


def _decimal(value: Decimal) -> int:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("no number")  # noqa: TRY004 - NaN is a Decimal too
    magnitude = int("".join(map(str, digits)))
    words = [magnitude >> shift & 0xFFFFFFFF for shift in range(max(magnitude.bit_length() - 1, 0) // 32 * 32, -1, -32)]
    unscaled = narrow(_polynomial(words, 0, int), 32)
    return 31 * (-unscaled if sign else unscaled) - exponent


# ---- MurmurHash3


class _State:
    def __init__(self) -> None:
        self.h1, self.h2 = 0x9368E53C2F6AF274 ^ _SEED, 0x586DCD208F7CD3FD ^ _SEED
        self.c1, self.c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F

    def mix(self, k1: int, k2: int) -> None:
        k1 = _rotated(k1 * self.c1, 23) * self.c2 & _MASK
        self.h1 = ((self.h1 ^ k1) + self.h2) & _MASK
        self.h2 = _rotated(self.h2, 41)
        k2 = _rotated(k2 * self.c2, 23) * self.c1 & _MASK
        self.h2 = ((self.h2 ^ k2) + self.h1) & _MASK
        self.h1, self.h2 = (self.h1 * 3 + 0x52DCE729) & _MASK, (self.h2 * 3 + 0x38495AB5) & _MASK
        self.c1, self.c2 = (self.c1 * 5 + 0x7B7D159C) & _MASK, (self.c2 * 5 + 0x6BCE6396) & _MASK


def _murmur3(data: bytes) -> int:
    state = _State()
    whole = len(data) // 16 * 16
    for at in range(0, whole, 16):
        state.mix(*struct.unpack_from("<QQ", data, at))
    if len(data) > whole:
        state.mix(_tail(data[whole : whole + 8]), _tail(data[whole + 8 :]))
    h1, h2 = state.h1, state.h2 ^ len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return (_finished(h1) + _finished(h2)) & _MASK


def _tail(data: bytes) -> int:
    """Up to eight bytes, each with its sign, as Java widens them."""
    word = 0
    for n, byte in enumerate(data):
        word ^= (byte - 256 if byte > 127 else byte) << 8 * n
    return word & _MASK


def _rotated(number: int, by: int) -> int:
    number &= _MASK
    return (number << by | number >> 64 - by) & _MASK


def _finished(number: int) -> int:
    number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD & _MASK
    number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return number ^ number >> 33
