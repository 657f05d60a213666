"""The way of records into a sink's buffers, with a word for those that cannot be taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pycdc.errors import BadRow
from pycdc.model.change import Changes
from pycdc.model.record import Record
from pycdc.plugins.contracts import RefusedRow
from pycdc.sinks.changes import KeyOf, changes_of, record_key


class Intake:
    """`put` buffers changes, all of them or none, or raises BadRow. With `tolerant` the bad ones stand in `refused`."""

    def __init__(self, put: Callable[[Changes], None], key_of: KeyOf = record_key) -> None:
        self._put = put
        self._key_of = key_of
        self.tolerant = False
        self.refused: list[RefusedRow] = []

    def records(self, records: Sequence[Record]) -> None:
        """Records, as Sink.put has them."""
        try:
            found = list(changes_of(records, self._key_of))
        except BadRow as error:
            if not self.tolerant:
                raise
            if len(records) == 1:
                self.refuse(error)
                return
            for record in records:
                self.records([record])
            return
        for changes in found:
            self.changes(changes)

    def changes(self, changes: Changes) -> None:
        """Changes, as ChangeSink.put_changes has them."""
        if _are_none(changes):
            return
        try:
            self._put(changes)
        except BadRow as error:
            if not self.tolerant:
                raise
            if len(changes) <= 1:
                self.refuse(error)
                return
            for i in range(len(changes)):
                self.changes(changes.part(i, i + 1))

    def refuse(self, error: BadRow) -> None:
        """Leave a row out, or raise."""
        if not self.tolerant or error.record is None:
            raise error
        self.refused.append(RefusedRow(*error.record, error))


_HEARTBEAT: Final = "__debezium-heartbeat"
#: Fields of what Debezium writes beside changes: borders of transactions, and changes of schemas.
_BESIDE: Final = (
    frozenset(("status", "id", "event_count", "data_collections", "ts_ms")),
    frozenset(("source", "ts_ms", "databaseName", "schemaName", "ddl", "tableChanges")),
)


def _are_none(changes: Changes) -> bool:
    """Records without schema that are no rows, known by their topic or fields; a pattern of topics takes them in."""
    if changes.topic.startswith(_HEARTBEAT):
        return True
    first = next((r for r in changes.rows if r is not None), None)
    return first is not None and not changes.source and first.keys() in _BESIDE
