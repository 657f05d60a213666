"""Bodies made smaller, by the names that Stream Load's `compression` header has."""

from __future__ import annotations


def compress(data: bytes, how: str) -> bytes:
    """`how`: gzip, zstd, lz4_frame. Raises KeyError for another."""
    import cramjam

    codec = {"gzip": cramjam.gzip, "zstd": cramjam.zstd, "lz4_frame": cramjam.lz4}[how]
    return bytes(codec.compress(data))
