"""A registered .proto text -> descriptors of Google's library, and what its options say of Connect's types.

proto-schema-parser reads the text, a pool of Google's library of its own for each schema resolves the names. Options
are taken as they are written: the original writes confluent.field_meta without importing it. A map is made the
repeated message that it is in its binary form, which is how the original declares its own.
Source: Google's "Language Guide" and descriptor.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pycdc.converters.protobuf.known import TEXTS
from pycdc.errors import RecordError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
    )

#: No file is imported under this name.
_OWN: Final = "<schema>"
_META: Final = "confluent.field_meta"
_TYPES: Final = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
TYPE_NAMES: Final = {number: name for name, number in _TYPES.items()}
_OPTIONAL, _REQUIRED, _REPEATED = 1, 2, 3
_LABELS: Final = {"OPTIONAL": _OPTIONAL, "REQUIRED": _REQUIRED, "REPEATED": _REPEATED}


class Parsed:
    """A registered schema. `meta`: by a field's full name, the parameters of its confluent.field_meta."""

    def __init__(self, text: str, referred: Mapping[str, str]) -> None:
        from google.protobuf.descriptor_pool import DescriptorPool

        self.meta: dict[str, dict[str, str]] = {}
        self._pool = DescriptorPool()
        self._known: set[str] = set()
        self._tree: list[_Node] = []
        #: Packages as the texts have them, by the names that they have here.
        self._packages = {plain: given for t in (text, *referred.values()) for given, plain in _odd_package(t)}
        self._add(_OWN, text, referred)

    def shown(self, full_name: str) -> str:
        """The name that a message's type, or an enum, has in its text."""
        for plain, given in self._packages.items():
            if full_name.startswith(f"{plain}."):
                return given + full_name[len(plain) :]
        return full_name

    def descriptor(self, indexes: list[int]) -> Descriptor:
        """The message that a message's indexes mean. Raises ValueError."""
        node, name = _Node("", self._tree), []
        for index in indexes:
            if not 0 <= index < len(node.inner):
                raise ValueError("the message is of a type that the schema has not got")
            node = node.inner[index]
            name.append(node.name)
        return self._pool.FindMessageTypeByName(f"{self._package}{'.'.join(name)}")

    def indexes(self, full_name: str) -> list[int] | None:
        """Where a message stands in the schema; None where it does not."""
        package = self.shown(self._package)
        if not full_name.startswith(package):
            return None
        found, nodes = [], self._tree
        for part in full_name[len(package) :].split("."):
            at = next((i for i, n in enumerate(nodes) if n.name == part), None)
            if at is None:
                return None
            found.append(at)
            nodes = nodes[at].inner
        return found

    def _add(self, name: str, text: str, referred: Mapping[str, str]) -> None:
        for plain, given in self._packages.items():
            text = text.replace(given, plain)
        try:
            file = _File(name, text)
        except (ValueError, TypeError) as error:  # a number that is too large for what it is
            raise _malformed(str(error)) from None
        for dependency in file.proto.dependency:
            self._import(dependency, referred)
        if name == _OWN:
            self._package, self._tree = file.prefix, file.tree
        self.meta.update(file.meta)
        try:
            self._pool.Add(file.proto)
        except TypeError as error:  # names that mean nothing, numbers that are used twice
            raise RecordError("a Protobuf schema is wrong", cause=str(error).removeprefix("Couldn't build proto file into descriptor pool: ")) from None

    def _import(self, name: str, referred: Mapping[str, str]) -> None:
        if name in self._known:
            return
        self._known.add(name)
        text = referred.get(name) or TEXTS.get(name)
        if text is not None:
            self._add(name, text, referred)
            return
        proto = _of_library(name)
        if proto is None:
            raise RecordError(
                "a Protobuf schema imports what it has no reference to", cause=name,
                hint="register it with a reference of that name",
            )  # fmt: skip
        for dependency in proto.dependency:
            self._import(dependency, referred)
        self._pool.Add(proto)


def _of_library(name: str) -> FileDescriptorProto | None:
    """A file that comes with Google's library."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    if not re.fullmatch(r"google/protobuf/\w+\.proto", name):
        return None
    try:
        module = import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    except ImportError:
        return None
    proto = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(proto)
    return proto


class _Node:
    """A message's name and the messages in it, in the order of the text."""

    def __init__(self, name: str, inner: list[_Node]) -> None:
        self.name = name
        self.inner = inner


class _File:
    """One text as a FileDescriptorProto. Raises RecordError."""

    def __init__(self, name: str, text: str) -> None:
        from google.protobuf.descriptor_pb2 import FileDescriptorProto
        from proto_schema_parser import ast

        self._ast: Any = ast
        self.proto = FileDescriptorProto(name=name)
        self.meta: dict[str, dict[str, str]] = {}
        parsed = _syntax_tree(text)
        if parsed.edition is not None or parsed.syntax not in (None, "proto2", "proto3"):
            raise RecordError(
                "a Protobuf schema cannot be read", cause=f"it is of {parsed.edition or parsed.syntax}, not of proto2 or proto3"
            )
        self._proto3 = parsed.syntax == "proto3"
        self.proto.syntax = parsed.syntax or "proto2"
        self.prefix = ""
        for element in parsed.file_elements:
            if isinstance(element, ast.Package):
                self.proto.package, self.prefix = element.name, f"{element.name}."
            elif isinstance(element, ast.Import):
                if element.public:
                    self.proto.public_dependency.append(len(self.proto.dependency))
                self.proto.dependency.append(element.name)
        self.tree = []
        for element in parsed.file_elements:
            if isinstance(element, ast.Message):
                self.tree.append(self._message(element, self.proto.message_type.add(), self.prefix))
            elif isinstance(element, ast.Enum):
                self._enum(element, self.proto.enum_type.add())

    def _message(self, given: Any, m: DescriptorProto, prefix: str) -> _Node:
        ast = self._ast
        m.name = given.name
        prefix += f"{given.name}."
        node = _Node(given.name, [])
        optional = []
        for element in given.elements:
            if isinstance(element, ast.Field):
                field = self._field(element, m, prefix)
                if self._proto3 and field.label == _OPTIONAL and element.cardinality is not None:
                    field.proto3_optional = True
                    optional.append(field)
            elif isinstance(element, ast.MapField):
                self._map(element, m, prefix)
            elif isinstance(element, ast.OneOf):
                place = len(m.oneof_decl)
                m.oneof_decl.add(name=element.name)
                for inner in element.elements:
                    if isinstance(inner, ast.Group):
                        raise _group(inner)
                    if isinstance(inner, ast.Field):
                        self._field(inner, m, prefix).oneof_index = place
            elif isinstance(element, ast.Message):
                node.inner.append(self._message(element, m.nested_type.add(), prefix))
            elif isinstance(element, ast.Enum):
                self._enum(element, m.enum_type.add())
            elif isinstance(element, ast.Group):
                raise _group(element)
        for field in optional:  # behind the others, as protoc has them
            field.oneof_index = len(m.oneof_decl)
            m.oneof_decl.add(name=f"_{field.name}")
        return node

    def _field(self, given: Any, m: DescriptorProto, prefix: str) -> FieldDescriptorProto:
        field = m.field.add(name=given.name, number=given.number)
        field.label = _LABELS[given.cardinality.name] if given.cardinality is not None else _OPTIONAL
        self._type(field, given.type)
        for option in given.options:
            name = option.name.replace("(", "").replace(")", "").lstrip(".")
            if name == "default":
                field.default_value = _default(option.value, given.type)
            elif name in (_META, f"{_META}.params"):
                found = _members(option.value, "params") if name == _META else iter([option.value])
                self.meta.setdefault(prefix + given.name, {}).update(_parameters(found))
        return field

    def _type(self, field: FieldDescriptorProto, name: str) -> None:
        if name in _TYPES:
            field.type = _TYPES[name]
        else:
            field.type_name = name

    def _map(self, given: Any, m: DescriptorProto, prefix: str) -> None:
        name = "".join(word[:1].upper() + word[1:] for word in given.name.split("_")) + "Entry"
        entry = m.nested_type.add(name=name)
        for number, (part, kind) in enumerate((("key", given.key_type), ("value", given.value_type)), 1):
            self._type(entry.field.add(name=part, number=number, label=_OPTIONAL), kind)
        m.field.add(name=given.name, number=given.number, label=_REPEATED, type_name=f".{prefix}{name}")

    def _enum(self, given: Any, e: EnumDescriptorProto) -> None:
        e.name = given.name
        for element in given.elements:
            if isinstance(element, self._ast.EnumValue):
                e.value.add(name=element.name, number=element.number)
            elif isinstance(element, self._ast.Option) and element.name == "allow_alias":
                e.options.allow_alias = element.value is True


def _group(given: Any) -> RecordError:
    return RecordError("a Protobuf schema cannot be read", cause=f"{given.name} is a group, which Connect has no type for")


class _Raising:
    """What the parser tells of its errors: the first one ends it. The parser itself only prints them."""

    def syntaxError(self, _recognizer: Any, _symbol: Any, line: int, column: int, message: str, _error: Any) -> None:  # noqa: N802
        raise _malformed(f"line {line}, column {column + 1}: {message.partition(' expecting ')[0]}")

    def _passed_over(self, *_: Any) -> None:
        """Of how it parses, not of what."""

    reportAmbiguity = reportAttemptingFullContext = reportContextSensitivity = _passed_over  # noqa: N815


def _listen(recognizer: Any) -> None:
    recognizer.removeErrorListeners()
    recognizer.addErrorListener(_Raising())


def _syntax_tree(text: str) -> Any:
    """Raises RecordError with the line at fault."""
    from proto_schema_parser.parser import Parser

    try:
        return Parser(setup_lexer=_listen, setup_parser=_listen).parse(_HEX_NUMBER.sub(lambda m: f"= {int(m[1], 0)}", text))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise _malformed(f"{type(error).__name__}: {error}") from None


def _odd_package(text: str) -> Iterator[tuple[str, str]]:
    """A package that Google's library does not take, and a name in its place: Confluent's takes dashes, and digits in front."""
    found = _PACKAGE.search(text)
    if found and not _PLAIN_PACKAGE.fullmatch(found[1]):
        yield found[1], ".".join(f"x{part}".replace("-", "_") for part in found[1].split("."))


_PACKAGE: Final = re.compile(r"^\s*package\s+([\w.-]+)\s*;", re.MULTILINE | re.ASCII)
_PLAIN_PACKAGE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
#: Numbers of fields in other bases than ten, which the parser does not take.
_HEX_NUMBER: Final = re.compile(r"=\s*(0[xX][0-9a-fA-F]+)\b(?=\s*[;\[])")


def _malformed(cause: str) -> RecordError:
    return RecordError("a Protobuf schema is malformed", cause=cause)


def _parameters(found: Iterator[Any]) -> Iterator[tuple[str, str]]:
    """The map `params` of a confluent.field_meta, in which an entry stands alone or several in a list."""
    for entries in found:
        for entry in entries if isinstance(entries, list) else [entries]:
            parts = {name: value for name in ("key", "value") for value in _members(entry, name)}
            if isinstance(parts.get("key"), str):
                yield parts["key"], str(parts.get("value", ""))


def _members(literal: Any, name: str) -> Iterator[Any]:
    for element in getattr(literal, "elements", ()):
        if getattr(element, "name", None) == name:
            yield element.value


_ESCAPE: Final = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_PLAIN: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _default(value: Any, kind: str) -> str:
    """As FieldDescriptorProto has it: a string's text, the bytes escaped, other values as written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and kind == "string":
        return _ESCAPE.sub(_unescaped, value)
    return str(getattr(value, "name", value))


def _unescaped(found: re.Match[str]) -> str:
    octal, short, four, eight, plain = found.groups()
    if plain is not None:
        return _PLAIN.get(plain, plain)
    return chr(int(octal, 8)) if octal else chr(int(short or four or eight, 16))
