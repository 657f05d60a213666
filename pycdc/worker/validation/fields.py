"""Checks of Debezium's fields: their order, their words, and that an integer which is none is told twice.

A field's type is checked first, then its own rules; both tell. Values are never shown: Debezium's answer has null for all.

Source: io.debezium.config.Field and the validators of CommonConnectorConfig, RelationalDatabaseConnectorConfig and
PostgresConnectorConfig of Debezium 3.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from pycdc.model.javaregex import NameFilter, split_list
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.kafkatypes import Invalid, parse

#: The text of a key, given or by default.
_Texts = Callable[[str], str | None]
_Rule = Callable[[str, str | None, _Texts], Iterable[str]]

_INTEGER: Final = "An integer is expected"
_BOOLEAN: Final = "Either 'true' or 'false' is expected"
_TOPIC: Final = re.compile(r"[a-zA-Z0-9_.\-]+")
#: More than the original's: here several hosts may be given, each with a port, and addresses of IPv6.
_HOST: Final = re.compile(r"[a-zA-Z0-9\-_.,:/\[\] ]+")
_CHARACTERS: Final = "has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)"
_KEY_COLUMNS: Final = re.compile(r"\s*([^:]+):([^:,]+(,[^:,]+)*)\s*")
_IDENTITY: Final = re.compile(r"(?i)\s*([^\s:]+):\s*(DEFAULT|INDEX\s+\S+|FULL|NOTHING)\s*")
_OPERATIONS: Final = frozenset("rcudt")


def entries(facts: Iterable[Fact], given: Mapping[str, str | None]) -> dict[str, Entry]:
    """Each key checked, with the others at hand."""
    named = {fact.name: fact for fact in facts}

    def text(key: str) -> str | None:
        value = given.get(key)
        return named[key].default if value is None and key in named else value

    return {fact.name: _entry(fact, text) for fact in named.values()}


def _entry(fact: Fact, text: _Texts) -> Entry:
    problems = list(_problems(fact, text))
    errors = [f"The '{fact.name}' value is invalid: {problem}" for problem in problems]
    return Entry(fact=fact, name=fact.name, recommended=fact.choices, errors=errors, visible=not fact.hidden)


def _problems(fact: Fact, text: _Texts) -> Iterator[str]:
    value = text(fact.name)
    yield from _TYPES.get(fact.type, _right)("", value, text)
    for rule, argument in fact.rules:
        if rule == "choice":
            yield from _choice(fact, value)
        elif rule in _RULES:
            yield from _RULES[rule](argument, value, text)


def _number(value: str, kind: str) -> int | None:
    """What Java reads of it, which trims nothing; None for no number."""
    try:
        number = parse("", value, kind) if value == value.strip() else None
    except Invalid:
        return None
    return number if isinstance(number, int) else None


def _numeric(kind: str, problem: str, least: int | None = None) -> _Rule:
    def check(_: str, value: str | None, __: _Texts) -> Iterator[str]:
        number = None if value is None else _number(value, kind)
        if value is not None and (number is None or (least is not None and number < least)):
            yield problem

    return check


# ---- rules: what is wrong with a value


def _right(_: str, __: str | None, ___: _Texts) -> Iterator[str]:
    yield from ()


def _boolean(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value is not None and value.strip().lower() not in ("true", "false"):
        yield _BOOLEAN


def _class(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value is not None and not all(part.isidentifier() for part in re.split(r"[.$]", value)):
        yield "A Java class name is expected"


def _choice(fact: Fact, value: str | None) -> Iterator[str]:
    missing = value is None and fact.default is not None
    if missing or (value is not None and value.strip().lower() not in fact.choices):
        yield f"Value must be one of {', '.join(fact.choices)}"


def _required(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value is None or not value.strip():
        yield "A value is required"


def _topic(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value is not None and not _TOPIC.fullmatch(value):
        yield f"{value} {_CHARACTERS}"


def _host(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value and value.strip() and not _HOST.fullmatch(value):
        yield f"{value} {_CHARACTERS}"


def _patterns(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    try:
        NameFilter(split_list(value or ""))
    except ValueError as error:
        yield f"A comma-separated list of valid regular expressions is expected, but {error}"


def _instead_of(other: str, value: str | None, text: _Texts) -> Iterator[str]:
    if value is not None and text(other) is not None:
        yield f'"{other}" is already specified'


def _slot(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value is not None and not re.fullmatch(r"[a-z0-9_]{1,63}", value):
        yield "Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63"


def _listed(shape: re.Pattern[str], separator: str, form: str) -> _Rule:
    def check(_: str, value: str | None, __: _Texts) -> Iterator[str]:
        if value == "":
            yield "Must not be empty"
        for part in (value or "").split(separator) if value else ():
            if part and not shape.fullmatch(part):
                yield f"{part} has an invalid format (expecting '{form}')"

    return check


def _operations(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    words = [w.strip() for w in (value or "none").split(",")]
    if not {*words} <= {*_OPERATIONS, "none"}:
        yield "Invalid operation"
    elif "none" in words and len({*words}) > 1:
        yield "'none' cannot be specified with other skipped operation types"


def _queue(_: str, value: str | None, text: _Texts) -> Iterator[str]:
    size, batch = _number(value or "", "INT"), _number(text("max.batch.size") or "", "INT")
    if size is not None and size <= 0:
        yield "A positive queue size is required"
    if size is not None and batch is not None and size <= batch:
        yield "Must be larger than the maximum batch size"


def _pairs(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if any(len(part.split("=")) != 2 for part in (value or "").split(",") if value and value.strip()):
        yield "Pairs of a key and its value are expected, as k1=v1,k2=v2"


def _notified(_: str, value: str | None, text: _Texts) -> Iterator[str]:
    if value is None and "sink" in (text("notification.enabled.channels") or "").split(","):
        yield "Notification topic name must be provided when kafka notification channel is enabled"


def _single(_: str, value: str | None, __: _Texts) -> Iterator[str]:
    if value is not None and "," in value:
        yield "For single task connector only one signal data collection is permitted."


def _custom(mode: str, value: str | None, text: _Texts) -> Iterator[str]:
    if not value and (text(mode) or "").lower() == "custom":
        yield f"{mode}.custom.name cannot be empty when {mode} 'custom' is defined"


_TYPES: Final[Mapping[str, _Rule]] = {
    "BOOLEAN": _boolean, "CLASS": _class, "INT": _numeric("INT", _INTEGER), "LONG": _numeric("LONG", "A long value is expected"),
}  # fmt: skip
_RULES: Final[Mapping[str, _Rule]] = {
    "required": _required, "boolean": _boolean, "integer": _numeric("INT", _INTEGER),
    "positive-integer": _numeric("INT", "A positive, non-zero integer value is expected", 1),
    "natural-integer": _numeric("INT", "An non-negative integer is expected", 0),
    "positive-long": _numeric("LONG", "A positive, non-zero long value is expected", 1),
    "natural-long": _numeric("LONG", "A non-negative long value is expected", 0),
    "topic": _topic, "host": _host, "patterns": _patterns, "instead-of": _instead_of, "slot": _slot,
    "key-columns": _listed(_KEY_COLUMNS, ";", "table:column,column"), "identities": _listed(_IDENTITY, ",", "table:identity"),
    "operations": _operations, "queue": _queue, "pairs": _pairs, "notified": _notified, "single": _single, "custom": _custom,
}  # fmt: skip
