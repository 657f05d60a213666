"""What is seen of running tasks from outside: the topics they use, and whether they get on with their work.

One look at all of them at once, so that a hundred idle connectors cost nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pycdc.errors import PycdcError
from pycdc.worker.items import name_of_item, number_of_item
from pycdc.worker.running import RunningTask
from pycdc.worker.statuses import State, UsedTopic

if TYPE_CHECKING:
    from pycdc.runtime.job import Job
    from pycdc.worker.herder import Herder

log = structlog.get_logger(__name__)

#: Seconds between two looks.
_EVERY: Final = 0.5


class Seen(msgspec.Struct):
    """Of one job at the last looks."""

    position: object = None
    #: Since when it is where it is, seconds (monotonic).
    since: float = 0.0
    records: dict[str, int] = {}
    trouble: str | None = None


class Watch:
    """`stall_limit`: seconds that a task with work to do may stay where it is."""

    def __init__(self, herder: Herder, *, stall_limit: float, track_topics: bool) -> None:
        self._herder, self._limit, self._track = herder, stall_limit, track_topics
        self._seen: dict[Job, Seen] = {}
        herder.seen_off = self._look_back

    async def _look_back(self, item: str, job: Job) -> None:
        """What it did behind the last look, or before the first, counts as well. Raises nothing."""
        if self._track and name_of_item(item) in self._herder.configs.connectors:
            try:
                await self._look_at_topics(item, job, self._seen.get(job) or Seen())
            except PycdcError as error:
                log.warning("what a task has done could not be told", item=item, cause=error.cause or error.what)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            for unknown in [h for h in self._herder.held.values() if h.is_unknown]:
                await unknown.say_what_is_unknown()
            running = {h.job: (item, h) for item, h in self._herder.held.items() if isinstance(h, RunningTask) and h.job is not None}
            self._seen = {job: self._seen.get(job) or Seen(since=time.monotonic()) for job in running}
            for job, (item, held) in running.items():
                if _is_still(job, self._seen[job]):
                    continue
                try:
                    await self._look(item, held, job, self._seen[job])
                except PycdcError as error:
                    log.warning("what a task does could not be told", item=item, cause=error.cause or error.what)

    async def _look(self, item: str, held: RunningTask, job: Job, seen: Seen) -> None:
        if self._track:
            await self._look_at_topics(item, job, seen)
        position, now = job.position(), time.monotonic()
        if position != seen.position or not job.behind():
            seen.position, seen.since = position, now
        job.health.stalled = int(now - seen.since) if now - seen.since > self._limit else 0
        trouble = self._trouble(job)
        if (trouble is None) != (seen.trouble is None) and held.state is State.RUNNING:
            seen.trouble = trouble
            await held.say_again(trouble)

    async def _look_at_topics(self, item: str, job: Job, seen: Seen) -> None:
        name, number = name_of_item(item), number_of_item(item) or 0
        for topic, records in list(job.topics().items()):  # it grows while we wait
            if records > seen.records.get(topic, 0):
                seen.records[topic] = records
                await self._herder.statuses.used(UsedTopic(topic, name, number, time.time_ns() // 1_000_000))

    def _trouble(self, job: Job) -> str | None:
        """Why a task that is RUNNING does not get on; the trace of its status."""
        if job.health.last_error:
            return f"it is waiting, and goes on by itself:\n{job.health.last_error}"
        if job.health.stalled:
            return (
                f"stalled: there is work to do, and nothing has moved for more than {self._limit:.0f} s\n"
                "  hint: look at what the other side waits for (locks, a full disk, a slow target), or restart the task"
            )
        return None


def _is_still(job: Job, seen: Seen) -> bool:
    """Nothing has happened since the last look, there is nothing to do, and nothing is wrong: most connectors, most of the time."""
    return (
        seen.trouble is None and not job.health.last_error and not job.health.stalled
        and job.position() == seen.position and job.topics() == seen.records and not job.behind()
    )  # fmt: skip
