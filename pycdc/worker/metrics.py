"""A worker's metrics under the names that boards of Kafka Connect know: JMX's, as Strimzi's exporter rules write them.

What runs here is told here; every worker speaks of its own. Read at scrape time, from memory.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pycdc.telemetry.metrics import Exposition, SinkMetrics, SourceMetrics
from pycdc.worker.items import name_of_item, number_of_item
from pycdc.worker.running import RunningConnector, RunningTask
from pycdc.worker.statuses import State

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily, Metric

    from pycdc.worker.herder import Herder

#: JMX type and attribute, our attribute.
_SOURCE: Final = (
    ("source_record_poll_total", "rows"), ("source_record_write_total", "rows"), ("source_record_active_count_bytes", "queue_bytes"),
)  # fmt: skip
_SINK: Final = (
    ("sink_record_read_total", "rows"), ("sink_record_active_count_bytes", "buffered_bytes"), ("partition_count", "assigned_partitions"),
    ("offset_commit_completion_total", "flushes"),
)  # fmt: skip
_ERRORS: Final = (
    ("total_record_failures", "errors"), ("total_record_errors", "errors"), ("total_records_skipped", "skipped"),
    ("deadletterqueue_produce_requests", "dead_letters"), ("total_retries", "retries"),
)  # fmt: skip
_COUNTED: Final = ("total", "running", "paused", "failed", "unassigned", "restarting", "destroyed")


class WorkerMetrics:
    """`/metrics` of a worker."""

    def __init__(self, herder: Herder) -> None:
        self._herder = herder
        self._exposition = Exposition(collectors=[self])

    def text(self) -> tuple[bytes, str, int]:
        """Body, content type, status."""
        self._exposition.tasks = [t.job.metrics for _item, t in self._tasks() if t.job is not None]
        return (*self._exposition.text(), 200)

    def _tasks(self) -> list[tuple[str, RunningTask]]:
        return [(item, h) for item, h in sorted(self._herder.held.items()) if isinstance(h, RunningTask)]

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client."""
        yield from self._states()
        yield from self._work()
        yield from self._of_worker()
        yield from self._of_group()

    def _states(self) -> Iterator[Metric]:
        connectors = _gauge("connector_status", "connector", "status", "connector_class")
        tasks = _gauge("connector_task_status", "connector", "task", "status")
        for item, held in self._herder.held.items():
            name, number = name_of_item(item), number_of_item(item)
            if held.state is None:
                continue
            if number is None:
                class_name = self._herder.configs.connectors.get(name, {}).get("connector.class", "")
                connectors.add_metric((name, held.state.lower(), class_name), 1)
            else:
                tasks.add_metric((name, str(number), held.state.lower()), 1)
        yield from (connectors, tasks)

    def _work(self) -> Iterator[Metric]:
        sources = {name: _gauge(f"source_task_{name}", "connector", "task") for name, _ours in _SOURCE}
        sinks = {name: _gauge(f"sink_task_{name}", "connector", "task") for name, _ours in (*_SINK, ("sink_record_send_total", ""), ("sink_record_lag_max", ""))}
        errors = {name: _gauge(f"task_error_{name}", "connector", "task") for name, _ours in _ERRORS}
        stalled = _own_gauge("pycdc_task_stalled_seconds", "Time for which a task with work to do has not moved.")
        restarts = _own_gauge("pycdc_task_restarts", "Restarts of a failed task, by itself, since this worker has it.")
        for item, held in self._tasks():
            labels = (name_of_item(item), str(number_of_item(item)))
            restarts.add_metric(labels, held.restarts)
            if held.job is None:
                continue
            m = held.job.metrics
            stalled.add_metric(labels, held.job.health.stalled)
            for name, ours in _SOURCE if isinstance(m, SourceMetrics) else _SINK:
                (sources if isinstance(m, SourceMetrics) else sinks)[name].add_metric(labels, getattr(m, ours))
            if isinstance(m, SinkMetrics):
                sinks["sink_record_send_total"].add_metric(labels, m.upserts + m.deletes)
                sinks["sink_record_lag_max"].add_metric(labels, max(m.lag_by_topic.values(), default=0))
            for name, ours in _ERRORS:
                errors[name].add_metric(labels, getattr(m, ours, 0))
        yield from (*sources.values(), *sinks.values(), *errors.values(), stalled, restarts)

    def _of_worker(self) -> Iterator[Metric]:
        held = self._herder.held
        connectors = [item for item, h in held.items() if isinstance(h, RunningConnector)]
        yield _one("worker_connector_count", len(connectors))
        yield _one("worker_task_count", len(held) - len(connectors))
        counts: dict[str, Counter[str]] = {name_of_item(item): Counter() for item in held}
        for item, task in self._tasks():
            count = counts[name_of_item(item)]
            count["total"] += 1
            count[(task.state or State.UNASSIGNED).lower()] += 1
        for kind in _COUNTED:
            metric = _gauge(f"worker_connector_{kind}_task_count", "connector")
            for name, count in counts.items():
                metric.add_metric((name,), count[kind])
            yield metric

    def _of_group(self) -> Iterator[Metric]:
        h = self._herder
        items = h.place.assignment.items
        yield _one("coordinator_assigned_connectors", sum(number_of_item(i) is None for i in items))
        yield _one("coordinator_assigned_tasks", sum(number_of_item(i) is not None for i in items))
        yield _one("worker_rebalance_completed_rebalances_total", h.rebalances)
        yield _one("worker_rebalance_epoch", h.place.generation)
        yield _one("worker_rebalance_rebalancing", int(h.place.generation < 0))
        yield _one("worker_rebalance_time_since_last_rebalance_ms", int((time.monotonic() - h.met_at) * 1000) if h.met_at else -1)


def _gauge(name: str, *labels: str) -> GaugeMetricFamily:
    """All are gauges, for an exporter of JMX cannot know what only grows."""
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"kafka_connect_{name}", f"Kafka Connect's {name.replace('_', '-')}.", labels=labels)


def _own_gauge(name: str, text: str) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, labels=("connector", "task"))


def _one(name: str, value: int) -> Metric:
    metric = _gauge(name)
    metric.add_metric((), value)
    return metric
