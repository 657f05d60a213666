"""The config topic: connectors, what is wished of them, and the configurations of their tasks.

A task's configuration counts with the commit record behind it, which says how many tasks there are. Where compaction has
left fewer, the connector is `incomplete` until its tasks are configured again. A record that cannot be understood is
skipped and told; the others count.

Source: Kafka Connect's KafkaConfigBackingStore; records of 4.1.1 as captured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
import structlog

from pycdc.worker.records import dumps, loads

log = structlog.get_logger(__name__)

_CONNECTOR: Final = "connector-"
_TASK: Final = "task-"
_COMMIT: Final = "commit-"
_TARGET: Final = "target-state-"
_FENCING: Final = "tasks-fencing-"
_RESTART: Final = "restart-connector-"
_LOGGER: Final = "logger-cluster-"
_SESSION_KEY: Final = "session-key"

#: A key and its value; None = deleted.
Entry = tuple[bytes, bytes | None]


class Target(StrEnum):
    """What is wished of a connector."""

    STARTED = "STARTED"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"


class ConfigChanged(msgspec.Struct, frozen=True):
    """A connector is new, or its configuration was written again."""

    name: str


class ConnectorRemoved(msgspec.Struct, frozen=True):
    name: str


class TasksChanged(msgspec.Struct, frozen=True):
    """Another set of tasks is committed."""

    name: str


class TargetChanged(msgspec.Struct, frozen=True):
    name: str


class RestartAsked(msgspec.Struct, frozen=True):
    name: str
    include_tasks: bool
    only_failed: bool


class LevelSet(msgspec.Struct, frozen=True):
    """A logger's level, for all workers."""

    logger: str
    level: str


Event = ConfigChanged | ConnectorRemoved | TasksChanged | TargetChanged | RestartAsked | LevelSet


class Configs:
    """What the topic says, record by record."""

    def __init__(self) -> None:
        #: By name, as it was written: `${...}` unresolved.
        self.connectors: dict[str, dict[str, str]] = {}
        self._targets: dict[str, Target] = {}
        #: Committed configurations, by task.
        self.tasks: dict[str, list[dict[str, str]]] = {}
        self.incomplete: set[str] = set()
        self._waiting: dict[str, dict[int, dict[str, str]]] = {}
        self._kinds: Sequence[tuple[str, Callable[[str, dict[str, Any] | None], Event | None]]] = (
            (_CONNECTOR, self._connector), (_TASK, self._task), (_COMMIT, self._commit), (_TARGET, self._target), (_FENCING, _nothing),
            (_RESTART, _restart), (_LOGGER, _level),
        )  # fmt: skip

    def target(self, name: str) -> Target:
        return self._targets.get(name, Target.STARTED)

    def take(self, key: bytes, value: bytes | None) -> Event | None:
        """One record of the topic; what it changes, None for nothing that concerns a worker."""
        text = key.decode(errors="replace")
        try:
            for prefix, take in self._kinds:
                if text.startswith(prefix):
                    return take(text.removeprefix(prefix), None if value is None else loads(value))
        except (ValueError, TypeError, KeyError) as error:
            log.error("a record of the config topic cannot be understood and is left out", key=text, cause=str(error) or type(error).__name__)
            return None
        if text != _SESSION_KEY:
            log.warning("a record of the config topic is none of Kafka Connect's", key=text)
        return None

    def _connector(self, name: str, value: dict[str, Any] | None) -> Event | None:
        if value is None:
            known = self.connectors.pop(name, None) is not None
            for kept in (self.tasks, self._waiting, self._targets):
                kept.pop(name, None)
            self.incomplete.discard(name)
            return ConnectorRemoved(name) if known else None
        self.connectors[name] = _properties(value)
        return ConfigChanged(name)

    def _task(self, text: str, value: dict[str, Any] | None) -> Event | None:
        name, _, number = text.rpartition("-")
        if value is not None and name:
            self._waiting.setdefault(name, {})[int(number)] = _properties(value)
        return None

    def _commit(self, name: str, value: dict[str, Any] | None) -> Event | None:
        if value is None or name not in self.connectors:
            return None
        count = int(value["tasks"])
        known = dict(enumerate(self.tasks.get(name, ()))) | self._waiting.pop(name, {})
        if any(i not in known for i in range(count)):
            self.incomplete.add(name)
            self.tasks.pop(name, None)
            return None
        self.incomplete.discard(name)
        self.tasks[name] = [known[i] for i in range(count)]
        return TasksChanged(name)

    def _target(self, name: str, value: dict[str, Any] | None) -> Event | None:
        if value is None:
            self._targets.pop(name, None)
            return None
        # `state` alone is what releases before 3.5 wrote
        self._targets[name] = Target(value.get("state.v2") or value["state"])
        return TargetChanged(name) if name in self.connectors else None


def _nothing(_name: str, _value: dict[str, Any] | None) -> None:
    return None


def _restart(name: str, value: dict[str, Any] | None) -> Event | None:
    return None if value is None else RestartAsked(name, bool(value.get("include-tasks")), bool(value.get("only-failed")))


def _level(logger: str, value: dict[str, Any] | None) -> Event | None:
    return None if value is None else LevelSet(logger, str(value["level"]))


def _properties(value: dict[str, Any]) -> dict[str, str]:
    found = value["properties"]
    if not isinstance(found, dict):
        raise TypeError("its properties are no object")
    return found


# ---- records to write, in their order


def connector(name: str, config: Mapping[str, str]) -> list[Entry]:
    return [(f"{_CONNECTOR}{name}".encode(), dumps({"properties": dict(config)}))]


def removed(name: str) -> list[Entry]:
    """Also of the wish, whether or not there was one."""
    return [(f"{_CONNECTOR}{name}".encode(), None), (f"{_TARGET}{name}".encode(), None)]


def tasks(name: str, configs: Sequence[Mapping[str, str]]) -> list[Entry]:
    """The tasks' configurations and what makes them count."""
    each = [(f"{_TASK}{name}-{i}".encode(), dumps({"properties": dict(c)})) for i, c in enumerate(configs)]
    return [*each, (f"{_COMMIT}{name}".encode(), dumps({"tasks": len(configs)}))]


def target(name: str, wished: Target) -> list[Entry]:
    """Releases before 3.5 know no STOPPED, and take it for PAUSED."""
    known = Target.PAUSED if wished is Target.STOPPED else wished
    return [(f"{_TARGET}{name}".encode(), dumps({"state": known, "state.v2": wished}))]


def restart(name: str, *, include_tasks: bool, only_failed: bool) -> list[Entry]:
    return [(f"{_RESTART}{name}".encode(), dumps({"include-tasks": include_tasks, "only-failed": only_failed}))]


def level(logger: str, wished: str) -> list[Entry]:
    return [(f"{_LOGGER}{logger}".encode(), dumps({"level": wished}))]
