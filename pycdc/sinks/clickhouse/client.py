"""Connections to ClickHouse: what blocks runs in threads, a client in one thread at a time.

A server takes several at once, the embedded engine one. A call that has begun is waited for also when its caller
is cancelled: half a write must not meet another. Errors leave in pycdc's own tree, but for those of a row.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import structlog

from pycdc.cutoff import to_its_end
from pycdc.errors import ConnectionLost, SinkError
from pycdc.sinks.clickhouse import faults
from pycdc.sinks.clickhouse.config import ClickHouseSinkConfig
from pycdc.sinks.clickhouse.values import SETTINGS

log = structlog.get_logger(__name__)

#: Seconds between tries, at most: a write has 30 s by Kafka's defaults.
_LONGEST_PAUSE: Final = 5.0

P = ParamSpec("P")
R = TypeVar("R")


class Session:
    """One client. Every method blocks, and tries again what fails for a while."""

    def __init__(self, settings: ClickHouseSinkConfig) -> None:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError

        self._settings = settings
        self._errors = (ClickHouseError, OSError)
        #: Nobody waits for what this session does any more: what is under way ends, and nothing else begins.
        self.given_up = False
        self.retries = 0
        try:
            self._client: Any = clickhouse_connect.get_client(**settings.connection())
        except self._errors as error:
            fault = faults.translate(error, "cannot reach ClickHouse", settings.where)
            if isinstance(fault, ConnectionLost):
                raise fault from None
            raise ConnectionLost(fault.what, where=fault.where, cause=fault.cause, hint=fault.hint) from None
        #: A quorum's rows are seen by all only when they are asked for so; so are replicated tables of our own.
        sequential = "insert_quorum" in settings.insert_settings or settings.own_cluster or settings.cluster
        self._reading = {"select_sequential_consistency": 1} if sequential else {}
        self._writing = {**settings.of_inserts, **SETTINGS, "max_execution_time": settings.timeout}

    def rows(self, statement: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """A query's rows as Python values; `{name:Type}` stands for a parameter."""
        found: Sequence[Sequence[Any]] = self._tried(
            lambda: self._client.query(statement, parameters=parameters, settings=self._reading).result_rows, "a query failed"
        )
        return found

    def texts(self, statement: str) -> list[list[str]]:
        """A query's rows as TSV has them, moments in UTC. The statement may hold values of rows, and be long."""
        settings = {
            **self._reading, "date_time_output_format": "iso", "date_time_input_format": "best_effort", "output_format_json_quote_64bit_integers": 0,
            "max_query_size": 1 << 28,
        }  # fmt: skip
        data = self._tried(lambda: self._client.raw_query(statement, fmt="TSV", settings=settings), "rows cannot be read back", told=False)
        return [line.decode().split("\t") for line in data.split(b"\n") if line]

    def command(self, statement: str, what: str) -> None:
        """A statement without rows."""
        self._tried(lambda: self._client.command(statement), what)

    def insert(self, table: str, columns: Sequence[str], lines: bytes, token: str, *, distributed: bool = False) -> None:
        """Lines of TSV, as one block. Raises clickhouse_connect's error when a row is at fault, see `faults`."""
        # under the same token a try whose answer was lost is not written twice, where the table remembers tokens
        settings = {**self._writing, "insert_deduplication_token": token}
        if distributed:
            settings["distributed_foreground_insert"] = 1  # else it is queued, and acknowledged before it is anywhere
        self._tried(
            lambda: self._client.raw_insert(table, column_names=list(columns), insert_block=lines, fmt="TSV", settings=settings),
            f"ClickHouse refuses a write to {table}", told=False,
        )  # fmt: skip

    def give_up(self) -> None:
        self.given_up = True

    def _tried(self, call: Callable[[], Any], what: str, *, told: bool = True) -> Any:
        attempt = 0
        while True:
            if self.given_up:
                raise SinkError(what, where=self._settings.where, cause="its time was over")
            try:
                return call()
            except self._errors as error:
                if not told and faults.is_of_a_row(error):
                    raise
                fault = faults.translate(error, what, self._settings.where, told=told)
                if not fault.retriable or attempt >= self._settings.retries:
                    raise fault from None
                pause = min(0.1 * 4**attempt, _LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311
                attempt += 1
                self.retries += 1
                log.warning("ClickHouse does not answer as it should, trying again", cause=fault.cause, seconds=round(pause, 1))
                time.sleep(pause)

    def close(self) -> None:
        self._client.close()


class Sessions:
    """As many sessions as may be used at once."""

    def __init__(self, settings: ClickHouseSinkConfig) -> None:
        self._settings = settings
        self._made: list[Session] = []
        self._idle: list[Session] = []
        self._free = asyncio.Semaphore(1 if settings.dsn else settings.writers)

    async def open(self) -> None:
        """Make the first. Raises ConnectionLost."""
        self._idle.append(await self._make())

    async def _make(self) -> Session:
        made = await asyncio.to_thread(Session, self._settings)
        self._made.append(made)
        return made

    @property
    def retries(self) -> int:
        """Calls that were tried again."""
        return sum(s.retries for s in self._made)

    async def call(self, function: Callable[Concatenate[Session, P], R], *arguments: P.args, **named: P.kwargs) -> R:
        """Run `function` with a session in a thread."""
        async with self._free:
            session = self._idle.pop() if self._idle else await self._make()
            try:
                return await to_its_end(asyncio.to_thread(function, session, *arguments, **named), cut=session.give_up)
            finally:
                session.given_up = False
                self._idle.append(session)

    async def close(self) -> None:
        sessions, self._idle = self._idle, []
        for session in sessions:
            await asyncio.to_thread(session.close)
