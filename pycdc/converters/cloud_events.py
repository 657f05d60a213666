"""io.debezium.converters.CloudEventsConverter: change events in structured mode, JSON in JSON.

Only change events have a CloudEvent; every other message (tombstones, transactions, heartbeats) becomes null, as in
the original. Metadata come from the event itself. One walk serves templates and values: what is glued together of
several columns is literal bytes with cells between them. Source: the CloudEvents 1.0 specification (JSON format),
Debezium's documentation "Emitting change event records in CloudEvents format", and the original class.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of, parsed, text
from pycdc.converters.javatext import quoted
from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import RecordError
from pycdc.model.envelope import AFTER, BEFORE, OP, SOURCE
from pycdc.model.schema import Schema, struct
from pycdc.model.template import Form, Leaf
from pycdc.plugins.contracts import Cell, Piece

_EXTENSION: Final = "iodebezium"
_TRANSACTION: Final = "transaction"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_METADATA: Final = "value,id:generate,type:generate,traceparent:header,dataSchemaName:generate"


def _from_the_value(value: str) -> str:
    words = [w.strip() for w in value.split(",") if w.strip()]
    taken = [w for w in words if not w.startswith("traceparent:")]
    if any(w == "header" or w.endswith(":header") for w in taken):
        raise ValueError("must be value, with id, type and dataSchemaName generated: metadata from headers are not available here")
    return value


class CloudEventsConverterConfig(ConfigDef):
    """Options of the CloudEventsConverter; those of `json.` are the JsonConverter's."""

    serializer = Property[str]("serializer.type", one_of("json"), default="json", doc="Format of the event.")
    data_serializer = Property[str]("data.serializer.type", one_of("json"), default="json", doc="Format of its data.")
    extensions = Property[bool]("extension.attributes.enable", boolean(), default=True, doc="The source block as attributes `iodebezium...`.")
    tracing = Property[bool](
        "opentelemetry.tracing.attributes.enable", boolean(), default=False, ignored="tracing attributes come from headers", doc="Attribute traceparent."
    )
    adjust = Property[str | None](
        "schema.name.adjustment.mode", text(), ignored="the name of the event's schema does not show in JSON", doc="Schema names."
    )
    name = Property[str | None]("schema.cloudevents.name", text(), ignored="the name of the event's schema does not show in JSON", doc="Schema name.")
    header_name = Property[bool](
        "schema.data.name.source.header.enable", boolean(), default=False, ignored="metadata come from the event itself", doc="Data's schema name from a header."
    )
    metadata = Property[str](
        "metadata.source", parsed("LIST", _from_the_value, "value,id:generate,type:generate"), default=_METADATA, doc="Where metadata come from."
    )
    schemas_enable = Property[bool]("json.schemas.enable", boolean(), default=True, doc="Write the data's schema with it.")
    schemas_cache_size = Property[int]("json.schemas.cache.size", integer(0), default=1000, doc="Schemas kept when reading.")
    decimal_format = Property[str]("json.decimal.format", one_of("BASE64", "NUMERIC"), default="BASE64", doc="How Decimal values are written.")
    replace_null = Property[bool](
        "json.replace.null.with.default", boolean(), default=True, doc="Write a field's default in place of its null."
    )


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
        #: Envelope's schema (held, so that its id stays its own) -> schema of the data.
        self._data_schemas: dict[int, tuple[Schema, Schema]] = {}

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter."""
        if schema is None or type(value) is not dict or not (schema.name or "").endswith(".Envelope"):
            return False
        source, source_schema = value[SOURCE], schema.field(SOURCE)
        assert source_schema is not None
        connector = source["connector"]
        out.append(b'{"id":"name:' + _escaped(source["name"]))
        for label, field in ((b";lsn:", "lsn"), (b";txId:", "txId"), (b";sequence:", "sequence")):
            out += [label, _inside(source.get(field))]
        out.append(
            b'","source":' + quoted(f"/debezium/{connector}/{source['name']}") + b',"specversion":"1.0","type":'
            + quoted(f"io.debezium.connector.{connector}.DataChangeEvent") + b',"time":'
        )  # fmt: skip
        out.append(_made(source["ts_ms"], _instant))
        out.append(b',"datacontenttype":"application/json"')
        if self.settings.extensions:
            self._extensions(value, source, source_schema, out)
        out.append(b',"data":')
        self._json.write(topic, self._data_schema(schema, connector), {BEFORE: value.get(BEFORE), AFTER: value.get(AFTER)}, out)
        out.append(b"}")
        return True

    def _extensions(self, value: dict[str, Any], source: dict[str, Any], schema: Schema, out: list[Piece]) -> None:
        out.append(b',"' + _EXTENSION.encode() + b'op":')
        out.append(_made(value[OP], _string))
        for field in schema.fields:
            found = source.get(field.name)
            if found is None and field.schema.has_default:
                found = field.schema.default
            out += [b"," + _attribute(field.name), _made(found, _string)]
        transaction = value.get(_TRANSACTION) or {}
        for name in ("id", "total_order", "data_collection_order"):
            out += [b"," + _attribute(f"tx{name}"), _made(transaction.get(name), _string)]

    def _data_schema(self, schema: Schema, connector: str) -> Schema:
        known = self._data_schemas.get(id(schema))
        if known is None:
            if len(self._data_schemas) >= 4096:
                self._data_schemas.clear()
            fields = [(n, f) for n in (BEFORE, AFTER) if (f := schema.field(n)) is not None]
            known = self._data_schemas[id(schema)] = (schema, struct(fields, name=f"io.debezium.connector.{connector}.Data"))
        return known[1]

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """The event as a map without schema; its data as their own schema says, which is taken off."""
        if data is None:
            return None, None
        try:
            event = orjson.loads(data)
            missing = [n for n in ("id", "source", "specversion", "type", "data") if n not in event]
        except (orjson.JSONDecodeError, TypeError):
            event, missing = None, ["everything"]
        if missing or not isinstance(event, dict):
            raise RecordError("a message is no CloudEvent", where=topic, cause=f"it lacks {', '.join(missing)}")
        if self.settings.schemas_enable:
            event["data"] = self._json.read(topic, orjson.dumps(event["data"]))[1]
        return None, event


def _attribute(name: str) -> bytes:
    """CloudEvents allow letters and digits."""
    return b'"' + _EXTENSION.encode() + "".join(c for c in name if c.isascii() and c.isalnum()).encode() + b'":'


def _escaped(value: str) -> bytes:
    return quoted(value)[1:-1]


def _string(value: str) -> bytes:
    return quoted(value)


def _instant(value: str) -> bytes:
    moment = _EPOCH + timedelta(milliseconds=int(value))
    return f'"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"'.encode()


def _inside(value: Any) -> Piece:
    """A value in the middle of a string; Java writes a null there as `null`."""
    if type(value) is not Leaf:
        return b"null" if value is None else _escaped(str(value))
    if value.reader.form is Form.DIGITS:
        return Cell(value.column, None, b"null")
    return Cell(value.column, lambda data: _escaped(data.decode()), b"null")


def _made(value: Any, make: Callable[[str], bytes]) -> Piece:
    """A value made of its text; a null is null."""
    if type(value) is Leaf:
        null = b"null" if value.null is None else make(str(value.null))
        return Cell(value.column, lambda data: make(data.decode()), null)
    return b"null" if value is None else make(str(value))
