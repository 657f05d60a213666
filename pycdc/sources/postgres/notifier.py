"""Tells how snapshots go, to the channels that the configuration names: a topic, the log.

Records wait here until the source's next batch takes them along.
"""

from __future__ import annotations

import time
import uuid

import structlog

from pycdc.debezium.notifications import INCREMENTAL, INITIAL, Notifications
from pycdc.plugins.contracts import Run

log = structlog.get_logger(__name__)


class Notifier:
    """`topic` None and `logged` False: nobody wants to know."""

    def __init__(self, connector: str, topic: str | None, *, logged: bool) -> None:
        self._connector = connector
        self._records = None if topic is None else Notifications(topic)
        self._logged = logged
        self._pending: list[Run] = []

    def initial(self, kind: str, **details: str) -> None:
        """Of a snapshot that is no incremental one; each notification has an id of its own."""
        self._tell(INITIAL, kind, str(uuid.uuid4()), details)

    def incremental(self, kind: str, signal: str | None, **details: str) -> None:
        """Of an incremental one; `signal` is the id of the signal that asked for it."""
        self._tell(INCREMENTAL, kind, signal or str(uuid.uuid4()), details)

    def _tell(self, aggregate: str, kind: str, identity: str, details: dict[str, str]) -> None:
        if self._logged:
            log.info("notification", aggregate=aggregate, kind=kind, id=identity, **details)
        if self._records is not None:
            details["connector_name"] = self._connector
            self._pending.append(self._records.record(aggregate, kind, identity, details, time.time_ns() // 1_000_000))

    @property
    def pending(self) -> bool:
        return bool(self._pending)

    def take(self) -> list[Run]:
        """The records since the last call."""
        taken, self._pending = self._pending, []
        return taken
