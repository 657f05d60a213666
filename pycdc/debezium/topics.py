"""Topic naming strategies: which topic a table's events go to, and what their schemas are called.

Source: Debezium's io.debezium.schema.*TopicNamingStrategy. `Default` strategies leave the schema out,
`Schema` ones keep it; `Regex` ones merge tables into one topic and add the table to the key.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pycdc.model.javaregex import compile_java, replacement
from pycdc.model.names import topic_name, unicode_topic_name

STRATEGIES = (
    "io.debezium.schema.SchemaTopicNamingStrategy",
    "io.debezium.schema.DefaultTopicNamingStrategy",
    "io.debezium.schema.SchemaRegexTopicNamingStrategy",
    "io.debezium.schema.DefaultRegexTopicNamingStrategy",
    "io.debezium.schema.SchemaUnicodeTopicNamingStrategy",
    "io.debezium.schema.DefaultUnicodeTopicNamingStrategy",
)


class TopicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that decides topic names."""

    prefix: str
    strategy: str = STRATEGIES[0]
    delimiter: str = "."
    heartbeat_prefix: str = "__debezium-heartbeat"
    heartbeat_name: str | None = None
    transaction: str = "transaction"
    regex: str | None = None
    replacement: str | None = None
    key_unique: bool = True
    key_field: str = "__dbz__physicalTableIdentifier"
    key_regex: str | None = None
    key_replacement: str | None = None


class TableTopic(msgspec.Struct, frozen=True):
    """`topic` names the topic and, by its own adjuster, the schemas; `key_value` goes into the key field."""

    topic: str
    key_field: str | None = None
    key_value: str | None = None


class Topics:
    """Answers for every record pycdc publishes which topic it belongs to."""

    def __init__(self, settings: TopicSettings) -> None:
        self.settings = settings
        short = settings.strategy.rsplit(".", 1)[-1]
        self._with_schema = short.startswith("Schema")
        self._clean: Callable[[str], str] = unicode_topic_name if "Unicode" in short else topic_name
        self._regex = compile_java(settings.regex or "(?!)") if "Regex" in short else None
        self._key_regex = compile_java(settings.key_regex) if settings.key_regex else None

    def _join(self, *parts: str) -> str:
        return self.settings.delimiter.join(p for p in parts if p)

    def table(self, schema: str, table: str) -> TableTopic:
        """The topic of a table's events."""
        s = self.settings
        physical = self._join(s.prefix, schema if self._with_schema else "", table)
        topic = clean = self._clean(physical)
        if self._regex is None:
            return TableTopic(topic)
        if (match := self._regex.fullmatch(clean)) is not None:
            topic = self._clean(replacement(s.replacement or "")(match)) or clean
        if not s.key_unique:
            return TableTopic(topic)
        value = physical
        if self._key_regex is not None and (found := self._key_regex.fullmatch(physical)) is not None:
            value = replacement(s.key_replacement or "")(found) or physical
        return TableTopic(topic, s.key_field, value)

    @property
    def heartbeat(self) -> str:
        s = self.settings
        return s.heartbeat_name or self._clean(f"{s.heartbeat_prefix}.{s.prefix}")

    @property
    def transaction(self) -> str:
        return self._clean(self._join(self.settings.prefix, self.settings.transaction))

    @property
    def message(self) -> str:
        return self._clean(self._join(self.settings.prefix, "message"))
