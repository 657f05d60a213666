"""The status topic: how each connector and task fares, and which topics they use.

Source: Kafka Connect's KafkaStatusBackingStore; records of 4.1.1 as captured.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec
import structlog

from pycdc.worker.configs import Entry
from pycdc.worker.records import dumps, loads

log = structlog.get_logger(__name__)

_CONNECTOR: Final = "status-connector-"
_TASK: Final = "status-task-"
_TOPIC: Final = "status-topic-"
#: Between a topic, whose name has no colon, and its connector.
_OF: Final = ":connector-"


class State(StrEnum):
    """Of a connector or a task; STOPPED is a connector's alone."""

    UNASSIGNED = "UNASSIGNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    RESTARTING = "RESTARTING"


class Status(msgspec.Struct, frozen=True):
    """As its worker told it. `generation`: the group's, in which it did; `version`: the connector's, where it knew it."""

    state: State
    worker_id: str
    generation: int
    trace: str | None = None
    version: str | None = None

    def may_follow(self, known: Status | None) -> bool:
        """Whether it is news, or the word of a worker that has lost what it speaks of: the last one to have it knows better."""
        return known is None or known.worker_id == self.worker_id or self.generation >= known.generation


class UsedTopic(msgspec.Struct, frozen=True):
    """`task` first sent to it, or read from it, at `discovered` (ms since 1970)."""

    name: str
    connector: str
    task: int
    discovered: int


class Statuses:
    """What the topic says, record by record."""

    def __init__(self) -> None:
        self.connectors: dict[str, Status] = {}
        self.tasks: dict[str, dict[int, Status]] = {}
        #: By connector, then by topic.
        self.topics: dict[str, dict[str, UsedTopic]] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """One record of the topic. One that cannot be understood is skipped and told."""
        text = key.decode(errors="replace")
        try:
            found = None if value is None else loads(value)
            if text.startswith(_CONNECTOR):
                _keep(self.connectors, text.removeprefix(_CONNECTOR), None if found is None else _status(found))
            elif text.startswith(_TASK):
                name, _, number = text.removeprefix(_TASK).rpartition("-")
                _keep(self.tasks.setdefault(name, {}), int(number), None if found is None else _status(found))
                if not self.tasks[name]:
                    del self.tasks[name]
            elif text.startswith(_TOPIC) and _OF in text:
                topic, _, name = text.removeprefix(_TOPIC).partition(_OF)
                _keep(self.topics.setdefault(name, {}), topic, None if found is None else _used(found["topic"]))
                if not self.topics[name]:
                    del self.topics[name]
        except (ValueError, TypeError, KeyError) as error:
            log.error("a record of the status topic cannot be understood and is left out", key=text, cause=str(error) or type(error).__name__)


def _keep(into: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        into.pop(key, None)
    else:
        into[key] = value


def _status(found: dict[str, Any]) -> Status:
    return Status(State(found["state"]), str(found["worker_id"]), int(found["generation"]), found.get("trace"), found.get("version"))


def _used(found: dict[str, Any]) -> UsedTopic:
    return UsedTopic(str(found["name"]), str(found["connector"]), int(found["task"]), int(found["discoverTimestamp"]))


# ---- records to write


def _told(status: Status | None) -> bytes | None:
    if status is None:
        return None
    return dumps({
        "state": status.state, "trace": status.trace, "worker_id": status.worker_id, "generation": status.generation, "version": status.version,
    })  # fmt: skip


def connector(name: str, status: Status | None) -> Entry:
    """None: it is gone."""
    return f"{_CONNECTOR}{name}".encode(), _told(status)


def connector_of(key: bytes) -> str | None:
    """Whose own state a record is; None for other records."""
    text = key.decode(errors="replace")
    return text.removeprefix(_CONNECTOR) if text.startswith(_CONNECTOR) else None


def task(name: str, number: int, status: Status | None) -> Entry:
    """None: it is gone."""
    return f"{_TASK}{name}-{number}".encode(), _told(status)


def used(topic: UsedTopic) -> Entry:
    value = {"name": topic.name, "connector": topic.connector, "task": topic.task, "discoverTimestamp": topic.discovered}
    return _topic_key(topic.name, topic.connector), dumps({"topic": value})


def unused(topic: str, name: str) -> Entry:
    return _topic_key(topic, name), None


def _topic_key(topic: str, name: str) -> bytes:
    return f"{_TOPIC}{topic}{_OF}{name}".encode()
