"""Arrays, derived from their element's entry.

One parser reads PostgreSQL's array texts (docs, "Array Input and Output Syntax"): quotes, NULL, braces,
lower bounds, which are dropped as Debezium drops them. Connect arrays have one dimension; of more, an
element is the inner array: its text where elements are strings, null elsewhere, as in Debezium.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pycdc.debezium.types.binary import unknown
from pycdc.debezium.types.entry import Entry, OutOfRange, Read, Shape, TypeSettings
from pycdc.model.schema import Schema
from pycdc.model.table import TypeInfo

_TOKEN = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"|([^",{}]+)|([{},])', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SPECIAL = re.compile(rb'["{}]|NULL').search

#: The entry of an element's type, None when it is unknown.
EntryOf = Callable[[TypeInfo, Shape, TypeSettings], Entry | None]


def array(element: TypeInfo, shape: Shape, settings: TypeSettings, entry_of: EntryOf) -> Entry | None:
    """The entry of an array of `element`; None when such columns are left out."""
    entry = None if element.kind == "d" else entry_of(element, shape, settings)
    if element.name == "bit" and entry is not None:
        # Debezium gives bit[] the schema of one bit string, into which no array converts
        return Entry(schema=entry.schema, read=_no_value, always_null=True)
    if entry is None:
        if not settings.include_unknown:
            return None
        entry = unknown(element.name, settings)
    if entry.items == "absent":
        return None
    items = entry.schema.replace(optional=entry.items == "optional")
    read = _reader(entry.element or entry.read, items, delimiter=b";" if element.name == "box" else b",")
    schema = Schema(type="array", items=items)
    return Entry(schema=schema, read=read, fallback=[], unavailable=_unavailable(element, items, settings))


def _no_value(_: bytes) -> Any:
    raise ValueError("has no Connect form")


def _reader(read: Read, items: Schema, delimiter: bytes) -> Read:
    nested_as_text = items.type == "string"

    def item(element: bytes | list[bytes] | None) -> Any:
        if type(element) is list:
            return element[0].decode() if nested_as_text else None
        if element is not None:
            try:
                return read(element)  # type: ignore[arg-type]
            except OutOfRange:
                if not items.optional:
                    raise
                return None
        if not items.optional:
            raise ValueError("holds NULL, and its elements' schema is not optional")
        return None

    def read_array(text: bytes) -> list[Any]:
        body = text[1:-1]
        if body and text[0] == 123 and text[-1] == 125 and _SPECIAL(body) is None:  # only bare values in braces
            with suppress(OutOfRange):
                return [read(e) for e in body.split(delimiter)]
        return [item(e) for e in elements(text, delimiter)]

    return read_array


def elements(text: bytes, delimiter: bytes = b",") -> list[bytes | list[bytes] | None]:
    """The elements of an array's text: None for NULL, and a list of its one text for an inner array.

    Raises ValueError when the text is no array.
    """
    if text[:1] == b"[":
        text = text.partition(b"=")[2]
    if text[:1] != b"{" or text[-1:] != b"}":
        raise ValueError("is no array")
    body = text[1:-1]
    if not body:
        return []
    if delimiter != b",":  # box, the one such type, is never quoted
        return [None if e == b"NULL" else e for e in body.split(delimiter)]
    return _tokens(body)


def _tokens(body: bytes) -> list[bytes | list[bytes] | None]:
    out: list[bytes | list[bytes] | None] = []
    depth = start = end = 0
    ended = False  # whether an element has ended, so that only a delimiter may follow
    for match in _TOKEN.finditer(body):
        if match.start() != end:
            break
        end = match.end()
        quoted, bare, mark = match.groups()
        if depth:
            depth += (mark == b"{") - (mark == b"}")
            if depth == 0:
                out.append([body[start:end]])
        elif mark == b",":
            if not ended:
                raise ValueError("is no array")
            ended = False
            continue
        elif ended:
            raise ValueError("is no array")
        elif mark == b"{":
            depth, start = 1, match.start()
        elif mark == b"}":
            raise ValueError("is no array")
        elif quoted is not None:
            out.append(_ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
        else:
            out.append(None if bare == b"NULL" else bare)
        ended = True
    if end != len(body) or depth or not ended:
        raise ValueError("is no array")
    return out


# ---- unchanged TOAST

_TEXTS = frozenset(("text", "varchar", "bpchar", "json", "jsonb"))


def _unavailable(element: TypeInfo, items: Schema, settings: TypeSettings) -> list[Any] | None:
    """Debezium has a placeholder for arrays of these types only."""
    raw = settings.placeholder
    signed = [b - 256 if b > 127 else b for b in raw]
    if element.name in _TEXTS:
        return [settings.placeholder_text]
    if element.name == "bytea":
        return [raw] if items.type == "bytes" else None
    if element.name in ("int4", "int8") or (element.name == "date" and items.name == "io.debezium.time.Date"):
        return signed
    if element.name == "uuid":
        digest = hashlib.md5(raw, usedforsecurity=False).digest()  # Java's UUID.nameUUIDFromBytes
        return [str(uuid.UUID(bytes=digest, version=3))]
    return None
