r"""Java's regular expressions, run by the `regex` library.

Configuration holds patterns written for java.util.regex; most mean the same here. What differs is
translated (named groups' references, POSIX classes, \h), and what cannot be is refused with its reason.
"""

from __future__ import annotations

import re as _re
from collections.abc import Callable

import regex

_POSIX = {
    r"\p{Alpha}": "[A-Za-z]", r"\p{Digit}": "[0-9]", r"\p{Alnum}": "[A-Za-z0-9]", r"\p{Upper}": "[A-Z]",
    r"\p{Lower}": "[a-z]", r"\p{Punct}": r"[!-/:-@\[-`{-~]", r"\p{Space}": r"[ \t\n\x0B\f\r]", r"\h": r"[ \t]",
    r"\p{IsAlphabetic}": r"\p{Alphabetic}", r"\Z": r"(?=\n?\Z)", r"\z": r"\Z",
}
_ESCAPE = _re.compile(r"\\(?:p\{\w+\}|.)", _re.DOTALL)
_REFERENCE = _re.compile(r"\\(.)|\$\{(\w+)\}|\$(\d)", _re.DOTALL)


def compile_java(pattern: str, *, ignore_case: bool = False) -> regex.Pattern[str]:
    """Compile a Java pattern. Raises ValueError that says what is wrong with it."""
    translated = _ESCAPE.sub(lambda m: _POSIX.get(m.group(), m.group()), pattern)
    try:
        return regex.compile(translated, regex.IGNORECASE if ignore_case else 0)
    except regex.error as error:
        raise ValueError(f"is no valid regular expression: {error}") from None


def replacement(java: str) -> Callable[[regex.Match[str]], str]:
    r"""A Java replacement text (`$1`, `${name}`, `\$`) as a function for `Pattern.sub`."""

    def expand(match: regex.Match[str]) -> str:
        def one(ref: _re.Match[str]) -> str:
            if ref.group(1) is not None:
                return ref.group(1)
            name: str | int = ref.group(2) if ref.group(2) is not None else int(ref.group(3))
            return match.group(name) or ""

        return _REFERENCE.sub(one, java)

    return expand


def split_list(text: str) -> list[str]:
    r"""A list of patterns: separated by commas, `\,` is a comma, white space trimmed, empty ones dropped."""
    parts = [p.replace("\\,", ",").strip() for p in _re.split(r"(?<!\\),", text)]
    return [p for p in parts if p]


class NameFilter:
    """Full match of any of several patterns, without case: Debezium's include and exclude lists."""

    def __init__(self, patterns: list[str]) -> None:
        self.patterns = patterns
        self._compiled = [compile_java(p, ignore_case=True) for p in patterns]

    def __bool__(self) -> bool:
        return bool(self._compiled)

    def matches(self, name: str) -> bool:
        return any(p.fullmatch(name) for p in self._compiled)
