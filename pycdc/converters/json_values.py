"""How Connect's values look in JSON: the walk that every converter to JSON shares.

One walk serves templates and values: literal bytes, and a Cell where a Leaf stands. A cell's function is
the writer of the schema's primitive composed with the leaf's reader, or its direct writer for a form.
A converter says what differs by what it overrides: what stands for a null, and how maps and structs look.
Source: Kafka's JsonConverter, with the captures under tests/differential.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

import orjson

from pycdc.converters.javatext import as_jackson, decimal_text, double_text, float_text, quoted, unscaled_bytes
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, NO_DEFAULT, Schema
from pycdc.model.template import Form, Leaf, NeedsValue, Reader
from pycdc.plugins.contracts import Cell, Piece

_INTEGERS = frozenset(("int8", "int16", "int32", "int64"))

Writer = Callable[[Any], bytes]
#: Member name (None in an array), schema, value.
Item = tuple[str | None, Schema | None, Any]


class JsonValues:
    """Writes values. `numeric`: Decimals are numbers. `replace_null`: a field that may be null is its default instead."""

    def __init__(self, *, numeric: bool, replace_null: bool) -> None:
        self._numeric = numeric
        self._replace_null = replace_null

    def plain(self, schema: Schema | None, value: Any) -> bytes:
        """Bytes of a value without leaves."""
        out: list[Piece] = []
        self.value("", schema, value, out)
        return b"".join(p for p in out if isinstance(p, bytes))

    def null(self, schema: Schema | None) -> bytes | None:
        """What stands for a null of this schema; None when it may not be null."""
        if schema is None:
            return b"null"
        if schema.default is not NO_DEFAULT and schema.default is not None and (
            self._replace_null or not schema.optional
        ):
            return self.plain(schema, schema.default)
        return b"null" if schema.optional else None

    def value(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> None:
        if type(value) is Leaf:
            if schema is None:
                raise NeedsValue(value.reader.column_name)
            out.append(self._cell(value.column, schema, value.reader))
        elif value is None:
            text = self.null(schema)
            if text is None:
                raise RecordError("a required field is null", where=topic, cause=f"schema {name_of(schema)}")
            out.append(text)
        elif schema is None:
            self._untyped(topic, value, out)
        elif type(value) not in (_DECIMALS if schema.name == DECIMAL else _PYTHON_TYPES[schema.type]):
            # a writer would take some of them: True as 1, 1.5 as 1, a number as a text
            raise RecordError(
                "a value is of another type than its schema", where=topic,
                cause=f"schema {name_of(schema)}, Python's type {type(value).__name__}",
            )  # fmt: skip
        elif schema.type == "struct":
            self.struct(topic, schema, value, out)
        elif schema.type == "array":
            sequence(b"[", b"]", out, [(None, schema.items, v) for v in value], self, topic)
        elif schema.type == "map":
            self.map(topic, schema, value, out)
        else:
            out.append(self._writer(schema)(value))

    def _untyped(self, topic: str, value: Any, out: list[Piece]) -> None:
        """A value without schema, by its own type."""
        kind = type(value)
        if kind is dict:
            self.map(topic, None, value, out)
        elif kind is list:
            sequence(b"[", b"]", out, [(None, None, v) for v in value], self, topic)
        elif kind in _UNTYPED_WRITERS:
            out.append(_UNTYPED_WRITERS[kind](value))
        else:
            raise RecordError("a value without schema has no form in JSON", where=topic, cause=f"Python's type {kind.__name__}")

    def struct(self, topic: str, schema: Schema, value: dict[str, Any], out: list[Piece]) -> None:
        items: list[Item] = [(f.name, f.schema, value.get(f.name)) for f in schema.fields]
        try:
            sequence(b"{", b"}", out, items, self, topic)
        except RecordError as error:
            if not error.cause.startswith("field"):
                name = next((f.name for f in schema.fields if value.get(f.name) is None and self.null(f.schema) is None), "?")
                error.cause = f"field {name} of {name_of(schema)} is required and has no default"
            raise

    def map(self, topic: str, schema: Schema | None, value: dict[Any, Any], out: list[Piece]) -> None:
        """An object if the keys are texts, else a list of pairs. Without schema the keys themselves tell."""
        keys, values = (None, None) if schema is None else (schema.keys, schema.values)
        if all(type(k) is str for k in value) if keys is None else keys.type == "string":
            sequence(b"{", b"}", out, [(k, values, v) for k, v in value.items()], self, topic)
            return
        pairs = [b"[" + self.plain(keys, k) + b"," for k in value]
        out.append(b"[")
        for n, (pair, v) in enumerate(zip(pairs, value.values(), strict=True)):
            out.append((b"," if n else b"") + pair)
            self.value(topic, values, v, out)
            out.append(b"]")
        out.append(b"]")

    def _writer(self, schema: Schema) -> Writer:
        """Value -> bytes for a schema that is no struct with leaves."""
        if schema.name == DECIMAL:
            return _decimal_number if self._numeric else _decimal_base64(schema)
        if schema.type in ("struct", "array", "map"):
            return lambda v: self.plain(schema, v)
        return _WRITERS[schema.type]

    def _cell(self, column: int, schema: Schema, reader: Reader) -> Cell:
        """Text -> bytes: a direct writer for a form, else the reader composed with the writer."""
        null = self.null(schema)
        if reader.form is Form.DIGITS and schema.type in _INTEGERS:
            return Cell(column, None, null)
        if reader.form is Form.TEXT and schema.type == "string":
            return Cell(column, _quote_utf8, null, _quote_column)
        if schema.name == DECIMAL and reader.unscaled is not None and not self._numeric:
            return _composed(column, reader.unscaled, _unscaled_base64, null)
        return _composed(column, reader.read, self._writer(schema), null)


def name_of(schema: Schema | None) -> str:
    return "?" if schema is None else schema.name or schema.type


def sequence(
    start: bytes, end: bytes, out: list[Piece], items: list[Item],
    values: JsonValues, topic: str,
) -> None:
    out.append(start)
    for n, (name, schema, value) in enumerate(items):
        lead = b"," if n else b""
        if name is not None:
            lead += quoted(name) + b":"
        if lead:
            out.append(lead)
        values.value(topic, schema, value, out)
    out.append(end)


def _composed(column: int, read: Callable[[bytes], Any], write: Writer, null: bytes | None) -> Cell:
    """A whole column goes through the writer's own loop, where it has one: a call per cell less."""
    write_column = _COLUMN_WRITERS.get(write)
    if write_column is None:
        return Cell(column, lambda text: write(read(text)), null, lambda texts: map(write, map(read, texts)))
    return Cell(column, lambda text: write(read(text)), null, lambda texts: write_column(map(read, texts)))


def _quote_utf8(text: bytes) -> bytes:
    return quoted(text.decode())


#: Neither escaped nor part of an escape; a text that has it is a rare one.
_BETWEEN: Final = b"\x7f"


def _quote_column(texts: Iterable[bytes]) -> list[bytes]:
    """_quote_utf8 of many texts."""
    texts = list(texts)
    return _quoted_whole(_BETWEEN.join(texts).decode(), len(texts)) or list(map(_quote_utf8, texts))


def _quoted_column(values: Iterable[str]) -> list[bytes]:
    values = list(values)
    return _quoted_whole(_BETWEEN.decode().join(values), len(values)) or list(map(quoted, values))


def _quoted_whole(whole: str, count: int) -> list[bytes] | None:
    """So many texts with `_BETWEEN` between them, quoted at once: a call for each takes twenty times as long, most of it for
    room that it gives back. None when it cannot be told where a text ends.
    """
    if not count or whole.count(_BETWEEN.decode()) != count - 1:
        return None
    return as_jackson(orjson.dumps(whole)).replace(_BETWEEN, b'"' + _BETWEEN + b'"').split(_BETWEEN)


def _int(value: int) -> bytes:
    return b"%d" % value


def _boolean(value: bool) -> bytes:
    return b"true" if value else b"false"


def _float32(value: float) -> bytes:
    return _number(float_text(value))


def _float64(value: float) -> bytes:
    return _number(double_text(value))


def _number(text: str) -> bytes:
    # Jackson quotes what JSON has no number for
    return f'"{text}"'.encode() if text[-1] in "Ny" else text.encode()


def _bytes(value: bytes) -> bytes:
    return b'"' + b2a_base64(value, newline=False) + b'"'


def _unscaled_base64(unscaled: int) -> bytes:
    return b'"' + b2a_base64(unscaled_bytes(unscaled), newline=False) + b'"'


def _decimal_base64(schema: Schema) -> Writer:
    scale = int(schema.parameter("scale") or 0)

    def write(value: Decimal) -> bytes:
        sign, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int) or exponent < -scale:
            raise RecordError("a Decimal does not fit its schema's scale", cause=f"scale {scale}")
        number = int("".join(map(str, digits)) or "0") * 10 ** (scale + exponent)
        return _unscaled_base64(-number if sign else number)

    return write


def _decimal_number(value: Decimal) -> bytes:
    return decimal_text(value).encode()


def _unscaled_column(values: Iterable[int]) -> list[bytes]:
    # unscaled_bytes written out: most Decimals fit 62 bits and the calls would cost more than the work
    return [
        b'"' + b2a_base64(v.to_bytes((v if v >= 0 else ~v).bit_length() // 8 + 1, "big", signed=True), newline=False) + b'"'
        for v in values
    ]


#: Writers that have a loop of their own for a whole column.
_COLUMN_WRITERS: dict[Writer, Callable[[Iterable[Any]], Iterable[bytes]]] = {
    _int: lambda values: [b"%d" % v for v in values],
    _boolean: lambda values: [b"true" if v else b"false" for v in values],
    quoted: _quoted_column,
    _unscaled_base64: _unscaled_column,
}

_WRITERS: dict[str, Writer] = {
    "int8": _int, "int16": _int, "int32": _int, "int64": _int,
    "float32": _float32, "float64": _float64, "boolean": _boolean, "string": quoted, "bytes": _bytes,
}
_UNTYPED_WRITERS: dict[type, Writer] = {bool: _boolean, int: _int, float: _float64, str: quoted, bytes: _bytes}

#: What values of a schema's type are here; an int is as good a float.
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_INTEGERS, (int,)), **dict.fromkeys(("float32", "float64"), (float, int)),
    "boolean": (bool,), "string": (str,), "bytes": (bytes,), "struct": (dict,), "map": (dict,), "array": (list,),
}  # fmt: skip
_DECIMALS = (Decimal,)
