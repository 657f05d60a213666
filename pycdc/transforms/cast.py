"""org.apache.kafka.connect.transforms.Cast: gives fields, or the whole key or value, another type."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Kind, Property, parsed, words
from pycdc.errors import RecordError
from pycdc.model.javatext import float32, java_text, narrow
from pycdc.model.record import Record
from pycdc.model.schema import NO_DEFAULT, Schema
from pycdc.model.simple_date_format import DATES, header_text, milliseconds
from pycdc.transforms.operand import (
    Operand,
    PerSchema,
    bare_struct,
    default_of,
    fields_of,
    is_null,
    mapped,
    or_default,
    replace_null,
)

_TYPES = ("int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string")
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?)", re.ASCII)

#: Field -> type; the field "" stands for the whole key or value.
Spec = dict[str, str]


def _spec() -> Kind[Spec]:
    def parse(text: str) -> Spec:
        found: Spec = {}
        listed = words().parse(text)
        for word in listed:
            field, colon, name = word.rpartition(":")
            name = name.strip().lower()
            if name not in _TYPES or ":" in field or (colon and not field.strip()):
                raise ValueError(f"must be field:type,... or one type for the whole; types: {', '.join(_TYPES)}")
            found[field.strip()] = name
        if not found or ("" in found and len(listed) > 1):
            raise ValueError("must cast fields (field:type,...) or the whole (one type), not both and not nothing")
        return found

    return parsed("LIST", parse, "field:type,... or type")


class CastConfig(ConfigDef):
    """Options of Cast."""

    spec = Property[Spec]("spec", _spec(), required=True, doc=f"Fields and their types: {', '.join(_TYPES)}.")
    replace_null = replace_null()


class Cast(Operand):
    """`Cast$Value`. Numbers narrow as Java's casts do; bytes become base64 text."""

    config = CastConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, CastConfig)
        self._spec = settings.spec
        self._whole = settings.spec.get("")
        self._replace = settings.replace_null
        self._schemas = PerSchema(self._cast_schema)

    def _cast_schema(self, schema: Schema) -> Schema:
        if self._whole is not None:
            return _retyped(schema, self._whole, schema.name).replace(
                version=schema.version, doc=schema.doc, parameters=schema.parameters
            )
        fields = [
            (f.name, _retyped(f.schema, self._spec[f.name], f.name) if f.name in self._spec else f.schema) for f in schema.fields
        ]
        return bare_struct(schema, fields).replace(optional=schema.optional, default=schema.default)

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), self.value(record)
        if self._whole is not None:
            # a null keeps its schema: which it is must be known, unless it cannot be
            if (schema is None or schema.optional) and is_null(value):
                return record
            out = schema and self._schemas(schema)
            return self.put(record, out, mapped(value, caster(schema, self._whole, "the whole")))
        if is_null(value):
            return record
        fields = fields_of(value, "Cast")
        if schema is None:
            cast = {name: mapped(fields.get(name), caster(None, to, name)) for name, to in self._spec.items()}
            return self.put(record, None, {**fields, **cast})
        return self.put(record, self._schemas(schema), {f.name: self._field(f.name, f.schema, fields) for f in schema.fields})

    def _field(self, name: str, schema: Schema, fields: dict[str, Any]) -> Any:
        value = or_default(schema, fields.get(name), replace=self._replace)
        to = self._spec.get(name)
        return value if to is None else mapped(value, caster(schema, to, name))


class CastKey(Cast):
    """`Cast$Key`."""

    on_key = True


def _retyped(schema: Schema, to: str, field: str | None) -> Schema:
    default = default_of(schema)
    cast = NO_DEFAULT if default is None else caster(schema, to, field or schema.type)(default)
    return Schema(type=to, optional=schema.optional, name=None, default=cast)


class _NoCastError(Exception):
    """There is no such cast; the message says why, without the value."""


def caster(schema: Schema | None, to: str, field: str) -> Callable[[Any], Any]:
    """A function that casts one value that is not null. It raises RecordError, which names `field`."""

    def cast(value: Any) -> Any:
        try:
            return _cast(schema, value, to)
        except _NoCastError as error:
            raise RecordError(
                f"a value cannot be cast to {to}", cause=f"Cast: field {field}: {error}",
                original=f"Value ({value}) was out of range for requested data type",
            ) from None  # fmt: skip

    return cast


def _cast(schema: Schema | None, value: Any, to: str) -> Any:
    if isinstance(value, (list, dict)):
        raise _NoCastError("it is no primitive")
    if schema is not None and schema.type == "float32":
        value = float32(value)
    if to == "string":
        return _text(schema, value)
    if isinstance(value, bytes):
        raise _NoCastError("bytes can only be cast to string")
    if to == "boolean":
        return _boolean(value)
    return _floating(value, to) if to.startswith("float") else _integer(value, to)


def _text(schema: Schema | None, value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if schema is not None and schema.name in DATES:
        return header_text(milliseconds(schema, value))
    return java_text(schema, value)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() == "true"
    return value if isinstance(value, bool) else _integer(value, "int64") != 0


def _integer(value: Any, to: str) -> int:
    bits = _BITS[to]
    if isinstance(value, str):
        number = int(value) if _INTEGER.fullmatch(value) else None
        if number is None or not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise _NoCastError(f"its text is no {to}")
        return number
    if isinstance(value, float):
        # Java goes through int, which holds what is too large at its ends, and cuts that
        wide = max(bits, 32)
        if math.isnan(value):
            return 0
        number = int(max(min(value, 2.0**64), -(2.0**64)))
        return narrow(max(-(1 << wide - 1), min((1 << wide - 1) - 1, number)), bits)
    return narrow(int(value), bits)


def _floating(value: Any, to: str) -> float:
    if isinstance(value, str):
        text = value.strip()
        if not _FLOAT.fullmatch(text):
            raise _NoCastError(f"its text is no {to}")
        value = text if text.endswith(("NaN", "Infinity")) else text.rstrip("fFdD")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf") if value > 0 else float("-inf")
    return float32(number) if to == "float32" else number
