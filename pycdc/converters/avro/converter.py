"""AvroConverter: messages of Avro, whose schemas are kept in a registry (converters.registered).

Source: the behaviour of AvroConverter 7.0 in the captures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pycdc.config.definition import ConfigDef
from pycdc.converters.avro.columns import MALFORMED
from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.declare import declare
from pycdc.converters.avro.places import Place, place
from pycdc.converters.avro.types import AvroType, parse, text_of
from pycdc.converters.avro.understand import Understood, understand
from pycdc.converters.registered import (
    HEAD,
    Kept,
    RegisteredConverter,
    Schemas,
    common_id,
    has_value,
    head,
    not_as_said,
)
from pycdc.model.change import Rows
from pycdc.model.envelope import AFTER
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Piece
from pycdc.registry import Written


class _Declared(msgspec.Struct, eq=False):
    """A Connect schema's Avro side; `schema` is held, so that its id stays its own."""

    schema: Schema
    type: AvroType
    text: str
    #: By the id in front and the text written with.
    places: dict[Written, tuple[bytes, Place]]


class AvroConverter(RegisteredConverter):
    """Avro in, Avro out."""

    config = AvroConverterConfig
    kind = "AVRO"
    format = "Avro"

    def __init__(self, settings: ConfigDef, *, is_key: bool, schemas: Schemas | None = None) -> None:
        assert isinstance(settings, AvroConverterConfig)
        super().__init__(settings, is_key=is_key, schemas=schemas)
        self.settings = settings
        self._declared: Kept[int, _Declared] = Kept(settings.cache_size)
        self._understood: Kept[int, Understood] = Kept(settings.cache_size)

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter. A null is a null message, whatever its schema. Raises NotReady."""
        if not has_value(topic, schema, value, format_="Avro"):
            return False
        assert schema is not None
        declared = self._declare(schema)
        name = declared.type.full_name if declared.type.kind == "record" else None
        start, body = self._place(declared, self._ready(topic, name, declared.text))
        out.append(start)
        body.write(value, out)
        return True

    def _declare(self, schema: Schema) -> _Declared:
        known = self._declared.get(id(schema))
        if known is None:
            made = declare(schema, self.settings)
            known = self._declared.keep(id(schema), _Declared(schema, made, text_of(made), {}))
        return known

    def _place(self, declared: _Declared, written: Written) -> tuple[bytes, Place]:
        known = declared.places.get(written)
        if known is None:
            t = declared.type if written.text == declared.text else parse(written.text)
            body = place(declared.schema, t, self.settings)
            if t.kind == "bytes" and body.encode is not None:
                body.encode = _unprefixed(body.encode)
            known = declared.places[written] = (head(written.id), body)
        return known

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter. Raises RecordError, and NotReady for an id that was not seen yet."""
        if data is None:
            return None, None
        id_ = self._id(topic, data)
        understood = self._understood.get(id_) or self._understand(topic, id_)
        try:
            return understood.schema, understood.read(data[HEAD:])
        except Exception as error:  # bytes from outside: the decoder raises a dozen kinds
            raise not_as_said(topic, id_, error) from None

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
        id_ = common_id(data)
        return None if id_ is None else self._understood.get(id_) or self._understand(topic, id_)

    def _understand(self, topic: str, id_: int) -> Understood:
        return self._understood.keep(id_, understand(self._text(topic, id_), self.settings))


def _unprefixed(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A whole message of bytes goes without Avro's length: the varint in front of `encode`'s bytes is cut off."""

    def cut(value: Any) -> bytes:
        whole = encode(value)
        start = next(i for i, b in enumerate(whole) if b < 128) + 1
        return whole[start:]

    return cut
