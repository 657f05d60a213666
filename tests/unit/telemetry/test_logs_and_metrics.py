"""Log lines in both forms, without secrets; metrics under Debezium's names and ours."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from pathlib import Path

import pytest
import structlog

import pycdc.telemetry
from pycdc.telemetry.log import bind, configure
from pycdc.telemetry.metrics import Exposition, SinkMetrics, SourceMetrics


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_where_nobody_looks() -> None:
    out = io.StringIO()
    assert configure("auto", "info", out) is True
    bind(connector="shop")
    structlog.get_logger().info("starting", rows=3)
    structlog.get_logger().debug("not shown")
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "starting", "level": "info", "connector": "shop", "rows": 3}


def test_text_on_a_terminal_and_when_asked() -> None:
    out = Terminal()
    assert configure("auto", "info", out) is False
    structlog.get_logger().warning("careful", rows=3)
    assert "careful" in out.getvalue()
    plain = io.StringIO()
    assert configure("text", "info", plain) is False
    structlog.get_logger().warning("careful")
    assert "\x1b" not in plain.getvalue()


def test_fields_named_like_secrets_are_hidden() -> None:
    out = io.StringIO()
    configure("json", "debug", out)
    structlog.get_logger().info("x", database_password="hunter2", sasl_jaas_config="hunter2", token="hunter2", user="ann")
    assert "hunter2" not in out.getvalue()
    assert json.loads(out.getvalue())["user"] == "ann"


def test_other_libraries_come_out_in_the_same_form_from_warning_on() -> None:
    out = io.StringIO()
    configure("json", "debug", out)
    configure("json", "debug", out)  # a second call must not double the lines
    logging.getLogger("aiokafka.client").warning("no broker at %s", "x:1")
    logging.getLogger("aiokafka.client").info("chatter")
    try:
        raise ValueError("row value")
    except ValueError:
        logging.getLogger("asyncio").exception("task failed")
    lines = [json.loads(text) for text in out.getvalue().splitlines()]
    assert [(x["logger"], x["event"], x["level"]) for x in lines] == [
        ("aiokafka.client", "no broker at x:1", "warning"),
        ("asyncio", "task failed", "error"),
    ]
    assert lines[1]["exception"] == "ValueError"
    assert "row value" not in out.getvalue()


def series(*tasks: SourceMetrics | SinkMetrics) -> dict[str, float]:
    body, content_type = Exposition(*tasks).text()
    assert content_type.startswith("text/plain")
    lines = [x for x in body.decode().splitlines() if not x.startswith("#")]
    return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines)}


def test_debeziums_names() -> None:
    m = SourceMetrics("shop", "srv", queue_limit=64)
    m.saw(rows=5, size=100, source_ts_us=1_000_000, now_ms=1500)
    m.snapshot_by_table["public.a"] = 7
    found = series(m)
    labels = '{context="streaming",name="srv",plugin="postgres"}'
    assert found[f"debezium_metrics_MilliSecondsBehindSource{labels}"] == 500
    assert found[f"debezium_metrics_TotalNumberOfEventsSeen{labels}"] == 5
    assert found[f"debezium_metrics_MaxQueueSizeInBytes{labels}"] == 64
    assert found['debezium_metrics_RowsScanned{context="snapshot",name="srv",plugin="postgres",table="public.a"}'] == 7
    assert 'debezium_metrics_SnapshotRunning{context="snapshot",name="srv",plugin="postgres"}' in found


#: Every attribute of Debezium's beans that is a number or a truth: what a JMX exporter can show.
STREAMING = ["MilliSecondsSinceLastEvent", "TotalNumberOfEventsSeen", "TotalNumberOfCreateEventsSeen", "TotalNumberOfUpdateEventsSeen", "TotalNumberOfDeleteEventsSeen", "NumberOfEventsFiltered", "NumberOfErroneousEvents", "QueueTotalCapacity", "QueueRemainingCapacity", "MaxQueueSizeInBytes", "CurrentQueueSizeInBytes", "CapturedTables", "Connected", "MilliSecondsBehindSource", "MilliSecondsBehindSourceMinValue", "MilliSecondsBehindSourceMaxValue", "MilliSecondsBehindSourceAverageValue", "MilliSecondsBehindSourceP50", "MilliSecondsBehindSourceP95", "MilliSecondsBehindSourceP99", "NumberOfCommittedTransactions", "NumberOfUnchangedEventsSkipped", "SourceEventPosition", "LastTransactionId"]
SNAPSHOT = ["MilliSecondsSinceLastEvent", "TotalNumberOfEventsSeen", "TotalNumberOfCreateEventsSeen", "TotalNumberOfUpdateEventsSeen", "TotalNumberOfDeleteEventsSeen", "NumberOfEventsFiltered", "NumberOfErroneousEvents", "QueueTotalCapacity", "QueueRemainingCapacity", "MaxQueueSizeInBytes", "CurrentQueueSizeInBytes", "CapturedTables", "TotalTableCount", "RemainingTableCount", "SnapshotRunning", "SnapshotPaused", "SnapshotAborted", "SnapshotCompleted", "SnapshotSkipped", "SnapshotDurationInSeconds", "SnapshotPausedDurationInSeconds", "RowsScanned", "TableChunkCounts", "TableChunksCompletedCounts"]


def test_every_attribute_of_debeziums_beans_that_is_a_number() -> None:
    m = SourceMetrics("shop", snapshot_by_table={"public.a": 7}, snapshot_chunks={"public.a": (4, 2)})
    m.saw(rows=5, size=100, source_ts_us=1_000_000, now_ms=1500)
    found = {(n.split("{")[0], c) for n in series(m) for c in ("streaming", "snapshot") if f'context="{c}"' in n}
    assert found == {(f"debezium_metrics_{a}", "streaming") for a in STREAMING} | {(f"debezium_metrics_{a}", "snapshot") for a in SNAPSHOT}


def test_the_page_of_metrics_has_every_name_and_no_other() -> None:
    page = (Path(pycdc.telemetry.__path__[0]).parents[1] / "docs" / "metrics.md").read_text()
    page = page.partition("## A Connect worker")[0]  # its own are test_worker_metrics's
    m = SourceMetrics("shop", snapshot_by_table={"public.a": 7}, snapshot_chunks={"public.a": (4, 2)})
    names = {n.split("{")[0] for n in series(m, SinkMetrics("sink", lag_by_topic={"t": 9}, written_by_table={"t": 3}))}
    names = {n for n in names if n.startswith("pycdc_") and not n.endswith("_created")}
    assert set(re.findall(r"\bpycdc_[a-z_]+", page)) == names
    for attribute in {*STREAMING, *SNAPSHOT}:
        stem = re.sub("(TotalNumberOf|MilliSecondsBehindSource)(?=[A-Z])", "", attribute)
        assert attribute in page or f"...{stem.removesuffix('EventsSeen')}" in page, attribute


def test_the_lag_over_time() -> None:
    m = SourceMetrics("shop")
    for ms in range(1, 101):
        m.saw(rows=1, size=1, source_ts_us=1_000_000, now_ms=1000 + ms)
    m.saw(rows=0, size=1, source_ts_us=1_000_000, now_ms=90_000)  # no event: an idle source is not late
    m.saw(rows=1, size=1, source_ts_us=0, now_ms=90_000)  # a row of a snapshot has no time
    found = {n.split("{")[0].removeprefix("debezium_metrics_MilliSecondsBehindSource"): v for n, v in series(m).items()}
    assert (found["MinValue"], found["MaxValue"], found["AverageValue"]) == (1, 100, 50.5)
    assert [found[p] for p in ("P50", "P95", "P99")] == pytest.approx([50, 95, 99], rel=0.03)
    assert found[""] == 100


def test_labels_of_the_user_stand_on_every_metric_of_debeziums() -> None:
    found = series(SourceMetrics("a", tags={"env": "prod"}), SourceMetrics("b", tags={"team": "x"}))
    names = [n for n in found if n.startswith("debezium_metrics_Connected")]
    assert sorted(names) == [
        'debezium_metrics_Connected{context="streaming",env="",name="b",plugin="postgres",team="x"}',
        'debezium_metrics_Connected{context="streaming",env="prod",name="a",plugin="postgres",team=""}',
    ]


def test_before_the_first_event_the_lag_is_unknown_not_zero() -> None:
    found = series(SourceMetrics("shop"))
    labels = '{context="streaming",name="shop",plugin="postgres"}'
    assert found[f"debezium_metrics_MilliSecondsBehindSource{labels}"] == -1
    assert found[f"debezium_metrics_MilliSecondsSinceLastEvent{labels}"] == -1


def test_our_own_names() -> None:
    m = SourceMetrics("shop", confirmed_lsn=100, server_lsn=350, nulls_made=2, retries=1)
    found = series(m)
    assert found['pycdc_source_lag_bytes{connector="shop"}'] == 250
    assert found['pycdc_source_nulls_made_total{connector="shop"}'] == 2
    assert found['pycdc_source_retries_total{connector="shop"}'] == 1


def test_source_and_sink_of_one_process() -> None:
    found = series(SourceMetrics("a", rows=1), SourceMetrics("b", rows=2), SinkMetrics("c", upserts=4, lag_by_topic={"t": 9}))
    assert found['pycdc_source_rows_total{connector="a"}'] == 1
    assert found['pycdc_source_rows_total{connector="b"}'] == 2
    assert found['pycdc_sink_upserts_total{connector="c"}'] == 4
    assert found['pycdc_sink_lag_records{connector="c",topic="t"}'] == 9


def test_a_clock_behind_the_server_gives_no_negative_lag() -> None:
    m = SourceMetrics("shop")
    m.saw(rows=1, size=1, source_ts_us=2_000_000, now_ms=1000)
    assert m.behind_ms == 0


def test_telemetry_imports_nothing_of_pycdc_but_itself() -> None:
    for path in Path(pycdc.telemetry.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text())
        modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        assert not [m for m in modules if m.startswith("pycdc") and not m.startswith("pycdc.telemetry")]
