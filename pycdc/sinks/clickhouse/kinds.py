"""ClickHouse's type names, taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterator


def nested(kind: str, word: str) -> str | None:
    """`T` of `word(T)`, None when `kind` is something else."""
    return kind[len(word) + 1 : -1] if kind.startswith(word + "(") and kind.endswith(")") else None


def bare(kind: str) -> str:
    """A column's type without LowCardinality and Nullable."""
    for word in ("LowCardinality", "Nullable"):
        kind = nested(kind, word) or kind
    return kind


def is_nullable(kind: str) -> bool:
    """Whether a column of the type may be null."""
    return (nested(kind, "LowCardinality") or kind).startswith(("Nullable(", "Variant(", "Dynamic"))


def may_be_nullable(kind: str) -> bool:
    """Whether Nullable(kind) is a type."""
    return not bare(kind).startswith(("Array(", "Map(", "Tuple(", "Nested(", "Point", "JSON", "Object", "Variant(", "Dynamic"))


def nullable(kind: str) -> str:
    """The same type with null."""
    inner = nested(kind, "LowCardinality")
    return f"LowCardinality(Nullable({inner}))" if inner is not None else f"Nullable({kind})"


def is_raw(kind: str) -> bool:
    """Texts of arrays, maps and tuples carry their own escapes."""
    return bare(kind).startswith(("Array(", "Map(", "Tuple(", "Nested(", "Point"))


def arguments(kind: str) -> list[str]:
    """What stands between the parentheses of a type or engine, split at its own commas."""
    begin = kind.find("(")
    return split(kind[begin + 1 : kind.rfind(")")]) if begin >= 0 else []


def named(argument: str) -> tuple[str, str]:
    """Name and type of a tuple's element; the name is empty where it has none."""
    name, _, kind = argument.partition(" ")
    if not kind or "(" in name:
        return "", argument
    return name.strip("`"), kind


def split(text: str) -> list[str]:
    """At commas outside of parentheses and quotes."""
    begin, parts = 0, []
    for i, c, depth in _scanned(text):
        if c == "," and not depth:
            parts.append(text[begin:i])
            begin = i + 1
    return [part.strip() for part in (*parts, text[begin:]) if part.strip()]


def first_call(text: str) -> str:
    """`Engine(arguments)` at the beginning of what an engine is written as; the name alone where it has none."""
    name = re.match(r"\w+", text)
    if name is None or text[name.end() : name.end() + 1] != "(":
        return name[0] if name is not None else ""
    return next((text[: i + 1] for i, c, depth in _scanned(text) if c == ")" and not depth), text)


def _scanned(text: str) -> Iterator[tuple[int, str, int]]:
    """Characters outside of quotes, each with its place and how many parentheses are open behind it."""
    depth, quote, escaped = 0, "", False
    for i, c in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = c == "\\"
            quote = "" if c == quote else quote
        elif c in "'`":
            quote = c
        else:
            depth += (c in "([") - (c in ")]")
            yield i, c, depth
