"""ProtobufConverter: messages of Protobuf, whose schemas are kept in a registry (converters.registered).

Behind a schema's id stands which of its messages is meant, as indexes from the outside in. Only an id with its
indexes tells a message's type.
Source: the behaviour of ProtobufConverter 7.0 in the captures; Confluent's documentation, "Wire format".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pycdc.config.definition import ConfigDef
from pycdc.converters.avro.encoding import number
from pycdc.converters.protobuf import declare as d
from pycdc.converters.protobuf.config import ProtobufConverterConfig
from pycdc.converters.protobuf.places import Fields, Place, root, single
from pycdc.converters.protobuf.types import ProtoFile, ProtoMessage, text_of
from pycdc.converters.protobuf.understand import Understood
from pycdc.converters.registered import (
    HEAD,
    Kept,
    RegisteredConverter,
    Schemas,
    all_begin_with,
    has_value,
    head,
    not_as_said,
)
from pycdc.errors import RecordError
from pycdc.model.change import Rows
from pycdc.model.envelope import AFTER
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Piece
from pycdc.registry import Written

#: More indexes than any message is deep.
_DEEPEST = 100


class _Declared(msgspec.Struct, eq=False):
    """A Connect schema's Protobuf side; `schema` is held, so that its id stays its own. Without `file` it is a wrapper."""

    schema: Schema
    file: ProtoFile | None
    text: str
    #: Where the message is in the text.
    index: int
    body: Fields | Place
    #: By the id in front and the text written with.
    heads: dict[Written, bytes]


class ProtobufConverter(RegisteredConverter):
    """Protobuf in, Protobuf out."""

    config = ProtobufConverterConfig
    kind = "PROTOBUF"
    format = "Protobuf"

    def __init__(self, settings: ConfigDef, *, is_key: bool, schemas: Schemas | None = None) -> None:
        assert isinstance(settings, ProtobufConverterConfig)
        super().__init__(settings, is_key=is_key, schemas=schemas)
        self.settings = settings
        self._declared: Kept[int, _Declared] = Kept(settings.cache_size)
        #: By id and indexes, as messages have them in front.
        self._understood: Kept[bytes, Understood] = Kept(settings.cache_size)

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter. A null is a null message, whatever its schema. Raises NotReady."""
        if not has_value(topic, schema, value, format_="Protobuf"):
            return False
        assert schema is not None
        declared = self._declare(schema)
        name = declared.file.full_name if declared.file is not None else _wrapper_name(declared.index)
        written = self._ready(topic, name, declared.text)
        out.append(declared.heads.get(written) or self._head(declared, written))
        declared.body.write(value, out)
        return True

    def _declare(self, schema: Schema) -> _Declared:
        known = self._declared.get(id(schema))
        if known is None:
            if schema.type == "struct":
                file = d.declare(schema, self.settings)
                known = _Declared(schema, file, text_of(file), 0, root(schema, file, self.settings), {})
            else:
                kind, place = single(schema, self.settings)
                index = list(d.WRAPPERS).index(d.wrapper_of(kind))
                known = _Declared(schema, None, d.WRAPPERS_TEXT, index, place, {})
            self._declared.keep(id(schema), known)
        return known

    def _head(self, declared: _Declared, written: Written) -> bytes:
        indexes: list[int] | None = [declared.index]
        if written.text != declared.text and declared.file is not None:
            indexes = self._indexes(declared.file, written)
        start = declared.heads[written] = head(written.id) + _indexes_bytes(indexes or [0])
        return start

    def _indexes(self, file: ProtoFile, written: Written) -> list[int]:
        """Where the record's message is in a registered schema. Raises RecordError where that does not take its fields."""
        from pycdc.converters.protobuf.parse import Parsed

        parsed = Parsed(written.text, self._schemas.referred(written.id))
        indexes = parsed.indexes(file.full_name)
        if indexes is None:
            raise _other(file.full_name, "the schema has no message of that name")
        _compare(file.message, parsed.descriptor(indexes))
        return indexes

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter. Raises RecordError, and NotReady for an id that was not seen yet."""
        if data is None:
            return None, None
        id_ = self._id(topic, data)
        try:
            end = _indexes_end(data)
        except ValueError as error:
            raise not_as_said(topic, id_, error) from None
        understood = self._understood.get(data[:end]) or self._understand(topic, id_, data[:end])
        try:
            return understood.schema, understood.read(data[end:])
        except Exception as error:  # bytes from outside: Google's errors, and those of values
            raise not_as_said(topic, id_, error) from None

    # ---- reading many: plugins.contracts.RowReader

    def read_many(self, topic: str, data: Sequence[bytes]) -> tuple[Schema | None, Sequence[Any]] | None:
        """Values of messages that share the schema of the first. Raises NotReady."""
        common = self._common(topic, data)
        if common is None:
            return None
        understood, bodies = common
        try:
            return understood.schema, list(map(understood.read, bodies))
        except Exception:  # `read` takes them one by one, and says what is wrong
            return None

    def read_rows(self, topic: str, data: Sequence[bytes]) -> Rows | None:
        """Of an envelope nothing is made but its op, its row and the first one's source. Raises NotReady."""
        common = self._common(topic, data)
        if common is None:
            return None
        understood, bodies = common
        if understood.schema.type != "struct":
            return None
        try:
            if not understood.is_envelope:
                return Rows(None, list(map(understood.read, bodies)), understood.schema)
            ops, rows, source = understood.read_envelopes(bodies)
        except Exception:  # as above
            return None
        return Rows(ops, rows, understood.schema.field(AFTER), source)

    def _common(self, topic: str, data: Sequence[bytes]) -> tuple[Understood, list[bytes]] | None:
        """What all are written with, and their bodies; None when that is not one type."""
        try:
            start = data[0][: _indexes_end(data[0])]
        except ValueError:
            return None
        if data[0][0] != 0 or not all_begin_with(data, start):
            return None
        try:
            understood = self._understood.get(start) or self._understand(topic, int.from_bytes(start[1:HEAD], "big"), start)
        except RecordError:
            return None
        return understood, [message[len(start) :] for message in data]

    def _understand(self, topic: str, id_: int, start: bytes) -> Understood:
        from pycdc.converters.protobuf.parse import Parsed

        text = self._text(topic, id_)
        try:
            made = Understood(Parsed(text, self._schemas.referred(id_)), _indexes_in(start[HEAD:]), self.settings)
        except RecordError as error:
            error.where = f"{topic}, schema {id_}"
            raise
        except ValueError as error:
            raise not_as_said(topic, id_, error) from None
        return self._understood.keep(start, made)


# ---- which message


def _wrapper_name(index: int) -> str:
    return list(d.WRAPPERS)[index]


def _indexes_bytes(indexes: list[int]) -> bytes:
    """The first message takes one byte."""
    return b"\x00" if indexes == [0] else b"".join(map(number, [len(indexes), *indexes]))


def _indexes_end(data: bytes) -> int:
    """Where a message's indexes end. Raises ValueError."""
    if len(data) <= HEAD:
        raise ValueError("it ends before it says which message it is")
    if data[HEAD] == 0:
        return HEAD + 1
    count, place = _zigzag(data, HEAD)
    if not 0 <= count <= _DEEPEST:
        raise ValueError("it does not say which message it is")
    for _ in range(count):
        _, place = _zigzag(data, place)
    return place


def _indexes_in(data: bytes) -> list[int]:
    count, place = _zigzag(data, 0)
    found = []
    for _ in range(count):
        index, place = _zigzag(data, place)
        found.append(index)
    return found or [0]


def _zigzag(data: bytes, place: int) -> tuple[int, int]:
    """A number and the place behind it. Raises ValueError."""
    n = shift = 0
    while place < len(data) and shift < 35:
        b = data[place]
        place += 1
        n |= (b & 127) << shift
        if b < 128:
            return n >> 1 ^ -(n & 1), place
        shift += 7
    raise ValueError("it ends before it says which message it is")


# ---- registered schemas


def _compare(ours: ProtoMessage, theirs: Any) -> None:
    """Raises RecordError where the registered message does not take what is written by ours."""
    known = {f.number: f for f in theirs.fields}
    for f in [*ours.fields, *(f for _, fields in ours.oneofs for f in fields)]:
        their = known.get(f.number)
        if their is None or their.name != f.name:
            raise _other(theirs.full_name, f"field {f.name} has not the number {f.number} there")
        if their.is_repeated != (f.label == "repeated"):
            raise _other(theirs.full_name, f"field {f.name} is repeated in one of them only")
        name = _type_name(their)
        if name != f.type and name.rpartition(".")[2] != f.type:
            raise _other(theirs.full_name, f"field {f.name} is {name} in the schema and {f.type} in the record")
        inner = ours.nested(f.type)
        if inner is not None and their.message_type is not None:
            _compare(inner, their.message_type)


def _type_name(field: Any) -> str:
    from pycdc.converters.protobuf.parse import TYPE_NAMES

    if field.message_type is not None:
        return str(field.message_type.full_name)
    return str(field.enum_type.full_name) if field.enum_type is not None else TYPE_NAMES[field.type]


def _other(name: str, cause: str) -> RecordError:
    return RecordError(
        "the Protobuf schema does not take the record's values", cause=f"{name}: {cause}",
        hint="register a schema with the record's fields and numbers, or unset use.latest.version",
    )  # fmt: skip
