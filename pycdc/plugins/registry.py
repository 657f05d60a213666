"""Class names -> classes, imported when they are used.

A connector, converter, transform or predicate is found by its original's full name, by that name's last
part where it is unique, with or without `Connector` or `Converter` behind it (as Connect's plugin aliases), by a
short native name, or through an entry point of the groups `pycdc.connectors`, `.converters`, `.transforms`,
`.predicates` and `.custom_converters`, or as `module:Class`. Nothing is imported to list names: start-up pays only
for what the configuration names.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

Kind = str
SOURCE: Final = "source"
SINK: Final = "sink"
CONVERTER: Final = "converter"
TRANSFORM: Final = "transform"
PREDICATE: Final = "predicate"
CUSTOM: Final = "custom converter"

_POSTGRES = "pycdc.sources.postgres:PostgresSource"
_JDBC = "pycdc.sources.jdbc:JdbcSource"
_POSTGRES_SINK = "pycdc.sinks.postgres:PostgresSink"
_CLICKHOUSE_SINK = "pycdc.sinks.clickhouse:ClickHouseSink"
_STARROCKS_SINK = "pycdc.sinks.starrocks:StarRocksSink"

_KAFKA = "org.apache.kafka.connect.transforms"


def _sided(*names: str) -> dict[str, str]:
    """Transforms with a form for keys and one for values."""
    module = {name: re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in names}
    return {
        f"{_KAFKA}.{name}${side}": f"pycdc.transforms.{module[name]}:{name}{side if side == 'Key' else ''}"
        for name in names
        for side in ("Key", "Value")
    }


TABLE: Final[Mapping[Kind, Mapping[str, str]]] = {
    SOURCE: {
        "io.debezium.connector.postgresql.PostgresConnector": _POSTGRES,
        "postgres": _POSTGRES,
        "io.confluent.connect.jdbc.JdbcSourceConnector": _JDBC,
        "jdbc-source": _JDBC,
    },
    SINK: {
        "io.confluent.connect.jdbc.JdbcSinkConnector": _POSTGRES_SINK,
        "io.aiven.connect.jdbc.JdbcSinkConnector": _POSTGRES_SINK,
        "io.debezium.connector.jdbc.JdbcSinkConnector": _POSTGRES_SINK,
        "jdbc-sink": _POSTGRES_SINK,
        "com.clickhouse.kafka.connect.ClickHouseSinkConnector": _CLICKHOUSE_SINK,
        "clickhouse": _CLICKHOUSE_SINK,
        "com.starrocks.connector.kafka.StarRocksSinkConnector": _STARROCKS_SINK,
        "io.pycdc.starrocks.StarRocksSink": _STARROCKS_SINK,
        "starrocks": _STARROCKS_SINK,
    },
    CONVERTER: {
        "org.apache.kafka.connect.json.JsonConverter": "pycdc.converters.json:JsonConverter",
        "org.apache.kafka.connect.storage.StringConverter": "pycdc.converters.string:StringConverter",
        "io.debezium.converters.BinaryDataConverter": "pycdc.converters.bytes:BinaryDataConverter",
        "io.debezium.converters.ByteArrayConverter": "pycdc.converters.bytes:BinaryDataConverter",
        "io.debezium.converters.CloudEventsConverter": "pycdc.converters.cloud_events:CloudEventsConverter",
        "org.apache.kafka.connect.converters.ShortConverter": "pycdc.converters.numbers:ShortConverter",
        "org.apache.kafka.connect.converters.IntegerConverter": "pycdc.converters.numbers:IntegerConverter",
        "org.apache.kafka.connect.converters.LongConverter": "pycdc.converters.numbers:LongConverter",
        "org.apache.kafka.connect.converters.FloatConverter": "pycdc.converters.numbers:FloatConverter",
        "org.apache.kafka.connect.converters.DoubleConverter": "pycdc.converters.numbers:DoubleConverter",
        "org.apache.kafka.connect.converters.BooleanConverter": "pycdc.converters.numbers:BooleanConverter",
        "org.apache.kafka.connect.storage.SimpleHeaderConverter": "pycdc.converters.simple_header:SimpleHeaderConverter",
        "org.apache.kafka.connect.converters.ByteArrayConverter": "pycdc.converters.bytes:ByteArrayConverter",
        "io.confluent.connect.avro.AvroConverter": "pycdc.converters.avro:AvroConverter",
        "io.confluent.connect.json.JsonSchemaConverter": "pycdc.converters.jsonschema:JsonSchemaConverter",
        "io.confluent.connect.protobuf.ProtobufConverter": "pycdc.converters.protobuf:ProtobufConverter",
    },
    TRANSFORM: {
        **_sided("Cast", "ExtractField", "Flatten", "HeaderFrom", "HoistField", "InsertField", "MaskField", "ReplaceField",
                 "SetSchemaMetadata", "TimestampConverter"),
        **{
            f"{_KAFKA}.{name}": f"pycdc.transforms.{module}:{name}"
            for name, module in {
                "DropHeaders": "drop_headers", "Filter": "filter", "InsertHeader": "insert_header",
                "RegexRouter": "regex_router", "TimestampRouter": "timestamp_router", "ValueToKey": "value_to_key",
            }.items()
        },
        **{
            f"io.debezium.transforms.{name}": f"pycdc.transforms.{module}:{name.rpartition('.')[2]}"
            for name, module in {
                "ExtractNewRecordState": "extract_new_record_state", "ExtractChangedRecordState": "extract_changed_record_state",
                "ByLogicalTableRouter": "by_logical_table_router", "HeaderToValue": "header_to_value",
                "TimezoneConverter": "timezone_converter", "partitions.PartitionRouting": "partition_routing",
                "outbox.EventRouter": "event_router", "Filter": "scripted", "ContentBasedRouter": "scripted",
            }.items()
        },
        "com.starrocks.connector.kafka.transforms.AddOpFieldForDebeziumRecord": "pycdc.transforms.add_op_field:AddOpFieldForDebeziumRecord",
    },
    CUSTOM: {},
    PREDICATE: {
        f"{_KAFKA}.predicates.{name}": f"pycdc.transforms.predicates:{name}"
        for name in ("HasHeaderKey", "RecordIsTombstone", "TopicNameMatches")
    },
}  # fmt: skip

#: Names that the original has and a later release of pycdc will have.
LATER: Final[Mapping[str, Kind]] = {}

_GROUPS: Final = {
    SOURCE: "pycdc.connectors",
    SINK: "pycdc.connectors",
    CONVERTER: "pycdc.converters",
    TRANSFORM: "pycdc.transforms",
    PREDICATE: "pycdc.predicates",
    CUSTOM: "pycdc.custom_converters",
}

#: What Connect lets a short name leave out.
ENDING: Final = {SOURCE: "Connector", SINK: "Connector", CONVERTER: "Converter"}

#: A method that tells connectors of one group apart.
_METHOD: Final = {SOURCE: "read", SINK: "put"}


class UnknownClass(ValueError):
    """No class of that name; the message is what a Fault says."""


def load(kind: Kind, name: str) -> type[Any]:
    """The class that `name` means. Raises UnknownClass, whose text names the nearest and the available ones."""
    full = canonical(kind, name)
    target = TABLE[kind].get(full)
    if target is not None:
        module, _, attribute = target.partition(":")
        try:
            found: type[Any] = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UnknownClass(f"cannot be loaded: {error}") from error
        return found
    for point in _points(kind):
        if point.name == full:
            return _loaded(point, kind)
    if re.fullmatch(r"[\w.]+:\w+", full):
        return _loaded(EntryPoint(full, full, _GROUPS[kind]), kind)
    raise UnknownClass(_unknown(kind, full))


def canonical(kind: Kind, name: str) -> str:
    """`name` written out: the full name whose last part it is. Raises UnknownClass when several have it."""
    name = name.strip()
    if name in TABLE[kind]:
        return name
    others = [p.name for p in _points(kind)]
    if name in others:
        return name
    meant = (name, f"{name}{ENDING.get(kind, '')}")
    full = [known for known in (*TABLE[kind], *others) if "." in known and known.rpartition(".")[2] in meant]
    if len(full) > 1:
        raise UnknownClass(f"may mean {' or '.join(full)}: write the full name")
    return full[0] if full else name


def available(kind: Kind) -> list[str]:
    """Every name of that kind, without importing anything but packages' metadata."""
    return [*TABLE[kind], *sorted(p.name for p in _points(kind))]


def _points(kind: Kind) -> Iterable[EntryPoint]:
    return entry_points(group=_GROUPS[kind])


def _loaded(point: EntryPoint, kind: Kind) -> type[Any]:
    try:
        found: type[Any] = point.load()
    except Exception as error:  # a third party's module may fail in any way while it is imported
        raise UnknownClass(f"cannot be loaded: {type(error).__name__}: {error}") from error
    method = _METHOD.get(kind)
    if method is not None and not hasattr(found, method):
        raise UnknownClass(f"is no {kind} connector: {point.value} has no method {method}")
    return found


def _unknown(kind: Kind, name: str) -> str:
    for other in (SOURCE, SINK):
        if kind in (SOURCE, SINK) and other != kind and _is(other, name):
            return f"is a {other} connector: start it with `pycdc {other}`"
    later = [full for full, k in LATER.items() if k == kind and name in (full, full.rpartition(".")[2])]
    if kind == CUSTOM:
        return "is no Python class: give module:Class, or the name of an entry point of pycdc.custom_converters (docs/custom-converters.md)"
    names = available(kind)
    listed = f"available: {', '.join(names) if names else 'none'}"
    if later:
        return f"is not available in this release; {listed}"
    nearest = nearest_name(name, names)
    return f"is no known {kind} class{f'; did you mean {nearest}?' if nearest else ''} ({listed})"


def _is(kind: Kind, name: str) -> bool:
    return any(name in (known, known.rpartition(".")[2]) for known in TABLE[kind])


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most like, without case, by its whole or by its last part."""
    whole = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), whole, n=1, cutoff=0.72)
    if close:
        return whole[close[0]]
    last = {k.rpartition(".")[2].lower(): k for k in whole.values()}
    close = difflib.get_close_matches(name.rpartition(".")[2].lower(), last, n=1, cutoff=0.8)
    return last[close[0]] if close else None
