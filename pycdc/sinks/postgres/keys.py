"""What tells rows of the target apart: primary.key.mode (pk.mode) and its fields, and the columns that are written.

Source: the references of Debezium's and Confluent's JDBC sink connectors, "primary.key.mode" and "pk.mode".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pycdc.errors import BadRow
from pycdc.model.change import Changes, Values
from pycdc.model.javaregex import NameFilter
from pycdc.model.record import Record
from pycdc.model.schema import INT32, INT64, STRING, Schema, struct
from pycdc.sinks.changes import record_key

#: Columns of the mode kafka: topic, partition, offset.
KAFKA_COLUMNS: Final = ("__connect_topic", "__connect_partition", "__connect_offset")


class KeySettings(msgspec.Struct, frozen=True):
    """`mode_name` and `fields_name` are what the configuration calls them, for errors."""

    mode: str
    fields: tuple[str, ...]
    mode_name: str
    fields_name: str
    #: Fields to write, of a topic: `topic:field` and `field`, as patterns. Keys are always written.
    include: NameFilter | None = None
    exclude: NameFilter | None = None


class Keys:
    """Gives changes the keys and columns that the configuration asks for."""

    def __init__(self, settings: KeySettings) -> None:
        self._settings = settings
        self._kafka = struct(list(zip(settings.fields or KAFKA_COLUMNS, (STRING, INT32, INT64), strict=False)))
        self._schemas: dict[Any, Schema] = {}
        self._dropped: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}

    @property
    def needs_records(self) -> bool:
        """Whether changes without their records are not enough."""
        return self._settings.mode in ("kafka", "record_header")

    def of_record(self, record: Record) -> tuple[Schema | None, Values | None]:
        """The key of a record, and its schema. Raises BadRow."""
        s = self._settings
        match s.mode:
            case "kafka":
                names = s.fields or KAFKA_COLUMNS
                return self._kafka, dict(zip(names, (record.topic, record.partition, record.offset), strict=True))
            case "record_header":
                found = {h.key: h.value for h in record.headers if not s.fields or h.key in s.fields}
                types = {h.key: h.schema for h in record.headers if h.key in found and h.schema is not None}
                return self._schema("header", types) if len(types) == len(found) else None, found
            case "record_key" if record.key is not None and not isinstance(record.key, dict):
                if len(s.fields) != 1:
                    raise BadRow.of(
                        (record.topic, record.partition, record.offset), "a record's key is a single value",
                        where=f"topic {record.topic}", cause=f"{s.fields_name} names {len(s.fields) or 'no'} columns",
                        hint=f"set {s.fields_name} to the name of its one column",
                    )  # fmt: skip
                key_schema = None if record.key_schema is None else self._schema("key", {s.fields[0]: record.key_schema})
                return key_schema, {s.fields[0]: record.key}
        return record_key(record)

    def _schema(self, kind: str, types: Mapping[str, Schema]) -> Schema:
        """The same object for the same types: changes are told apart by it."""
        tag = (kind, *((name, id(schema)) for name, schema in types.items()))
        known = self._schemas.get(tag)
        if known is None:
            if len(self._schemas) > 256:
                self._schemas.clear()
            known = self._schemas[tag] = struct(list(types.items()))
        return known

    def columns(self, changes: Changes) -> tuple[str, ...]:
        """Key columns of shaped changes; empty without a key."""
        mode, fields = self._settings.mode, self._settings.fields
        if mode == "none":
            return ()
        if fields:
            return fields
        if changes.key_schema is not None:
            return tuple(f.name for f in changes.key_schema.fields)
        first = next((k for k in changes.keys if k is not None), None)
        return tuple(first) if first is not None else ()

    def shaped(self, changes: Changes) -> Changes:
        """`changes` with the keys of the mode, each row holding its key and no field that is left out. Raises BadRow."""
        s = self._settings
        if s.mode == "none":
            changes = msgspec.structs.replace(changes, key_schema=None, keys=[None] * len(changes.rows))
        elif s.mode == "record_value":
            changes = self._by_value(changes)
        elif None in changes.keys:
            index = changes.keys.index(None)
            raise BadRow.of(
                changes.record(index), "a record has no key", where=changes.where(index), cause=f"{s.mode_name} is {s.mode}",
                hint="give the table a primary key, or name columns in the source's message.key.columns; "
                f"or set {s.mode_name}=none for plain inserts",
            )  # fmt: skip
        return self._with_columns(changes)

    def _by_value(self, changes: Changes) -> Changes:
        """Keys from rows. A deleted row shows none: it is passed over, as both families do."""
        if None in changes.rows:
            changes = changes.pick([i for i, r in enumerate(changes.rows) if r is not None])
        rows: Sequence[Values] = changes.rows  # type: ignore[assignment]
        if not rows:
            return changes
        names = self._settings.fields or tuple(rows[0])
        index = next((i for i, r in enumerate(rows) if not r.keys() >= set(names)), None)
        if index is not None:
            missing = [n for n in names if n not in rows[index]]
            raise BadRow.of(
                changes.record(index), f"a record lacks the key column {', '.join(missing)}", where=changes.where(index),
                cause=f"its value has no such field; {self._settings.mode_name} is record_value", hint=f"look at {self._settings.fields_name}",
            )  # fmt: skip
        schema = changes.row_schema
        types = {n: f for n in names if schema is not None and (f := schema.field(n)) is not None}
        return msgspec.structs.replace(
            changes, keys=[{n: r[n] for n in names} for r in rows], key_schema=self._schema("value", types) if len(types) == len(names) else None
        )

    def _with_columns(self, changes: Changes) -> Changes:
        first = next((r for r in changes.rows if r is not None), None)
        if first is None:
            return changes
        keys = self.columns(changes)
        left_out = self._left_out(changes.topic, tuple(first), keys)
        added = [k for k in keys if k not in first]
        if not left_out and not added:
            return changes
        rows = [
            None if row is None else {**{k: (key or {}).get(k) for k in added}, **{c: v for c, v in row.items() if c not in left_out}}
            for row, key in zip(changes.rows, changes.keys, strict=True)
        ]
        schema = changes.row_schema
        if schema is not None:
            own = {f.name: f.schema for f in schema.fields if f.name not in left_out}
            more = {k: f for k in added if changes.key_schema is not None and (f := changes.key_schema.field(k)) is not None}
            schema = self._schema("row", more | own)
        return msgspec.structs.replace(changes, rows=rows, row_schema=schema)

    def _left_out(self, topic: str, fields: tuple[str, ...], keys: Sequence[str]) -> frozenset[str]:
        s = self._settings
        if s.include is None and s.exclude is None:
            return frozenset()
        known = self._dropped.get((topic, fields))
        if known is None:
            def named(filter_: NameFilter, field: str) -> bool:
                return filter_.matches(field) or filter_.matches(f"{topic}:{field}")

            known = self._dropped[(topic, fields)] = frozenset(
                f for f in fields
                if f not in keys
                and ((s.include is not None and not named(s.include, f)) or (s.exclude is not None and named(s.exclude, f)))
            )  # fmt: skip
        return known
