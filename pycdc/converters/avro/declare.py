"""Connect's schemas -> Avro's types, as io.confluent.connect.avro.AvroData declares them.

A record's name is Connect's; used again it is the same type, whatever differs there (its default, doc and
parameters are lost, as in AvroData). Where AvroData would fail because the fields differ too, so do we.
Source: the behaviour of AvroData 7.0 with Avro 1.11, and the captures under tests.
"""

from __future__ import annotations

from decimal import Decimal
from struct import pack, unpack
from typing import Any, Final

from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.encoding import unscaled
from pycdc.converters.avro.names import DEFAULT_NAME, ENUM, NAMESPACE, UNION, field_name, split, valid
from pycdc.converters.avro.types import ABSENT, AvroField, AvroType, NumberText, same_shape
from pycdc.converters.javatext import double_text, float_text, unscaled_bytes
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, NO_DEFAULT, Schema

#: Connect's word -> Avro's.
KINDS: Final = {
    "int8": "int", "int16": "int", "int32": "int", "int64": "long", "float32": "float", "float64": "double",
    "boolean": "boolean", "string": "string", "bytes": "bytes",
}  # fmt: skip
#: Connect's logical types that are Avro's as well.
LOGICAL: Final = {
    "org.apache.kafka.connect.data.Date": "date",
    "org.apache.kafka.connect.data.Time": "time-millis",
    "org.apache.kafka.connect.data.Timestamp": "timestamp-millis",
    DECIMAL: "decimal",
}
#: Properties and parameters by which Connect's side is kept in Avro's.
NAME, DOC, VERSION, TYPE = "connect.name", "connect.doc", "connect.version", "connect.type"
PARAMETERS, DEFAULT, INTERNAL = "connect.parameters", "connect.default", "connect.internal.type"
PRECISION, FIXED_SIZE = "connect.decimal.precision", "connect.fixed.size"
RECORD_DOC, FIELD_DOC = f"{NAMESPACE}.record.doc", f"{NAMESPACE}.field.doc."
FIELD_DEFAULT = f"{NAMESPACE}.field.default"
ENUM_DOC, ENUM_DEFAULT = f"{NAMESPACE}.enum.doc.", f"{NAMESPACE}.enum.default."
PLAIN_RECORD_DOC, PLAIN_ENUM_DOC = "connect.record.doc", "connect.enum.doc"
MAP_ENTRY: Final = "MapEntry"
#: What AvroData writes for a Decimal whose precision it does not know.
UNKNOWN_PRECISION: Final = 64


def has_default(schema: Schema) -> bool:
    """A default of null is none, as in Java."""
    return schema.default is not NO_DEFAULT and schema.default is not None


def is_enum(schema: Schema) -> bool:
    return schema.type == "string" and schema.parameter(ENUM) is not None


def is_fixed(schema: Schema) -> bool:
    return schema.type == "bytes" and schema.name is not None and schema.parameter(FIXED_SIZE) is not None


def as_avro_map(schema: Schema, settings: AvroConverterConfig) -> bool:
    """Whether a map's keys are what Avro's maps have; other maps become arrays of pairs."""
    keys = schema.keys
    return keys is not None and keys.type == "string" and (not keys.optional or settings.optional_map_keys)


def declare(schema: Schema, settings: AvroConverterConfig) -> AvroType:
    """The Avro type of values of `schema`. Raises RecordError where Avro has none."""
    return _Declaration(settings).type_of(schema)


class _Declaration:
    """One whole schema: what is named in it, and how many structs had no name."""

    def __init__(self, settings: AvroConverterConfig) -> None:
        self.settings = settings
        #: By Connect's name; a struct stands here from before its own fields are declared.
        self._records: dict[str, AvroType] = {}
        #: By Avro's full name.
        self._named: dict[str, AvroType] = {}
        #: Also those without name: equal ones are one type.
        self._structs: list[tuple[Schema, AvroType]] = []
        self._without_name = 0

    def type_of(self, schema: Schema, *, bare: bool = False) -> AvroType:
        """`bare`: without the union that makes it optional."""
        if schema.type == "struct":
            return self._struct(schema)
        base = self._base(schema)
        self._annotate(base, schema)
        if base.kind in ("fixed", "enum"):
            base = self._once(base)
        return base if bare else _optional(schema, base)

    def _inner(self, schema: Schema, *, bare: bool = False) -> AvroType:
        """An item, a map's value or a union's branch: a record known by its name is not looked at again."""
        known = self._records.get(schema.name or "") if schema.type == "struct" else None
        if known is None:
            return self.type_of(schema, bare=bare)
        return known if bare else _optional(schema, known)

    # ---- kinds

    def _base(self, schema: Schema) -> AvroType:
        if schema.type == "string" and self.settings.enhanced and is_enum(schema):
            return self._enum(schema)
        if schema.type == "bytes" and is_fixed(schema):
            namespace, name = self._names(schema.name)
            base = AvroType(kind="fixed", name=valid(name, "name"), namespace=namespace,
                            size=int(schema.parameter(FIXED_SIZE) or 0))  # fmt: skip
        elif schema.type == "array":
            assert schema.items is not None
            return AvroType(kind="array", items=self._inner(schema.items))
        elif schema.type == "map":
            return self._map(schema)
        else:
            base = AvroType(kind=KINDS[schema.type])
        if schema.name == DECIMAL and schema.type == "bytes":
            base.props["scale"] = int(schema.parameter("scale") or 0)
            base.props["precision"] = int(schema.parameter(PRECISION) or UNKNOWN_PRECISION)
        return base

    def _names(self, name: str | None) -> tuple[str | None, str]:
        if name is not None:
            return split(name, scrub=self.settings.scrub)
        self._without_name += 1
        return NAMESPACE, DEFAULT_NAME + ("" if self._without_name == 1 else str(self._without_name))

    def _enum(self, schema: Schema) -> AvroType:
        _, short = self._names(schema.name)
        full = schema.parameter(ENUM) or ""
        before, _, name = full.rpartition(".")
        symbols = tuple(v for k, v in schema.parameters if k.startswith(f"{ENUM}."))
        if self.settings.discard_docs:
            doc, default = schema.parameter(PLAIN_ENUM_DOC), None
        else:
            doc, default = schema.parameter(ENUM_DOC + short), schema.parameter(ENUM_DEFAULT + short)
        return AvroType(kind="enum", name=valid(name, "name"), namespace=before or None, doc=doc, symbols=symbols,
                        default_symbol=default)  # fmt: skip

    def _map(self, schema: Schema) -> AvroType:
        assert schema.keys is not None
        assert schema.values is not None
        if as_avro_map(schema, self.settings):
            return AvroType(kind="map", items=self._inner(schema.values))
        if schema.name is None:
            pair = AvroType(kind="record", name=MAP_ENTRY, namespace=NAMESPACE)
        else:
            namespace, name = self._names(schema.name)
            pair = AvroType(kind="record", name=valid(name, "name"), namespace=namespace, props={INTERNAL: MAP_ENTRY})
        pair.fields = [self._field("key", schema.keys, None), self._field("value", schema.values, None)]
        return AvroType(kind="array", items=self._once(pair))

    def _struct(self, schema: Schema) -> AvroType:
        if schema.name == UNION:
            branches = [AvroType(kind="null")] if schema.optional else []
            branches += [self._inner(f.schema.replace(optional=False), bare=True) for f in schema.fields]
            return AvroType(kind="union", branches=branches)
        if schema.optional:
            # null stands first here even where there is a default
            return AvroType(kind="union", branches=[AvroType(kind="null"), self._inner(schema.replace(optional=False))])
        for known, record in self._structs:
            if known == schema:
                return record
        record = self._record(schema)
        self._structs.append((schema, record))
        return record

    def _record(self, schema: Schema) -> AvroType:
        namespace, name = self._names(schema.name)
        s = self.settings
        record = AvroType(
            kind="record", name=valid(name, "name"), namespace=namespace,
            doc=schema.parameter(PLAIN_RECORD_DOC if s.discard_docs else RECORD_DOC),
        )  # fmt: skip
        if schema.name is not None:
            self._records.setdefault(schema.name, record)
        record.fields = [
            self._field(
                valid(field_name(f.name, scrub=s.scrub), "field name"),
                f.schema,
                None if s.discard_docs else schema.parameter(FIELD_DOC + f.name),
            )
            for f in schema.fields
        ]
        if len({f.name for f in record.fields}) < len(record.fields):
            raise RecordError("two fields of a record have one name in Avro", cause=f"record {record.full_name}")
        self._annotate(record, schema)
        return self._once(record)

    def _once(self, t: AvroType) -> AvroType:
        """The first type of that name, where this is not it."""
        known = self._named.setdefault(t.full_name, t)
        if not same_shape(known, t):
            raise RecordError(
                "two different Avro types have one name", cause=t.full_name,
                hint="give one of them another name, with SetSchemaMetadata or schema.name.adjustment.mode",
            )  # fmt: skip
        return known

    def _field(self, name: str, schema: Schema, doc: str | None) -> AvroField:
        declared = self.type_of(schema)
        default: Any = ABSENT
        if has_default(schema):
            default = default_json(schema, schema.default, self.settings, widened=True)
            if not _fits(declared, default):
                default = ABSENT
        elif schema.optional:
            default = None
        return AvroField(name, declared, schema.doc if self.settings.discard_docs else doc, default)

    # ---- Connect's side

    def _annotate(self, base: AvroType, schema: Schema) -> None:
        props, parameters = base.props, dict(schema.parameters)
        if self.settings.connect_meta_data:
            self._connect_properties(props, schema, parameters)
        if schema.name in LOGICAL and schema.type in KINDS:
            props["logicalType"] = LOGICAL[schema.name]
        props.update({k: v for k, v in parameters.items() if k.startswith("avro")})

    def _connect_properties(self, props: dict[str, Any], schema: Schema, parameters: dict[str, str]) -> None:
        discard = self.settings.discard_docs
        if schema.doc is not None:
            props[DOC] = schema.doc
        if schema.version is not None:
            props[VERSION] = schema.version
        kept = {k: v for k, v in parameters.items() if discard or k != FIELD_DEFAULT}
        if kept:
            props[PARAMETERS] = kept
        if has_default(schema) and (discard or FIELD_DEFAULT not in parameters):
            props[DEFAULT] = default_json(schema, schema.default, self.settings)
        if schema.name is not None:
            props[NAME] = schema.name
        if schema.type in ("int8", "int16"):
            props[TYPE] = schema.type


def _optional(schema: Schema, base: AvroType) -> AvroType:
    """A union with null, which stands first unless there is another default."""
    if not schema.optional:
        return base
    null = AvroType(kind="null")
    return AvroType(kind="union", branches=[base, null] if has_default(schema) else [null, base])


# ---- defaults


def default_json(schema: Schema, value: Any, settings: AvroConverterConfig, *, widened: bool = False) -> Any:
    """A default as JSON; bytes as Latin-1 text. `widened`: a float32 has its double's digits, as a field's default does."""

    def inner(s: Schema | None, v: Any) -> Any:
        assert s is not None
        return default_json(s, v, settings, widened=widened)

    if value is None:
        return None
    if isinstance(value, Decimal):
        return unscaled_bytes(unscaled(value, int(schema.parameter("scale") or 0))).decode("latin-1")
    if schema.type == "float32" and not widened:
        return NumberText(float_text(value))
    if schema.type in ("float32", "float64"):
        return NumberText(double_text(unpack("<f", pack("<f", value))[0] if schema.type == "float32" else value))
    if schema.type == "bytes":
        return value.decode("latin-1")
    if schema.type == "array":
        return [inner(schema.items, v) for v in value]
    if schema.type == "map":
        if as_avro_map(schema, settings):
            return {k: inner(schema.values, v) for k, v in value.items()}
        return [[inner(schema.keys, k), inner(schema.values, v)] for k, v in value.items()]
    if schema.type == "struct":
        return {
            field_name(f.name, scrub=settings.scrub): inner(f.schema, value.get(f.name)) for f in schema.fields
        }
    return value


def _fits(t: AvroType, default: Any) -> bool:
    """Whether Avro takes `default` for a field of this type; AvroData leaves out one that it does not take."""
    if t.kind == "union":
        return any(_fits(b, default) for b in t.branches)
    if t.kind == "array" and t.items is not None:
        items = t.items
        return isinstance(default, list) and all(_fits(items, d) for d in default)
    if t.kind == "map" and t.items is not None:
        items = t.items
        return isinstance(default, dict) and all(_fits(items, d) for d in default.values())
    if t.kind == "record":
        return isinstance(default, dict) and all(_fits(f.type, default.get(f.name, f.default)) for f in t.fields)
    return isinstance(default, NumberText) or t.kind not in ("float", "double")
