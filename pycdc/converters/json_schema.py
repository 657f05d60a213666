"""Schemas as JsonConverter writes them, and what makes values of a payload that JSON has read.

Connect's own form of a schema, in each message; JSON Schema, in a registry, is the JsonSchemaConverter's (jsonschema/).

Source: Kafka's JsonConverter. A payload that does not fit its schema is passed on as it stands where that costs
nothing; what cannot be read raises TypeError, ValueError or AttributeError, of which the converter makes its error.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from operator import itemgetter
from typing import Any, TypeVar

from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, Field, Schema

Fixer = Callable[[Any], Any]
_T = TypeVar("_T")

_CONNECT_TYPE = {"float": "float32", "double": "float64"}
_TYPES = frozenset((
    "int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string", "bytes", "struct", "array", "map",
))  # fmt: skip
#: The default context would round to 28 digits.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class InexactNumberError(Exception):
    """A Decimal came as a JSON number (decimal.format=NUMERIC), which a float may not hold."""


def parse_schema(node: Any) -> Schema:
    """A schema as JsonConverter writes it -> Schema; what is not said as it should be counts as not said. Raises RecordError."""
    try:
        kind = _CONNECT_TYPE.get(node["type"], node["type"])
        if kind not in _TYPES:
            raise ValueError(f"type {kind}")
        bare = Schema(
            type=kind,
            optional=node.get("optional") is True,
            name=_if_a(str, node.get("name")),
            version=_if_a(int, node.get("version")),
            doc=_if_a(str, node.get("doc")),
            parameters=_parameters(node.get("parameters")),
            fields=tuple(Field(f["field"], parse_schema(f)) for f in node["fields"]) if kind == "struct" else (),
            items=parse_schema(node["items"]) if kind == "array" else None,
            keys=parse_schema(node["keys"]) if kind == "map" else None,
            values=parse_schema(node["values"]) if kind == "map" else None,
        )
        default = node.get("default")
        if default is None:
            return bare
        fix = fixer(bare)
        return bare.replace(default=default if fix is None else fix(default))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        named = node.get("type") if isinstance(node, dict) else None
        raise RecordError(
            "a message's schema is malformed", cause=repr(error),
            original="Schema must contain 'type' field" if named is None else f"Unknown schema type: {named}",
        ) from None  # fmt: skip


def _if_a(kind: type[_T], said: Any) -> _T | None:
    return said if type(said) is kind else None


def _parameters(said: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(said, dict):
        return ()
    if any(type(v) is not str for v in said.values()):
        raise TypeError("a parameter is no text")
    return tuple(said.items())


def fixer(schema: Schema, *, defaults: bool = False) -> Fixer | None:
    """What turns a payload as JSON has it into values of `schema`; None when nothing differs.

    With `defaults` nulls inside become the defaults of their schemas. Structs are changed in place: they were
    made for this message alone.
    """
    if schema.name == DECIMAL:
        return _decimal_reader(int(schema.parameter("scale") or 0))
    if schema.type == "bytes":
        return _base64
    if schema.type in ("float32", "float64"):
        return float
    if schema.type == "struct":
        return _struct_fixer(schema, defaults=defaults)
    if schema.items is not None:
        fix_item = _inside(schema.items, defaults=defaults)
        return None if fix_item is None else lambda values: [fix_item(v) for v in values]
    if schema.keys is not None and schema.values is not None:
        return _map_fixer(schema.keys, _inside(schema.values, defaults=defaults) or _as_it_is)
    return None


def _base64(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _decimal_reader(scale: int) -> Fixer:
    def read(value: Any) -> Decimal:
        if isinstance(value, str):
            return _EXACT.scaleb(Decimal(int.from_bytes(a2b_base64(value), "big", signed=True)), -scale)
        if isinstance(value, float):
            raise InexactNumberError
        if type(value) is bool:
            raise TypeError("no number")
        return _EXACT.scaleb(Decimal(value), 0)

    return read


def _replacement(schema: Schema, *, defaults: bool) -> Any:
    """What stands for a null; None for itself."""
    return schema.default if defaults and schema.has_default else None


def _inside(schema: Schema, *, defaults: bool) -> Fixer | None:
    """`fixer` for an element, which may be null."""
    fix, null = fixer(schema, defaults=defaults), _replacement(schema, defaults=defaults)
    if fix is None:
        return None if null is None else lambda v: null if v is None else v
    known = fix
    return lambda v: null if v is None else known(v)


def _struct_fixer(schema: Schema, *, defaults: bool) -> Fixer | None:
    inner = [(f.name, change) for f in schema.fields if (change := fixer(f.schema, defaults=defaults)) is not None]
    nulls = [(f.name, value) for f in schema.fields if (value := _replacement(f.schema, defaults=defaults)) is not None]
    replaced = {name for name, _ in nulls}
    required = [f for f in schema.fields if not f.schema.optional and f.name not in replaced]
    if not inner and not nulls and not required:
        return None
    names = [f.name for f in required]
    get = itemgetter(*names, *names[:1]) if names else None

    def fix(payload: dict[str, Any]) -> dict[str, Any]:
        try:
            missing = get is not None and None in get(payload)
        except KeyError:
            missing = True
        if missing:
            raise _null_in(required, payload)
        for name, f in inner:
            value = payload.get(name)
            if value is not None:
                payload[name] = f(value)
        for name, null in nulls:
            if payload.get(name) is None:
                payload[name] = null
        return payload

    return fix


def _null_in(required: list[Field], payload: dict[str, Any]) -> RecordError:
    field = next(f for f in required if payload.get(f.name) is None)
    return RecordError(
        "a required field is null", cause=f"field {field.name}",
        original=f"Invalid null value for required {field.schema.type.upper()} field",
    )  # fmt: skip


def _as_it_is(value: Any) -> Any:
    return value


def _map_fixer(keys: Schema, fix_value: Fixer) -> Fixer | None:
    if keys.type == "string":
        return None if fix_value is _as_it_is else lambda m: {k: fix_value(v) for k, v in m.items()}
    fix_key = fixer(keys) or _as_it_is
    return lambda pairs: {fix_key(k): fix_value(v) for k, v in pairs}


def exactly(data: bytes, fix: Fixer) -> Any:
    """The payload of a whole message with every fraction as a Decimal; float fields take them as well."""
    return fix(json.loads(data, parse_float=Decimal)["payload"])
