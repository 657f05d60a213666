"""What a query gives: its columns, the schema of its records, and the template that rows fill.

A template stays the same object until the columns change, because plans are kept by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from pycdc.errors import ServerError
from pycdc.model.record import Record
from pycdc.model.schema import Schema, struct
from pycdc.model.template import Leaf
from pycdc.sources.jdbc.dialect import Dialect, ResultColumn
from pycdc.sources.jdbc.times import ValueSettings

log = structlog.get_logger(__name__)


class Shape(msgspec.Struct, frozen=True):
    """`schema_name` None: of a query."""

    topic: str
    schema_name: str | None
    columns: tuple[ResultColumn, ...]

    def index(self, column: str) -> int | None:
        """Of a column of that name, in any case if there is only one such. None: there is none."""
        names = [c.name for c in self.columns]
        if column in names:
            return names.index(column)
        alike = [i for i, name in enumerate(names) if name.lower() == column.lower()]
        return alike[0] if len(alike) == 1 else None


class Described(msgspec.Struct, frozen=True):
    """A shape and its template."""

    shape: Shape
    template: Record


def shape_of(columns: Sequence[ResultColumn], topic: str, schema_name: str | None) -> Shape:
    """Raises ServerError for columns that share a name."""
    names = [c.name for c in columns]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise ServerError("a query has several columns of one name", where=topic, cause=twice, hint=f"give them names of their own: SELECT a.{twice} AS ...")
    return Shape(topic, schema_name, tuple(columns))


def described(shape: Shape, dialect: Dialect, values: ValueSettings) -> Described:
    """Its template. Columns of types without form are left out, with a warning."""
    fields: list[tuple[str, Schema]] = []
    value: dict[str, Any] = {}
    for i, column in enumerate(shape.columns):
        form = dialect.column_type(column, values)
        if form is None:
            log.warning(
                "a column is left out: its type has no form in Kafka Connect", topic=shape.topic, column=column.name, type=column.type_name,
                hint=f"read it by a query, or by a view and table.types=VIEW, as {dialect.as_text(column.name)}",
            )  # fmt: skip
            continue
        fields.append((column.name, form.schema.replace(optional=column.nullable)))
        value[column.name] = Leaf(i, form.reader(column.name, column.type_name))
    return Described(shape, Record(topic=shape.topic, value_schema=struct(fields, name=shape.schema_name), value=value))
