"""One relation's events: schemas and templates for every kind of change.

A `TableEvents` is made when a relation is first seen and made again when it changes. It hands out the same
tuple of templates for the same signature (kind of change, old image, unavailable columns), because runs
and plans are told apart by identity. Rows are: columns after the change, columns before it where there is
an old image, then the system texts (debezium.source.System).
Source: Debezium's PostgreSQL connector documentation, "Data change events", and the captures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.filters import Filters
from pycdc.debezium.keys import KeyRules
from pycdc.debezium.source import (
    SOURCE_SCHEMA,
    TRANSACTION_SCHEMA,
    System,
    SystemLeaf,
    source_value,
    system_leaf,
    transaction_value,
)
from pycdc.debezium.topics import Topics
from pycdc.debezium.types import ResolvedColumn
from pycdc.errors import RecordError
from pycdc.model.envelope import (
    CREATE,
    DELETE,
    HEADER_NEW_KEY,
    HEADER_OLD_KEY,
    HEADER_UNAVAILABLE,
    READ,
    TRUNCATE,
    UPDATE,
)
from pycdc.model.names import Adjuster, unchanged
from pycdc.model.record import Header, Record
from pycdc.model.schema import NO_DEFAULT, OPTIONAL_INT64, STRING, Schema, struct
from pycdc.model.table import Column, Table
from pycdc.model.template import Leaf, Row

Templates = tuple[Record, ...]


class EventSettings(msgspec.Struct, kw_only=True):
    """The configuration that decides what events look like."""

    prefix: str
    database: str
    topics: Topics
    columns: ColumnRules
    filters: Filters = msgspec.field(default_factory=Filters)
    keys: KeyRules = msgspec.field(default_factory=lambda: KeyRules([]))
    tombstones: bool = True
    skipped: frozenset[str] = frozenset("t")
    skip_unchanged: bool = False
    #: A value that no field can hold ends the task; else it is null.
    strict: bool = False
    transaction_metadata: bool = False
    adjust_schema: Adjuster = unchanged
    adjust_field: Adjuster = unchanged
    #: Put behind the operation's own headers on every record of a table.
    context_headers: tuple[Header, ...] = ()


class _Part(msgspec.Struct, frozen=True):
    """A column of the table as events show it: `index` is its place in the row."""

    index: int
    column: Column
    name: str
    resolved: ResolvedColumn
    #: The same column without rules, for keys.
    plain: ResolvedColumn
    captured: bool


class Signature(msgspec.Struct, frozen=True):
    """What templates were made for: kind of change, old image (K, O or none), columns that are unavailable."""

    op: str
    old: str = ""
    unavailable: frozenset[int] = frozenset()
    key_change: bool = False


class TableEvents:
    """Schemas and templates of one relation."""

    def __init__(self, table: Table, settings: EventSettings) -> None:
        self.table = table
        self.settings = settings
        self.width = len(table.columns)
        self.name = settings.topics.table(table.schema, table.name)
        parts = [self._part(i, c) for i, c in enumerate(table.columns)]
        self._parts = [p for p in parts if p is not None and p.captured]
        by_name = {p.column.name: p for p in parts if p is not None}
        self._refuse_collisions()
        self._key_parts = [by_name[n] for n in settings.keys.columns(table) if n in by_name]
        self._make_schemas()
        self._cache: dict[Signature, Templates] = {}

    def _refuse_collisions(self) -> None:
        """Adjusting may make one name of two: one value would take the other's place."""
        columns: dict[str, str] = {}
        for p in self._parts:
            other = columns.setdefault(p.name, p.column.name)
            if other != p.column.name:
                raise RecordError(
                    "two columns become one field", where=f"{self.table.schema}.{self.table.name}",
                    cause=f"columns {other} and {p.column.name} are both {p.name} with field.name.adjustment.mode "
                    "(with an Avro converter it is avro by itself)",
                    hint="rename one, leave one out with column.exclude.list, or set field.name.adjustment.mode=avro_unicode",
                )  # fmt: skip

    def _part(self, index: int, column: Column) -> _Part | None:
        s = self.settings
        resolved, plain = s.columns.resolve(self.table, column), s.columns.resolve_key(column)
        if resolved is None or plain is None:
            return None
        captured = s.filters.column(self.table.schema, self.table.name, column.name)
        return _Part(index, column, s.adjust_field(column.name), resolved, plain, captured)

    def _make_schemas(self) -> None:
        self.envelope_schema = self._make_envelope_schema(lambda r: r.schema)
        snapshot_differs = any(p.resolved.snapshot_schema is not None for p in self._parts)
        self.snapshot_envelope_schema = (
            self._make_envelope_schema(lambda r: r.snapshot_schema or r.schema) if snapshot_differs else self.envelope_schema
        )
        self.snapshot_key_schema = self._make_key_schema(lambda p: p.plain.schema)
        # A key column that is not captured is unknown to Debezium's stream: optional, without default.
        self.key_schema = self._make_key_schema(
            lambda p: p.plain.schema if p.captured else p.plain.schema.replace(optional=True, default=NO_DEFAULT)
        )

    def _make_envelope_schema(self, schema: Callable[[ResolvedColumn], Schema]) -> Schema:
        topic, adjust = self.name.topic, self.settings.adjust_schema
        value = struct(
            [(p.name, schema(p.resolved)) for p in self._parts],
            optional=True, name=adjust(f"{topic}.Value"),
        )  # fmt: skip
        return struct(
            [
                ("before", value), ("after", value), ("source", SOURCE_SCHEMA), ("transaction", TRANSACTION_SCHEMA),
                ("op", STRING), ("ts_ms", OPTIONAL_INT64), ("ts_us", OPTIONAL_INT64), ("ts_ns", OPTIONAL_INT64),
            ],
            name=adjust(f"{topic}.Envelope"), version=2,
        )  # fmt: skip

    def _make_key_schema(self, schema: Callable[[_Part], Schema]) -> Schema | None:
        fields = [(p.name, schema(p)) for p in self._key_parts]
        if self.name.key_field is not None:
            fields.append((self.name.key_field, STRING))
        if not fields:
            return None
        return struct(fields, name=self.settings.adjust_schema(f"{self.name.topic}.Key"))

    # ---- values

    @staticmethod
    def _leaf(index: int, column: ResolvedColumn, *, snapshot: bool = False) -> Any:
        if column.constant is not msgspec.UNSET:
            return column.constant
        if column.always_null:
            return None
        # A NULL where none may be: a row of before SET NOT NULL, or of a partition that has less identity than its root.
        missing = None if column.schema.optional else column.fallback
        return Leaf(index, column.snapshot_reader if snapshot else column.reader, missing=missing)

    def _image(self, base: int, *, snapshot: bool = False, unavailable: frozenset[int] = frozenset()) -> dict[str, Any]:
        """The row struct of texts that begin at `base`."""
        return {
            p.name: p.resolved.unavailable
            if p.index in unavailable and p.resolved.constant is msgspec.UNSET
            else self._leaf(base + p.index, p.resolved, snapshot=snapshot)
            for p in self._parts
        }

    def _identity_image(self, base: int) -> dict[str, Any]:
        """The old row where only the replica identity is known: the rest is null, or its fallback when it may not be."""
        image = {}
        for p in self._parts:
            if p.column.identity or p.resolved.constant is not msgspec.UNSET:
                image[p.name] = self._leaf(base + p.index, p.resolved)
            else:
                image[p.name] = None if p.column.nullable else p.resolved.fallback
        return image

    def _key(self, base: int, *, old: str = "", snapshot: bool = False) -> dict[str, Any] | None:
        """`old` K: only identity columns are known."""
        if self.key_schema is None:
            return None
        key: dict[str, Any] = {}
        for p in self._key_parts:
            if old != "K" or p.column.identity:
                key[p.name] = self._leaf(base + p.index, p.plain, snapshot=snapshot)
            else:
                key[p.name] = None if p.column.nullable else p.plain.fallback
        if self.name.key_field is not None:
            key[self.name.key_field] = self.name.key_value
        return key

    def _envelope(
        self, op: str, before: Any, after: Any, leaf: SystemLeaf, *, snapshot: bool = False, second: bool = False
    ) -> dict[str, Any]:
        s, t = self.settings, self.table
        transaction = transaction_value(leaf, second=second) if s.transaction_metadata and not snapshot else None
        return {
            "before": before, "after": after,
            "source": source_value(s.prefix, s.database, t.schema, t.name, leaf, snapshot=snapshot),
            "transaction": transaction, "op": op,
            "ts_ms": leaf(System.NOW_MS), "ts_us": leaf(System.NOW_US), "ts_ns": leaf(System.NOW_NS),
        }  # fmt: skip

    def _record(self, key: Any, value: Any, *headers: Header) -> Record:
        return Record(
            topic=self.name.topic,
            key_schema=self.key_schema, key=key,
            value_schema=None if value is None else self.envelope_schema, value=value,
            headers=(*headers, *self.settings.context_headers),
        )  # fmt: skip

    # ---- templates by signature

    @property
    def key_names(self) -> tuple[str, ...]:
        """Columns of the record key, in its order; empty without one."""
        return tuple(p.column.name for p in self._key_parts)

    @property
    def field_names(self) -> tuple[str, ...]:
        """The row's fields, as events name them."""
        return tuple(p.name for p in self._parts)

    @property
    def captured_columns(self) -> list[tuple[int, str]]:
        """Place in the row and name of the columns that events show."""
        return [(p.index, p.column.name) for p in self._parts]

    def places(self, column: str) -> list[int]:
        """Where a column is in the row; empty when the table has none of that name."""
        return [i for i, c in enumerate(self.table.columns) if c.name == column]

    @property
    def row_base(self) -> int:
        """Where the system texts begin when there is one image in the row."""
        return self.width

    def insert(self) -> Templates:
        """Rows: new, system."""
        return self._cached(Signature(CREATE), lambda: (self._after_record(CREATE, self.width, frozenset()),))

    def read(self) -> Templates:
        """Rows: new, system; from a snapshot."""
        return self._cached(Signature(READ), self._read)

    def _read(self) -> Templates:
        leaf = system_leaf(self.width)
        value = self._envelope(READ, None, self._image(0, snapshot=True), leaf, snapshot=True)
        record = self._record(self._key(0, snapshot=True), value)
        return (record.replace(key_schema=self.snapshot_key_schema, value_schema=self.snapshot_envelope_schema),)

    def _after_record(self, op: str, system: int, unavailable: frozenset[int], before: Any = None, *headers: Header,
                      second: bool = False) -> Record:  # fmt: skip
        value = self._envelope(op, before, self._image(0, unavailable=unavailable), system_leaf(system), second=second)
        return self._record(self._key(0), value, *headers, *self._unavailable_header(unavailable))

    def _unavailable_header(self, unavailable: frozenset[int]) -> tuple[Header, ...]:
        """Names the columns that Debezium shows as plain null though they are not (docs/differences.md)."""
        names = [
            p.name for p in self._parts
            if p.index in unavailable and p.resolved.unavailable_unmarked and p.resolved.constant is msgspec.UNSET
        ]  # fmt: skip
        return (Header(HEADER_UNAVAILABLE, STRING, ",".join(names)),) if names else ()

    def update(self, old: str, unavailable: frozenset[int]) -> Templates:
        """Rows: new, old (only when `old` is K or O), system. The key is the same before and after."""

        def make() -> Templates:
            # a key-only old image is not shown: Debezium's `before` is null unless the identity is FULL
            before = self._image(self.width) if old == "O" else None
            return (self._after_record(UPDATE, self.width * 2 if old else self.width, unavailable, before),)

        return self._cached(Signature(UPDATE, old, unavailable), make)

    def key_change(self, old: str, unavailable: frozenset[int]) -> Templates:
        """Rows: new, old, system. Delete of the old key, tombstone, create of the new one; each unless it is skipped."""

        def make() -> Templates:
            base = self.width * 2
            new_key = Header(HEADER_NEW_KEY, self.key_schema, self._key(0))
            old_key = Header(HEADER_OLD_KEY, self.key_schema, self._key(self.width, old=old))
            deletes = () if DELETE in self.settings.skipped else self._deletes(old, self.width, base, new_key)
            if CREATE in self.settings.skipped:
                return deletes
            return (*deletes, self._after_record(CREATE, base, unavailable, None, old_key, second=bool(deletes)))

        return self._cached(Signature(UPDATE, old, unavailable, key_change=True), make)

    def delete(self, old: str) -> Templates:
        """Rows: old, system."""
        return self._cached(Signature(DELETE, old), lambda: self._deletes(old, 0, self.width))

    def _deletes(self, old: str, base: int, system: int, *headers: Header) -> Templates:
        before = self._image(base) if old == "O" else self._identity_image(base)
        key = self._key(base, old=old)
        delete = self._record(key, self._envelope(DELETE, before, None, system_leaf(system)), *headers)
        if not self.settings.tombstones:
            return (delete,)
        return (delete, self._record(key, None, *headers).replace(follows=delete))

    def truncate(self) -> Templates:
        """Rows: system."""

        def make() -> Templates:
            record = self._record(None, self._envelope(TRUNCATE, None, None, system_leaf(0)))
            return (record.replace(key_schema=None),)

        return self._cached(Signature(TRUNCATE), make)

    def signature(self, templates: Templates) -> Signature | None:
        """What these templates of ours were made for; None when they are not ours (any more)."""
        return next((s for s, made in self._cache.items() if made is templates), None)

    def with_unavailable(self, signature: Signature, unavailable: frozenset[int]) -> Templates:
        """The templates of an update that leaves only these columns unavailable."""
        make = self.key_change if signature.key_change else self.update
        return make(signature.old, unavailable)

    def _cached(self, signature: Signature, make: Any) -> Templates:
        known = self._cache.get(signature)
        if known is None:
            if len(self._cache) >= 1024:  # signatures of unavailable columns: 2^n in theory, few in life
                self._cache.clear()
            known = self._cache[signature] = make()
        return known

    # ---- decisions on raw texts

    def key_changed(self, new: Row, old_row: Row, old: str) -> bool:
        """Whether the key before differs from the key after; `old` is K or O."""
        for p in self._key_parts:
            if old == "K" and not p.column.identity:
                text = new[p.index]
                if text is None or p.plain.reader.read(text) != p.plain.fallback:
                    return True
            elif new[p.index] != old_row[p.index]:
                return True
        return False

    def unchanged(self, new: Row, old_row: Row) -> bool:
        """Whether no field differs (skip.messages.without.change; only with a full old image).

        Fields, not texts: what a mask or a truncation leaves equal is no change.
        """
        strict = self.settings.strict
        return all(new[p.index] == old_row[p.index] or _shown(p, new, strict) == _shown(p, old_row, strict) for p in self._parts)


def _shown(part: _Part, row: Row, strict: bool) -> str:
    """The field's value, comparable as Java compares: 1.5 is not 1.50, NaN is NaN."""
    column, text = part.resolved, row[part.index]
    if column.constant is not msgspec.UNSET:
        return repr(column.constant)
    if column.always_null or text is None:
        return repr(None)
    try:
        return repr(column.reader.read(text))
    except Exception:  # it becomes null, or ends the task, when the event is made
        return repr(text if strict else None)
