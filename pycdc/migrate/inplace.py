"""The plan of a takeover in place: pycdc's workers on the very topics of the workers that ran before.

Nothing is moved: configurations, positions and states are in the topics. What matters is that the old workers have all
left, because pycdc's workers form a group of their own kind and never join one of Kafka Connect's.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pycdc.errors import ConfigError, Fault
from pycdc.migrate.byhand import Manual
from pycdc.migrate.endpoint import Endpoint

#: Where a cluster keeps what its next workers need, and its group.
_NEEDED = ("bootstrap.servers", "group.id", "config.storage.topic", "offset.storage.topic", "status.storage.topic")


def require_worker(worker: Mapping[str, str] | None, path: str | None) -> None:
    """A takeover stands on the worker's file. Raises ConfigError."""
    faults: tuple[Fault, ...] = (Fault("--worker", "is required with --in-place: the file of the workers that run now"),)
    if worker is not None:
        faults = tuple(Fault(key, "is missing: it names what the new workers take over", None, path or "") for key in _NEEDED if not worker.get(key))
    if faults:
        raise ConfigError("The takeover cannot be planned.", faults=faults)


def shared(worker: Mapping[str, str]) -> list[str]:
    """What stays as it is."""
    topics = [f"{what} in the topic {worker[f'{key}.storage.topic']}" for what, key in _KEPT.items()]
    return [*topics, "slots, publications, the connectors' topics and the sinks' groups"]


_KEPT = {"configurations": "config", "positions": "offset", "states": "status"}


def take_over(worker: Mapping[str, str], path: str, old: Endpoint) -> list[Manual]:
    """The operator's steps, in order."""
    file = shlex.quote(path)
    curl = f"curl -fsS{old.curl}"
    address = shlex.quote(f"{old}/connectors?expand=status")
    return [
        Manual("write down what runs now", (f"{curl} {address} > before.json",)),
        Manual(
            "stop every worker of Kafka Connect in an orderly way (SIGTERM), on each of its machines, and keep it from being started again",
            ("systemctl disable --now kafka-connect    # or scale its deployment to 0",),
        ),
        Manual(
            f"see that none answers any more; pycdc does not join the group {worker['group.id']} while one is a member of it",
            (f"until ! curl -s{old.curl} {shlex.quote(f'{old}/')}; do sleep 1; done",),
        ),
        Manual("start pycdc with the same file, on one machine or several", (f"pycdc connect --config {file}",)),
        Manual("compare what runs", (f"{curl} {address} > after.json", _COMPARE)),
    ]


_STATES = "jq -S 'map_values([.status.connector.state, .status.tasks[].state])'"
_COMPARE = f"diff <({_STATES} before.json) <({_STATES} after.json)"


def go_back(path: str) -> list[Manual]:
    return [
        Manual("stop every pycdc worker (SIGTERM)", ("systemctl disable --now pycdc-connect",)),
        Manual("start the workers of Kafka Connect again with their file", (f"connect-distributed.sh {shlex.quote(path)}",)),
    ]
