"""What Kafka Connect tells of the keys of a class: one table per original, a line per key.

Names, types, defaults, groups, importance and order are facts of the originals, on which users' forms and scripts rest.
What a key means is said in our own words by the ConfigDef that reads it. Tables are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import msgspec

_NONE: Final = "~"
_REQUIRED: Final = "!"
#: A key of a client has a name, a type, a default and an importance; these stand for the rest.
_MISSING: Final = ("", "", "", "", _NONE, "NONE", "-1", "", "", "")


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One key. `default` is its text; None: there is none.

    `rules` are the checks beyond the type, each with its argument; `choices` the values that a form may offer; `local` the
    name by which messages call a key that stands under a prefix.
    """

    name: str
    local: str
    type: str
    default: str | None = None
    required: bool = False
    importance: str = "MEDIUM"
    group: str | None = None
    width: str = "NONE"
    order: int = -1
    rules: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()
    label: str = ""
    doc: str = ""

    @property
    def dependents(self) -> list[str]:
        return [argument for rule, argument in self.rules if rule == "feeds"]

    @property
    def hidden(self) -> bool:
        return ("hidden", "") in self.rules

    def body(self) -> dict[str, object]:
        """As JSON has it."""
        label = self.label or self.local
        return {
            "name": self.name, "type": self.type, "required": self.required, "default_value": self.default,
            "importance": self.importance, "documentation": self.doc or label, "group": self.group, "width": self.width,
            "display_name": label, "dependents": self.dependents, "order": self.order,
        }  # fmt: skip


@cache
def facts(table: str) -> tuple[Fact, ...]:
    """The lines of forms/`table`.tsv, in their order."""
    text = resources.files(__name__).joinpath(f"{table}.tsv").read_text(encoding="utf-8")
    return tuple(_fact(line) for line in text.splitlines() if not line.startswith("#"))


@cache
def by_name(*tables: str) -> dict[str, Fact]:
    return {fact.name: fact for table in tables for fact in facts(table)}


def described(table: Iterable[Fact], docs: dict[str, str]) -> tuple[Fact, ...]:
    """With the words of the ConfigDef that reads them."""
    return tuple(msgspec.structs.replace(f, doc=docs.get(f.name, "")) for f in table)


def _fact(line: str) -> Fact:
    cells = line.split("\t")
    name, kind, default, importance, group, width, order, rules, choices, label = (*cells, *_MISSING[len(cells) :])
    return Fact(
        name=name, local=name, type=kind, default=None if default in (_NONE, _REQUIRED) else default, required=default == _REQUIRED,
        importance=importance, group=None if group == _NONE else group, width=width, order=int(order),
        rules=tuple((rule, argument) for rule, _, argument in (r.partition("=") for r in rules.split())),
        choices=tuple(choices.split(",")) if choices else (), label=label,
    )  # fmt: skip
