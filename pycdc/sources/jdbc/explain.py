"""What a configuration will do, told before a connector is made of it: the SQL of each poll, its index, what guards progress.

The statements are those that will run, from their beginning. Whether an index serves is asked of the planner with other ways
forbidden, since a table that is still small is read whole anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg

from pycdc.errors import Fault, PycdcError
from pycdc.postgres.session import connect, translate
from pycdc.sources.jdbc.config import BULK, JdbcSourceConfig
from pycdc.sources.jdbc.faults import TrackingFault
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.plans import Plan, name_of, plan_of, values_of
from pycdc.sources.jdbc.results import Describer
from pycdc.sources.jdbc.tables import TableId, listed_tables, must_differ

#: So many tables are looked at one by one.
_MOST: Final = 20
_WAIT_MS: Final = 5000


class _Told(msgspec.Struct):
    """Of each source that was looked at: its plan, or why there is none."""

    plans: list[tuple[Plan, str]] = []
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
        JdbcSourceConfig.query.name: [line for plan, how in told.plans for line in _lines(settings, plan, how)],
    }


def _lines(settings: JdbcSourceConfig, plan: Plan, how: str) -> Iterator[str]:
    shown = "" if settings.query_masked else f"{_first(settings, plan)} "
    yield f"{shown}-- {how}; {_guard(plan)}"
    late = plan.statements.late(_SOME, ids=settings.lookback_ids, window_us=settings.lookback_ms * 1000) if plan.finds_late else None
    if late is not None:
        yield f"{late} -- rows that were committed late"
    elif settings.mode != BULK:
        yield "-- rows that are committed late are not looked for"


#: A position that shows what the statement is like.
_SOME: Final = Position(0, 0, "3:3:")


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


async def _look(settings: JdbcSourceConfig) -> _Told:
    """Raises PycdcError when the database cannot be asked."""
    connection = settings.connection("pycdc validate")
    told = _Told()
    async with await connect(connection) as conn:
        try:
            await conn.execute(f"SET statement_timeout = {_WAIT_MS}".encode())
            sources: list[TableId | str] = [settings.custom_query]
            if not settings.custom_query:
                told.tables = await listed_tables(conn, settings)
                must_differ(told.tables, settings.topic_prefix)
                sources = list(told.tables[:_MOST])
            describer = Describer(conn, values_of(settings))
            for source in sources:
                await _look_at(conn, describer, source, settings, told)
        except psycopg.Error as error:
            raise translate(error, connection, "cannot look at the tables") from None
    return told


async def _look_at(conn: psycopg.AsyncConnection, describer: Describer, source: TableId | str, settings: JdbcSourceConfig, told: _Told) -> None:
    await conn.execute("BEGIN READ ONLY")
    try:
        plan = await plan_of(conn, describer, source, settings)
        how = await _way(conn, _first(settings, plan), settings)
        if plan.tracker.nullable and await _any(conn, plan.statements.nulls()):
            how += f"; there are rows with NULL in {' or '.join(plan.tracker.nullable)}, which are never read"
        told.plans.append((plan, how))
    except PycdcError as error:
        told.faults.append(error)
    except psycopg.Error as error:
        told.faults.append(translate(error, None, f"cannot read {name_of(source)}"))
    finally:
        await conn.execute("ROLLBACK")


async def _any(conn: psycopg.AsyncConnection, query: str) -> bool:
    return await (await conn.execute(f"SELECT 1 FROM ({query}) AS q".encode())).fetchone() is not None


async def _way(conn: psycopg.AsyncConnection, query: str, settings: JdbcSourceConfig) -> str:
    """How the rows are found."""
    if settings.mode == BULK:
        return "reads the whole table"
    await conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
    row = await (await conn.execute(f"EXPLAIN (FORMAT JSON) {query}".encode())).fetchone()
    assert row is not None
    nodes = list(_nodes(row[0][0]["Plan"]))
    if any(n["Node Type"] == "Seq Scan" for n in nodes):
        return "no index serves: each poll reads the whole table"
    indexes = ", ".join(dict.fromkeys(n["Index Name"] for n in nodes if "Index Name" in n)) or "none"
    sorts = any("Sort" in n["Node Type"] for n in nodes)
    return f"index {indexes}{', and sorts' if sorts else ''}"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _line(error: PycdcError) -> str:
    return " ".join(str(error).split())
