"""org.apache.kafka.connect.storage.SimpleHeaderConverter: headers as Connect's Values prints them.

A string alone is bare, inside a struct it is quoted; a Decimal is a plain number, bytes are base64.
Source: org.apache.kafka.connect.data.Values#convertToString, with the captures under tests/differential.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any

from pycdc.config.definition import ConfigDef
from pycdc.converters.javatext import java_text
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
        """See plugins.contracts.Converter. The text is given as it is: pycdc reads no header by its schema."""
        return None, None if data is None else data.decode("utf-8", "replace")


def _walk(schema: Schema | None, value: Any, out: list[Piece], *, embedded: bool) -> None:
    if type(value) is Leaf:
        # a null alone is a header without value, which no bytes say: the readable path writes it
        out.append(Cell(value.column, _cell(schema, value.reader, embedded=embedded), b"null" if embedded else None))
    elif type(value) is dict and schema is not None and schema.type == "struct":
        out.append(b"{")
        for n, f in enumerate(schema.fields):
            out.append((b"," if n else b"") + _string(f.name) + b":")
            _walk(f.schema, value.get(f.name), out, embedded=True)
        out.append(b"}")
    else:
        out.append(_text(schema, value, embedded=embedded))


def _cell(schema: Schema | None, reader: Reader, *, embedded: bool) -> Any:
    if reader.form is Form.DIGITS or (reader.form is Form.TEXT and not embedded):
        return None
    read = reader.read
    return lambda text: _text(schema, read(text), embedded=embedded)


def _string(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _text(schema: Schema | None, value: Any, *, embedded: bool) -> bytes:
    if value is None:
        return b"null" if embedded else b""
    if isinstance(value, str):
        return _string(value) if embedded else value.encode()
    if isinstance(value, bytes):
        encoded = b2a_base64(value, newline=False)
        return b'"' + encoded + b'"' if embedded else encoded
    if isinstance(value, dict):
        pairs = [
            _text(schema and schema.keys, k, embedded=True) + b":" + _text(_item(schema, k), v, embedded=True)
            for k, v in value.items()
        ]
        return b"{" + b",".join(pairs) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(_text(schema and schema.items, v, embedded=True) for v in value) + b"]"
    return text_of(schema, value).encode()


def _item(schema: Schema | None, name: str) -> Schema | None:
    return None if schema is None else schema.values or schema.field(name)


def text_of(schema: Schema | None, value: Any) -> str:
    """A primitive as Connect's Values prints it: Java's String.valueOf, and dates in ISO form."""
    if schema is not None and schema.name in DATES:
        return header_text(milliseconds(schema, value))
    return java_text(schema, value)
