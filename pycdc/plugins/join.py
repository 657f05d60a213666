"""A merged configuration -> a plan: classes found, every ConfigDef parsed, all faults told at once.

One parse covers connector, Connect's own keys, worker, the three converters (by prefix), each transform and
predicate. Every fault goes into one ConfigError; every key that nobody reads becomes a warning that names
the nearest known one. Texts from `${...}` are resolved for the parsers only: messages show them unresolved.
Nothing here connects to anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pycdc.config.definition import ConfigDef, Kind, Property
from pycdc.config.late import Resolution
from pycdc.config.layers import Layer, Layered
from pycdc.config.worker import (
    SECURITY_PREFIXES,
    ConnectorConfig,
    SinkConnectorConfig,
    SourceConnectorConfig,
    WorkerConfig,
)
from pycdc.errors import ConfigError, Fault
from pycdc.model.record import Record
from pycdc.plugins import registry
from pycdc.plugins.contracts import Converter, Delegating, Link, Sink, Source
from pycdc.plugins.legacy import modernize

_CONVERTERS = ("key.converter", "value.converter", "header.converter")
#: What stands beside a transform's own options.
_STEP_KEYS = ("type", "predicate", "negate", "plugin.version")


@dataclass(frozen=True, slots=True)
class ClientChecks:
    """What the Kafka room says of a client's settings, handed in because it stands above this one.

    Each takes Kafka's properties and returns the names that have no effect; ConfigError tells the faults.
    """

    producer: Callable[[Mapping[str, str]], Iterable[str]]
    consumer: Callable[[Mapping[str, str]], Iterable[str]]
    admin: Callable[[Mapping[str, str]], Iterable[str]]
    #: Takes the `topic.creation.*` entries, prefix kept.
    topics: Callable[[Mapping[str, str]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a connector needs to run. Client settings are Kafka's properties as texts, secrets resolved."""

    name: str
    #: `connector.class`, written out.
    connector_class: str
    #: Converters' and transforms' classes, written out, by key: key.converter, transforms.<alias>.
    classes: Mapping[str, str]
    settings: ConfigDef = field(repr=False)
    #: Connect's own keys of the connector, and the worker's.
    connector: ConnectorConfig = field(repr=False)
    worker: WorkerConfig = field(repr=False)
    key_converter: Converter
    value_converter: Converter
    header_converter: Converter
    transforms: tuple[Link, ...]
    producer: Mapping[str, str] = field(repr=False)
    consumer: Mapping[str, str] = field(repr=False)
    admin: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...]

    @property
    def bootstrap(self) -> str:
        return self.worker.bootstrap or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan(Plan):
    """A source connector, ready to be opened."""

    #: Makes a new instance; a rebuilt task needs a fresh one.
    make_source: Callable[[], Source]
    #: `topic.creation.*` entries, prefix kept; empty when topic.creation.enable is false.
    topic_creation: Mapping[str, str]
    #: None when positions are kept elsewhere (a file, the target).
    offset_topic: str | None
    #: Settings of that topic from `offset.storage.*` (KIP-605).
    offset_topic_settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPlan(Plan):
    """A sink connector, ready to be opened."""

    make_sink: Callable[[], Sink]
    connector: SinkConnectorConfig = field(repr=False)
    topics: tuple[str, ...]
    topics_regex: str | None

    @property
    def group(self) -> str:
        """The consumer group; `consumer.override.group.id` beats Connect's `connect-<name>`."""
        return self.consumer.get("group.id") or f"connect-{self.name}"


def load_source(
    layered: Layered, *, direct: bool = False, offsets_file: bool = False, checks: ClientChecks | None = None
) -> SourcePlan:
    """The plan of a source. `direct`: no broker; `offsets_file`: positions are kept in a file.

    Raises ConfigError with every fault.
    """
    join = _Join(layered, registry.SOURCE, SourceConnectorConfig)
    connector = join.connector
    assert isinstance(connector, SourceConnectorConfig)
    topic = connector.own_offset_topic or join.worker.offset_topic
    if not direct:
        join.require_brokers()
        if join.worker.exactly_once == "enabled":
            join.faults.append(Fault(
                "exactly.once.source.support", "is not yet available; delivery is at least once. Use disabled", "enabled"
            ))
        if topic is None and not offsets_file:
            join.faults.append(
                Fault("offset.storage.topic", "positions have no place: give this key, or --offsets-file FILE")
            )
    creation = {k: v for k, v in join.texts.items() if k.startswith("topic.creation.") and k != "topic.creation.enable"}
    if checks is not None and not direct:
        join.check_client("producer", checks.producer)
        join.check_client("admin", checks.admin)
        join.check("", lambda: checks.topics(creation))
    make = join.maker()
    common = join.finish()
    own = {"topic", "partitions", "replication.factor", "file.filename"}
    storage = join.worker.with_prefix("offset.storage.")
    return SourcePlan(
        **common,
        make_source=make,
        topic_creation=creation if join.worker.topic_creation else {},
        offset_topic=None if offsets_file or direct else topic,
        offset_topic_settings={k: v for k, v in storage.items() if k not in own},
    )


def load_sink(layered: Layered, *, direct: bool = False, checks: ClientChecks | None = None) -> SinkPlan:
    """The plan of a sink. `direct`: it is fed by a source in this process and needs no topics.

    Raises ConfigError with every fault.
    """
    join = _Join(layered, registry.SINK, SinkConnectorConfig)
    connector = join.connector
    assert isinstance(connector, SinkConnectorConfig)
    if not direct:
        join.require_brokers()
        if not connector.topics and not connector.topics_regex:
            join.faults.append(Fault("topics", "is required: give topics or topics.regex"))
        if checks is not None:
            join.check_client("consumer", checks.consumer)
    make = join.maker()
    common = join.finish()
    return SinkPlan(**common, make_sink=make, topics=connector.topics, topics_regex=connector.topics_regex)


class _Join:
    """The one parse. Faults and warnings gather; `finish` raises or returns what both plans share."""

    def __init__(self, layered: Layered, kind: registry.Kind, common: type[ConnectorConfig]) -> None:
        self.layered = layered
        self.kind = kind
        self.resolution: Resolution = layered.resolve()
        self.texts = dict(self.resolution.texts)
        self.faults: list[Fault] = list(self.resolution.faults)
        self.warnings: list[str] = []
        #: Those among them about keys that nothing reads: beside a fault, a mistyped key is often its cause.
        self.unread: list[str] = []
        self._known: set[str] = set()
        self._prefixes: list[str] = []
        #: Today's key -> the old name under which it was written.
        self._written_as: dict[str, str] = {}
        self._missing = {f.key for f in self.resolution.faults}
        self.worker = self._parse(WorkerConfig)
        self.connector = self._parse(common)
        self._plugin = self._connector_class()
        self.settings: ConfigDef | None = None
        if self._plugin is not None:
            definition = config_of(self._plugin, self.class_name)
            self.settings = self._parse(definition)
        self.classes: dict[str, str] = {}
        self.converters = {name: self._converter(name) for name in _CONVERTERS}
        self.predicates = dict(self._predicates())
        self.steps = tuple(self._steps())

    # ---- results

    def require_brokers(self) -> None:
        if not self.worker.bootstrap and "bootstrap.servers" not in self._missing:
            self.faults.append(Fault("bootstrap.servers", "is required: the Kafka brokers, host:port,..."))

    def check_client(self, role: str, check: Callable[[Mapping[str, str]], Iterable[str]]) -> None:
        """Settings of one Kafka client: faults under the names the user wrote, and what has no effect."""
        for name in self.check(role, lambda: check(self._client(role))) or ():
            self.warnings.append(f"{self._client_key(role, name)} has no effect: no Kafka client here has such a setting")

    def check(self, role: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except ConfigError as error:
            for fault in error.faults:
                key = self._client_key(role, fault.key) if role else fault.key
                if not self._is_missing(key):
                    self.faults.append(fault._replace(key=key))
            return None

    def _client_key(self, role: str, name: str) -> str:
        """Where `name`, a property of the client `role`, was given."""
        written = (f"{role}.override.{name}", f"{role}.{name}", name)
        return next((key for key in written if key in self.texts), name)

    def maker(self) -> Callable[[], Any]:
        plugin, settings = self._plugin, self.settings
        return lambda: plugin(settings)  # type: ignore[misc]

    def finish(self) -> dict[str, Any]:
        """Raises ConfigError when anything was wrong."""
        self._unread()
        self._strangers()
        if self.faults:
            faults = tuple(dict.fromkeys(self._shown(f) for f in self.faults))
            name = self.layered.raw.get("name", "")
            raise ConfigError(f"The configuration of the {self.kind} connector{name and ' '}{name} is wrong.", faults=faults, hint="; ".join(self.unread))
        return {
            "name": self.connector.name,
            "connector_class": self.class_name,
            "classes": self.classes,
            "settings": self.settings,
            "connector": self.connector,
            "worker": self.worker,
            "key_converter": self.converters["key.converter"],
            "value_converter": self.converters["value.converter"],
            "header_converter": self.converters["header.converter"],
            "transforms": self.steps,
            "producer": self._client("producer"),
            "consumer": self._client("consumer"),
            "admin": self._client("admin"),
            "warnings": tuple(dict.fromkeys(self.resolution.hidden(w) for w in self.warnings)),
        }

    def _client(self, role: str) -> dict[str, str]:
        """Worker's security settings < `<role>.*` < `<role>.override.*`, as Kafka's properties."""
        settings = {k: v for k, v in self.texts.items() if k.startswith(SECURITY_PREFIXES)}
        if self.worker.bootstrap:
            settings["bootstrap.servers"] = self.worker.bootstrap
        plain, override = f"{role}.", f"{role}.override."
        settings |= {
            k.removeprefix(plain): v for k, v in self.texts.items() if k.startswith(plain) and not k.startswith(override)
        }
        settings |= {k.removeprefix(override): v for k, v in self.texts.items() if k.startswith(override)}
        return settings

    # ---- parsing

    def _parse(self, definition: type[ConfigDef], prefix: str = "", extra: tuple[str, ...] = ()) -> Any:
        """Parse the keys under `prefix`; old names are mapped, ignored keys get their word."""
        texts = self.texts if not prefix else {k[len(prefix) :]: v for k, v in self.texts.items() if k.startswith(prefix)}
        for old, new, warning in modernize(texts, definition):
            self._known.add(prefix + old)
            if old != new:
                self._written_as.setdefault(prefix + new, prefix + old)
            self.warnings.append(f"{prefix.rstrip('.')}: {warning}" if prefix else warning)
        faults: list[Fault] = []
        settings = definition.parse(texts, faults)
        self.faults.extend(self._in_scope(definition, f, prefix) for f in faults if not self._is_missing(prefix + f.key))
        for p in definition.properties():
            self._known.add(prefix + p.name)
            if p.ignored and p.name in texts and self._is_told(prefix + p.name, settings, p):
                self.warnings.append(f"{prefix}{p.name} has no effect: {p.ignored}")
        self._known.update(prefix + k for k in extra)
        self._prefixes.extend(prefix + k for k in (*definition.prefixes, *settings.named_prefixes()))
        if not faults:
            self.warnings.extend(f"{prefix.rstrip('.')}: {w}" if prefix else w for w in settings.warnings())
        return settings

    def _written(self, key: str) -> str:
        """The name under which the user wrote `key`."""
        return key if key in self.layered.raw else self._written_as.get(key, key)

    def _is_missing(self, key: str) -> bool:
        """Its reference could not be looked up, which is a fault already."""
        return self._written(key) in self._missing

    def _is_told(self, key: str, settings: ConfigDef, p: Property[Any]) -> bool:
        """A key that has no effect is worth a word when it asks for something else than the default.

        Not when a worker's environment or file gives a worker's key: images set dozens of them.
        """
        layer = self.layered.layer(key)
        if isinstance(settings, WorkerConfig) and layer is not None and layer <= Layer.WORKER:
            return False
        return bool(settings.__dict__[p.attribute] != p.default)

    def _in_scope(self, definition: type[ConfigDef], fault: Fault, prefix: str) -> Fault:
        """`fault` with its whole key; a text from `${...}` is not told, nor what a parser says of it."""
        key = prefix + fault.key
        if self._written(key) not in self.resolution.late:
            return fault._replace(key=key)
        kind = next((p.kind for p in definition.properties() if p.name == fault.key), None)
        if kind is None or _parses(kind, self.texts.get(key, "")):
            return fault._replace(key=key)  # a rule between keys; `_shown` takes resolved texts out of it
        allowed = f"; allowed: {kind.allowed}" if kind.allowed else ""
        value = self.layered.raw.get(self._written(key))
        return Fault(key, f"refers to a value that is not allowed here{allowed}", value)

    def _shown(self, fault: Fault) -> Fault:
        """`fault` as the user wrote it, with its origin."""
        written = self._written(fault.key)
        value = self.layered.raw.get(written) if written in self.resolution.late else fault.value
        return Fault(
            fault.key,
            self.resolution.hidden(fault.message),
            None if value is None else _masked(self.resolution.hidden(value)),
            fault.origin or self.layered.origin(written),
        )

    # ---- classes

    def _load(self, kind: registry.Kind, key: str, name: str) -> type[Any] | None:
        try:
            return registry.load(kind, name)
        except registry.UnknownClass as error:
            self.faults.append(Fault(key, str(error), name))
            return None

    def _connector_class(self) -> type[Any] | None:
        self.class_name = ""
        name = self.texts.get("connector.class")
        if name is None:
            return None  # the required property said so
        plugin = self._load(self.kind, "connector.class", name)
        if plugin is not None:
            self.class_name = registry.canonical(self.kind, name)
        return plugin

    def _converter(self, key: str) -> Converter | None:
        name = self.texts.get(key) or str(next(p.default for p in WorkerConfig.properties() if p.name == key))
        plugin = self._load(registry.CONVERTER, key, name)
        if plugin is None:
            return None
        self.classes[key] = registry.canonical(registry.CONVERTER, name)
        self._drop_other_layers_options(key)
        made = self._made(plugin, key, ("plugin.version",), is_key=key == "key.converter")
        self._tell_options_without_class(key)
        return made

    def _made(self, plugin: type[Any], key: str, beside: tuple[str, ...], *, is_key: bool) -> Converter | None:
        """A converter of the options below `key`, with the one that it leaves some values to; None when those are wrong."""
        known = len(self.faults)
        settings: Any = self._parse(plugin.config, key + ".", beside)
        if len(self.faults) > known:
            return None
        made: Converter = plugin(settings, is_key=is_key)
        if isinstance(made, Delegating) and settings.delegate is not None:
            option = f"{key}.{type(settings).delegate.name}"
            other = self._load(registry.CONVERTER, option, settings.delegate)
            made.delegate = None if other is None else self._made(other, option, (), is_key=is_key)
        return made

    def _drop_other_layers_options(self, key: str) -> None:
        """Connect's rule: a connector that names its own converter takes none of the worker's options for it."""
        if self._is_connectors(key):
            for option in [k for k in self.texts if k.startswith(key + ".") and not self._is_connectors(k)]:
                del self.texts[option]

    def _tell_options_without_class(self, key: str) -> None:
        """Connect ignores a connector's options for a converter that it does not name; merging by key does not."""
        if not self._is_connectors(key):
            for option in (k for k in self.texts if k.startswith(key + ".") and k in self._known and self._is_connectors(k)):
                self.warnings.append(f"{option} is applied although {key} is not given beside it; Connect would ignore it")

    def _is_connectors(self, key: str) -> bool:
        """Given by the connector's own configuration, not by the worker's or nobody's."""
        layer = self.layered.layer(key)
        return layer is not None and layer >= Layer.CONFIG

    def _predicates(self) -> Iterator[tuple[str, Callable[[Record], bool] | None]]:
        for alias in self.connector.predicates:
            yield alias, getattr(self._named(registry.PREDICATE, f"predicates.{alias}.", ("type", "plugin.version")), "test", None)

    def _steps(self) -> Iterator[Link]:
        for alias in dict.fromkeys(self.connector.transforms):
            prefix = f"transforms.{alias}."
            transform = self._named(registry.TRANSFORM, prefix, _STEP_KEYS)
            predicate = self.texts.get(prefix + "predicate")
            if predicate is not None and predicate not in self.predicates:
                listed = ", ".join(self.predicates) or "none"
                self.faults.append(Fault(prefix + "predicate", f"names no predicate (predicates lists: {listed})", predicate))
            negate = self.texts.get(prefix + "negate", "false").strip().lower()
            if negate not in ("true", "false"):
                self.faults.append(Fault(prefix + "negate", "must be true or false", negate))
            if transform is not None:
                yield Link(transform, self.predicates.get(predicate or ""), negate == "true", alias)

    def _named(self, kind: registry.Kind, prefix: str, extra: tuple[str, ...]) -> Any:
        """The instance that stands under `transforms.<alias>.` or `predicates.<alias>.`; None with a fault."""
        name = self.texts.get(prefix + "type")
        if name is None:
            self.faults.append(Fault(prefix + "type", f"is required: the {kind}'s class"))
        plugin = None if name is None else self._load(kind, prefix + "type", name)
        if plugin is None or name is None:
            self._prefixes.append(prefix)
            return None
        self.classes[prefix.rstrip(".")] = registry.canonical(kind, name)
        known = len(self.faults)
        settings = self._parse(plugin.config, prefix, extra)
        return plugin(settings) if len(self.faults) == known else None

    # ---- keys that nobody reads

    def _strangers(self) -> None:
        """Only worker keys are taken from the environment; a variable that gives another is told."""
        worker = [p.name for p in WorkerConfig.properties()]
        for variable, key in self.layered.strangers.items():
            nearest = registry.nearest_name(key, worker)
            suggestion = f"; did you mean {nearest}?" if nearest else ""
            self.warnings.append(f"the environment variable {variable} gives {key}, which is no worker key{suggestion}")

    def _unread(self) -> None:
        if self._plugin is None:
            return  # without the connector's definition most keys would look unread
        # The options of a converter that was found count by name, though the worker's prefixes cover them.
        prefixes = tuple(p for p in self._prefixes if p.rstrip(".") not in _CONVERTERS)
        failed = tuple(f"{c}." for c, made in self.converters.items() if made is None)
        for key in self.layered.raw:
            if key in self._known or key.startswith(prefixes + failed):
                continue
            if key not in self.texts or WorkerConfig.is_foreign(key):
                continue
            nearest = registry.nearest_name(key, self._known)
            origin = self.layered.origin(key)
            suggestion = f"; did you mean {nearest}?" if nearest else ""
            self.unread.append(f"{key} is not a key that anything here reads{suggestion}" + (f" (from {origin})" if origin else ""))
        self.warnings += self.unread


def _masked(text: str) -> str:
    """`text` without the passwords that URLs and JAAS lines carry inside."""
    text = re.sub(r"(?i)((?:password|passwd|pwd|secret|token)\s*=\s*)(\"[^\"]*\"|[^&;\s]+)", r"\1[hidden]", text)
    return re.sub(r"(://[^/@:\s]*):[^/\s]*@", r"\1:[hidden]@", text)


def _parses(kind: Kind[Any], text: str) -> bool:
    try:
        kind.parse(text)
    except ValueError:
        return False
    return True


def config_of(plugin: type[Any], class_name: str) -> type[ConfigDef]:
    """The definition of a connector; a class that serves several names may choose by `config_for(name)`."""
    choose = getattr(plugin, "config_for", None)
    found: type[ConfigDef] = plugin.config if choose is None else choose(class_name)
    return found
