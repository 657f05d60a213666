"""Series that boards and alerts of Kafka Connect look for, as Strimzi's exporter rules name them."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pycdc.runtime.health import Health
from pycdc.runtime.job import Job
from pycdc.telemetry.metrics import SinkMetrics, SourceMetrics
from pycdc.worker.configs import Configs, Target
from pycdc.worker.group import Assignment, Place
from pycdc.worker.metrics import WorkerMetrics
from pycdc.worker.running import Backoff, RunningConnector, RunningTask, Wish
from pycdc.worker.statuses import State

WISH = Wish({}, Target.STARTED)


def task(metrics, state=State.RUNNING, restarts=0):
    held = RunningTask(WISH, None, None, Backoff(), None)
    held.state, held.restarts = state, restarts
    if metrics is not None:
        health = Health(metrics.connector)
        held.job = Job(health, metrics, None, topics=dict, begun=bool, position=int, behind=bool)
    return held


def connector(state):
    held = RunningConnector(WISH, None, None)
    held.state = state
    return held


@pytest.fixture
def series():
    configs = Configs()
    configs.connectors = {"src": {"connector.class": "PostgresConnector"}, "snk": {"connector.class": "jdbc-sink"}}
    held = {
        "-/src": connector(State.RUNNING), "0/src": task(SourceMetrics("src", task="0", rows=10, filtered=2, batches=5, retries=1)),
        "-/snk": connector(State.PAUSED), "0/snk": task(SinkMetrics("snk", task="0", rows=9, upserts=6, deletes=2, errors=1, dead_letters=1, flushes=4, flush_ms=8, lag_by_topic={"t": 3})),
        "1/snk": task(None, State.FAILED, restarts=2),
    }  # fmt: skip
    place = Place(Assignment(list(held), "http://a:1"), 7, leads=True)
    herder = SimpleNamespace(held=held, configs=configs, place=place, rebalances=3, met_at=0.0)
    body, content_type, status = WorkerMetrics(herder).text()
    assert status == 200
    assert content_type.startswith("text/plain")
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in text_string_to_metric_families(body.decode()) for s in f.samples}


def test_states_have_their_series(series):
    def of(name, **labels):
        return series[name, tuple(sorted(labels.items()))]

    assert of("kafka_connect_connector_status", connector="src", status="running", connector_class="PostgresConnector") == 1
    assert of("kafka_connect_connector_status", connector="snk", status="paused", connector_class="jdbc-sink") == 1
    assert of("kafka_connect_connector_task_status", connector="snk", task="1", status="failed") == 1
    assert of("kafka_connect_worker_connector_failed_task_count", connector="snk") == 1
    assert of("kafka_connect_worker_connector_running_task_count", connector="snk") == 1
    assert of("kafka_connect_worker_connector_total_task_count", connector="snk") == 2
    assert of("kafka_connect_worker_connector_count") == 2
    assert of("kafka_connect_worker_task_count") == 3


def test_work_has_its_series(series):
    def of(name, connector, task="0"):
        return series[name, (("connector", connector), ("task", task))]

    assert of("kafka_connect_source_task_source_record_poll_total", "src") == 12
    assert of("kafka_connect_source_task_source_record_write_total", "src") == 10
    assert of("kafka_connect_sink_task_sink_record_read_total", "snk") == 9
    assert of("kafka_connect_sink_task_sink_record_send_total", "snk") == 8
    assert of("kafka_connect_sink_task_sink_record_lag_max", "snk") == 3
    assert of("kafka_connect_sink_task_put_batch_avg_time_ms", "snk") == 2
    assert of("kafka_connect_task_error_total_record_failures", "snk") == 1
    assert of("kafka_connect_task_error_deadletterqueue_produce_requests", "snk") == 1
    assert of("kafka_connect_connector_task_batch_size_avg", "src") == 2
    assert of("pycdc_task_restarts", "snk", "1") == 2
    assert of("pycdc_source_rows_total", "src") == 10


def test_the_page_of_metrics_has_every_name(series):
    section = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text().partition("## A Connect worker")[2]
    for name in {name for name, _labels in series if name.startswith(("kafka_connect_", "pycdc_task_"))}:
        stem = re.sub(r"kafka_connect_(source_task|sink_task|task_error|worker_rebalance|coordinator)", "...", name)
        worker = re.sub(r"_(total|running|paused|failed|unassigned|restarting|destroyed)_task_count", "_{", name)
        assert name in section or stem in section or worker in section, name


def test_the_group_has_its_series(series):
    assert series["kafka_connect_coordinator_assigned_tasks", ()] == 3
    assert series["kafka_connect_coordinator_assigned_connectors", ()] == 2
    assert series["kafka_connect_worker_rebalance_completed_rebalances_total", ()] == 3
    assert series["kafka_connect_worker_rebalance_rebalancing", ()] == 0
    assert series["kafka_connect_worker_rebalance_epoch", ()] == 7
