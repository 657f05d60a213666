"""Adjusting schema and field names (schema.name.adjustment.mode, field.name.adjustment.mode), topic names.

Source: Debezium's SchemaNameAdjuster and its captures: `avro` replaces what Avro forbids by an underscore,
`avro_unicode` by `_uXXXX` and escapes the underscore itself. Java counts UTF-16 units, and so do these.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Adjuster = Callable[[str], str]

_TOPIC_BAD = re.compile(r"[^A-Za-z0-9._\-]")
_NAME_BAD = re.compile(r"[^A-Za-z0-9_.]")
_FIELD_BAD = re.compile(r"[^A-Za-z0-9_]")


def _units(char: str) -> list[int]:
    data = char.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


def _underscores(match: re.Match[str]) -> str:
    return "_" * len(_units(match.group()))


def _unicode(match: re.Match[str]) -> str:
    return "".join(f"_u{unit:04x}" for unit in _units(match.group()))


def unchanged(name: str) -> str:
    return name


def _avro(bad: re.Pattern[str]) -> Adjuster:
    def adjust(name: str) -> str:
        return ("_" if name[:1].isdigit() else "") + bad.sub(_underscores, name)

    return adjust


def _avro_unicode(bad: re.Pattern[str]) -> Adjuster:
    def adjust(name: str) -> str:
        out = bad.sub(_unicode, name)
        return f"_u{ord(out[0]):04x}{out[1:]}" if out[:1].isdigit() else out

    return adjust


_ESCAPED_NAME = re.compile(r"[^A-Za-z0-9.]")
_ESCAPED_FIELD = re.compile(r"[^A-Za-z0-9]")

SCHEMA_ADJUSTERS: dict[str, Adjuster] = {
    "none": unchanged, "avro": _avro(_NAME_BAD), "avro_unicode": _avro_unicode(_ESCAPED_NAME),
}
FIELD_ADJUSTERS: dict[str, Adjuster] = {
    "none": unchanged, "avro": _avro(_FIELD_BAD), "avro_unicode": _avro_unicode(_ESCAPED_FIELD),
}


def topic_name(name: str) -> str:
    """What Kafka allows in a topic's name; every other character becomes an underscore."""
    return _TOPIC_BAD.sub(_underscores, name)


_TOPIC_UNICODE = re.compile(r"[^A-Za-z0-9.\-]")


def unicode_topic_name(name: str) -> str:
    """The Unicode strategies' form: `_uXXXX` for what Kafka forbids and for the underscore."""
    return _TOPIC_UNICODE.sub(_unicode, name)
