"""Masks, hashes, truncation and source-type parameters on a resolved column.

They change the row's field, never the key's. Masks and hashes change the values of character columns only,
truncation those of strings and bytes; the schema's parameter is set regardless, as Debezium does.
Source: Debezium's column.mask.*, column.truncate.* and *.propagate.source.type properties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from pycdc.debezium.types.entry import ResolvedColumn
from pycdc.debezium.types.modifiers import shape_of
from pycdc.model.schema import Schema
from pycdc.model.table import Column
from pycdc.model.template import Form, Reader

_SERIAL = {"int2": "SMALLSERIAL", "int4": "SERIAL", "int8": "BIGSERIAL"}
_SOURCE = "__debezium.source.column."


def masked(resolved: ResolvedColumn, length: int) -> ResolvedColumn:
    """`length` asterisks for every value, NULL included; other than character columns keep theirs."""
    resolved = _with_parameter(resolved, "masked", "true")
    return msgspec.structs.replace(resolved, constant="*" * length) if resolved.characters else resolved


def hashed(resolved: ResolvedColumn, column: Column, algorithm: str, salt: str, *, v2: bool) -> ResolvedColumn:
    """The hex digest of salt and value, cut to the column's length; NULL stays. `algorithm` as in hashlib."""
    resolved = _with_parameter(resolved, "masked", "true")
    if not resolved.characters:
        return resolved
    salted = hashlib.new(algorithm, salt.encode(), usedforsecurity=False)
    length = shape_of(column).length
    serialized = str.encode if v2 else _java_serialized

    def digest(value: str) -> str:
        state = salted.copy()
        state.update(serialized(value))
        return state.hexdigest()[:length]

    return _changed(resolved, digest, unavailable=digest)


def truncated(resolved: ResolvedColumn, column: Column, length: int) -> ResolvedColumn:
    """Values cut to `length` UTF-16 code units, or bytes; half a surrogate pair is dropped."""
    if shape_of(column).length <= length:
        return resolved
    before = resolved
    resolved = _with_parameter(resolved, "truncateLength", str(length))
    if resolved.schema.type == "string":
        resolved = _changed(resolved, lambda value: _cut(value, length), unavailable=lambda value: _cut(value, length))
    if _is_variable(column):
        # the snapshot's column has no length: nothing of it is cut
        return msgspec.structs.replace(
            resolved, snapshot_schema=before.snapshot_schema or before.schema, snapshot_reader=before.snapshot_reader
        )
    if resolved.schema.type == "bytes" and resolved.schema.name is None:
        return _changed(resolved, lambda value: value[:length], unavailable=lambda value: value)
    return resolved


def with_source_type(resolved: ResolvedColumn, column: Column) -> ResolvedColumn:
    """Parameters __debezium.source.column.*: type, length, scale, name.

    Debezium's snapshot takes them from the JDBC driver, its stream from the Relation message: serials and
    numeric without precision differ, which `snapshot_schema` shows.
    """
    shape = shape_of(column)
    name = column.type.name.upper()
    stream = _source(column, name, shape.length, shape.scale)
    serial = column.default is not None and "nextval(" in column.default
    variable = _is_variable(column)
    snapshot = _source(
        column, _SERIAL.get(column.type.name, name) if serial else name,
        0 if variable else shape.length, None if variable else shape.scale,
    )  # fmt: skip
    schema = _appended(resolved.schema, stream)
    return msgspec.structs.replace(
        resolved, schema=schema, snapshot_schema=None if snapshot == stream else _appended(resolved.schema, snapshot)
    )


def _is_variable(column: Column) -> bool:
    """Numeric without precision: 131089 digits to the stream, none to the JDBC driver's metadata."""
    return column.type.name == "numeric" and column.typmod == -1


Parameters = tuple[tuple[str, str], ...]


def _source(column: Column, name: str, length: int, scale: int | None) -> Parameters:
    parameters = [(_SOURCE + "type", name), (_SOURCE + "length", str(length))]
    if scale is not None:
        parameters.append((_SOURCE + "scale", str(scale)))
    return (*parameters, (_SOURCE + "name", column.name))


def _appended(schema: Schema, parameters: Parameters) -> Schema:
    return schema.replace(parameters=(*schema.parameters, *parameters))


def _with_parameter(resolved: ResolvedColumn, key: str, value: str) -> ResolvedColumn:
    snapshot = resolved.snapshot_schema
    return msgspec.structs.replace(
        resolved,
        schema=_appended(resolved.schema, ((key, value),)),
        snapshot_schema=None if snapshot is None else _appended(snapshot, ((key, value),)),
    )


def _changed(
    resolved: ResolvedColumn, change: Callable[[Any], Any], *, unavailable: Callable[[Any], Any]
) -> ResolvedColumn:
    """Every value passes `change`, the fallback too; the schema's default stays clear, as in Debezium."""

    def reader(inner: Reader) -> Reader:
        read = inner.read
        return msgspec.structs.replace(inner, read=lambda text: change(read(text)), form=Form.NONE)

    stream = reader(resolved.reader)
    same = resolved.snapshot_reader is resolved.reader
    return msgspec.structs.replace(
        resolved,
        reader=stream,
        snapshot_reader=stream if same else reader(resolved.snapshot_reader),
        fallback=change(resolved.fallback),
        unavailable=None if resolved.unavailable is None else unavailable(resolved.unavailable),
    )


def _cut(text: str, length: int) -> str:
    if len(text) * 2 <= length:
        return text  # even if every character took two units
    return text.encode("utf-16-le", "surrogatepass")[: length * 2].decode("utf-16-le", "ignore")


# ---- hash v1: a String as java.io.ObjectOutputStream writes it (Java Object Serialization, chapter 6)

_HEADER = b"\xac\xed\x00\x05"
_SHORT, _LONG = b"\x74", b"\x7c"


def _java_serialized(text: str) -> bytes:
    data = _modified_utf8(text)
    if len(data) <= 0xFFFF:
        return _HEADER + _SHORT + len(data).to_bytes(2, "big") + data
    return _HEADER + _LONG + len(data).to_bytes(8, "big") + data


def _modified_utf8(text: str) -> bytes:
    """NUL in two bytes, and each half of a surrogate pair in three."""
    if text.isascii():
        return text.encode().replace(b"\0", b"\xc0\x80")
    units = text.encode("utf-16-le", "surrogatepass")
    halves = "".join(chr(units[i] | units[i + 1] << 8) for i in range(0, len(units), 2))
    return halves.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
