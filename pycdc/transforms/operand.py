"""What a transform works on: a record's key or value, its fields, the schema that comes out.

A struct is a dict in field order under its schema, a record without schema a plain dict. A Leaf is neither:
looking at one raises NeedsValue, so that no transform takes a wrong branch over a template. Errors name
fields and types, never values; the encoder and the sink task add the record's place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pycdc.config.definition import Property, boolean
from pycdc.errors import RecordError
from pycdc.model.record import Record
from pycdc.model.schema import NO_DEFAULT, Schema, struct
from pycdc.model.template import Leaf, NeedsValue

#: Entries of a cache by schema: as many as plans are kept; more live schemas are made again, not hoarded.
MAX_SCHEMAS = 4096


class Operand:
    """The side of a record that a transform's `$Key` or `$Value` form works on."""

    on_key: ClassVar[bool] = False

    def schema(self, record: Record) -> Schema | None:
        return record.key_schema if self.on_key else record.value_schema

    def value(self, record: Record) -> Any:
        return record.key if self.on_key else record.value

    def put(self, record: Record, schema: Schema | None, value: Any) -> Record:
        """`record` with this side changed."""
        if self.on_key:
            return record.replace(key_schema=schema, key=value)
        return record.replace(value_schema=schema, value=value)


class PerSchema:
    """`make(schema)`, called once per schema, by identity: what comes out keeps its identity too."""

    def __init__(self, make: Callable[[Schema], Schema]) -> None:
        self._make = make
        self._made: dict[int, tuple[Schema, Schema]] = {}

    def __call__(self, schema: Schema) -> Schema:
        known = self._made.get(id(schema))
        if known is None:
            if len(self._made) >= MAX_SCHEMAS:
                self._made.clear()
            known = self._made[id(schema)] = (schema, self._make(schema))  # holds it, so that its id stays its own
        return known[1]


def is_null(value: Any) -> bool:
    """Raises NeedsValue for a leaf: whether it is null is not known before the row."""
    return known(value) is None


def known(value: Any) -> Any:
    """`value`, which the caller will look at. Raises NeedsValue for a leaf."""
    if type(value) is Leaf:
        raise NeedsValue(value.reader.column_name)
    return value


def fields_of(value: Any, purpose: str) -> dict[str, Any]:
    """`value` as a struct or map. Raises RecordError when it is none, NeedsValue for a leaf."""
    if type(value) is not dict:
        found = "null" if is_null(value) else type(value).__name__
        raise RecordError(f"{purpose} needs a struct or a map", cause=f"found: {found}")
    return value


def fields_or_null(value: Any, purpose: str) -> dict[str, Any] | None:
    """As `fields_of`, and None stays None."""
    return None if is_null(value) else fields_of(value, purpose)


def or_default(schema: Schema, value: Any, *, replace: bool = True) -> Any:
    """A field's value as Java's Struct.get gives it: the schema's default for a null (if `replace`)."""
    default = schema.default
    if not replace or default is NO_DEFAULT or default is None:
        return value
    if type(value) is Leaf:
        return value.or_default(default)
    return default if value is None else value


def default_of(schema: Schema) -> Any:
    """The default, None without one."""
    return None if schema.default is NO_DEFAULT else schema.default


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` after `change`; null stays null; a leaf gives a leaf whose value is changed when the row is known."""
    if type(value) is Leaf:
        return value.mapped(change)
    return None if value is None else change(value)


def bare_struct(source: Schema, fields: list[tuple[str, Schema]]) -> Schema:
    """A struct with these fields and `source`'s name, version, doc and parameters, required and without default.

    Most of Kafka's transforms build theirs so (SchemaUtil#copySchemaBasics).
    """
    return struct(fields, name=source.name, version=source.version, doc=source.doc, parameters=source.parameters)


def replace_null() -> Property[bool]:
    """The option that Kafka's transforms share."""
    return Property[bool](
        "replace.null.with.default", boolean(), default=True,
        doc="Take a field's default where the field is null.",
    )
