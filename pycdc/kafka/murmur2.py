"""Kafka's murmur2: which partition a key belongs to.

Plain Python that a compiler can take as it stands. Source: org.apache.kafka.common.utils.Utils#murmur2 and
DefaultPartitioner; tested against aiokafka's.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Final

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF
#: A common beginning shorter than this is not worth its comparison.
_WORTH: Final = 16


def murmur2(data: bytes) -> int:
    """The unsigned 32-bit hash of `data`."""
    return _tail(_blocks(_SEED ^ len(data), data, 0, len(data)), data)


def partition_for(key: bytes, count: int) -> int:
    """The partition of `key` among `count`."""
    return (murmur2(key) & 0x7FFFFFFF) % count


@cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")


def _blocks(h: int, data: bytes, start: int, end: int) -> int:
    """Mix in the whole words of data[start:end]."""
    for k in _words((end - start) >> 2).unpack_from(data, start):
        k = k * _M & _MASK
        h = h * _M ^ (k ^ k >> 24) * _M
        h &= _MASK
    return h


def _tail(h: int, data: bytes) -> int:
    rest = len(data) & 3
    if rest:
        h ^= int.from_bytes(data[-rest:], "little")
        h = h * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def _shared(a: bytes, b: bytes) -> bytes:
    """What both begin with."""
    size = min(len(a), len(b))
    differing = int.from_bytes(a[:size], "big") ^ int.from_bytes(b[:size], "big")
    return a[: size - (differing.bit_length() + 7) // 8]


class PrefixHash:
    """murmur2 of many keys that begin alike: the state after the common words is kept per length.

    Keys with an embedded schema share some hundred bytes; only what follows is hashed for each. The common
    beginning is learnt from the keys: it begins as the first key and shrinks to what they really share.
    """

    def __init__(self, count: int) -> None:
        """`count`: the partitions of the topic."""
        self._count = count
        self._prefix: bytes | None = None
        #: Key length -> hash state after the prefix; the length is part of murmur2's seed.
        self._states: dict[int, int] = {}

    def partition(self, key: bytes) -> int:
        """The partition of `key`."""
        prefix = self._prefix
        if prefix is None or not key.startswith(prefix):
            prefix = self._learn(key if prefix is None else _shared(prefix, key))
        size = len(key)
        state = self._states.get(size)
        if state is None:
            state = self._states[size] = _blocks(_SEED ^ size, prefix, 0, len(prefix))
        h = _tail(_blocks(state, key, len(prefix), size), key)
        return (h & 0x7FFFFFFF) % self._count

    def _learn(self, shared: bytes) -> bytes:
        self._prefix = shared[: len(shared) & ~3] if len(shared) >= _WORTH else b""
        self._states = {}
        return self._prefix
