"""org.apache.kafka.connect.storage.StringConverter: a value's text, without schema."""

from __future__ import annotations

from typing import Any

from pycdc.config.definition import ConfigDef, Property, text
from pycdc.converters.javatext import java_text
from pycdc.errors import RecordError
from pycdc.model.schema import STRING, Schema
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
    """Text in, text out."""

    config = StringConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        assert isinstance(settings, StringConverterConfig)
        self.encoding = settings.encoding
        self.is_key = is_key

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if value is None:
            return False
        if type(value) is Leaf:
            if value.reader.form is Form.NONE or self.encoding.upper() != "UTF-8":
                raise NeedsValue(value.reader.column_name)
            out.append(Cell(value.column, None, None))
        else:
            if _has_leaf(value):
                raise NeedsValue("the text of a struct or list")
            out.append(_text(schema, value).encode(self.encoding))
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter."""
        try:
            return STRING.replace(optional=True), None if data is None else data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise RecordError("a message is not text", where=topic, cause=str(error)) from None


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
    if schema is not None and schema.name in DATES:
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
