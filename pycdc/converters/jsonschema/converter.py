"""JsonSchemaConverter: messages of JSON, whose schemas are kept in a registry (converters.registered).

What stands behind the schema's id does not depend on the registered schema: values are written and read by names.
Source: the behaviour of JsonSchemaConverter 7.9.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from pycdc.config.definition import ConfigDef
from pycdc.converters.json_rows import CANNOT_READ_MANY, Known, rows_of, values_of
from pycdc.converters.json_schema import InexactNumberError
from pycdc.converters.jsonschema.config import JsonSchemaConverterConfig
from pycdc.converters.jsonschema.declare import declare
from pycdc.converters.jsonschema.names import is_union
from pycdc.converters.jsonschema.pretty import pretty
from pycdc.converters.jsonschema.reading import element_fixer
from pycdc.converters.jsonschema.understand import understand
from pycdc.converters.jsonschema.validate import Validate, validator
from pycdc.converters.jsonschema.writing import SchemaValues
from pycdc.converters.registered import HEAD, Kept, RegisteredConverter, Schemas, common_id, head, not_as_said
from pycdc.errors import RecordError
from pycdc.model.change import Rows
from pycdc.model.envelope import AFTER
from pycdc.model.schema import Schema
from pycdc.model.template import NeedsValue, leaves
from pycdc.plugins.contracts import Piece
from pycdc.registry import Written


class _Declared(msgspec.Struct, eq=False):
    """A Connect schema's text; `schema` is held, so that its id stays its own. `checked`: what it was found to fit."""

    schema: Schema
    text: str
    checked: set[Written]


class JsonSchemaConverter(RegisteredConverter):
    """JSON in, JSON out."""

    config = JsonSchemaConverterConfig
    kind = "JSON"
    format = "JSON"

    def __init__(self, settings: ConfigDef, *, is_key: bool, schemas: Schemas | None = None) -> None:
        assert isinstance(settings, JsonSchemaConverterConfig)
        super().__init__(settings, is_key=is_key, schemas=schemas)
        self.settings = settings
        self._values = SchemaValues(settings)
        self._declared: Kept[int, _Declared] = Kept(settings.cache_size)
        self._known: Kept[int, Known] = Kept(settings.cache_size)
        self._validators: Kept[str, Validate] = Kept(settings.cache_size)

    # ---- writing

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """See plugins.contracts.Converter. A null without schema is a null message; one that may be null is JSON's null.
        Raises NotReady.
        """
        if schema is None:
            if value is None:
                return False
            raise RecordError("JSON with a registered schema needs a schema", where=topic, cause="the record's value has none")
        if value is None and self._values.null(schema) is None:
            return False
        declared = self._declare(schema)
        named = not (schema.optional or is_union(schema))
        written = self._ready(topic, schema.name if named else None, declared.text)
        if written not in declared.checked:
            self._check(topic, declared, written)
        start = len(out)
        out.append(head(written.id))
        self._values.value(topic, schema, value, out)
        if self.settings.fail_invalid or self.settings.indent:
            out[start + 1 :] = [self._looked_at(topic, written, value, out[start + 1 :])]
        return True

    def _declare(self, schema: Schema) -> _Declared:
        known = self._declared.get(id(schema))
        if known is None:
            known = self._declared.keep(id(schema), _Declared(schema, declare(schema, self.settings), set()))
        return known

    def _check(self, topic: str, declared: _Declared, written: Written) -> None:
        """Whether a schema that is not the record's own has its fields. Raises RecordError."""
        s = self.settings
        if written.text != declared.text and (s.id_strict if s.use_id >= 0 else s.latest_strict):
            there = understand(written.text, self._schemas.referred(written.id), s)
            problem = misfit(declared.schema, there)
            if problem:
                name = "id" if s.use_id >= 0 else "latest"
                raise RecordError(
                    "the registered schema does not have the record's fields", where=topic, cause=f"schema {written.id}: {problem}",
                    hint=f"register a schema that has them, or set {name}.compatibility.strict=false",
                )  # fmt: skip
        declared.checked.add(written)

    def _looked_at(self, topic: str, written: Written, value: Any, pieces: list[Piece]) -> bytes:
        """A payload that is needed whole. Raises RecordError where it does not fit, and NeedsValue for a template."""
        leaf = next(leaves(value), None)
        if leaf is not None:
            raise NeedsValue(leaf.reader.column_name)
        payload = b"".join(p for p in pieces if isinstance(p, bytes))
        if self.settings.fail_invalid:
            self._validator(written.text, written.id)(topic, _exact(payload))
        return pretty(payload) if self.settings.indent else payload

    def _validator(self, text: str, id_: int) -> Validate:
        known = self._validators.get(text)
        if known is None:
            known = self._validators.keep(text, validator(text, self._schemas.referred(id_)))
        return known

    # ---- reading

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """See plugins.contracts.Converter. Raises RecordError, and NotReady for an id that was not seen yet."""
        if data is None:
            return None, None
        id_ = self._id(topic, data)
        known = self._known.get(id_) or self._understand(topic, id_)
        assert known.fix is not None
        payload = data[HEAD:]
        try:
            whole = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise RecordError("a message is not JSON", where=topic, cause=f"behind schema id {id_}: {error}") from None
        if self.settings.fail_invalid:
            self._validator(self._text(topic, id_), id_)(topic, _exact(payload))
        try:
            try:
                return known.schema, known.fix(whole)
            except InexactNumberError:
                return known.schema, known.fix(_exact(payload))
        except RecordError as error:
            error.where = error.where or topic
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise not_as_said(topic, id_, error) from None

    # ---- reading many: plugins.contracts.RowReader

    def read_many(self, topic: str, data: Sequence[bytes]) -> tuple[Schema | None, Sequence[Any]] | None:
        """Values of messages that share the schema of the first. Raises NotReady."""
        known = self._common(topic, data)
        if known is None:
            return None
        payloads = [d[HEAD:] for d in data]
        if b"null" in payloads:  # which may be a default, or refused
            return None
        try:
            return values_of(payloads, known)
        except _CANNOT_READ:
            return None

    def read_rows(self, topic: str, data: Sequence[bytes]) -> Rows | None:
        """Of an envelope only what a row needs is parsed. Raises NotReady."""
        known = self._common(topic, data)
        if known is None or known.schema.type != "struct":
            return None
        try:
            return rows_of([d[HEAD:] for d in data], known)
        except _CANNOT_READ:
            return None

    def _common(self, topic: str, data: Sequence[bytes]) -> Known | None:
        """What all are written with; None when that is not one schema, or each is to be looked at."""
        id_ = None if self.settings.fail_invalid else common_id(data)
        return None if id_ is None else self._known.get(id_) or self._understand(topic, id_)

    def _understand(self, topic: str, id_: int) -> Known:
        text = self._text(topic, id_)
        schema = understand(text, self._schemas.referred(id_), self.settings)
        row = schema.field(AFTER)
        return self._known.keep(id_, Known(head(id_), schema, element_fixer(schema), row, None if row is None else element_fixer(row)))


def misfit(ours: Schema, theirs: Schema, place: str = "") -> str:
    """What another schema lacks to be a record's; empty where nothing. Fields that it has besides may be left out of messages."""
    if ours.type != theirs.type:
        return f"{place or 'the value'} is {theirs.type}, not {ours.type}"
    for f in ours.fields:
        there = theirs.field(f.name)
        inner = f"{place}.{f.name}" if place else f.name
        problem = f"it has no field {inner}" if there is None else misfit(f.schema, there, inner)
        if problem:
            return problem
    pairs = ((ours.items, theirs.items), (ours.keys, theirs.keys), (ours.values, theirs.values))
    return next((p for a, b in pairs if a is not None and b is not None and (p := misfit(a, b, place))), "")


def _exact(payload: bytes) -> Any:
    """With every fraction as a Decimal; fields that are floats take them as well."""
    return json.loads(payload, parse_float=Decimal)


_CANNOT_READ = (*CANNOT_READ_MANY, KeyError)
