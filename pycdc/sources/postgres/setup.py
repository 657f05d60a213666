"""Parsed configuration -> what the source's parts take: connection, event settings, run id."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import msgspec

from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings
from pycdc.debezium.filters import Filters
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.debezium.types import TypeSettings
from pycdc.errors import Fault, PycdcError
from pycdc.model.names import FIELD_ADJUSTERS, SCHEMA_ADJUSTERS
from pycdc.model.record import Header
from pycdc.model.schema import STRING
from pycdc.plugins.contracts import SignalChannels, SignalTopic
from pycdc.postgres.session import ConnectionSettings, connect
from pycdc.sources.postgres.config import PostgresSourceConfig
from pycdc.sources.postgres.incremental import IncrementalSettings
from pycdc.sources.postgres.notifier import Notifier

#: max.queue.size.in.bytes of 0 means this here: memory is always bounded.
DEFAULT_QUEUE_BYTES = 64 << 20
#: Seconds for a trial: whoever creates a connector waits for it.
_CHECK_LIMIT = 10


def connection(c: PostgresSourceConfig, application_name: str) -> ConnectionSettings:
    """`application_name` shows in pg_stat_replication and pg_stat_activity, unless driver.ApplicationName says another."""
    driver = c.with_prefix("driver.")
    limit = driver.get("connectTimeout") or driver.get("loginTimeout") or ""
    sslmode = c.sslmode
    if (c.sslfactory or "").endswith("NonValidatingFactory") and sslmode in ("verify-ca", "verify-full"):
        sslmode = "require"
    return ConnectionSettings(
        host=c.hostname, port=c.port, user=c.user, password=c.login_password, dbname=c.dbname,
        sslmode=sslmode, sslcert=c.sslcert, sslkey=c.sslkey, sslpassword=c.sslpassword, sslrootcert=c.sslrootcert,
        tcp_keepalive=c.tcp_keepalive, application_name=(driver.get("ApplicationName") or application_name)[:63],
        connect_timeout=int(limit) if limit.isdigit() and int(limit) else 10,
    )  # fmt: skip


async def connection_fault(c: PostgresSourceConfig, faults: Sequence[Fault]) -> str | None:
    """Why there is no connection to the server; None: there is. `faults` are those of the settings."""
    for fault in faults:
        if fault.key.startswith("database."):
            return f"{fault.key} {fault.message}"
    try:
        async with asyncio.timeout(_CHECK_LIMIT), await connect(connection(c, "pycdc validation")):
            return None
    except TimeoutError:
        return f"the server has not answered within {_CHECK_LIMIT} s"
    except ValueError:  # what the protocol cannot carry: a null character, half a surrogate pair
        return "a setting of the connection has characters that none can have"
    except PycdcError as error:
        return "; ".join(" ".join(part.split()) for part in (error.cause or error.what, error.hint) if part)


def with_time_limit(settings: ConnectionSettings, c: PostgresSourceConfig) -> ConnectionSettings:
    """For the connection of catalog queries: database.query.timeout.ms. Snapshots have no such limit."""
    return msgspec.structs.replace(settings, options={**settings.options, "statement_timeout": str(c.query_timeout)})


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
            propagate_columns=c.propagate_columns, propagate_types=c.propagate_types,
            custom=c.custom_converters(),
        ),
        filters=_filters(c),
        keys=c.key_columns,
        tombstones=c.tombstones,
        skipped=c.skipped,
        skip_unchanged=c.skip_unchanged,
        strict=c.conversion_failure == "fail",
        transaction_metadata=c.transaction_metadata,
        adjust_schema=SCHEMA_ADJUSTERS[c.schema_adjust],
        adjust_field=FIELD_ADJUSTERS[c.field_adjustment],
        context_headers=context,
    )  # fmt: skip


class SnapshotPolicy(msgspec.Struct, frozen=True):
    """What snapshot.mode means. `data`: never, unfinished (when none has been finished) or always (at every start)."""

    data: str
    stream: bool
    #: Take a new one when the slot no longer holds what follows the stored offset.
    when_lost: bool = False


def snapshot_policy(c: PostgresSourceConfig) -> SnapshotPolicy:
    """Source: snapshot.mode, and snapshot.mode.configuration.based.*."""
    match c.snapshot_mode:
        case "initial_only":
            return SnapshotPolicy("unfinished", stream=False)
        case "always":
            return SnapshotPolicy("always", stream=True)
        case "no_data" | "never":
            return SnapshotPolicy("never", stream=True)
        case "when_needed":
            return SnapshotPolicy("unfinished", stream=True, when_lost=True)
        case "configuration_based":
            return SnapshotPolicy("always" if c.based_on_data else "never", stream=c.based_on_stream, when_lost=c.based_on_data_error)
        case _:
            return SnapshotPolicy("unfinished", stream=True)


def parts_per_table(c: PostgresSourceConfig) -> int:
    """Into how many ranges a large table is split among the readers."""
    return 1 if c.legacy_threads else c.snapshot_threads * c.threads_multiplier


def incremental_settings(c: PostgresSourceConfig) -> IncrementalSettings:
    """How incremental snapshots are taken."""
    return IncrementalSettings(
        chunk_size=c.chunk_size, signal_table=None if c.read_only else c.signal_table, deletes=c.watermarking == "insert_delete"
    )


def notifier(c: PostgresSourceConfig) -> Notifier:
    """To the channels that are enabled."""
    topic = c.notification_topic if "sink" in c.notification_channels else None
    return Notifier(c.topic_prefix, topic, logged="log" in c.notification_channels)


def signal_channels(c: PostgresSourceConfig) -> SignalChannels | None:
    """What the runtime reads besides the signal table."""
    topic = None
    if "kafka" in c.signal_channels:
        consumer = {"bootstrap.servers": c.signal_bootstrap or "", **c.with_prefix("signal.consumer.")}
        topic = SignalTopic(c.signal_topic or f"{c.topic_prefix}-signal", c.topic_prefix, c.signal_group, consumer)
    file = c.signal_file if "file" in c.signal_channels else None
    if topic is None and file is None:
        return None
    return SignalChannels(topic, file, c.signal_interval / 1000)


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
        signal_table=c.signal_table,
    )  # fmt: skip
