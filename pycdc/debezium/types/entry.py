"""What the type table says of one PostgreSQL type, and what a column becomes.

An `Entry` is a type under given settings and modifiers, before a column's nullability and DEFAULT are known;
a `ResolvedColumn` is a column ready for the envelope. Values have the Python forms of model/schema.py.
Readers take the text PostgreSQL prints under the session settings of postgres/session.py and raise
ValueError or ConversionError when the text has no value in the schema. No sockets, no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pycdc.model.schema import Schema
from pycdc.model.template import Form, Reader

Read = Callable[[bytes], Any]


class OutOfRange(ValueError):
    """A text whose value its schema cannot hold, and which Debezium takes for null where null may stand, also in arrays."""


class TypeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Debezium's *.handling.mode properties and their neighbours."""

    decimal: str = "precise"
    time: str = "adaptive"
    interval: str = "numeric"
    hstore: str = "json"
    binary: str = "bytes"
    money_fraction_digits: int = 2
    include_unknown: bool = False
    #: A text, or `hex:` and the bytes in hexadecimal.
    unavailable_placeholder: str = "__debezium_unavailable_value"

    @property
    def placeholder(self) -> bytes:
        """The placeholder's bytes. Raises ValueError when what follows `hex:` is not hexadecimal."""
        text = self.unavailable_placeholder
        return bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()

    @property
    def placeholder_text(self) -> str:
        return self.placeholder.decode("utf-8", "replace")


class Shape(msgspec.Struct, frozen=True):
    """Length and scale of a column as the JDBC driver derives them from type and modifier (modifiers.py)."""

    length: int
    scale: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One type: the bare schema (not optional, no default) and how texts become its values."""

    schema: Schema
    read: Read
    form: Form = Form.NONE
    #: For Decimal: text -> unscaled number at the schema's scale.
    unscaled: Callable[[bytes], int] | None = None
    #: Stands in a NOT NULL column of which the row does not carry the value.
    fallback: Any = None
    #: Where Debezium's snapshot reads the text differently.
    snapshot: Read | None = None
    #: Where Debezium reads the text differently inside an array.
    element: Read | None = None
    #: Literal of a DEFAULT -> value; None when Debezium knows no defaults of the type.
    default: Callable[[str], Any] | None = None
    #: Literal that stands for a DEFAULT computed by a function.
    generated: str = ""
    #: What an unchanged TOAST value becomes; None = null.
    unavailable: Any = None
    #: JDBC knows it as CHAR or VARCHAR: only these are masked and hashed.
    characters: bool = False
    #: Items of arrays of it: "optional", "required", or "absent" when such columns are left out.
    items: str = "optional"
    always_null: bool = False


class ResolvedColumn(msgspec.Struct, frozen=True):
    """One column of one table, ready for the envelope."""

    #: The field's schema: optional as the column, default from its DEFAULT.
    schema: Schema
    #: Stream text -> value.
    reader: Reader
    #: The same object as `reader` unless Debezium's snapshot differs.
    snapshot_reader: Reader
    #: Value when NOT NULL and the row does not carry it: the default, else the type's zero.
    fallback: Any
    #: Value when the TOAST value is unchanged: the placeholder in the type's form, or None.
    unavailable: Any
    #: The schema exists, the value is null whatever the text (bit[]).
    always_null: bool = False
    #: When set, the value is this whatever the row holds, NULL and absent included (column.mask.with.N.chars).
    constant: Any = msgspec.UNSET
    #: `unavailable` does not say by itself that the value is unknown: the event has to name the column.
    unavailable_unmarked: bool = False
    #: Debezium's snapshot rows have this schema; None when it is `schema` (propagated source types).
    snapshot_schema: Schema | None = None
    #: A character column: masks and hashes change its value.
    characters: bool = False
