"""Properties of the JDBC sink connectors, as far as this release has them: two families, one set of attributes.

Source: the references of Confluent's JdbcSinkConnector and of Debezium's. The class name in `connector.class`
decides which definition is read, and with it the defaults.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of, parsed, password, text, words
from pycdc.errors import Fault

_LATER = "it is not available in this release"


class Address(msgspec.Struct, frozen=True):
    """A jdbc:postgresql URL, taken apart."""

    host: str
    port: int
    dbname: str
    parameters: dict[str, str]


def jdbc_url(value: str) -> Address:
    """Raises ValueError."""
    if not value.startswith("jdbc:postgresql:"):
        raise ValueError("must be jdbc:postgresql://HOST:PORT/DATABASE")
    parts = urlsplit(value.removeprefix("jdbc:"))
    if not parts.path.strip("/"):
        raise ValueError("names no database: jdbc:postgresql://HOST:PORT/DATABASE")
    return Address(parts.hostname or "localhost", parts.port or 5432, unquote(parts.path.strip("/")), dict(parse_qsl(parts.query)))


class JdbcSinkConfig(ConfigDef):
    """What both families share; `mode`, `keys` and so on are read through these names."""

    prefixes = ("connection.", "hibernate.", "dialect.")

    url = Property[Address]("connection.url", parsed("STRING", jdbc_url, "jdbc:postgresql://..."), required=True, importance="HIGH", doc="Target database.")
    login_password = Property[str | None]("connection.password", password(), doc="Password.")
    insert_mode = Property[str]("insert.mode", one_of("insert", "upsert", "update"), default="insert", importance="HIGH", doc="How rows are written.")
    deletes = Property[bool]("delete.enabled", boolean(), default=False, doc="Delete rows on tombstones and delete events.")
    batch_rows = Property[int]("batch.size", integer(1), default=50_000, doc="Most rows per write.")
    flush_ms = Property[int]("flush.interval.ms", integer(1), default=500, doc="Longest wait before buffered rows are written, ms.")

    user_name: Property[Any]
    key_mode: Property[Any]
    key_fields: Property[Any]
    table_format: Property[Any]

    @property
    def user(self) -> str:
        value: str = self.user_name or self.url.parameters.get("user", "postgres")
        return value

    @property
    def creates(self) -> bool:
        """Whether missing tables and columns are made."""
        raise NotImplementedError

    #: Whether a delete is an error while delete.enabled is false.
    refuses_deletes = False

    @property
    def dots_split(self) -> bool:
        """Whether a dot in the table's name separates schema and table."""
        return True

    def check(self, faults: list[Fault]) -> None:
        if self.key_mode not in ("record_key", "record_value", "none"):
            faults.append(Fault(type(self).key_mode.name, f"{self.key_mode} is not available in this release: use record_key"))
        if self.insert_mode != "insert" and self.key_mode == "none":
            faults.append(Fault(type(self).key_mode.name, f"insert.mode={self.insert_mode} needs a key: use record_key"))
        if self.deletes and self.key_mode != "record_key":
            faults.append(Fault(type(self).key_mode.name, "delete.enabled needs record_key"))


class ConfluentSinkConfig(JdbcSinkConfig):
    """io.confluent.connect.jdbc.JdbcSinkConnector."""

    refuses_deletes = True

    user_name = Property[str | None]("connection.user", text(), doc="Role.")
    key_mode = Property[str]("pk.mode", one_of("none", "kafka", "record_key", "record_value"), default="none", doc="Where the key comes from.")
    key_fields = Property[tuple[str, ...]]("pk.fields", words(), default=(), doc="Key columns; empty = all of the key.")
    table_format = Property[str]("table.name.format", text(), default="${topic}", doc="The table's name; dots separate schema and table.")
    auto_create = Property[bool]("auto.create", boolean(), default=False, doc="Create missing tables.")
    auto_evolve = Property[bool]("auto.evolve", boolean(), default=False, doc="Add missing columns.")
    max_retries = Property[int]("max.retries", integer(0), default=10, doc="Tries of a failed write.")
    retry_ms = Property[int]("retry.backoff.ms", integer(0), default=3000, doc="Longest pause between them, ms.")

    @property
    def creates(self) -> bool:
        return self.auto_create


class DebeziumSinkConfig(JdbcSinkConfig):
    """io.debezium.connector.jdbc.JdbcSinkConnector."""

    user_name = Property[str | None]("connection.username", text(), doc="Role.")
    key_mode = Property[str](
        "primary.key.mode", one_of("none", "kafka", "record_key", "record_value", "record_header"), default="none", doc="Where the key comes from."
    )
    key_fields = Property[tuple[str, ...]]("primary.key.fields", words(), default=(), doc="Key columns; empty = all of the key.")
    table_format = Property[str](
        "collection.name.format", text(), default="${topic}", old_names=("table.name.format",), doc="The table's name; also ${source.FIELD}."
    )
    evolution = Property[str]("schema.evolution", one_of("none", "basic"), default="none", doc="basic = create tables, add columns.")
    truncates = Property[bool]("truncate.enabled", boolean(), default=False, doc="Carry out truncates.")
    max_retries = Property[int]("flush.max.retries", integer(0), default=5, doc="Tries of a failed write.")
    retry_ms = Property[int]("flush.retry.delay.ms", integer(0), default=1000, doc="Longest pause between them, ms.")
    quote = Property[bool]("quote.identifiers", boolean(), default=False, ignored="names are always quoted", doc="Quote names.")
    zone = Property[str]("use.time.zone", text(), default="UTC", ignored=_LATER, doc="Zone of times without one.")
    reduction = Property[bool]("use.reduction.buffer", boolean(), default=False, ignored="batches are always reduced by key", doc="Reduce batches.")

    @property
    def creates(self) -> bool:
        return self.evolution == "basic"

    @property
    def dots_split(self) -> bool:
        # the default naming strategy replaces the topic's dots; a format that names the schema keeps its own
        return "${topic}" not in self.table_format
