"""The type table: PostgreSQL's name of a type -> its entry. To add a type is to add one line here.

Arrays follow from their elements, domains from their bases, enums from their labels; what is not here is
left out of events, or shown as bytes with include.unknown.datatypes.
Source: Debezium's PostgreSQL connector documentation, "Data type mappings", and the captures.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pycdc.debezium.types import binary, numeric, structured, temporal, text
from pycdc.debezium.types.arrays import array
from pycdc.debezium.types.defaults import default_of
from pycdc.debezium.types.entry import Entry, Read, ResolvedColumn, Shape, TypeSettings
from pycdc.debezium.types.interval import interval
from pycdc.debezium.types.modifiers import base_of, shape_of
from pycdc.model.schema import NO_DEFAULT
from pycdc.model.table import Column, TypeInfo
from pycdc.model.template import Reader

Maker = Callable[[Shape, TypeSettings], Entry]


def _fixed(entry: Entry) -> Maker:
    return lambda _shape, _settings: entry


def _text(maker: text.Maker) -> Maker:
    return lambda _shape, settings: maker(settings)


_PLAIN = _text(text.text())
_CHARACTERS = _text(text.text(characters=True, default=text.as_is))
_JSON = _text(text.text("io.debezium.data.Json", default=text.as_is, generated="{}"))
_NIL = "00000000-0000-0000-0000-000000000000"

#: Types of pg_catalog.
BUILTIN: dict[str, Maker] = {
    "int2": _fixed(numeric.integer("int16")),
    "int4": _fixed(numeric.integer("int32")),
    "int8": _fixed(numeric.integer("int64")),
    "oid": _fixed(numeric.oid()),
    "float4": _fixed(numeric.real("float32")),
    "float8": _fixed(numeric.real("float64")),
    "numeric": numeric.numeric,
    "money": lambda _, settings: numeric.money(settings),
    "bool": _fixed(numeric.boolean()),
    "bit": binary.bits,
    "varbit": binary.bits,
    "bytea": lambda _, settings: binary.bytea(settings),
    "text": _CHARACTERS,
    "varchar": _CHARACTERS,
    "bpchar": _CHARACTERS,
    "char": _text(text.text(characters=True)),
    "name": _text(text.text(characters=True, items="absent")),
    "json": _JSON,
    "jsonb": _JSON,
    "xml": _text(text.text("io.debezium.data.Xml", default=text.as_is, items="absent")),
    "uuid": _text(text.text("io.debezium.data.Uuid", default=text.uuid_default, generated=_NIL)),
    "tsvector": _text(text.text("io.debezium.data.Tsvector", items="required")),
    "date": temporal.date,
    "time": temporal.time,
    "timetz": temporal.timetz,
    "timestamp": temporal.timestamp,
    "timestamptz": temporal.timestamptz,
    "interval": interval,
    "point": structured.point,
    "inet": _PLAIN,
    "cidr": _PLAIN,
    "macaddr": _PLAIN,
    "macaddr8": _PLAIN,
    "int4range": _PLAIN,
    "int8range": _PLAIN,
    "numrange": _PLAIN,
    "tsrange": _PLAIN,
    "tstzrange": _PLAIN,
    "daterange": _PLAIN,
}

#: Types of extensions, whatever schema they were created in.
EXTENSIONS: dict[str, Maker] = {
    "citext": _PLAIN,
    "hstore": structured.hstore,
    "ltree": _text(text.text("io.debezium.data.Ltree")),
    "isbn": _text(text.text(items="required")),
    "geometry": _fixed(structured.geometry("Geometry")),
    "geography": _fixed(structured.geometry("Geography")),
    "vector": _fixed(structured.vector("float64", "DoubleVector")),
    "halfvec": _fixed(structured.vector("float32", "FloatVector")),
    "sparsevec": structured.sparse_vector,
}

#: Of category A, but with a text of their own (`1 2 3`).
_NO_ARRAYS = frozenset(("int2vector", "oidvector"))


def entry_of(typ: TypeInfo, shape: Shape, settings: TypeSettings) -> Entry | None:
    """The entry of a type that is no domain; None when the table does not know it."""
    if typ.kind == "e":
        return text.enum(typ, settings)
    if typ.element is not None and typ.category == "A" and typ.name not in _NO_ARRAYS:
        return array(typ.element, shape, settings, entry_of)
    maker = BUILTIN.get(typ.name) if typ.schema == "pg_catalog" else EXTENSIONS.get(typ.name)
    return None if maker is None or typ.kind not in "br" else maker(shape, settings)


def resolve(column: Column, settings: TypeSettings) -> ResolvedColumn | None:
    """The column's schema and readers; None when its type is left out of events."""
    typ, _ = base_of(column.type)
    entry = entry_of(typ, shape_of(column), settings)
    if entry is None:
        if not settings.include_unknown or (typ.category == "A" and typ.name not in _NO_ARRAYS):
            return None
        entry = binary.unknown(typ.name, settings)
    is_domain = column.type is not typ
    default = NO_DEFAULT if is_domain else default_of(column.default, entry, is_enum=typ.kind == "e")
    return _resolved(column, entry, default, is_domain=is_domain)


def _resolved(column: Column, entry: Entry, default: object, *, is_domain: bool) -> ResolvedColumn:
    reader = Reader(
        read=entry.read, form=entry.form, unscaled=entry.unscaled,
        type_name=column.type.name, column_name=column.name,
    )  # fmt: skip
    fallback = entry.fallback if default is NO_DEFAULT else default
    unavailable = _unavailable_in_domain(entry) if is_domain else entry.unavailable
    # null cannot stand in a NOT NULL field: its fallback does, and the event names the column
    unmarked = unavailable is None
    return ResolvedColumn(
        schema=entry.schema.replace(optional=column.nullable or entry.always_null, default=default),
        reader=reader,
        snapshot_reader=reader if entry.snapshot is None else _reading(reader, entry.snapshot),
        fallback=fallback,
        unavailable=fallback if unmarked and not column.nullable else unavailable,
        always_null=entry.always_null,
        unavailable_unmarked=unmarked,
        characters=entry.characters,
    )


def _reading(reader: Reader, read: Read) -> Reader:
    return msgspec.structs.replace(reader, read=read)


def _unavailable_in_domain(entry: Entry) -> object:
    """Debezium tells arrays and hstore by the domain's name, which it does not know."""
    return entry.unavailable if entry.schema.type in ("string", "bytes") else None
