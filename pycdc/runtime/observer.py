"""What the world is told of a source at work: a task's counters become health, metrics and a line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from pycdc.errors import ConnectionLost
from pycdc.model.envelope import CREATE, DELETE, UPDATE
from pycdc.plugins.contracts import Progress
from pycdc.runtime.health import Health
from pycdc.telemetry.metrics import SourceMetrics

if TYPE_CHECKING:
    from pycdc.runtime.source_task import SourceTask

log = structlog.get_logger(__name__)


class SnapshotLog:
    """A line every ten seconds while a snapshot runs: rows, rows per second, percent."""

    _EVERY = 10.0

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._rows = 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.phase != "snapshot" or now - self._at < self._EVERY:
            return
        rate = (progress.rows_total - self._rows) / (now - self._at)
        self._at, self._rows = now, progress.rows_total
        log.info(
            "snapshot", table=progress.table, rows=progress.rows, percent=percent(progress),
            tables=f"{progress.tables_done} of {progress.tables}", rows_per_second=round(rate),
        )  # fmt: skip


def percent(progress: Progress) -> int | None:
    """Of the table being read, by the planner's estimate; None without one."""
    if not progress.rows_expected:
        return None
    return min(99, 100 * progress.rows // progress.rows_expected)


class Observer:
    """Copies a task's counters into health and metrics, once per batch."""

    def __init__(self, health: Health, metrics: SourceMetrics, show: Callable[[Progress], None] | None = None) -> None:
        self.health = health
        self.metrics = metrics
        self.show = show or SnapshotLog()
        self._rows: dict[str, int] = {}

    def __call__(self, task: SourceTask) -> None:
        m, p, now = self.metrics, task.progress, time.time()
        m.saw(
            rows=task.records - m.rows, size=task.bytes_read - m.bytes, source_ts_us=task.source_ts_us,
            now_ms=int(now * 1000),
        )  # fmt: skip
        m.retries = task.rebuilds
        m.queue_bytes = task.sender.buffered_bytes
        m.confirmed_lsn = task.confirmed_lsn
        m.creates, m.updates, m.deletes = task.ops[CREATE], task.ops[UPDATE], task.ops[DELETE]
        m.transactions, m.filtered = task.transactions, task.encoder.outcome.dropped
        self.progressed(p)
        if task.fetching.fault is not None:
            self.health.retrying(task.fetching.fault)
        self.health.lsn, self.health.lag_bytes = task.confirmed_lsn, m.lag_bytes
        for topic, rows in task.records_by_topic.items():
            known = self._rows.get(topic, 0)
            if rows != known:
                self.health.wrote(topic, rows - known, now)
                self._rows[topic] = rows

    def progressed(self, p: Progress) -> None:
        """What the source says of itself."""
        m = self.metrics
        m.read_lsn, m.server_lsn, m.reconnects, m.last_txid = p.read_lsn, p.server_lsn, p.reconnects, p.txid
        m.connected = int(not p.fault)
        m.unchanged, m.tags, m.captured_tables = p.unchanged, p.labels, p.captured
        m.snapshot_running = int(p.phase == "snapshot" or p.incremental == "running")
        m.snapshot_paused, m.snapshot_paused_seconds = int(p.incremental == "paused"), int(p.paused_for)
        m.snapshot_tables, m.snapshot_tables_left = p.tables, p.tables - p.tables_done
        m.snapshot_rows, m.snapshot_rows_expected = p.rows_total, p.rows_expected
        m.snapshot_by_table, m.snapshot_seconds = p.by_table, int(p.seconds)
        m.snapshot_chunks = p.chunks
        m.snapshot_completed, m.snapshot_aborted = int(p.ended == "completed"), int(p.ended == "aborted")
        m.snapshot_skipped = int(p.ended == "skipped")
        if p.fault:
            self.health.retrying(ConnectionLost(p.fault))
        elif p.phase != "starting":
            self.health.delivering(snapshot=p.phase != "streaming")
        self.show(p)
