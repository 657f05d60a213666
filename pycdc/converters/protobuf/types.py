"""A .proto file as ProtobufConverter writes it, and its text.

The text is that of Square's Wire, which the original prints with: blank lines inside a nested message are indented,
a field's options stand in one line when there is one.
Source: the captures under tests/differential/avro/golden and tests/unit/converters/golden.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

SCALARS: Final = frozenset((
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
    "bool", "string", "bytes",
))  # fmt: skip


class ProtoField(msgspec.Struct, kw_only=True):
    """`type`: a scalar's name, a nested type's, or a full one. `label`: optional, repeated or nothing."""

    name: str
    number: int
    type: str
    label: str = ""
    #: Written as confluent.field_meta.
    params: dict[str, str] = {}
    in_oneof: bool = False


class ProtoEnum(msgspec.Struct):
    name: str
    values: list[tuple[str, int]]


class ProtoMessage(msgspec.Struct):
    """`oneofs`: name and fields."""

    name: str
    fields: list[ProtoField] = msgspec.field(default_factory=list)
    oneofs: list[tuple[str, list[ProtoField]]] = msgspec.field(default_factory=list)
    messages: list[ProtoMessage] = msgspec.field(default_factory=list)
    enums: list[ProtoEnum] = msgspec.field(default_factory=list)

    def nested(self, name: str) -> ProtoMessage | None:
        return next((m for m in self.messages if m.name == name), None)


class ProtoFile(msgspec.Struct):
    package: str | None
    imports: list[str]
    message: ProtoMessage

    @property
    def full_name(self) -> str:
        return f"{self.package}.{self.message.name}" if self.package else self.message.name


def text_of(file: ProtoFile) -> str:
    lines = ['syntax = "proto3";']
    if file.package:
        lines.append(f"package {file.package};")
    if file.imports:
        lines += ["", *(f'import "{i}";' for i in file.imports)]
    return "\n".join([*lines, "", *_message(file.message)]) + "\n"


def _message(m: ProtoMessage) -> list[str]:
    """A blank line between groups; what is indented has its blank lines indented too."""
    groups = [
        [line for f in m.fields for line in _field(f)],
        [line for name, fields in m.oneofs for line in (f"oneof {name} {{", *_indented(_field(f) for f in fields), "}")],
        [*(line for inner in m.messages for line in _message(inner)), *(line for e in m.enums for line in _enum(e))],
    ]
    body: list[str] = []
    for group in filter(None, groups):
        body += [""] * bool(body) + _indented([group])
    return [f"message {m.name} {{", *body, "}"] if body else [f"message {m.name} {{}}"]


def _enum(e: ProtoEnum) -> list[str]:
    return [f"enum {e.name} {{", *(f"  {symbol} = {number};" for symbol, number in e.values), "}"]


def _indented(parts: Iterable[Iterable[str]]) -> list[str]:
    return ["  " + line for part in parts for line in part]


def _field(f: ProtoField) -> list[str]:
    start = f"{f.label} " * bool(f.label) + f"{f.type} {f.name} = {f.number}"
    options = [["deprecated = false"]] if f.in_oneof or f.label == "optional" else []
    if f.params:
        options.append(["(confluent.field_meta) = {", *_indented([_params(f.params)]), "}"])
    if not options:
        return [start + ";"]
    if len(options) == 1:
        first, *rest = options[0]
        lines = [f"{start} [{first}", *rest]
        return [*lines[:-1], lines[-1] + "];"]
    body = [line for o in options for line in [*o[:-1], o[-1] + ","]]
    return [start + " [", *_indented([[*body[:-1], body[-1][:-1]]]), "];"]


def _params(params: dict[str, str]) -> list[str]:
    pairs = []
    for key, value in params.items():
        pair = [f'key: "{key}"', f'value: "{value}"']
        if key in ("precision", "scale"):  # the original's early releases wrote these so
            pair.reverse()
        pairs += ["{", "  " + pair[0] + ",", "  " + pair[1], "},"]
    return ["params: [", *_indented([[*pairs[:-1], "}"]]), "]"]
