"""ReselectColumnsPostProcessor: columns that a change does not carry are read from the table before the event goes out.

An unchanged TOAST value, and by default a null, of the columns that the configuration names is looked up by the
row's key; what is found takes its place as PostgreSQL prints it, so that types and converters see nothing new.
The row is read as it is now, which may be later than the change, as with Debezium. One query per run of rows;
tables that are not named cost nothing. A row that is gone keeps what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
import psycopg
import structlog

from pycdc.debezium.envelope import TableEvents, Templates
from pycdc.errors import PycdcError, ServerError
from pycdc.model.envelope import CREATE, UPDATE
from pycdc.model.javaregex import NameFilter, split_list
from pycdc.plugins.contracts import Batch, Run
from pycdc.postgres.copy import copy_rows
from pycdc.postgres.session import ConnectionSettings, quote_literal, quote_name

log = structlog.get_logger(__name__)

CLASS: Final = "io.debezium.processors.reselect.ReselectColumnsPostProcessor"
#: Options behind the processor's name.
OPTIONS: Final = (
    "type", "reselect.columns.include.list", "reselect.columns.exclude.list", "reselect.unavailable.values", "reselect.null.values",
    "reselect.use.event.key", "reselect.error.handling.mode",
)  # fmt: skip
_KEYS_PER_QUERY: Final = 200

Row = list[bytes | None]


class ReselectRules(msgspec.Struct, frozen=True):
    """Columns are named `schema.table:column`."""

    include: NameFilter
    exclude: NameFilter
    unavailable: bool = True
    nulls: bool = True
    event_key: bool = False
    fail: bool = False

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> ReselectRules:
        """Raises ValueError that names the option."""

        def switch(name: str, default: bool) -> bool:
            word = options.get(name, str(default)).strip().lower()
            if word not in ("true", "false"):
                raise ValueError(f"{name} must be true or false")
            return word == "true"

        mode = options.get("reselect.error.handling.mode", "warn").strip().lower()
        if mode not in ("warn", "fail"):
            raise ValueError("reselect.error.handling.mode must be warn or fail")
        include, exclude = (NameFilter(split_list(options.get(f"reselect.columns.{kind}.list", ""))) for kind in ("include", "exclude"))
        return cls(
            include, exclude, switch("reselect.unavailable.values", True), switch("reselect.null.values", True),
            switch("reselect.use.event.key", False), mode == "fail",
        )  # fmt: skip

    def selects(self, table: str, column: str) -> bool:
        name = f"{table}:{column}"
        return (not self.include or self.include.matches(name)) and not (self.exclude and self.exclude.matches(name))


class Reselector:
    """Completes the runs of one session. `events_of` gives a table's events by the run's `where`."""

    def __init__(
        self, rules: ReselectRules, conn: psycopg.AsyncConnection, settings: ConnectionSettings,
        events_of: Callable[[str], TableEvents | None],
    ) -> None:  # fmt: skip
        self._rules = rules
        self._conn = conn
        self._settings = settings
        self._events_of = events_of

    async def complete(self, batch: Batch) -> None:
        """Replace the batch's runs by completed ones, some of them in parts."""
        out: list[Run] = []
        first = []
        for run in batch.runs:
            first.append(len(out))
            out += await self._run(run)
        batch.runs, batch.begins = out, [_moved(out, [*first, len(out)], begin) for begin in batch.begins]

    async def _run(self, run: Run) -> list[Run]:
        events = self._events_of(run.where)
        signature = None if events is None else events.signature(run.templates)
        if events is None or signature is None or signature.op not in (CREATE, UPDATE):
            return [run]
        picked = [i for i, name in events.captured_columns if self._rules.selects(events.table.id, name)]
        keys = [i for n in (events.key_names if self._rules.event_key else events.table.primary_key) for i in events.places(n)]
        if not picked or not keys:
            return [run]
        wanted = [
            frozenset(
                i for i in picked
                if i not in keys and ((i in signature.unavailable and self._rules.unavailable) or (i not in signature.unavailable and row[i] is None and self._rules.nulls))
            )
            for row in run.rows
        ]  # fmt: skip
        if not any(wanted):
            return [run]
        found = await self._look_up(events, keys, sorted(frozenset().union(*wanted)), [r for r, w in zip(run.rows, wanted, strict=True) if w])
        out: list[Run] = []
        for row, columns in zip(run.rows, wanted, strict=True):
            templates = run.templates
            values = found.get(tuple(row[k] for k in keys)) if columns else None
            if values is not None:
                row = list(row)
                for i in columns:
                    row[i] = values[i]
                if signature.unavailable & columns:
                    templates = events.with_unavailable(signature, signature.unavailable - columns)
            elif columns and self._rules.fail:
                raise ServerError("a row cannot be re-selected", where=events.table.id, cause="it is not in the table any more")
            _append(out, run, templates, row)
        return out

    async def _look_up(
        self, events: TableEvents, keys: Sequence[int], columns: Sequence[int], rows: Sequence[Sequence[bytes | None]]
    ) -> dict[tuple[bytes | None, ...], dict[int, bytes | None]]:
        """Key's texts -> column -> text."""
        table = events.table
        name = f"{quote_name(table.schema)}.{quote_name(table.name)}"
        key_names = ", ".join(quote_name(table.columns[k].name) for k in keys)
        shown = ", ".join(quote_name(table.columns[c].name) for c in (*keys, *columns))
        known = [r for r in rows if all(r[k] is not None for k in keys)]
        found = {}
        try:
            for start in range(0, len(known), _KEYS_PER_QUERY):
                literals = ", ".join(
                    f"({', '.join(quote_literal((r[k] or b'').decode()) for k in keys)})" for r in known[start : start + _KEYS_PER_QUERY]
                )
                query = f"SELECT {shown} FROM {name} WHERE ({key_names}) IN ({literals})"
                async with aclosing(copy_rows(self._conn, query, settings=self._settings)) as pieces:
                    async for piece in pieces:
                        for row in piece:
                            found[tuple(row[: len(keys)])] = dict(zip(columns, row[len(keys) :], strict=True))
        except PycdcError as error:
            if error.retriable or self._rules.fail:
                raise
            log.warning("columns cannot be re-selected", table=table.id, cause=error.cause, hint=error.hint)
        return found


def _moved(runs: Sequence[Run], first: Sequence[int], begin: tuple[int, int, int]) -> tuple[int, int, int]:
    """Where a transaction begins, now that run n is the runs from first[n] on."""
    run, row, lsn = begin
    if run < 0:
        return begin
    at = first[run]
    while row > len(runs[at].rows) and at + 1 < first[run + 1]:
        row -= len(runs[at].rows)
        at += 1
    return at, row, lsn


def _append(out: list[Run], run: Run, templates: Templates, row: Sequence[bytes | None]) -> None:
    if not out or out[-1].templates is not templates:
        out.append(Run(templates, [], run.where, run.lsn_column))
    out[-1].rows.append(row)
