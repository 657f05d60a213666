"""Transforms and predicates in a form: for each alias its class, its version, and the options that the class has.

Source: ConnectorConfig.enrich of Kafka Connect 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from pycdc.worker.validation import definitions, plugins
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.kafkatypes import parse
from pycdc.worker.validation.plugins import Plugin

#: Key of the aliases -> Connect's word for the kind, its interface, its form's group.
KINDS: Final = {"transforms": ("transformation", "Transformation", "Transforms"), "predicates": ("predicate", "Predicate", "Predicates")}
_CONDITION: Final = ("negate", "predicate")


class Step(msgspec.Struct, frozen=True):
    """An alias. `plugin` None: its class is not given, or there is none of that kind."""

    key: str
    prefix: str
    plugin: Plugin | None

    @property
    def interface(self) -> str:
        return KINDS[self.key][1]

    def facts(self) -> Iterator[Fact]:
        """Its lines of the form."""
        alias = self.prefix.split(".", 1)[1].removesuffix(".")
        group = f"{KINDS[self.key][2]}: {alias}"
        head = (
            _fact("type", "CLASS", required=True, importance="HIGH", width="LONG", label=f"{self.interface} type for {alias}"),
            _fact("plugin.version", "STRING", default=self.plugin.version if self.plugin else None, importance="HIGH", width="LONG",
                  label=f"{self.interface} version for {alias}"),
        )  # fmt: skip
        for order, fact in enumerate((*head, *self._options())):
            under = group if fact.group is None else f"{group}: {fact.group}"
            yield msgspec.structs.replace(fact, name=self.prefix + fact.name, group=under, order=order)

    def _options(self) -> Iterator[Fact]:
        if self.plugin is None:
            return
        conditional = self.key == "transforms"
        for fact in definitions.of(self.plugin.load(), self.plugin.name, self.plugin.type):
            if not (conditional and fact.name in _CONDITION):
                yield fact
        if conditional:
            yield _fact("negate", "BOOLEAN", default="false", doc="Apply where the predicate does not hold.")
            yield _fact("predicate", "STRING", doc="Name of the predicate that chooses the records.")

    def check(self, entries: Mapping[str, Entry], texts: Mapping[str, str | None]) -> None:
        """Tells what is wrong with the class."""
        entry = entries[f"{self.prefix}type"]
        negate, predicate = f"{self.prefix}negate", f"{self.prefix}predicate"
        if self.key == "transforms" and negate in texts and predicate not in texts:
            entry.errors.append(f"Config '{negate}' was provided but there is no config '{predicate}' defining a predicate to be negated.")
        elif isinstance(entry.parsed, str) and self.plugin is None:
            entry.errors.append(does_not_implement(entry.parsed, self.interface))


def steps(texts: Mapping[str, str | None]) -> list[Step]:
    """Each alias once, transforms first."""
    found = []
    for key, (kind, _, _) in KINDS.items():
        aliases = parse(key, texts.get(key), "LIST")
        for alias in dict.fromkeys(aliases if isinstance(aliases, tuple) else ()):
            prefix = f"{key}.{alias}."
            found.append(Step(key, prefix, plugins.of_kind(texts.get(f"{prefix}type") or "", kind)))
    return found


def does_not_implement(name: str, interface: str) -> str:
    return f"Class class {name} does not implement the {interface} interface"


def _fact(
    name: str, kind: str, *, default: str | None = None, required: bool = False, importance: str = "MEDIUM", width: str = "NONE",
    label: str = "", doc: str = "",
) -> Fact:  # fmt: skip
    return Fact(
        name=name, local=name, type=kind, default=default, required=required, importance=importance, width=width, label=label, doc=doc
    )
