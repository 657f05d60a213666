"""A load, until it is known to be committed or known not to be.

The label decides: whenever an answer is lost, StarRocks is asked what became of the label before anything is sent
again. "Publish Timeout" is committed. A label in use is waited for; when this process has not sent it, an earlier one
has, and a PRIMARY KEY table then takes the rows once more under another label (the same upserts again change
nothing, while rows that somebody has emptied the table of since would be missing); another table keeps what it has.

Source: fe GetStreamLoadState (UNKNOWN, PREPARE, PREPARED, COMMITTED, VISIBLE, ABORTED); StarRocks' FAQ on Stream Load.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog

from pycdc.errors import ConnectionLost, PycdcError
from pycdc.sinks.starrocks.client import Client
from pycdc.sinks.starrocks.faults import LabelTaken, RowsRefused, fault_of
from pycdc.sinks.starrocks.labels import another

log = structlog.get_logger(__name__)

#: Seconds before the second try; each further one waits twice as long, up to the longest.
PAUSE = 1.0
_LONGEST_PAUSE: Final = 8.0
#: Seconds between looks at a load that runs; after how many it is cancelled, because whoever sent it is gone; and how
#: long it is looked at in all.
LOOK_EVERY = 0.2
CANCEL_AFTER = 4.0
_LOOK_LIMIT: Final = 20.0
#: Seconds beyond the load's own limit, in which StarRocks says that it was reached.
_GRACE: Final = 2.0
_COMMITTED: Final = ("COMMITTED", "VISIBLE")
_RUNNING: Final = ("PREPARE", "PREPARED")


class Unanswered(ConnectionLost):
    """Nobody knows whether a load that was sent is committed."""


class Load(msgspec.Struct):
    """One body for one table. `headers` say how to read it."""

    table: str
    label: str
    headers: dict[str, str]
    body: bytes
    #: Loading it twice is the same as once.
    is_idempotent: bool = True


class Loader:
    """Carries out loads into one database. `limit`: seconds that one load may take. `failed` hears of each fault after
    which something is tried again.
    """

    def __init__(self, client: Client, database: str, *, limit: int, retries: int, failed: Callable[[PycdcError], None]) -> None:
        self._client, self.database, self._limit, self._retries, self._failed = client, database, limit, retries, failed
        # without strict_mode, what does not fit becomes NULL without a word
        self.headers = {"timeout": str(limit), "strict_mode": "true", "max_filter_ratio": "0"}

    async def put(self, load: Load) -> None:
        """Returns when the load is committed. Raises RowsRefused, Outdated, Busy, ConnectionLost, SinkError."""
        label = load.label
        sent = unsure = taken = False
        tries = self.tries()
        while True:
            try:
                if unsure and await self.is_committed(label, load.table):
                    if sent or not load.is_idempotent:
                        log.info("a load was committed before", table=load.table, label=label)
                        return
                    label = another(load.label)
                unsure = False
                await self._send(load, label)
                return
            except LabelTaken as error:
                if taken:  # once is an answer to a question, not a failure
                    await tries.failed(error)
                taken = unsure = True
            except Unanswered as error:
                sent = unsure = True
                await tries.failed(error)
            except PycdcError as error:
                await tries.failed(error)

    def tries(self) -> Tries:
        return Tries(self._retries, self._failed)

    async def _send(self, load: Load, label: str) -> None:
        path = f"/api/{self.database}/{load.table}/_stream_load"
        try:
            answer = await self.call("PUT", path, {**self.headers, **load.headers, "label": label}, load.body)
            if not is_done(answer):
                raise await self.fault(answer, load.table)
        except ConnectionLost as error:
            raise Unanswered(error.what, where=error.where, cause=error.cause) from None

    async def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> dict[str, Any]:
        return await self._client.call(method, path, headers, body, self._limit + _GRACE)

    async def fault(self, answer: dict[str, Any], table: str) -> PycdcError:
        """The error behind an answer; the error log is fetched where it says more."""
        error = fault_of(answer, table)
        url = answer.get("errorurl")
        if isinstance(error, RowsRefused) and url:
            return fault_of(answer, table, await self._client.error_log(str(url)))
        return error

    async def is_committed(self, label: str, table: str) -> bool:
        """What became of a label, waiting while its load runs. Raises ConnectionLost while nobody knows."""
        waited, cancelled = 0.0, False
        while (state := await self._state(label)) in _RUNNING:
            if waited >= _LOOK_LIMIT:
                raise ConnectionLost("a load neither ends nor can be cancelled", where=label, cause=f"its state is {state}")
            if waited >= CANCEL_AFTER and not cancelled:
                cancelled = True
                # refused when it has been committed meanwhile, which the next look tells
                with contextlib.suppress(PycdcError):
                    await self._client.ask(f"/api/{self.database}/{table}/_cancel", {"label": label}, "POST")
            await asyncio.sleep(LOOK_EVERY)
            waited += LOOK_EVERY
        return state in _COMMITTED

    async def _state(self, label: str) -> str:
        answer = await self._client.ask(f"/api/{self.database}/get_load_state", {"label": label})
        state = answer.get("state")
        if state is None:
            raise fault_of(answer, self.database)
        return str(state)


class Tries:
    """How often something is tried again, and after which pause."""

    def __init__(self, retries: int, tell: Callable[[PycdcError], None]) -> None:
        self._retries, self._tell, self._failed = retries, tell, 0

    async def failed(self, error: PycdcError) -> None:
        """Waits before the next try. Raises `error` when it is not worth one, or when it was the last."""
        waits = error.retriable or isinstance(error, LabelTaken)
        if not waits or 0 <= self._retries <= self._failed:
            raise error
        self._tell(error)
        # spread, so that members which failed together do not come back together
        pause = min(PAUSE * 2**self._failed, _LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311
        self._failed += 1
        log.warning("a load failed, trying again", cause=error.cause or error.what, where=error.where, seconds=round(pause, 1))
        await asyncio.sleep(pause)


def is_done(answer: dict[str, Any]) -> bool:
    """Committed: visible, or to be visible soon."""
    return str(answer.get("status", "")).lower().replace("_", " ") in ("success", "publish timeout", "ok")
