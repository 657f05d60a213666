"""What a Connect cluster says of a connector: the answers of its REST API as values.

Source: Kafka Connect's ConnectorInfo and ConnectorStateInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

#: A key of a connector's configuration that stands there only while the connector is being moved to that side.
#: Its value is the state that the connector shall have there: RUNNING, PAUSED or STOPPED.
MARKER: Final = "pycdc.migrate"


class Task(msgspec.Struct, frozen=True):
    """A task's state; `trace` is a Java or Python stack trace, empty when it has not failed."""

    id: int
    state: str
    trace: str = ""


class Info(msgspec.Struct, frozen=True):
    """GET /connectors/NAME."""

    name: str
    config: dict[str, str | None]
    type: str = "unknown"


class State(msgspec.Struct, frozen=True):
    state: str
    trace: str = ""
    version: str | None = None


class Status(msgspec.Struct, frozen=True):
    """GET /connectors/NAME/status."""

    connector: State
    tasks: list[Task] = []


class Listed(msgspec.Struct, frozen=True):
    """One entry of GET /connectors?expand=info&expand=status."""

    info: Info
    status: Status | None = None


class About(msgspec.Struct, frozen=True):
    """GET /."""

    version: str
    commit: str | None = None
    kafka_cluster_id: str | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """A connector as one cluster has it."""

    name: str
    #: source, sink or unknown
    kind: str
    #: As given, with the key `name`; `${...}` unresolved.
    config: dict[str, str]
    state: str = "UNASSIGNED"
    trace: str = ""
    tasks: tuple[Task, ...] = ()
    #: Of the connector's class, where the cluster tells it.
    version: str = ""

    @classmethod
    def of(cls, info: Info, status: Status | None) -> Observed:
        """Without a status: it is so new that none is written yet."""
        config = {k: v for k, v in info.config.items() if v is not None} | {"name": info.name}
        if status is None:
            return cls(name=info.name, kind=_kind(info.type, config), config=config)
        at = status.connector
        return cls(
            name=info.name, kind=_kind(info.type, config), config=config, state=at.state, trace=at.trace, tasks=tuple(status.tasks),
            version=at.version or "",
        )  # fmt: skip

    @property
    def stopped(self) -> bool:
        """Wished to be stopped; tasks may still be on their way out."""
        return self.state == "STOPPED"

    @property
    def at_rest(self) -> bool:
        """Stopped, and no task is left."""
        return self.stopped and not self.tasks

    @property
    def wish(self) -> str:
        """The state that somebody wants it to have: of what fails or has no worker just now, RUNNING."""
        return self.state if self.state in ("PAUSED", "STOPPED") else "RUNNING"

    @property
    def marker(self) -> str | None:
        """What an unfinished move to this side wants: RUNNING, PAUSED or STOPPED."""
        return self.config.get(MARKER)

    @property
    def plain_config(self) -> dict[str, str]:
        """Without the marker."""
        return {k: v for k, v in self.config.items() if k != MARKER}

    @property
    def failure(self) -> str:
        """The first line of what failed, the connector's own first; empty when nothing did."""
        parts = [("", self.state, self.trace), *((f"task {t.id}: ", t.state, t.trace) for t in self.tasks)]
        return next((f"{who}{_first_line(trace)}" for who, state, trace in parts if state == "FAILED"), "")

    @property
    def works(self) -> bool:
        """RUNNING, with every task."""
        return self.state == "RUNNING" and bool(self.tasks) and all(t.state == "RUNNING" for t in self.tasks)


def _kind(told: str, config: Mapping[str, str]) -> str:
    if told in ("source", "sink"):
        return told
    return "sink" if "topics" in config or "topics.regex" in config else "source"


#: A line of a trace that is longer quotes something, a statement or a record.
_LONGEST_LINE: Final = 300
_CAUSE: Final = "Caused by: "


def _first_line(trace: str) -> str:
    """And the class of the innermost cause, whose text may quote a row."""
    found = trace.strip().splitlines()
    if not found:
        return "FAILED, without a trace"
    causes = [line.removeprefix(_CAUSE).split(":")[0] for line in found if line.startswith(_CAUSE)]
    return found[0][:_LONGEST_LINE] + (f" (caused by {causes[-1]})" if causes else "")
