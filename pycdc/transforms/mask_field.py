"""org.apache.kafka.connect.transforms.MaskField: hides fields behind an empty or a given value."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.errors import RecordError
from pycdc.model.javatext import float32, narrow
from pycdc.model.record import Record
from pycdc.model.schema import DECIMAL, Schema
from pycdc.model.simple_date_format import DATES
from pycdc.transforms.operand import Operand, fields_of, mapped, or_default, replace_null
from pycdc.transforms.options import named, names

_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class MaskFieldConfig(ConfigDef):
    """Options of MaskField."""

    fields = Property[tuple[str, ...]]("fields", names(), required=True, doc="Fields to mask.")
    replacement = Property[str | None](
        "replacement", named(), doc="What numbers and texts become; without it 0, false, an empty text, list or map."
    )
    replace_null = replace_null()


class MaskField(Operand):
    """`MaskField$Value`. A null stays null."""

    config = MaskFieldConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, MaskFieldConfig)
        self._fields = tuple(settings.fields)
        self._names = frozenset(settings.fields)
        self._replacement = settings.replacement
        self._replace = settings.replace_null

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), fields_of(self.value(record), "MaskField")
        if schema is None:
            hidden = {name: mapped(value.get(name), self._mask(None, name)) for name in self._fields}
            return self.put(record, None, {**value, **hidden})
        return self.put(record, schema, {f.name: self._field(f.name, f.schema, value) for f in schema.fields})

    def _field(self, name: str, schema: Schema, value: dict[str, Any]) -> Any:
        held = or_default(schema, value.get(name), replace=self._replace)
        return mapped(held, self._mask(schema, name)) if name in self._names else held

    def _mask(self, schema: Schema | None, field: str) -> Callable[[Any], Any]:
        def mask(value: Any) -> Any:
            if schema is not None and schema.name in DATES:
                kind = "date"
            elif schema is not None and schema.name != DECIMAL:
                kind = schema.type
            else:
                kind = _kind(value)
            try:
                return _EMPTY[kind] if self._replacement is None else _converted(self._replacement, kind)
            except KeyError:
                cause = f"MaskField: field {field} of type {kind}{' takes no replacement' if self._replacement else ''}"
                raise RecordError("a field cannot be masked", cause=cause) from None
            except ValueError:
                raise RecordError("a replacement is no number", cause=f"MaskField: field {field} of type {kind}") from None

        return mask


class MaskFieldKey(MaskField):
    """`MaskField$Key`."""

    on_key = True


_EMPTY: dict[str, Any] = {
    "boolean": False, "int8": 0, "int16": 0, "int32": 0, "int64": 0, "float32": 0.0, "float64": 0.0,
    "decimal": Decimal(0), "date": 0, "string": "", "array": [], "map": {},
}  # fmt: skip


def _kind(value: Any) -> str:
    """The type of a value without schema."""
    kinds = {bool: "boolean", int: "int64", float: "float64", str: "string", Decimal: "decimal", list: "array", dict: "map"}
    return kinds.get(type(value), "bytes")


def _converted(text: str, kind: str) -> Any:
    """Raises KeyError where no replacement is possible, ValueError where this one is none."""
    if kind == "string":
        return text
    if kind not in (*_BITS, "float32", "float64", "decimal"):
        raise KeyError(kind)
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if kind == "decimal":
        return number
    if kind.startswith("float"):
        return float32(float(number)) if kind == "float32" else float(number)
    return narrow(int(number), _BITS[kind])  # Kafka cuts fractions and high bits
