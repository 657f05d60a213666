"""Metrics: plain integers that a task writes once per batch, read by a Prometheus collector at scrape time.

Debezium's attributes carry the names that the usual JMX exporter rule gives them
(`debezium_metrics_<Attribute>{plugin, name, context}`), so that dashboards and alerts keep working; what
Debezium has no name for is `pycdc_*`. Nothing here is a histogram and nothing locks: the scrape runs on the
same event loop as the task. Knows nothing of the rest of pycdc.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pycdc.telemetry.statistics import Statistics

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector


@dataclass(slots=True)
class SourceMetrics:
    """What a source task counts. Times are ms since the epoch, sizes bytes, positions LSN as int."""

    #: Connector's name, and Debezium's label `name` (topic.prefix).
    connector: str
    server: str = ""
    plugin: str = "postgres"
    #: Labels that the user adds to Debezium's metrics (custom.metric.tags).
    tags: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    bytes: int = 0
    batches: int = 0
    creates: int = 0
    updates: int = 0
    deletes: int = 0
    filtered: int = 0
    errors: int = 0
    nulls_made: int = 0
    retries: int = 0
    reconnects: int = 0
    transactions: int = 0
    captured_tables: int = 0
    connected: int = 0
    #: Changes left out because they changed nothing; -1 = such changes are not left out, as Debezium has it.
    unchanged: int = -1
    #: Age of the newest event when it was handled, ms; -1 = none yet, as Debezium has it. Then all of them.
    behind_ms: int = -1
    behind: Statistics = field(default_factory=Statistics)
    last_event_ms: int = 0
    read_lsn: int = 0
    confirmed_lsn: int = 0
    server_lsn: int = 0
    last_txid: int = 0
    queue_bytes: int = 0
    queue_limit: int = 0
    snapshot_running: int = 0
    snapshot_completed: int = 0
    snapshot_aborted: int = 0
    snapshot_skipped: int = 0
    snapshot_tables: int = 0
    snapshot_tables_left: int = 0
    snapshot_seconds: int = 0
    snapshot_rows: int = 0
    snapshot_rows_expected: int = 0
    snapshot_paused: int = 0
    snapshot_paused_seconds: int = 0
    #: Rows read by the snapshot, by table; parts of a table and how many of them are read.
    snapshot_by_table: dict[str, int] = field(default_factory=dict)
    snapshot_chunks: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Its number, told only where a process runs several.
    task: str = ""

    @property
    def queue_left(self) -> int:
        """Bytes that may still be read before the stream has to wait; Debezium counts events here."""
        return max(0, self.queue_limit - self.queue_bytes)

    @property
    def lag_bytes(self) -> int:
        """WAL that the server has and that is not confirmed."""
        return max(0, self.server_lsn - self.confirmed_lsn) if self.confirmed_lsn else 0

    def saw(self, *, rows: int, size: int, source_ts_us: int, now_ms: int) -> None:
        """One batch. `source_ts_us` is the commit time of its newest transaction, 0 = unknown."""
        self.batches += 1
        self.bytes += size
        if rows:
            self.rows += rows
            self.last_event_ms = now_ms
            if source_ts_us:
                self.behind_ms = max(0, now_ms - source_ts_us // 1000)
                self.behind.add(self.behind_ms, rows)


@dataclass(slots=True)
class SinkMetrics:
    """What a sink task counts. Sizes are bytes, times ms."""

    connector: str
    rows: int = 0
    bytes: int = 0
    batches: int = 0
    upserts: int = 0
    deletes: int = 0
    errors: int = 0
    skipped: int = 0
    dead_letters: int = 0
    retries: int = 0
    flushes: int = 0
    flush_ms: int = 0
    buffered_bytes: int = 0
    buffered_limit: int = 0
    last_flush_ms: int = 0
    assigned_partitions: int = 0
    #: Rows written and deleted, by target table.
    written_by_table: dict[str, int] = field(default_factory=dict)
    #: Records between the end of a topic and what is committed, by topic.
    lag_by_topic: dict[str, int] = field(default_factory=dict)
    #: Its number, told only where a process runs several.
    task: str = ""


_BOTH: Final = ("streaming", "snapshot")

#: Debezium's attribute, ours, contexts.
_DEBEZIUM: Final = (
    ("TotalNumberOfEventsSeen", "rows", _BOTH),
    ("TotalNumberOfCreateEventsSeen", "creates", _BOTH),
    ("TotalNumberOfUpdateEventsSeen", "updates", _BOTH),
    ("TotalNumberOfDeleteEventsSeen", "deletes", _BOTH),
    ("NumberOfEventsFiltered", "filtered", _BOTH),
    ("NumberOfErroneousEvents", "errors", _BOTH),
    ("NumberOfUnchangedEventsSkipped", "unchanged", ("streaming",)),
    ("MaxQueueSizeInBytes", "queue_limit", _BOTH),
    ("CurrentQueueSizeInBytes", "queue_bytes", _BOTH),
    ("Connected", "connected", ("streaming",)),
    ("MilliSecondsBehindSource", "behind_ms", ("streaming",)),
    ("CapturedTables", "captured_tables", _BOTH),
    ("QueueTotalCapacity", "queue_limit", _BOTH),
    ("QueueRemainingCapacity", "queue_left", _BOTH),
    ("NumberOfCommittedTransactions", "transactions", ("streaming",)),
    ("LastTransactionId", "last_txid", ("streaming",)),
    ("TotalTableCount", "snapshot_tables", ("snapshot",)),
    ("RemainingTableCount", "snapshot_tables_left", ("snapshot",)),
    ("SnapshotRunning", "snapshot_running", ("snapshot",)),
    ("SnapshotCompleted", "snapshot_completed", ("snapshot",)),
    ("SnapshotAborted", "snapshot_aborted", ("snapshot",)),
    ("SnapshotSkipped", "snapshot_skipped", ("snapshot",)),
    ("SnapshotDurationInSeconds", "snapshot_seconds", ("snapshot",)),
    ("SnapshotPaused", "snapshot_paused", ("snapshot",)),
    ("SnapshotPausedDurationInSeconds", "snapshot_paused_seconds", ("snapshot",)),
)

#: What Debezium's names for its lag end in, and what that is of all lags.
_LAG: Final[dict[str, Callable[[Statistics], float | None]]] = {
    "MinValue": lambda lags: lags.least,
    "MaxValue": lambda lags: lags.most,
    "AverageValue": lambda lags: lags.mean,
    "P50": lambda lags: lags.quantile(0.5),
    "P95": lambda lags: lags.quantile(0.95),
    "P99": lambda lags: lags.quantile(0.99),
}

#: Name, attribute, help. What only grows is a counter (`_total` is added), the rest a gauge.
_SOURCE_COUNTERS: Final = (
    ("pycdc_source_rows", "rows", "Rows read from the source."),
    ("pycdc_source_bytes", "bytes", "Raw bytes read from the source."),
    ("pycdc_source_batches", "batches", "Batches handed to the destination."),
    ("pycdc_source_transactions", "transactions", "Transactions whose end was read."),
    ("pycdc_source_retries", "retries", "Times that the producer was rebuilt."),
    ("pycdc_source_reconnects", "reconnects", "Times that the connection to the source was made again."),
    ("pycdc_source_errors", "errors", "Events that could not be made."),
    ("pycdc_source_nulls_made", "nulls_made", "Values that became null because their schema cannot hold them."),
)
_SOURCE_GAUGES: Final = (
    ("pycdc_source_lag_bytes", "lag_bytes", "WAL of the server that is not confirmed yet."),
    ("pycdc_source_queue_bytes", "queue_bytes", "Bytes read and not acknowledged yet."),
    ("pycdc_source_read_lsn", "read_lsn", "Position up to which the stream is read."),
    ("pycdc_source_confirmed_lsn", "confirmed_lsn", "Position confirmed to the server."),
    ("pycdc_source_captured_tables", "captured_tables", "Tables that are captured."),
    ("pycdc_snapshot_rows", "snapshot_rows", "Rows read by the current or last snapshot."),
    ("pycdc_snapshot_rows_expected", "snapshot_rows_expected", "Rows that the server estimates for it."),
)
_SINK_COUNTERS: Final = (
    ("pycdc_sink_rows", "rows", "Records taken."),
    ("pycdc_sink_bytes", "bytes", "Bytes of the records taken."),
    ("pycdc_sink_batches", "batches", "Batches of records taken."),
    ("pycdc_sink_upserts", "upserts", "Rows written."),
    ("pycdc_sink_deletes", "deletes", "Rows deleted."),
    ("pycdc_sink_errors", "errors", "Records that could not be written."),
    ("pycdc_sink_skipped", "skipped", "Records that were skipped on purpose."),
    ("pycdc_sink_dead_letters", "dead_letters", "Records written to the dead letter queue."),
    ("pycdc_sink_retries", "retries", "Writes that were tried again."),
    ("pycdc_sink_flushes", "flushes", "Writes that have ended."),
    ("pycdc_sink_flush_milliseconds", "flush_ms", "Time spent in writes."),
)
_SINK_GAUGES: Final = (
    ("pycdc_sink_buffered_bytes", "buffered_bytes", "Bytes taken and not written yet."),
    ("pycdc_sink_assigned_partitions", "assigned_partitions", "Partitions assigned to this process."),
)


class Exposition:
    """The text that `/metrics` answers, over the given tasks' numbers and the process's own."""

    def __init__(self, *tasks: SourceMetrics | SinkMetrics, collectors: Sequence[Collector] = ()) -> None:
        """`collectors` add metrics of their own."""
        from prometheus_client import CollectorRegistry, ProcessCollector

        self.tasks = list(tasks)
        self._registry = CollectorRegistry()
        for collector in (self, *collectors):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def text(self) -> tuple[bytes, str]:
        """Body and content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client; one family holds all tasks, or its name would be given twice."""
        sources = [t for t in self.tasks if isinstance(t, SourceMetrics)]
        sinks = [t for t in self.tasks if isinstance(t, SinkMetrics)]
        if sources:
            yield from _debezium(sources)
            yield from _families(sources, _SOURCE_COUNTERS, _SOURCE_GAUGES)
        if sinks:
            yield from _families(sinks, _SINK_COUNTERS, _SINK_GAUGES)
            yield _lag(sinks)
            yield _written(sinks)


def _families(
    tasks: list[SourceMetrics] | list[SinkMetrics],
    counters: tuple[tuple[str, str, str], ...],
    gauges: tuple[tuple[str, str, str], ...],
) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    labels = _labels(tasks)
    for family, rows in ((CounterMetricFamily, counters), (GaugeMetricFamily, gauges)):
        for name, attribute, text in rows:
            metric = family(name, text, labels=labels)
            for task in tasks:
                metric.add_metric(_values(task, labels), getattr(task, attribute))
            yield metric


def _labels(tasks: Sequence[SourceMetrics | SinkMetrics]) -> tuple[str, ...]:
    return ("connector", "task") if any(t.task for t in tasks) else ("connector",)


def _values(task: SourceMetrics | SinkMetrics, labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(getattr(task, label) for label in labels)


def _debezium(sources: list[SourceMetrics]) -> Iterator[Metric]:
    """All gauges: a JMX exporter cannot know which attributes only grow, and `_total` would change the name."""
    from prometheus_client.core import GaugeMetricFamily

    tags = sorted({tag for s in sources for tag in s.tags})
    labels = ("plugin", "name", "context", *tags)

    def values(s: SourceMetrics, context: str, *more: str) -> tuple[str, ...]:
        return (s.plugin, s.server or s.connector, context, *(s.tags.get(tag, "") for tag in tags), *more)

    def gauge(attribute: str, *more: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"debezium_metrics_{attribute}", f"Debezium's {attribute}.", labels=(*labels, *more))

    for attribute, ours, contexts in _DEBEZIUM:
        metric = gauge(attribute)
        for s in sources:
            for context in contexts:
                metric.add_metric(values(s, context), getattr(s, ours))
        yield metric
    since, behind = gauge("MilliSecondsSinceLastEvent"), {suffix: gauge(f"MilliSecondsBehindSource{suffix}") for suffix in _LAG}
    position = gauge("SourceEventPosition", "key")
    tables = {name: gauge(name, "table") for name in ("RowsScanned", "TableChunkCounts", "TableChunksCompletedCounts")}
    now = time.time_ns() // 1_000_000
    for s in sources:
        for context in _BOTH:
            since.add_metric(values(s, context), now - s.last_event_ms if s.last_event_ms else -1)
        for suffix, of in _LAG.items():
            value = of(s.behind)
            if value is not None:
                behind[suffix].add_metric(values(s, "streaming"), value)
        position.add_metric(values(s, "streaming", "lsn"), s.read_lsn)
        for table, count in s.snapshot_by_table.items():
            tables["RowsScanned"].add_metric(values(s, "snapshot", table), count)
        for table, (total, done) in s.snapshot_chunks.items():
            tables["TableChunkCounts"].add_metric(values(s, "snapshot", table), total)
            tables["TableChunksCompletedCounts"].add_metric(values(s, "snapshot", table), done)
    yield from (since, *behind.values(), position, *tables.values())


def _lag(sinks: list[SinkMetrics]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    labels = _labels(sinks)
    metric = GaugeMetricFamily("pycdc_sink_lag_records", "Records of the topic behind what is committed.", labels=(*labels, "topic"))
    for s in sinks:
        for topic, lag in s.lag_by_topic.items():
            metric.add_metric((*_values(s, labels), topic), lag)
    return metric


def _written(sinks: list[SinkMetrics]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    labels = _labels(sinks)
    metric = CounterMetricFamily("pycdc_sink_table_rows", "Rows written and deleted in a table.", labels=(*labels, "table"))
    for s in sinks:
        for table, rows in s.written_by_table.items():
            metric.add_metric((*_values(s, labels), table), rows)
    return metric
