"""What a dialect makes of a column: a schema in Kafka Connect's own forms, and how a text becomes its value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from pycdc.debezium.types import numeric
from pycdc.model.schema import DECIMAL, Schema
from pycdc.model.template import Form, Reader

#: Digits of any numeric that a database has.
EXACT: Final = Context(prec=150_000)


class ColumnType(msgspec.Struct, frozen=True):
    """A required field's schema, and how its text is read."""

    schema: Schema
    read: Callable[[bytes], Any]
    form: Form = Form.NONE
    unscaled: Callable[[bytes], int] | None = None

    def reader(self, column: str, type_name: str) -> Reader:
        return Reader(self.read, self.form, self.unscaled, type_name, column)


def decimal_schema(scale: int, precision: int) -> Schema:
    return Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", str(scale)), ("connect.decimal.precision", str(precision))))


def decimal(precision: int, scale: int) -> ColumnType:
    """Of texts with at most `scale` digits behind the point."""
    unscaled = numeric.fixed_scale(scale)
    return ColumnType(decimal_schema(scale, precision), lambda text: Decimal(unscaled(text)).scaleb(-scale, EXACT), unscaled=unscaled)
