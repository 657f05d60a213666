"""Kafka Connect's own keys: those of the worker, and those that every connector has.

Names and defaults are Kafka Connect 4.1's (DistributedConfig, ConnectorConfig, SourceConnectorConfig,
SinkConnectorConfig). Keys of a worker that have no meaning in a process that runs one connector are
accepted; keys that promise something not built yet are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from pycdc.config.definition import ConfigDef, Kind, Property, boolean, integer, one_of, parsed, text, words
from pycdc.errors import Fault
from pycdc.model.javaregex import compile_java

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
SIMPLE_HEADER_CONVERTER = "org.apache.kafka.connect.storage.SimpleHeaderConverter"

#: How the worker's own clients reach the brokers; also the base of every other client's settings.
SECURITY_PREFIXES = ("security.", "sasl.", "ssl.")

_ONE_CONNECTOR = "this process runs one connector"
_LATER = "it is not available in this release"

OptionalText = Property[str | None]


def _once(refused: str, *accepted: str) -> Kind[str]:
    """A guarantee that does not exist yet is refused, never accepted silently."""

    def parse(value: str) -> str:
        word = value.strip().lower()
        if word == refused:
            raise ValueError(f"{refused} is not yet available; delivery is at least once. Use {accepted[0]}")
        if word not in accepted:
            raise ValueError(f"must be {' or '.join(accepted)}")
        return word

    return parsed("STRING", parse, ", ".join(accepted))


class WorkerConfig(ConfigDef):
    """Worker-level keys."""

    prefixes: tuple[str, ...] = (
        *SECURITY_PREFIXES,
        "producer.",
        "consumer.",
        "admin.",
        "key.converter.",
        "value.converter.",
        "header.converter.",
        "offset.storage.",
        "config.providers.",
    )

    #: Beginnings of keys of a Connect cluster's worker that mean nothing here, and are not worth a word
    #: when they stand in a worker's file or environment.
    foreign: tuple[str, ...] = (
        "config.storage.",
        "status.storage.",
        "rest.",
        "listeners",
        "plugin.",
        "internal.",
        "log4j.",
        "inter.worker.",
        "metric.reporters",
        "metrics.",
        "access.control.",
        "admin.listeners",
        "connector.client.config.override.policy",
        "topic.tracking.",
    )

    bootstrap = OptionalText(
        "bootstrap.servers", text(), importance="HIGH", doc="Kafka brokers, `host:port` separated by commas."
    )
    offset_topic = OptionalText(
        "offset.storage.topic", text(), importance="HIGH",
        doc="Compacted topic that keeps the source's position, in Kafka Connect's own format.",
    )
    offset_partitions = Property[int](
        "offset.storage.partitions", integer(-1), default=25, doc="Partitions of that topic when it is created; -1 = the broker's default."
    )
    offset_replication = Property[int](
        "offset.storage.replication.factor", integer(-1), default=3, doc="Its replication factor; -1 = the broker's default."
    )
    flush_interval = Property[int](
        "offset.flush.interval.ms", integer(1), default=60_000, doc="Longest time between two stored positions, ms."
    )
    flush_timeout = Property[int](
        "offset.flush.timeout.ms", integer(1), default=5_000, doc="Limit for storing a position, ms."
    )
    key_converter = Property[str]("key.converter", text(), default=JSON_CONVERTER, importance="HIGH", doc="Class of the key's converter.")
    value_converter = Property[str](
        "value.converter", text(), default=JSON_CONVERTER, importance="HIGH", doc="Class of the value's converter."
    )
    header_converter = Property[str](
        "header.converter", text(), default=SIMPLE_HEADER_CONVERTER, doc="Class of the headers' converter."
    )
    topic_creation = Property[bool](
        "topic.creation.enable", boolean(), default=True, doc="Create topics by the connector's topic.creation.* groups."
    )
    client_id = OptionalText("client.id", text(), doc="First part of the names under which the Kafka clients report.")
    providers = OptionalText("config.providers", text(), doc="Other names for the providers env, file and dir.")
    exactly_once = Property[str](
        "exactly.once.source.support", one_of("disabled", "preparing", "enabled"), default="disabled",
        doc="Exactly-once delivery of source connectors.",
    )
    group_id = OptionalText("group.id", text(), ignored=_ONE_CONNECTOR, doc="Name of the Connect cluster.")
    config_topic = OptionalText("config.storage.topic", text(), ignored=_ONE_CONNECTOR, doc="Connect's configuration topic.")
    status_topic = OptionalText("status.storage.topic", text(), ignored=_ONE_CONNECTOR, doc="Connect's status topic.")
    offset_file = OptionalText(
        "offset.storage.file.filename", text(), ignored="use --offsets-file; the format differs", doc="Standalone Connect's offsets."
    )

    @classmethod
    def is_foreign(cls, key: str) -> bool:
        """A key that only a whole Connect worker reads."""
        return key.startswith(cls.foreign)


#: In Connect only what calls itself retriable is tried again, which no converter or transform here does.
_NO_RETRY = "converters and transforms have no errors that pass; writes are tried again by the sink's own settings"


class ConnectorConfig(ConfigDef):
    """Keys of Connect that every connector has."""

    prefixes: tuple[str, ...] = ("producer.override.", "consumer.override.", "admin.override.")

    name = Property[str]("name", text(), required=True, importance="HIGH", doc="The connector's name; positions and groups belong to it.")
    connector_class = Property[str](
        "connector.class", text(), required=True, importance="HIGH", doc="Which connector this is; it decides the defaults."
    )
    tasks_max = Property[int]("tasks.max", integer(1), default=1, doc="Tasks of the connector; one process runs one.")
    tasks_enforce = Property[bool]("tasks.max.enforce", boolean(), default=True, ignored=_ONE_CONNECTOR, doc="Refuse more tasks.")
    transforms = Property[tuple[str, ...]]("transforms", words(), default=(), doc="Names of transforms, in order.")
    predicates = Property[tuple[str, ...]]("predicates", words(), default=(), doc="Names of predicates.")
    plugin_version = OptionalText("connector.plugin.version", text(), ignored="there is one version, this one", doc="Version of the connector.")
    isolation = Property[str](
        "isolation", one_of("task", "process"), default="task", ignored=_ONE_CONNECTOR,
        doc="In a Connect worker: process gives each task of this connector a process of its own.",
    )  # fmt: skip
    reload = OptionalText("config.action.reload", text(), ignored="values of providers are read at start", doc="When a provided value changes.")
    tolerance = Property[str](
        "errors.tolerance", one_of("none", "all"), default="none",
        doc="What a record does that cannot be converted, transformed or written: none stops the task, all leaves it out, counted.",
    )  # fmt: skip
    retry_timeout = Property[int]("errors.retry.timeout", integer(-1), default=0, ignored=_NO_RETRY, doc="How long a failed step is tried again, ms.")
    retry_delay = Property[int]("errors.retry.delay.max.ms", integer(0), default=60_000, ignored=_NO_RETRY, doc="Longest pause between those tries, ms.")
    log_errors = Property[bool]("errors.log.enable", boolean(), default=False, doc="Log what is left out: place and cause.")
    log_messages = Property[bool](
        "errors.log.include.messages", boolean(), default=False, ignored="records are never logged", doc="Log the record too."
    )


class SourceConnectorConfig(ConnectorConfig):
    """Keys of Connect that every source connector has."""

    prefixes = (*ConnectorConfig.prefixes, "topic.creation.")


    exactly_once = Property[str](
        "exactly.once.support", _once("required", "requested"), default="requested", doc="Whether exactly-once delivery is demanded."
    )
    boundary = OptionalText("transaction.boundary", text(), ignored=_LATER, doc="Where Kafka transactions end.")
    boundary_interval = OptionalText("transaction.boundary.interval.ms", text(), ignored=_LATER, doc="Their period, ms.")
    own_offset_topic = OptionalText(
        "offsets.storage.topic", text(), doc="This connector's own topic for positions, in place of offset.storage.topic."
    )


def _patterns(value: str) -> str:
    compile_java(value)
    return value


class SinkConnectorConfig(ConnectorConfig):
    """Keys of Connect that every sink connector has."""

    topics = Property[tuple[str, ...]]("topics", words(), default=(), importance="HIGH", doc="Topics to read.")
    topics_regex = OptionalText("topics.regex", parsed("STRING", _patterns, "a Java pattern"), importance="HIGH", doc="Topics to read, as a pattern.")
    dlq_topic = OptionalText("errors.deadletterqueue.topic.name", text(), doc="Topic for records that cannot be taken, as they came.")
    dlq_replication = Property[int](
        "errors.deadletterqueue.topic.replication.factor", integer(-1), default=3, doc="Its replication factor."
    )
    dlq_headers = Property[bool](
        "errors.deadletterqueue.context.headers.enable", boolean(), default=False, doc="Say in headers what failed."
    )

    def check(self, faults: list[Fault]) -> None:
        if self.topics and self.topics_regex:
            faults.append(Fault("topics.regex", "cannot be given together with topics", self.topics_regex))
        dlq = self.dlq_topic
        if dlq and (dlq in self.topics or (self.topics_regex and compile_java(self.topics_regex).fullmatch(dlq))):
            faults.append(Fault("errors.deadletterqueue.topic.name", "is a topic that this sink reads", dlq))

    def warnings(self) -> Iterator[str]:
        if self.tasks_max > 1:
            yield "tasks.max: one process runs one task; start more processes, they share the consumer group"
