"""Parsed configuration -> what the source's parts take: connection, event settings, run id."""

from __future__ import annotations

import os

from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings
from pycdc.debezium.filters import Filters
from pycdc.debezium.names import FIELD_ADJUSTERS, SCHEMA_ADJUSTERS
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.debezium.types import TypeSettings
from pycdc.model.record import Header
from pycdc.model.schema import STRING
from pycdc.postgres.session import ConnectionSettings
from pycdc.sources.postgres.config import PostgresSourceConfig

#: max.queue.size.in.bytes of 0 means this here: memory is always bounded.
DEFAULT_QUEUE_BYTES = 64 << 20


def connection(c: PostgresSourceConfig, application_name: str) -> ConnectionSettings:
    """`application_name` shows in pg_stat_replication and pg_stat_activity."""
    return ConnectionSettings(
        host=c.hostname, port=c.port, user=c.user, password=c.login_password, dbname=c.dbname,
        sslmode=c.sslmode, sslcert=c.sslcert, sslkey=c.sslkey, sslpassword=c.sslpassword, sslrootcert=c.sslrootcert,
        tcp_keepalive=c.tcp_keepalive, application_name=application_name[:63],
    )  # fmt: skip


def run_id(now_ms: int) -> str:
    """A UUID of version 7, as Debezium's runId: a new one for each start of a task (RFC 9562)."""
    number = (now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | int.from_bytes(os.urandom(10), "big") & ((1 << 76) - 1)
    number = number & ~(0b11 << 62) | 0b10 << 62
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def event_settings(c: PostgresSourceConfig, *, task_id: str, now_ms: int) -> EventSettings:
    """Everything that decides what events look like."""
    context: tuple[Header, ...] = ()
    if c.extended_headers:
        values = {"connectorLogicalName": c.topic_prefix, "taskId": task_id, "connectorName": "postgresql", "runId": run_id(now_ms)}
        context = tuple(Header(f"__debezium.context.{k}", STRING, v) for k, v in values.items())
    types = TypeSettings(
        decimal=c.decimal, time=c.time, interval=c.interval, hstore=c.hstore, binary=c.binary,
        money_fraction_digits=c.money_digits, include_unknown=c.include_unknown, unavailable_placeholder=c.placeholder,
    )  # fmt: skip
    return EventSettings(
        prefix=c.topic_prefix,
        database=c.dbname,
        topics=Topics(_topics(c)),
        columns=ColumnRules(
            types, ColumnRules.parse(c.raw),
            propagate_columns=c.propagate_columns, propagate_types=c.propagate_types, comments=c.comments,
        ),
        filters=_filters(c),
        keys=c.key_columns,
        tombstones=c.tombstones,
        skipped=c.skipped,
        skip_unchanged=c.skip_unchanged,
        transaction_metadata=c.transaction_metadata,
        comments=c.comments,
        adjust_schema=SCHEMA_ADJUSTERS[c.schema_adjust],
        adjust_field=FIELD_ADJUSTERS[c.field_adjustment],
        context_headers=context,
    )  # fmt: skip


def _topics(c: PostgresSourceConfig) -> TopicSettings:
    return TopicSettings(
        prefix=c.topic_prefix, strategy=c.naming, delimiter=c.delimiter, heartbeat_prefix=c.heartbeat_prefix,
        heartbeat_name=c.heartbeat_topic, transaction=c.transaction_topic, regex=c.topic_regex,
        replacement=c.topic_replacement, key_unique=c.key_unique, key_field=c.key_field, key_regex=c.key_field_regex,
        key_replacement=c.key_field_replacement,
    )  # fmt: skip


def _filters(c: PostgresSourceConfig) -> Filters:
    return Filters(
        schema_include=c.schema_include, schema_exclude=c.schema_exclude, table_include=c.table_include,
        table_exclude=c.table_exclude, column_include=c.column_include, column_exclude=c.column_exclude,
        message_include=c.message_include, message_exclude=c.message_exclude, ignore_builtin=c.ignore_builtin,
    )  # fmt: skip
