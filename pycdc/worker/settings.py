"""What a Connect worker is told by its file: Kafka Connect's own keys, and a few that it has no word for.

Source: Kafka Connect's DistributedConfig, StandaloneConfig and RestServerConfig, 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import msgspec

from pycdc.config.definition import Property, boolean, integer, moot, one_of, parsed, text, words
from pycdc.config.layers import Layered
from pycdc.config.worker import SECURITY_PREFIXES, WorkerConfig
from pycdc.errors import ConfigError, Fault
from pycdc.plugins.registry import nearest_name

OptionalText = Property[str | None]

_JAVA = "there is no Java here"


class Listener(msgspec.Struct, frozen=True):
    """Where REST is answered. An empty host is every interface."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host or 'localhost'}:{self.port}"


def _listeners(value: str) -> tuple[Listener, ...]:
    found = []
    for one in (w.strip() for w in value.split(",")):
        if not one:
            continue
        try:
            parts = urlsplit(one)
            port = parts.port
        except ValueError:
            raise ValueError(f"{one!r} is no listener: write http://HOST:PORT or https://HOST:PORT") from None
        if parts.scheme.lower() not in ("http", "https") or port is None:
            raise ValueError(f"{one!r} is no listener: write http://HOST:PORT or https://HOST:PORT")
        host = parts.hostname or ""
        found.append(Listener(parts.scheme.lower(), "" if host == "0.0.0.0" else host, port))  # noqa: S104
    return tuple(found)


class ConnectConfig(WorkerConfig):
    """Keys of a worker that runs many connectors."""

    prefixes = (*WorkerConfig.prefixes, "config.storage.", "status.storage.", "listeners.https.")
    foreign = ("plugin.", "internal.", "log4j.", "inter.worker.", "metric.reporters", "metrics.")

    group_id = OptionalText("group.id", text(), importance="HIGH", doc="Name of the cluster: workers of one name share their connectors.")
    config_topic = OptionalText("config.storage.topic", text(), importance="HIGH", doc="Compacted topic of one partition that keeps the connectors.")
    config_replication = Property[int]("config.storage.replication.factor", integer(-1), default=3, doc="Its replication factor when it is created.")
    status_topic = OptionalText("status.storage.topic", text(), importance="HIGH", doc="Compacted topic that keeps how connectors fare.")
    status_partitions = Property[int]("status.storage.partitions", integer(-1), default=5, doc="Its partitions when it is created.")
    status_replication = Property[int]("status.storage.replication.factor", integer(-1), default=3, doc="Its replication factor when it is created.")
    offset_file = OptionalText("offset.storage.file.filename", text(), doc="File that keeps positions, with --standalone and without offset.storage.topic.")

    session = Property[int]("session.timeout.ms", integer(1), default=10_000, doc="Silence after which the others take a worker for dead, ms.")
    heartbeat = Property[int]("heartbeat.interval.ms", integer(1), default=3_000, doc="Time between two signs of life, ms.")
    rebalance = Property[int]("rebalance.timeout.ms", integer(1), default=60_000, doc="How long a meeting of the group waits for its workers, ms.")

    listeners = Property[tuple[Listener, ...]](
        "listeners", parsed("LIST", _listeners, "http://HOST:PORT or https://HOST:PORT"), default=(Listener("http", "", 8083),),
        importance="HIGH", doc="Where the REST API is answered.",
    )  # fmt: skip
    admin_listeners = Property[tuple[Listener, ...] | None](
        "admin.listeners", parsed("LIST", _listeners, "as listeners, or empty"),
        doc="Where /admin is answered; without it wherever the rest is, and nowhere when it is empty.",
    )  # fmt: skip
    advertised_host = OptionalText("rest.advertised.host.name", text(), doc="Host under which other workers reach this one.")
    advertised_port = Property[int | None]("rest.advertised.port", integer(1, 65535), doc="Port under which they do.")
    advertised_listener = Property[str | None]("rest.advertised.listener", one_of("http", "https"), doc="Which listener they use.")
    allow_origin = Property[str]("access.control.allow.origin", text(), default="", doc="Origin that browsers may send requests from (CORS).")
    allow_methods = Property[tuple[str, ...]]("access.control.allow.methods", words(), default=(), doc="Methods that they may use.")
    response_headers = Property[str](
        "response.http.headers.config", text(), default="", doc="Headers of every answer: `set|add NAME: VALUE`, each in quotes, commas between."
    )
    body_limit = Property[int]("rest.request.max.bytes", integer(1), default=4 << 20, doc="Largest body of a request, bytes.")
    basic_users = OptionalText(
        "rest.auth.basic.users.file", text(), doc="File of lines `user=password`: requests must log in by HTTP Basic as one of them."
    )
    bearer_tokens = OptionalText("rest.auth.bearer.tokens.file", text(), doc="File of lines, each a token: requests must carry one of them.")

    override_policy = Property[str](
        "connector.client.config.override.policy", one_of("All", "None", "Principal", "Allowlist"), default="All",
        doc="Which settings of its Kafka clients a connector may change.",
    )  # fmt: skip
    override_allowlist = Property[tuple[str, ...]](
        "connector.client.config.override.allowlist", words(), default=(), doc="Those that policy Allowlist allows."
    )
    topic_tracking = Property[bool]("topic.tracking.enable", boolean(), default=True, doc="Tell which topics a connector uses.")
    topic_reset = Property[bool]("topic.tracking.allow.reset", boolean(), default=True, doc="Let users forget them.")

    restart_backoff = Property[int]("task.restart.backoff.ms", integer(1), default=10_000, doc="Pause before a failed task is restarted; doubled each time, ms.")
    restart_backoff_max = Property[int]("task.restart.backoff.max.ms", integer(1), default=300_000, doc="Longest such pause, ms.")
    restart_limit = Property[int](
        "task.restart.max.attempts", integer(-1), default=10,
        doc="Restarts of a task that keeps failing, until one lasts ten minutes; 0 = never, as in Kafka Connect, -1 = no limit.",
    )  # fmt: skip
    stall_limit = Property[int](
        "task.stall.timeout.ms", integer(1), default=60_000, doc="A task that has work and does nothing for so long is told to be stalled, ms."
    )
    forbid_plain_secrets = Property[bool](
        "forbid.plain.secrets", boolean(), default=False, doc="Refuse connectors that have a password not given as `${provider:...}`."
    )

    protocol = moot("connect.protocol", "workers meet over a protocol of their own")
    rebalance_delay = Property[int]("scheduled.rebalance.max.delay.ms", integer(0), default=300_000, ignored="lost work is taken over at once")
    sync_timeout = Property[int]("worker.sync.timeout.ms", integer(0), default=3_000, ignored="workers read the config topic before each meeting")
    unsync = Property[int]("worker.unsync.backoff.ms", integer(0), default=300_000, ignored="workers read the config topic before each meeting")
    graceful = Property[int]("task.shutdown.graceful.timeout.ms", integer(0), default=5_000, doc="What a task has to finish its batch, ms.")
    extensions = moot("rest.extension.classes", _JAVA)

    def check(self, faults: list[Fault]) -> None:
        if self.heartbeat >= self.session:
            faults.append(Fault("heartbeat.interval.ms", f"must be less than session.timeout.ms ({self.session})", str(self.heartbeat)))
        if not self.listeners:
            faults.append(Fault("listeners", "names none: write http://HOST:PORT"))
        for key in ("config_topic", "offset_topic", "status_topic"):
            others = [k for k in ("config_topic", "offset_topic", "status_topic") if k != key]
            if getattr(self, key) and getattr(self, key) in [getattr(self, k) for k in others]:
                faults.append(Fault(getattr(type(self), key).name, "is a topic that keeps something else, too", getattr(self, key)))

    def storage(self, prefix: str) -> dict[str, str]:
        """Settings of one of the worker's topics, beside those that say what it is (KIP-605)."""
        own = ("topic", "partitions", "replication.factor", "file.filename")
        return {k: v for k, v in self.with_prefix(prefix).items() if k not in own}

    def warnings(self) -> Iterator[str]:
        if self.rebalance < self.session:
            yield "rebalance.timeout.ms is less than session.timeout.ms: a meeting may end before all workers have come"


class Worker(msgspec.Struct, frozen=True):
    """A worker's file, read."""

    config: ConnectConfig
    #: As they are written, references unresolved.
    raw: dict[str, str]
    #: Raw entries that a connector inherits: converters, clients, offsets.
    inherited: dict[str, str]
    #: Settings of the worker's own Kafka clients, secrets resolved.
    kafka: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def advertised(self) -> Listener:
        """Under which the others know this worker."""
        c = self.config
        wanted = c.advertised_listener
        found = next((one for one in c.listeners if wanted in (None, one.scheme)), c.listeners[0])
        return Listener(found.scheme, c.advertised_host or found.host or "localhost", c.advertised_port or found.port)


def read_worker(layered: Layered, *, standalone: bool = False) -> Worker:
    """Raises ConfigError with every fault."""
    resolution = layered.resolve()
    faults = list(resolution.faults)
    texts = dict(resolution.texts)
    config = ConnectConfig.parse(texts, faults)
    _require(config, faults, standalone=standalone)
    if faults:
        shown = tuple(f._replace(message=resolution.hidden(f.message), origin=f.origin or layered.origin(f.key)) for f in faults)
        raise ConfigError("The configuration of the worker is wrong.", faults=shown)
    known = [p.name for p in ConnectConfig.properties()]
    warnings = list(config.warnings())
    for key in layered.raw:
        if not ConnectConfig.reads(key) and not ConnectConfig.is_foreign(key):
            nearest = nearest_name(key, known)
            warnings.append(f"{key} is not a key that a worker reads" + (f"; did you mean {nearest}?" if nearest else ""))
    inherited = {k: v for k, v in layered.raw.items() if WorkerConfig.reads(k) and not k.startswith(("config.storage", "status.storage"))}
    return Worker(config, dict(layered.raw), inherited, clients(texts), tuple(warnings))


def clients(texts: Mapping[str, str]) -> dict[str, str]:
    """How the worker itself reaches the brokers."""
    return {k: v for k, v in texts.items() if k == "bootstrap.servers" or k.startswith(SECURITY_PREFIXES)}


def _require(config: ConnectConfig, faults: list[Fault], *, standalone: bool) -> None:
    needed = ["bootstrap"] if standalone else ["bootstrap", "group_id", "config_topic", "offset_topic", "status_topic"]
    for attribute in needed:
        if not getattr(config, attribute):
            faults.append(Fault(getattr(ConnectConfig, attribute).name, "is required and has no default"))
    if standalone and not config.offset_topic and not config.offset_file:
        faults.append(Fault("offset.storage.file.filename", "positions have no place: give this key, or offset.storage.topic"))
