"""hstore, point, and the extensions' vectors and geometries.

hstore pairs come in the order of a Java HashMap, as Debezium gives them: consumers compare texts. Points
carry little-endian WKB; PostGIS values their EWKB as it is.
"""

from __future__ import annotations

import re
import struct as binary
from binascii import a2b_hex
from typing import Any

import orjson

from pycdc.debezium.types.entry import Entry, Shape, TypeSettings
from pycdc.model.schema import OPTIONAL_STRING, STRING, Schema, struct

# ---- hstore

_PAIR = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"=>(?:NULL|"([^"\\]*(?:\\.[^"\\]*)*)")(?:, |$)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_CONTROL = re.compile(rb"(?<!\\)((?:\\\\)*\\u00)([0-9a-f]{2})")


def hstore(_: Shape, settings: TypeSettings) -> Entry:
    """Of hstore.handling.mode."""
    placeholder = settings.placeholder_text
    if settings.hstore == "map":
        schema = Schema(type="map", keys=STRING, values=OPTIONAL_STRING)
        return Entry(schema=schema, read=pairs, fallback={}, unavailable={placeholder: placeholder})
    return Entry(
        schema=Schema(type="string", name="io.debezium.data.Json", version=1), read=lambda text: _json(pairs(text)),
        fallback="{}", unavailable=_json({placeholder: placeholder}),
    )  # fmt: skip


def pairs(text: bytes) -> dict[str, str | None]:
    """The pairs of an hstore's text. Raises ValueError when it is none."""
    out: dict[str, str | None] = {}
    end = 0
    for match in _PAIR.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        out[_unescaped(match[1])] = None if match[2] is None else _unescaped(match[2])
    if end != len(text):
        raise ValueError("is no hstore")
    return _hash_map_order(out)


def _unescaped(text: bytes) -> str:
    return (_ESCAPE.sub(rb"\1", text) if b"\\" in text else text).decode()


def _hash_map_order(values: dict[str, str | None]) -> dict[str, str | None]:
    """By bucket of a java.util.HashMap that grew from 16 at three quarters full; stable inside a bucket."""
    if len(values) < 2:
        return values
    capacity = 16
    while len(values) * 4 > capacity * 3:
        capacity *= 2
    return {key: values[key] for key in sorted(values, key=lambda k: _spread(k) & (capacity - 1))}


def _spread(key: str) -> int:
    """HashMap's mix of String.hashCode, over UTF-16 code units."""
    units = key.encode("utf-16-le")
    h = 0
    for unit in binary.unpack(f"<{len(units) // 2}H", units):
        h = h * 31 + unit & 0xFFFFFFFF
    return h ^ h >> 16


def _json(values: dict[str, str | None]) -> str:
    """Compact, with control characters in capitals as Jackson writes them."""
    out = orjson.dumps(values)
    if b"\\u00" in out:
        out = _CONTROL.sub(lambda m: m[1] + m[2].upper(), out)
    return out.decode()


# ---- point

POINT = struct(
    [
        ("x", Schema(type="float64")), ("y", Schema(type="float64")),
        ("wkb", Schema(type="bytes", optional=True)), ("srid", Schema(type="int32", optional=True)),
    ],
    name="io.debezium.data.geometry.Point", version=1, doc="Geometry (POINT)",
)  # fmt: skip
_WKB_POINT = binary.Struct("<BIdd")


def point(_: Shape, __: TypeSettings) -> Entry:
    return Entry(schema=POINT, read=_read_point, fallback=_point(0.0, 0.0), items="absent")


def _read_point(text: bytes) -> dict[str, Any]:
    x, comma, y = text[1:-1].partition(b",")
    if not comma:
        raise ValueError("is no point")
    return _point(float(x), float(y))


def _point(x: float, y: float) -> dict[str, Any]:
    return {"x": x, "y": y, "wkb": _WKB_POINT.pack(1, 1, x, y), "srid": None}


# ---- PostGIS

_EWKB_SRID = 0x20000000
_EMPTY_COLLECTION = a2b_hex("010700000000000000")


def geometry(kind: str) -> Entry:
    """`Geometry` or `Geography`; texts are EWKB in hexadecimal."""
    schema = struct(
        [("wkb", Schema(type="bytes")), ("srid", Schema(type="int32", optional=True))],
        name=f"io.debezium.data.geometry.{kind}", version=1, doc=kind,
    )  # fmt: skip
    return Entry(schema=schema, read=_read_ewkb, fallback={"wkb": _EMPTY_COLLECTION, "srid": None})


def _read_ewkb(text: bytes) -> dict[str, Any]:
    wkb = a2b_hex(text)
    if len(wkb) < 9:
        raise ValueError("is no EWKB")
    order = "<" if wkb[0] else ">"
    kind, srid = binary.unpack_from(order + "Ii", wkb, 1)
    return {"wkb": wkb, "srid": srid if kind & _EWKB_SRID else None}


# ---- pgvector


def vector(kind: str, name: str) -> Entry:
    """An array of float64 or float32; texts are `[1,2.5]`."""
    return Entry(
        schema=Schema(type="array", items=Schema(type=kind), name=f"io.debezium.data.{name}", version=1),
        read=lambda text: [float(n) for n in text[1:-1].split(b",")], fallback=[], items="required",
    )  # fmt: skip


_SPARSE = struct(
    [
        ("dimensions", Schema(type="int16")),
        ("vector", Schema(type="map", keys=Schema(type="int16"), values=Schema(type="float64"))),
    ],
    name="io.debezium.data.SparseDoubleVector", version=1, doc="Sparse double vector",
)  # fmt: skip


def sparse_vector(_: Shape, __: TypeSettings) -> Entry:
    """Texts are `{1:0.5,3:2}/5`."""
    return Entry(schema=_SPARSE, read=_read_sparse, fallback=None, items="required")


def _read_sparse(text: bytes) -> dict[str, Any]:
    body, _, dimensions = text.partition(b"/")
    found = (item.split(b":") for item in body[1:-1].split(b",") if item)
    return {"dimensions": int(dimensions), "vector": {int(i): float(v) for i, v in found}}
