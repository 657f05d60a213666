"""io.debezium.transforms.ExtractNewRecordState ("unwrap"): a change event becomes its row.

Source: Debezium's documentation of the transform, and the captures under tests/differential (unwrap_*).
The options of releases before 2.5 are honoured where they are given alone (docs/differences.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from pycdc.config.definition import ConfigDef, Kind, Property, boolean, one_of, parsed, words
from pycdc.errors import Fault, RecordError
from pycdc.model.envelope import AFTER, BEFORE, DELETE, OP, SOURCE
from pycdc.model.record import Header, Record
from pycdc.model.schema import NO_DEFAULT, STRING, Schema
from pycdc.transforms.envelopes import envelope_of, text_field
from pycdc.transforms.operand import MAX_SCHEMAS, bare_struct, fields_or_null, is_null, known, or_default
from pycdc.transforms.options import trimmed

_DELETED = "__deleted"
_OF_TRANSACTION = frozenset(("id", "total_order", "data_collection_order"))
_OF_ENVELOPE = frozenset(("op", "ts_ms", "ts_us", "ts_ns"))


class _Reference(NamedTuple):
    """A field of the event: `parent` is source, transaction or another struct of it, None for the event itself."""

    parent: str | None
    field: str
    #: What it is called in the row or as a header; None: by its name with the prefix.
    renamed: str | None

    def name(self, prefix: str, *, qualified: bool) -> str:
        own = f"{self.parent}_{self.field}" if qualified else self.field
        return prefix + (own if self.renamed is None else self.renamed)


class _Added(NamedTuple):
    reference: _Reference
    #: Written with its struct, as source.lsn.
    qualified: bool


def _references() -> Kind[tuple[_Added, ...]]:
    def one(word: str) -> _Added:
        path, colon, renamed = word.partition(":")
        steps = path.split(".")
        if not all(steps) or len(steps) > 2 or ":" in renamed or (colon and not renamed):
            raise ValueError("must be field, struct.field or field:newname, ...")
        field = steps[-1]
        parent: str | None = steps[0]
        if len(steps) == 1:
            parent = "transaction" if field in _OF_TRANSACTION else None if field in _OF_ENVELOPE else SOURCE
        return _Added(_Reference(parent, field, renamed or None), len(steps) == 2)

    return parsed("LIST", lambda text: tuple(one(w) for w in words().parse(text)), "field, struct.field or field:newname, ...")


class ExtractNewRecordStateConfig(ConfigDef):
    """Options of ExtractNewRecordState."""

    mode = Property[str](
        "delete.tombstone.handling.mode",
        one_of("tombstone", "drop", "delete-to-tombstone", "rewrite", "rewrite-with-tombstone"), default="tombstone",
        doc="What a delete becomes. tombstone: a null that keeps the row's schema; delete-to-tombstone: a null without; "
        "drop: nothing; rewrite: the old row with `__deleted` = \"true\" (every other row says \"false\"). Tombstones "
        "that follow deletes are dropped, but for rewrite-with-tombstone.",
    )  # fmt: skip
    add_fields = Property[tuple[_Added, ...]](
        "add.fields", _references(), default=(),
        doc="Fields of the event to add to the row: op, ts_ms, ...; id, total_order, data_collection_order of the "
        "transaction; others from source. `source.ts_ms` becomes `__source_ts_ms`, `op:kind` `__kind`. Unknown ones are left out.",
    )  # fmt: skip
    add_headers = Property[tuple[_Added, ...]]("add.headers", _references(), default=(), doc="The same, as headers.")
    fields_prefix = Property[str]("add.fields.prefix", trimmed(), default="__", doc="Stands before the added fields' names.")
    headers_prefix = Property[str]("add.headers.prefix", trimmed(), default="__", doc="Stands before the added headers' names.")
    route_by = Property[str]("route.by.field", trimmed(), default="", doc="A text column whose value becomes the topic.")
    drop_header = Property[str](
        "drop.fields.header.name", trimmed(), default="", doc="A header that holds a list of columns to leave out."
    )
    drop_from_key = Property[bool]("drop.fields.from.key", boolean(), default=False, doc="Leave them out of the key too.")
    drop_compatible = Property[bool](
        "drop.fields.keep.schema.compatible", boolean(), default=True, doc="Leave out only columns that may be null."
    )
    replace_null = Property[bool](
        "replace.null.with.default", boolean(), default=True,
        doc="With rewrite: take a column's default where it is null.",
    )  # fmt: skip
    old_tombstones = Property[bool](
        "drop.tombstones", boolean(), default=True, doc="Of older releases; counts only beside delete.handling.mode."
    )
    old_deletes = Property[str | None](
        "delete.handling.mode", one_of("drop", "none", "rewrite"),
        doc="Of older releases: what a delete becomes. Debezium 3.6 ignores it; here it counts when "
        "delete.tombstone.handling.mode is not given.",
    )  # fmt: skip

    @property
    def by_old_options(self) -> bool:
        return self.old_deletes is not None and "delete.tombstone.handling.mode" not in self.raw

    def warnings(self) -> Iterator[str]:
        if self.by_old_options:
            yield "delete.handling.mode is of an older release: it is followed; today's key is delete.tombstone.handling.mode"
        elif self.old_deletes is not None or "drop.tombstones" in self.raw:
            yield f"drop.tombstones and delete.handling.mode are of older releases and have no effect: deletes follow {self.mode}"

    def check(self, faults: list[Fault]) -> None:
        for prop, added, prefix in (("add.fields", self.add_fields, self.fields_prefix), ("add.headers", self.add_headers, self.headers_prefix)):
            names = [a.reference.name(prefix, qualified=a.qualified) for a in added]
            if prop == "add.fields" and len(set(names)) < len(names):
                faults.append(Fault(prop, "gives the same name to two fields"))


class _Deletes(NamedTuple):
    """What deletes become: drop, null, tombstone or rewrite; and whether tombstones pass."""

    become: str
    keep_tombstones: bool = False


_MODES = {
    "drop": _Deletes("drop"), "tombstone": _Deletes("null"), "delete-to-tombstone": _Deletes("tombstone"),
    "rewrite": _Deletes("rewrite"), "rewrite-with-tombstone": _Deletes("rewrite", keep_tombstones=True),
}  # fmt: skip
_OLD_MODES = {"drop": "drop", "none": "null", "rewrite": "rewrite"}


class _Event(NamedTuple):
    """What one envelope schema gives: made once, used for every record."""

    #: Held, so that its id stays its own.
    envelope: Schema
    image: Schema
    row: Schema
    #: New name, struct (None: the event itself) and field.
    fields: tuple[tuple[str, str | None, str], ...]
    headers: tuple[tuple[str, str | None, str, Schema], ...]


class ExtractNewRecordState:
    """Records that are no change events pass; truncates are dropped."""

    config = ExtractNewRecordStateConfig
    moves_only: ClassVar[bool] = True
    adds_headers_in_place: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ExtractNewRecordStateConfig)
        self._settings = settings
        self._deletes = _MODES[settings.mode]
        if settings.by_old_options:
            self._deletes = _Deletes(_OLD_MODES[settings.old_deletes or ""], not settings.old_tombstones)
        self._rewrites = self._deletes.become == "rewrite"
        self._replace = settings.replace_null and self._rewrites
        self._events: dict[int, _Event] = {}
        self._dropped: dict[tuple[int, tuple[str, ...]], tuple[Schema, Schema]] = {}

    # ---- schemas

    def _event(self, envelope: Schema) -> _Event:
        found = self._events.get(id(envelope))
        if found is None:
            if len(self._events) >= MAX_SCHEMAS:
                self._events.clear()
            found = self._events[id(envelope)] = self._prepared(envelope)
        return found

    def _prepared(self, envelope: Schema) -> _Event:
        s = self._settings
        image = envelope.field(AFTER)
        if image is None:
            raise RecordError("a change event has no row", cause="unwrap: field after")
        added = list(_resolved(envelope, s.add_fields, s.fields_prefix))
        fields = [(f.name, f.schema) for f in image.fields]
        if self._rewrites:
            fields.append((_DELETED, STRING.replace(optional=True)))
        fields += [(name, own) for name, _, _, own in added]
        if len({name for name, _ in fields}) < len(fields):
            raise RecordError("an added field has the name of a column", cause="unwrap: add.fields", hint="rename it: op:new_name")
        return _Event(
            envelope, image, bare_struct(image, fields),
            tuple((name, parent, field) for name, parent, field, _ in added),
            tuple(_resolved(envelope, s.add_headers, s.headers_prefix)),
        )  # fmt: skip

    # ---- records

    def apply(self, record: Record) -> Record | None:
        value = envelope_of(record)
        if value is None:
            return self._tombstone(record) if is_null(record.value) else record
        assert record.value_schema is not None
        event = self._event(record.value_schema)
        if event.headers:
            added = (Header(name, own, _value(value, parent, field)) for name, parent, field, own in event.headers)
            record = record.replace(headers=(*record.headers, *added))
        before, after = fields_or_null(value.get(BEFORE), "unwrap"), fields_or_null(value.get(AFTER), "unwrap")
        if after is not None:
            row = self._row(record, event, value, after, "false")
            return self._dropping(self._routed(row, event, row.value))
        if before is None:
            return None
        deleted = self._deleted(record, event, value, before)
        return None if deleted is None else self._dropping(self._routed(deleted, event, before))

    def _tombstone(self, record: Record) -> Record | None:
        if not self._deletes.keep_tombstones:
            return None
        s = self._settings
        names = [a.reference.name(s.headers_prefix, qualified=a.qualified) for a in s.add_headers if a.reference.field == OP]
        return record.replace(headers=(*record.headers, *(Header(name, STRING, DELETE) for name in names)))

    def _deleted(self, record: Record, event: _Event, value: dict[str, Any], before: dict[str, Any]) -> Record | None:
        match self._deletes.become:
            case "drop":
                return None
            case "null":
                return record.replace(value_schema=event.image, value=None)
            case "tombstone":
                return record.replace(value_schema=None, value=None)
        return self._row(record, event, value, before, "true")

    def _row(self, record: Record, event: _Event, value: dict[str, Any], image: dict[str, Any], deleted: str) -> Record:
        get = image.get
        if self._replace:
            row = {f.name: or_default(f.schema, get(f.name)) for f in event.image.fields}
        else:
            row = {f.name: get(f.name) for f in event.image.fields}
        if self._rewrites:
            row[_DELETED] = deleted
        for name, parent, field in event.fields:
            row[name] = _value(value, parent, field)
        return record.replace(value_schema=event.row, value=row)

    def _routed(self, record: Record, event: _Event, image: dict[str, Any]) -> Record:
        if not self._settings.route_by:
            return record
        topic = text_field(event.image, image, self._settings.route_by, "route.by.field")
        return record.replace(topic=topic) if topic is not None and topic.strip() else record

    def _dropping(self, record: Record) -> Record:
        """Without the columns that the header lists."""
        wanted = self._settings.drop_header
        header = next((h for h in record.headers if h.key == wanted), None) if wanted else None
        listed = None if header is None else known(header.value)
        if not listed:
            return record
        if not isinstance(listed, list):
            raise RecordError("a header is no list", cause=f"drop.fields.header.name: header {wanted}")
        names = tuple(str(known(name)) for name in listed)
        if self._settings.drop_from_key and record.key_schema is not None and type(record.key) is dict:
            schema, key = self._shorter(record.key_schema, record.key, names)
            record = record.replace(key_schema=schema, key=key)
        if record.value_schema is not None and record.value is not None:
            schema, value = self._shorter(record.value_schema, record.value, names)
            record = record.replace(value_schema=schema, value=value)
        return record

    def _shorter(self, schema: Schema, value: dict[str, Any], names: tuple[str, ...]) -> tuple[Schema, dict[str, Any]]:
        cached = self._dropped.get((id(schema), names))
        if cached is None:
            kept = [
                (f.name, f.schema) for f in schema.fields
                if f.name not in names or (self._settings.drop_compatible and not f.schema.optional)
            ]  # fmt: skip
            shorter = schema if len(kept) == len(schema.fields) else bare_struct(schema, kept)
            if len(self._dropped) >= MAX_SCHEMAS:
                self._dropped.clear()
            cached = self._dropped[(id(schema), names)] = (schema, shorter)
        shorter = cached[1]
        if shorter is schema:
            return schema, value
        return shorter, {f.name: or_default(f.schema, value.get(f.name)) for f in shorter.fields}


def _resolved(envelope: Schema, added: tuple[_Added, ...], prefix: str) -> Iterator[tuple[str, str | None, str, Schema]]:
    """New name, struct, field and new schema of each that the event has: in its struct, or else at its top.

    Its schema is optional and without default.
    """
    for a in added:
        parent = a.reference.parent
        holder = envelope if parent is None else envelope.field(parent)
        own = holder and holder.field(a.reference.field)
        if own is None:
            parent, own = None, envelope.field(a.reference.field)
        if own is not None:
            name = a.reference.name(prefix, qualified=a.qualified)
            yield name, parent, a.reference.field, own.replace(optional=True, default=NO_DEFAULT)


def _value(event: dict[str, Any], parent: str | None, field: str) -> Any:
    """None where its struct is null, as transaction is in a snapshot."""
    if parent is None:
        return event.get(field)
    holder = fields_or_null(event.get(parent), "unwrap")
    return None if holder is None else holder.get(field)
