"""What runs of a configuration: connectors are looked at, tasks become jobs.

A connector comes up when its class is there and its own topics can be had; what else is wrong with it fails its tasks,
as in Kafka Connect, where the connector knows less than its tasks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from pycdc.config.layers import Entry, Layer, Layered
from pycdc.config.worker import WorkerConfig
from pycdc.runtime.job import Job
from pycdc.telemetry.log import as_configured
from pycdc.worker.classes import SINK, SOURCE, connector_class

if TYPE_CHECKING:
    from pycdc.config.definition import ConfigDef
    from pycdc.plugins.join import ClientChecks
    from pycdc.worker.offsets import SourceOffsets
    from pycdc.worker.settings import Worker

#: Keys of a worker that a connector may set for itself.
_OF_BOTH: Final = ("key.converter", "value.converter", "header.converter", "producer.override.", "consumer.override.", "admin.override.")
#: Keys that the original's connectors add for their tasks.
_OF_TASKS: Final = ("task.class", "task.id")


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
        """Raises PycdcError."""
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

            sink = sink_job(load_sink(layered, checks=self._checks), number)
            sink.metrics.task = str(number)
            yield sink
            return
        from pycdc.runtime.source_task import source_job

        plan = load_source(layered, offsets_file=True, checks=self._checks)  # the worker keeps the positions
        store = await self._offsets.for_task(name, number, config)
        try:
            await store.start()
            source = source_job(plan, store, confirm_owner=store.confirm)
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
            if key not in _OF_TASKS and (key.startswith(_OF_BOTH) or not _is_the_workers(key)):
                entries[key] = Entry(value, "", Layer.CONFIG)
        entries["name"] = Entry(name, "", Layer.CONFIG)
        return Layered(entries)


def _is_the_workers(key: str) -> bool:
    return any(key == p.name for p in WorkerConfig.properties()) or key.startswith(("offset.storage.", "config.providers."))
