"""A task in a process of its own (`isolation=process`): what leaks, blocks or crashes there stays there.

The child runs the same job over the worker's settings and tells of it in lines of JSON on its standard output; it ends
when its standard input does, so that no worker's death leaves it behind. Its log is the worker's.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from pycdc import errors
from pycdc.errors import ConfigError, Fault, PycdcError
from pycdc.runtime.health import Health, TableHealth
from pycdc.runtime.job import Job
from pycdc.telemetry.metrics import SinkMetrics, SourceMetrics
from pycdc.worker.classes import SOURCE, connector_class

#: Seconds that a child has to end behind SIGTERM; its own limit is less.
_END_LIMIT: Final = 9.0
#: Longest line that a child may send, bytes.
_LINE: Final = 16 << 20


class Order(msgspec.Struct):
    """What a child is to run."""

    name: str
    number: int
    config: dict[str, str]
    #: The worker's raw entries.
    worker: dict[str, str]
    log_format: str = "auto"
    log_level: str = "info"


class Trouble(msgspec.Struct):
    """The fault that ended it, its class one of pycdc.errors."""

    kind: str
    what: str
    where: str = ""
    cause: str = ""
    hint: str = ""
    retriable: bool = False


class Report(msgspec.Struct):
    """What a child tells of itself. `metrics` and `health`: attributes that are plain."""

    begun: bool = False
    behind: bool = False
    position: str = ""
    topics: dict[str, int] = {}
    metrics: dict[str, Any] = {}
    health: dict[str, Any] = {}
    tables: dict[str, tuple[int, float]] = {}
    trouble: Trouble | None = None


def report_of(job: Job) -> Report:
    """As things are."""
    health = {f.name: v for f in dataclasses.fields(job.health) if f.name != "tables" and _is_plain(v := getattr(job.health, f.name))}
    metrics = {f.name: v for f in dataclasses.fields(job.metrics) if _is_plain(v := getattr(job.metrics, f.name))}
    tables = {name: (t.rows, t.updated) for name, t in job.health.tables.items()}
    return Report(job.begun(), job.behind(), repr(job.position()), dict(job.topics()), metrics, health, tables)


def _is_plain(value: object) -> bool:
    return isinstance(value, (int, float, str, bool)) or (isinstance(value, dict) and all(isinstance(v, (int, float, str)) for v in value.values()))


def trouble_of(error: PycdcError) -> Trouble:
    what = str(error) if isinstance(error, ConfigError) else error.what
    return Trouble(type(error).__name__, what, error.where, error.cause, error.hint, error.retriable)


def raised(trouble: Trouble) -> PycdcError:
    """The fault as this process would have raised it."""
    if trouble.kind == ConfigError.__name__:
        return ConfigError(trouble.what)
    kind = getattr(errors, trouble.kind, PycdcError)
    fault: PycdcError = kind(trouble.what, where=trouble.where, cause=trouble.cause, hint=trouble.hint, retriable=trouble.retriable)
    return fault


@asynccontextmanager
async def isolated(order: Order) -> AsyncIterator[Job]:
    """The job, of which this process only hears. Raises ConfigError."""
    if "offset.storage.topic" not in order.worker:
        raise ConfigError(faults=(Fault("isolation", "process needs offset.storage.topic: a file of positions has one writer", "process"),))
    kind = connector_class(order.config.get("connector.class", "")).type
    metrics = SourceMetrics(order.name) if kind == SOURCE else SinkMetrics(order.name)
    child = Child(order, Health(order.name), metrics)
    yield Job(
        child.health, metrics, child.run, topics=lambda: child.last.topics, begun=lambda: child.last.begun,
        position=lambda: child.last.position, behind=lambda: child.last.behind,
    )  # fmt: skip


class Child:
    """The process."""

    def __init__(self, order: Order, health: Health, metrics: SourceMetrics | SinkMetrics) -> None:
        self._order, self.health, self._metrics = order, health, metrics
        self.last = Report()

    async def run(self, stop: asyncio.Event) -> None:
        """Until it ends. Raises PycdcError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pycdc.worker.child", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE
        )
        assert process.stdin is not None
        stopping = asyncio.create_task(stop.wait())
        listening = asyncio.create_task(self._listen(process))
        try:
            process.stdin.write(msgspec.json.encode(self._order) + b"\n")
            await asyncio.wait((stopping, listening), return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await asyncio.wait((listening,), timeout=_END_LIMIT)
            if listening.done():
                listening.result()
        finally:
            for task in (stopping, listening):
                task.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            process.stdin.close()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._heard(msgspec.json.decode(line, type=Report))
        code = await process.wait()
        if self.last.trouble is not None:
            raise raised(self.last.trouble)
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise PycdcError(
                "the task's process ended by itself", where=f"{self._order.name}-{self._order.number}", cause=how,
                hint="signal 9 is mostly the kernel's for want of memory: look at dmesg, and at this task's last lines in the log", retriable=True,
            )  # fmt: skip

    def _heard(self, report: Report) -> None:
        self.last = report
        for target, values in ((self._metrics, report.metrics), (self.health, report.health)):
            for name, value in values.items():
                setattr(target, name, value)
        self.health.tables = {name: TableHealth(rows, updated) for name, (rows, updated) in report.tables.items()}

