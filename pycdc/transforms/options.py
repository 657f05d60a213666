"""Sorts of options that several transforms have."""

from __future__ import annotations

from pycdc.config.definition import Kind, parsed, words
from pycdc.model.javaregex import compile_java
from pycdc.model.simple_date_format import SimpleDateFormat


def names() -> Kind[tuple[str, ...]]:
    """A list with at least one name."""

    def parse(text: str) -> tuple[str, ...]:
        found = words().parse(text)
        if not found:
            raise ValueError("needs at least one name")
        return found

    return parsed("LIST", parse, "name,...")


def trimmed() -> Kind[str]:
    """A text; Kafka takes the blanks around it away."""
    return parsed("STRING", str.strip)


def named() -> Kind[str]:
    """A text that is not empty, trimmed."""

    def parse(text: str) -> str:
        if not text.strip():
            raise ValueError("must not be empty")
        return text.strip()

    return parsed("STRING", parse)


def java_pattern() -> Kind[str]:
    """A Java regular expression, kept as text."""

    def parse(text: str) -> str:
        if not text.strip():
            raise ValueError("must not be empty")
        compile_java(text)
        return text

    return parsed("STRING", parse, "a Java pattern")


def date_format() -> Kind[str]:
    """A pattern of Java's SimpleDateFormat, kept as text."""

    def parse(text: str) -> str:
        SimpleDateFormat(text.strip())
        return text.strip()

    return parsed("STRING", parse, "a pattern of Java's SimpleDateFormat")


def pairs(allowed: str = "old:new,...") -> Kind[tuple[tuple[str, str], ...]]:
    """A list of pairs, each with one colon."""

    def parse(text: str) -> tuple[tuple[str, str], ...]:
        found = []
        for word in words().parse(text):
            left, colon, right = word.partition(":")
            if not colon or not left or not right or ":" in right:
                raise ValueError(f"must be {allowed}")
            found.append((left, right))
        return tuple(found)

    return parsed("LIST", parse, allowed)
