"""How a table or a query is polled, as its columns are now: its template, its tracking columns and its SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import psycopg

from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.facts import TableFacts, table_facts
from pycdc.sources.jdbc.faults import TrackingFault
from pycdc.sources.jdbc.results import Described, Describer, Shape
from pycdc.sources.jdbc.statements import Statements
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import ValueSettings
from pycdc.sources.jdbc.tracking import NUMBER_KEY, STAMP_KEY, Tracker


def values_of(settings: JdbcSourceConfig) -> ValueSettings:
    return ValueSettings(settings.numeric, settings.granularity, settings.zone, legacy=settings.calendar == "LEGACY")


def name_of(source: TableId | str) -> str:
    """For messages; a query may be a secret."""
    return source.name if isinstance(source, TableId) else "query"


class Plan(msgspec.Struct, frozen=True):
    """How a shape is polled."""

    described: Described
    tracker: Tracker
    statements: Statements
    #: Rows have an xmin of their own, and their table guards against late commits.
    finds_late: bool


async def plan_of(
    conn: psycopg.AsyncConnection, describer: Describer, source: TableId | str, settings: JdbcSourceConfig, known: Described | None = None
) -> Plan:
    """Look at the columns as they are now; `known` is kept when nothing changed. Inside the poll's transaction.

    Raises psycopg.Error, and TrackingFault for tracking columns that are missing, may be NULL or are of another type.
    """
    is_table = isinstance(source, TableId)
    quoted = settings.quote == "ALWAYS"
    topic = settings.topic_prefix + (source.table if isinstance(source, TableId) else "")
    everything = Statements(source, suffix="" if is_table else settings.suffix, quoted=quoted).everything()
    shape = await describer.shape(everything, topic, source.table if isinstance(source, TableId) else None)
    described = known if known is not None and known.shape == shape else describer.described(shape)
    facts = await table_facts(conn, source, quoted=quoted) if isinstance(source, TableId) else TableFacts()
    tracker = Tracker(shape, _number(source, settings, facts), _stamps(source, settings), values_of(settings))
    if settings.validate_non_null:
        _must_have_values(shape, tracker)
    statements = Statements(source, number=tracker.number, stamps=tracker.stamps, suffix=settings.suffix, quoted=quoted)
    return Plan(described, tracker, statements, finds_late=facts.has_xmin)


def _number(source: TableId | str, settings: JdbcSourceConfig, facts: TableFacts) -> str | None:
    if not settings.increments:
        return None
    mapped = settings.incrementing_mapping.columns(source.name) if isinstance(source, TableId) else ()
    name = (mapped[0] if mapped else settings.incrementing_column) or facts.serial
    if name is None:
        raise TrackingFault(
            NUMBER_KEY, "no column of the table grows by itself", where=name_of(source), cause="it has no serial or identity column",
            hint="name one in incrementing.column.name, or leave the table out by table.blacklist",
        )  # fmt: skip
    return name


def _stamps(source: TableId | str, settings: JdbcSourceConfig) -> Sequence[str]:
    if not settings.stamps:
        return ()
    mapped = settings.timestamp_mapping.columns(source.name) if isinstance(source, TableId) else ()
    if not (mapped or settings.timestamp_columns):
        raise TrackingFault("timestamp.columns.mapping", "no entry of timestamp.columns.mapping is for this table", where=name_of(source))
    return mapped or settings.timestamp_columns


def _must_have_values(shape: Shape, tracker: Tracker) -> None:
    """validate.non.null. A query's columns cannot always tell."""
    hint = "make it NOT NULL, or set validate.non.null=false: rows with NULL are then never read"
    if shape.schema_name is None or not tracker.nullable:
        return
    if tracker.number in tracker.nullable:
        raise TrackingFault(NUMBER_KEY, "the incrementing column may be NULL", where=shape.schema_name, cause=tracker.number or "", hint=hint)
    raise TrackingFault(STAMP_KEY, "the timestamp column may be NULL", where=shape.schema_name, cause=", ".join(tracker.nullable), hint=hint)
