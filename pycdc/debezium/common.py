"""Records that belong to no table: transaction boundaries, logical messages, heartbeats.

Each is a template like a table's, so that they take the same path. Their rows are given at each template.
Source: Debezium's PostgreSQL connector documentation and the captures.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any

import orjson

from pycdc.debezium.envelope import EventSettings, Templates
from pycdc.debezium.source import (
    SOURCE_SCHEMA,
    TRANSACTION_SCHEMA,
    System,
    source_value,
    system_leaf,
    transaction_value,
)
from pycdc.model.envelope import MESSAGE
from pycdc.model.record import Record
from pycdc.model.schema import (
    INT64,
    OPTIONAL_BYTES,
    OPTIONAL_INT64,
    OPTIONAL_STRING,
    STRING,
    Schema,
    struct,
)
from pycdc.model.template import Form, Leaf, Reader

_HEARTBEAT_KEY = struct([("serverName", STRING)], name="io.debezium.connector.common.ServerNameKey", version=1)
_HEARTBEAT = struct([("ts_ms", INT64)], name="io.debezium.connector.common.Heartbeat", version=1)

_TRANSACTION_KEY = struct([("id", STRING)], name="io.debezium.connector.common.TransactionMetadataKey", version=1)
_COLLECTION = struct(
    [("data_collection", STRING), ("event_count", INT64)], optional=True, name="event.collection", version=1
)
_TRANSACTION_VALUE = struct(
    [
        ("status", STRING), ("id", STRING), ("event_count", OPTIONAL_INT64),
        ("data_collections", Schema(type="array", items=_COLLECTION, optional=True)), ("ts_ms", INT64),
    ],
    name="io.debezium.connector.common.TransactionMetadataValue", version=1,
)  # fmt: skip

_MESSAGE_KEY = struct([("prefix", OPTIONAL_STRING)], name="io.debezium.connector.postgresql.MessageKey", version=1)

_STRING = Reader(read=bytes.decode, form=Form.TEXT, type_name="text")
_NUMBER = Reader(read=int, form=Form.DIGITS, type_name="int8")


def message_collection(number: int) -> str:
    """What a transaction's END calls a logical message, each for itself: Debezium prints the name of a Java object, whose id
    differs each time. `number`: the message's place among the events.
    """
    return f"io.debezium.connector.postgresql.LogicalDecodingMessageMonitor$LogicalDecodingMessageId@{number:x}"


def heartbeat(settings: EventSettings) -> Templates:
    """Rows: now in ms."""
    return (
        Record(
            topic=settings.topics.heartbeat,
            key_schema=_HEARTBEAT_KEY, key={"serverName": settings.prefix},
            value_schema=_HEARTBEAT, value={"ts_ms": Leaf(0, _NUMBER)},
            partition=0,
        ),
    )  # fmt: skip


def _transaction(settings: EventSettings, status: str, count: Any, collections: Any) -> Templates:
    leaf = Leaf(0, _STRING)
    return (
        Record(
            topic=settings.topics.transaction,
            key_schema=_TRANSACTION_KEY, key={"id": leaf},
            value_schema=_TRANSACTION_VALUE,
            value={
                "status": status, "id": leaf, "event_count": count, "data_collections": collections,
                "ts_ms": Leaf(1, _NUMBER),
            },
        ),
    )  # fmt: skip


def transaction_begin(settings: EventSettings) -> Templates:
    """Rows: id, commit time in ms."""
    return _transaction(settings, "BEGIN", None, None)


def transaction_end(settings: EventSettings) -> Templates:
    """Rows: id, commit time in ms, event count, counts by collection as a JSON list of structs."""
    collections = Leaf(3, Reader(read=orjson.loads, type_name="json", column_name="data_collections"))
    return _transaction(settings, "END", Leaf(2, _NUMBER), collections)


def collections_text(counts: dict[str, int]) -> bytes:
    """What `transaction_end` takes as its fourth text."""
    return orjson.dumps([{"data_collection": name, "event_count": n} for name, n in counts.items()])


_CONTENT: dict[str, tuple[Schema, Callable[[bytes], Any]]] = {
    "bytes": (OPTIONAL_BYTES, bytes),
    "base64": (OPTIONAL_STRING, lambda b: b2a_base64(b, newline=False).decode()),
    "base64-url-safe": (OPTIONAL_STRING, lambda b: urlsafe_b64encode(b).decode()),
    "hex": (OPTIONAL_STRING, bytes.hex),
}


def message(settings: EventSettings, binary: str = "bytes") -> Templates:
    """Rows: prefix, content, system. A message outside a transaction has no transaction block and no txId."""
    schema, read = _CONTENT[binary]
    reader = Reader(read=read, type_name="bytea", column_name="content")
    leaf = system_leaf(2)
    body = struct(
        [("prefix", OPTIONAL_STRING), ("content", schema)], name="io.debezium.connector.postgresql.Message", version=1
    )
    value_schema = struct(
        [
            ("op", STRING), ("ts_ms", OPTIONAL_INT64), ("source", SOURCE_SCHEMA), ("transaction", TRANSACTION_SCHEMA),
            ("message", body),
        ],
        name="io.debezium.connector.postgresql.MessageValue", version=1,
    )  # fmt: skip
    prefix = Leaf(0, _STRING)

    def record(*, transactional: bool) -> Record:
        in_transaction = settings.transaction_metadata and transactional
        value = {
            "op": MESSAGE, "ts_ms": leaf(System.NOW_MS),
            "source": source_value(settings.prefix, settings.database, "", "", leaf, snapshot=False),
            "transaction": transaction_value(leaf) if in_transaction else None,
            "message": {"prefix": prefix, "content": Leaf(1, reader)},
        }  # fmt: skip
        return Record(
            topic=settings.topics.message,
            key_schema=_MESSAGE_KEY, key={"prefix": prefix}, value_schema=value_schema, value=value,
        )  # fmt: skip

    return record(transactional=True), record(transactional=False)
