"""How a table or a query is polled, as its columns are now: its template, its tracking columns and its SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Dialect, Session, TableFacts
from pycdc.sources.jdbc.faults import TrackingFault
from pycdc.sources.jdbc.results import Described, Shape, described, shape_of
from pycdc.sources.jdbc.statements import Names, Statements
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
    #: Whether rows of it that are committed late can be found.
    finds_late: bool


def names_of(dialect: Dialect, settings: JdbcSourceConfig) -> Names:
    return Names(dialect.quote, dialect.quote) if settings.quote == "ALWAYS" else Names(str, dialect.bare)


async def plan_of(session: Session, dialect: Dialect, source: TableId | str, settings: JdbcSourceConfig, known: Described | None = None) -> Plan:
    """Look at the columns as they are now; `known` is kept when nothing changed. Inside the poll's transaction.

    Raises PycdcError, and TrackingFault for tracking columns that are missing, may be NULL or are of another type.
    """
    is_table, names, values = isinstance(source, TableId), names_of(dialect, settings), values_of(settings)
    topic = settings.topic_prefix + (source.table if isinstance(source, TableId) else "")
    everything = Statements(source, names, suffix="" if is_table else settings.suffix).everything()
    shape = shape_of(await session.columns(everything, source), topic, source.table if isinstance(source, TableId) else None)
    made = known if known is not None and known.shape == shape else described(shape, dialect, values)
    facts = await session.facts(source, quoted=settings.quote == "ALWAYS") if isinstance(source, TableId) else TableFacts()
    tracker = Tracker(shape, dialect, _number(source, settings, facts), _stamps(source, settings), values)
    if settings.validate_non_null:
        _must_have_values(source, shape, tracker, dialect)
    statements = Statements(source, names, number=tracker.number, stamps=tracker.stamps, suffix=settings.suffix)
    return Plan(made, tracker, statements, finds_late=facts.finds_late)


def _number(source: TableId | str, settings: JdbcSourceConfig, facts: TableFacts) -> str | None:
    if not settings.increments:
        return None
    mapped = settings.incrementing_mapping.columns(source.name) if isinstance(source, TableId) else ()
    name = (mapped[0] if mapped else settings.incrementing_column) or facts.serial
    if name is None:
        raise TrackingFault(
            NUMBER_KEY, "no column of the table grows by itself", where=name_of(source), cause="it has no serial, identity or AUTO_INCREMENT column",
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


def _must_have_values(source: TableId | str, shape: Shape, tracker: Tracker, dialect: Dialect) -> None:
    """validate.non.null. A query's columns cannot always tell."""
    if not isinstance(source, TableId) or not tracker.nullable:
        return
    name = tracker.nullable[0]
    mend = next(dialect.required(source, c) for c in shape.columns if c.name == name)
    hint = f"make it NOT NULL, or set validate.non.null=false: rows with NULL are then never read; {mend}"
    if tracker.number == name:
        raise TrackingFault(NUMBER_KEY, "the incrementing column may be NULL", where=shape.schema_name or "", cause=name, hint=hint)
    raise TrackingFault(STAMP_KEY, "the timestamp column may be NULL", where=shape.schema_name or "", cause=", ".join(tracker.nullable), hint=hint)
