"""org.apache.kafka.connect.transforms.ExtractField: one field takes the place of the whole key or value."""

from __future__ import annotations

from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, one_of
from pycdc.errors import Fault, RecordError
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.transforms.operand import Operand, fields_or_null, or_default, replace_null
from pycdc.transforms.options import named

_PURPOSE = "ExtractField"


class ExtractFieldConfig(ConfigDef):
    """Options of ExtractField."""

    field = Property[str]("field", named(), required=True, doc="The field to extract.")
    syntax = Property[str](
        "field.syntax.version", one_of("V1", "V2"), default="V1",
        doc="V2 reads `field` as a path: dots part its steps, backticks quote a step that holds a dot (KIP-821).",
    )  # fmt: skip
    replace_null = replace_null()

    def check(self, faults: list[Fault]) -> None:
        try:
            path_steps(self.field, self.syntax)
        except ValueError as error:
            faults.append(Fault("field", str(error), self.field))


class ExtractField(Operand):
    """`ExtractField$Value`. A null stays null; a field that no schema has stops the record."""

    config = ExtractFieldConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ExtractFieldConfig)
        self._path = path_steps(settings.field, settings.syntax)
        self._name = settings.field
        self._replace = settings.replace_null

    def apply(self, record: Record) -> Record:
        schema = self.schema(record)
        value = fields_or_null(self.value(record), _PURPOSE)
        if schema is None:
            return self.put(record, None, self._from_map(value))
        field = self._field(schema)
        return self.put(record, field, self._from_struct(schema, value))

    def _field(self, schema: Schema) -> Schema:
        found: Schema | None = schema
        for step in self._path:
            found = found and found.field(step)
        if found is None:
            raise RecordError("a record has no such field", cause=f"ExtractField: field {self._name}")
        return found

    def _from_map(self, value: dict[str, Any] | None) -> Any:
        for step in self._path[:-1]:
            value = value and fields_or_null(value.get(step), _PURPOSE)
        return value and value.get(self._path[-1])

    def _from_struct(self, schema: Schema, value: dict[str, Any] | None) -> Any:
        inner: Schema | None = schema
        for step in self._path[:-1]:
            inner = inner and inner.field(step)
            if value is None or inner is None:
                return None
            value = fields_or_null(or_default(inner, value.get(step)), _PURPOSE)
        last = inner and inner.field(self._path[-1])
        return None if value is None or last is None else or_default(last, value.get(self._path[-1]), replace=self._replace)


class ExtractFieldKey(ExtractField):
    """`ExtractField$Key`."""

    on_key = True


def path_steps(text: str, syntax: str) -> tuple[str, ...]:
    r"""The steps of a field path (KIP-821). Raises ValueError for an open backtick.

    A step in backticks ends at the backtick before a dot or the end; one before a dot is escaped by `\`.
    """
    if syntax == "V1":
        return (text,)
    steps: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "`":
            step, _, rest = text[at:].partition(".")
            at = len(text) - len(rest)
        else:
            step, at = _quoted_step(text, at + 1)
        steps.append(step)
    return (*steps, "") if text.endswith(".") else tuple(steps)


def _quoted_step(text: str, start: int) -> tuple[str, int]:
    r"""The step whose backtick stands before `start`, and where the next one begins."""
    step, at = "", start
    while True:
        end = text.find("`", at)
        last = end == len(text) - 1
        escaped = end > 0 and text[end - 1] == "\\"
        if end < 0 or (last and escaped):
            raise ValueError(f"has a backtick at {start - 1} that is not closed (a backslash before it escapes it)")
        if last:
            return step + text[start:end], end + 1
        if text[end + 1] == "." and not escaped:
            return step + text[start:end], end + 2
        if text[end + 1] == ".":
            step, start = step + text[start : end - 1] + "`", end + 1
        at = end + 1
