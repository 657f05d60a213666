"""Which table of the target a record belongs to.

Source: the references of the JDBC sink connectors, "table.name.format", "collection.name.format" and
"collection.naming.strategy"; Aiven's "table.name.normalize" and "topics.to.tables.mapping".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pycdc.errors import BadRow
from pycdc.model.change import Changes

#: Schema and name of a table.
Place = tuple[str, str]

_SOURCE_FIELD = re.compile(r"\$\{source\.(\w+)\}")


class NamingSettings(msgspec.Struct, frozen=True):
    """`name` is what the configuration calls `format`, for errors."""

    format: str
    name: str
    #: A dot separates schema and table; else it becomes `_`.
    dots_split: bool = True
    #: What is neither letter nor digit becomes `_`.
    normalize: bool = False
    #: Topic -> table.
    mapping: Mapping[str, str] = {}
    #: Names are not quoted: PostgreSQL folds them to lower case.
    fold: bool = False


class Naming:
    """Remembers each topic's table, for tombstones, which name none."""

    def __init__(self, settings: NamingSettings) -> None:
        self._settings = settings
        self._known: dict[str, Place] = {}

    def place(self, changes: Changes) -> Place | None:
        """None for tombstones of a topic whose table no event has named yet: the delete before them has been written.

        Raises BadRow.
        """
        s = self._settings
        if changes.topic in s.mapping:
            return self._place(s.mapping[changes.topic], dots_split=True)
        if "${source." in s.format and not changes.source:
            known = self._known.get(changes.topic)
            if known is None and any(r is not None for r in changes.rows):
                raise BadRow.of(
                    changes.record(0), "a record does not name its table", where=changes.where(0),
                    cause=f"it has no source block for {s.format}", hint=f"set {s.name} to ${{topic}} or to the table's name",
                )  # fmt: skip
            return known
        name = s.format.replace("${topic}", changes.topic)
        name = _SOURCE_FIELD.sub(lambda m: str(changes.source.get(m[1], "")), name)
        place = self._known[changes.topic] = self._place(name, dots_split=s.dots_split)
        return place

    def _place(self, name: str, *, dots_split: bool) -> Place:
        if self._settings.fold:
            name = name.lower()
        parts = tuple(name.split("."))[-2:] if dots_split else (name.replace(".", "_"),)
        if self._settings.normalize:
            parts = tuple(re.sub(r"[^a-zA-Z0-9_]", "_", p) for p in parts)
        # PostgreSQL cuts a name at 63 bytes by itself, but not the one that the catalog is asked for
        parts = tuple(p.encode()[:63].decode(errors="ignore") for p in parts)
        return (parts[0], parts[1]) if len(parts) == 2 else ("public", parts[0])
