"""Checks of Kafka's ConfigDef: type, presence, and the rules that Connect's own keys have.

Source: ConfigDef.validate and the validators of ConnectorConfig, SourceConnectorConfig and SinkConnectorConfig of 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pycdc.model.javaregex import compile_java
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.kafkatypes import BLANKS, Classes, Invalid, Value, any_class, parse, shown

#: A rule's argument and the value -> why it is refused.
_Rule = Callable[[str, Value], str | None]


def entries(facts: Iterable[Fact], texts: Mapping[str, str | None], classes: Classes = any_class) -> dict[str, Entry]:
    """Each key checked by itself. A number that is none counts twice where null is refused too, as in the original."""
    return {fact.name: _entry(fact, texts, classes) for fact in facts}


def _entry(fact: Fact, texts: Mapping[str, str | None], classes: Classes) -> Entry:
    errors: list[str] = []
    value: Value = None
    if fact.name in texts or not fact.required:
        try:
            value = parse(fact.name, texts.get(fact.name, fact.default), fact.type, classes)
        except Invalid as error:
            errors.append(str(error))
    else:
        errors.append(f'Missing required configuration "{fact.name}" which has no default value.')
    for rule, argument in fact.rules:
        why = _RULES[rule](argument, value) if rule in _RULES else None
        if why is not None:
            errors.append(str(Invalid(fact.local, value, why)))
            break
    return Entry(
        fact=fact, name=fact.name, value=shown(value, fact.type), parsed=value, recommended=fact.choices, errors=errors, visible=_visible(fact, texts),
    )  # fmt: skip


def _visible(fact: Fact, texts: Mapping[str, str | None]) -> bool:
    """`shown-with=KEY:VALUE,...` hides a key that another one's value leaves without effect; a value that is missing hides none."""
    for rule, argument in fact.rules:
        if rule == "shown-with":
            key, _, values = argument.partition(":")
            return (texts.get(key) or "").strip(BLANKS) in ("", *values.split(","))
    return not fact.hidden


# ---- rules: None is a value that is right


def _name(_: str, value: Value) -> str | None:
    if not isinstance(value, str):
        return None  # that it is missing is told already
    if not value:
        return "String may not be empty"
    control = [str(ord(c)) for c in value if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0]
    return f"String may not contain control sequences but had the following ASCII chars: {', '.join(control)}" if control else None


def _at_least(least: str, value: Value) -> str | None:
    if not isinstance(value, int):
        return "Value must be non-null"
    return f"Value must be at least {least}" if value < int(least) else None


def _natural(_: str, value: Value) -> str | None:
    return None if value is None else _at_least("0", value)


def _aliases(_: str, value: Value) -> str | None:
    if not isinstance(value, tuple):
        return "entry must be non null"
    return "Duplicate alias provided." if len(set(value)) < len(value) else None


def _in(listed: str, value: Value) -> str | None:
    words = listed.split(",")
    return None if value in words else f"String must be one of: {', '.join(words)}"


def _in_any_case(listed: str, value: Value) -> str | None:
    words = listed.split(",")
    good = isinstance(value, str) and value.upper() in words
    return None if good else f"String must be one of (case insensitive): {', '.join(words)}"


def _not_empty(_: str, value: Value) -> str | None:
    return "String must be non-empty" if value == "" else None


def _pattern(_: str, value: Value) -> str | None:
    if not isinstance(value, str):
        return "Invalid regex: there is none"
    try:
        compile_java(value)
    except ValueError as error:
        return f"Invalid regex: {error}"
    return None


_RULES: Final[Mapping[str, _Rule]] = {
    "name": _name, "at-least": _at_least, "natural": _natural, "aliases": _aliases, "in": _in, "in-any-case": _in_any_case,
    "not-empty": _not_empty, "pattern": _pattern,
}  # fmt: skip
