"""Many messages of one schema at once, field by field: what a sink reads by the thousand.

A place in the messages is a list with a position for each of them; a reader takes it to the values there and to
the places behind. So the schema is walked once for all messages, and what a sink does not want is passed over.
Records, primitives, Decimals and types that may be null have loops here; the rest is read one by one by fastavro.
Raises IndexError, ValueError, TypeError or StructError on bytes that are no such messages; a value that ends behind
its message shows in the places at the end, which the caller compares with the lengths.
Source: the Avro specification 1.11, "Binary Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import compress, groupby
from operator import not_
from typing import Any, Final

from pycdc.converters.avro.types import AvroType

Messages = Sequence[bytes]
Places = list[int]
Read = Callable[[Messages, Places], tuple[list[Any], Places]]
Skip = Callable[[Messages, Places], Places]
#: A reader of one value at a position, and what becomes of it: for the types without a loop here.
ReadOne = Callable[[bytes, int], tuple[Any, int]]

#: What else than ValueError malformed bytes may raise.
MALFORMED: Final = (IndexError, ValueError, TypeError, KeyError, StopIteration, EOFError, OverflowError, struct.error)

#: By the byte of a length below 64: the length; -1 where it takes more bytes, or is none.
_LENGTH: Final = [n >> 1 if n < 128 and not n & 1 else -1 for n in range(256)]
#: By the byte of a number from -64 to 63.
_NUMBER: Final = [(n >> 1) ^ -(n & 1) for n in range(128)]
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")


def _long(d: bytes, p: int) -> tuple[int, int]:
    """A number and the place behind it."""
    n, shift = 0, 0
    while True:
        b = d[p]
        p += 1
        n |= (b & 127) << shift
        if b < 128:
            return (n >> 1) ^ -(n & 1), p
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _size(d: bytes, p: int) -> tuple[int, int]:
    size, p = _long(d, p)
    if size < 0:
        raise ValueError("a negative length")
    return size, p


# ---- primitives


def _read_numbers(data: Messages, places: Places) -> tuple[list[Any], Places]:
    """Neighbours often have their higher bits in common, as times do: those are compared, not read."""
    values, after = [], []
    high, tail, width = 0, b"none", 0
    for d, p in zip(data, places, strict=True):
        n = d[p]
        if n < 128:
            values.append(_NUMBER[n])
            after.append(p + 1)
            continue
        b = d[p + 1]
        n += (b << 7) - 128
        if b < 128:
            values.append((n >> 1) ^ -(n & 1))
            after.append(p + 2)
            continue
        b = d[p + 2]
        n += (b << 14) - 16384
        if b < 128:
            p += 3
        else:
            p += 3
            n -= 2097152
            if not d.startswith(tail, p):
                unsigned, width = _unsigned(d, p)
                tail, high = d[p : p + width], unsigned << 21
            n += high
            p += width
        values.append((n >> 1) ^ -(n & 1))
        after.append(p)
    return values, after


def _unsigned(d: bytes, p: int) -> tuple[int, int]:
    """The rest of a number of more than three bytes, and its width."""
    n, width = 0, 0
    while True:
        b = d[p + width]
        n |= (b & 127) << 7 * width
        width += 1
        if b < 128:
            return n, width
        if width > 6:
            raise ValueError("a number of more than ten bytes")


def _skip_numbers(data: Messages, places: Places) -> Places:
    after = []
    for d, p in zip(data, places, strict=True):
        q = p
        while d[q] > 127:
            q += 1
        after.append(q + 1)
    return after


def _read_octets(data: Messages, places: Places) -> tuple[list[Any], Places]:
    values, after = [], []
    for d, p in zip(data, places, strict=True):
        n = _LENGTH[d[p]]
        if n >= 0:
            p += 1
        else:
            n, p = _size(d, p)
        values.append(d[p : p + n])
        after.append(p + n)
    return values, after


def _skip_octets(data: Messages, places: Places) -> Places:
    after = []
    for d, p in zip(data, places, strict=True):
        n = _LENGTH[d[p]]
        if n < 0:
            n, p = _size(d, p)
            after.append(p + n)
        else:
            after.append(p + 1 + n)
    return after


def _read_strings(data: Messages, places: Places) -> tuple[list[Any], Places]:
    octets, after = _read_octets(data, places)
    return list(map(bytes.decode, octets)), after


def _read_booleans(data: Messages, places: Places) -> tuple[list[Any], Places]:
    return [(False, True)[d[p]] for d, p in zip(data, places, strict=True)], [p + 1 for p in places]


def _read_fixed_width(form: struct.Struct) -> Read:
    unpack, width = form.unpack_from, form.size
    return lambda data, places: ([unpack(d, p)[0] for d, p in zip(data, places, strict=True)], [p + width for p in places])


def _read_nothing(_data: Messages, places: Places) -> tuple[list[Any], Places]:
    return [None] * len(places), places


_READERS: Final[dict[str, Read]] = {
    "int": _read_numbers, "long": _read_numbers, "string": _read_strings, "bytes": _read_octets, "boolean": _read_booleans,
    "float": _read_fixed_width(_FLOAT), "double": _read_fixed_width(_DOUBLE), "null": _read_nothing,
}  # fmt: skip
_SKIPPERS: Final[dict[str, Skip]] = {
    "int": _skip_numbers, "long": _skip_numbers, "string": _skip_octets, "bytes": _skip_octets,
    "boolean": lambda _data, places: [p + 1 for p in places], "float": lambda _data, places: [p + 4 for p in places],
    "double": lambda _data, places: [p + 8 for p in places], "null": lambda _data, places: places,
}  # fmt: skip


# ---- what is made of them


class Columns:
    """Makes readers. `read_one` reads a value of a type without a loop; `fix` is what becomes of a type's raw values."""

    def __init__(self, read_one: Callable[[AvroType], ReadOne], fix: Callable[[AvroType], Callable[[Any], Any] | None]) -> None:
        self._read_one, self._fix = read_one, fix

    def reader(self, t: AvroType) -> Read:
        """Values as the converter gives them."""
        if t.kind == "record":
            return _records([(f.name, self.reader(f.type)) for f in t.fields])
        nullable = _nullable(t)
        if nullable is not None:
            return _read_nullable(nullable[0], self.reader(nullable[1]))
        plain = _READERS.get(t.kind)
        if plain is None:
            return _one_by_one(self._read_one(t))
        fix = self._fix(t)
        return plain if fix is None else _fixed(plain, fix)

    def skipper(self, t: AvroType) -> Skip:
        if t.kind == "record":
            return self.skipper_of_fields(t)
        nullable = _nullable(t)
        if nullable is not None:
            return _skip_nullable(nullable[0], self.skipper(nullable[1]))
        plain = _SKIPPERS.get(t.kind)
        return plain if plain is not None else _skip_read(_one_by_one(self._read_one(t)))

    def skipper_of_fields(self, t: AvroType, alone: frozenset[str] = frozenset()) -> Skip:
        """`alone`: fields that differ from message to message; those between them are often alike, and passed over at once."""
        if not alone:
            return _in_turn([self.skipper(f.type) for f in t.fields])
        blocks = [list(g) for _, g in groupby(t.fields, lambda f: f.name if f.name in alone else "")]
        return _in_turn([self.skipper_alike([f.type for f in block]) for block in blocks])

    def skipper_alike(self, types: list[AvroType]) -> Skip:
        """Over places that follow each other, and that are often the same in all messages."""
        return self.skipper(types[0]) if len(types) == 1 else _skip_alike([self.skipper(t) for t in types])


def _nullable(t: AvroType) -> tuple[int, AvroType] | None:
    """The byte of the null branch, and the other type, of a type that may be null."""
    if t.kind != "union" or len(t.branches) != 2:
        return None
    null = t.branch("null")
    return None if null is None else (2 * null, t.branches[1 - null])


def _records(fields: list[tuple[str, Read]]) -> Read:
    names = [name for name, _ in fields]
    readers = [r for _, r in fields]

    def read(data: Messages, places: Places) -> tuple[list[Any], Places]:
        columns = []
        for reader in readers:
            values, places = reader(data, places)
            columns.append(values)
        if not columns:
            return [{} for _ in data], places
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], places

    return read


def _fixed(read: Read, fix: Callable[[Any], Any]) -> Read:
    def fixed(data: Messages, places: Places) -> tuple[list[Any], Places]:
        values, places = read(data, places)
        return list(map(fix, values)), places

    return fixed


def _branches(data: Messages, places: Places, null: int) -> list[bool]:
    """Which are not null. Raises ValueError for a branch that is none of the two."""
    found = [d[p] for d, p in zip(data, places, strict=True)]
    if not {0, 2}.issuperset(found):
        raise ValueError("no branch of the union")
    return [b != null for b in found]


def _read_nullable(null: int, read: Read) -> Read:
    def nullable(data: Messages, places: Places) -> tuple[list[Any], Places]:
        present = _branches(data, places, null)
        behind = [p + 1 for p in places]
        if all(present):
            return read(data, behind)
        if not any(present):
            return [None] * len(behind), behind
        values, places = read(list(compress(data, present)), list(compress(behind, present)))
        value, place = iter(values), iter(places)
        return [next(value) if p else None for p in present], [next(place) if p else b for p, b in zip(present, behind, strict=True)]

    return nullable


def _skip_nullable(null: int, skip: Skip) -> Skip:
    def nullable(data: Messages, places: Places) -> Places:
        present = _branches(data, places, null)
        behind = [p + 1 for p in places]
        if all(present):
            return skip(data, behind)
        if not any(present):
            return behind
        place = iter(skip(list(compress(data, present)), list(compress(behind, present))))
        return [next(place) if p else b for p, b in zip(present, behind, strict=True)]

    return nullable


def _in_turn(skips: list[Skip]) -> Skip:
    def skip(data: Messages, places: Places) -> Places:
        for s in skips:
            places = s(data, places)
        return places

    return skip


def _skip_alike(block: list[Skip]) -> Skip:
    """Fields that are the same bytes in most messages: one comparison passes over all of them, because what begins with the
    bytes of a whole block is that block.
    """
    whole = _in_turn(block)

    def skip(data: Messages, places: Places) -> Places:
        first = data[0][places[0] : whole(data[:1], places[:1])[0]]
        size = len(first)
        alike = [d.startswith(first, p) for d, p in zip(data, places, strict=True)]
        after = [p + size for p in places]
        if not all(alike):
            others = list(map(not_, alike))
            place = iter(whole(list(compress(data, others)), list(compress(places, others))))
            after = [a if same else next(place) for a, same in zip(after, alike, strict=True)]
        return after

    return skip


def _one_by_one(read_one: ReadOne) -> Read:
    def read(data: Messages, places: Places) -> tuple[list[Any], Places]:
        pairs = [read_one(d, p) for d, p in zip(data, places, strict=True)]
        return [v for v, _ in pairs], [p for _, p in pairs]

    return read


def _skip_read(read: Read) -> Skip:
    return lambda data, places: read(data, places)[1]
