"""org.apache.kafka.connect.json.JsonConverter: the same bytes, both directions.

One walk serves templates and values: literal bytes, and a Cell where a Leaf stands. A cell's function is
the writer of the schema's primitive composed with the leaf's reader, or its direct writer for a form.
Source: Kafka's JsonConverter and JsonConverterConfig, with the captures under tests/differential.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import repeat
from typing import Any, Final

import msgspec
import orjson

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of
from pycdc.converters.javatext import as_jackson, decimal_text, double_text, float_text, quoted, unscaled_bytes
from pycdc.converters.json_schema import Fixer, InexactNumberError, exactly, fixer, parse_schema
from pycdc.errors import RecordError
from pycdc.model.change import Rows
from pycdc.model.envelope import AFTER, OP, SOURCE
from pycdc.model.schema import DECIMAL, NO_DEFAULT, Schema
from pycdc.model.template import Form, Leaf, NeedsValue, Reader
from pycdc.plugins.contracts import Cell, Piece

_JSON_TYPE = {"float32": "float", "float64": "double"}
_INTEGERS = frozenset(("int8", "int16", "int32", "int64"))

Writer = Callable[[Any], bytes]
#: Member name (None in an array), schema, value.
_Item = tuple[str | None, Schema | None, Any]


class JsonConverterConfig(ConfigDef):
    """Options of the JsonConverter."""

    schemas_enable = Property[bool]("schemas.enable", boolean(), default=True, doc="Write the schema into each message.")
    schemas_cache_size = Property[int]("schemas.cache.size", integer(0), default=1000, doc="Schemas kept when reading.")
    decimal_format = Property[str](
        "decimal.format", one_of("BASE64", "NUMERIC"), default="BASE64", doc="How Decimal values are written."
    )
    replace_null = Property[bool](
        "replace.null.with.default", boolean(), default=True, doc="Write a field's default in place of its null."
    )


class JsonConverter:
    """JSON with or without an embedded schema."""

    config = JsonConverterConfig

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None:
        assert isinstance(settings, JsonConverterConfig)
        self.settings = settings
        self.is_key = is_key
        self._schema_texts: dict[int, tuple[Schema, bytes]] = {}
        self._parsed: dict[bytes, _Known] = {}
        self._last: _Known | None = None

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter. A null without schema is a null message."""
        if schema is None and value is None:
            return False
        if self.settings.schemas_enable:
            out.append(b'{"schema":' + (b"null" if schema is None else self._schema_text(schema)) + b',"payload":')
            self._value(topic, schema, value, out)
            out.append(b"}")
        else:
            self._value(topic, schema, value, out)
        return True

    def _schema_text(self, schema: Schema) -> bytes:
        """Cached by identity: a schema lives as long as the relation that made it."""
        cached = self._schema_texts.get(id(schema))
        if cached is None:
            if len(self._schema_texts) >= 4096:  # relations come and go; the texts are cheap to make again
                self._schema_texts.clear()
            text = b"".join(self._schema(schema))
            self._schema_texts[id(schema)] = (schema, text)
            return text
        return cached[1]

    def _schema(self, s: Schema, field: str | None = None) -> list[bytes]:
        out = [b'{"type":', quoted(_JSON_TYPE.get(s.type, s.type))]
        if s.type == "struct":
            fields = [b"".join(self._schema(f.schema, f.name)) for f in s.fields]
            out.append(b',"fields":[' + b",".join(fields) + b"]")
        elif s.items is not None:
            out += [b',"items":', *self._schema(s.items)]
        elif s.keys is not None and s.values is not None:
            out += [b',"keys":', *self._schema(s.keys), b',"values":', *self._schema(s.values)]
        out.append(b',"optional":true' if s.optional else b',"optional":false')
        if s.name is not None:
            out += [b',"name":', quoted(s.name)]
        if s.version is not None:
            out.append(b',"version":%d' % s.version)
        if s.doc is not None:
            out += [b',"doc":', quoted(s.doc)]
        if s.parameters:
            pairs = [quoted(k) + b":" + quoted(v) for k, v in s.parameters]
            out.append(b',"parameters":{' + b",".join(pairs) + b"}")
        if s.default is not NO_DEFAULT and s.default is not None and s.type != "struct":
            out += [b',"default":', self._plain(s, s.default)]
        if field is not None:
            out += [b',"field":', quoted(field)]
        out.append(b"}")
        return out

    def _plain(self, schema: Schema | None, value: Any) -> bytes:
        """Bytes of a value without leaves."""
        out: list[Piece] = []
        self._value("", schema, value, out)
        return b"".join(p for p in out if isinstance(p, bytes))

    def _null(self, schema: Schema | None) -> bytes | None:
        """What stands for a null of this schema; None when it may not be null."""
        if schema is None:
            return b"null"
        if schema.default is not NO_DEFAULT and schema.default is not None and (
            self.settings.replace_null or not schema.optional
        ):
            return self._plain(schema, schema.default)
        return b"null" if schema.optional else None

    def _value(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> None:
        if type(value) is Leaf:
            if schema is None:
                raise NeedsValue(value.reader.column_name)
            out.append(self._cell(value.column, schema, value.reader))
        elif value is None:
            text = self._null(schema)
            if text is None:
                raise RecordError("a required field is null", where=topic, cause=f"schema {_name(schema)}")
            out.append(text)
        elif schema is None:
            self._untyped(topic, value, out)
        elif type(value) not in (_DECIMALS if schema.name == DECIMAL else _PYTHON_TYPES[schema.type]):
            # a writer would take some of them: True as 1, 1.5 as 1, a number as a text
            raise RecordError(
                "a value is of another type than its schema", where=topic,
                cause=f"schema {_name(schema)}, Python's type {type(value).__name__}",
            )  # fmt: skip
        elif schema.type == "struct":
            self._struct(topic, schema, value, out)
        elif schema.type == "array":
            _sequence(b"[", b"]", out, [(None, schema.items, v) for v in value], self, topic)
        elif schema.type == "map":
            self._map(topic, schema, value, out)
        else:
            out.append(self._writer(schema)(value))

    def _untyped(self, topic: str, value: Any, out: list[Piece]) -> None:
        """A value without schema, by its own type."""
        kind = type(value)
        if kind is dict:
            self._map(topic, None, value, out)
        elif kind is list:
            _sequence(b"[", b"]", out, [(None, None, v) for v in value], self, topic)
        elif kind in _UNTYPED_WRITERS:
            out.append(_UNTYPED_WRITERS[kind](value))
        else:
            raise RecordError("a value without schema has no form in JSON", where=topic, cause=f"Python's type {kind.__name__}")

    def _struct(self, topic: str, schema: Schema, value: dict[str, Any], out: list[Piece]) -> None:
        items: list[_Item] = [(f.name, f.schema, value.get(f.name)) for f in schema.fields]
        try:
            _sequence(b"{", b"}", out, items, self, topic)
        except RecordError as error:
            if not error.cause.startswith("field"):
                name = next((f.name for f in schema.fields if value.get(f.name) is None and self._null(f.schema) is None), "?")
                error.cause = f"field {name} of {_name(schema)} is required and has no default"
            raise

    def _map(self, topic: str, schema: Schema | None, value: dict[Any, Any], out: list[Piece]) -> None:
        """An object if the keys are texts, else a list of pairs. Without schema the keys themselves tell."""
        keys, values = (None, None) if schema is None else (schema.keys, schema.values)
        if all(type(k) is str for k in value) if keys is None else keys.type == "string":
            _sequence(b"{", b"}", out, [(k, values, v) for k, v in value.items()], self, topic)
            return
        pairs = [b"[" + self._plain(keys, k) + b"," for k in value]
        out.append(b"[")
        for n, (pair, v) in enumerate(zip(pairs, value.values(), strict=True)):
            out.append((b"," if n else b"") + pair)
            self._value(topic, values, v, out)
            out.append(b"]")
        out.append(b"]")

    def _writer(self, schema: Schema) -> Writer:
        """Value -> bytes for a schema that is no struct with leaves."""
        if schema.name == DECIMAL:
            return _decimal_number if self.settings.decimal_format == "NUMERIC" else _decimal_base64(schema)
        if schema.type in ("struct", "array", "map"):
            return lambda v: self._plain(schema, v)
        return _WRITERS[schema.type]

    def _cell(self, column: int, schema: Schema, reader: Reader) -> Cell:
        """Text -> bytes: a direct writer for a form, else the reader composed with the writer."""
        null = self._null(schema)
        if reader.form is Form.DIGITS and schema.type in _INTEGERS:
            return Cell(column, None, null)
        if reader.form is Form.TEXT and schema.type == "string":
            return Cell(column, _quote_utf8, null, _quote_column)
        if schema.name == DECIMAL and reader.unscaled is not None and self.settings.decimal_format == "BASE64":
            return _composed(column, reader.unscaled, _unscaled_base64, null)
        return _composed(column, reader.read, self._writer(schema), null)

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter. Raises RecordError when `data` is not what the settings promise."""
        if data is None:
            return None, None
        if not self.settings.schemas_enable:
            try:
                return None, orjson.loads(data)
            except orjson.JSONDecodeError as error:
                if not data.strip():  # to Jackson nothing is null
                    return None, None
                raise _no_json(topic, error) from None
        last = self._last
        if last is not None and data.startswith(last.prefix):
            try:
                payload = orjson.loads(data[len(last.prefix) : -1])
            except orjson.JSONDecodeError as error:
                raise _no_json(topic, error) from None
            return last.schema, self._fixed(topic, data, payload, last)
        return self._read_new(topic, data)

    def _fixed(self, topic: str, data: bytes, payload: Any, known: _Known) -> Any:
        fix = known.fix
        if payload is None:
            return self._null_read(topic, known.schema)
        if fix is None:
            return payload
        try:
            try:
                return fix(payload)
            except InexactNumberError:
                return exactly(data, fix)
        except (TypeError, ValueError, AttributeError) as error:
            raise RecordError("a payload does not fit its schema", where=topic, cause=type(error).__name__) from None

    def _null_read(self, topic: str, schema: Schema) -> Any:
        if schema.has_default and schema.default is not None and self.settings.replace_null:
            return schema.default
        if not schema.optional:
            raise RecordError(
                "a required payload is null", where=topic, cause=f"schema {_name(schema)}",
                original=f"Invalid null value for required {schema.type.upper()} field",
            )  # fmt: skip
        return None

    def _read_new(self, topic: str, data: bytes) -> tuple[Schema | None, Any]:
        """A schema that is not the last one: from the cache by its exact text, or parsed."""
        try:
            whole = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            if data.strip():
                raise _no_json(topic, error) from None
            whole = None
        if not isinstance(whole, dict) or whole.keys() != {"schema", "payload"}:
            raise RecordError(
                "a message has no schema",
                where=topic,
                cause='schemas.enable=true needs exactly the members "schema" and "payload"',
                hint=f"set {'key' if self.is_key else 'value'}.converter.schemas.enable=false",
                original=_NO_SCHEMA,
            )
        if whole["schema"] is None:
            return None, whole["payload"]
        text = orjson.dumps(whole["schema"])
        known = self._parsed.get(text)
        if known is None:
            if len(self._parsed) >= self.settings.schemas_cache_size:
                self._parsed.clear()
            known = self._parsed[text] = _known(parse_schema(whole["schema"]), text, defaults=self.settings.replace_null)
        if data.startswith(known.prefix):  # compact, as JsonConverter writes it: the next one needs no parsing
            self._last = known
        return known.schema, self._fixed(topic, data, whole["payload"], known)

    # ---- reading many: plugins.contracts.RowReader

    def read_many(self, topic: str, data: Sequence[bytes]) -> tuple[Schema | None, Sequence[Any]] | None:
        """Values of messages that share the schema of the first."""
        try:
            known, payloads = self._payloads(topic, data)
            values = list(map(orjson.loads, payloads))
            if known is None:
                return None, values
            fix = known.fix
            return known.schema, values if fix is None else [None if v is None else fix(v) for v in values]
        except _CANNOT_READ_MANY:
            return None

    def read_rows(self, topic: str, data: Sequence[bytes]) -> Rows | None:
        """Of an envelope only what a row needs is parsed: `before` and `source` cost half of the whole."""
        try:
            known, payloads = self._payloads(topic, data)
            if not _is_envelope(payloads[0]):
                rows = list(map(orjson.loads, payloads))
                if any(type(r) is not dict or (OP in r and SOURCE in r) for r in rows):
                    return None
                return Rows(None, rows) if known is None else Rows(None, _mended(rows, known.fix), known.schema)
            envelopes = list(map(_decode_envelope, payloads))
            rows = orjson.loads(b"[" + b",".join([e.after for e in envelopes]) + b"]")
            ops = [e.op for e in envelopes]
            source = _common_source(envelopes, payloads[0])
            if known is None:
                return Rows(ops, rows, None, source)
            return Rows(ops, _mended(rows, known.fix_row), known.row_schema, source)
        except _CANNOT_READ_MANY:
            return None

    def _payloads(self, topic: str, data: Sequence[bytes]) -> tuple[_Known | None, Sequence[bytes]]:
        """The schema that all share, and the payloads' texts. Raises RecordError when they share none."""
        if not self.settings.schemas_enable:
            return None, data
        if self._last is None or not data[0].startswith(self._last.prefix):
            self._read_new(topic, data[0])
        known = self._last
        if known is None:
            raise RecordError("a schema's text is not compact")
        prefix, start = known.prefix, len(known.prefix)
        if not all(map(bytes.startswith, data, repeat(prefix))):
            raise RecordError("messages of several schemas")
        return known, [d[start:-1] for d in data]


class _Known(msgspec.Struct, frozen=True):
    """A schema that was read, and what its payloads need. `row_schema`: of an envelope's `after`."""

    prefix: bytes
    schema: Schema
    fix: Fixer | None
    row_schema: Schema | None
    fix_row: Fixer | None


def _known(schema: Schema, text: bytes, *, defaults: bool) -> _Known:
    row = schema.field(AFTER)
    fix_row = None if row is None else fixer(row, defaults=defaults)
    return _Known(b'{"schema":' + text + b',"payload":', schema, fixer(schema, defaults=defaults), row, fix_row)


class _Table(msgspec.Struct, gc=False):
    schema: str | None = None
    table: str | None = None


class _Envelope(msgspec.Struct, kw_only=True, gc=False):
    op: str
    source: _Table | None
    after: msgspec.Raw = msgspec.Raw(b"null")


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def _common_source(envelopes: list[_Envelope], first: bytes) -> dict[str, Any]:
    """The source block of the first one, which is `first`. Raises ValueError when they are of several tables, as a router
    may mix them.
    """
    table = envelopes[0].source
    if any(e.source != table for e in envelopes):
        raise ValueError
    source: dict[str, Any] | None = orjson.loads(first)[SOURCE]
    return source or {}


def _is_envelope(payload: bytes) -> bool:
    try:
        _decode_envelope(payload)
    except msgspec.DecodeError:
        return False
    return True


def _mended(rows: list[Any], fix: Fixer | None) -> list[Any]:
    return rows if fix is None else [None if r is None else fix(r) for r in rows]


#: `read` takes the messages one by one then, and names the one at fault.
def _no_json(topic: str, error: Exception) -> RecordError:
    return RecordError(
        "a message is not JSON", where=topic, cause=str(error),
        original="Converting byte[] to Kafka Connect data failed due to serialization error: ",
    )  # fmt: skip


_NO_SCHEMA = (
    'JsonConverter with schemas.enable requires "schema" and "payload" fields and may not contain additional fields. '
    "If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration."
)
_CANNOT_READ_MANY = (RecordError, msgspec.DecodeError, ValueError, TypeError, AttributeError, InexactNumberError)


def _name(schema: Schema | None) -> str:
    return "?" if schema is None else schema.name or schema.type


def _sequence(
    start: bytes, end: bytes, out: list[Piece], items: list[_Item],
    converter: JsonConverter, topic: str,
) -> None:
    out.append(start)
    for n, (name, schema, value) in enumerate(items):
        lead = b"," if n else b""
        if name is not None:
            lead += quoted(name) + b":"
        if lead:
            out.append(lead)
        converter._value(topic, schema, value, out)
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
