"""JSON Schemas -> Connect's, as io.confluent.connect.json.JsonSchemaData understands them.

What JSON Schema cannot say is in connect.type, connect.index, connect.version and connect.parameters. A schema that
refers to itself has no form in Connect here, as Connect's schemas of pycdc are values.
Source: the behaviour of JsonSchemaData 7.9 (captures beside the tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pycdc.converters.jsonschema import names as n
from pycdc.converters.jsonschema.config import JsonSchemaConverterConfig
from pycdc.converters.jsonschema.documents import Node, parse
from pycdc.converters.jsonschema.reading import value_fixer
from pycdc.errors import RecordError
from pycdc.model.javahash import hash_map
from pycdc.model.schema import STRING, Field, Schema

_NUMBERS: Final = frozenset(("int8", "int16", "int32", "int64", "float32", "float64", "bytes"))
#: Kinds that stand for one value, of which an allOf may have several.
_SIMPLE: Final = ("string", "number", "integer")


def understand(text: str, referred: Mapping[str, str], settings: JsonSchemaConverterConfig) -> Schema:
    """Connect's schema of a registered one. `referred`: texts by the names that its references use. Raises RecordError."""
    try:
        return _Understanding(settings).schema(parse(text, referred))
    except RecursionError:
        raise RecordError("a registered JSON Schema is malformed", cause="it is nested too deeply") from None


class _Understanding:
    def __init__(self, settings: JsonSchemaConverterConfig) -> None:
        self._settings = settings
        self._unions = 0
        #: Nodes that are being understood.
        self._open: list[Node] = []

    def schema(self, node: Node, *, optional: bool = False) -> Schema:
        """`optional`: it is, whatever it says itself."""
        if node in self._open:
            raise RecordError(
                "a schema refers to itself, which no target has a form for", cause=f"title {node.said.get('title')}",
                hint="read the topic with StringConverter or with JsonConverter and schemas.enable=false",
            )  # fmt: skip
        self._open.append(node)
        try:
            return self._schema(node, optional=optional)
        finally:
            self._open.pop()

    def _schema(self, node: Node, *, optional: bool) -> Schema:
        if node.kind == "ref":
            assert node.follow is not None
            return self.schema(node.follow(), optional=optional)
        if node.kind == "allOf" and not (len(node.parts) == 1 and self._settings.flatten_unions):
            return self._all_of(node, optional=optional)
        if node.kind in ("oneOf", "anyOf", "allOf"):
            others = [p for p in node.parts if p.kind != "null"]
            alone = len(node.parts) == 1 and self._settings.flatten_unions
            if others and (alone or (len(others) == 1 and len(node.parts) == 2)):
                return self.schema(others[0], optional=optional or not alone)
            return self._finished(self._union(node, others), node, optional=optional)
        return self._finished(self._base(node), node, optional=optional)

    # ---- kinds

    def _base(self, node: Node) -> Schema:
        said = node.said.get(n.TYPE)
        if node.kind == "boolean":
            return Schema(type="boolean")
        if node.kind in ("integer", "number"):
            if said is None:
                return Schema(type="int64" if node.integer else "float64")
            if isinstance(said, str) and said in _NUMBERS:
                return Schema(type=said)
        if node.kind == "string":
            return Schema(type="bytes" if said == "bytes" else "string")
        if node.kind in ("enum", "const"):
            return self._enum(node.symbols)
        if node.kind == "array" and node.items is not None:
            return self._array(node.items, is_map=said == "map")
        if node.kind == "object":
            if said != "map":
                return self._struct(node)
            if node.additional is not None:
                return Schema(type="map", keys=STRING, values=self.schema(node.additional))
        raise RecordError(
            "a JSON Schema has no form in Connect", cause=_described(node, said),
            hint="read the topic with StringConverter or with JsonConverter and schemas.enable=false",
        )  # fmt: skip

    def _array(self, items: Node, *, is_map: bool) -> Schema:
        if is_map and items.kind == "object" and {n.KEY, n.VALUE} <= items.properties.keys():
            key, value = self.schema(items.properties[n.KEY]), self.schema(items.properties[n.VALUE])
            return Schema(type="map", keys=key, values=value)
        return Schema(type="array", items=self.schema(items))

    def _struct(self, node: Node) -> Schema:
        """Fields in the order of connect.index; those without one behind as many as are there before them."""
        given: list[tuple[int, int, str]] = []
        taken: set[int] = set()
        for name in hash_map(hash_map(node.properties)):
            said = _index(node.properties[name])
            place = len(given) if said is None else said
            given.append((place, place in taken, name))
            taken.add(place)
        return self._fields([name for _, _, name in sorted(given, key=lambda g: g[:2])], node.properties, node.required)

    def _fields(self, names: list[str], properties: Mapping[str, Node], required: frozenset[str]) -> Schema:
        loose = self._settings.optional_for_nonrequired
        return Schema(
            type="struct",
            fields=tuple(Field(k, self.schema(properties[k], optional=loose and k not in required)) for k in names),
        )

    def _enum(self, symbols: list[Any]) -> Schema:
        name = n.SUM_ENUM if self._settings.sum_types else n.ENUM
        texts = [n.NULL_SYMBOL if s is None else _symbol(s) for s in symbols]
        values = [str(i) for i in range(len(texts))] if self._settings.sum_types else texts
        pairs = {name: "", **{f"{name}.{t}": v for t, v in zip(texts, values, strict=True)}}
        return Schema(type="string", parameters=tuple(pairs.items()))

    def _union(self, node: Node, others: list[Node]) -> Schema:
        if self._settings.sum_types:
            name, prefix, said = f"{n.UNION_PREFIX}{self._unions}", n.UNION_FIELD, True
            self._unions += 1
        else:
            name, prefix, said = n.ONE_OF, f"{n.ONE_OF}.field.", False
        return Schema(
            type="struct", name=name, optional=len(others) < len(node.parts), parameters=((n.SUM_UNION, name),) if said else (),
            fields=tuple(Field(f"{prefix}{i}", self.schema(p, optional=True)) for i, p in enumerate(others)),
        )  # fmt: skip

    def _all_of(self, node: Node, *, optional: bool) -> Schema:
        """A struct of all properties, else the one part that says most."""
        properties: dict[str, Node] = {}
        required: dict[str, bool] = {}
        _collect(node, properties, required, [])
        if properties:
            needed = frozenset(k for k, v in required.items() if v)
            return self._fields(list(properties), properties, needed).replace(optional=optional)
        by_kind = {p.kind: p for p in node.parts}
        chosen = next((by_kind[k] for k in ("oneOf", "anyOf", "allOf") if k in by_kind), None)
        if chosen is None and "enum" in by_kind and "string" in by_kind:
            chosen = by_kind["enum"]
        numbers = ("integer", "number") if "const" not in by_kind or "string" not in by_kind else ()
        for kind in (*numbers, "string", "enum", "const", "ref", "boolean", "array"):
            chosen = chosen or by_kind.get(kind)
        if chosen is None:
            raise RecordError("a JSON Schema has no form in Connect", cause=f"an allOf of {', '.join(p.kind for p in node.parts)}")
        return self.schema(chosen, optional=optional)

    # ---- what is said of all

    def _finished(self, base: Schema, node: Node, *, optional: bool) -> Schema:
        said = node.said
        title, version, doc, parameters = (said.get(k) for k in ("title", n.VERSION, "description", n.PARAMETERS))
        made = base.replace(
            name=base.name or (title if isinstance(title, str) else None),
            version=version if type(version) is int else None,
            doc=doc if isinstance(doc, str) else None,
            parameters=base.parameters + _parameters(parameters),
            optional=base.optional or optional,
        )
        if said.get("default") is None:
            return made
        fix = value_fixer(made)
        try:
            return made.replace(default=said["default"] if fix is None else fix(_as_message(said["default"])))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise RecordError("a schema's default is no value of it", cause=f"{made.name or made.type}: {type(error).__name__}") from None


def _index(node: Node) -> int | None:
    said = node.said.get(n.INDEX)
    return said if type(said) is int else None


def _parameters(said: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(said, dict):
        return ()
    return tuple((k, v if isinstance(v, str) else _symbol(v)) for k, v in said.items())


def _symbol(value: Any) -> str:
    """As Java shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _as_message(default: Any) -> Any:
    """Of a default's own: fixers change objects in place."""
    return {k: _as_message(v) for k, v in default.items()} if isinstance(default, dict) else default


def _collect(node: Node, properties: dict[str, Node], required: dict[str, bool], seen: list[Node]) -> None:
    if node in seen:
        return
    seen.append(node)
    if node.kind == "allOf":
        for part in node.parts:
            _collect(part, properties, required, seen)
    elif node.kind == "object":
        for name in hash_map(hash_map(node.properties)):
            properties[name] = node.properties[name]
            required[name] = name in node.required
    elif node.kind == "ref" and node.follow is not None:
        _collect(node.follow(), properties, required, seen)


def _described(node: Node, said: Any) -> str:
    word = {"empty": "a schema that allows everything", "other": "a schema that says no type"}.get(node.kind, f"type {node.kind}")
    return word if said is None else f"{word}, {n.TYPE} {said}"
