"""Connect's own part of a form: keys of every connector, converters, transforms, predicates, and the rules between them.

Source: AbstractHerder.validateConnectorConfig, SinkConnectorConfig.validate and DistributedHerder of Kafka Connect 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pycdc.model.javaregex import compile_java
from pycdc.worker.requests import RequestError
from pycdc.worker.validation import chain, configdef, definitions, faults, plugins
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.kafkatypes import BLANKS, parse
from pycdc.worker.validation.overrides import Policy
from pycdc.worker.validation.plugins import Plugin
from pycdc.worker.validation.versions import range_of

Texts = Mapping[str, str | None]

#: Key -> Connect's word for the kind, its interface, and the use that the converter is told.
CONVERTERS: Final = {
    "header.converter": (plugins.HEADER_CONVERTER, "HeaderConverter", "header"),
    "key.converter": (plugins.CONVERTER, "Converter", "key"),
    "value.converter": (plugins.CONVERTER, "Converter", "value"),
}
_JSON: Final = "org.apache.kafka.connect.json.JsonConverter"
_DEFAULTS: Final = {
    "key.converter": _JSON,
    "value.converter": _JSON,
    "header.converter": "org.apache.kafka.connect.storage.SimpleHeaderConverter",
}


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker's own properties decide of its connectors' forms."""

    converters: Mapping[str, str]
    policy: Policy
    exactly_once: bool
    group: str
    #: config.providers and what belongs to it.
    providers: Mapping[str, str]

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Worker:
        """Raises ConfigError."""
        return cls(
            converters={key: properties.get(key) or default for key, default in _DEFAULTS.items()},
            policy=Policy.of(properties),
            exactly_once=properties.get("exactly.once.source.support", "").strip().lower() == "enabled",
            group=properties.get("group.id", ""),
            providers={k: v for k, v in properties.items() if k == "config.providers" or k.startswith("config.providers.")},
        )


class Frame(msgspec.Struct, frozen=True):
    """Its keys and what was found of each."""

    facts: tuple[Fact, ...]
    entries: dict[str, Entry]


def frame(plugin: Plugin, texts: Texts, worker: Worker) -> Frame:
    """All of it for the connector `plugin`. Raises RequestError."""
    steps = chain.steps(texts)
    keys = (*definitions.framework(plugin.type, _defaults(plugin, texts, worker)), *(fact for step in steps for fact in step.facts()))
    entries = configdef.entries(keys, texts, _class_named)
    for step in steps:
        step.check(entries, texts)
        if step.plugin is not None:
            faults.add(entries, step.plugin, texts, step.prefix)
        _recommend(entries[f"{step.prefix}type"], chain.KINDS[step.key][0])
        _check_version(entries[f"{step.prefix}plugin.version"], step.plugin)
    for key, (kind, interface, _) in CONVERTERS.items():
        _check_converter(entries, key, kind, interface)
    _check_version(entries["connector.plugin.version"], plugin)
    (_check_sink if plugin.type == "sink" else _check_source)(entries, texts, worker, plugin)
    return Frame(keys, entries)


def converter_entries(key: str, frame: Frame, texts: Texts) -> list[Entry]:
    """The options of a converter that the connector names; nothing for one that is wrong, or is the worker's."""
    named, version = frame.entries[key], frame.entries[f"{key}.plugin.version"]
    kind, _, use = CONVERTERS[key]
    if texts.get(key) is None or named.errors or version.errors or not isinstance(named.parsed, str):
        return []
    plugin = Plugin(named.parsed, kind)
    prefix = f"{key}."
    options = {k.removeprefix(prefix): v for k, v in texts.items() if k.startswith(prefix)}
    found = configdef.entries(definitions.of(plugin.load(), plugin.name, kind), {"converter.type": use} | options)
    faults.add(found, plugin, options)
    return [_under(prefix, entry) for entry in found.values()]


def _under(prefix: str, entry: Entry) -> Entry:
    """Its messages call it by its own name, as the original's do."""
    fact = None if entry.fact is None else msgspec.structs.replace(entry.fact, name=prefix + entry.name)
    return msgspec.structs.replace(entry, name=prefix + entry.name, fact=fact)


# ---- classes


def _class_named(name: str) -> str | None:
    """Classes of Java itself exist wherever the original runs."""
    found = plugins.named(name, plugins.all_of()) or plugins.of_kind(name, plugins.CONVERTER)
    return found.name if found else name if name.startswith("java.") else None


def _defaults(plugin: Plugin, texts: Texts, worker: Worker) -> dict[str, str | None]:
    found: dict[str, str | None] = {"connector.plugin.version": plugin.version}
    for key, (kind, _, _) in CONVERTERS.items():
        default = plugins.of_kind(worker.converters[key], kind)
        given = texts.get(key)
        used = default if given is None else plugins.of_kind(given, kind)
        found[key] = default.name if default else worker.converters[key]
        found[f"{key}.plugin.version"] = used.version if used else None
    return found


def _check_converter(entries: Mapping[str, Entry], key: str, kind: str, interface: str) -> None:
    entry = entries[key]
    plugin = plugins.of_kind(entry.parsed, kind) if isinstance(entry.parsed, str) else None
    if isinstance(entry.parsed, str) and plugin is None:
        entry.errors.append(chain.does_not_implement(entry.parsed, interface))
    _recommend(entry, kind)
    _check_version(entries[f"{key}.plugin.version"], plugin)


def _recommend(entry: Entry, kind: str) -> None:
    entry.recommended = tuple(p.name for p in plugins.all_of(kind))


def _check_version(entry: Entry, plugin: Plugin | None) -> None:
    if plugin is None:
        return
    entry.recommended = (plugin.version,)
    try:
        plugins.demand(plugin, range_of(entry.value))
    except (RequestError, ValueError) as error:
        entry.errors.append(str(error))


# ---- rules between keys


def _check_sink(entries: Mapping[str, Entry], texts: Texts, worker: Worker, _: Plugin) -> None:
    topics, pattern = ((texts.get(key) or "").strip(BLANKS) for key in ("topics", "topics.regex"))
    both = (entries["topics"], entries["topics.regex"])
    if bool(topics) == bool(pattern):
        why = "topics and topics.regex are mutually exclusive options, but both are set." if topics else "Must configure one of topics or topics.regex"
        for entry in both:
            entry.errors.append(why)
    _check_dead_letters(both, (texts.get("errors.deadletterqueue.topic.name") or "").strip(BLANKS), topics, pattern)
    group = texts.get("consumer.override.group.id")
    name = entries["name"]
    if group is not None and group == worker.group:
        name.errors.append(f"Consumer group {group} conflicts with Connect worker group {group}")
    elif group is None and worker.group == f"connect-{name.parsed}":
        name.errors.append(f"Consumer group for sink connector named {name.parsed} conflicts with Connect worker group {worker.group}")


def _check_dead_letters(both: tuple[Entry, Entry], dead: str, topics: str, pattern: str) -> None:
    """What cannot be written must not come back."""
    listed = parse("topics", topics, "LIST")
    names = tuple(dict.fromkeys(t for t in listed if t)) if isinstance(listed, tuple) else ()
    if dead and dead in names:
        where = f"('topics=[{', '.join(names)}]')"
        both[0].errors.append(f"The DLQ topic '{dead}' may not be included in the list of topics {where} consumed by the connector")
    if dead and pattern and not both[1].errors and compile_java(pattern).fullmatch(dead):
        where = f"('topics.regex={pattern}')"
        both[1].errors.append(f"The DLQ topic '{dead}' may not be matched by the regex for the topics {where} consumed by the connector")


def _check_source(entries: Mapping[str, Entry], _: Texts, worker: Worker, plugin: Plugin) -> None:
    support, boundary = entries["exactly.once.support"], entries["transaction.boundary"]
    if not support.errors and str(support.parsed).lower() == "required":
        if not worker.exactly_once:
            support.errors.append("This worker does not have exactly-once source support enabled.")
        if plugin.name != definitions.POSTGRES:
            support.errors.append("The connector does not say whether it can deliver exactly once; use requested.")
    if not boundary.errors and str(boundary.parsed).lower() == "connector":
        boundary.errors.append(
            "The connector does not support connector-defined transaction boundaries with the given configuration. "
            "Please reconfigure it to use a different transaction boundary definition."
        )
