"""What runs of a configuration: connectors are looked at, tasks become jobs.

A connector comes up when its class is there and its own topics can be had; what else is wrong with it fails its tasks,
as in Kafka Connect, where the connector knows less than its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from pycdc.config.layers import Entry, Layer, Layered
from pycdc.config.worker import WorkerConfig
from pycdc.runtime.job import Job
from pycdc.telemetry.log import as_configured
from pycdc.worker.classes import SINK, SOURCE, connector_class

if TYPE_CHECKING:
    from pycdc.config.definition import ConfigDef
    from pycdc.plugins.join import ClientChecks, Plan
    from pycdc.worker.offsets import SourceOffsets
    from pycdc.worker.settings import Worker

log = structlog.get_logger(__name__)

#: Keys of a worker that a connector may set for itself.
_OF_BOTH: Final = ("key.converter", "value.converter", "header.converter", "producer.override.", "consumer.override.", "admin.override.")
#: Keys of a connector that its tasks need not see: the worker follows them, or tells its tasks apart by them.
OF_THE_WORKER: Final = ("task.class", "task.id", "tasks.max", "tasks.max.enforce", "isolation")


class Launcher(Protocol):
    """Of one worker."""

    async def look_at(self, name: str, config: Mapping[str, str]) -> None:
        """Whether the connector comes up. Raises PycdcError."""

    def launched(self, name: str, number: int, config: Mapping[str, str]) -> AsyncIterator[Job]:
        """A task, ready to run. Raises PycdcError."""


class ConnectorLauncher:
    """Connectors of the registry, over the worker's stores."""

    def __init__(self, worker: Worker, offsets: SourceOffsets, checks: ClientChecks) -> None:
        self._worker, self._offsets, self._checks = worker, offsets, checks

    async def look_at(self, name: str, config: Mapping[str, str]) -> None:
        """Raises PycdcError."""
        found = connector_class(config.get("connector.class", ""))
        if found.type == SOURCE:
            self._look_at_creation(config)
            await self._offsets.store_of(config)

    def _look_at_creation(self, config: Mapping[str, str]) -> None:
        groups = {k: v for k, v in config.items() if k.startswith("topic.creation.")}
        if groups and self._worker.config.topic_creation:
            self._checks.topics(groups)

    @asynccontextmanager
    async def launched(self, name: str, number: int, config: Mapping[str, str]) -> AsyncIterator[Job]:
        """Raises PycdcError. Modules are imported and secrets read in a thread: the others go on meanwhile."""
        from pycdc.plugins.join import load_sink, load_source

        if config.get("isolation", "").strip().lower() == "process":
            from pycdc.worker.isolated import Order, isolated

            log_format, log_level = as_configured()
            async with isolated(Order(name, number, dict(config), self._worker.raw, log_format, log_level)) as job:
                job.metrics.task = str(number)
                yield job
            return
        layered = self.layered(name, config)
        if connector_class(config.get("connector.class", "")).type == SINK:
            from pycdc.runtime.sink_task import sink_job

            plan = await asyncio.to_thread(load_sink, layered, checks=self._checks)
            _tell_warnings(plan)
            sink = sink_job(plan, number)
            sink.metrics.task = str(number)
            yield sink
            return
        from pycdc.runtime.source_task import source_job

        # the worker keeps the positions
        source_plan = await asyncio.to_thread(load_source, layered, offsets_file=True, checks=self._checks)
        _tell_warnings(source_plan)
        store = await self._offsets.for_task(name, number, config)
        try:
            await store.start()
            source = source_job(source_plan, store, confirm_owner=store.confirm)
            source.metrics.task = str(number)
            yield source
        finally:
            await store.stop()

    def settings_of(self, name: str, config: Mapping[str, str]) -> ConfigDef:
        """A source's own settings. Raises ConfigError."""
        from pycdc.plugins.join import load_source

        settings: ConfigDef = load_source(self.layered(name, config), offsets_file=True, checks=self._checks).settings
        return settings

    def layered(self, name: str, config: Mapping[str, str]) -> Layered:
        """The worker's entries below the task's. A connector changes nothing that is the worker's alone, and is called as it
        was created, whatever a PATCH has made of `name`.
        """
        entries = {k: Entry(v, "the worker", Layer.WORKER) for k, v in self._worker.inherited.items()}
        for key, value in config.items():
            if key not in OF_THE_WORKER and (key.startswith(_OF_BOTH) or not _is_the_workers(key)):
                entries[key] = Entry(value, "", Layer.CONFIG)
        entries["name"] = Entry(name, "", Layer.CONFIG)
        return Layered(entries)


def _tell_warnings(plan: Plan) -> None:
    for warning in plan.warnings:
        log.warning(warning)


def _is_the_workers(key: str) -> bool:
    return any(key == p.name for p in WorkerConfig.properties()) or key.startswith(("offset.storage.", "config.providers."))
