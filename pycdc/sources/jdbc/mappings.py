"""incrementing.column.mapping and timestamp.columns.mapping: columns by table, found by patterns over `schema.table`.

Source: Confluent's reference of the two properties: `pattern:column` and `pattern:[column|column]`, separated by commas.
"""

from __future__ import annotations

from typing import Self

from pycdc.model.javaregex import NameFilter, split_list


class ColumnMappings:
    """The first pattern that is a table's name says its columns."""

    def __init__(self, entries: tuple[tuple[NameFilter, tuple[str, ...]], ...]) -> None:
        self._entries = entries

    def __bool__(self) -> bool:
        return bool(self._entries)

    def columns(self, name: str) -> tuple[str, ...]:
        """Of the table `schema.table`; none when no pattern is its name."""
        return next((columns for pattern, columns in self._entries if pattern.matches(name)), ())

    @classmethod
    def one(cls, value: str) -> Self:
        """Raises ValueError."""
        return cls(tuple(_entry(e, e.rpartition(":")[2]) for e in split_list(value)))

    @classmethod
    def several(cls, value: str) -> Self:
        """Raises ValueError."""
        entries = split_list(value)
        for entry in entries:
            listed = entry.rpartition(":")[2].strip()
            if not (listed.startswith("[") and listed.endswith("]")):
                raise ValueError("must be pattern:[column|column], separated by commas")
        return cls(tuple(_entry(e, *e.rpartition(":")[2].strip()[1:-1].split("|")) for e in entries))


def _entry(entry: str, *columns: str) -> tuple[NameFilter, tuple[str, ...]]:
    pattern = entry.rpartition(":")[0].strip()
    names = tuple(c.strip() for c in columns)
    if not pattern or not all(names):
        raise ValueError("must be pattern:column, separated by commas")
    return NameFilter([pattern]), names
