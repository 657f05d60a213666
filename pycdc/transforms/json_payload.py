"""JSON text -> schema and value, as Debezium's EventRouter expands an outbox event's payload.

What has no common schema raises NotExpandable, and the payload stays a text: lists of mixed kinds or of
mixed numbers, numbers beyond a long, text that is no JSON. Where Debezium changes the schema but not the
value and stops in the converter (a list at the root, objects in a list that disagree), this one expands or
leaves the text whole.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from pycdc.model.names import Adjuster
from pycdc.model.schema import BOOLEAN, FLOAT64, INT32, INT64, OPTIONAL_BYTES, STRING, Field, Schema
from pycdc.transforms.operand import MAX_SCHEMAS

_INT32, _INT64, _FLOAT64, _STRING, _BOOLEAN = (s.replace(optional=True) for s in (INT32, INT64, FLOAT64, STRING, BOOLEAN))


class NotExpandable(Exception):
    """The text has no schema; the message says why, without the text."""


class JsonPayload:
    """`keep_nulls`: a null becomes optional bytes, else its member is left out."""

    def __init__(self, *, keep_nulls: bool, adjust: Adjuster) -> None:
        self._keep_nulls = keep_nulls
        self._adjust = adjust
        self._known: dict[Schema, Schema] = {}

    def expand(self, name: str, text: str) -> tuple[Schema, Any]:
        """Schema, its structs named from `name` on, and value. Raises NotExpandable."""
        if not text.startswith(("{", "[")):
            raise NotExpandable("it is no JSON object or list")
        try:
            # as Jackson reads it: whatever stands behind the value is ignored
            document = _DECODER.raw_decode(text)[0]
        except (ValueError, RecursionError):
            raise NotExpandable("it is no JSON") from None
        schema = self._schema(name, document)
        if schema is None:
            raise NotExpandable("an empty list has no element to tell its schema")
        if len(self._known) >= MAX_SCHEMAS:
            self._known.clear()
        # payloads of one shape share one schema object: what comes after caches by identity
        schema = self._known.setdefault(schema, schema)
        return schema, self._value(schema, document)

    def _schema(self, name: str | None, node: Any) -> Schema | None:
        """None: the member is left out."""
        if node is None:
            return OPTIONAL_BYTES if self._keep_nulls else None
        if isinstance(node, bool):
            return _BOOLEAN
        if isinstance(node, str):
            return _STRING
        if isinstance(node, (int, float)):
            return _number(node)
        if isinstance(node, list):
            return Schema(type="array", items=self._items(name, node), optional=True) if node else None
        fields: dict[str, Schema] = {}
        for member, held in node.items():
            own = self._adjust(member)
            found = self._schema(f"{name}.{own}" if name and name.strip() else own, held)
            if found is not None:
                fields.setdefault(own, found)
        return Schema(type="struct", name=name, optional=True, fields=tuple(Field(n, s) for n, s in fields.items()))

    def _items(self, name: str | None, nodes: list[Any]) -> Schema:
        sample = next((n for n in nodes if n is not None), None)
        if len({_kind(node) for node in nodes if node is not None}) > 1:
            raise NotExpandable("a list holds values of several kinds")
        if not isinstance(sample, dict):
            found = self._schema(None, sample)
            if found is None:
                raise NotExpandable("a list's elements have no schema")
            return found
        schemas = [self._schema(name, node) for node in nodes if isinstance(node, dict)]
        merged: Schema | None = None
        for schema in dict.fromkeys(s for s in schemas if s is not None):
            merged = schema if merged is None else _merged(merged, schema)
        assert merged is not None
        return merged

    def _value(self, schema: Schema, node: Any) -> Any:
        if node is None:
            return None
        if schema.type == "array" and isinstance(node, list):
            assert schema.items is not None
            return [self._value(schema.items, item) for item in node]
        if schema.type == "struct" and isinstance(node, dict):
            held = {self._adjust(member): value for member, value in reversed(node.items())}
            return {f.name: self._value(f.schema, held.get(f.name)) for f in schema.fields}
        if isinstance(node, (list, dict)) or _leaf_schema(node) != schema:
            raise NotExpandable("objects of a list disagree about a member")
        return node


def _kind(node: Any) -> str:
    """Numbers of different width are of different kinds."""
    return type(node).__name__ if isinstance(node, (list, dict)) else _leaf_schema(node).type


def _leaf_schema(node: Any) -> Schema:
    return _BOOLEAN if isinstance(node, bool) else _STRING if isinstance(node, str) else _number(node)


def _number(node: float) -> Schema:
    if isinstance(node, float):
        return _FLOAT64
    if -(1 << 31) <= node < 1 << 31:
        return _INT32
    if -(1 << 63) <= node < 1 << 63:
        return _INT64
    raise NotExpandable("a number is beyond 64 bits")


def _merged(left: Schema, right: Schema) -> Schema:
    """The members of both; a null's bytes give way. The merged struct is required, as Debezium's is."""
    fields = {f.name: f.schema for f in left.fields}
    for f in right.fields:
        known = fields.get(f.name)
        if known is None or (known.type == "bytes" and f.schema.type != "bytes"):
            fields[f.name] = f.schema
    return Schema(type="struct", name=left.name, fields=tuple(Field(n, s) for n, s in fields.items()))


def _refused(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refused)
