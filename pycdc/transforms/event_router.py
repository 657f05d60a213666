"""io.debezium.transforms.outbox.EventRouter: rows inserted into an outbox table become events of their own.

Source: Debezium's documentation of the transform, and the captures under tests/differential (outbox_*).
Spans for OpenTelemetry are not written: without its agent Debezium writes none either.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import structlog

from pycdc.config.definition import ConfigDef, Kind, Property, boolean, one_of, parsed, words
from pycdc.errors import Fault, RecordError
from pycdc.model.envelope import AFTER, DELETE, OP, TRUNCATE, UPDATE
from pycdc.model.javaregex import compile_java, replacement
from pycdc.model.names import FIELD_ADJUSTERS
from pycdc.model.record import Header, Record
from pycdc.model.schema import Field, Schema
from pycdc.transforms.envelopes import envelope_of, text_field
from pycdc.transforms.json_payload import JsonPayload, NotExpandable
from pycdc.transforms.operand import MAX_SCHEMAS, fields_or_null, is_null, known, or_default
from pycdc.transforms.options import java_pattern, trimmed

_PURPOSE = "EventRouter"
_NO_TRACING = "no spans are written"
_TICKS = {"io.debezium.time.Timestamp": 1, "io.debezium.time.MicroTimestamp": 1000, "io.debezium.time.NanoTimestamp": 1_000_000}

log = structlog.get_logger(__name__)


class _Placed(NamedTuple):
    column: str
    #: header, envelope or partition.
    place: str
    alias: str


def _placements() -> Kind[tuple[_Placed, ...]]:
    def one(word: str) -> _Placed:
        column, _, rest = word.partition(":")
        place, _, alias = rest.partition(":")
        if place.strip().lower() not in ("header", "envelope", "partition") or not column.strip() or ":" in alias:
            raise ValueError("must be column:header, column:envelope or column:partition, each with :alias if wanted")
        return _Placed(column.strip(), place.strip().lower(), alias.strip() or column.strip())

    return parsed("LIST", lambda text: tuple(map(one, words().parse(text))), "column:header|envelope|partition[:alias],...")


class EventRouterConfig(ConfigDef):
    """Options of EventRouter."""

    id = Property[str]("table.field.event.id", trimmed(), default="id", doc="Column of the event's id, which becomes the header `id`.")
    key = Property[str]("table.field.event.key", trimmed(), default="aggregateid", doc="Column that becomes the key.")
    type = Property[str](
        "table.field.event.type", trimmed(), default="type", doc="Column of the event's type.",
        ignored="no part of the event is made from it; place it with table.fields.additional.placement",
    )  # fmt: skip
    payload = Property[str]("table.field.event.payload", trimmed(), default="payload", doc="Column that becomes the value.")
    timestamp = Property[str](
        "table.field.event.timestamp", trimmed(), default="",
        doc="Column of the event's time; without it, and where it is null, the time at which the change was read.",
    )  # fmt: skip
    version = Property[str](
        "table.field.event.schema.version", trimmed(), default="", doc="Column of the value schema's version, used with envelope placements."
    )
    placed = Property[tuple[_Placed, ...]](
        "table.fields.additional.placement", _placements(), default=(),
        doc="Further columns: into a header, beside the payload (the value is then a struct), or as the Kafka partition.",
    )  # fmt: skip
    missing = Property[str](
        "table.field.additional.missing", one_of("error", "ignore"), default="error", doc="What a placed column that the table has not does.",
        old_names=("table.fields.additional.error.on.missing",), old_values={"true": "error", "false": "ignore"},
    )  # fmt: skip
    invalid = Property[str](
        "table.op.invalid.behavior", one_of("warn", "error", "fatal"), default="warn",
        doc="What an update does: it is logged and dropped, or stops the connector (fatal).",
    )  # fmt: skip
    route_by = Property[str]("route.by.field", trimmed(), default="aggregatetype", doc="Column whose text makes the topic.")
    regex = Property[str]("route.topic.regex", java_pattern(), default="(?<routedByValue>.*)", doc="Matches that text in full.")
    replacement = Property[str](
        "route.topic.replacement", trimmed(), default="outbox.event.${routedByValue}", doc="The topic, from the match."
    )
    tombstone = Property[bool](
        "route.tombstone.on.empty.payload", boolean(), default=False, doc="A payload that is null or blank becomes a tombstone."
    )
    expand = Property[bool](
        "table.expand.json.payload", boolean(), default=False, doc="Write a payload of JSON text as a struct with the schema it shows."
    )
    nulls = Property[str](
        "table.json.payload.null.behavior", one_of("ignore", "optional_bytes"), default="ignore",
        doc="Nulls in expanded payloads: left out, or optional bytes.",
    )  # fmt: skip
    adjustment = Property[str](
        "field.name.adjustment.mode", one_of("none", "avro", "avro_unicode"), default="none",
        doc="How the names in expanded payloads are fitted to Avro.",
    )  # fmt: skip
    span = Property[str]("tracing.span.context.field", trimmed(), default="tracingspancontext", doc="Tracing.", ignored=_NO_TRACING)
    operation = Property[str]("tracing.operation.name", trimmed(), default="debezium-read", doc="Tracing.", ignored=_NO_TRACING)
    context_only = Property[bool]("tracing.with.context.field.only", boolean(), default=False, doc="Tracing.", ignored=_NO_TRACING)

    def check(self, faults: list[Fault]) -> None:
        if not all((self.id, self.key, self.payload, self.route_by)):
            faults.append(Fault("table.field.event.id", "the columns of id, key, payload and route.by.field must be named"))


class EventRouter:
    """Deletes, truncates and tombstones of the outbox are dropped; records that are no change events pass."""

    config = EventRouterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, EventRouterConfig)
        self._settings = settings
        self._regex = compile_java(settings.regex)
        self._replacement = replacement(settings.replacement)
        self._json = JsonPayload(keep_nulls=settings.nulls == "optional_bytes", adjust=FIELD_ADJUSTERS[settings.adjustment])
        self._enveloped = any(p.place == "envelope" for p in settings.placed)
        self._schemas: dict[tuple[Any, ...], tuple[Schema, Schema, Schema]] = {}

    def apply(self, record: Record) -> Record | None:
        event = envelope_of(record)
        if event is None:
            return None if is_null(record.value) else record
        op = known(event.get(OP))
        if op == UPDATE:
            self._unexpected(record.topic)
        if op in (UPDATE, DELETE, TRUNCATE):
            return None
        schema = record.value_schema and record.value_schema.field(AFTER)
        row = fields_or_null(event.get(AFTER), _PURPOSE)
        if schema is None or row is None:
            raise RecordError("an outbox event has no row", cause=f"{_PURPOSE}: operation {op}")
        return self._event(record, event, schema, row)

    def _unexpected(self, topic: str) -> None:
        if self._settings.invalid == "fatal":
            raise RecordError("a row of the outbox was updated", cause="EventRouter: table.op.invalid.behavior=fatal")
        write = log.warning if self._settings.invalid == "warn" else log.error
        write("a row of the outbox was updated: ignored", topic=topic)

    def _event(self, record: Record, event: dict[str, Any], schema: Schema, row: dict[str, Any]) -> Record:
        s = self._settings
        route = text_field(schema, row, s.route_by, "route.by.field")
        if route is None:
            raise RecordError("an outbox event has no topic", cause=f"route.by.field: field {s.route_by} is null")
        id_schema, event_id = _column(schema, row, s.id)
        key_schema, key = _column(schema, row, s.key)
        payload_schema, payload = self._expanded(*_column(schema, row, s.payload))
        placed = [p for p in s.placed if schema.field(p.column) is not None or s.missing == "error"]
        headers = [Header("id", id_schema, event_id)]
        headers += [Header(p.alias, *_column(schema, row, p.column)) for p in placed if p.place == "header"]
        value_schema, value = self._value(schema, row, placed, payload_schema, payload, route)
        match = self._regex.fullmatch(route)
        return Record(
            topic=route if match is None else self._replacement(match),
            key_schema=key_schema, key=key, value_schema=value_schema, value=value,
            headers=(*record.headers, *headers),
            partition=self._partition(schema, row, placed), timestamp=self._timestamp(schema, row, event), offset=record.offset,
        )  # fmt: skip

    def _expanded(self, schema: Schema, payload: Any) -> tuple[Schema, Any]:
        if not self._settings.expand or not isinstance(known(payload), str):
            return schema, payload
        try:
            return self._json.expand(self._settings.payload, payload)
        except NotExpandable as error:
            log.warning("a payload is not expanded", reason=str(error))
            return schema, payload

    def _value(
        self, schema: Schema, row: dict[str, Any], placed: list[_Placed], payload_schema: Schema, payload: Any, route: str
    ) -> tuple[Schema | None, Any]:
        if self._settings.tombstone and (known(payload) is None or (isinstance(payload, str) and not payload.strip())):
            return None, None
        if not self._enveloped:
            return payload_schema, payload
        beside = [(p.alias, *_column(schema, row, p.column)) for p in placed if p.place == "envelope"]
        version = None
        if self._settings.version:
            held = _column(schema, row, self._settings.version)
            version = self._whole(held, self._settings.version)
        own = self._struct(schema, payload_schema, [(a, s) for a, s, _ in beside], version, route)
        return own, {"payload": payload, **{alias: value for alias, _, value in beside}}

    def _struct(self, schema: Schema, payload: Schema, beside: list[tuple[str, Schema]], version: int | None, route: str) -> Schema:
        """Cached: by identity of what goes in, which the entry holds."""
        key = (id(schema), id(payload), version, route)
        cached = self._schemas.get(key)
        if cached is None:
            if len(self._schemas) >= MAX_SCHEMAS:  # expanded payloads have a schema each
                self._schemas.clear()
            prefix, dot, last = (schema.name or "").rpartition(".")
            name = f"{prefix}{dot}{route}.{last}" if schema.name is not None else route
            fields = (Field("payload", payload), *(Field(alias, own) for alias, own in beside))
            made = Schema(type="struct", name=name, version=version, fields=fields)
            cached = self._schemas[key] = (schema, payload, made)
        return cached[2]

    def _partition(self, schema: Schema, row: dict[str, Any], placed: list[_Placed]) -> int | None:
        found: int | None = None
        for p in placed:
            if p.place == "partition":
                found = self._whole(_column(schema, row, p.column), p.column)
        return found

    def _whole(self, column: tuple[Schema, Any], name: str) -> int | None:
        schema, value = column
        if schema.type != "int32":
            raise RecordError("a column is no integer", cause=f"{_PURPOSE}: field {name} of type {schema.type}, int32 is needed")
        number: int | None = known(value)
        return number

    def _timestamp(self, schema: Schema, row: dict[str, Any], event: dict[str, Any]) -> int | None:
        """Milliseconds."""
        name = self._settings.timestamp
        if name:
            own, value = _column(schema, row, name)
            if own.type != "int64" or own.name not in _TICKS:
                raise RecordError(
                    "a column is no time that an event can have",
                    cause=f"table.field.event.timestamp: field {name} of type {own.name or own.type}",
                    hint="it must be a timestamp column under time.precision.mode adaptive",
                )
            if known(value) is not None:
                ticks = _TICKS[own.name]
                return int(value // ticks if value >= 0 else -(-value // ticks))
        moment: int | None = known(event.get("ts_ms"))
        return moment


def _column(schema: Schema, row: dict[str, Any], name: str) -> tuple[Schema, Any]:
    own = schema.field(name)
    if own is None:
        raise RecordError("the outbox has no such column", cause=f"{_PURPOSE}: field {name}")
    return own, or_default(own, row.get(name))
