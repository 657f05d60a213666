"""io.debezium.converters.CloudEventsConverter: change events in structured mode, JSON in JSON.

Only change events have a CloudEvent; every other message (tombstones, transactions, heartbeats) becomes null, as in
the original. Metadata come from the event itself or, by `metadata.source`, from headers as the JsonConverter writes
them with schemas: then the data may be any struct. One walk serves templates and values: what is glued together of
several columns is literal bytes with cells between them. Source: the CloudEvents 1.0 specification (JSON format),
Debezium's documentation "Emitting change event records in CloudEvents format", and the original class.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of, parsed, text
from pycdc.converters.javatext import quoted
from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import Fault, RecordError
from pycdc.model.envelope import AFTER, BEFORE, OP, SOURCE
from pycdc.model.schema import Schema, struct
from pycdc.model.template import Form, Leaf
from pycdc.plugins.contracts import Cell, Headers, Piece

_EXTENSION: Final = "iodebezium"
_TRANSACTION: Final = "transaction"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_VALUE: Final = "value"
_HEADER: Final = "header"
_GENERATE: Final = "generate"
#: What may come from a header of that name.
_ID: Final = "id"
_TYPE: Final = "type"
_TRACE: Final = "traceparent"
_DATA_NAME: Final = "dataSchemaName"


class _Sources(msgspec.Struct, frozen=True):
    """Where source, op and transaction come from, and which of the single attributes are headers."""

    whole: str
    headers: frozenset[str]


def _sources(value: str) -> _Sources:
    whole, *fields = [w.strip() for w in value.split(",") if w.strip()] or [""]
    if whole.lower() not in (_VALUE, _HEADER):
        raise ValueError("must begin with value or header")
    # unsaid, each is where the others are; the original fails over an id or a type that the value should have
    found = dict.fromkeys((_ID, _TYPE, _TRACE, _DATA_NAME), whole.lower())
    for field in fields:
        name, _, origin = (part.strip() for part in field.partition(":"))
        if name not in found or origin.lower() not in (_HEADER, _GENERATE):
            raise ValueError(f"is a list of value or header, then any of {', '.join(found)} with :{_HEADER} or :{_GENERATE}")
        found[name] = origin.lower()
    return _Sources(whole.lower(), frozenset(n for n, origin in found.items() if origin == _HEADER))


def _json(value: str) -> str:
    word = value.strip().lower()
    if word != "json":
        raise ValueError("must be json: avro is not available in this release" if word == "avro" else "must be json")
    return word


def _valid(value: str) -> str:
    _sources(value)
    return value


class CloudEventsConverterConfig(ConfigDef):
    """Options of the CloudEventsConverter; those of `json.` are the JsonConverter's."""

    serializer = Property[str]("serializer.type", parsed("STRING", _json, "json"), default="json", doc="Format of the event.")
    data_serializer = Property[str]("data.serializer.type", parsed("STRING", _json, "json"), default="json", doc="Format of its data.")
    extensions = Property[bool](
        "extension.attributes.enable", boolean(), default=True, doc="The source block as attributes `iodebezium...`."
    )
    tracing = Property[bool](
        "opentelemetry.tracing.attributes.enable", boolean(), default=False, doc="Attribute `traceparent`, from the header of that name."
    )
    adjust = Property[str](
        "schema.name.adjustment.mode", one_of("avro", "avro_unicode", "none"), default="avro",
        ignored="the name of the event's schema does not show in JSON", doc="Schema names.",
    )  # fmt: skip
    name = Property[str | None](
        "schema.cloudevents.name", text(), ignored="the name of the event's schema does not show in JSON", doc="Schema name."
    )
    header_name = Property[bool](
        "schema.data.name.source.header.enable", boolean(), default=False,
        doc="Let `dataSchemaName:header` in `metadata.source` name the data's schema.",
    )  # fmt: skip
    metadata = Property[str](
        "metadata.source", parsed("LIST", _valid, "value or header, then id, type, traceparent, dataSchemaName with :header or :generate"),
        default="value,id:generate,type:generate,traceparent:header,dataSchemaName:generate",
        doc="Where metadata come from. Headers must be written by the JsonConverter with schemas.",
    )  # fmt: skip
    schemas_enable = Property[bool]("json.schemas.enable", boolean(), default=True, doc="Write the data's schema with it.")
    schemas_cache_size = Property[int]("json.schemas.cache.size", integer(0), default=1000, doc="Schemas kept when reading.")
    decimal_format = Property[str]("json.decimal.format", one_of("BASE64", "NUMERIC"), default="BASE64", doc="How Decimal values are written.")
    replace_null = Property[bool](
        "json.replace.null.with.default", boolean(), default=True, doc="Write a field's default in place of its null."
    )

    def check(self, faults: list[Fault]) -> None:
        if self.tracing and _TRACE not in _sources(self.metadata).headers:
            faults.append(Fault("metadata.source", "must have traceparent:header while opentelemetry.tracing.attributes.enable is true"))


class _Metadata(msgspec.Struct):
    """What the attributes are made of. A None among the single ones: it is generated."""

    source: dict[str, Any]
    source_schema: Schema
    op: Any
    transaction: dict[str, Any]
    single: dict[str, Any]


class CloudEventsConverter:
    """Structured mode: the whole event is the message's value."""

    config = CloudEventsConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        assert isinstance(settings, CloudEventsConverterConfig)
        self.settings = settings
        self._json = JsonConverter(
            JsonConverterConfig.of(
                schemas_enable=settings.schemas_enable, schemas_cache_size=settings.schemas_cache_size,
                decimal_format=settings.decimal_format, replace_null=settings.replace_null,
            ), is_key=is_key,
        )  # fmt: skip
        self._header = JsonConverter(JsonConverterConfig.of(), is_key=False)
        sources = _sources(settings.metadata)
        self._whole = sources.whole
        self._single = {
            name
            for name, enabled in ((_ID, True), (_TYPE, True), (_TRACE, settings.tracing), (_DATA_NAME, settings.header_name))
            if enabled and name in sources.headers
        }
        #: Record's schema (held, so that its id stays its own) and the name from a header -> schema of the data.
        self._data_schemas: dict[tuple[int, str | None], tuple[Schema, Schema]] = {}

    @property
    def reads_headers(self) -> bool:
        """See plugins.contracts.HeaderReader."""
        return self._whole == _HEADER or bool(self._single)

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        return self.write_with_headers(topic, [], schema, value, out)

    def write_with_headers(self, topic: str, headers: Headers, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.HeaderReader."""
        if schema is None or value is None:
            return False
        found = self._metadata(topic, dict(headers), schema, value)  # of several by one name the last counts
        if found is None:
            return False
        self._attributes(topic, found, out)
        if self.settings.extensions:
            _extensions(found, out)
        out.append(b',"data":')
        data_schema = self._data_schema(schema, found.source["connector"], found.single.get(_DATA_NAME))
        self._json.write(topic, data_schema, {f.name: value.get(f.name) for f in data_schema.fields}, out)
        out.append(b"}")
        return True

    def _metadata(self, topic: str, headers: dict[str, bytes | None], schema: Schema, value: Any) -> _Metadata | None:
        """None: the message is no change event."""
        if self._whole == _VALUE:
            if type(value) is not dict or not (schema.name or "").endswith(".Envelope"):
                return None
            source_schema, source, op = schema.field(SOURCE), value[SOURCE], value[OP]
            transaction = value.get(_TRANSACTION)
        else:
            if SOURCE not in headers or OP not in headers:
                return None
            if schema.type != "struct":
                raise RecordError("a CloudEvent's data are no struct", where=topic, cause=f"schema type {schema.type}")
            source_schema, source = self._header.read(topic, headers[SOURCE])
            op = self._from_header(topic, headers, OP)
            transaction = self._header.read(topic, headers.get(_TRANSACTION))[1]
        if source_schema is None or not _is_source(source) or not isinstance(transaction, dict | None):
            raise RecordError("a CloudEvent's metadata are malformed", where=topic, cause="source or transaction is no such block")
        single = {name: self._from_header(topic, headers, name) for name in self._single}
        return _Metadata(source, source_schema, op, transaction or {}, single)

    def _from_header(self, topic: str, headers: dict[str, bytes | None], name: str) -> str:
        text = self._header.read(topic, headers.get(name))[1]
        if type(text) is not str:
            raise RecordError(
                "a CloudEvent's attribute has no text", where=topic, cause=f"header {name} is {'malformed' if name in headers else 'missing'}",
                hint="write headers with header.converter=org.apache.kafka.connect.json.JsonConverter and schemas",
            )  # fmt: skip
        return text

    def _attributes(self, topic: str, found: _Metadata, out: list[Piece]) -> None:
        source, single = found.source, found.single
        connector, name = source["connector"], source["name"]
        origin = quoted(f"/debezium/{connector}/{name}")
        out.append(b'{"id":')
        if _ID in single:
            out.append(quoted(single[_ID]))
        else:
            out.append(b'"name:' + _escaped(name))
            for label, field in ((b";lsn:", "lsn"), (b";txId:", "txId"), (b";sequence:", "sequence")):
                out += [label, _inside(source.get(field))]
            out.append(b'"')
        out += [
            b',"source":' + origin + b',"specversion":"1.0","type":',
            quoted(single.get(_TYPE, f"io.debezium.connector.{connector}.DataChangeEvent")),
            b',"time":', _made(source["ts_ms"], _instant), b',"datacontenttype":"application/json"',
        ]  # fmt: skip
        if self.settings.tracing:
            out.append(b',"traceparent":' + quoted(single[_TRACE]))

    def _data_schema(self, schema: Schema, connector: str, name: str | None) -> Schema:
        key = (id(schema), name)
        known = self._data_schemas.get(key)
        if known is None:
            if len(self._data_schemas) >= 4096:
                self._data_schemas.clear()
            # with metadata from headers the data are the whole struct, without them the row
            fields = [
                (f.name, f.schema) for f in schema.fields if self._whole == _HEADER or f.name in (BEFORE, AFTER)
            ]
            made = struct(fields, name=name or f"io.debezium.connector.{connector}.Data")
            known = self._data_schemas[key] = (schema, made)
        return known[1]

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """The event as a map without schema; its data as their own schema says, which is taken off."""
        if data is None:
            return None, None
        try:
            parts = _decode_parts(data)
            missing = [n for n in (_ID, "source", "specversion", _TYPE, "data") if n not in parts]
            event = {name: msgspec.json.decode(part) for name, part in parts.items() if name != "data"}
        except msgspec.DecodeError:
            missing, event = ["everything"], {}
        if missing:
            raise RecordError("a message is no CloudEvent", where=topic, cause=f"it lacks {', '.join(missing)}")
        return None, {**event, "data": self._json.read(topic, bytes(parts["data"]))[1]}


_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _extensions(found: _Metadata, out: list[Piece]) -> None:
    out += [b',"' + _EXTENSION.encode() + b'op":', _made(found.op, quoted)]
    for field in found.source_schema.fields:
        value = found.source.get(field.name)
        if value is None and field.schema.has_default:
            value = field.schema.default
        if field.schema.type not in _EXTENSIONS:
            raise RecordError("a field of source cannot be an attribute of a CloudEvent", cause=f"{field.name} of type {field.schema.type}")
        out += [b"," + _attribute(field.name), _made(value, _EXTENSIONS[field.schema.type])]
    for name in ("id", "total_order", "data_collection_order"):
        out += [b"," + _attribute(f"tx{name}"), _made(found.transaction.get(name), quoted)]


def _attribute(name: str) -> bytes:
    """CloudEvents allow letters and digits."""
    return b'"' + _EXTENSION.encode() + "".join(c for c in name if c.isascii() and c.isalnum()).encode() + b'":'


def _escaped(value: str) -> bytes:
    return quoted(value)[1:-1]


def _is_source(block: Any) -> bool:
    return type(block) is dict and all(block.get(name) is not None for name in ("connector", "name", "ts_ms"))


def _instant(value: str) -> bytes:
    try:
        moment = _EPOCH + timedelta(milliseconds=int(value))
    except (ValueError, OverflowError):
        raise RecordError("a CloudEvent's time is none", cause="source.ts_ms") from None
    return f'"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"'.encode()


def _bare(value: str) -> bytes:
    return value.lower().encode()  # Python's True


#: By a field's type: CloudEvents know no number beyond 32 bits.
_EXTENSIONS: Final[dict[str, Callable[[str], bytes]]] = {"string": quoted, "int64": quoted, "boolean": _bare, "int32": _bare}


def _inside(value: Any) -> Piece:
    """A value in the middle of a string; Java writes a null there as `null`."""
    if type(value) is Leaf and value.reader.form is Form.DIGITS:
        return Cell(value.column, None, b"null")
    return _made(value, _escaped)


def _made(value: Any, make: Callable[[str], bytes]) -> Piece:
    """A value made of its text; a null is null."""
    if type(value) is not Leaf:
        return b"null" if value is None else make(str(value))
    null = b"null" if value.null is None else make(str(value.null))
    if value.reader.form is not Form.NONE:
        return Cell(value.column, lambda data: make(data.decode()), null)
    read = value.reader.read
    return Cell(value.column, lambda data: b"null" if (found := read(data)) is None else make(str(found)), null)
