"""Every property of the PostgreSQL source, under Debezium's names and with Debezium's defaults.

Source: the PostgreSQL connector's configuration reference of Debezium 3.6. `ignored` says why a key that
old configurations carry has no effect here; it is accepted with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pycdc.config.definition import Property, boolean, integer, one_of, parsed, password, text, words
from pycdc.debezium.columns import PREFIXES, ColumnRules
from pycdc.debezium.keys import KeyRules
from pycdc.debezium.topics import STRATEGIES
from pycdc.errors import Fault
from pycdc.model.javaregex import NameFilter, compile_java, split_list
from pycdc.plugins import registry
from pycdc.plugins.contracts import CustomConverter
from pycdc.postgres.identity import IdentityRules
from pycdc.sources.postgres.moot import MootProperties
from pycdc.sources.postgres.reselect import CLASS, OPTIONS, ReselectRules

_LATER = "it is not available in this release"
_MOOT = "it has no meaning in pycdc"
_ADJUST = ("none", "avro", "avro_unicode")
_OPERATIONS = {"c", "u", "d", "t"}

OptionalText = Property[str | None]


def _filter() -> Any:
    return parsed("LIST", lambda s: NameFilter(split_list(s)), "Java patterns, separated by commas")


def _slot_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,63}", value):
        raise ValueError("must be 1 to 63 of the characters a-z, 0-9 and underscore")
    return value


def _java_pattern(value: str) -> str:
    compile_java(value)
    return value


def _operations(value: str) -> frozenset[str]:
    words = {w.strip().lower() for w in value.split(",") if w.strip()}
    if words == {"none"}:
        return frozenset()
    if not words <= _OPERATIONS:
        raise ValueError("must list c, u, d, t, or be none")
    return frozenset(words)


def _channels(*known: str) -> Any:
    def parse(value: str) -> tuple[str, ...]:
        listed = tuple(dict.fromkeys(w.strip().lower() for w in value.split(",") if w.strip()))
        for word in listed:
            if word not in known:
                raise ValueError(f"must list some of {', '.join(known)}")
        return listed

    return parsed("LIST", parse, ", ".join(known))


def _tags(value: str) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in value.split(",") if entry.strip()]
    for key, equals, _ in pairs:
        if not equals or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key.strip()):
            raise ValueError("must be key=value pairs, separated by commas; a key is letters, digits and underscores")
    return {key.strip(): text.strip() for key, _, text in pairs}


def _plugin(value: str) -> str:
    if value != "pgoutput":
        raise ValueError("must be pgoutput, the plugin that is part of PostgreSQL itself")
    return value


class PostgresSourceConfig(MootProperties):
    """io.debezium.connector.postgresql.PostgresConnector."""

    prefixes = (*PREFIXES, "driver.", "signal.consumer.", "snapshot.select.statement.overrides.", "snapshot.max.threads.multiplier.", "openlineage.integration.")

    # ---- connection
    topic_prefix = Property[str](
        "topic.prefix", text(), required=True, importance="HIGH", old_names=("database.server.name",),
        doc="Logical name of the source: first part of every topic, and the offset's key.",
    )
    hostname = Property[str]("database.hostname", text(), required=True, importance="HIGH", doc="Host, or hosts separated by commas.")
    port = Property[int]("database.port", integer(1, 65535), default=5432, importance="HIGH", doc="Port.")
    user = Property[str]("database.user", text(), required=True, importance="HIGH", doc="Role with LOGIN and REPLICATION.")
    login_password = Property[str | None]("database.password", password(), importance="HIGH", doc="The role's password.")
    dbname = Property[str]("database.dbname", text(), required=True, importance="HIGH", doc="Database to capture.")
    sslmode = Property[str](
        "database.sslmode", one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"), default="prefer",
        doc="As libpq's sslmode.",
    )
    sslcert = OptionalText("database.sslcert", text(), doc="Client certificate, PEM file.")
    sslkey = OptionalText("database.sslkey", text(), doc="Client key, PEM file.")
    sslpassword = Property[str | None]("database.sslpassword", password(), doc="Password of the client key.")
    sslrootcert = OptionalText("database.sslrootcert", text(), doc="Certificate authorities, PEM file.")
    sslfactory = OptionalText(
        "database.sslfactory", text(), doc="Of the JDBC driver; NonValidatingFactory lowers verify-ca and verify-full to require, others have no effect."
    )
    tcp_keepalive = Property[bool]("database.tcpKeepAlive", boolean(), default=True, doc="TCP keepalive on all connections.")
    initial_statements = OptionalText(
        "database.initial.statements", text(), doc="SQL run on every ordinary connection; `;` separates, `;;` is a semicolon."
    )
    query_timeout = Property[int]("database.query.timeout.ms", integer(0), default=600_000, doc="Limit of catalog queries, ms; 0 = none.")
    guardrail = Property[int]("guardrail.collections.max", integer(0), default=0, doc="Most tables that may be captured; 0 = no limit.")
    guardrail_action = Property[str](
        "guardrail.collections.limit.action", one_of("warn", "fail"), default="warn", doc="What more tables than that do."
    )
    max_retries = Property[int]("errors.max.retries", integer(-1), default=-1, doc="Retries after a retriable fault; -1 endless, 0 none.")
    retry_wait = Property[int](
        "retriable.restart.connector.wait.ms", integer(0), default=10_000, doc="Longest pause before a retry, ms; the first is short."
    )

    # ---- slot and publication
    plugin = Property[str](
        "plugin.name", parsed("STRING", _plugin, "pgoutput"), default="pgoutput", doc="Logical decoding plugin."
    )
    slot = Property[str]("slot.name", parsed("STRING", _slot_name), default="debezium", doc="Replication slot; made when missing.")
    slot_drop = Property[bool](
        "slot.drop.on.stop", boolean(), default=False, old_names=("slot.drop_on_stop",), doc="Drop the slot at an orderly stop."
    )
    slot_failover = Property[bool]("slot.failover", boolean(), default=False, doc="Make the slot a failover slot (PostgreSQL 17).")
    slot_params = OptionalText("slot.stream.params", text(), doc="`key=value;...` for START_REPLICATION.")
    slot_retries = Property[int]("slot.max.retries", integer(0), default=6, doc="Tries to attach to a busy slot.")
    slot_retry_delay = Property[int]("slot.retry.delay.ms", integer(0), default=10_000, doc="Pause between those tries, ms.")
    creation_timeout = Property[int](
        "internal.create.slot.command.timeout", integer(0), default=90, doc="Limit for making a slot, s; then it is tried again. 0 = none."
    )
    mismatch = Property[str](
        "offset.mismatch.strategy", one_of("no_validation", "trust_offset", "trust_slot", "trust_greater_lsn"), default="no_validation",
        doc="When the slot is ahead of the stored offset: the first two stop with an error, the others go on from the slot. "
        "When the offset is ahead: trust_slot reads again from the slot.",
    )
    identity_autoset = Property[IdentityRules](
        "replica.identity.autoset.values", parsed("LIST", IdentityRules.parse, "schema.table:DEFAULT, FULL, NOTHING or INDEX name"),
        default=IdentityRules([]), doc="Replica identities to set at the start; the table is a Java pattern.",
    )
    publication = Property[str]("publication.name", text(), default="dbz_publication", doc="Publication; see publication.autocreate.mode.")
    autocreate = Property[str](
        "publication.autocreate.mode", one_of("all_tables", "disabled", "filtered", "no_tables"), default="all_tables",
        doc="What to do when the publication is missing; filtered also keeps its tables in step with the filters.",
    )
    via_root = Property[bool](
        "publish.via.partition.root", boolean(), default=False, doc="Publish partitions under their root, for a publication made here."
    )
    status_interval = Property[int]("status.update.interval.ms", integer(1), default=10_000, doc="Longest time between status updates, ms.")
    flush_mode = Property[str](
        "lsn.flush.mode", one_of("connector", "manual", "connector_and_driver"), default="connector",
        doc="Who confirms positions; manual = nobody.",
    )
    flush_lsn_source = Property[bool](
        "flush.lsn.source", boolean(), default=True, doc="Old form of lsn.flush.mode: false = manual."
    )
    xmin_interval = Property[int]("xmin.fetch.interval.ms", integer(0), default=0, doc="Fill source.xmin from the slot this often, ms; 0 = never.")

    # ---- what is captured
    schema_include = Property[NameFilter](
        "schema.include.list", _filter(), default=NameFilter([]), old_names=("schema.whitelist",), doc="Schemas to capture."
    )
    schema_exclude = Property[NameFilter](
        "schema.exclude.list", _filter(), default=NameFilter([]), old_names=("schema.blacklist",), doc="Schemas to leave out."
    )
    table_include = Property[NameFilter](
        "table.include.list", _filter(), default=NameFilter([]), old_names=("table.whitelist",), importance="HIGH",
        doc="Tables to capture, as `schema.table`.",
    )
    table_exclude = Property[NameFilter](
        "table.exclude.list", _filter(), default=NameFilter([]), old_names=("table.blacklist",), doc="Tables to leave out."
    )
    column_include = Property[NameFilter](
        "column.include.list", _filter(), default=NameFilter([]), old_names=("column.whitelist",), doc="Columns to keep, as `schema.table.column`."
    )
    column_exclude = Property[NameFilter](
        "column.exclude.list", _filter(), default=NameFilter([]), old_names=("column.blacklist",), doc="Columns to leave out."
    )
    ignore_builtin = Property[bool]("table.ignore.builtin", boolean(), default=True, doc="Leave out system tables.")
    key_columns = Property[KeyRules](
        "message.key.columns", parsed("STRING", KeyRules.parse, "table:column,column;..."), default=KeyRules([]),
        doc="Record keys by table, in place of primary keys.",
    )
    message_include = Property[NameFilter]("message.prefix.include.list", _filter(), default=NameFilter([]), doc="Logical messages to publish, by prefix.")
    message_exclude = Property[NameFilter]("message.prefix.exclude.list", _filter(), default=NameFilter([]), doc="Logical messages to leave out.")
    skipped = Property[frozenset[str]](
        "skipped.operations", parsed("LIST", _operations, "c, u, d, t, none"), default=frozenset("t"),
        doc="Kinds of change that are not published; truncates by default.",
    )
    skip_unchanged = Property[bool](
        "skip.messages.without.change", boolean(), default=False, doc="Drop updates that change no captured column (REPLICA IDENTITY FULL)."
    )
    tombstones = Property[bool]("tombstones.on.delete", boolean(), default=True, doc="A null message behind every delete.")
    heartbeat_interval = Property[int]("heartbeat.interval.ms", integer(0), default=0, doc="Period of heartbeat records, ms; 0 = none.")
    heartbeat_query = OptionalText("heartbeat.action.query", text(), doc="SQL run with each heartbeat.")
    heartbeat_prefix = Property[str](
        "topic.heartbeat.prefix", text(), default="__debezium-heartbeat", old_names=("heartbeat.topics.prefix",), doc="First part of the heartbeat topic."
    )
    heartbeat_topic = OptionalText("topic.heartbeat.name", text(), doc="The heartbeat topic's whole name.")
    transaction_metadata = Property[bool]("provide.transaction.metadata", boolean(), default=False, doc="Transaction records and blocks.")
    transaction_topic = Property[str](
        "topic.transaction", text(), default="transaction", old_names=("transaction.topic",), doc="Last part of the transaction topic."
    )

    # ---- values and schemas
    decimal = Property[str]("decimal.handling.mode", one_of("precise", "double", "string"), default="precise", doc="numeric and money.")
    time = Property[str](
        "time.precision.mode",
        one_of("adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"),
        default="adaptive", doc="date, time and timestamp without time zone.",
    )
    hstore = Property[str]("hstore.handling.mode", one_of("json", "map"), default="json", doc="hstore.")
    interval = Property[str]("interval.handling.mode", one_of("numeric", "string"), default="numeric", doc="interval.")
    binary = Property[str]("binary.handling.mode", one_of("bytes", "base64", "base64-url-safe", "hex"), default="bytes", doc="bytea.")
    money_digits = Property[int]("money.fraction.digits", integer(0), default=2, doc="Scale of money in precise mode.")
    include_unknown = Property[bool]("include.unknown.datatypes", boolean(), default=False, doc="Columns of unknown types as text.")
    placeholder = Property[str](
        "unavailable.value.placeholder", text(), default="__debezium_unavailable_value", old_names=("toasted.value.placeholder",),
        doc="Stands for an unchanged TOAST value; `hex:` begins raw bytes.",
    )
    schema_adjust = Property[str]("schema.name.adjustment.mode", one_of(*_ADJUST), default="none", doc="Characters in schema names.")
    field_adjust = Property[str]("field.name.adjustment.mode", one_of(*_ADJUST), default="none", doc="Characters in field names.")
    propagate_columns = Property[NameFilter]("column.propagate.source.type", _filter(), default=NameFilter([]), doc="Columns whose source type is a schema parameter.")
    propagate_types = Property[NameFilter]("datatype.propagate.source.type", _filter(), default=NameFilter([]), doc="The same by type, as `schema.table.type`.")
    event_failure = Property[str](
        "event.processing.failure.handling.mode", one_of("fail", "warn", "skip", "ignore"), default="fail", doc="An event that cannot be made."
    )
    conversion_failure = Property[str](
        "event.converting.failure.handling.mode", one_of("fail", "warn", "skip"), default="warn",
        doc="A value that its schema cannot hold: fail, or null with (warn) or without (skip) a log line.",
    )
    extended_headers = Property[bool]("extended.headers.enabled", boolean(), default=True, doc="The four __debezium.context headers.")

    # ---- snapshot
    snapshot_mode = Property[str](
        "snapshot.mode", one_of("initial", "always", "initial_only", "no_data", "when_needed", "configuration_based", "never", "exported"),
        default="initial", importance="HIGH", doc="When rows that are already there are read; never = no_data, exported = initial.",
    )
    based_on_data = Property[bool](
        "snapshot.mode.configuration.based.snapshot.data", boolean(), default=False, doc="configuration_based: read rows at every start."
    )
    based_on_schema = Property[bool](
        "snapshot.mode.configuration.based.snapshot.schema", boolean(), default=False, ignored="PostgreSQL needs no schema snapshot", doc="configuration_based."
    )
    based_on_stream = Property[bool](
        "snapshot.mode.configuration.based.start.stream", boolean(), default=False, doc="configuration_based: stream afterwards."
    )
    based_on_schema_error = Property[bool](
        "snapshot.mode.configuration.based.snapshot.on.schema.error", boolean(), default=False, ignored="PostgreSQL needs no schema snapshot", doc="configuration_based."
    )
    based_on_data_error = Property[bool](
        "snapshot.mode.configuration.based.snapshot.on.data.error", boolean(), default=False,
        doc="configuration_based: read rows anew when the slot no longer holds what follows the stored offset.",
    )
    snapshot_isolation = Property[str](
        "snapshot.isolation.mode", one_of("serializable", "repeatable_read", "read_committed", "read_uncommitted"), default="serializable",
        doc="Of a snapshot without a slot (initial_only); beside a slot it is always REPEATABLE READ at the slot's point.",
    )
    snapshot_locking = Property[str]("snapshot.locking.mode", one_of("none", "shared"), default="none", doc="shared = ACCESS SHARE while reading.")
    snapshot_lock_timeout = Property[int]("snapshot.lock.timeout.ms", integer(0), default=10_000, doc="Limit for those locks, ms.")
    snapshot_include = Property[NameFilter]("snapshot.include.collection.list", _filter(), default=NameFilter([]), doc="Tables to snapshot; the others are only streamed.")
    snapshot_overrides = Property[NameFilter](
        "snapshot.select.statement.overrides", _filter(), default=NameFilter([]), doc="Tables with a SELECT of their own under snapshot.select.statement.overrides.TABLE."
    )
    snapshot_order = Property[str](
        "snapshot.tables.order.by.row.count", one_of("disabled", "ascending", "descending"), default="disabled",
        doc="Read small or large tables first, by the planner's estimate; else by name.",
    )
    snapshot_delay = Property[int]("snapshot.delay.ms", integer(0), default=0, doc="Pause before the snapshot, ms.")
    streaming_delay = Property[int]("streaming.delay.ms", integer(0), default=0, doc="Pause before streaming, ms.")
    snapshot_threads = Property[int](
        "snapshot.max.threads", integer(1), default=1, doc="Connections that read a snapshot side by side, across tables and within large ones."
    )
    threads_multiplier = Property[int]("snapshot.max.threads.multiplier", integer(1), default=1, doc="Ranges of a large table per thread.")
    legacy_threads = Property[bool](
        "legacy.snapshot.max.threads", boolean(), default=False, old_names=("internal.legacy.snapshot.max.threads",),
        doc="Side by side across tables only.",
    )

    # ---- topics
    naming = Property[str]("topic.naming.strategy", one_of(*STRATEGIES), default=STRATEGIES[0], doc="How topics are named.")
    delimiter = Property[str]("topic.delimiter", text(), default=".", doc="Between the parts of a topic's name.")
    topic_regex = OptionalText("topic.regex", parsed("STRING", _java_pattern), doc="For the Regex strategies: topics to rename.")
    topic_replacement = OptionalText("topic.replacement", text(), doc="Their new name.")
    key_unique = Property[bool]("topic.key.enforce.uniqueness", boolean(), default=True, doc="Add the table to the key of merged topics.")
    key_field = Property[str]("topic.key.field.name", text(), default="__dbz__physicalTableIdentifier", doc="That field's name.")
    key_field_regex = OptionalText("topic.key.field.regex", parsed("STRING", _java_pattern), doc="Changes that field's value.")
    key_field_replacement = OptionalText("topic.key.field.replacement", text(), doc="Its replacement.")

    # ---- bounds
    metric_tags = Property[dict[str, str]](
        "custom.metric.tags", parsed("LIST", _tags, "key=value,key=value"), default={}, doc="Labels added to every metric of Debezium's names."
    )
    queue_bytes = Property[int](
        "max.queue.size.in.bytes", integer(0), default=0, doc="Bytes of events in flight; 0 = 64 MiB here. One larger record passes alone."
    )

    # ---- signals, notifications, incremental snapshots
    signal_table = OptionalText("signal.data.collection", text(), doc="Table `schema.table` whose inserted rows (id, type, data) are signals.")
    signal_channels = Property[tuple[str, ...]](
        "signal.enabled.channels", _channels("source", "kafka", "file", "jmx", "in-process"), default=("source",),
        doc="Where signals come from: source (the table), kafka, file, in-process.",
    )
    signal_interval = Property[int]("signal.poll.interval.ms", integer(1), default=5000, doc="Period of looking into channels other than the table, ms.")
    signal_topic = OptionalText("signal.kafka.topic", text(), doc="Topic of signals; `TOPIC.PREFIX-signal` when not given.")
    signal_bootstrap = OptionalText("signal.kafka.bootstrap.servers", text(), doc="Brokers of that topic.")
    signal_group = Property[str]("signal.kafka.groupId", text(), default="kafka-signal", doc="Consumer group that keeps the position in that topic.")
    signal_file = Property[str]("signal.file", text(), default="file-signals.txt", doc="File of signals, a JSON object per line; emptied as it is read.")
    notification_channels = Property[tuple[str, ...]](
        "notification.enabled.channels", _channels("sink", "log", "jmx"), default=(), doc="Where notifications go: sink (a topic), log.",
    )
    notification_topic = OptionalText("notification.sink.topic.name", text(), doc="Topic of notifications.")
    chunk_size = Property[int]("incremental.snapshot.chunk.size", integer(1), default=1024, doc="Rows per chunk of an incremental snapshot.")
    watermarking = Property[str](
        "incremental.snapshot.watermarking.strategy", one_of("insert_insert", "insert_delete"), default="insert_insert",
        doc="How a chunk's window closes in the signal table: by another row, or by removing the first.",
    )
    read_only = Property[bool](
        "read.only", boolean(), default=False, doc="Never write to the signal table: positions of the WAL are the watermarks."
    )

    # ---- what is done with events before they go out
    post_processors = Property[tuple[str, ...]](
        "post.processors", words(), default=(),
        doc=f"Names of post-processors; `NAME.type={CLASS}` reads columns again that a change does not carry: `NAME.reselect.columns.include.list` "
        "(`schema.table:column`), `.exclude.list`, `NAME.reselect.unavailable.values`, `.null.values`, `.use.event.key`, `.error.handling.mode`.",
    )

    @property
    def reselect(self) -> ReselectRules | None:
        """The rules of the one post-processor that there is."""
        for name in self.post_processors:
            return ReselectRules.parse(self.with_prefix(f"{name}."))
        return None

    converters = Property[tuple[str, ...]](
        "converters", words(), default=(), doc="Names of custom converters; `NAME.type` is a Python class as `module:Class`, see docs/custom-converters.md."
    )

    def custom_converters(self) -> list[CustomConverter]:
        """New instances. Raises ValueError; `check` has told which."""
        return [self._custom(name) for name in self.converters]

    def _custom(self, name: str) -> CustomConverter:
        options = self.with_prefix(f"{name}.")
        made: CustomConverter = registry.load(registry.CUSTOM, options.pop("type", ""))(options)
        return made

    def _check_converters(self, faults: list[Fault]) -> None:
        for name in self.converters:
            try:
                self._custom(name)
            except registry.UnknownClass as error:
                faults.append(Fault(f"{name}.type", str(error), self.raw.get(f"{name}.type")))
            except ValueError as error:
                faults.append(Fault(f"{name}.*", str(error)))

    def named_prefixes(self) -> tuple[str, ...]:
        return tuple(f"{name}." for name in (*self.post_processors, *self.converters))

    def _check_post_processors(self, faults: list[Fault]) -> None:
        for number, name in enumerate(self.post_processors):
            options = self.with_prefix(f"{name}.")
            if options.get("type", "").rpartition(".")[2] != CLASS.rpartition(".")[2] or number:
                faults.append(Fault(f"{name}.type", f"must be {CLASS}, once: it is the only post-processor", options.get("type")))
                continue
            try:
                ReselectRules.parse(options)
            except ValueError as error:
                faults.append(Fault(f"{name}.{str(error).split()[0]}", str(error)))
            faults += [Fault(f"{name}.{option}", "is no option of it") for option in options if option not in OPTIONS]

    def warnings(self) -> Iterator[str]:
        known = ("driver.connectTimeout", "driver.loginTimeout", "driver.ApplicationName")
        for key in self.raw:
            if key.startswith("driver.") and key not in known:
                yield f"{key} has no effect: it is an option of the JDBC driver"
            if key.startswith("openlineage.integration."):
                yield f"{key} has no effect: OpenLineage events are not sent"
        if self.sslfactory and not self.sslfactory.endswith("NonValidatingFactory"):
            yield "database.sslfactory has no effect: TLS is libpq's; use database.sslmode"
        for p, channels in ((type(self).signal_channels, self.signal_channels), (type(self).notification_channels, self.notification_channels)):
            if "jmx" in channels:
                yield f"{p.name}: there is no jmx here; signals come by the other channels, notifications go to the log or a topic"

    @property
    def field_adjustment(self) -> str:
        """field.name.adjustment.mode, as Debezium takes it: with an Avro converter in use none means avro."""
        converters = (self.raw.get("key.converter", ""), self.raw.get("value.converter", ""))
        avro = any(c.strip().rpartition(".")[2] == "AvroConverter" for c in converters)
        return "avro" if avro and self.field_adjust == "none" else self.field_adjust

    def check(self, faults: list[Fault]) -> None:
        for include, exclude in (
            (type(self).schema_include, type(self).schema_exclude),
            (type(self).table_include, type(self).table_exclude),
            (type(self).column_include, type(self).column_exclude),
            (type(self).message_include, type(self).message_exclude),
        ):
            if self.raw.get(include.name) and self.raw.get(exclude.name):
                faults.append(Fault(exclude.name, f"cannot be given together with {include.name}", self.raw[exclude.name]))
        try:
            ColumnRules.parse(self.raw)
        except ValueError as error:
            faults.append(Fault("column.*", str(error)))
        self._check_post_processors(faults)
        self._check_converters(faults)
        if "kafka" in self.signal_channels and not self.signal_bootstrap:
            faults.append(Fault(type(self).signal_bootstrap.name, "is required by the signal channel kafka"))
        if "sink" in self.notification_channels and not self.notification_topic:
            faults.append(Fault(type(self).notification_topic.name, "is required by the notification channel sink"))
        if "Regex" in self.naming:
            for p in (type(self).topic_regex, type(self).topic_replacement):
                if not self.raw.get(p.name):
                    faults.append(Fault(p.name, f"is required by {self.naming}"))
