"""Connectors as REST shows them, from what the stores know.

Source: Kafka Connect's ConnectorInfo, ConnectorStateInfo, TaskInfo; captures of 4.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycdc.worker.classes import kind_of
from pycdc.worker.configs import Configs
from pycdc.worker.requests import RequestError
from pycdc.worker.statuses import State, Status, Statuses


def info(configs: Configs, name: str, config: dict[str, str] | None = None) -> dict[str, Any]:
    """`config`: as it was sent, where it is to be echoed. Raises RequestError."""
    found = config if config is not None else config_of(configs, name)
    tasks = [{"connector": name, "task": i} for i in range(len(configs.tasks.get(name, ())))]
    return {"name": name, "config": found, "tasks": tasks, "type": kind_of(found.get("connector.class"))}


def config_of(configs: Configs, name: str) -> dict[str, str]:
    """Raises RequestError."""
    found = configs.connectors.get(name)
    if found is None:
        raise RequestError(404, f"Connector {name} not found")
    return found


def tasks(configs: Configs, name: str) -> list[dict[str, Any]]:
    """Raises RequestError."""
    config_of(configs, name)
    return [{"id": {"connector": name, "task": i}, "config": c} for i, c in enumerate(configs.tasks.get(name, ()))]


def status(configs: Configs, known: Statuses, name: str, restarting: Sequence[str] = ()) -> dict[str, Any]:
    """`restarting`: "connector" and numbers of tasks that are shown so. Raises RequestError."""
    found = known.connectors.get(name)
    if found is None:
        raise RequestError(404, f"No status found for connector {name}")
    return {
        "name": name,
        "connector": _state(found, restarting="connector" in restarting),
        "tasks": [{"id": i, **_state(s, restarting=str(i) in restarting)} for i, s in sorted(known.tasks.get(name, {}).items())],
        "type": kind_of(configs.connectors.get(name, {}).get("connector.class")),
    }


def task_status(known: Statuses, name: str, number: int) -> dict[str, Any]:
    """Raises RequestError."""
    found = known.tasks.get(name, {}).get(number)
    if found is None:
        raise RequestError(404, f"No status found for task {name}-{number}")
    return {"id": number, **_state(found)}


def chosen(known: Statuses, name: str, *, include_tasks: bool, only_failed: bool) -> list[str]:
    """What a restart takes, as `status` is told of it."""
    found = known.connectors.get(name)
    of_connector = ["connector"] if found is not None and (not only_failed or found.state is State.FAILED) else []
    tasks = known.tasks.get(name, {}) if include_tasks else {}
    return of_connector + [str(i) for i, s in tasks.items() if not only_failed or s.state is State.FAILED]


def _state(status: Status, *, restarting: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": State.RESTARTING if restarting else status.state, "worker_id": status.worker_id}
    if status.trace:
        shown["trace"] = status.trace
    shown["version"] = status.version
    return shown
