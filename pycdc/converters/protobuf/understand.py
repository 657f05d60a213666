"""Protobuf's descriptors -> Connect's schemas, and messages -> values: what ProtobufData reads back.

Google's library parses a message; its fields are then taken one after the other. A message that holds itself has no
schema here. Numbers without sign have Connect's int64, of whose 64 bits the sign is one, as in Java.
Source: the behaviour of ProtobufConverter 7.0; options that it has not got, from the published sources of 7.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from pycdc.converters.protobuf import declare as d
from pycdc.converters.protobuf.config import ProtobufConverterConfig
from pycdc.converters.protobuf.encoding import FIRST, LAST, day_number
from pycdc.errors import RecordError
from pycdc.model.envelope import AFTER, OP, SOURCE
from pycdc.model.schema import DECIMAL, Field, Schema

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor

    from pycdc.converters.protobuf.parse import Parsed

#: A value as Google's library gives it -> the value of its schema.
Fix = Callable[[Any], Any]

_DOUBLE, _FLOAT, _INT64, _UINT64, _INT32, _FIXED64, _FIXED32, _BOOL, _STRING = range(1, 10)
_MESSAGE, _BYTES, _UINT32, _ENUM, _SFIXED32, _SFIXED64, _SINT32, _SINT64 = range(11, 19)
_SMALL: Final = {_INT32: "int32", _SINT32: "sint32", _SFIXED32: "sfixed32"}
_LARGE: Final = {
    _INT64: "int64", _UINT64: "uint64", _UINT32: "uint32", _FIXED32: "fixed32", _FIXED64: "fixed64", _SINT64: "sint64",
    _SFIXED64: "sfixed64",
}  # fmt: skip
_OTHERS: Final = {_DOUBLE: "float64", _FLOAT: "float32", _BOOL: "boolean", _STRING: "string", _BYTES: "bytes"}
_WRAPPED: Final = {
    name: {"double": "float64", "float": "float32", "bool": "boolean", "uint32": "int64", "uint64": "int64"}.get(kind, kind)
    for name, kind in d.WRAPPERS.items()
}
_LOGICAL: Final = {theirs: ours for ours, theirs in d.LOGICAL.items()}


class Understood:
    """A message's type: Connect's side of it, and how messages are read."""

    __slots__ = ("_class", "_fix", "_fixes", "_parse", "schema")

    def __init__(self, parsed: Parsed, indexes: list[int], settings: ProtobufConverterConfig) -> None:
        """Raises RecordError, and ValueError where the schema has no message of these indexes."""
        from google.protobuf.message_factory import GetMessageClass

        descriptor = parsed.descriptor(indexes)
        understanding = _Understanding(parsed, settings)
        self._class: Any = GetMessageClass(descriptor)
        #: Google's library itself lets required fields of proto2 be missing; looking for them takes a third as long as parsing.
        self._parse: Fix = self._complete if _has_required(descriptor, set()) else self._class.FromString
        self.schema, self._fix = understanding.message(descriptor)
        self._fixes = understanding.fixes

    def read(self, body: bytes) -> Any:
        """The value. Raises Google's DecodeError, and ValueError for what no value is made of."""
        return self._fix(self._parse(body))

    def _complete(self, body: bytes) -> Any:
        message = self._class.FromString(body)
        if not message.IsInitialized():
            raise ValueError("a required field is missing")
        return message

    @property
    def is_envelope(self) -> bool:
        return {OP, SOURCE, AFTER} <= {f.name for f in self.schema.fields}

    def read_envelopes(self, bodies: Sequence[bytes]) -> tuple[list[str], list[Any], dict[str, Any]]:
        """Of many envelopes, the op and the row as it became, and the source of the first. Raises as `read`, and
        ValueError where they are of several tables.
        """
        messages = list(map(self._parse, bodies))
        first = messages[0].source
        table = (first.schema, first.table)
        if any((m.source.schema, m.source.table) != table for m in messages):
            raise ValueError("several tables")
        fix, source = self._fixes[AFTER], self._fixes[SOURCE]
        return [m.op for m in messages], [fix(m) for m in messages], source(messages[0])


class _Understanding:
    """Of one message's type; `fixes` are those of its own fields."""

    def __init__(self, parsed: Parsed, settings: ProtobufConverterConfig) -> None:
        self.meta = parsed.meta
        self._shown = parsed.shown
        self.settings = settings
        self.fixes: dict[str, Fix] = {}
        self._open: list[str] = []

    def message(self, m: Descriptor) -> tuple[Schema, Fix]:
        """Schema, required and without parameters, and message -> value. Raises RecordError."""
        if self.settings.raw_wrapper and m.full_name in _WRAPPED:
            return _unwrapped(m)
        if m.full_name in self._open:
            raise RecordError(
                "a Protobuf message that holds itself cannot be read", cause=m.full_name,
                hint="exclude the topic, or have the field dropped before it is written",
            )  # fmt: skip
        self._open.append(m.full_name)
        fields, takes = self._fields(m)
        self._open.pop()
        if not self._open:
            self.fixes = dict(takes)
        items = tuple(takes)
        return (
            Schema(type="struct", name=_VARIABLE if _is_variable(m) else self._name(m.full_name), fields=tuple(fields)),
            lambda message: {name: take(message) for name, take in items},
        )

    def _fields(self, m: Descriptor) -> tuple[list[Field], list[tuple[str, Fix]]]:
        """The oneofs before the others. Each is taken from the whole message."""
        fields: list[Field] = []
        takes: list[tuple[str, Fix]] = []
        for oneof in _real(m):
            if self.settings.flatten_unions:
                for f in oneof.fields:
                    schema, take = self._field(f)
                    fields.append(Field(f.name, schema))
                    takes.append((f.name, take))
            else:
                name, schema, take = self._oneof(oneof)
                fields.append(Field(name, schema))
                takes.append((name, take))
        for f in m.fields:
            if not _in_oneof(f):
                schema, take = self._field(f)
                fields.append(Field(f.name, schema))
                takes.append((f.name, take))
        return fields, takes

    def _name(self, full: str) -> str:
        return self._shown(full) if self.settings.enhanced else full.rpartition(".")[2]

    def _oneof(self, oneof: OneofDescriptor) -> tuple[str, Schema, Fix]:
        s = self.settings
        name: str = oneof.name
        schema = Schema(
            type="struct", optional=True,
            name=name if s.sum_types else f"{d.UNION}.{self._name(oneof.full_name)}",
            parameters=((d.COMMON_UNION, name),) if s.sum_types else (),
            fields=tuple(Field(f.name, self._field(f)[0]) for f in oneof.fields),
        )  # fmt: skip
        fixes = {f.name: self._value(f)[1] for f in oneof.fields}

        def take(message: Any) -> dict[str, Any] | None:
            chosen = message.WhichOneof(name)
            if chosen is None:
                return None
            fix, value = fixes[chosen], getattr(message, chosen)
            return {**dict.fromkeys(fixes), chosen: value if fix is None else fix(value)}

        return (f"{name}_{oneof.index}" if s.union_index else name), schema, take

    def _field(self, f: FieldDescriptor) -> tuple[Schema, Fix]:
        """A field's schema, and message -> value."""
        schema, fix = self._value(f)
        name: str = f.name
        s = self.settings
        is_optional = _has_optional_keyword(f)
        always = (f.type != _MESSAGE or f.is_repeated) and not (
            _is_proto3_optional(f) or (s.proto2_optional and is_optional)
        ) and not _in_oneof(f)  # fmt: skip
        if always or (s.struct_for_null and not _is_logical(f)):
            return schema, attrgetter(name) if fix is None else (lambda m: fix(getattr(m, name)))

        def take(m: Any) -> Any:
            if not m.HasField(name):
                return None
            return getattr(m, name) if fix is None else fix(getattr(m, name))

        return schema, take

    def _value(self, f: FieldDescriptor) -> tuple[Schema, Fix | None]:
        """A field's schema, and how its value there is changed."""
        schema, fix = self._single(f)
        if f.is_repeated and schema.type != "map":
            schema = Schema(type="array", optional=True, items=schema.replace(optional=True))
            item = fix
            fix = list if item is None else _each(item)
        s = self.settings
        optional = schema.optional or (_has_optional_keyword(f) if s.optional_label else not s.wrapper)
        return schema.replace(optional=optional, parameters=(*schema.parameters, (d.TAG, str(f.number)))), fix

    def _single(self, f: FieldDescriptor) -> tuple[Schema, Fix | None]:
        """Of a field that is not repeated, or of one of its values."""
        kind = f.type
        if kind in _SMALL:
            narrow = self.meta.get(f.full_name, {}).get(d.CONNECT_TYPE)
            if narrow in ("int8", "int16"):
                return Schema(type=narrow), _fits(8 if narrow == "int8" else 16)
            return Schema(type="int32", parameters=_typed(_SMALL[kind], "int32")), None
        if kind in _LARGE:
            return Schema(type="int64", parameters=_typed(_LARGE[kind], "int64")), _with_sign if kind in (_UINT64, _FIXED64) else None
        if kind in _OTHERS:
            return Schema(type=_OTHERS[kind]), None
        if kind == _ENUM:
            return self._enum(f)
        if kind == _MESSAGE:
            schema, fix = self._message_value(f)
            return schema.replace(optional=True), fix
        raise RecordError("Connect has no type for a Protobuf field", cause=f"{f.full_name} is a group")

    def _enum(self, f: FieldDescriptor) -> tuple[Schema, Fix | None]:
        e = f.enum_type
        parameter = d.COMMON_ENUM if self.settings.sum_types else d.ENUM
        schema = Schema(
            type="int32" if self.settings.int_enums else "string", optional=True, name=self._name(e.full_name),
            parameters=((parameter, e.name), *((f"{parameter}.{v.name}", str(v.number)) for v in e.values)),
        )  # fmt: skip
        if self.settings.int_enums:
            return schema, None
        names = {v.number: v.name for v in reversed(e.values)}  # of aliases the first
        return schema, lambda n: names.get(n) or f"UNKNOWN_ENUM_VALUE_{e.name}_{n}"

    def _message_value(self, f: FieldDescriptor) -> tuple[Schema, Fix]:
        m = f.message_type
        logical = _LOGICAL.get(m.full_name)
        if logical == DECIMAL:
            meta = self.meta.get(f.full_name, {})
            precision = _whole(meta.get("precision"))
            known = () if precision is None else ((d.PRECISION, str(precision)),)
            scale = str(_whole(meta.get("scale")) or 0)
            return Schema(type="bytes", name=DECIMAL, version=1, parameters=((d.SCALE, scale), *known)), _decimal
        if logical is not None:
            return Schema(type="int64" if logical == d.TIMESTAMP else "int32", name=logical, version=1), _READERS[logical]
        if self.settings.wrapper and m.full_name in _WRAPPED:
            return _unwrapped(m)
        if f.is_repeated and _is_entry(m):
            return self._map(m)
        return self.message(m)

    def _map(self, m: Descriptor) -> tuple[Schema, Fix]:
        (keys, key), (values, value) = (self._value(f) for f in m.fields)
        name = map_name(self._name(m.full_name))

        if _is_logical(m.fields[1]):
            value = _if_there(value)
        elif value is not None:
            value = _of_value(value)
        take = value or (lambda entry: entry.value)

        def fix(entries: Any) -> dict[Any, Any]:
            return {(e.key if key is None else key(e.key)): take(e) for e in entries}

        return Schema(type="map", name=name, keys=keys, values=values), fix


def _is_logical(f: FieldDescriptor) -> bool:
    return f.type == _MESSAGE and f.message_type.full_name in _LOGICAL


def _of_value(fix: Fix) -> Fix:
    return lambda entry: fix(entry.value)


def _if_there(fix: Fix | None) -> Fix:
    """A logical type has no value where its message is not there: the original fails for most."""
    assert fix is not None
    return lambda entry: fix(entry.value) if entry.HasField("value") else None


def _each(item: Fix) -> Fix:
    return lambda values: [item(v) for v in values]


def map_name(name: str) -> str:
    """The name of a map, from that of its entries' type: in small letters, with an underscore before each capital."""
    package, dot, own = name.rpartition(".")
    return package + dot + re.sub(r"(?<!^)(?=[A-Z])", "_", own.removesuffix("Entry")).lower()


def _has_required(m: Descriptor, seen: set[str]) -> bool:
    """Whether a field of it, or of what is in it, is required."""
    seen.add(m.full_name)
    return any(
        f.is_required or (f.message_type is not None and f.message_type.full_name not in seen and _has_required(f.message_type, seen))
        for f in m.fields
    )


def _real(m: Descriptor) -> list[OneofDescriptor]:
    """Without those that stand for the label optional."""
    return [o for o in m.oneofs if not any(_is_proto3_optional(f) for f in o.fields)]


def _in_oneof(f: FieldDescriptor) -> bool:
    return f.containing_oneof is not None and not _is_proto3_optional(f)


def _is_proto3_optional(f: FieldDescriptor) -> bool:
    """Protoc gives each field with the label a oneof of its own."""
    oneof = f.containing_oneof
    return oneof is not None and len(oneof.fields) == 1 and bool(oneof.name == f"_{f.name}")


def _has_optional_keyword(f: FieldDescriptor) -> bool:
    if f.containing_oneof is not None:
        return _is_proto3_optional(f)
    return bool(f.has_presence and f.type != _MESSAGE and not f.is_required and not f.is_repeated)


#: Debezium's struct of a number without precision, under the name by which sinks know it: the original loses the namespace.
_VARIABLE: Final = "io.debezium.data.VariableScaleDecimal"


def _is_variable(m: Descriptor) -> bool:
    return m.name == "VariableScaleDecimal" and [(f.name, f.type) for f in m.fields] == [("scale", _INT32), ("value", _BYTES)]


def _is_entry(m: Descriptor) -> bool:
    return m.name.endswith("Entry") and [f.name for f in m.fields] == ["key", "value"] and not any(f.is_repeated for f in m.fields)


def _typed(kind: str, usual: str) -> tuple[tuple[str, str], ...]:
    return () if kind == usual else ((d.TYPE, kind),)


def _unwrapped(m: Descriptor) -> tuple[Schema, Fix]:
    kind = _WRAPPED[m.full_name]
    if m.full_name == "google.protobuf.UInt64Value":
        return Schema(type=kind), lambda message: _with_sign(message.value)
    return Schema(type=kind), lambda message: message.value


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


# ---- values


def _with_sign(n: int) -> int:
    return n - (1 << 64) if n >> 63 else n


def _fits(bits: int) -> Fix:
    half = 1 << bits - 1

    def fix(n: int) -> int:
        if not -half <= n < half:
            raise ValueError(f"a number does not fit int{bits}")
        return n

    return fix


def _decimal(m: Any) -> Decimal:
    unscaled = int.from_bytes(m.value, "big", signed=True)
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -m.scale))


def _date(m: Any) -> int:
    return day_number(m.year, m.month, m.day)


def _time(m: Any) -> int:
    if not (0 <= m.hours < 24 and 0 <= m.minutes < 60 and 0 <= m.seconds < 60 and 0 <= m.nanos < 1_000_000_000):
        raise ValueError("a time that is not of one day")
    ms: int = (m.hours * 3600 + m.minutes * 60 + m.seconds) * 1000 + m.nanos // 1_000_000
    return ms


def _timestamp(m: Any) -> int:
    if not (FIRST <= m.seconds <= LAST and 0 <= m.nanos < 1_000_000_000):
        raise ValueError("a timestamp that is not of the years 1 to 9999")
    ms: int = m.seconds * 1000 + m.nanos // 1_000_000
    return ms


_READERS: Final[dict[str, Fix]] = {d.DATE: _date, d.TIME: _time, d.TIMESTAMP: _timestamp}
