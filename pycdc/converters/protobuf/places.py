"""Places: where in a Protobuf message a Connect value goes, worked out once per schema.

A message's fields are written in the order of their numbers, as Java does. Values and templates take the same walk: a
leaf becomes a Cell, a message that holds leaves a Framed, because its length is that of what is in it.
A field's null is its default, where it has one: Connect's Struct.get gives it so.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pycdc.converters.avro.encoding import Encode
from pycdc.converters.protobuf import encoding as e
from pycdc.converters.protobuf.config import ProtobufConverterConfig
from pycdc.converters.protobuf.declare import (
    LOGICAL,
    SCALAR,
    WRAPPERS,
    enum_parameter,
    field_name,
    is_union,
    scalar_type,
    symbols,
)  # fmt: skip
from pycdc.converters.protobuf.types import ProtoField, ProtoFile, ProtoMessage
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, Schema
from pycdc.model.template import Form, Leaf, NeedsValue
from pycdc.plugins.contracts import Cell, Framed, Piece


class Place(msgspec.Struct, eq=False, kw_only=True):
    """A field, tag included; either `encode` or `fields` says what stands there."""

    #: For messages.
    name: str
    #: What stands for a null; None when it may not be null.
    null: bytes | None = None
    encode: Encode | None = None
    column: e.EncodeColumn | None = None
    #: For texts that are the value: the number's, or the string's bytes.
    digits: bool = False
    text: e.EncodeColumn | None = None
    #: Of a Decimal, from its unscaled number.
    unscaled: e.EncodeColumn | None = None
    #: Of a message: its tag, and what is in it.
    start: bytes = b""
    fields: Fields | None = None

    def write(self, value: Any, out: list[Piece]) -> None:
        """Append the bytes of `value`, with a Cell for each Leaf. Raises RecordError, NeedsValue."""
        if type(value) is Leaf:
            out.append(_cell(self, value))
        elif value is None:
            if self.null is None:
                raise RecordError("a required field is null", cause=f"field {self.name} is required and has no default")
            if self.null:
                out.append(self.null)
        elif self.encode is not None:
            out.append(self.encode(value))
        else:
            assert self.fields is not None
            inner: list[Piece] = []
            self.fields.write(value, inner)
            if any(type(piece) is not bytes for piece in inner):
                out.append(Framed(tuple(inner), e.framed_column(self.start)))
            else:
                body = b"".join(inner)  # type: ignore[arg-type]
                out.append(self.start + e.varint(len(body)) + body)

    def bytes_of(self, value: Any) -> bytes:
        """The bytes of a value without leaves. Raises RecordError, NeedsValue."""
        out: list[Piece] = []
        self.write(value, out)
        if any(type(piece) is not bytes for piece in out):
            raise NeedsValue(self.name)
        return b"".join(out)  # type: ignore[arg-type]


class Fields(msgspec.Struct, eq=False):
    """What is in a message, in the order of the fields' numbers."""

    #: Field of the struct; where it is a union, field of that.
    places: tuple[tuple[str, str | None, Place], ...]

    def write(self, value: dict[str, Any], out: list[Piece]) -> None:
        for name, branch, place in self.places:
            item = value.get(name)
            if branch is None:
                place.write(item, out)
            elif item is not None and _chosen(item, name) == branch:
                place.write(item[branch], out)


def _chosen(union: Any, name: str) -> str:
    """The field of a union that has a value: the first one."""
    if type(union) is Leaf:
        raise NeedsValue(name)
    for branch, item in union.items():
        if type(item) is Leaf:
            raise NeedsValue(branch)
        if item is not None:
            found: str = branch
            return found
    raise RecordError("no field of a oneof has a value", cause=f"field {name}")


# ---- making places


def root(schema: Schema, file: ProtoFile, settings: ProtobufConverterConfig) -> Fields:
    """What a struct's message holds. Raises RecordError."""
    return _Placing(settings).fields(schema, file.message, ())


def single(schema: Schema, settings: ProtobufConverterConfig) -> tuple[str, Place]:
    """The wrapper of a value that is no struct, and its one field. Raises RecordError."""
    kind = SCALAR.get(schema.type)
    if kind is None or schema.name in LOGICAL:
        raise RecordError(
            "Protobuf has no message of such a value alone", cause=f"type {schema.name or schema.type}",
            hint="leave it in a struct: do not extract it from its key or value",
        )  # fmt: skip
    field = ProtoField(name="value", number=1, type=kind)
    return kind, _Placing(settings).scalar(field, kind)


class _Placing:
    def __init__(self, settings: ProtobufConverterConfig) -> None:
        self.settings = settings

    def fields(self, schema: Schema, message: ProtoMessage, above: tuple[ProtoMessage, ...]) -> Fields:
        declared = {f.name: f for f in message.fields}
        declared.update({f.name: f for _, fields in message.oneofs for f in fields})
        found: list[tuple[int, str, str | None, Place]] = []
        for f in schema.fields:
            parts = f.schema.fields if is_union(f.schema) else (f,)
            for part in parts:
                theirs = declared.get(field_name(part.name, self.settings))
                if theirs is None:
                    raise _two_types(message, part.name)
                made = self.place(part.schema, theirs, message, above)
                self._set_null(made, part.schema)
                found.append((theirs.number, f.name, part.name if is_union(f.schema) else None, made))
        found.sort(key=lambda entry: entry[0])
        return Fields(tuple((name, branch, place) for _, name, branch, place in found))

    def _set_null(self, place: Place, schema: Schema) -> None:
        if schema.optional:
            place.null = b""
        if schema.has_default and schema.default is not None:
            place.null = b"" if self.settings.ignore_default else place.bytes_of(schema.default)

    def place(self, schema: Schema, field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...]) -> Place:
        """Where values of `schema` go. Raises RecordError when `field`, another one's type, does not take them."""
        if schema.type in ("array", "map") and field.label != "repeated":
            raise _two_types(message, field.name)
        if schema.type == "array":
            assert schema.items is not None
            return self._array(schema.items, field, message, above)
        if schema.type == "map":
            return self._map(schema, field, message, above)
        if field.label == "repeated":
            raise _two_types(message, field.name)
        return self._single(schema, field, message, above, implicit=not field.label and not field.in_oneof)

    def _single(
        self, schema: Schema, field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...], *, implicit: bool
    ) -> Place:
        if schema.type == "struct" and schema.name not in LOGICAL:
            inner, outer = _resolved(field, message, above)
            return Place(name=field.name, start=e.tag(field.number, e.BYTES), fields=self.fields(schema, inner, outer))
        parameter = enum_parameter(schema, self.settings)
        if parameter is not None and schema.name not in LOGICAL:
            first = next((e.signed(n) for _, n in symbols(schema, parameter)), None)
            encode = e.with_tag(e.tag(field.number, e.VARINT), self._symbols(schema, field, message, above), first if implicit else None)
            return Place(name=field.name, encode=encode)
        if not _takes(field.type, scalar_type(schema, field.name, self.settings)):
            raise _two_types(message, field.name)
        if field.type in LOGICAL.values():
            return _logical(schema, field)
        wrapped = WRAPPERS.get(field.type)
        if wrapped is None:
            return self.scalar(field, field.type, implicit=implicit)
        # the original puts an Int32Value where a UInt32Value is declared
        value = self.scalar(ProtoField(name="value", number=1, type=wrapped), "int32" if wrapped == "uint32" else wrapped)
        assert value.encode is not None
        return _made_of(field, value.encode)

    def scalar(self, field: ProtoField, kind: str, *, implicit: bool = True) -> Place:
        wire, payload = e.SCALARS[kind]
        start, zero = e.tag(field.number, wire), e.zero_of(kind) if implicit else None
        if kind == "int32" and field.type == "uint32":
            payload = _as_int32
        return Place(
            name=field.name,
            encode=e.with_tag(start, payload, zero),
            column=e.column_of(start, payload, zero),
            digits=payload is e.signed,
            text=e.column_of(start, e.octets, zero) if kind == "string" else None,
        )

    def _array(self, items: Schema, field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...]) -> Place:
        """Numbers stand in one field, everything else in a field each."""
        payload = self._packed(items, field, message, above)
        if payload is None:
            item = self._single(items, field, message, above, implicit=False)
            return Place(name=field.name, encode=lambda values: b"".join([item.bytes_of(v) for v in _elements(values, field)]))
        one, start = payload, e.tag(field.number, e.BYTES)

        def packed(values: Any) -> bytes:
            return start + e.octets(b"".join([one(v) for v in _elements(values, field)])) if values else b""

        return Place(name=field.name, encode=packed)

    def _packed(
        self, items: Schema, field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...]
    ) -> Encode | None:
        """The payload of an element that is a number or an enum's."""
        if items.name not in LOGICAL and enum_parameter(items, self.settings) is not None:
            return self._symbols(items, field, message, above)
        wire, payload = e.SCALARS.get(field.type, (e.BYTES, None))
        if wire == e.BYTES or not _takes(field.type, scalar_type(items, field.name, self.settings)):
            return None
        return payload

    def _symbols(self, schema: Schema, field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...]) -> Encode:
        """An enum's symbol, or number, -> its payload; only what the declared enum has."""
        declared = {v for m in (message, *above) for enum in m.enums if enum.name == field.type for v in enum.values}
        parameter = enum_parameter(schema, self.settings) or ""
        by_name = schema.type == "string"
        known = {s if by_name else n: e.signed(n) for s, n in reversed(symbols(schema, parameter)) if (s, n) in declared}

        def encode(value: Any) -> bytes:
            try:
                return known[value]
            except KeyError:
                raise RecordError(
                    "a value is no symbol of its enum, or of another one of that name", cause=f"enum {field.type} of field {field.name}"
                ) from None

        return encode

    def _map(self, schema: Schema, field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...]) -> Place:
        assert schema.keys is not None
        assert schema.values is not None
        entry, outer = _resolved(field, message, above)
        key, value = (
            self.place(s, f, entry, outer) for s, f in zip((schema.keys, schema.values), entry.fields, strict=True)
        )
        value.null = b"" if schema.values.optional else None
        frame = e.framed(e.tag(field.number, e.BYTES))

        def encode(values: dict[Any, Any]) -> bytes:
            return b"".join([frame(key.bytes_of(k) + value.bytes_of(_plain(v))) for k, v in values.items()])

        return Place(name=field.name, encode=encode)


def _takes(declared: str, kind: str) -> bool:
    """Whether values of `kind` are written as `declared`, which another type of the same name brought: where Java's are the same."""
    return declared == kind or any(declared in numbers and kind in numbers for numbers in _NUMBERS)


_NUMBERS: Final = (
    {"int32", "uint32", "sint32", "fixed32", "sfixed32"}, {"int64", "uint64", "sint64", "fixed64", "sfixed64"},
)  # fmt: skip


def _as_int32(value: int) -> bytes:
    """What Java makes of a long that it casts to an int and writes as int32."""
    value &= 0xFFFFFFFF
    return e.signed(value - (1 << 32) if value >> 31 else value)


def _two_types(message: ProtoMessage, field: str) -> RecordError:
    return RecordError(
        "two different types of a message have one name", cause=f"{message.name}, which differs in field {field}",
        hint="give one of them another name, with SetSchemaMetadata or schema.name.adjustment.mode",
    )  # fmt: skip


def _resolved(
    field: ProtoField, message: ProtoMessage, above: tuple[ProtoMessage, ...]
) -> tuple[ProtoMessage, tuple[ProtoMessage, ...]]:
    """The message of that type, and those around it: found from the inside out, as protoc does."""
    around = (message, *above)
    for depth, m in enumerate(around):
        inner = m.nested(field.type)
        if inner is not None:
            return inner, around[depth:]
        if m.name == field.type:
            return m, around[depth + 1 :]
    raise RecordError("a type is not declared", cause=f"{field.type} of field {field.name} of {message.name}")


def _plain(value: Any) -> Any:
    if type(value) is Leaf:
        raise NeedsValue(value.reader.column_name)
    return value


def _elements(values: Any, field: ProtoField) -> Any:
    """Raises RecordError where one is null."""
    for v in values:
        if _plain(v) is None:
            raise RecordError(
                "Protobuf has no nulls in arrays", cause=f"field {field.name}",
                hint="exclude the column, or give the topic another converter",
            )  # fmt: skip
    return values


def _logical(schema: Schema, field: ProtoField) -> Place:
    if schema.name != DECIMAL:
        bodies = {"google.type.Date": e.date, "google.type.TimeOfDay": e.time_of_day, "google.protobuf.Timestamp": e.timestamp}
        return _made_of(field, bodies[field.type])
    given = schema.parameter("scale")
    place = _made_of(field, e.decimal(None if given is None else int(given)))
    if given is not None:
        place.unscaled = e.unscaled_decimals(e.tag(field.number, e.BYTES), int(given))
    return place


def _made_of(field: ProtoField, body: Encode) -> Place:
    """A message that is always there."""
    frame = e.framed(e.tag(field.number, e.BYTES))
    return Place(name=field.name, encode=lambda value: frame(body(value)))


# ---- cells


def _cell(p: Place, leaf: Leaf) -> Cell:
    """Text -> bytes: directly where the text's form allows, else by the leaf's reader."""
    reader, encode, column = leaf.reader, p.encode, p.column
    if encode is None:
        return Cell(leaf.column, lambda text: p.bytes_of(reader.read(text)), p.null)
    if p.unscaled is not None and reader.unscaled is not None:
        read, whole = reader.unscaled, p.unscaled
        return Cell(leaf.column, lambda text: whole((read(text),))[0], p.null, lambda texts: whole(map(read, texts)))
    if p.digits and reader.form is Form.DIGITS and column is not None:
        numbers = column
        return Cell(leaf.column, lambda text: encode(int(text)), p.null, lambda texts: numbers(e.numbers_of(texts)))
    if p.text is not None and reader.form is Form.TEXT:
        texts_column = p.text
        return Cell(leaf.column, lambda text: texts_column((text,))[0], p.null, texts_column)
    if column is None:
        return Cell(leaf.column, lambda text: encode(reader.read(text)), p.null)
    values = column
    return Cell(leaf.column, lambda text: encode(reader.read(text)), p.null, lambda texts: values(map(reader.read, texts)))
