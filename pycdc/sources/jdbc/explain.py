"""What a configuration will do, told before a connector is made of it: the SQL of each poll, its index, what guards progress.

The statements are those that will run, from their beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from pycdc.errors import Fault, PycdcError
from pycdc.sources.jdbc.config import BULK, JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Dialect, Session
from pycdc.sources.jdbc.dialects import dialect_of
from pycdc.sources.jdbc.faults import TrackingFault
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.plans import Plan, plan_of
from pycdc.sources.jdbc.tables import TableId, chosen, must_differ

#: So many tables are looked at one by one.
_MOST: Final = 20
_WAIT_MS: Final = 5000


class Told(msgspec.Struct, frozen=True):
    """Of one source: its plan, how its rows are found, and what is done about those that come late."""

    plan: Plan
    way: str
    late: str | None


class _Looked(msgspec.Struct):
    """Of each source that was looked at: its plan, or why there is none."""

    plans: list[Told] = []
    faults: list[PycdcError] = []
    tables: list[TableId] = []


async def faults_of(settings: JdbcSourceConfig, faults: Sequence[Fault]) -> Mapping[str, str]:
    """What the first polls would meet, by the key that mends it."""
    if faults:
        return {}
    try:
        told = await _look(settings)
    except PycdcError as error:
        return {JdbcSourceConfig.url.name: _line(error)}
    found: dict[str, str] = {}
    for fault in told.faults:
        key = fault.key if isinstance(fault, TrackingFault) else JdbcSourceConfig.query.name if settings.custom_query else JdbcSourceConfig.whitelist.name
        found[key] = f"{found[key]}; {_line(fault)}" if key in found else _line(fault)
    return found


async def explained(settings: JdbcSourceConfig) -> Mapping[str, Sequence[str]]:
    """By key: what a form may offer. At `query` stands the SQL of the polls, with what is to be known of it as a comment."""
    told = await _look(settings)
    return {
        JdbcSourceConfig.whitelist.name: [t.name for t in told.tables],
        JdbcSourceConfig.query.name: [line for one in told.plans for line in _lines(settings, one)],
    }


def _lines(settings: JdbcSourceConfig, told: Told) -> Iterator[str]:
    shown = "" if settings.query_masked else f"{_first(settings, told.plan)} "
    yield f"{shown}-- {told.way}; {_guard(told.plan)}"
    if told.late is not None:
        yield told.late
    elif settings.mode != BULK:
        yield "-- rows that are committed late are not looked for"


def _first(settings: JdbcSourceConfig, plan: Plan) -> str:
    if settings.mode == BULK:
        return plan.statements.everything()
    initial = settings.timestamp_initial
    return plan.statements.new(Position(stamp_us=None if initial is None or initial < 0 else initial * 1000), _FAR)


#: The moment up to which is read, where none is known: the year 9999.
_FAR: Final = 253_402_300_799_000_000


def _guard(plan: Plan) -> str:
    columns = [*(plan.tracker.stamps.columns if plan.tracker.stamps else ()), *([plan.tracker.number] if plan.tracker.number else ())]
    return f"progress is guarded by {', '.join(columns)}" if columns else "nothing guards progress: all is read at each poll"


async def _look(settings: JdbcSourceConfig) -> _Looked:
    """Raises PycdcError when the database cannot be asked."""
    dialect, told = dialect_of(settings), _Looked()
    session = await dialect.connect(settings, "pycdc validate")
    try:
        await session.limit(_WAIT_MS)
        sources: list[TableId | str] = [settings.custom_query]
        if not settings.custom_query:
            told.tables = chosen(await session.tables(settings), settings, dialect.quote)
            must_differ(told.tables, settings.topic_prefix)
            sources = list(told.tables[:_MOST])
        for source in sources:
            await _look_at(session, dialect, source, settings, told)
    finally:
        await session.close()
    return told


async def _look_at(session: Session, dialect: Dialect, source: TableId | str, settings: JdbcSourceConfig, told: _Looked) -> None:
    await session.begin(source)
    try:
        plan = await plan_of(session, dialect, source, settings)
        how = "reads the whole table" if settings.mode == BULK else await session.way(_first(settings, plan))
        if plan.tracker.nullable and await session.any(plan.statements.nulls()):
            how += f"; there are rows with NULL in {' or '.join(plan.tracker.nullable)}, which are never read"
        late = None if settings.mode == BULK else await dialect.late(source, settings).shown(session, plan)
        told.plans.append(Told(plan, how, late))
    except PycdcError as error:
        told.faults.append(error)
    finally:
        await session.end()


def _line(error: PycdcError) -> str:
    return " ".join(str(error).split())
