"""The plugins of a worker under the names that Kafka Connect has for them, and what each can be told.

A class is found by its full name, by that name's last part, also without `Connector` or `Converter` behind it, or by pycdc's
own short name. Where several classes share a short name it means the one of Kafka or Debezium, if only one of them is.
Versions are those of the originals; what imitates none has pycdc's.

Source: GET /connector-plugins and /connector-plugins/{plugin}/config of Kafka Connect 4.1, captures of 4.1.1 (plugins).
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any, Final

import msgspec

from pycdc.config.definition import ConfigDef
from pycdc.plugins import registry
from pycdc.worker.requests import RequestError
from pycdc.worker.validation import definitions
from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.versions import Range, range_of

CONVERTER: Final = "converter"
HEADER_CONVERTER: Final = "header_converter"
#: Connect's word for each kind -> ours, in the order in which they are listed.
_TYPES: Final = {
    "sink": registry.SINK, "source": registry.SOURCE, "transformation": registry.TRANSFORM, "predicate": registry.PREDICATE,
    CONVERTER: registry.CONVERTER, HEADER_CONVERTER: registry.CONVERTER,
}  # fmt: skip
_CONNECTORS: Final = ("sink", "source")
#: Converters that are one kind only; the others are both.
_ONLY: Final = {
    "org.apache.kafka.connect.storage.SimpleHeaderConverter": HEADER_CONVERTER,
    "io.debezium.converters.CloudEventsConverter": CONVERTER,
}
#: Beginnings of class names -> the version of the original.
_VERSIONS: Final = {"io.debezium.connector.jdbc.": "3.6.0.Final", "io.debezium.": "3.6.3.Final", "org.apache.kafka.": "4.1.1"}
#: Whose short names win.
_ORIGINALS: Final = ("io.debezium.", "org.apache.kafka.")


class Plugin(msgspec.Struct, frozen=True):
    """A class: its full name and Connect's word for its kind."""

    name: str
    type: str

    @property
    def version(self) -> str:
        return version_of_class(self.name)

    @property
    def kind(self) -> registry.Kind:
        return _TYPES[self.type]

    def load(self) -> builtins.type[Any]:
        """Raises RequestError."""
        try:
            found = registry.load(self.kind, self.name)
        except registry.UnknownClass as error:
            raise RequestError(400, f"{self.name} {error}") from None
        if not _has_keys(found):
            raise RequestError(400, f"{self.name} is no {self.type}: it has no ConfigDef")
        return found


def listed(*, connectors_only: bool) -> list[dict[str, str]]:
    """The body of GET /connector-plugins."""
    return [
        {"class": plugin.name, "type": plugin.type, "version": plugin.version}
        for plugin in (connectors() if connectors_only else all_of())
    ]  # fmt: skip


def definition(plugin_name: str, version: str | None = None) -> list[dict[str, object]]:
    """The body of GET /connector-plugins/{plugin_name}/config. Raises RequestError."""
    plugin = named(plugin_name, all_of())
    if plugin is None:
        raise RequestError(404, f"Unknown plugin {plugin_name}.")
    demand(plugin, _range(version))
    own = definitions.of(plugin.load(), plugin.name, plugin.type)
    base: tuple[Fact, ...] = ()
    if plugin.type in _CONNECTORS:
        base = definitions.framework(plugin.type, {"connector.plugin.version": plugin.version})
    keys = {fact.name: fact for fact in own}
    for fact in base:
        keys.setdefault(fact.name, fact)
    return [fact.body() for fact in keys.values()]


def connector(name: str) -> Plugin:
    """The connector that `connector.class` names. Raises RequestError, 400 for an unknown one."""
    known = connectors()
    found = [p for p in known if p.name == name.strip()] or [p for p in known if name.strip() in _short(p)] or _python(name, _CONNECTORS)
    if len(found) == 1:
        return found[0]
    # one that does not run by this name is not told to be right
    several = f"; it may mean {' or '.join(p.name for p in found)}: write the full name" if found else ""
    names = ", ".join(f"{p.name} ({p.type}, version {p.version})" for p in known)
    raise RequestError(
        400, f"Failed to find any class that implements Connector and which name matches {name}, available connectors are: {names}{several}"
    )


def connectors() -> tuple[Plugin, ...]:
    return all_of(*_CONNECTORS)


def of_kind(name: str, kind: str) -> Plugin | None:
    """The one of Connect's `kind` that `name` means, also `module:Class`."""
    return named(name, all_of(kind)) or next(iter(_python(name, (kind,))), None)


def named(name: str, among: Iterable[Plugin]) -> Plugin | None:
    """The one that `name` means; None for no or several ones."""
    name = name.strip()
    known = list({p.name: p for p in among}.values())
    found = [p for p in known if p.name == name] or [p for p in known if name in _short(p)]
    if len(found) > 1:
        found = [p for p in found if p.name.startswith(_ORIGINALS)]
    return found[0] if len(found) == 1 else None


def demand(plugin: Plugin, wanted: Range) -> None:
    """Raises RequestError when there is no such version of it."""
    if not wanted.holds(plugin.version):
        raise RequestError(400, f"Plugin {plugin.name} not found that matches the version range {wanted}, available versions: [{plugin.version}]")


def _range(text: str | None) -> Range:
    try:
        return range_of(text)
    except ValueError as error:
        raise RequestError(400, str(error)) from None


@cache
def version_of_class(name: str) -> str:
    """By its full name: the original's, or this release of pycdc."""
    for beginning, version in _VERSIONS.items():
        if name.startswith(beginning):
            return version
    try:
        return installed("pycdc")
    except PackageNotFoundError:
        return "undefined"


@cache
def all_of(*kinds: str) -> tuple[Plugin, ...]:
    """Those of the named ones of Connect's kinds, of all when none is named. What is installed stays while a worker runs."""
    return tuple(Plugin(name, kind) for kind in kinds or _TYPES for name in sorted(_names(kind)))


def _python(name: str, kinds: Iterable[str]) -> list[Plugin]:
    """A class by its place, `module:Class`, if it is there and of that kind."""
    if not re.fullmatch(r"[\w.]+:\w+", name.strip()):
        return []
    return [Plugin(name.strip(), kind) for kind in kinds if _loads(name.strip(), kind)]


def _loads(name: str, kind: str) -> bool:
    try:
        return _has_keys(registry.load(_TYPES[kind], name))
    except registry.UnknownClass:
        return False


def _has_keys(found: type[Any]) -> bool:
    config = getattr(found, "config", None)
    return isinstance(config, type) and issubclass(config, ConfigDef)


def _names(kind: str) -> Iterator[str]:
    """The short names of pycdc are not listed: they stand for classes that are."""
    table = registry.TABLE[_TYPES[kind]]
    for name in registry.available(_TYPES[kind]):
        native = name in table and "." not in name
        if not native and _ONLY.get(name, kind) == kind and _is_of(name, kind):
            yield name


def _is_of(name: str, kind: str) -> bool:
    """Third parties' sources and sinks come by one group of entry points; the class tells which it is."""
    return kind not in _CONNECTORS or name in registry.TABLE[_TYPES[kind]] or _loads(name, kind)


def _short(plugin: Plugin) -> set[str]:
    """Other names of the same class, by which it runs too."""
    last = plugin.name.rpartition(".")[2]
    natives = {native for native, full in _natives().items() if full == plugin.name}
    return {last, last.removesuffix(registry.ENDING.get(plugin.kind, "")), *natives} - {""}


@cache
def _natives() -> dict[str, str]:
    """Short names of pycdc -> the class that each imitates, an original's first where it imitates several."""
    found = {}
    for table in registry.TABLE.values():
        for native in (n for n in table if "." not in n):
            same = [full for full, target in table.items() if "." in full and target == table[native]]
            found[native] = min(same, key=lambda full: not full.startswith(_ORIGINALS))
    return found
