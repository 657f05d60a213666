"""Places: where in an Avro type a Connect value goes, worked out once per schema.

A place knows the union branch of a value, what stands for a null, and how a value, a struct or a template
with leaves is written. Values and templates take the same walk; a leaf becomes a Cell, which is all that a
compiled plan needs, because Avro's binary form is nothing but its parts one after another.
A field's null is its default, where it has one: Connect's Struct.get gives it so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from pycdc.converters.avro import encoding
from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.declare import KINDS, as_avro_map, has_default, is_enum, is_fixed
from pycdc.converters.avro.names import UNION, field_name
from pycdc.converters.avro.types import AvroType
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, Schema
from pycdc.model.template import Form, Leaf
from pycdc.plugins.contracts import Cell, Piece


class Place(msgspec.Struct, eq=False, kw_only=True):
    """One place; exactly one of `encode`, `fields`, `item` and `branches` says what stands there."""

    #: For messages: the struct's or the type's name.
    name: str
    #: The union branch of a value that is not null.
    prefix: bytes = b""
    #: What stands for a null; None when it may not be null.
    null: bytes | None = None
    #: Of a value that has no parts, without prefix.
    encode: encoding.Encode | None = None
    #: Of a Decimal, when its unscaled number may be written directly.
    is_decimal: bool = False
    fields: tuple[tuple[str, Place], ...] | None = None
    #: Of an array, of a map's values, or of pairs whose keys are at `key`.
    item: Place | None = None
    key: Place | None = None
    is_map: bool = False
    #: Of Connect's union struct: field and branch.
    branches: tuple[tuple[str, Place], ...] | None = None

    def write(self, value: Any, out: list[Piece]) -> None:
        """Append the bytes of `value`, with a Cell for each Leaf. Raises RecordError."""
        if type(value) is Leaf:
            out.append(_cell(self, value))
        elif value is None:
            if self.null is None:
                raise RecordError("a required field is null", cause=f"schema {self.name}")
            out.append(self.null)
        elif self.encode is not None:
            out.append(self.prefix + self.encode(value))
        elif self.fields is not None:
            out.append(self.prefix)
            self._write_fields(self.fields, value, out)
        elif self.item is not None:
            out.append(self.prefix)
            self._write_items(self.item, value, out)
        else:
            self._write_branch(value, out)

    def bytes_of(self, value: Any) -> bytes:
        """The bytes of a value without leaves."""
        out: list[Piece] = []
        self.write(value, out)
        return b"".join(out)  # type: ignore[arg-type]

    def _write_fields(self, fields: tuple[tuple[str, Place], ...], value: dict[str, Any], out: list[Piece]) -> None:
        for name, place in fields:
            item = value.get(name)
            if item is None and place.null is None:
                raise RecordError(
                    "a required field is null", cause=f"field {name} of {self.name} is required and has no default"
                )
            place.write(item, out)

    def _write_items(self, item: Place, value: Any, out: list[Piece]) -> None:
        """One block with its count, then the empty block."""
        if len(value):
            out.append(encoding.number(len(value)))
        if self.key is not None:
            for k, v in value.items():
                self.key.write(k, out)
                item.write(v, out)
        elif self.is_map:
            for k, v in value.items():
                out.append(encoding.string(k))
                item.write(v, out)
        else:
            for v in value:
                item.write(v, out)
        out.append(b"\x00")

    def _write_branch(self, value: dict[str, Any], out: list[Piece]) -> None:
        for name, place in self.branches or ():
            if value.get(name) is not None:
                place.write(value[name], out)
                return
        if self.null is None:
            raise RecordError("no branch of a union has a value", cause=f"schema {self.name}")
        out.append(self.null)


# ---- making places


def place(schema: Schema, t: AvroType, settings: AvroConverterConfig, *, in_struct: bool = False) -> Place:
    """Where values of `schema` go in `t`. Raises RecordError when `t`, a registered schema, does not take them."""
    if schema.type == "struct" and schema.name == UNION:
        return _union(schema, t, settings)
    prefix, null = b"", None
    if t.kind == "union":
        index, nulls = _branch(schema, t, settings), t.branch("null")
        prefix = encoding.number(index)
        null = encoding.number(nulls) if nulls is not None and schema.optional else None
        t = t.branches[index]
    made = _bare(schema, t, settings)
    made.prefix, made.null = prefix, null
    if in_struct and has_default(schema):
        made.null = made.bytes_of(schema.default)
    return made


def _kind(schema: Schema, settings: AvroConverterConfig) -> str:
    """The kind of Avro type that takes values of `schema`."""
    if settings.enhanced and is_enum(schema):
        return "enum"
    if is_fixed(schema):
        return "fixed"
    if schema.type == "struct":
        return "record"
    if schema.type == "map":
        return "map" if as_avro_map(schema, settings) else "array"
    return KINDS.get(schema.type, schema.type)


def _branch(schema: Schema, t: AvroType, settings: AvroConverterConfig) -> int:
    index = t.branch(_kind(schema, settings))
    if index is None:
        raise _mismatch(schema, t, settings)
    return index


def _mismatch(schema: Schema, t: AvroType, settings: AvroConverterConfig) -> RecordError:
    has = " or ".join(b.full_name for b in t.branches) or t.full_name
    return RecordError(
        "the Avro schema does not take the record's values",
        cause=f"{schema.name or schema.type} is {_kind(schema, settings)} in the record and {has} in the schema",
        hint="register the record's own schema, or unset use.latest.version",
    )


def _bare(schema: Schema, t: AvroType, settings: AvroConverterConfig) -> Place:
    """Without union branch and null."""
    kind, name = _kind(schema, settings), schema.name or schema.type
    if t.kind != kind:
        raise _mismatch(schema, t, settings)
    if kind == "record":
        return Place(name=name, fields=_fields(schema, t, settings))
    if schema.type == "array":
        assert schema.items is not None
        assert t.items is not None
        return Place(name=name, item=place(schema.items, t.items, settings))
    if schema.type == "map":
        assert schema.keys is not None
        assert schema.values is not None
        assert t.items is not None
        if kind == "map":
            return Place(name=name, item=place(schema.values, t.items, settings), is_map=True)
        key, value = t.items.fields
        return Place(name=name, key=place(schema.keys, key.type, settings), item=place(schema.values, value.type, settings))
    if kind == "enum":
        return Place(name=name, encode=_symbol({s: encoding.number(i) for i, s in enumerate(t.symbols)}, t.full_name))
    scale = int(schema.parameter("scale") or 0)
    if kind == "fixed":
        return Place(name=name, encode=_fixed_decimal(t.size, scale) if schema.name == DECIMAL else _fixed(t.size, t.full_name))
    if schema.name == DECIMAL:
        return Place(name=name, encode=encoding.decimal(scale), is_decimal=True)
    return Place(name=name, encode=encoding.ENCODERS[kind])


def _fields(schema: Schema, t: AvroType, settings: AvroConverterConfig) -> tuple[tuple[str, Place], ...]:
    """Field by field. Another order or number of fields in a registered schema would mix up or lose values."""
    ours = [field_name(f.name, scrub=settings.scrub) for f in schema.fields]
    theirs = [f.name for f in t.fields]
    if ours != theirs:
        odd = next((a or b for a, b in zip([*ours, ""], [*theirs, ""], strict=False) if a != b), "")
        raise RecordError(
            "the Avro schema has other fields than the record",
            cause=f"{t.full_name} differs from field {odd} on: {', '.join(theirs)} in the schema, {', '.join(ours)} in the record",
            hint="register a schema with the record's fields in their order, or unset use.latest.version",
        )
    return tuple(
        (f.name, place(f.schema, declared.type, settings, in_struct=True))
        for f, declared in zip(schema.fields, t.fields, strict=True)
    )


def _union(schema: Schema, t: AvroType, settings: AvroConverterConfig) -> Place:
    """A struct of which one field has a value: that field's branch is written."""
    nulls, branches = t.branch("null"), []
    others = [i for i, b in enumerate(t.branches) if b.kind != "null"]
    if t.kind != "union" or len(others) != len(schema.fields):
        raise _mismatch(schema, t, settings)
    for i, f in zip(others, schema.fields, strict=True):
        made = _bare(f.schema, t.branches[i], settings)
        made.prefix = encoding.number(i)
        branches.append((f.name, made))
    return Place(name=UNION, branches=tuple(branches), null=None if nulls is None else encoding.number(nulls))


def _symbol(places: dict[str, bytes], name: str) -> encoding.Encode:
    def encode(value: str) -> bytes:
        try:
            return places[value]
        except KeyError:
            raise RecordError("a value is no symbol of its enum", cause=f"enum {name}") from None

    return encode


def _fixed(size: int, name: str) -> encoding.Encode:
    def encode(value: bytes) -> bytes:
        if len(value) != size:
            raise RecordError("a value has not the length of its type", cause=f"{name} has {size} bytes")
        return value

    return encode


def _fixed_decimal(size: int, scale: int) -> encoding.Encode:
    """Sign-extended to the type's length."""

    def encode(value: Decimal) -> bytes:
        try:
            return encoding.unscaled(value, scale).to_bytes(size, "big", signed=True)
        except OverflowError:
            raise RecordError("a Decimal does not fit its type's length", cause=f"{size} bytes") from None

    return encode


# ---- cells


def _cell(p: Place, leaf: Leaf) -> Cell:
    """Text -> bytes: directly where the text's form allows, else by the leaf's reader."""
    reader, prefix, encode = leaf.reader, p.prefix, p.encode
    if encode is None:
        return Cell(leaf.column, lambda text: p.bytes_of(reader.read(text)), p.null)
    if encode is encoding.number and reader.form is Form.DIGITS:
        return Cell(
            leaf.column, lambda text: prefix + encoding.number(int(text)), p.null,
            lambda texts: encoding.digits_column(texts, prefix),
        )  # fmt: skip
    if encode is encoding.string and reader.form is Form.TEXT:
        return Cell(
            leaf.column, lambda text: prefix + encoding.octets(text), p.null,
            lambda texts: encoding.octets_column(texts, prefix),
        )  # fmt: skip
    if p.is_decimal and reader.unscaled is not None:
        return _composed(leaf.column, reader.unscaled, encoding.unscaled_octets, prefix, p.null)
    return _composed(leaf.column, reader.read, encode, prefix, p.null)


def _composed(
    column: int, read: Callable[[bytes], Any], encode: encoding.Encode, prefix: bytes, null: bytes | None
) -> Cell:
    whole = encoding.COLUMNS.get(encode)
    if whole is None:
        return Cell(column, lambda text: prefix + encode(read(text)), null)
    encode_column = whole

    def columns(texts: Iterable[bytes]) -> Iterable[bytes]:
        return encode_column(map(read, texts), prefix)

    return Cell(column, lambda text: prefix + encode(read(text)), null, columns)
