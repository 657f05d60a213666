"""Avro's types as objects, and their JSON text as Avro's Java library prints it.

Text counts byte for byte: a registry finds an id by it. A named type is defined where it is first met and
stands by its name afterwards; properties keep the order in which they were put.
Source: the Avro specification 1.11, "Schema Declaration" and "Names"; the captures under tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pycdc.errors import RecordError

PRIMITIVES: Final = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))
NAMED: Final = frozenset(("record", "enum", "fixed"))
_WORDS: Final = PRIMITIVES | NAMED | {"array", "map", "union"}


class NumberText(str):
    """A JSON number with a fraction, as it is written: Java's text and Python's differ."""

    __slots__ = ()


#: A field without default; None is the JSON null.
ABSENT: Final = msgspec.UNSET


class AvroField(msgspec.Struct, eq=False):
    """One field of a record; `default` is JSON, or ABSENT."""

    name: str
    type: AvroType
    doc: str | None = None
    default: Any = ABSENT
    props: dict[str, Any] = {}


class AvroType(msgspec.Struct, eq=False, kw_only=True):
    """One type. A record may hold itself, so that two are the same only by identity."""

    #: A primitive's name, or record, enum, fixed, array, map, union.
    kind: str
    name: str = ""
    namespace: str | None = None
    doc: str | None = None
    fields: list[AvroField] = []
    #: Of an array, or a map's values.
    items: AvroType | None = None
    branches: list[AvroType] = []
    symbols: tuple[str, ...] = ()
    default_symbol: str | None = None
    size: int = 0
    props: dict[str, Any] = {}

    @property
    def full_name(self) -> str:
        """With namespace; a primitive's is its kind."""
        if not self.name:
            return self.kind
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    def branch(self, kind: str) -> int | None:
        """Place of the first branch of that kind."""
        return next((i for i, b in enumerate(self.branches) if b.kind == kind), None)


def same_shape(a: AvroType, b: AvroType) -> bool:
    """Whether both have the same binary form under the same field names."""
    if a is b:
        return True
    if (a.kind, a.full_name, a.symbols, a.size) != (b.kind, b.full_name, b.symbols, b.size):
        return False
    return (
        [f.name for f in a.fields] == [f.name for f in b.fields]
        and len(a.branches) == len(b.branches)
        and all(same_shape(x, y) for x, y in zip(parts(a), parts(b), strict=False))
    )


def parts(t: AvroType) -> Iterator[AvroType]:
    """The types that it is made of."""
    yield from (f.type for f in t.fields)
    yield from t.branches
    if t.items is not None:
        yield t.items


# ---- printing


def text_of(t: AvroType) -> str:
    """The type's JSON text."""
    out: list[str] = []
    _print(t, None, {}, out)
    return "".join(out)


def _print(t: AvroType, space: str | None, known: dict[str, AvroType], out: list[str]) -> None:
    if t.kind == "union":
        out.append("[")
        for n, branch in enumerate(t.branches):
            out.append("," if n else "")
            _print(branch, space, known, out)
        out.append("]")
    elif t.kind in NAMED and t.full_name in known:
        out.append(json_text(_reference(t, space)))
    elif t.kind in PRIMITIVES and not t.props:
        out.append(f'"{t.kind}"')
    else:
        out.append(f'{{"type":"{t.kind}"')
        if t.kind in NAMED:
            known[t.full_name] = t
            _print_named(t, space, known, out)
        elif t.items is not None:
            out.append(',"items":' if t.kind == "array" else ',"values":')
            _print(t.items, space, known, out)
        _print_props(t.props, out)
        out.append("}")


def _reference(t: AvroType, space: str | None) -> str:
    """Short inside its own namespace, unless the short name is a word of Avro's."""
    return t.name if t.namespace == space and t.name not in _WORDS else t.full_name


def _print_named(t: AvroType, space: str | None, known: dict[str, AvroType], out: list[str]) -> None:
    out.append(f',"name":{json_text(t.name)}')
    if t.namespace != space:
        out.append(f',"namespace":{json_text(t.namespace or "")}')
    if t.doc is not None:
        out.append(f',"doc":{json_text(t.doc)}')
    if t.kind == "record":
        out.append(',"fields":[')
        for n, f in enumerate(t.fields):
            out.append("," if n else "")
            _print_field(f, t.namespace, known, out)
        out.append("]")
    elif t.kind == "enum":
        out.append(f',"symbols":{json_text(list(t.symbols))}')
        if t.default_symbol is not None:
            out.append(f',"default":{json_text(t.default_symbol)}')
    else:
        out.append(f',"size":{t.size}')


def _print_field(f: AvroField, space: str | None, known: dict[str, AvroType], out: list[str]) -> None:
    out.append(f'{{"name":{json_text(f.name)},"type":')
    _print(f.type, space, known, out)
    if f.doc is not None:
        out.append(f',"doc":{json_text(f.doc)}')
    if f.default is not ABSENT:
        out.append(f',"default":{json_text(f.default)}')
    _print_props(f.props, out)
    out.append("}")


def _print_props(props: dict[str, Any], out: list[str]) -> None:
    out.extend(f",{json_text(name)}:{json_text(value)}" for name, value in props.items())


_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def json_text(value: Any) -> str:
    """Compact JSON; only quote, backslash and controls below 0x20 are escaped."""
    if isinstance(value, NumberText):
        return value if value[-1].isdigit() else f'"{value}"'  # JSON has no number for NaN and the infinities
    if isinstance(value, str):
        return '"' + _ESCAPED.sub(lambda m: _SHORT.get(m[0]) or f"\\u{ord(m[0]):04X}", value) + '"'
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return "{" + ",".join(f"{json_text(k)}:{json_text(v)}" for k, v in value.items()) + "}"


# ---- parsing

_OF_TYPE = frozenset(("type", "name", "namespace", "doc", "fields", "items", "values", "symbols", "size", "aliases"))
_OF_FIELD = frozenset(("name", "type", "doc", "default", "order", "aliases"))


def parse(text: str) -> AvroType:
    """A schema's JSON text -> its type. Raises RecordError."""
    try:
        return _parse(json.loads(text, parse_float=NumberText), None, {})
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise RecordError("an Avro schema is malformed", cause=f"{type(error).__name__}: {error}") from None


def _parse(node: Any, space: str | None, known: dict[str, AvroType]) -> AvroType:
    if isinstance(node, list):
        return AvroType(kind="union", branches=[_parse(n, space, known) for n in node])
    if isinstance(node, str):
        if node in PRIMITIVES:
            return AvroType(kind=node)
        return known[node if "." in node or not space else f"{space}.{node}"]
    kind = node["type"]
    if not isinstance(kind, str) or kind not in PRIMITIVES | NAMED | {"array", "map", "error"}:
        return _parse(kind, space, known)  # {"type": {...}}, and a name in the long form
    kind = "record" if kind == "error" else kind
    own = _OF_TYPE | {"default"} if kind == "enum" else _OF_TYPE
    props = {k: v for k, v in node.items() if k not in own}
    if kind in NAMED:
        return _parse_named(kind, node, props, space, known)
    if kind == "array":
        return AvroType(kind=kind, items=_parse(node["items"], space, known), props=props)
    if kind == "map":
        return AvroType(kind=kind, items=_parse(node["values"], space, known), props=props)
    return AvroType(kind=kind, props=props)


def _parse_named(
    kind: str, node: dict[str, Any], props: dict[str, Any], space: str | None, known: dict[str, AvroType]
) -> AvroType:
    before, dot, name = node["name"].rpartition(".")
    namespace = before if dot else node.get("namespace", space)
    t = AvroType(kind=kind, name=name, namespace=namespace or None, doc=node.get("doc"), props=props)
    known[t.full_name] = t
    if kind == "enum":
        t.symbols, t.default_symbol = tuple(node["symbols"]), node.get("default")
    elif kind == "fixed":
        t.size = int(node["size"])
    else:
        t.fields = [
            AvroField(
                f["name"], _parse(f["type"], t.namespace, known), f.get("doc"), f.get("default", ABSENT),
                {k: v for k, v in f.items() if k not in _OF_FIELD},
            )
            for f in node["fields"]
        ]  # fmt: skip
    return t
