"""Resources beside Connect's API: health for probes and monitors, and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from pycdc.runtime.http import report
from pycdc.worker.metrics import WorkerMetrics
from pycdc.worker.running import RunningTask
from pycdc.worker.statuses import State

if TYPE_CHECKING:
    from pycdc.runtime.job import Job
    from pycdc.worker.herder import Herder

_JSON = "application/json"
_Answer = tuple[bytes, str, int]


def extras(herder: Herder, stage: Callable[[], str]) -> dict[str, Callable[[], _Answer]]:
    """By name of the endpoint; `stage`: of the start, "" behind it."""

    def live() -> _Answer:
        return _json({"status": "alive"}, 200)

    def ready() -> _Answer:
        at = stage()
        return _json({"status": at or "ready"}, 503 if at else 200)

    def cdc() -> _Answer:
        return _cdc(herder, stage())

    return {"live": live, "ready": ready, "cdc": cdc, "metrics": WorkerMetrics(herder).text}


def jobs(herder: Herder) -> list[Job]:
    return [h.job for h in herder.held.values() if isinstance(h, RunningTask) and h.job is not None]


def _cdc(herder: Herder, stage: str) -> _Answer:
    """Of all connectors: the tables and lags of those that run here, the states of all."""
    failed = [n for n, s in herder.known.connectors.items() if s.state is State.FAILED]
    failed += [n for n, tasks in herder.known.tasks.items() if any(s.state is State.FAILED for s in tasks.values())]
    healths = tuple(j.health for j in jobs(herder))
    answer: dict[str, object] = report(healths) if healths else {"cdc_tables": {}, "kafka_lag": {}}
    for private in ("connector", "phase"):
        answer.pop(private, None)
    if stage:
        answer["status"] = "starting"
    elif failed:
        answer["status"] = "unhealthy"
    elif not healths:
        answer["status"] = "healthy"
    answer["connectors"] = {name: str(s.state) for name, s in sorted(herder.known.connectors.items())}
    answer["failed"] = sorted(set(failed))
    return _json(answer, 503 if failed or stage else 200)


def _json(body: dict[str, object], status: int) -> _Answer:
    return orjson.dumps(body), _JSON, status
