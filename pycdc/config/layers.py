"""Layers of configuration, low to high: environment, `--worker`, each `--config` in order, `--set`.

Merged by key; every key keeps the place it came from, for error messages. Class defaults are below all
layers and belong to each ConfigDef. Only worker keys are taken from the environment: `CONNECT_*` as the
usual images name them (`_` for `.`, `__` for `_`, `___` for `-`) and Debezium's bare names.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pycdc.config.files import read_file
from pycdc.config.late import Resolution
from pycdc.config.worker import WorkerConfig
from pycdc.errors import ConfigError, Fault

#: Names that the Debezium image reads without a prefix.
_BARE = {
    name: name.lower().replace("_", ".")
    for name in (
        "BOOTSTRAP_SERVERS",
        "GROUP_ID",
        "CONFIG_STORAGE_TOPIC",
        "OFFSET_STORAGE_TOPIC",
        "STATUS_STORAGE_TOPIC",
        "KEY_CONVERTER",
        "VALUE_CONVERTER",
        "HEADER_CONVERTER",
        "OFFSET_FLUSH_INTERVAL_MS",
        "OFFSET_FLUSH_TIMEOUT_MS",
    )
}


class Layer(enum.IntEnum):
    """Where a key came from; the higher one wins."""

    ENVIRONMENT = 1
    WORKER = 2
    CONFIG = 3
    SET = 4


class Entry(NamedTuple):
    value: str
    origin: str
    layer: Layer


class Layered:
    """One merged configuration. `raw` holds the texts as written, late values unresolved."""

    def __init__(self, entries: Mapping[str, Entry], strangers: Mapping[str, str] | None = None) -> None:
        self._entries = dict(entries)
        #: Environment variables that look like a worker's keys and are none -> the key they would be.
        self.strangers = dict(strangers or {})
        self.raw: dict[str, str] = {key: entry.value for key, entry in self._entries.items()}

    @classmethod
    def of(cls, config: Mapping[str, object], origin: str = "") -> Layered:
        """From a mapping in memory, as a JSON body or a library call gives it."""
        from pycdc.config.files import flatten

        return cls({k: Entry(v, origin, Layer.CONFIG) for k, v in flatten(config).items()})

    def origin(self, key: str) -> str:
        """The file, variable or option that gave `key`; empty when nobody did."""
        entry = self._entries.get(key)
        return entry.origin if entry else ""

    def layer(self, key: str) -> Layer | None:
        entry = self._entries.get(key)
        return entry.layer if entry else None

    def resolve(self) -> Resolution:
        """Late values looked up; what is missing stands in the Resolution's `faults`."""
        return Resolution(self.raw)

    def resolved(self) -> dict[str, str]:
        """The texts with late values looked up. Raises ConfigError that names every one that is missing."""
        resolution = self.resolve()
        if resolution.faults:
            faults = tuple(f._replace(origin=self.origin(f.key)) for f in resolution.faults)
            raise ConfigError("Values that the configuration refers to are missing.", faults=faults)
        return resolution.texts


def layered(
    configs: Iterable[str | Path] = (),
    *,
    worker: str | Path | None = None,
    settings: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
    set_option: str = "--set",
) -> Layered:
    """Read and merge all layers; `settings` are texts `key=value`. Raises ConfigError with every fault."""
    strangers: dict[str, str] = {}
    entries = _environment(os.environ if environ is None else environ, strangers)
    faults: list[Fault] = []
    paths = [(worker, Layer.WORKER)] if worker is not None else []
    for path, layer in [*paths, *((c, Layer.CONFIG) for c in configs)]:
        try:
            for key, value in read_file(path).items():
                entries[key] = Entry(value, str(path), layer)
        except ConfigError as error:
            faults.extend(error.faults)
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            # Without the value: whoever forgot the key may have written a password.
            faults.append(Fault(set_option, "must be written key=value"))
        else:
            entries[key.strip()] = Entry(value, set_option, Layer.SET)
    if faults:
        raise ConfigError("The configuration cannot be read.", faults=tuple(faults))
    return Layered(entries, strangers)


def _environment(environ: Mapping[str, str], strangers: dict[str, str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for name, key in _BARE.items():
        if environ.get(name):
            found[key] = Entry(environ[name], f"environment variable {name}", Layer.ENVIRONMENT)
    for name in sorted(environ):
        if name.startswith("CONNECT_"):
            key = property_name(name.removeprefix("CONNECT_"))
            if WorkerConfig.reads(key):
                found[key] = Entry(environ[name], f"environment variable {name}", Layer.ENVIRONMENT)
            elif not WorkerConfig.is_foreign(key):
                strangers[name] = key
    return found


def property_name(variable: str) -> str:
    """`BOOTSTRAP_SERVERS` -> `bootstrap.servers`; `__` is an underscore, `___` a hyphen."""
    return re.sub(r"_{1,3}", lambda m: {1: ".", 2: "_", 3: "-"}[len(m[0])], variable.lower())
