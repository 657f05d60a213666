"""Connect's schemas -> the text of a JSON Schema, as io.confluent.connect.json.JsonSchemaData declares them.

Properties stand in the order of Java's HashMap, which is what the original's library keeps them in: a registry compares
texts, and a topic that moves over is to find the schema that is there. Their order in Connect is in connect.index.
Source: the behaviour of JsonSchemaData 7.9 on Java 17 (captures beside the tests).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from pycdc.converters.javatext import decimal_text, double_text, float_text, quoted_whole
from pycdc.converters.json_values import JsonValues
from pycdc.converters.jsonschema import names as n
from pycdc.converters.jsonschema.config import JsonSchemaConverterConfig
from pycdc.errors import RecordError
from pycdc.model.javahash import hash_map, hash_map_copy
from pycdc.model.schema import DECIMAL, NO_DEFAULT, Schema

_INTEGERS: Final = frozenset(("int8", "int16", "int32", "int64"))
_NULL: Final = b'{"type":"null"}'

#: Members of an object, in order.
_Members = list[tuple[str, bytes]]


def declare(schema: Schema, settings: JsonSchemaConverterConfig) -> str:
    """The text. Raises RecordError where a default has no form in JSON."""
    return _Declaration(settings).node(schema).decode()


class _Declaration:
    """One whole schema, and the ids that were given in it so far."""

    def __init__(self, settings: JsonSchemaConverterConfig) -> None:
        self._numeric = settings.decimal_format == "NUMERIC"
        self._open = settings.additional_properties
        self._enum = n.SUM_ENUM if settings.sum_types else n.ENUM
        self._values = JsonValues(numeric=False, replace_null=True)
        self._ids: set[str] = set()

    def node(self, schema: Schema, index: int | None = None, *, bare: bool = False) -> bytes:
        """`bare`: without the oneOf that makes it optional."""
        id_ = schema.parameter(n.ID)
        if id_ is not None:
            self._ids.add(id_)
        own: dict[str, bytes] = {}
        if schema.type == "struct" and (n.is_union(schema) or schema.optional):
            return _object([*_id(id_), *_properties(own, index), ("oneOf", self._alternatives(schema))])
        before, after = self._form(schema, own)
        if schema.version is not None:
            own[n.VERSION] = b"%d" % schema.version
        parameters = {k: v for k, v in schema.parameters if not k.startswith(n.NAMESPACE)}
        if parameters:
            own[n.PARAMETERS] = _parameters(parameters)
        optional = schema.optional and not bare
        said = self._said(schema)
        # of an optional one the index and the id stand outside
        inside = [*said, *_properties(own, None)] if optional else [*said, *_id(id_), *_properties(own, index)]
        whole = _object([*before, *inside, *after])
        if not optional:
            return whole
        return _object([*_id(id_), *_properties({}, index), ("oneOf", b"[" + _NULL + b"," + whole + b"]")])

    def _alternatives(self, schema: Schema) -> bytes:
        """A union's branches, or null and what is there else."""
        found = [_NULL] if schema.optional else []
        if not n.is_union(schema):
            found.append(self.node(schema.replace(optional=False)))
            return b"[" + b",".join(found) + b"]"
        # those that are alternatives themselves come first
        inner = [(f.schema.replace(optional=False), i) for i, f in enumerate(schema.fields)]
        made = [(n.is_union(s), self.node(s, i, bare=True)) for s, i in inner]
        return b"[" + b",".join([m for u, m in made if u] + found + [m for u, m in made if not u]) + b"]"

    def _inner(self, schema: Schema, index: int | None = None) -> bytes:
        """An item or a field: one that was given an id is referred to."""
        id_ = schema.parameter(n.ID)
        if id_ is not None and id_ in self._ids:
            return _object([("$ref", quoted_whole(id_))])
        return self.node(schema, index)

    def _form(self, schema: Schema, own: dict[str, bytes]) -> tuple[_Members, _Members]:
        """What stands before title and description, and what behind all; `own` gets Connect's type."""
        kind = schema.type
        if kind in _INTEGERS or kind in ("float32", "float64"):
            own[n.TYPE] = quoted_whole(kind)
            return [_type("integer" if kind in _INTEGERS else "number")], []
        if kind == "boolean":
            return [], [_type("boolean")]
        if kind == "string":
            return self._string(schema), []
        if kind == "bytes":
            own[n.TYPE] = quoted_whole("bytes")
            return [_type("number" if schema.name == DECIMAL and self._numeric else "string")], []
        if kind == "array":
            assert schema.items is not None
            return [_type("array")], [("items", self._inner(schema.items))]
        if kind == "map":
            own[n.TYPE] = quoted_whole("map")
            return self._map(schema)
        properties = {f.name: self._inner(f.schema, i) for i, f in enumerate(schema.fields)}
        return (
            [_type("object"), *([] if self._open else [("additionalProperties", b"false")])],
            [("properties", _object([(k, properties[k]) for k in hash_map(properties)]))] if properties else [],
        )

    def _string(self, schema: Schema) -> _Members:
        if schema.parameter(n.SUM_ENUM) is None and schema.parameter(n.ENUM) is None:
            return [_type("string")]
        start = f"{self._enum}."
        symbols = [k.removeprefix(start) for k, _ in schema.parameters if k.startswith(start)]
        return [("enum", b"[" + b",".join(b"null" if s == n.NULL_SYMBOL else quoted_whole(s) for s in symbols) + b"]")]

    def _map(self, schema: Schema) -> tuple[_Members, _Members]:
        assert schema.keys is not None
        assert schema.values is not None
        if n.as_object(schema):
            return [_type("object")], [("additionalProperties", self.node(schema.values))]
        entry = {n.KEY: self.node(schema.keys, 0), n.VALUE: self.node(schema.values, 1)}
        pairs = _object([(k, entry[k]) for k in hash_map(entry)])
        return [_type("array")], [("items", _object([_type("object"), ("properties", pairs)]))]

    def _said(self, schema: Schema) -> _Members:
        """Title, description and default."""
        found: _Members = []
        if schema.name is not None:
            found.append(("title", quoted_whole(schema.name)))
        if schema.doc is not None:
            found.append(("description", quoted_whole(schema.doc)))
        if schema.default is not NO_DEFAULT and schema.default is not None:
            found.append(("default", self._default(schema, schema.default)))
        return found

    def _default(self, schema: Schema | None, value: Any) -> bytes:
        assert schema is not None
        if value is None:
            value = None if schema.default is NO_DEFAULT else schema.default
        if value is None:
            return b"null"
        if schema.type == "struct":
            made = {f.name: self._default(f.schema, value.get(f.name)) for f in schema.fields}
            return _object([(k, made[k]) for k in hash_map(made)])
        if schema.type == "array":
            return b"[" + b",".join(self._default(schema.items, v) for v in value) + b"]"
        if schema.type == "map":
            if n.as_object(schema):
                return _object([(k, self._default(schema.values, value[k])) for k in hash_map(value)])
            pairs = [{n.KEY: self._default(schema.keys, k), n.VALUE: self._default(schema.values, v)} for k, v in value.items()]
            return b"[" + b",".join(_object([(k, p[k]) for k in hash_map(p)]) for p in pairs) + b"]"
        return self._primitive(schema, value)

    def _primitive(self, schema: Schema, value: Any) -> bytes:
        if isinstance(value, Decimal) and self._numeric:
            return _number(decimal_text(value))
        if schema.type in ("float32", "float64"):
            return _number(float_text(value) if schema.type == "float32" else double_text(value))
        if schema.type == "string":
            return quoted_whole(value)
        return self._values.plain(schema, value)


def _type(word: str) -> tuple[str, bytes]:
    return "type", quoted_whole(word)


def _id(id_: str | None) -> _Members:
    return [] if id_ is None else [("id", quoted_whole(id_))]


def _object(members: _Members) -> bytes:
    return b"{" + b",".join(quoted_whole(k) + b":" + v for k, v in members) + b"}"


def _properties(own: dict[str, bytes], index: int | None) -> _Members:
    """Connect's own, in the order of a HashMap that was copied."""
    if index is not None:
        own[n.INDEX] = b"%d" % index
    return [(k, own[k]) for k in hash_map_copy(hash_map(own))]


def _parameters(given: dict[str, str]) -> bytes:
    """They come through a map that grew into one that was made for so many."""
    return _object([(k, quoted_whole(given[k])) for k in hash_map(hash_map(given), len(given))])


def _number(text: str) -> bytes:
    """A default's digits: without zeros at the end, as a number, and again as BigDecimal writes it."""
    if text[-1] in "Ny":
        raise RecordError("a default has no form in JSON Schema", cause="it is no finite number")
    if "." in text and "E" not in text:
        text = text.rstrip("0").removesuffix(".")
        return b"0" if text == "-0" else text.encode()
    return decimal_text(Decimal(text)).encode()
