"""Health of one process: the state that tasks write and `/health/*` answers.

States: starting -> snapshot -> streaming, `retrying` while a lost server is waited for, `failed` at the end.
Live means that the process should be left running, ready that it delivers changes now. Error texts are those
of PycdcError, which hold no row's values. Plain attributes, no locks: one event loop writes and reads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pycdc.model.lsn import format_lsn

Status = Literal["starting", "snapshot", "streaming", "retrying", "failed", "stopping"]

_DELIVERING: Final = ("snapshot", "streaming")
#: Words of `/health/cdc`, as monitors of Debezium stacks know them.
_WORDS: Final[dict[str, str]] = {
    "starting": "starting",
    "snapshot": "healthy",
    "streaming": "healthy",
    "retrying": "degraded",
    "failed": "unhealthy",
    "stopping": "stopping",
}


@dataclass(slots=True)
class TableHealth:
    """`rows` counts changes since the process began; `updated` is seconds since the epoch."""

    rows: int = 0
    updated: float = 0.0


@dataclass(slots=True)
class Health:
    """State of one connector."""

    connector: str = ""
    status: Status = "starting"
    last_error: str = ""
    #: Seconds for which a task that has work to do has not moved; 0 = it moves.
    stalled: int = 0
    #: By table (source) or target table (sink).
    tables: dict[str, TableHealth] = field(default_factory=dict)
    #: Newest confirmed position, 0 = none, and WAL behind it in bytes.
    lsn: int = 0
    lag_bytes: int = 0
    #: Records not consumed yet, by topic; sinks only.
    kafka_lag: dict[str, int] = field(default_factory=dict)

    # ---- what tasks call

    def delivering(self, *, snapshot: bool) -> None:
        """Changes flow; an error that was being retried is over."""
        self.status = "snapshot" if snapshot else "streaming"
        self.last_error = ""

    def retrying(self, error: BaseException) -> None:
        self.status = "retrying"
        self.last_error = str(error)

    def failed(self, error: BaseException) -> None:
        self.status = "failed"
        self.last_error = str(error)

    def stopping(self) -> None:
        self.status = "stopping"

    def wrote(self, table: str, rows: int, at: float | None = None) -> None:
        """`rows` more changes of `table`, acknowledged at `at` (seconds, now when None)."""
        entry = self.tables.get(table)
        if entry is None:
            entry = self.tables[table] = TableHealth()
        entry.rows += rows
        entry.updated = time.time() if at is None else at

    def wrote_in_all(self, table: str, rows: int) -> None:
        """The same, told as the count since the process began."""
        known = self.tables.get(table)
        if known is None or known.rows != rows:
            self.wrote(table, rows - (known.rows if known is not None else 0))

    # ---- what the server asks

    @property
    def is_live(self) -> bool:
        return self.status != "failed"

    @property
    def is_ready(self) -> bool:
        return self.status in _DELIVERING

    def report(self) -> dict[str, Any]:
        """The answer of `/health/cdc`."""
        answer: dict[str, Any] = {
            "status": _WORDS[self.status],
            "cdc_tables": {name: _table(t) for name, t in sorted(self.tables.items())},
            "kafka_lag": dict(sorted(self.kafka_lag.items())),
            "connector": self.connector,
            "phase": self.status,
            "lsn": format_lsn(self.lsn) if self.lsn else None,
            "lag_bytes": self.lag_bytes,
        }
        if self.last_error:
            answer["error"] = self.last_error
        return answer


def _table(t: TableHealth) -> dict[str, Any]:
    updated = datetime.fromtimestamp(t.updated, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if t.updated else None
    return {"rows": t.rows, "last_update": updated}
