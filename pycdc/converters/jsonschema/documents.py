"""A registered JSON Schema as what it is made of: one node per schema, references followed.

A schema that says several things at once (a type and an enum, properties and a oneOf) is an allOf of them; a list of
types is an anyOf. Documents are looked up by the names under which the registry knows them; nothing is fetched.
Source: the drafts 4 to 7 of JSON Schema, and how everit-json-schema 1.14 reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote, urljoin

import msgspec

from pycdc.errors import RecordError

#: Words that make a schema without type one of this kind.
_KEYWORDS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("array", frozenset(("items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"))),
    ("object", frozenset((
        "properties", "required", "minProperties", "maxProperties", "dependencies", "patternProperties",
        "additionalProperties", "propertyNames",
    ))),
    ("number", frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))),
    ("string", frozenset(("minLength", "maxLength", "pattern", "format"))),
)  # fmt: skip
_TYPES: Final = frozenset(("string", "integer", "number", "boolean", "null", "array", "object"))


class Node(msgspec.Struct, eq=False):
    """`kind`: a type of JSON Schema, or enum, const, oneOf, anyOf, allOf, ref, empty, other (nothing that has a form here).

    `said`: title, description, default and what is Connect's, where this node is the whole schema.
    """

    kind: str
    said: Mapping[str, Any] = {}
    parts: list[Node] = []
    symbols: list[Any] = []
    items: Node | None = None
    properties: dict[str, Node] = {}
    required: frozenset[str] = frozenset()
    additional: Node | None = None
    follow: Callable[[], Node] | None = None

    @property
    def integer(self) -> bool:
        return self.kind == "integer"


def parse(text: str, referred: Mapping[str, str]) -> Node:
    """The root. `referred`: texts by the names that references use. Raises RecordError."""
    return _Documents(text, referred).root


class _Documents:
    """All documents of one schema, and the nodes made of them, by place."""

    def __init__(self, text: str, referred: Mapping[str, str]) -> None:
        whole = _load(text)
        self._base = _own_id(whole)
        self._texts = {self._base: whole}
        for name, other in referred.items():
            self._texts[name] = self._texts[_joined(self._base, name)] = _load(other)
        self._ids: dict[str, Any] = {}
        for base, document in self._texts.items():
            self._ids.update((_joined(base, i), node) for i, node in _with_ids(document))
        self._made: dict[int, Node] = {}
        self.root = self._node(whole, self._base)

    def _node(self, said: Any, base: str) -> Node:
        if isinstance(said, bool):
            return Node("empty" if said else "other")
        if not isinstance(said, dict):
            raise _malformed("a schema is no object")
        known = self._made.get(id(said))
        if known is None:
            known = self._made[id(said)] = self._new(said, base)
        return known

    def _new(self, said: dict[str, Any], base: str) -> Node:
        if "$ref" in said:
            ref = said["$ref"]
            return Node("ref", said, follow=lambda: self._target(ref, base))
        found = list(self._adjacent(said, base))
        if len(found) == 1:
            found[0].said = said
            return found[0]
        return Node("allOf", said, found) if found else Node("empty", said)

    def _adjacent(self, said: dict[str, Any], base: str) -> Iterator[Node]:
        """Each thing that one schema says."""
        if "enum" in said:
            yield Node("enum", symbols=_a(list, said["enum"]))
        for word in ("oneOf", "anyOf", "allOf"):
            if word in said:
                yield Node(word, parts=[self._node(s, base) for s in _a(list, said[word])])
        if "not" in said:
            yield Node("other")
        if "const" in said:
            yield Node("const", symbols=[said["const"]])
        types, left = said.get("type"), set(said)
        if types is not None:
            listed = types if isinstance(types, list) else [types]
            made = [self._typed(t, said, base) for t in listed]
            yield Node("anyOf", parts=made) if isinstance(types, list) else made[0]
            for kind, words in _KEYWORDS:
                if kind in listed or (kind == "number" and "integer" in listed):
                    left -= words
        for kind, words in _KEYWORDS:
            if left & words:
                yield self._typed(kind, said, base)

    def _typed(self, kind: Any, said: dict[str, Any], base: str) -> Node:
        if not isinstance(kind, str) or kind not in _TYPES:
            raise _malformed(f"type {kind!r}")
        if kind == "array":
            items = said.get("items")
            return Node(kind, items=self._node(items, base) if isinstance(items, dict | bool) else None)
        if kind != "object":
            return Node(kind)
        additional = said.get("additionalProperties")
        return Node(
            kind,
            properties={k: self._node(s, base) for k, s in _a(dict, said.get("properties", {})).items()},
            required=frozenset(r for r in _a(list, said.get("required", [])) if isinstance(r, str)),
            additional=self._node(additional, base) if isinstance(additional, dict) else None,
        )

    def _target(self, ref: Any, base: str) -> Node:
        address, _, pointer = _a(str, ref).partition("#")
        document = _joined(base, address) if address else base
        found = self._ids.get(_joined(base, ref))
        if found is not None:
            return self._node(found, base)
        for name in (document, address):
            if name in self._texts and (name or not address):
                return self._node(_pointed(self._texts[name], unquote(pointer), ref), name)
        raise RecordError(
            "a schema refers to one that the registry does not name", cause=f"$ref {ref}",
            hint="register the schema with its references",
        )  # fmt: skip


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise _malformed(str(error)) from None


def _joined(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError as error:
        raise _malformed(f"$ref {address}: {error}") from None


def _own_id(document: Any) -> str:
    found = document.get("$id", document.get("id")) if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


def _with_ids(node: Any) -> Iterator[tuple[str, Any]]:
    """Schemas that have an id of their own, inside of another one."""
    inside = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    for part in inside:
        if isinstance(part, dict) and isinstance(part.get("$id"), str):
            yield part["$id"], part
        yield from _with_ids(part)


def _pointed(document: Any, pointer: str, ref: Any) -> Any:
    node = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name not in node and name == "$defs":
            name = "definitions"  # either word finds the other
        try:
            node = node[int(name)] if isinstance(node, list) else node[name]
        except (KeyError, ValueError, IndexError, TypeError):
            raise _malformed(f"$ref {ref} leads nowhere") from None
    return node


def _a(kind: type, given: Any) -> Any:
    if not isinstance(given, kind):
        raise _malformed(f"{type(given).__name__} where {kind.__name__} is due")
    return given


def _malformed(cause: str) -> RecordError:
    return RecordError("a registered JSON Schema is malformed", cause=cause)
