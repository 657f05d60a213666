"""Fetching: what converters wait for is got from outside, however long the schema registry is away.

A registry that does not answer is waited for, as a lost PostgreSQL is: nothing is lost meanwhile, because no
position moves, and health and a Connect worker's status say why nothing moves. What it refuses is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pycdc.errors import RecordError, RegistryError
from pycdc.plan import Encoded, Encoder
from pycdc.plugins.contracts import NotReady, Run

log = structlog.get_logger(__name__)

#: Pauses between tries, seconds. Each try has its own rounds over all addresses.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class Fetching:
    """One task's. `tell` hears of each failed try, and of None when the registry answers again."""

    def __init__(self, tell: Callable[[RegistryError | None], None] = lambda _fault: None) -> None:
        self._tell = tell
        #: Why nothing moves.
        self.fault: RegistryError | None = None

    async def __call__(self, waiting: NotReady) -> None:
        """Return when it is fetched. Raises RegistryError for what no waiting mends."""
        pause = _FIRST_PAUSE
        try:
            while True:
                try:
                    await waiting.fetch()
                    return
                except RegistryError as error:
                    if not error.retriable:
                        raise
                    self.fault = error
                    log.warning("waiting for the schema registry", what=error.what, where=error.where, cause=error.cause, seconds=pause)
                    self._tell(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            if self.fault is not None:
                self.fault = None
                self._tell(None)


class ReadyEncoder:
    """An Encoder whose converters get what they wait for."""

    def __init__(self, encoder: Encoder, fetching: Fetching) -> None:
        self._encoder, self._fetching = encoder, fetching

    async def encode(self, run: Run) -> list[Encoded]:
        """As Encoder.encode. Raises RegistryError too; a record whose schema is refused is left out where that is tolerated."""
        while True:
            try:
                return self._encoder.encode(run)
            except NotReady as waiting:
                try:
                    await self._fetching(waiting)
                except RegistryError as error:
                    return await self._one_by_one(run, error)

    async def _one_by_one(self, run: Run, refusal: RegistryError) -> list[Encoded]:
        """Each record asks again, as Connect's do: tombstones of refused rows still go out. `refusal` is the first one's."""
        first: RegistryError | None = refusal
        out: list[Encoded] = []
        for row in run.rows:
            for template in run.templates:
                single = Run((template,), [row], run.where, run.lsn_column)
                try:
                    while True:
                        try:
                            out += self._encoder.encode(single)
                            break
                        except NotReady as waiting:
                            if first is not None:
                                refusal, first = first, None
                                raise refusal from None
                            await self._fetching(waiting)
                except RegistryError as error:
                    if not self._encoder.tolerate(RecordError(error.what, where=error.where, cause=error.cause)):
                        raise error from None
                    self._encoder.outcome.refused += 1
        return out
