"""Properties of the JDBC sink connectors: three families under their own names and defaults, one set of attributes.

Source: the references of Confluent's, Debezium's and Aiven's JdbcSinkConnector. The class name in
`connector.class` decides which definition is read. What has no effect here stands in `moot`.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of, parsed, password, text, words
from pycdc.errors import Fault
from pycdc.model.javaregex import NameFilter
from pycdc.postgres.jdbc_url import Address, connection_of, jdbc_url
from pycdc.postgres.session import ConnectionSettings
from pycdc.sinks.postgres.keys import KeySettings
from pycdc.sinks.postgres.listed import ListedTimestamps
from pycdc.sinks.postgres.moot import MootConfluent, MootDebezium
from pycdc.sinks.postgres.naming import NamingSettings
from pycdc.sinks.units import time_precision_mode

_NAMING = "io.debezium.connector.jdbc.naming"


def _pairs(value: str) -> dict[str, str]:
    pairs = [p.split(":") for p in value.split(",") if p.strip()]
    if any(len(p) != 2 or not all(part.strip() for part in p) for p in pairs):
        raise ValueError("must be topic:table,topic:table")
    return {t.strip(): n.strip() for t, n in pairs}


def _patterns(value: str) -> NameFilter:
    return NameFilter(list(words().parse(value)))


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a time zone's name, as Europe/Berlin") from error


class JdbcSinkConfig(ConfigDef):
    """What all families share; the rest is read through the properties below."""

    prefixes = ("connection.", "hibernate.", "dialect.")

    url = Property[Address]("connection.url", parsed("STRING", jdbc_url, "jdbc:postgresql://..."), required=True, importance="HIGH", doc="Target database.")
    login_password = Property[str | None]("connection.password", password(), doc="Password.")
    exactly_once = Property[bool](
        "exactly.once.enabled", boolean(), default=False,
        doc="Keep positions in the target's table pycdc_positions, written with the rows: each record is written once, also by plain inserts.",
    )  # fmt: skip
    deletes = Property[bool]("delete.enabled", boolean(), default=False, doc="Delete rows on tombstones and delete events.")

    time_mode = time_precision_mode()

    user_name: Property[Any]
    insert_mode: Property[Any]
    key_mode: Property[Any]
    key_fields: Property[Any]
    max_retries: Property[Any]
    retry_ms: Property[Any]

    # ---- what families differ in

    #: Whether truncates are carried out; whether a delete is an error while delete.enabled is false.
    truncates: Any = True
    refuses_deletes = False
    #: Where Connect's own Timestamp and Time go into columns without zone: their wall clock.
    zone: Any = ZoneInfo("UTC")

    @property
    def creates(self) -> bool:
        """Whether missing tables are made."""
        raise NotImplementedError

    @property
    def evolves(self) -> bool:
        """Whether missing columns are made, and narrow ones widened."""
        raise NotImplementedError

    def naming(self) -> NamingSettings:
        """How tables are found."""
        raise NotImplementedError

    def fields(self) -> tuple[NameFilter | None, NameFilter | None]:
        """Fields to write and to leave out."""
        return None, None

    def listed(self) -> ListedTimestamps:
        """Fields that are timestamps without saying so."""
        return ListedTimestamps()

    # ---- what all have

    def keys(self) -> KeySettings:
        """How rows are told apart."""
        include, exclude = self.fields()
        return KeySettings(self.key_mode, self.key_fields, type(self).key_mode.name, type(self).key_fields.name, include, exclude)

    def connection(self) -> ConnectionSettings:
        """The target, with what the URL says of it."""
        return connection_of(self.url, self.user_name, self.login_password, "pycdc sink")

    def check(self, faults: list[Fault]) -> None:
        mode, fields = type(self).key_mode.name, type(self).key_fields.name
        if self.insert_mode in ("upsert", "update") and self.key_mode == "none":
            faults.append(Fault(mode, f"insert.mode={self.insert_mode} needs a key: use record_key"))
        if self.deletes and self.key_mode in ("none", "kafka"):
            faults.append(Fault(mode, "delete.enabled needs record_key"))
        if self.key_mode == "kafka" and len(self.key_fields) not in (0, 3):
            faults.append(Fault(fields, "names three columns in the mode kafka: for topic, partition and offset", ",".join(self.key_fields)))


class ConfluentSinkConfig(MootConfluent, JdbcSinkConfig):
    """io.confluent.connect.jdbc.JdbcSinkConnector."""

    user_name = Property[str | None]("connection.user", text(), doc="Role.")
    insert_mode = Property[str]("insert.mode", one_of("insert", "upsert", "update"), default="insert", importance="HIGH", doc="How rows are written.")
    key_mode = Property[str]("pk.mode", one_of("none", "kafka", "record_key", "record_value"), default="none", doc="Where the key comes from.")
    key_fields = Property[tuple[str, ...]]("pk.fields", words(), default=(), doc="Key columns; empty = all of the key, or value.")
    table_format = Property[str]("table.name.format", text(), default="${topic}", doc="The table's name; dots separate schema and table.")
    whitelist = Property[tuple[str, ...]]("fields.whitelist", words(), default=(), doc="Fields to write beside the key; empty = all.")
    auto_create = Property[bool]("auto.create", boolean(), default=False, doc="Create missing tables.")
    auto_evolve = Property[bool]("auto.evolve", boolean(), default=False, doc="Add missing columns, widen those that are too narrow.")
    quote = Property[str]("quote.sql.identifiers", one_of("ALWAYS", "NEVER", "always", "never"), default="ALWAYS", doc="NEVER: names are of lower case.")
    zone = Property[ZoneInfo](
        "db.timezone", parsed("STRING", _zone, "the name of a time zone"), default=ZoneInfo("UTC"),
        doc="Wall clock of Connect's Timestamp and Time in columns without zone; without it UTC.",
    )  # fmt: skip
    timestamp_fields = Property[tuple[str, ...]]("timestamp.fields.list", words(), default=(), doc="Fields of plain numbers or texts that are timestamps.")
    timestamp_precision = Property[str](
        "timestamp.precision.mode", one_of("microseconds", "nanoseconds"), default="microseconds", doc="Unit of the numbers in timestamp.fields.list."
    )
    max_retries = Property[int]("max.retries", integer(0), default=10, doc="Tries of a failed write.")
    retry_ms = Property[int]("retry.backoff.ms", integer(0), default=3000, doc="Longest pause between them, ms.")

    refuses_deletes = True

    @property
    def creates(self) -> bool:
        return self.auto_create

    @property
    def evolves(self) -> bool:
        return self.auto_evolve

    def naming(self) -> NamingSettings:
        return NamingSettings(self.table_format, "table.name.format", fold=self.quote.upper() == "NEVER")

    def listed(self) -> ListedTimestamps:
        return ListedTimestamps(self.timestamp_fields, nanoseconds=self.timestamp_precision == "nanoseconds")

    def fields(self) -> tuple[NameFilter | None, NameFilter | None]:
        return (_Exact(self.whitelist) if self.whitelist else None), None


class AivenSinkConfig(ConfluentSinkConfig):
    """io.aiven.connect.jdbc.JdbcSinkConnector."""

    insert_mode = Property[str]("insert.mode", one_of("insert", "multi", "upsert", "update"), default="insert", importance="HIGH", doc="How rows are written; multi is insert.")
    quotes = Property[bool]("sql.quote.identifiers", boolean(), default=True, doc="false: names are of lower case.")
    normalize = Property[bool]("table.name.normalize", boolean(), default=False, doc="What is neither letter nor digit in a table's name becomes _.")
    mapping = Property[dict[str, str]]("topics.to.tables.mapping", parsed("LIST", _pairs, "topic:table, ..."), default={}, doc="Tables of single topics.")

    def naming(self) -> NamingSettings:
        return NamingSettings(self.table_format, "table.name.format", normalize=self.normalize, mapping=self.mapping, fold=not self.quotes)


class DebeziumSinkConfig(MootDebezium, JdbcSinkConfig):
    """io.debezium.connector.jdbc.JdbcSinkConnector."""

    user_name = Property[str | None]("connection.username", text(), doc="Role.")
    insert_mode = Property[str]("insert.mode", one_of("insert", "upsert", "update"), default="insert", importance="HIGH", doc="How rows are written.")
    key_mode = Property[str](
        "primary.key.mode", one_of("none", "kafka", "record_key", "record_value", "record_header"), default="none", doc="Where the key comes from."
    )
    key_fields = Property[tuple[str, ...]]("primary.key.fields", words(), default=(), doc="Key columns; empty = all of the key, value or headers.")
    table_format = Property[str](
        "collection.name.format", text(), default="${topic}", old_names=("table.name.format",), doc="The table's name; also ${source.FIELD}."
    )
    strategy = Property[str](
        "collection.naming.strategy", one_of(f"{_NAMING}.DefaultCollectionNamingStrategy", f"{_NAMING}.PassthroughCollectionNamingStrategy",
                                             f"{_NAMING}.DefaultTableNamingStrategy"),
        default=f"{_NAMING}.DefaultCollectionNamingStrategy", old_names=("table.naming.strategy",),
        doc="Default: dots of the name become _, but for a format that names the schema. Passthrough: dots separate schema and table.",
    )  # fmt: skip
    evolution = Property[str](
        "schema.evolution", one_of("none", "validate-only", "basic"), default="none",
        doc="basic = create tables, add columns, widen those that are too narrow.",
    )  # fmt: skip
    truncates = Property[bool]("truncate.enabled", boolean(), default=False, doc="Carry out truncates.")
    include = Property[NameFilter | None]("field.include.list", parsed("LIST", _patterns), doc="Fields to write, `topic:field` or `field`, as patterns.")
    exclude = Property[NameFilter | None]("field.exclude.list", parsed("LIST", _patterns), doc="Fields to leave out.")
    quote = Property[bool]("quote.identifiers", boolean(), default=False, doc="false: names of new tables and columns are of lower case.")
    max_retries = Property[int]("flush.max.retries", integer(0), default=5, doc="Tries of a failed write.")
    retry_ms = Property[int]("flush.retry.delay.ms", integer(0), default=1000, doc="Longest pause between them, ms.")

    @property
    def creates(self) -> bool:
        return self.evolution == "basic"

    @property
    def evolves(self) -> bool:
        return self.creates

    def naming(self) -> NamingSettings:
        # the default strategy replaces the topic's dots; a format that names the schema keeps its own
        split = self.strategy.endswith("PassthroughCollectionNamingStrategy") or "${topic}" not in self.table_format
        return NamingSettings(self.table_format, "collection.name.format", dots_split=split, fold=not self.quote)

    def fields(self) -> tuple[NameFilter | None, NameFilter | None]:
        return self.include, self.exclude

    def check(self, faults: list[Fault]) -> None:
        super().check(faults)
        if self.include is not None and self.exclude is not None:
            faults.append(Fault("field.exclude.list", "cannot be given together with field.include.list"))


class _Exact(NameFilter):
    """Names themselves, no patterns."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__([])
        self._names = frozenset(names)

    def matches(self, name: str) -> bool:
        return name in self._names
