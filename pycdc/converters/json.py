"""org.apache.kafka.connect.json.JsonConverter: the same bytes, both directions.

Values are written by json_values and read by json_schema, which is about the schemas *in* such messages; JSON whose
schemas are in a registry is the JsonSchemaConverter's, in the package jsonschema.
Source: Kafka's JsonConverter and JsonConverterConfig, with the captures under tests/differential.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import orjson

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of
from pycdc.converters.javatext import quoted
from pycdc.converters.json_rows import CANNOT_READ_MANY, Known, rows_of, values_of
from pycdc.converters.json_schema import InexactNumberError, exactly, fixer, parse_schema
from pycdc.converters.json_values import JsonValues, name_of
from pycdc.errors import RecordError
from pycdc.model.change import Rows
from pycdc.model.envelope import AFTER
from pycdc.model.schema import NO_DEFAULT, Schema
from pycdc.plugins.contracts import Piece

_JSON_TYPE = {"float32": "float", "float64": "double"}


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
        self._values = JsonValues(numeric=settings.decimal_format == "NUMERIC", replace_null=settings.replace_null)
        self._schema_texts: dict[int, tuple[Schema, bytes]] = {}
        self._parsed: dict[bytes, Known] = {}
        self._last: Known | None = None

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter. A null without schema is a null message."""
        if schema is None and value is None:
            return False
        if self.settings.schemas_enable:
            out.append(b'{"schema":' + (b"null" if schema is None else self._schema_text(schema)) + b',"payload":')
            self._values.value(topic, schema, value, out)
            out.append(b"}")
        else:
            self._values.value(topic, schema, value, out)
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
            out += [b',"default":', self._values.plain(s, s.default)]
        if field is not None:
            out += [b',"field":', quoted(field)]
        out.append(b"}")
        return out

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

    def _fixed(self, topic: str, data: bytes, payload: Any, known: Known) -> Any:
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
                "a required payload is null", where=topic, cause=f"schema {name_of(schema)}",
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
            return values_of(payloads, known)
        except CANNOT_READ_MANY:
            return None

    def read_rows(self, topic: str, data: Sequence[bytes]) -> Rows | None:
        """Of an envelope only what a row needs is parsed."""
        try:
            known, payloads = self._payloads(topic, data)
            return rows_of(payloads, known)
        except CANNOT_READ_MANY:
            return None

    def _payloads(self, topic: str, data: Sequence[bytes]) -> tuple[Known | None, Sequence[bytes]]:
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


def _known(schema: Schema, text: bytes, *, defaults: bool) -> Known:
    row = schema.field(AFTER)
    fix_row = None if row is None else fixer(row, defaults=defaults)
    return Known(b'{"schema":' + text + b',"payload":', schema, fixer(schema, defaults=defaults), row, fix_row)


def _no_json(topic: str, error: Exception) -> RecordError:
    return RecordError(
        "a message is not JSON", where=topic, cause=str(error),
        original="Converting byte[] to Kafka Connect data failed due to serialization error: ",
    )  # fmt: skip


_NO_SCHEMA = (
    'JsonConverter with schemas.enable requires "schema" and "payload" fields and may not contain additional fields. '
    "If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration."
)
