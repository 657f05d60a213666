"""Connect's schemas -> .proto files, as io.confluent.connect.protobuf.ProtobufData declares them.

A struct's type is nested in the message whose field has it, under its name's last part; a second field of that name
has that type, whatever differs there. Defaults, docs, versions and other parameters are not kept.
Source: the behaviour of ProtobufConverter 7.0 in the captures; options that it has not got, from the published
sources of 7.9.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote_plus

from pycdc.converters.protobuf.config import ProtobufConverterConfig
from pycdc.converters.protobuf.types import SCALARS, ProtoEnum, ProtoField, ProtoFile, ProtoMessage
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, Schema

NAMESPACE: Final = "io.confluent.connect.protobuf"
ENUM, UNION, TAG, TYPE = f"{NAMESPACE}.Enum", f"{NAMESPACE}.Union", f"{NAMESPACE}.Tag", f"{NAMESPACE}.Type"
#: The same under the names that all of Confluent's formats know (generalized.sum.type.support).
COMMON_ENUM, COMMON_UNION = "org.apache.kafka.connect.data.Enum", "org.apache.kafka.connect.data.Union"
PRECISION, SCALE = "connect.decimal.precision", "scale"
CONNECT_TYPE: Final = "connect.type"
DATE: Final = "org.apache.kafka.connect.data.Date"
TIME: Final = "org.apache.kafka.connect.data.Time"
TIMESTAMP: Final = "org.apache.kafka.connect.data.Timestamp"

#: Connect's logical types that are messages of their own, and the files that hold them.
LOGICAL: Final = {
    DECIMAL: "confluent.type.Decimal", DATE: "google.type.Date", TIME: "google.type.TimeOfDay",
    TIMESTAMP: "google.protobuf.Timestamp",
}  # fmt: skip
_FILES: Final = {
    "confluent.type.Decimal": "confluent/type/decimal.proto", "google.type.Date": "google/type/date.proto",
    "google.type.TimeOfDay": "google/type/timeofday.proto", "google.protobuf.Timestamp": "google/protobuf/timestamp.proto",
}  # fmt: skip
WRAPPERS_FILE: Final = "google/protobuf/wrappers.proto"
#: In the order of wrappers.proto, which is their number in a message of a single value; what they hold.
WRAPPERS: Final = {
    "google.protobuf.DoubleValue": "double", "google.protobuf.FloatValue": "float", "google.protobuf.Int64Value": "int64",
    "google.protobuf.UInt64Value": "uint64", "google.protobuf.Int32Value": "int32", "google.protobuf.UInt32Value": "uint32",
    "google.protobuf.BoolValue": "bool", "google.protobuf.StringValue": "string", "google.protobuf.BytesValue": "bytes",
}  # fmt: skip
_WRAPPER_OF: Final = {scalar: name for name, scalar in WRAPPERS.items()}
#: Unsigned and fixed types have their width's wrapper.
_WRAPPED_AS: Final = {"uint32": "uint32", "fixed32": "uint32", "uint64": "uint64", "fixed64": "uint64"}
SCALAR: Final = {
    "int8": "int32", "int16": "int32", "int32": "int32", "int64": "int64", "float32": "float", "float64": "double",
    "boolean": "bool", "string": "string", "bytes": "bytes",
}  # fmt: skip
#: How the original prints the file of wrappers, which is the schema of a message of a single value.
WRAPPERS_TEXT: Final = """syntax = "proto3";
package google.protobuf;

option java_package = "com.google.protobuf";
option java_outer_classname = "WrappersProto";
option java_multiple_files = true;
option go_package = "google.golang.org/protobuf/types/known/wrapperspb";
option cc_enable_arenas = true;
option objc_class_prefix = "GPB";
option csharp_namespace = "Google.Protobuf.WellKnownTypes";

""" + "".join(
    f'message {name.rpartition(".")[2]} {{\n  {scalar} value = 1 [json_name = "value"];\n}}\n' for name, scalar in WRAPPERS.items()
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SCRUB: Final = "set scrub.invalid.names=true for the converter, or schema.name.adjustment.mode=avro for the connector"
_VALID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def wrapper_of(scalar: str) -> str:
    """The wrapper's full name."""
    return _WRAPPER_OF[scalar]


def is_union(schema: Schema) -> bool:
    return schema.type == "struct" and (
        (schema.name is not None and schema.name.startswith(UNION)) or schema.parameter(COMMON_UNION) is not None
    )


def enum_parameter(schema: Schema, settings: ProtobufConverterConfig) -> str | None:
    """The name of the parameter that makes it an enum."""
    if schema.type == "int32":
        return ENUM if schema.parameter(ENUM) is not None else None
    if schema.type != "string" or (schema.parameter(ENUM) is None and schema.parameter(COMMON_ENUM) is None):
        return None
    name = COMMON_ENUM if settings.sum_types else ENUM
    return name if schema.parameter(name) is not None else None


def symbols(schema: Schema, parameter: str) -> list[tuple[str, int]]:
    """An enum's symbols and their numbers. Raises RecordError."""
    try:
        return [(k[len(parameter) + 1 :], int(v)) for k, v in schema.parameters if k.startswith(parameter + ".")]
    except ValueError:
        raise RecordError("an enum's symbol has no number", cause=f"schema {schema.name or schema.type}") from None


def declare(schema: Schema, settings: ProtobufConverterConfig) -> ProtoFile:
    """The file of a struct. Raises RecordError where Protobuf has no form for it."""
    return _Declaring(settings).file(schema)


def field_name(name: str, settings: ProtobufConverterConfig) -> str:
    return scrubbed(name) if settings.scrub else name


def scrubbed(name: str) -> str:
    """A name with what Protobuf forbids replaced."""
    if not name or _VALID.fullmatch(name):
        return name
    encoded = quote_plus(name, safe="*-._").replace("~", "%7E")
    if encoded[0].isdigit() or encoded[0] == "_":
        encoded = "x" + encoded
    return re.sub(r"[^A-Za-z0-9_]", "_", encoded)


class _Declaring:
    """Of one schema: the imports so far, and how many names were made up."""

    def __init__(self, settings: ProtobufConverterConfig) -> None:
        self.settings = settings
        self._imports: list[str] = []
        self._without_name = 0

    def file(self, schema: Schema) -> ProtoFile:
        # parts as Java splits a name: empty ones at the end are none
        *package, name = [field_name(part, self.settings) for part in self._named(schema.name).rstrip(".").split(".")]
        if not all(re.fullmatch(r"[A-Za-z0-9_-]*", part, re.ASCII) for part in package):
            raise RecordError("a schema's name is none for Protobuf", cause=".".join([*package, name]), hint=_SCRUB)
        message = self._message(name, schema)
        return ProtoFile(".".join(package) or None, self._imports, message)

    def _named(self, name: str | None) -> str:
        if name:
            return name
        self._without_name += 1
        return f"ConnectDefault{self._without_name}"

    def _short(self, name: str | None) -> str:
        return field_name(self._named(name).rpartition(".")[2], self.settings)

    def _message(self, name: str, schema: Schema) -> ProtoMessage:
        message = ProtoMessage(name)
        number = 1
        for f in schema.fields:
            tag = f.schema.parameter(TAG)
            if tag is None and not is_union(f.schema):
                tag, number = str(number), number + 1
            elif tag is None:
                number += 1  # a oneof takes a number, which none of its fields has
            self._field(message, f.schema, field_name(f.name, self.settings), int(tag or 0))
        _check(message)
        return message

    def _field(self, message: ProtoMessage, schema: Schema, name: str, number: int, *, in_map: bool = False) -> None:
        """Add a field, with the types that it needs."""
        if is_union(schema):
            self._oneof(message, schema)
            return
        made = self._of(message, schema, name, number)
        if in_map:
            made.params, made.label = {}, ""  # not kept there
        message.fields.append(made)

    def _oneof(self, message: ProtoMessage, schema: Schema) -> None:
        if self.settings.sum_types:
            name = schema.parameter(COMMON_UNION) or ""
        else:
            name = self._short((schema.name or "")[len(UNION) + 1 :])
        fields = []
        for f in schema.fields:
            tag = f.schema.parameter(TAG)
            if tag is None:
                raise RecordError(
                    "a field of a oneof has no number", cause=f"field {f.name} of {name}",
                    hint=f"give its schema the parameter {TAG}",
                )  # fmt: skip
            made = self._of(message, f.schema, field_name(f.name, self.settings), int(tag))
            if made.label == "repeated":
                raise RecordError("Protobuf has no arrays and maps in oneofs", cause=f"field {f.name} of {name}")
            made.in_oneof, made.label = True, ""
            fields.append(made)
        message.oneofs.append((name, fields))

    def _of(self, message: ProtoMessage, schema: Schema, name: str, number: int) -> ProtoField:
        label = ""
        if schema.type in ("array", "map"):
            label = "repeated"
        elif self.settings.optional_label and schema.optional:
            label = "optional"
        if schema.type == "array":
            assert schema.items is not None
            schema = schema.items
            if schema.type in ("array", "map"):
                raise RecordError(
                    f"Protobuf has no {schema.type}s in arrays", cause=f"field {name}",
                    hint="exclude the column, or give the topic another converter",
                )  # fmt: skip
        params: dict[str, str] = {}
        kind = self._type(schema, name, params)
        if schema.type == "struct":
            if kind != message.name and message.nested(kind) is None:
                inner = ProtoMessage(kind)
                message.messages.append(inner)  # before what is in it: it may be of its own type
                whole = self._message(kind, schema)
                message.messages[message.messages.index(inner)] = whole
        elif schema.type == "map":
            message.messages.append(self._entry(kind, schema))
        elif (parameter := enum_parameter(schema, self.settings)) is not None:
            enum = self._short(schema.name)
            if all(e.name != enum for e in message.enums):
                message.enums.append(ProtoEnum(enum, symbols(schema, parameter)))
        else:
            self._import(kind)
        return ProtoField(name=name, number=number, type=kind, label=label, params=params)

    def _entry(self, name: str, schema: Schema) -> ProtoMessage:
        assert schema.keys is not None
        assert schema.values is not None
        entry = ProtoMessage(name)
        self._field(entry, schema.keys, "key", 1, in_map=True)
        self._field(entry, schema.values, "value", 2, in_map=True)
        return entry

    def _import(self, kind: str) -> None:
        file = _FILES.get(kind) or (WRAPPERS_FILE if kind in WRAPPERS else None)
        if file is not None and file not in self._imports:
            self._imports.append(file)

    def _type(self, schema: Schema, name: str, params: dict[str, str]) -> str:
        if schema.name in LOGICAL:
            if schema.name == DECIMAL:
                params.update(
                    (ours, value) for ours, theirs in (("precision", PRECISION), ("scale", SCALE))
                    if (value := schema.parameter(theirs)) is not None
                )  # fmt: skip
            return LOGICAL[schema.name]
        if schema.type == "map":
            return map_entry(self._short(schema.name))
        if schema.type == "struct":
            short = self._short(schema.name)
            return short + "Message" if short == name else short  # a field and a type cannot share a name
        if (parameter := enum_parameter(schema, self.settings)) is not None:
            return schema.parameter(parameter) or ""
        if schema.type in ("int8", "int16"):
            params[CONNECT_TYPE] = schema.type
        return scalar_type(schema, name, self.settings)


def scalar_type(schema: Schema, name: str, settings: ProtobufConverterConfig) -> str:
    """The type of field `name`, which is no message of its own but a scalar, a wrapper or a logical type. Raises RecordError."""
    if schema.name in LOGICAL:
        return LOGICAL[schema.name]
    kind = SCALAR.get(schema.type, schema.type)
    if schema.type in ("int32", "int64"):
        kind = schema.parameter(TYPE) or kind
        if kind not in SCALARS:
            raise RecordError("a type that Protobuf has not got", cause=f"{TYPE}={kind} of field {name}")
    if settings.wrapper and schema.optional and schema.type in SCALAR:
        return _WRAPPER_OF[_WRAPPED_AS.get(kind, SCALAR[schema.type])]
    return kind


def map_entry(name: str) -> str:
    """The type of a map's entries: words put together by underscores are written in one."""
    if "_" in name:
        name = "".join(word[:1].upper() + word[1:].lower() for word in name.split("_"))
    return name + "Entry"


def _check(message: ProtoMessage) -> None:
    """What Google's library refuses too: names and numbers. Raises RecordError."""
    fields = [*message.fields, *(f for _, fs in message.oneofs for f in fs)]
    for name in (message.name, *(e.name for e in message.enums), *(s for e in message.enums for s, _ in e.values)):
        if not _NAME.fullmatch(name):
            raise RecordError("a type's name is none for Protobuf", cause=name, hint=_SCRUB)
    for f in fields:
        if not _NAME.fullmatch(f.name):
            raise RecordError(
                "a field's name is none for Protobuf", cause=f"field {f.name} of {message.name}",
                hint="set scrub.invalid.names=true for the converter, or field.name.adjustment.mode=avro for the connector",
            )  # fmt: skip
        if not 0 < f.number < 1 << 29:
            raise RecordError("a field's number is none for Protobuf", cause=f"{f.number}, field {f.name} of {message.name}")
    names, numbers = [f.name for f in fields], [f.number for f in fields]
    if len(set(names)) < len(names):
        raise RecordError("two fields of a message have one name", cause=f"{_twice(names)} in {message.name}")
    names += [m.name for m in message.messages] + [e.name for e in message.enums] + [name for name, _ in message.oneofs]
    if len(set(names)) < len(names):
        raise RecordError(
            "two parts of a message have one name", cause=f"{_twice(names)} in {message.name}",
            hint="give the field another name, or its type another one with SetSchemaMetadata",
        )  # fmt: skip
    if len(set(numbers)) < len(numbers):
        raise RecordError("two fields of a message have one number", cause=f"{_twice(numbers)} in {message.name}")


def _twice(values: list[Any]) -> str:
    return ", ".join(map(str, dict.fromkeys(v for v in values if values.count(v) > 1)))
