"""Is a connector's configuration right? The answer of /connector-plugins/{plugin}/config/validate, and of every request that makes one.

What the original checks is checked as it does, in its words; a source of PostgreSQL is connected to. `validate` tells more
than `checked`, on which requests that make connectors rest: what the original would only find out at a task's start.
References `${...}` are looked up for the checks and never shown. Where the original's answer to a user's mistake is 500, it is 400.

Source: ConnectorPluginsResource and AbstractHerder of Kafka Connect 4.1, captures of 4.1.1 (validate, create_refused, worker_strict).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from pycdc.config.definition import ConfigDef
from pycdc.config.late import Resolution
from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, Fault, PycdcError
from pycdc.plugins import join
from pycdc.plugins.contracts import Checked, Explained
from pycdc.worker.requests import Config, RequestError
from pycdc.worker.validation import configdef, definitions, faults, fields, overrides, plugins
from pycdc.worker.validation.form import Entry, Form, errors_text, groups_of
from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.frame import CONVERTERS, Frame, Texts, Worker, converter_entries, frame
from pycdc.worker.validation.plugins import Plugin

__all__ = ["Worker", "checked", "errors_text", "explained", "matches", "named", "validate"]

_CLASS: Final = "connector.class"
_NULL: Final = "Null value can not be supplied as the configuration value."
#: Shorter texts stand in messages by chance.
_SHORTEST: Final = 3
#: Seconds for a connector to try its connection; a source of PostgreSQL gives up before.
_PATIENCE: Final = 15.0


def named(name: str, config: Mapping[str, str | None]) -> Config:
    """The configuration of the connector `name`, of a POST or PUT. Raises RequestError when it names another."""
    given = config.get("name")
    if given is not None and given != name:
        raise RequestError(400, f"Connector name configuration ({given}) doesn't match connector name in the URL ({name})")
    return {**config, "name": name}


async def validate(requested: str, config: Mapping[str, str | None], worker: Worker) -> Form:
    """`requested` is the plugin in the path. Raises RequestError."""
    included = config.get(_CLASS)
    if included is not None and not matches(included, requested):
        raise RequestError(400, f"Included connector type {included} does not match request type {requested}")
    plugin, form = await _examined(config, worker)
    if not form.error_count:
        await asyncio.to_thread(_look_further, plugin, form, config, worker)
        await _explain(plugin, form, config, worker)
    return form


async def checked(config: Mapping[str, str | None], worker: Worker) -> Form:
    """What the original checks before it makes a connector. Raises RequestError."""
    return (await _examined(config, worker))[1]


async def _examined(config: Mapping[str, str | None], worker: Worker) -> tuple[Plugin, Form]:
    written = config.get(_CLASS)
    if written is None:
        shown = ", ".join(f"{k}={'null' if v is None else v}" for k, v in config.items())
        raise RequestError(400, f"Connector config {{{shown}}} contains no connector type")
    resolution = Resolution({**worker.providers, **{k: v for k, v in config.items() if v is not None}})
    texts = {key: None if text is None else resolution.texts[key] for key, text in config.items()}
    try:
        plugin = plugins.connector(texts[_CLASS] or "")
        groups, entries = await _entries(plugin, texts, worker)
    except RequestError as error:
        raise RequestError(error.status, resolution.hidden(error.message)) from None
    for entry in entries:
        _hide(entry, config.get(entry.name), resolution)
    return plugin, Form(written, groups, entries)


async def _entries(plugin: Plugin, texts: Texts, worker: Worker) -> tuple[list[str], list[Entry]]:
    """The form's groups and keys, in the order in which the original tells of them.

    A big configuration takes seconds to look at, and the worker has to be heard of meanwhile: its loop waits for a thread.
    """
    around, facts, settings, found, own = await asyncio.to_thread(_read, plugin, texts, worker)
    known = around.entries | own
    if plugin.name not in definitions.CHECKED_BY_FACTS:
        for fault in found:
            faults.tell(known, fault)
    if not any(entry.errors for entry in own.values()):
        for key, why in (await _trial(plugin, settings, found)).items():
            known.get(key, known[_CLASS]).errors.append(why)
    converters = [entry for key in CONVERTERS for entry in converter_entries(key, around, texts)]
    groups = groups_of((*around.facts, *facts, *(e.fact for e in converters if e.fact is not None)))
    return groups, [*_nulls(around, own, texts), *known.values(), *_clients(plugin, texts, worker), *converters]


def _read(plugin: Plugin, texts: Texts, worker: Worker) -> tuple[Frame, tuple[Fact, ...], ConfigDef, list[Fault], dict[str, Entry]]:
    around = frame(plugin, texts, worker)
    facts = definitions.of(plugin.load(), plugin.name, plugin.type)
    settings, found = faults.settings_of(plugin, texts)
    own = _own(plugin, facts, {**texts, **settings.raw})  # what older releases called otherwise is taken, see plugins.legacy
    return around, facts, settings, found, own


def matches(included: str, requested: str) -> bool:
    """Whether a configuration with this class may be sent to that plugin's path: by their names' ends, as in Connect."""
    return included.removesuffix("Connector").endswith(requested.removesuffix("Connector")) or _same(included, requested)


def _same(*names: str) -> bool:
    found = [plugins.named(name, plugins.connectors()) for name in names]
    return None not in found and len({*found}) == 1


def _nulls(around: Frame, own: Mapping[str, Entry], texts: Texts) -> list[Entry]:
    """Tells of Connect's keys without a value, and of keys that nobody knows; the connector tells of its own."""
    unknown = []
    for key in (k for k, text in texts.items() if text is None):
        if key in around.entries:
            around.entries[key].errors.append(_NULL)
        elif key not in own:
            unknown.append(Entry(fact=None, name=key, errors=[_NULL]))
    return unknown


def _own(plugin: Plugin, facts: tuple[Fact, ...], texts: Texts) -> dict[str, Entry]:
    """The connector's own keys."""
    if plugin.name == definitions.POSTGRES:
        return fields.entries(facts, texts)
    return configdef.entries(facts, texts)


async def _trial(plugin: Plugin, settings: ConfigDef, found: list[Fault]) -> Mapping[str, str]:
    """What is wrong with the connector's connection, by key; of the class, when it does not say."""
    source = plugin.load()
    if not isinstance(source, Checked):
        return {}
    try:
        async with asyncio.timeout(_PATIENCE):
            return await source.check_connection(settings, found)
    except TimeoutError:
        return {_CLASS: f"Connection validation timed out after {_PATIENCE:.0f} s"}
    except PycdcError as error:
        return {_CLASS: " ".join(str(error).split())}


async def _explain(plugin: Plugin, form: Form, config: Mapping[str, str | None], worker: Worker) -> None:
    """What the connector would do, at the keys that it says; nothing where it cannot tell."""
    entries = {entry.name: entry for entry in form.entries}
    with contextlib.suppress(PycdcError, TimeoutError):
        for key, values in (await _explained(plugin, config, worker)).items():
            if key in entries and not entries[key].recommended:
                entries[key].recommended = tuple(values)


async def explained(config: Mapping[str, str | None], worker: Worker) -> Mapping[str, Sequence[str]]:
    """What the connector would do, by the key that it concerns; empty where its class cannot tell.

    Raises PycdcError and TimeoutError when the database does not tell, RequestError for a class that is not there.
    """
    resolution = Resolution({**worker.providers, **{k: v for k, v in config.items() if v is not None}})
    return await _explained(plugins.connector(resolution.texts.get(_CLASS, "")), config, worker)


async def _explained(plugin: Plugin, config: Mapping[str, str | None], worker: Worker) -> Mapping[str, Sequence[str]]:
    source = plugin.load()
    if not isinstance(source, Explained):
        return {}
    settings, _ = faults.settings_of(plugin, Resolution({**worker.providers, **{k: v for k, v in config.items() if v is not None}}).texts)
    async with asyncio.timeout(_PATIENCE):
        return await source.explained(settings)


def _clients(plugin: Plugin, texts: Texts, worker: Worker) -> list[Entry]:
    """Overrides of the clients that the connector will have."""
    given = {key: (text or "").strip() for key, text in texts.items()}
    source = plugin.type == "source"
    positions = source and (worker.exactly_once or bool(given.get("offsets.storage.topic")))
    dead_letters = not source and bool(given.get("errors.deadletterqueue.topic.name"))
    creation = source and any(key.startswith("topic.creation.") for key in given)
    roles = {"producer": source or dead_letters, "consumer": not source or positions, "admin": creation or dead_letters or positions}
    return [entry for role, has in roles.items() if has for entry in overrides.entries(role, texts, worker.policy)]


def _hide(entry: Entry, written: str | None, resolution: Resolution) -> None:
    """References are shown as they were written, in values and in messages."""
    if entry.name in resolution.late and entry.value not in (None, "[hidden]"):
        entry.value = written
    if resolution.late:
        entry.errors = [_hidden(message, entry.name, written, resolution) for message in entry.errors]


def _hidden(message: str, key: str, written: str | None, resolution: Resolution) -> str:
    text = resolution.texts.get(key, "") if key in resolution.late else ""
    if 0 < len(text) < _SHORTEST and text in message:
        return f"Invalid value {written} for configuration {key}: it refers to a value that is not allowed here"
    return resolution.hidden(message)


def _look_further(plugin: Plugin, form: Form, config: Mapping[str, str | None], worker: Worker) -> None:
    """What would stop a task, at the keys that are not Connect's own. Of the JDBC sink the original says nothing, nor do we."""
    if plugin.name == definitions.JDBC_SINK:
        return
    load = join.load_source if plugin.type == "source" else join.load_sink
    given: dict[str, object] = {**worker.providers, "bootstrap.servers": "-", "offset.storage.topic": "-"}
    try:
        load(Layered.of(given | {k: v for k, v in config.items() if v is not None}))
    except ConfigError as error:
        known = {f.name for f in definitions.framework(plugin.type, {})}
        entries = {entry.name: entry for entry in form.entries}
        for fault in error.faults:
            if fault.key in entries and fault.key not in known:
                faults.tell(entries, fault)
