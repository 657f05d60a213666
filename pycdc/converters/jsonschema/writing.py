"""Values -> JSON as the JsonSchemaConverter writes them: json_values' walk, with its own maps, unions and nulls.

A required field that is null is left out, where the JsonConverter refuses it.
Source: the behaviour of JsonSchemaData 7.9.
"""

from __future__ import annotations

from typing import Any

from pycdc.converters.json_values import JsonValues, sequence
from pycdc.converters.jsonschema.config import JsonSchemaConverterConfig
from pycdc.converters.jsonschema.names import KEY, VALUE, as_object, is_union
from pycdc.model.schema import NO_DEFAULT, Schema
from pycdc.model.template import Leaf, NeedsValue
from pycdc.plugins.contracts import Piece


class SchemaValues(JsonValues):
    """The walk. `null` None: nothing is written."""

    def __init__(self, settings: JsonSchemaConverterConfig) -> None:
        super().__init__(numeric=settings.decimal_format == "NUMERIC", replace_null=not settings.ignore_default)

    def null(self, schema: Schema | None) -> bytes | None:
        """What stands for a null of this schema."""
        if schema is None:
            return b"null"
        if self._replace_null and schema.default is not NO_DEFAULT and schema.default is not None:
            return self.plain(schema, schema.default)
        return b"null" if schema.optional else None

    def value(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> None:
        """A null without form is one in an array or a map."""
        if value is None and self.null(schema) is None:
            out.append(b"null")
        else:
            super().value(topic, schema, value, out)

    def struct(self, topic: str, schema: Schema, value: dict[str, Any], out: list[Piece]) -> None:
        if is_union(schema):
            self._branch(topic, schema, value, out)
            return
        fields = [(f.name, f.schema, value.get(f.name)) for f in schema.fields]
        sequence(b"{", b"}", out, [i for i in fields if i[2] is not None or self.null(i[1]) is not None], self, topic)

    def _branch(self, topic: str, schema: Schema, value: dict[str, Any], out: list[Piece]) -> None:
        """The first field that has a value, by itself."""
        for field in schema.fields:
            found = value.get(field.name)
            if type(found) is Leaf:
                raise NeedsValue(found.reader.column_name)  # only its value tells whether it is the one
            if found is None and self._replace_null and field.schema.default is not NO_DEFAULT:
                found = field.schema.default
            if found is not None:
                self.value(topic, field.schema, found, out)
                return
        self.value(topic, schema, None, out)

    def map(self, topic: str, schema: Schema | None, value: dict[Any, Any], out: list[Piece]) -> None:
        """An object, or an array of objects with a key and a value."""
        if schema is None or as_object(schema):
            super().map(topic, schema, value, out)
            return
        out.append(b"[")
        for i, (k, v) in enumerate(value.items()):
            if i:
                out.append(b",")
            sequence(b"{", b"}", out, [(KEY, schema.keys, k), (VALUE, schema.values, v)], self, topic)
        out.append(b"]")
