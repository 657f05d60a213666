"""org.apache.kafka.connect.storage.StringConverter: a value's text, without schema."""

from __future__ import annotations

import codecs
from typing import Any

from pycdc.config.definition import ConfigDef, Property, text
from pycdc.converters.javatext import java_text
from pycdc.errors import RecordError
from pycdc.model.schema import OPTIONAL_STRING, Schema
from pycdc.model.simple_date_format import DATES, date_text, milliseconds
from pycdc.model.template import Form, Leaf, NeedsValue
from pycdc.plugins.contracts import Cell, Piece


class StringConverterConfig(ConfigDef):
    """Options of the StringConverter."""

    encoding = Property[str]("converter.encoding", text(), default="UTF-8", doc="Character set of the messages.")

    def check(self, faults: list[Any]) -> None:
        from pycdc.errors import Fault

        try:
            "".encode(self.encoding)
        except LookupError:
            faults.append(Fault("converter.encoding", "is no known character set", self.encoding))


class StringConverter:
    """Text in, text out. What the character set lacks is refused; Java would make question marks of it."""

    config = StringConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        assert isinstance(settings, StringConverterConfig)
        self.encoding = settings.encoding
        self.codec = codecs.lookup(settings.encoding).name
        self.is_key = is_key

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if value is None:
            return False
        if type(value) is Leaf:
            if value.reader.form is Form.NONE or self.codec != "utf-8":
                raise NeedsValue(value.reader.column_name)
            out.append(Cell(value.column, None, None))
        else:
            if _has_leaf(value):
                raise NeedsValue("the text of a struct or list")
            try:
                out.append(_encoded(_text(schema, value), self.codec))
            except UnicodeEncodeError as error:
                raise RecordError(
                    "a text has a character that the message's character set lacks", where=topic, cause=f"{error.reason} in {self.encoding}",
                    hint=f"set {'key' if self.is_key else 'value'}.converter.converter.encoding=UTF-8",
                ) from None  # fmt: skip
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter."""
        try:
            return OPTIONAL_STRING, None if data is None else _decoded(data, self.codec)
        except UnicodeDecodeError as error:
            raise RecordError("a message is not text", where=topic, cause=f"{error.reason} in {self.encoding}") from None


def _encoded(text: str, codec: str) -> bytes:
    """Java's UTF-16 and UTF-32 are big-endian; only UTF-16 is marked, and not where there is no text."""
    if codec == "utf-16":
        return codecs.BOM_UTF16_BE + text.encode("utf-16-be") if text else b""
    return text.encode("utf-32-be" if codec == "utf-32" else codec)


def _decoded(data: bytes, codec: str) -> str:
    if codec in ("utf-16", "utf-32") and not data.startswith(_MARKS[codec]):
        codec += "-be"
    return data.decode(codec)


_MARKS = {
    "utf-16": (codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE),
    "utf-32": (codecs.BOM_UTF32_BE, codecs.BOM_UTF32_LE),
}


def _text(schema: Schema | None, value: Any) -> str:
    """Java's toString: of a struct its fields that are not null."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return _struct(schema, value) if schema is not None and schema.type == "struct" else _map(schema, value)
    if isinstance(value, list):
        return "[" + ", ".join(_text(schema and schema.items, v) for v in value) + "]"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if schema is not None and schema.name in DATES and type(value) is int:
        return date_text(milliseconds(schema, value))
    return java_text(schema, value)


def _struct(schema: Schema, value: dict[str, Any]) -> str:
    fields = [f"{f.name}={_text(f.schema, value[f.name])}" for f in schema.fields if value.get(f.name) is not None]
    return "Struct{" + ",".join(fields) + "}"


def _map(schema: Schema | None, value: dict[Any, Any]) -> str:
    pairs = [f"{_text(schema and schema.keys, k)}={_text(schema and schema.values, v)}" for k, v in value.items()]
    return "{" + ", ".join(pairs) + "}"


def _has_leaf(value: Any) -> bool:
    if type(value) is dict:
        return any(_has_leaf(v) for v in value.values())
    if type(value) is list:
        return any(_has_leaf(v) for v in value)
    return type(value) is Leaf
