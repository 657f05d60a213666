"""timestamp.fields.list: fields of plain numbers or texts that the configuration calls timestamps.

Source: the reference of Confluent's JDBC sink connector, "timestamp.fields.list" and "timestamp.precision.mode".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pycdc.model.change import Changes
from pycdc.model.schema import Schema, struct


class ListedTimestamps:
    """Gives the schemas of listed fields the name of a timestamp; rows stay as they are."""

    def __init__(self, fields: Sequence[str] = (), *, nanoseconds: bool = False) -> None:
        self._fields = frozenset(fields)
        self._number = "io.debezium.time.NanoTimestamp" if nanoseconds else "io.debezium.time.MicroTimestamp"
        self._known: dict[int, tuple[Schema, Schema]] = {}

    def typed(self, changes: Changes) -> Changes:
        """`changes`, their row schema telling what is listed. Without schema the target's column tells it."""
        schema = changes.row_schema
        if not self._fields or schema is None:
            return changes
        known = self._known.get(id(schema))
        if known is None or known[0] is not schema:
            if len(self._known) > 256:
                self._known.clear()
            # the schema is kept beside its id, so that no other gets the same
            known = self._known[id(schema)] = (
                schema,
                struct([(f.name, self._typed(f.name, f.schema)) for f in schema.fields]),
            )
        return msgspec.structs.replace(changes, row_schema=known[1])

    def _typed(self, name: str, schema: Schema) -> Schema:
        if name not in self._fields or schema.name is not None:
            return schema
        names = {"int64": self._number, "string": "io.debezium.time.IsoTimestamp"}
        return schema.replace(name=names[schema.type]) if schema.type in names else schema
