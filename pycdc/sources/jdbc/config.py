"""Every property of the JDBC source, under Confluent's names and with Confluent's defaults.

Source: the configuration reference of Confluent's JDBC source connector 10.9. What has no effect here stands in `moot`;
the properties under "late commits" are pycdc's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pycdc.config.definition import Property, boolean, integer, one_of, parsed, password, text, words
from pycdc.errors import Fault
from pycdc.model.javaregex import NameFilter, split_list
from pycdc.sources.jdbc.mappings import ColumnMappings
from pycdc.sources.jdbc.moot import MootProperties
from pycdc.sources.jdbc.urls import FORMS, DatabaseUrl, database_url

BULK, INCREMENTING, TIMESTAMP, BOTH = "bulk", "incrementing", "timestamp", "timestamp+incrementing"
#: What `connection.` begins besides the driver's own parameters.
_OURS = ("url", "user", "password", "attempts", "backoff.ms")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{0,249}")


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a time zone's name, as Europe/Berlin") from error


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value.strip()):
        raise ValueError("must be at most 249 of the characters a-z, A-Z, 0-9, dot, underscore and hyphen")
    return value.strip()


def _patterns(value: str) -> NameFilter:
    return NameFilter(split_list(value))


def _listed(value: str) -> tuple[str, ...]:
    return tuple(w.strip().upper() for w in value.split(",") if w.strip())


class JdbcSourceConfig(MootProperties):
    """io.confluent.connect.jdbc.JdbcSourceConnector."""

    #: `tables` and `tables.fetched` stand in the configurations of tasks.
    prefixes = ("connection.", "jdbc.credentials.provider.", "tables")

    # ---- connection
    url = Property[DatabaseUrl]("connection.url", parsed("STRING", database_url, FORMS), required=True, importance="HIGH", doc="Database to read.")
    user = Property[str | None]("connection.user", text(), importance="HIGH", doc="Role.")
    login_password = Property[str | None]("connection.password", password(), importance="HIGH", doc="The role's password.")
    attempts = Property[int]("connection.attempts", integer(1), default=3, importance="LOW", doc="Tries of the first connection; a lost one is always made again.")
    backoff_ms = Property[int]("connection.backoff.ms", integer(0), default=10_000, importance="LOW", doc="Longest pause between them, ms.")

    # ---- what is read
    mode = Property[str](
        "mode", one_of(BULK, INCREMENTING, TIMESTAMP, BOTH), required=True, importance="HIGH",
        doc="What guards progress: nothing (bulk: everything at each poll), a column that grows, one that tells the last change, or both.",
    )  # fmt: skip
    whitelist = Property[tuple[str, ...]]("table.whitelist", words(), default=(), doc="Tables to read, as `table` or `schema.table`; MySQL: `database.table`.")
    blacklist = Property[tuple[str, ...]]("table.blacklist", words(), default=(), doc="Tables to leave out.")
    include = Property[NameFilter]("table.include.list", parsed("LIST", _patterns), default=NameFilter([]), doc="Tables to read, as Java patterns over `schema.table`.")
    exclude = Property[NameFilter]("table.exclude.list", parsed("LIST", _patterns), default=NameFilter([]), doc="Of those, tables to leave out.")
    catalog_pattern = Property[str | None]("catalog.pattern", text(), doc="Database that tables must be in, with % and _ as in LIKE.")
    schema_pattern = Property[str | None]("schema.pattern", text(), importance="HIGH", doc="Schemas whose tables are read, with % and _ as in LIKE; without effect for MySQL.")
    table_types = Property[tuple[str, ...]](
        "table.types", parsed("LIST", _listed), default=("TABLE",), importance="LOW",
        doc="TABLE, PARTITIONED TABLE, VIEW, MATERIALIZED VIEW, FOREIGN TABLE; MySQL: TABLE, VIEW.",
    )  # fmt: skip
    query = Property[str]("query", text(), default="", doc="One query in place of tables. The condition on the tracking columns is put behind it: it must end before WHERE.")
    query_masked = Property[str | None]("query.masked", password(), doc="The same, never shown.")
    suffix = Property[str]("query.suffix", text(), default="", importance="LOW", doc="Text behind every query, as LIMIT 1000.")
    quote = Property[str]("quote.sql.identifiers", one_of("ALWAYS", "NEVER"), default="ALWAYS", doc="NEVER: names are written as they are, tables of PostgreSQL in lower case.")
    topic_prefix = Property[str](
        "topic.prefix", parsed("STRING", _topic), required=True, importance="HIGH", doc="First part of each topic, before the table's name; with a query the whole topic."
    )

    # ---- tracking columns
    incrementing_column = Property[str](
        "incrementing.column.name", text(), default="", doc="Column that grows with each row; empty = the first serial, identity or AUTO_INCREMENT column."
    )
    incrementing_mapping = Property[ColumnMappings](
        "incrementing.column.mapping", parsed("LIST", ColumnMappings.one, "pattern:column, ..."), default=ColumnMappings(()), doc="The same by table, patterns over `schema.table`."
    )
    timestamp_columns = Property[tuple[str, ...]](
        "timestamp.column.name", words(), default=(), doc="Columns of which the first that is not NULL tells a row's last change."
    )
    timestamp_mapping = Property[ColumnMappings](
        "timestamp.columns.mapping", parsed("LIST", ColumnMappings.several, "pattern:[column|column], ..."), default=ColumnMappings(()), doc="The same by table."
    )
    timestamp_initial = Property[int | None]("timestamp.initial", integer(-1), importance="LOW", doc="Where to begin without a stored position, ms since 1970; -1 = now.")
    timestamp_delay = Property[int]("timestamp.delay.interval.ms", integer(0), default=0, importance="HIGH", doc="Rows younger than this wait for a later poll, ms.")
    validate_non_null = Property[bool]("validate.non.null", boolean(), default=True, importance="LOW", doc="Refuse tracking columns that may be NULL: such rows are never read.")

    # ---- values
    precision_mapping = Property[bool]("numeric.precision.mapping", boolean(), default=False, importance="LOW", doc="Old form of numeric.mapping=precision_only.")
    numeric_mapping = Property[str | None](
        "numeric.mapping", one_of("none", "precision_only", "best_fit", "best_fit_eager_double"), importance="LOW",
        doc="PostgreSQL's numeric as Decimal; whole ones of up to 18 digits as integers (precision_only); others of up to 18 digits, or all with a fraction, as doubles too.",
    )  # fmt: skip
    granularity = Property[str](
        "timestamp.granularity",
        one_of("connect_logical", "micros_long", "micros_string", "micros_iso_datetime_string", "nanos_long", "nanos_string", "nanos_iso_datetime_string"),
        default="connect_logical", importance="LOW", doc="Form of timestamps; Connect's own has milliseconds.",
    )  # fmt: skip
    zone = Property[ZoneInfo](
        "db.timezone", parsed("STRING", _zone, "the name of a time zone"), default=ZoneInfo("UTC"), doc="Zone of values that have none; without it UTC. MySQL: it should be the server's."
    )
    calendar = Property[str](
        "date.calendar.system", one_of("LEGACY", "PROLEPTIC_GREGORIAN"), default="LEGACY", importance="LOW",
        doc="Days before 1582-10-15: by the Julian calendar, as Java's old classes have them, or by that of the database.",
    )  # fmt: skip
    conversion_failure = Property[str](
        "event.converting.failure.handling.mode", one_of("fail", "warn", "skip"), default="fail", importance="LOW",
        doc="A value that its schema cannot hold (infinity, NaN): fail, or null with (warn) or without (skip) a log line.",
    )  # fmt: skip

    # ---- polling
    poll_interval = Property[int]("poll.interval.ms", integer(0), default=5000, importance="HIGH", doc="Pause between two polls of a table, ms.")
    batch_rows = Property[int]("batch.max.rows", integer(1), default=1000, importance="LOW", doc="Most rows that are handed on at once.")
    table_interval = Property[int]("table.poll.interval.ms", integer(1), default=60_000, importance="LOW", doc="Pause between two looks for new tables, ms.")
    query_retries = Property[int]("query.retry.attempts", integer(-1), default=-1, importance="LOW", doc="Tries of a poll that failed for a passing reason; -1 = no limit.")

    # ---- late commits
    lookback_ids = Property[int](
        "late.commit.lookback.ids", integer(0), default=10_000,
        doc="So many numbers below the position are looked through for rows that were committed late; 0 = such rows are lost, as with the original.",
    )  # fmt: skip
    lookback_ms = Property[int](
        "late.commit.lookback.ms", integer(0), default=60_000,
        doc="The same for timestamps, ms; and how long rows wait for a transaction that has written nothing yet. 0 = late rows are lost.",
    )  # fmt: skip

    @property
    def custom_query(self) -> str:
        return (self.query_masked or self.query).strip()

    @property
    def numeric(self) -> str:
        return self.numeric_mapping or ("precision_only" if self.precision_mapping else "none")

    @property
    def increments(self) -> bool:
        return self.mode in (INCREMENTING, BOTH)

    @property
    def stamps(self) -> bool:
        return self.mode in (TIMESTAMP, BOTH)

    @property
    def driver(self) -> dict[str, str]:
        """Parameters of the driver: `connection.*` beyond the known keys mean the same as those of the URL, which come first."""
        return {k: v for k, v in self.with_prefix("connection.").items() if k not in _OURS}

    def check(self, faults: list[Fault]) -> None:
        def together(one: Property[Any], other: Property[Any]) -> None:
            if self.raw.get(one.name, "").strip() and self.raw.get(other.name, "").strip():
                faults.append(Fault(other.name, f"cannot be given together with {one.name}"))

        p = type(self)
        together(p.whitelist, p.blacklist)
        together(p.query, p.query_masked)
        for legacy in (p.whitelist, p.blacklist):
            for newer in (p.include, p.exclude):
                together(legacy, newer)
        together(p.incrementing_column, p.incrementing_mapping)
        together(p.timestamp_columns, p.timestamp_mapping)
        if self.exclude and not self.include:
            faults.append(Fault(p.exclude.name, f"needs {p.include.name}, of which it takes away"))
        if self.custom_query:
            for listed in (p.whitelist, p.blacklist, p.include):
                if self.raw.get(listed.name, "").strip():
                    faults.append(Fault(listed.name, "cannot be given together with a query"))
            if self.increments and not self.incrementing_column:
                faults.append(Fault(p.incrementing_column.name, "is required with a query: its columns do not tell which one grows"))
        if self.stamps and not self.timestamp_columns and not self.timestamp_mapping:
            faults.append(Fault(p.timestamp_columns.name, f"is required by mode={self.mode}"))

    def warnings(self) -> Iterator[str]:
        from pycdc.sources.jdbc.dialects import dialect_of  # what it loads depends on the URL

        p = type(self)
        if self.precision_mapping:
            yield f"{p.precision_mapping.name} is the old form of {p.numeric_mapping.name}=precision_only"
        if self.increments and not self.stamps and not self.lookback_ids:
            yield f"{p.lookback_ids.name}=0: rows that are committed behind others of greater numbers are lost"
        if self.custom_query and self.mode != BULK:
            yield "with a query rows that are committed late cannot be found again; name the table instead where you can"
        yield from dialect_of(self).warnings(self)
