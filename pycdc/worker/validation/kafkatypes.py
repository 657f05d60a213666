"""Values of a configuration as Kafka's ConfigDef reads and shows them.

Source: org.apache.kafka.common.config.ConfigDef of Kafka 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pycdc.model.javatext import double_text

#: A parsed value; a class is its name.
Value = str | int | float | bool | tuple[str, ...] | None
#: A class by the name that the user gave it; None: there is none.
Classes = Callable[[str], str | None]

#: What Java's String.trim() takes away.
BLANKS: Final = "".join(map(chr, range(0x21)))
_BITS: Final = {"SHORT": 16, "INT": 32, "LONG": 64}
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DOUBLE: Final = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?)")
#: The longest number that fits has 20 characters; leading zeros may stand before it.
_LONGEST: Final = 400


class Invalid(ValueError):
    """A value that its type or a rule refuses; the message is Kafka's."""

    def __init__(self, name: str, value: Value, why: str) -> None:
        super().__init__(f"Invalid value {java(value)} for configuration {name}: {why}")


def java(value: Value) -> str:
    """As a message of Java's shows it."""
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return "null" if value is None else shown(value, "") or ""


def any_class(name: str) -> str | None:
    """For keys whose classes only Java has."""
    return name


def parse(name: str, text: str | None, kind: str, classes: Classes = any_class) -> Value:
    """Raises Invalid."""
    if text is None:
        return None
    trimmed = text.strip(BLANKS)
    if kind == "BOOLEAN":
        if trimmed.lower() not in ("true", "false"):
            raise Invalid(name, text, "Expected value to be either true or false")
        return trimmed.lower() == "true"
    if kind in _BITS:
        return _integer(name, text, kind)
    if kind == "DOUBLE":
        if len(trimmed) > _LONGEST or not _DOUBLE.fullmatch(trimmed):
            raise Invalid(name, text, "Not a number of type DOUBLE")
        return float(trimmed.rstrip("fFdD"))
    if kind == "LIST":
        return tuple(re.split(r"\s*,\s*", trimmed)) if trimmed else ()
    if kind == "CLASS":
        found = classes(trimmed)
        if found is None:
            raise Invalid(name, text, f"Class {text} could not be found.")
        return found
    return trimmed


def _integer(name: str, text: str, kind: str) -> int:
    trimmed = text.strip(BLANKS)
    if len(trimmed) <= _LONGEST and _INTEGER.fullmatch(trimmed):
        number = int(trimmed)
        if -(1 << _BITS[kind] - 1) <= number < 1 << _BITS[kind] - 1:
            return number
    raise Invalid(name, text, f"Not a number of type {kind}")


def shown(value: Value, kind: str) -> str | None:
    """The text of a parsed value in an answer."""
    if value is None:
        return None
    if kind == "PASSWORD":
        return "[hidden]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return double_text(value) if isinstance(value, float) else str(value)
