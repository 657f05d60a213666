"""A Connect worker put together: stores, group, launcher, REST, and their order at start and end.

REST answers first, then Kafka is looked for: a worker whose brokers are away says so on /health and goes on trying.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from pycdc.errors import PycdcError
from pycdc.kafka.topics import NewTopic, administration
from pycdc.worker.checking import Checking
from pycdc.worker.group import Alone, group_member
from pycdc.worker.herder import Herder
from pycdc.worker.launch import ConnectorLauncher
from pycdc.worker.loggers import Loggers
from pycdc.worker.offsets import SourceOffsets
from pycdc.worker.rest.endpoints import Endpoints
from pycdc.worker.rest.extras import extras
from pycdc.worker.rest.server import Server
from pycdc.worker.running import Backoff
from pycdc.worker.stores import InMemory, MakeRecords, topic
from pycdc.worker.watch import Watch

if TYPE_CHECKING:
    from pycdc.plugins.join import ClientChecks
    from pycdc.worker.settings import Worker

log = structlog.get_logger(__name__)

#: Pauses while Kafka is away at the start, seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


async def run_worker(
    worker: Worker, checks: ClientChecks, *, stop: asyncio.Event, standalone: list[dict[str, str]] | None = None,
    serving: Callable[[list[tuple[str, int]]], None] = lambda _addresses: None,
) -> None:  # fmt: skip
    """Until `stop` is set or the worker cannot go on (PycdcError).

    `standalone`: alone, with these connectors; else in the group, with those of the config topic. `serving` is told
    where REST listens.
    """
    for warning in worker.warnings:
        log.warning(warning)
    async with _assembled(worker, checks, alone=standalone is not None) as program:
        serving(program.server.addresses)
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(program.work(standalone or []))
        try:
            await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (stopping, working):
                task.cancel()
            await asyncio.wait((stopping, working))


class Program:
    """A worker's parts."""

    def __init__(self, worker: Worker, checks: ClientChecks, *, alone: bool) -> None:
        c = worker.config
        self.worker, self._alone = worker, alone
        self.stage = "Kafka is looked for."
        self.loggers = Loggers()
        self.offsets = SourceOffsets(worker)
        launcher = ConnectorLauncher(worker, self.offsets, checks)
        backoff = Backoff(c.restart_backoff / 1000, c.restart_backoff_max / 1000, c.restart_limit)
        stores: tuple[MakeRecords, MakeRecords] = (InMemory, InMemory)
        if not alone:
            stores = (
                topic(NewTopic(c.config_topic or "", 1, c.config_replication, c.storage("config.storage.")), worker.kafka, holds="connectors"),
                topic(NewTopic(c.status_topic or "", c.status_partitions, c.status_replication, c.storage("status.storage.")), worker.kafka, holds="states"),
            )  # fmt: skip
        at = worker.advertised
        self.herder = Herder(at.url, f"{at.host}:{at.port}", *stores, launcher, self.loggers, backoff)
        self.watch = Watch(self.herder, stall_limit=c.stall_limit / 1000, track_topics=c.topic_tracking)
        self.endpoints = Endpoints(worker, self.herder, self.offsets, Checking(worker), self.loggers)
        self.server = Server(c, self.endpoints, extras(self.herder, lambda: self.stage), lambda: self.stage)
        self._started = False

    async def work(self, connectors: list[dict[str, str]]) -> None:
        """Start, then watch. Returns never."""
        await self._start()
        for config in connectors:
            await self.herder.create(config["name"], config, None)
        self.stage = ""
        log.info("the worker is ready", url=self.herder.url, connectors=len(self.herder.configs.connectors))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watch.run())
            group.create_task(self.herder.failed())

    async def _start(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with administration(self.worker.kafka) as admin:
                    cluster = await admin.describe_cluster()
                self.endpoints.cluster_id = str(cluster.get("cluster_id") or "")
                await self.offsets.start()
                party = self.herder.party()
                self._started = True
                await self.herder.start(Alone(party) if self._alone else group_member(self.worker, party))
                return
            except PycdcError as error:
                if not error.retriable:
                    raise
                self.stage = f"Kafka does not answer: {error.cause or error.what}"
                log.warning("Kafka is waited for", cause=error.cause or error.what, seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def end(self) -> None:
        """What runs here goes to others before REST is closed."""
        if self._started:
            await self.herder.stop()
        await self.offsets.stop()


@asynccontextmanager
async def _assembled(worker: Worker, checks: ClientChecks, *, alone: bool) -> AsyncIterator[Program]:
    async with AsyncExitStack() as stack:
        program = Program(worker, checks, alone=alone)
        await program.server.start()
        stack.push_async_callback(program.server.stop)
        stack.push_async_callback(program.end)
        yield program

