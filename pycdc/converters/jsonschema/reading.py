"""What makes Connect's values of JSON that orjson has read.

As with the JsonConverter a payload that does not fit its schema is passed on as it stands where looking costs more than
that; json.fail.invalid.schema looks. What cannot be read raises TypeError, ValueError, KeyError or AttributeError.
Source: the behaviour of JsonSchemaData 7.9; where that makes null or 0 of a value of another type, this does not.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

from pycdc.converters.json_schema import Fixer, fixer
from pycdc.converters.jsonschema.names import KEY, VALUE, as_object, is_union
from pycdc.errors import RecordError
from pycdc.model.schema import Schema


def value_fixer(schema: Schema) -> Fixer | None:
    """What turns a payload as JSON has it into values of `schema`; None when nothing differs. Objects are changed in place."""
    if schema.type == "struct":
        return _union_fixer(schema) if is_union(schema) else _struct_fixer(schema)
    if schema.type == "array":
        assert schema.items is not None
        return _array_fixer(element_fixer(schema.items))
    if schema.type == "map":
        return _map_fixer(schema)
    return fixer(schema)


def element_fixer(schema: Schema) -> Fixer:
    """The same for what may be null: that is the schema's default, and refused of a required schema without one."""
    fix = value_fixer(schema)
    null = schema.default if schema.has_default else None
    required = null is None and not schema.optional

    def read(value: Any) -> Any:
        if value is None:
            if required:
                raise _null(schema)
            return null
        return value if fix is None else fix(value)

    return read


def _null(schema: Schema, field: str = "") -> RecordError:
    return RecordError(
        "a required field is null", cause=f"field {field}" if field else f"an element of type {schema.type}",
        original=f"Invalid null value for required {schema.type.upper()} field",
    )  # fmt: skip


def _array_fixer(fix: Fixer) -> Fixer:
    def read(values: Any) -> list[Any]:
        if type(values) is not list:
            raise TypeError("no array")
        return [fix(v) for v in values]

    return read


def _map_fixer(schema: Schema) -> Fixer:
    assert schema.keys is not None
    assert schema.values is not None
    fix = element_fixer(schema.values)
    if as_object(schema):
        return lambda given: {k: fix(v) for k, v in given.items()}
    fix_key = element_fixer(schema.keys)
    return lambda given: {fix_key(pair[KEY]): fix(pair[VALUE]) for pair in given}


def _struct_fixer(schema: Schema) -> Fixer:
    """A property that is not there is its default, else null, required or not; one that the schema does not have is dropped."""
    names = [f.name for f in schema.fields]
    changes = [(f.name, change) for f in schema.fields if (change := value_fixer(f.schema)) is not None]
    nulls = [(f.name, f.schema.default) for f in schema.fields if f.schema.has_default and f.schema.default is not None]
    replaced = {name for name, _ in nulls}
    required = [f for f in schema.fields if not f.schema.optional and f.name not in replaced]
    # of one name alone itemgetter makes no tuple
    there = itemgetter(*names, *names[:1]) if names else None
    never_null = itemgetter(*(f.name for f in required), required[0].name) if required else None

    def fix(given: Any) -> dict[str, Any]:
        if type(given) is not dict:
            raise TypeError("no object")
        try:
            if len(given) != len(names) or there is None:
                raise KeyError
            there(given)
            missing = never_null is not None and None in never_null(given)
        except KeyError:
            missing = any(given.get(f.name, f) is None for f in required)
            made = {name: given.get(name) for name in names}
        else:
            made = given
        if missing:
            raise next(_null(f.schema, f.name) for f in required if given.get(f.name, f) is None)
        for name, change in changes:
            value = made[name]
            if value is not None:
                made[name] = change(value)
        for name, null in nulls:
            if made[name] is None:
                made[name] = null
        return made

    return fix


# ---- unions

_INTEGERS: Final = frozenset(("int8", "int16", "int32", "int64"))


def _is(schema: Schema, value: Any) -> bool:
    """Whether a value that is no object can be of a branch's schema."""
    kind = type(value)
    if schema.type in _INTEGERS:
        return kind is int
    if schema.type in ("float32", "float64"):
        return kind in (int, float, Decimal)
    if schema.type == "bytes":
        return kind in (float, Decimal)
    return {"boolean": kind is bool, "string": kind is str, "array": kind is list, "map": kind in (dict, list)}.get(schema.type, False)


def _matching(schema: Schema, value: Any) -> int:
    """How many of an object's members a struct has, inner ones included."""
    if schema.type != "struct" or type(value) is not dict:
        return 0
    common = [(f.schema, value[f.name]) for f in schema.fields if f.name in value]
    return len(common) + sum(_matching(s, v) for s, v in common)


def _union_fixer(schema: Schema) -> Fixer:
    """The first branch that a value can be of, else the struct that has most of an object's members."""
    branches: list[tuple[str, Schema, Callable[[Any], Any]]] = [(f.name, f.schema, element_fixer(f.schema)) for f in schema.fields]

    def read(value: Any) -> dict[str, Any]:
        found = next((b for b in branches if _is(b[1], value)), None)
        if found is None:
            best = max((_matching(s, value) for _, s, _ in branches), default=0)
            found = next((b for b in branches if best and _matching(b[1], value) == best), None)
        if found is None:
            raise TypeError("no branch of the oneOf")
        out: dict[str, Any] = {name: None for name, _, _ in branches}
        out[found[0]] = found[2](value)
        return out

    return read
