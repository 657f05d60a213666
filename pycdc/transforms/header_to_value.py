"""io.debezium.transforms.HeaderToValue: headers become fields of the value, nested ones by a dotted name."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from pycdc.config.definition import ConfigDef, Property, one_of
from pycdc.errors import Fault, RecordError
from pycdc.model.record import Record
from pycdc.model.schema import Schema, struct
from pycdc.transforms.operand import MAX_SCHEMAS, bare_struct, fields_of, fields_or_null, is_null, or_default
from pycdc.transforms.options import names

_PURPOSE = "HeaderToValue"


class HeaderToValueConfig(ConfigDef):
    """Options of HeaderToValue."""

    headers = Property[tuple[str, ...]]("headers", names(), required=True, doc="Headers whose values become fields.")
    fields = Property[tuple[str, ...]](
        "fields", names(), required=True, doc="Their fields, one for each header, in the same order; `source.x` is x inside source."
    )
    operation = Property[str]("operation", one_of("move", "copy"), required=True, doc="move takes the headers away.")

    def check(self, faults: list[Fault]) -> None:
        if len(self.fields) != len(self.headers):
            faults.append(Fault("fields", f"must name {len(self.headers)} fields, as many as headers", ",".join(self.fields)))
        for name in (*self.fields, *self.headers):
            if " " in name:
                faults.append(Fault("fields", "names hold no blanks", name))


class _Entry(NamedTuple):
    path: tuple[str, ...]
    schema: Schema
    value: Any

    def below(self) -> _Entry:
        return self._replace(path=self.path[1:])


class HeaderToValue:
    """A record without any of the headers, and a null value, stay as they are."""

    config = HeaderToValueConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, HeaderToValueConfig)
        self._paths = {h: tuple(f.split(".")) for h, f in reversed(list(zip(settings.headers, settings.fields, strict=True)))}
        self._move = settings.operation == "move"
        self._schemas: dict[tuple[Any, ...], tuple[Schema, list[_Entry], Schema]] = {}

    def apply(self, record: Record) -> Record:
        if is_null(record.value):
            return record
        value, schema = fields_of(record.value, _PURPOSE), record.value_schema
        entries = [self._entry(h.key, h.schema, h.value) for h in record.headers if h.key in self._paths]
        if schema is None:
            raise RecordError(f"{_PURPOSE} needs a schema", cause="the record has none")
        if not entries:
            return record
        headers = tuple(h for h in record.headers if h.key not in self._paths) if self._move else record.headers
        return record.replace(value_schema=self._longer(schema, entries), value=_with(schema, value, entries), headers=headers)

    def _entry(self, header: str, schema: Schema | None, value: Any) -> _Entry:
        if schema is None:
            raise RecordError("a header has no schema, so it can be no field", cause=f"{_PURPOSE}: header {header}")
        return _Entry(self._paths[header], schema, value)

    def _longer(self, schema: Schema, entries: list[_Entry]) -> Schema:
        """Cached by identity of all schemas that go in; the entry holds them, so that their ids stay theirs."""
        key = (id(schema), *((e.path, id(e.schema)) for e in entries))
        cached = self._schemas.get(key)
        if cached is None:
            if len(self._schemas) >= MAX_SCHEMAS:  # as PerSchema
                self._schemas.clear()
            cached = self._schemas[key] = (schema, entries, _extended(schema, entries))
        return cached[2]


def _extended(schema: Schema, entries: list[_Entry]) -> Schema:
    """A struct that gets a field is built anew: like Debezium's it is no longer optional."""
    fields: list[tuple[str, Schema]] = []
    for f in schema.fields:
        inner = [e.below() for e in entries if len(e.path) > 1 and e.path[0] == f.name]
        if inner and f.schema.type != "struct":
            raise RecordError("a field is no struct, so it can get no field", cause=f"{_PURPOSE}: field {f.name}")
        fields.append((f.name, _extended(f.schema, inner) if inner else f.schema))
    known = {f.name for f in schema.fields}
    for e in entries:
        if len(e.path) == 1 and e.path[0] not in known:
            fields.append((e.path[0], e.schema))
            known.add(e.path[0])
    for e in entries:
        if e.path[0] not in known:
            inner = [o.below() for o in entries if o.path[0] == e.path[0]]
            fields.append((e.path[0], _extended(struct([], optional=True), inner).replace(optional=True)))
            known.add(e.path[0])
    return bare_struct(schema, fields)


def _with(schema: Schema, value: dict[str, Any], entries: list[_Entry]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for f in schema.fields:
        held = or_default(f.schema, value.get(f.name))
        inner = [e.below() for e in entries if len(e.path) > 1 and e.path[0] == f.name]
        if inner:
            nested = fields_or_null(held, _PURPOSE)
            held = None if nested is None else _with(f.schema, nested, inner)
        out[f.name] = held
    out |= {e.path[0]: e.value for e in entries if len(e.path) == 1}
    for e in entries:
        if e.path[0] not in out:
            out[e.path[0]] = _with(struct([]), {}, [o.below() for o in entries if o.path[0] == e.path[0]])
    return out
