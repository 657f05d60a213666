"""org.apache.kafka.connect.transforms.TimestampConverter: texts, Unix times and Connect's Date, Time, Timestamp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, one_of
from pycdc.errors import Fault, RecordError
from pycdc.model.javatext import narrow
from pycdc.model.record import Record
from pycdc.model.schema import INT64, STRING, Schema
from pycdc.model.simple_date_format import SimpleDateFormat
from pycdc.transforms.operand import (
    Operand,
    PerSchema,
    bare_struct,
    fields_of,
    fields_or_null,
    is_null,
    mapped,
    or_default,
    replace_null,
)
from pycdc.transforms.options import date_format, trimmed

_DATA = "org.apache.kafka.connect.data."
_DAY_MS = 86_400_000
_SCHEMAS = {
    "string": STRING,
    "unix": INT64,
    "Date": Schema(type="int32", name=_DATA + "Date", version=1),
    "Time": Schema(type="int32", name=_DATA + "Time", version=1),
    "Timestamp": Schema(type="int64", name=_DATA + "Timestamp", version=1),
}
_LOGICAL: dict[str | None, str] = {s.name: word for word, s in _SCHEMAS.items() if s.name}
_PURPOSE = "TimestampConverter"


class TimestampConverterConfig(ConfigDef):
    """Options of TimestampConverter."""

    field = Property[str]("field", trimmed(), default="", doc="The field to convert; empty: the whole key or value.")
    target = Property[str]("target.type", one_of(*_SCHEMAS), required=True, doc="What it becomes.")
    pattern = Property[str](
        "format", date_format(), default="", doc="Java's SimpleDateFormat in UTC, for texts that are written or read."
    )
    precision = Property[str](
        "unix.precision", one_of("seconds", "milliseconds", "microseconds", "nanoseconds"), default="milliseconds",
        doc="The unit of Unix times, read and written; nothing below a millisecond survives.",
    )  # fmt: skip
    replace_null = replace_null()

    def check(self, faults: list[Fault]) -> None:
        if self.target == "string" and not self.pattern.strip():
            faults.append(Fault("format", "is required with target.type=string"))


class TimestampConverter(Operand):
    """`TimestampConverter$Value`. Inside it every time is milliseconds since the epoch."""

    config = TimestampConverterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, TimestampConverterConfig)
        self._field, self._target = settings.field, settings.target
        self._format = SimpleDateFormat(settings.pattern) if settings.pattern.strip() else None
        self._precision = settings.precision
        self._replace = settings.replace_null
        self._schemas = PerSchema(self._converted_schema)

    def _converted_schema(self, schema: Schema) -> Schema:
        new = _SCHEMAS[self._target]
        if not self._field:
            return new.replace(optional=schema.optional)
        fields = [
            (f.name, new.replace(optional=f.schema.optional) if f.name == self._field else f.schema) for f in schema.fields
        ]
        return bare_struct(schema, fields).replace(optional=schema.optional)

    def apply(self, record: Record) -> Record:
        schema, value = self.schema(record), self.value(record)
        if schema is None:
            return self.put(record, None, self._without_schema(value))
        if not self._field:
            return self.put(record, self._schemas(schema), mapped(value, self._change(schema)))
        fields = fields_or_null(value, _PURPOSE)
        out = self._schemas(schema)
        if fields is None:
            return self.put(record, out, None)
        return self.put(record, out, {f.name: self._one(f.name, f.schema, fields) for f in schema.fields})

    def _one(self, name: str, schema: Schema, fields: dict[str, Any]) -> Any:
        held = or_default(schema, fields.get(name), replace=self._replace)
        return mapped(held, self._change(schema)) if name == self._field else held

    def _without_schema(self, value: Any) -> Any:
        if not self._field or is_null(value):
            return mapped(value, self._change(None))
        fields = fields_of(value, _PURPOSE)
        return {**fields, self._field: mapped(fields.get(self._field), self._change(None))}

    def _change(self, schema: Schema | None) -> Callable[[Any], Any]:
        """Raises RecordError when the schema says that the field is no time."""
        kind = None if schema is None else _LOGICAL.get(schema.name) or {"string": "string", "int64": "unix"}.get(schema.type)
        if schema is not None and kind is None:
            raise RecordError("a field is no time", cause=f"{_PURPOSE}: field {self._field or 'the whole'} of type {schema.type}")

        def change(value: Any) -> Any:
            return self._written(self._read(value, kind or _kind(value)))

        return change

    def _read(self, value: Any, kind: str) -> int:
        """Milliseconds since the epoch."""
        if kind == "string":
            return self._parsed(value)
        if kind == "unix":
            return _scaled(value, self._precision)
        return int(value) * _DAY_MS if kind == "Date" else int(value)

    def _parsed(self, value: str) -> int:
        if self._format is None:
            raise RecordError("a text needs a format to be read", cause=f"{_PURPOSE}: field {self._field or 'the whole'}", hint="set format")
        try:
            return self._format.parse(value)
        except ValueError as error:
            cause = f"{_PURPOSE}: field {self._field or 'the whole'}: {error}"
            raise RecordError("a text is not of the format", cause=cause) from None

    def _written(self, ms: int) -> Any:
        if self._target == "string":
            assert self._format is not None
            return self._format.format(ms)
        if self._target == "unix":
            return _unscaled(ms, self._precision)
        if self._target == "Date":
            return narrow(ms // _DAY_MS, 32)
        return ms % _DAY_MS if self._target == "Time" else ms


class TimestampConverterKey(TimestampConverter):
    """`TimestampConverter$Key`."""

    on_key = True


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, int) and not isinstance(value, bool):
        return "unix"
    raise RecordError("a value is no time", cause=f"{_PURPOSE}: {type(value).__name__}")


#: Units per millisecond, where there are any.
_FINER = {"microseconds": 1000, "nanoseconds": 1_000_000}
_LONG = (1 << 63) - 1


def _scaled(value: int, precision: str) -> int:
    """To milliseconds as Java's TimeUnit does: cut towards zero, held at the ends of a long."""
    if precision == "seconds":
        return max(-_LONG - 1, min(_LONG, value * 1000))
    return _cut(value, _FINER.get(precision, 1))


def _unscaled(ms: int, precision: str) -> int:
    if precision == "seconds":
        return _cut(ms, 1000)
    return max(-_LONG - 1, min(_LONG, ms * _FINER.get(precision, 1)))


def _cut(value: int, by: int) -> int:
    return value // by if value >= 0 else -(-value // by)
