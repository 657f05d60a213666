"""What a class's own ConfigDef finds wrong, told in a form: for classes of which no original's facts are kept."""

from __future__ import annotations

from collections.abc import Mapping

from pycdc.config.definition import ConfigDef
from pycdc.errors import Fault
from pycdc.plugins.join import config_of
from pycdc.plugins.legacy import modernize
from pycdc.worker.validation.definitions import TABLES
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.plugins import Plugin


def add(entries: Mapping[str, Entry], plugin: Plugin, texts: Mapping[str, str | None], prefix: str = "") -> None:
    """Faults of the keys under `prefix`, each at its key unless that one is told to be wrong already."""
    if plugin.name in TABLES:
        return
    _, found = settings_of(plugin, {k.removeprefix(prefix): v for k, v in texts.items() if k.startswith(prefix)})
    for fault in found:
        tell(entries, fault, prefix)


def settings_of(plugin: Plugin, texts: Mapping[str, str | None]) -> tuple[ConfigDef, list[Fault]]:
    """The settings that the class would get, with defaults for what is wrong. Raises RequestError."""
    definition = config_of(plugin.load(), plugin.name)
    given = {k: v for k, v in texts.items() if v is not None}
    for _ in modernize(given, definition):
        pass
    found: list[Fault] = []
    return definition.parse(given, found), found


def tell(entries: Mapping[str, Entry], fault: Fault, prefix: str = "") -> None:
    """A fault that belongs to no key of the form stands at the class."""
    entry = entries.get(prefix + fault.key)
    if entry is None:
        entry = entries.get(f"{prefix}type") or entries.get("connector.class")
    elif entry.errors:
        return
    if entry is not None:
        entry.errors.append(text(fault, prefix))


def text(fault: Fault, prefix: str = "") -> str:
    if fault.value is None:
        return f"{prefix}{fault.key} {fault.message}"
    return f"Invalid value {fault.value} for configuration {prefix}{fault.key}: {fault.message}"
