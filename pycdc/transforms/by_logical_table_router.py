"""io.debezium.transforms.ByLogicalTableRouter: changes of several tables (shards) share one topic."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of
from pycdc.errors import Fault
from pycdc.model.envelope import AFTER, BEFORE
from pycdc.model.javaregex import compile_java, replacement
from pycdc.model.names import SCHEMA_ADJUSTERS
from pycdc.model.record import Record
from pycdc.model.schema import STRING, Field, Schema
from pycdc.transforms.envelopes import envelope_of
from pycdc.transforms.operand import PerSchema, fields_or_null
from pycdc.transforms.options import java_pattern, named, trimmed


class ByLogicalTableRouterConfig(ConfigDef):
    """Options of ByLogicalTableRouter."""

    regex = Property[str]("topic.regex", java_pattern(), required=True, doc="Topics to merge, matched in full.")
    replacement = Property[str]("topic.replacement", named(), required=True, doc="The common topic; $1 is the first group.")
    unique = Property[bool](
        "key.enforce.uniqueness", boolean(), default=True, doc="Add a field to the key that tells the tables apart."
    )
    key_field = Property[str]("key.field.name", trimmed(), default="__dbz__physicalTableIdentifier", doc="That field's name.")
    key_regex = Property[str](
        "key.field.regex", trimmed(), default="", doc="What the field holds is made from the topic's name by this pattern; without it, the name."
    )
    key_replacement = Property[str]("key.field.replacement", trimmed(), default="", doc="What the pattern's match becomes.")
    adjustment = Property[str](
        "schema.name.adjustment.mode", one_of("none", "avro", "avro_unicode"), default="none",
        doc="How the new schema names are fitted to Avro.",
    )  # fmt: skip
    cache_size = Property[int](
        "logical.table.cache.size", integer(1), default=16, doc="Schemas kept.", ignored="schemas are kept as long as they are used"
    )

    def check(self, faults: list[Fault]) -> None:
        if self.key_regex and not self.key_replacement:
            faults.append(Fault("key.field.replacement", "is required beside key.field.regex"))
        try:
            compile_java(self.key_regex)
        except ValueError as error:
            faults.append(Fault("key.field.regex", str(error), self.key_regex))


class ByLogicalTableRouter:
    """Renames topic and schemas, and adds the key field. Tombstones and other records only change topic and key."""

    config = ByLogicalTableRouterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ByLogicalTableRouterConfig)
        self._settings = settings
        self._adjust = SCHEMA_ADJUSTERS[settings.adjustment]
        self._names = lru_cache(4096)(self._named)
        self._schemas = lru_cache(4096)(self._schemas_of)

    def apply(self, record: Record) -> Record:
        topic, identifier = self._names(record.topic)
        if not topic:
            return record
        keys, envelopes = self._schemas(topic)
        key = fields_or_null(record.key, "ByLogicalTableRouter")
        if key is not None and record.key_schema is not None:
            added = {self._settings.key_field: identifier} if self._settings.unique else {}
            record = record.replace(key_schema=keys(record.key_schema), key={**key, **added})
        elif key is None:
            record = record.replace(key_schema=None)
        if envelope_of(record) is not None:
            assert record.value_schema is not None
            record = record.replace(value_schema=envelopes(record.value_schema))
        return record.replace(topic=topic)

    def _named(self, topic: str) -> tuple[str, str]:
        """The common topic (empty: not one of its tables) and what tells this table apart."""
        s = self._settings
        match = compile_java(s.regex).fullmatch(topic)
        if match is None:
            return "", topic
        own = compile_java(s.key_regex).fullmatch(topic) if s.key_regex else None
        identifier = topic if own is None else replacement(s.key_replacement)(own)
        return replacement(s.replacement)(match), identifier

    def _schemas_of(self, topic: str) -> tuple[PerSchema, PerSchema]:
        return PerSchema(lambda s: self._key_schema(s, topic)), PerSchema(lambda s: self._envelope_schema(s, topic))

    def _key_schema(self, schema: Schema, topic: str) -> Schema:
        added = (Field(self._settings.key_field, STRING),) if self._settings.unique else ()
        return schema.replace(name=self._adjust(f"{topic}.Key"), fields=(*schema.fields, *added))

    def _envelope_schema(self, schema: Schema, topic: str) -> Schema:
        row: Any = schema.field(BEFORE) or schema.field(AFTER)
        if row is not None:
            row = row.replace(name=self._adjust(f"{topic}.Value"))
        fields = tuple(Field(f.name, row) if f.name in (BEFORE, AFTER) else f for f in schema.fields)
        return schema.replace(name=self._adjust(f"{topic}.Envelope"), fields=fields)
