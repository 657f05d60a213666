"""Reference pages from definitions: Markdown tables of every property.

A page is made of nothing but the ConfigDef, so it cannot differ from what the parser accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pycdc.config.definition import ConfigDef, Property


def markdown(title: str, definition: type[ConfigDef], names: Iterable[str] = (), intro: str = "") -> str:
    """One page: title, the names under which the class is known, properties in order of declaration."""
    lines = [f"# {title}", ""]
    listed = ", ".join(f"`{n}`" for n in names)
    if listed:
        lines += [f"Class: {listed}", ""]
    if intro:
        lines += [intro, ""]
    lines += table(definition)
    lines += without_effect(definition)
    if definition.prefixes:
        lines += ["", "Also read, by prefix: " + ", ".join(f"`{p}*`" for p in definition.prefixes) + "."]
    return "\n".join(lines) + "\n"


def table(definition: type[ConfigDef]) -> list[str]:
    """The lines of a Markdown table."""
    rows = [_row(p) for p in definition.properties() if not p.ignored]
    if not rows:
        return ["It has no properties."]
    return ["| property | type | default | allowed | meaning |", "|---|---|---|---|---|", *rows]


def without_effect(definition: type[ConfigDef]) -> list[str]:
    """A section on the properties that are accepted for the sake of old configurations; nothing when there are none."""
    rows = [f"| `{p.name}` | {p.ignored} |".replace("\n", " ") for p in definition.properties() if p.ignored]
    if not rows:
        return []
    return ["", "Accepted without effect, with a warning when given:", "", "| property | why |", "|---|---|", *rows]


def _row(p: Property[Any]) -> str:
    meaning = " ".join(_meaning(p))
    cells = (f"`{p.name}`", p.kind.connect_type.lower(), default_text(p), p.kind.allowed, meaning)
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _meaning(p: Property[Any]) -> Iterator[str]:
    if p.doc:
        yield p.doc
    if p.old_names:
        yield f"Old name: {', '.join(f'`{n}`' for n in p.old_names)}."


def default_text(p: Property[Any]) -> str:
    """The default as one would write it."""
    value = p.default
    if p.required:
        return "required"
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (frozenset, set)):
        return ",".join(sorted(map(str, value))) or "none"
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    if isinstance(value, (str, int, float)):
        return str(value)
    return ""  # an object that stands for "nothing given", e.g. an empty filter
