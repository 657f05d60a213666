"""org.apache.kafka.connect.storage.StringConverter: a value's text, without schema."""

from __future__ import annotations

from typing import Any

from pycdc.config.definition import ConfigDef, Property, text
from pycdc.converters.simple_header import text_of
from pycdc.errors import RecordError
from pycdc.model.schema import STRING, Schema
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
        elif schema is not None and schema.type == "struct":
            if _has_leaf(value):
                raise NeedsValue("a struct's text")
            fields = [f"{f.name}={text_of(f.schema, value[f.name])}" for f in schema.fields if value.get(f.name) is not None]
            out.append(("Struct{" + ",".join(fields) + "}").encode(self.encoding))
        else:
            out.append(text_of(schema, value).encode(self.encoding))
        return True

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter."""
        try:
            return STRING.replace(optional=True), None if data is None else data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise RecordError("a message is not text", where=topic, cause=str(error)) from None


def _has_leaf(value: Any) -> bool:
    if type(value) is dict:
        return any(_has_leaf(v) for v in value.values())
    if type(value) is list:
        return any(_has_leaf(v) for v in value)
    return type(value) is Leaf
