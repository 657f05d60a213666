"""AvroConverter: the wire format, and the schemas that are kept in a registry.

A message is 0x00, the schema's id in four bytes, and the value. The id is fetched before the walk: `write`
asks the registry's memory, and where it has no answer yet raises NotReady, whose `fetch` asks the registry
itself; the caller awaits that and calls `write` again. So there is one request per schema, none per row, and
nothing here waits. `read` does the same for the schema of an id.
Source: Confluent's documentation, "Wire format"; the behaviour of AvroConverter 7.0 in the captures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Protocol

import msgspec

from pycdc.config.definition import ConfigDef
from pycdc.converters.avro.columns import MALFORMED
from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.declare import declare
from pycdc.converters.avro.places import Place, place
from pycdc.converters.avro.types import AvroType, parse, text_of
from pycdc.converters.avro.understand import Understood, understand
from pycdc.errors import RecordError
from pycdc.model.change import Rows
from pycdc.model.envelope import AFTER
from pycdc.model.schema import Schema
from pycdc.model.template import Leaf, NeedsValue
from pycdc.plugins.contracts import NotReady, Piece
from pycdc.registry import SchemaRegistry, Written

_MAGIC = b"\x00"
#: Schemas whose declared types are kept at least, by identity: relations come and go.
_FEWEST = 64


class Schemas(Protocol):
    """What the converter needs of a registry; see pycdc.registry.SchemaRegistry."""

    def written(self, subject: str, text: str) -> Written | None: ...
    def text(self, id_: int) -> str | None: ...
    async def fetch_written(self, subject: str, text: str) -> None: ...
    async def fetch_text(self, id_: int, subject: str) -> None: ...


class _Declared(msgspec.Struct, eq=False):
    """A Connect schema's Avro side; `schema` is held, so that its id stays its own."""

    schema: Schema
    type: AvroType
    text: str
    #: By the id in front and the text written with.
    places: dict[Written, tuple[bytes, Place]]


class AvroConverter:
    """Avro in, Avro out."""

    config = AvroConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool, schemas: Schemas | None = None) -> None:
        assert isinstance(settings, AvroConverterConfig)
        self.settings = settings
        self.is_key = is_key
        self._schemas: Schemas = schemas or SchemaRegistry(settings)
        self._limit = max(_FEWEST, settings.cache_size)
        self._declared: dict[int, _Declared] = {}
        self._understood: dict[int, Understood] = {}

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter. A null is a null message, whatever its schema. Raises NotReady."""
        if type(value) is Leaf and (schema is None or schema.optional):
            raise NeedsValue(value.reader.column_name)  # a null column is a null message, which no cell can be
        if value is None:
            if schema is None or schema.optional:
                return False
            raise RecordError("a required value is null", where=topic, cause=f"schema {schema.name or schema.type}")
        if schema is None:
            raise RecordError("Avro needs a schema", where=topic, cause="the record's value has none")
        declared = self._declare(schema)
        head, body = self._place(declared, self._ready(topic, declared))
        out.append(head)
        body.write(value, out)
        return True

    def _declare(self, schema: Schema) -> _Declared:
        known = self._declared.get(id(schema))
        if known is None:
            if len(self._declared) >= self._limit:
                self._declared.clear()
            made = declare(schema, self.settings)
            known = self._declared[id(schema)] = _Declared(schema, made, text_of(made), {})
        return known

    def _ready(self, topic: str, declared: _Declared) -> Written:
        """Id and schema to write with. Raises NotReady on first use."""
        name = declared.type.full_name if declared.type.kind == "record" else None
        subject = self.settings.subject(topic, name, is_key=self.is_key)
        if subject is None:
            side = "key" if self.is_key else "value"
            raise RecordError(
                f"the {side} is no record, so that it has no name for a subject", where=topic,
                hint=f"set {side}.converter.{side}.subject.name.strategy to "
                "io.confluent.kafka.serializers.subject.TopicNameStrategy",
            )  # fmt: skip
        found = self._schemas.written(subject, declared.text)
        if found is None:
            raise NotReady(f"a schema id of {subject}", _fetch(self._schemas.fetch_written, subject, declared.text))
        return found

    def _place(self, declared: _Declared, written: Written) -> tuple[bytes, Place]:
        known = declared.places.get(written)
        if known is None:
            t = declared.type if written.text == declared.text else parse(written.text)
            body = place(declared.schema, t, self.settings)
            if t.kind == "bytes" and body.encode is not None:
                body.encode = _unprefixed(body.encode)
            known = declared.places[written] = (_MAGIC + written.id.to_bytes(4, "big"), body)
        return known

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter. Raises RecordError, and NotReady for an id that was not seen yet."""
        if data is None:
            return None, None
        if len(data) < 5 or data[0] != 0:
            raise RecordError(
                "a message is not Avro with a schema id", where=topic,
                cause="it does not begin with 0x00 and four bytes",
                hint=f"was it written by another converter? Set {'key' if self.is_key else 'value'}.converter to that one",
            )  # fmt: skip
        id_ = int.from_bytes(data[1:5], "big")
        understood = self._understood.get(id_) or self._understand(topic, id_)
        try:
            return understood.schema, understood.read(data[5:])
        except Exception as error:  # bytes from outside: the decoder raises a dozen kinds
            raise RecordError(
                "a message is not what its schema says", where=topic, cause=f"schema {id_}: {type(error).__name__}: {error}"
            ) from None

    # ---- reading many: plugins.contracts.RowReader

    def read_many(self, topic: str, data: Sequence[bytes]) -> tuple[Schema | None, Sequence[Any]] | None:
        """Values of messages that share the schema of the first. Raises NotReady."""
        understood = self._common(topic, data)
        if understood is None:
            return None
        try:
            return understood.schema, understood.read_many(data)
        except MALFORMED:
            return None

    def read_rows(self, topic: str, data: Sequence[bytes]) -> Rows | None:
        """Of an envelope nothing is made but its op, its row and the first one's source. Raises NotReady."""
        understood = self._common(topic, data)
        if understood is None or understood.schema.type != "struct":
            return None
        try:
            if not understood.is_envelope:
                return Rows(None, understood.read_many(data), understood.schema)
            ops, rows, source = understood.read_envelopes(data)
        except MALFORMED:
            return None
        after = understood.schema.field(AFTER)
        return Rows(ops, rows, after, source)

    def _common(self, topic: str, data: Sequence[bytes]) -> Understood | None:
        """What all are written with; None when that is not one schema."""
        head = data[0][:5]
        if len(head) < 5 or head[0] != 0 or not all(map(bytes.startswith, data, repeat(head))):
            return None
        id_ = int.from_bytes(head[1:], "big")
        return self._understood.get(id_) or self._understand(topic, id_)

    def _understand(self, topic: str, id_: int) -> Understood:
        text = self._schemas.text(id_)
        if text is None:
            subject = self.settings.subject(topic, None, is_key=self.is_key) or ""
            raise NotReady(f"schema {id_}", _fetch(self._schemas.fetch_text, id_, subject))
        if len(self._understood) >= self._limit:
            self._understood.clear()
        made = self._understood[id_] = understand(text, self.settings)
        return made


def _fetch(ask: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: ask(*arguments)


def _unprefixed(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A whole message of bytes goes without Avro's length: the varint in front of `encode`'s bytes is cut off."""

    def cut(value: Any) -> bytes:
        whole = encode(value)
        start = next(i for i, b in enumerate(whole) if b < 128) + 1
        return whole[start:]

    return cut
