"""org.apache.kafka.connect.storage.SimpleHeaderConverter: headers as Connect's Values prints them.

A string alone is bare, inside a struct it is quoted; a Decimal is a plain number, bytes are base64.
Source: org.apache.kafka.connect.data.Values#convertToString, with the captures under tests/differential.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from typing import Any

from pycdc.config.definition import ConfigDef
from pycdc.converters.javatext import java_text
from pycdc.model.literal import parse_literal
from pycdc.model.schema import Schema
from pycdc.model.simple_date_format import DATES, header_text, milliseconds
from pycdc.model.template import Form, Leaf, Reader
from pycdc.plugins.contracts import Cell, Piece


class SimpleHeaderConverterConfig(ConfigDef):
    """The SimpleHeaderConverter has no options."""


class SimpleHeaderConverter:
    """The default header.converter."""

    config = SimpleHeaderConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        self.is_key = is_key

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if value is None:
            return False
        _walk(schema, value, out, embedded=False)
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter. Schema and value are inferred from the text, as Connect does."""
        return (None, None) if data is None else parse_literal(data.decode("utf-8", "replace"))


def _walk(schema: Schema | None, value: Any, out: list[Piece], *, embedded: bool) -> None:
    if type(value) is Leaf:
        # a null alone is a header without value, which no bytes say: the readable path writes it
        null = _whole(schema, value.null, embedded=True) if embedded else None
        out.append(Cell(value.column, _cell(schema, value.reader, embedded=embedded), null))
    elif type(value) is dict and schema is not None and schema.type == "struct":
        members = [(_string(f.name), f.schema, _or_default(f.schema, value.get(f.name))) for f in schema.fields]
        _members(b"{", members, b"}", out)
    elif type(value) is dict:
        keys, values = (None, None) if schema is None else (schema.keys, schema.values)
        _members(b"{", [(_text(keys, k, embedded=True), values, v) for k, v in value.items()], b"}", out)
    elif type(value) is list:
        _members(b"[", [(b"", schema and schema.items, v) for v in value], b"]", out)
    else:
        out.append(_text(schema, value, embedded=embedded))


def _members(start: bytes, members: Sequence[tuple[bytes, Schema | None, Any]], end: bytes, out: list[Piece]) -> None:
    """Of a list, where they have no name, or of a struct or map."""
    out.append(start)
    for n, (name, schema, value) in enumerate(members):
        out.append((b"," if n else b"") + (name and name + b":"))
        _walk(schema, value, out, embedded=True)
    out.append(end)


def _or_default(schema: Schema, value: Any) -> Any:
    """Connect reads a null of a struct as its field's default."""
    if not schema.has_default:
        return value
    if type(value) is Leaf:
        return value.or_default(schema.default)
    return schema.default if value is None else value


def _whole(schema: Schema | None, value: Any, *, embedded: bool) -> bytes:
    """The bytes of a value without leaves."""
    out: list[Piece] = []
    _walk(schema, value, out, embedded=embedded)
    return b"".join(p for p in out if isinstance(p, bytes))


def _cell(schema: Schema | None, reader: Reader, *, embedded: bool) -> Any:
    if reader.form is Form.DIGITS or (reader.form is Form.TEXT and not embedded):
        return None
    read = reader.read
    return lambda text: _whole(schema, read(text), embedded=embedded)


def _string(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _text(schema: Schema | None, value: Any, *, embedded: bool) -> bytes:
    """A primitive."""
    if value is None:
        return b"null" if embedded else b""
    if isinstance(value, str):
        return _string(value) if embedded else value.encode()
    if isinstance(value, bytes):
        encoded = b2a_base64(value, newline=False)
        return b'"' + encoded + b'"' if embedded else encoded
    return text_of(schema, value).encode()


def text_of(schema: Schema | None, value: Any) -> str:
    """A primitive as Connect's Values prints it: Java's String.valueOf, and dates in ISO form."""
    if schema is not None and schema.name in DATES and type(value) is int:
        return header_text(milliseconds(schema, value))
    return java_text(schema, value)
