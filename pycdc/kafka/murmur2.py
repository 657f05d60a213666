"""Kafka's murmur2: which partition a key belongs to.

Plain Python that a compiler can take as it stands. Source: org.apache.kafka.common.utils.Utils#murmur2 and
DefaultPartitioner; tested against aiokafka's.
"""

from __future__ import annotations

import struct
from typing import Final

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The unsigned 32-bit hash of `data`."""
    return _tail(_blocks(_SEED ^ len(data), data, 0, len(data) & ~3), data)


def partition_for(key: bytes, count: int) -> int:
    """The partition of `key` among `count`."""
    return (murmur2(key) & 0x7FFFFFFF) % count


def _blocks(h: int, data: bytes, start: int, end: int) -> int:
    for (k,) in struct.iter_unpack("<I", data[start:end]):
        k = k * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    return h


def _tail(h: int, data: bytes) -> int:
    rest = len(data) & 3
    if rest:
        h ^= int.from_bytes(data[-rest:], "little")
        h = h * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


class PrefixHash:
    """murmur2 of many keys that begin alike: the state after the common blocks is kept per length.

    Keys with an embedded schema share some hundred bytes; only what follows is hashed again.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._prefix = b""
        self._states: dict[int, int] = {}

    def partition(self, key: bytes) -> int:
        """The partition of `key`."""
        prefix = self._prefix
        if not prefix or not key.startswith(prefix):
            self._prefix = prefix = key[: max(len(key) - 16, 0) & ~3]
            self._states = {}
        size = len(key)
        state = self._states.get(size)
        if state is None:
            state = self._states[size] = _blocks(_SEED ^ size, prefix, 0, len(prefix))
        h = _tail(_blocks(state, key, len(prefix), size & ~3), key)
        return (h & 0x7FFFFFFF) % self._count
