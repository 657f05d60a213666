"""Which table a record belongs to: topic2TableMap, database and table in the topic's name, the source's table.

A place is (database, table); the database is empty for the connection's own. Where nothing is configured, the
original's rule comes first (a table of the topic's name), then the source's table.
"""

from __future__ import annotations

from collections.abc import Mapping

from pycdc.model.change import Changes

#: Database (empty: the connection's) and table.
Place = tuple[str, str]


class Naming:
    """Remembers each topic's source table, for tombstones, which name none."""

    def __init__(self, table_map: Mapping[str, str], split_char: str = "") -> None:
        self._map = table_map
        self._split = split_char
        self._known: dict[str, str] = {}

    def places(self, changes: Changes) -> tuple[Place, ...]:
        """Where the table may be, the first that exists; the last is where it is made."""
        topic = changes.topic
        if topic in self._map:
            return (_place(self._map[topic]),)
        if self._split and self._split in topic:
            database, _, table = topic.partition(self._split)
            return ((database, table),)
        source = changes.source.get("table")
        if source:
            self._known[topic] = str(source)
        table = self._known.get(topic) or topic.rsplit(".", 1)[-1]
        return (("", table),) if table == topic else (("", topic), ("", table))


def _place(name: str) -> Place:
    database, _, table = name.rpartition(".")
    return database, table
