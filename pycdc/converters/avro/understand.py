"""Avro's types -> Connect's schemas, and messages -> values: what AvroData reads back.

What `declare` wrote under connect.* comes back; a schema of other origin gives Connect's plain types, its
enums strings with their symbols as parameters, its logical types Connect's. Messages are read by fastavro with
a schema without logical types, so that values have the forms of model/schema.py; only Decimals, pairs and
unions are changed afterwards.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import partial
from itertools import groupby
from struct import Struct
from typing import Any

from pycdc.converters.avro import declare as d
from pycdc.converters.avro.columns import Columns, Places, Read, ReadOne, Skip
from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.encoding import float32
from pycdc.converters.avro.names import DEFAULT_NAME, ENUM, NAMESPACE, UNION
from pycdc.converters.avro.types import ABSENT, NAMED, PRIMITIVES, AvroType, parse, parts
from pycdc.errors import RecordError
from pycdc.model.envelope import AFTER, OP, SOURCE
from pycdc.model.schema import DECIMAL, NO_DEFAULT, STRING, Field, Schema

_FLOAT = Struct("<f")
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_TYPES = {"int": "int32", "long": "int64", "float": "float32", "double": "float64"}
_LOGICAL = {"date": "int", "time-millis": "int", "timestamp-millis": "long"}
_NAMES = {logical: name for name, logical in d.LOGICAL.items()}

#: A value as fastavro gives it -> the value of its schema.
Fix = Callable[[Any], Any]


class Understood:
    """A registered schema: Connect's side of it, and how messages are read."""

    __slots__ = ("_columns", "_decode", "_fix", "_names", "_plain", "_raw", "_rows", "_settings", "_type", "schema")

    def __init__(self, t: AvroType, settings: AvroConverterConfig) -> None:
        import fastavro  # here, because a converter that only writes starts without it

        self.schema = connect_schema(t, settings)
        self._type, self._settings = t, settings
        self._columns: Read | None = None
        self._rows: _Envelopes | None = None
        names: dict[int, str] = {}
        self._names = names
        self._plain: Any = fastavro.parse_schema(_plain(t, names))
        self._fix = _fixer(t, names, settings)
        self._raw = t.kind == "bytes"
        # which one of a union's named types it met fastavro says only when asked to, and then takes a third longer
        several = {"return_named_type": True, "return_named_type_override": True} if _has_named_branches(t, set()) else {}
        self._decode = partial(fastavro.schemaless_reader, **several)

    def read(self, body: bytes) -> Any:
        """The value. Raises whatever the decoder raises."""
        if self._raw:
            value: Any = body
        else:
            stream = io.BytesIO(body)
            value = self._decode(stream, self._plain)
            if stream.tell() != len(body):
                raise ValueError(f"{len(body) - stream.tell()} bytes are left over")
        return value if self._fix is None or value is None else self._fix(value)


    def read_many(self, data: Sequence[bytes]) -> list[Any]:
        """The values of many messages, ids in front included. Raises whatever the decoder raises."""
        if self._raw:
            return [d[_HEAD:] if self._fix is None else self._fix(d[_HEAD:]) for d in data]
        if self._columns is None:
            self._columns = self._maker().reader(self._type)
        values, places = self._columns(data, [_HEAD] * len(data))
        _all_read(data, places)
        return values

    def read_envelopes(self, data: Sequence[bytes]) -> tuple[list[str], list[Any], dict[str, Any]]:
        """Of many envelopes, the op and the row as it became, and the source of the first.

        Raises whatever the decoder raises, and ValueError where they are of several tables.
        """
        if self._rows is None:
            self._rows = _envelopes(self._type, self._maker())
        return self._rows(data)

    @property
    def is_envelope(self) -> bool:
        return {OP, SOURCE, AFTER} <= {f.name for f in self._type.fields}

    def _maker(self) -> Columns:
        return Columns(self._read_one, lambda t: _fixer(t, self._names, self._settings))

    def _read_one(self, t: AvroType) -> ReadOne:
        """A type without a loop of its own, by fastavro. Types named elsewhere are declared anew."""
        import fastavro

        names: dict[int, str] = {}
        plain: Any = fastavro.parse_schema(_plain(t, names))
        fix, decode = _fixer(t, names, self._settings), self._decode

        def read(data: bytes, place: int) -> tuple[Any, int]:
            stream = io.BytesIO(data)
            stream.seek(place)
            value: Any = decode(stream, plain)
            return (value if fix is None or value is None else fix(value)), stream.tell()

        return read


#: Magic byte and id in front of a message.
_HEAD = 5
#: Fields of the source block that are another's in each message of a transaction.
_CHANGING = frozenset(("lsn", "sequence"))

_Envelopes = Callable[[Sequence[bytes]], tuple[list[str], list[Any], dict[str, Any]]]


def _all_read(data: Sequence[bytes], places: Places) -> None:
    if places != list(map(len, data)):
        raise ValueError("a message is longer or shorter than its schema says")


def _envelopes(t: AvroType, maker: Columns) -> _Envelopes:
    """A reader that makes nothing of the other fields, and of the source block only the table's name."""
    source = next(f.type for f in t.fields if f.name == SOURCE)
    if source.kind != "record" or not {"schema", "table"} <= {f.name for f in source.fields}:
        raise ValueError("no table in the source block")
    whole_source, skip_source = maker.reader(source), _source_steps(source, maker)
    steps: list[tuple[str, Read | None, Skip]] = []
    for wanted, group in groupby(t.fields, lambda f: f.name if f.name in (AFTER, OP, SOURCE) else ""):
        fields = list(group)
        if wanted in (AFTER, OP):
            steps.append((wanted, maker.reader(fields[0].type), skip_source))
        else:
            steps.append((wanted, None, skip_source if wanted else maker.skipper_alike([f.type for f in fields])))

    def read(data: Sequence[bytes]) -> tuple[list[str], list[Any], dict[str, Any]]:
        places = [_HEAD] * len(data)
        found: dict[str, list[Any]] = {}
        for name, reader, skip in steps:
            if reader is not None:
                found[name], places = reader(data, places)
                continue
            if name:
                first = whole_source(data[:1], places[:1])[0][0]
            places = skip(data, places)
        _all_read(data, places)
        return found[OP], found[AFTER], first

    return read


def _source_steps(source: AvroType, maker: Columns) -> Skip:
    """Over the source block. Raises ValueError where it is of several tables."""
    names = [f.name for f in source.fields]
    begin = min(names.index("schema"), names.index("table"))
    end = max(names.index("schema"), names.index("table")) + 1
    before, table, behind = (
        maker.skipper_of_fields(AvroType(kind="record", fields=source.fields[a:b]), _CHANGING)
        for a, b in ((0, begin), (begin, end), (end, None))
    )

    def skip(data: Sequence[bytes], places: Places) -> Places:
        places = before(data, places)
        first = data[0][places[0] : table(data[:1], places[:1])[0]]
        if not all(d.startswith(first, p) for d, p in zip(data, places, strict=True)):
            raise ValueError("several tables")
        return behind(data, [p + len(first) for p in places])

    return skip


def understand(text: str, settings: AvroConverterConfig) -> Understood:
    """A registered schema's text. Raises RecordError."""
    t = parse(text)
    try:
        return Understood(t, settings)
    except RecursionError:
        raise RecordError("a schema that holds itself cannot be read", cause=t.full_name) from None


# ---- schemas


def connect_schema(t: AvroType, settings: AvroConverterConfig) -> Schema:
    """The Connect schema of a type. Raises RecordError where Connect has none."""
    return _schema(t, settings, optional=False, default=ABSENT, doc=None)


def _schema(t: AvroType, settings: AvroConverterConfig, *, optional: bool, default: Any, doc: str | None) -> Schema:
    """`default` and `doc` are those of the field that has this type."""
    if t.kind == "union":
        others = [b for b in t.branches if b.kind != "null"]
        if len(t.branches) == 2 and len(others) == 1:
            return _schema(others[0], settings, optional=True, default=ABSENT, doc=doc)
        return _union_schema(t, others, settings, has_default=default is not ABSENT)
    bare, parameters = _bare_schema(t, settings)
    discard, meta = settings.discard_docs, settings.connect_meta_data
    if discard:
        doc = doc if doc is not None else t.doc if t.doc is not None else t.props.get(d.DOC)
        if meta and t.doc is not None:
            parameters.append((d.PLAIN_RECORD_DOC, t.doc))
    else:
        doc = t.props.get(d.DOC) if meta else None
    if meta:
        parameters = list((dict(parameters) | dict(t.props.get(d.PARAMETERS, {}))).items())
    parameters += [(k, str(v)) for k, v in t.props.items() if k.startswith("avro")]
    chosen = default
    if chosen is ABSENT or chosen is None:
        chosen = t.props.get(d.DEFAULT)
    elif not discard and meta and d.DEFAULT not in t.props:
        parameters.append((d.FIELD_DEFAULT, "true"))
    schema = bare.replace(
        optional=optional, doc=doc, parameters=tuple(parameters),
        name=_name(t, bare),
        version=t.props.get(d.VERSION, bare.version),
    )  # fmt: skip
    value = NO_DEFAULT if chosen is None else _default(schema, t, chosen)
    return schema.replace(default=value)


def _name(t: AvroType, bare: Schema) -> str | None:
    """Connect's own name of it, a logical type's, or Avro's."""
    name: str | None = t.props.get(d.NAME) or bare.name or (t.full_name if t.name else None)
    return None if name is not None and name.startswith(f"{NAMESPACE}.{DEFAULT_NAME}") else name


def _bare_schema(t: AvroType, settings: AvroConverterConfig) -> tuple[Schema, list[tuple[str, str]]]:
    """Type and parts, and the parameters that the type itself gives."""
    logical = t.props.get("logicalType")
    if t.kind in ("bytes", "fixed"):
        size = [(d.FIXED_SIZE, str(t.size))] if t.kind == "fixed" else []
        if logical != "decimal":
            return Schema(type="bytes"), size
        precision = t.props.get("precision", d.UNKNOWN_PRECISION)
        known = [] if precision == d.UNKNOWN_PRECISION else [(d.PRECISION, str(precision))]
        return Schema(type="bytes", name=DECIMAL, version=1), [("scale", str(t.props.get("scale", 0))), *known, *size]
    if t.kind == "record":
        return _struct(t, settings)
    if t.kind == "enum":
        return Schema(type="string"), _enum_parameters(t, settings)
    if t.kind in ("array", "map"):
        assert t.items is not None
        return _container(t, t.items, settings), []
    if t.kind == "null":
        raise RecordError("Connect has no type of nothing but null", hint="give the field a type besides null")
    if logical is not None and _LOGICAL.get(logical) == t.kind:
        return Schema(type=_TYPES[t.kind], name=_NAMES[logical], version=1), []
    kind = _TYPES.get(t.kind, t.kind)
    return Schema(type=t.props.get(d.TYPE, kind) if t.kind == "int" else kind), []


def _struct(t: AvroType, settings: AvroConverterConfig) -> tuple[Schema, list[tuple[str, str]]]:
    kept = settings.connect_meta_data and not settings.discard_docs
    parameters = [(d.RECORD_DOC, t.doc)] if kept and t.doc is not None else []
    fields = []
    for f in t.fields:
        if kept and f.doc is not None:
            parameters.append((d.FIELD_DOC + f.name, f.doc))
        fields.append(Field(f.name, _schema(f.type, settings, optional=False, default=f.default, doc=f.doc)))
    return Schema(type="struct", fields=tuple(fields)), parameters


def _enum_parameters(t: AvroType, settings: AvroConverterConfig) -> list[tuple[str, str]]:
    parameters = []
    if settings.connect_meta_data and t.doc is not None:
        parameters.append((d.PLAIN_ENUM_DOC if settings.discard_docs else d.ENUM_DOC + t.name, t.doc))
    if settings.connect_meta_data and t.default_symbol is not None and not settings.discard_docs:
        parameters.append((d.ENUM_DEFAULT + t.name, t.default_symbol))
    return [*parameters, (ENUM, t.full_name), *((f"{ENUM}.{s}", s) for s in t.symbols)]


def _container(t: AvroType, items: AvroType, settings: AvroConverterConfig) -> Schema:
    if t.kind == "map":
        return Schema(type="map", keys=STRING, values=connect_schema(items, settings))
    if _is_pair(items):
        keys, values = (connect_schema(f.type, settings) for f in items.fields)
        return Schema(type="map", keys=keys, values=values)
    return Schema(type="array", items=connect_schema(items, settings))


def _is_pair(t: AvroType) -> bool:
    named = t.full_name == f"{NAMESPACE}.{d.MAP_ENTRY}" or t.props.get(d.INTERNAL) == d.MAP_ENTRY
    return t.kind == "record" and named and [f.name for f in t.fields] == ["key", "value"]


def _union_schema(t: AvroType, others: list[AvroType], settings: AvroConverterConfig, *, has_default: bool) -> Schema:
    """A struct with a field per branch, of which one has a value."""
    names = [_branch_name(b, settings) for b in others]
    if len(set(names)) < len(names):
        raise RecordError(
            "two branches of a union have one name", cause=", ".join(names),
            hint="set enhanced.avro.schema.support=true, which keeps their namespaces",
        )  # fmt: skip
    fields = tuple(
        Field(n, _schema(b, settings, optional=True, default=ABSENT, doc=None)) for n, b in zip(names, others, strict=True)
    )
    marked = has_default and settings.connect_meta_data and not settings.discard_docs
    return Schema(
        type="struct", name=UNION, optional=len(others) < len(t.branches), fields=fields,
        parameters=((d.FIELD_DEFAULT, "true"),) if marked else (),
    )  # fmt: skip


def _branch_name(b: AvroType, settings: AvroConverterConfig) -> str:
    return b.full_name if settings.enhanced or not b.name else b.name


def _default(schema: Schema, t: AvroType, value: Any) -> Any:
    """A default as JSON -> a value of `schema`; NO_DEFAULT where it is none."""
    try:
        return _default_value(schema, t, value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return NO_DEFAULT


def _default_value(schema: Schema, t: AvroType, value: Any) -> Any:
    if value is None:
        return None
    if t.kind in ("bytes", "fixed"):
        data = value.encode("latin-1")
        return _decimal(schema)(data) if schema.name == DECIMAL else data
    if t.kind in ("float", "double"):
        return _FLOAT.unpack(float32(float(value)))[0] if t.kind == "float" else float(value)
    if t.kind == "record":
        return {
            f.name: _default_value(s.schema, f.type, value.get(f.name, None if f.default is ABSENT else f.default))
            for f, s in zip(t.fields, schema.fields, strict=True)
        }
    if t.kind == "union":
        other = next(b for b in t.branches if b.kind != "null")
        return _default_value(schema, other, value)
    if t.kind == "map" and t.items is not None and schema.values is not None:
        items, values = t.items, schema.values
        return {k: _default_value(values, items, v) for k, v in value.items()}
    if t.kind == "array" and t.items is not None:
        if schema.keys is not None and schema.values is not None:
            key, item = t.items.fields
            return {
                _default_value(schema.keys, key.type, k): _default_value(schema.values, item.type, v) for k, v in value
            }
        assert schema.items is not None
        inner, item_schema = t.items, schema.items
        return [_default_value(item_schema, inner, v) for v in value]
    return value


# ---- messages


def _plain(t: AvroType, known: dict[int, str]) -> Any:
    """The schema for fastavro: binary form and field names alone, types named anew, as it checks names."""
    if t.kind == "union":
        return [_plain(b, known) for b in t.branches]
    if t.kind in PRIMITIVES:
        return t.kind
    if id(t) in known:
        return known[id(t)]
    if t.kind == "array":
        return {"type": "array", "items": _plain(t.items, known)}  # type: ignore[arg-type]
    if t.kind == "map":
        return {"type": "map", "values": _plain(t.items, known)}  # type: ignore[arg-type]
    name = known[id(t)] = f"t{len(known)}"
    if t.kind == "enum":
        return {"type": "enum", "name": name, "symbols": list(t.symbols)}
    if t.kind == "fixed":
        return {"type": "fixed", "name": name, "size": t.size}
    return {"type": "record", "name": name, "fields": [{"name": f.name, "type": _plain(f.type, known)} for f in t.fields]}


def _has_named_branches(t: AvroType, seen: set[int]) -> bool:
    """Whether a union in it has several named types."""
    if id(t) in seen:
        return False
    seen.add(id(t))
    return sum(b.kind in NAMED for b in t.branches) > 1 or any(_has_named_branches(p, seen) for p in parts(t))


def _fixer(t: AvroType, names: dict[int, str], settings: AvroConverterConfig) -> Fix | None:
    """What turns fastavro's value into the schema's; None when nothing differs."""
    if t.kind in ("bytes", "fixed"):
        return _decimal_fix(t.props.get("scale", 0)) if t.props.get("logicalType") == "decimal" else None
    if t.kind == "record":
        inner = [(f.name, fix) for f in t.fields if (fix := _fixer(f.type, names, settings)) is not None]
        return _record_fix(inner) if inner else None
    if t.kind in ("map", "array"):
        assert t.items is not None
        if t.kind == "array" and _is_pair(t.items):
            return _pairs_fix(*(_fixer(f.type, names, settings) for f in t.items.fields))
        return _items_fix(_fixer(t.items, names, settings), is_map=t.kind == "map")
    if t.kind == "union":
        others = [b for b in t.branches if b.kind != "null"]
        if len(t.branches) == 2 and len(others) == 1:
            return _fixer(others[0], names, settings)
        fixes = [(b, _branch_name(b, settings), _fixer(b, names, settings)) for b in others]
        return _union_fix(fixes, names)
    return None


def _decimal(schema: Schema) -> Fix:
    return _decimal_fix(int(schema.parameter("scale") or 0))


def _decimal_fix(scale: int) -> Fix:
    return lambda data: _EXACT.scaleb(Decimal(int.from_bytes(data, "big", signed=True)), -scale)


def _record_fix(inner: list[tuple[str, Fix]]) -> Fix:
    """In place: the dict was made for this message alone."""

    def fix(record: dict[str, Any]) -> dict[str, Any]:
        for name, f in inner:
            value = record[name]
            if value is not None:
                record[name] = f(value)
        return record

    return fix


def _items_fix(fix: Fix | None, *, is_map: bool) -> Fix | None:
    if fix is None:
        return None
    if is_map:
        return lambda values: {k: None if v is None else fix(v) for k, v in values.items()}
    return lambda values: [None if v is None else fix(v) for v in values]


def _pairs_fix(key: Fix | None, value: Fix | None) -> Fix:
    fix_key, fix_value = key or _same, value or _same
    return lambda pairs: {
        None if p["key"] is None else fix_key(p["key"]): None if p["value"] is None else fix_value(p["value"]) for p in pairs
    }


def _same(value: Any) -> Any:
    return value


#: What fastavro gives for a kind.
_PYTHON: dict[str, tuple[type, ...]] = {
    "boolean": (bool,), "int": (int,), "long": (int,), "float": (float,), "double": (float,), "string": (str,), "enum": (str,),
    "bytes": (bytes,), "fixed": (bytes,), "record": (dict,), "map": (dict,), "array": (list,),
}  # fmt: skip
_INT32 = range(-(2**31), 2**31)


def _union_fix(branches: list[tuple[AvroType, str, Fix | None]], names: dict[int, str]) -> Fix:
    """The union struct with the one field that has a value; fastavro names the branch of named types where several are."""

    def chosen(b: AvroType, value: Any, name: str | None) -> bool:
        if name is not None:
            return names.get(id(b)) == name
        if type(value) not in _PYTHON[b.kind]:
            return False
        return b.kind != "int" or value in _INT32

    def fix(value: Any) -> dict[str, Any]:
        name, inner = value if type(value) is tuple else (None, value)
        field, inner_fix = next((f, x) for b, f, x in branches if chosen(b, inner, name))
        out: dict[str, Any] = {f: None for _, f, _ in branches}
        out[field] = inner if inner_fix is None else inner_fix(inner)
        return out

    return fix
