"""Exit codes, how errors are told, what --help imports, signals."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from pycdc.cli.app import pycdc
from pycdc.errors import ConfigError, Fault, ServerError
from pycdc.plugins import registry

ROOT = Path(__file__).parents[3]
STAND_INS = str(Path(__file__).parents[1] / "plugins")
CONFIG = {
    "name": "shop", "connector.class": "fake", "topic.prefix": "p", "bootstrap.servers": "127.0.0.1:1", "offset.storage.topic": "o",
}  # fmt: skip


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the commands hand to the tasks; an exception put in first is raised by the task."""
    calls: list[Any] = []

    async def task(*args: Any, **kwargs: Any) -> None:
        failure = calls.pop(0) if calls and isinstance(calls[0], BaseException) else None
        calls.append((args, kwargs))
        if failure is not None:
            raise failure

    for module, name in (("source_task", "run_source"), ("sink_task", "run_sink"), ("direct", "run_direct")):
        fake = ModuleType(f"pycdc.runtime.{module}")
        setattr(fake, name, task)
        monkeypatch.setitem(sys.modules, f"pycdc.runtime.{module}", fake)
    monkeypatch.setattr(sys, "path", [STAND_INS, *sys.path])
    table = {**registry.TABLE, registry.SOURCE: {"fake": "stand_ins:FakeSource"}, registry.SINK: {"fake-sink": "stand_ins:FakeSink"}}
    monkeypatch.setattr(registry, "TABLE", table)
    return calls


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"name": "shop", "config": CONFIG}))
    return str(path)


def call(*args: str) -> Result:
    return CliRunner().invoke(pycdc, list(args))


def test_source_hands_its_plan_to_the_task(ran: list[Any], config: str) -> None:
    result = call("source", "--config", config, "--set", "topic.prefix=q", "--http", "127.0.0.1:0", "--offsets-file", "o.json")
    assert result.exit_code == 0, result.output
    (((plan,), options),) = ran
    assert (plan.name, plan.settings.prefix) == ("shop", "q")
    assert options["http"] == "127.0.0.1:0"
    assert options["offsets_file"] == "o.json"
    assert options["stop"].is_set() is False


def test_sink_and_run(ran: list[Any], config: str, tmp_path: Path) -> None:
    sink = tmp_path / "s.properties"
    sink.write_text("name=s\nconnector.class=fake-sink\nconnection.url=u\n")
    assert call("sink", "--config", str(sink), "--set", "topics=a", "--set", "bootstrap.servers=x:1").exit_code == 0
    assert ran[0][0][0].topics == ("a",)
    result = call("run", "--source", config, "--sink", str(sink), "--set-source", "topic.prefix=z", "--set-sink", "connection.url=v")
    assert result.exit_code == 0, result.output
    source_plan, sink_plan = ran[1][0]
    assert (source_plan.settings.prefix, sink_plan.settings.url) == ("z", "v")


def test_run_tells_the_faults_of_both_sides(ran: list[Any], config: str, tmp_path: Path) -> None:
    sink = tmp_path / "s.properties"
    sink.write_text("name=s\nconnector.class=fake-sink\n")
    result = call("run", "--source", config, "--sink", str(sink), "--set-source", "database.port=x", "--log-format", "text")
    assert result.exit_code == 2
    assert "database.port = 'x'" in result.stderr
    assert "connection.url: is required" in result.stderr
    assert ran == []


def test_a_wrong_configuration_is_2_with_every_fault_and_no_trace(ran: list[Any], config: str) -> None:
    result = call("source", "--config", config, "--set", "database.port=x", "--set", "snapshot.mode=y", "--log-format", "text")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: The configuration of the source connector shop is wrong.\n")
    assert "database.port = 'x'" in result.stderr
    assert "snapshot.mode = 'y'" in result.stderr
    assert "(from --set)" in result.stderr
    assert "Traceback" not in result.stderr


def test_as_json_an_error_is_one_line(ran: list[Any], config: str) -> None:
    result = call("source", "--config", config, "--set", "database.port=x", "--log-format", "json")
    (line,) = map(json.loads, result.stderr.splitlines())
    assert line["level"] == "error"
    assert line["faults"] == [{"key": "database.port", "message": line["faults"][0]["message"], "value": "x", "origin": "--set"}]


def test_faults_of_kafka_settings_and_topic_groups_come_with_the_others(
    ran: list[Any], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCDC_TEST_PW", "hunter2")
    values = (
        "database.port=x", "producer.override.request.timeout.ms=${env:PYCDC_TEST_PW}", "sasl.mechanism=PLAIN", "producer.security.protocol=TLS",
        "topic.creation.default.partitions=0", "topic.creation.default.replication.factor=1",
    )  # fmt: skip
    result = call("source", "--config", config, "--log-format", "json", *(x for v in values for x in ("--set", v)))
    assert result.exit_code == 2
    assert "hunter2" not in result.stderr
    found = {f["key"]: f.get("value") for f in json.loads(result.stderr.splitlines()[-1])["faults"]}
    assert found == {
        "database.port": "x",
        "producer.override.request.timeout.ms": "${env:PYCDC_TEST_PW}",
        "producer.security.protocol": "TLS",
        "topic.creation.default.partitions": "0",
    }


def test_a_client_setting_without_effect_is_told_by_its_name(ran: list[Any], config: str) -> None:
    result = call("source", "--config", config, "--log-format", "json", "--set", "producer.partitioner.class=x.Y")
    warnings = [json.loads(x)["event"] for x in result.stderr.splitlines() if '"warning"' in x]
    assert warnings == ["producer.partitioner.class has no effect: no Kafka client here has such a setting"]


def test_no_place_for_positions_is_2(ran: list[Any], config: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps({k: v for k, v in CONFIG.items() if k != "offset.storage.topic"}))
    result = call("source", "--config", str(bare), "--log-format", "text")
    assert result.exit_code == 2
    assert "--offsets-file" in result.stderr
    assert call("source", "--config", str(bare), "--offsets-file", "x").exit_code == 0


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ServerError("it said no", where="db", cause="because", hint="do this"), 1),
        (ConfigError(faults=(Fault("k", "bad"),)), 2),
        (ValueError("a row's value"), 1),
        (ExceptionGroup("g", [ServerError("it said no"), ExceptionGroup("h", [ServerError("it said never")])]), 1),
    ],
)
def test_exit_codes_of_a_task(ran: list[Any], config: str, failure: BaseException, code: int) -> None:
    ran.append(failure)
    result = call("source", "--config", config, "--log-format", "text")
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert "a row's value" not in result.stderr
    assert "error: " in result.stderr


def test_what_where_cause_hint(ran: list[Any], config: str) -> None:
    ran.append(ServerError("it said no", where="db", cause="because", hint="do this"))
    result = call("source", "--config", config, "--log-format", "text")
    assert "error: it said no [db]\n  cause: because\n  hint: do this\n" in result.stderr


def test_debug_adds_the_trace(ran: list[Any], config: str) -> None:
    ran.append(ValueError("inside"))
    result = call("source", "--config", config, "--debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


def test_warnings_come_first_under_the_connectors_name(ran: list[Any], config: str) -> None:
    result = call("source", "--config", config, "--set", "tabel.include.list=x", "--log-format", "json")
    first, second = map(json.loads, result.stderr.splitlines())
    assert first["level"] == "warning"
    assert "did you mean table.include.list?" in first["event"]
    assert first["connector"] == second["connector"] == "shop"


@pytest.mark.parametrize(
    "args",
    [
        ("source",),
        ("bogus",),
        ("source", "--config", "/no/such.json"),
        ("source", "--config", "x", "--http", "8080"),
        ("source", "--config", "x", "--log-level", "loud"),
        ("reference", "no-such-page"),
    ],
)
def test_a_wrong_command_line_is_2(args: tuple[str, ...]) -> None:
    assert call(*args).exit_code == 2


def test_help_points_to_the_reference() -> None:
    text = call("source", "--help").output
    assert "pycdc reference postgres" in text
    for option in ("--config", "--worker", "--set", "--offsets-file", "--http", "--log-format", "--log-level", "--debug"):
        assert option in text


def test_help_of_the_program_names_every_command() -> None:
    text = call("--help").output
    listed = pycdc.list_commands(click.Context(pycdc))
    assert listed == ["source", "sink", "run", "connect", "validate", "migrate", "registry", "demo", "reference"]
    assert all(name in text for name in listed)
    assert call("--version").output.startswith("pycdc ")


def test_reference_pages(ran: list[Any], tmp_path: Path) -> None:
    listed = call("reference").output
    assert "worker" in listed
    assert "json-converter" in listed
    assert "`offset.storage.topic`" in call("reference", "worker").output
    assert "`schemas.enable`" in call("reference", "JsonConverter").output
    assert call("reference", "--write", str(tmp_path / "ref")).exit_code == 0
    assert "`topic.prefix`" in (tmp_path / "ref" / "fake.md").read_text()


# ---- in a process of its own


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), STAND_INS)), **more}


def python(code: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


@pytest.mark.parametrize("args", [["--help"], ["source", "--help"], ["--version"]])
def test_help_imports_neither_clients_nor_terminal_programs(args: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["pycdc", *{args!r}]
from pycdc.cli import main
try:
    main()
finally:
    print([m for m in ("aiokafka", "psycopg", "aiohttp", "prometheus_client", "yaml", "clickhouse_connect", "uvloop") if m in sys.modules])
"""
    out, err = python(code).communicate(timeout=30)
    assert out.splitlines()[-1] == "[]", err


def test_reading_a_configuration_imports_no_client() -> None:
    code = """
import sys
from pycdc.config.layers import Layered
from pycdc.plugins import join, registry
registry.TABLE = {**registry.TABLE, registry.SOURCE: {"fake": "stand_ins:FakeSource"}}
join.load_source(Layered.of({"name": "a", "connector.class": "fake", "topic.prefix": "p", "bootstrap.servers": "x:1", "offset.storage.topic": "o"}))
print([m for m in ("aiokafka", "psycopg", "aiohttp", "prometheus_client", "yaml", "rich") if m in sys.modules])
"""
    out, err = python(code).communicate(timeout=30)
    assert out.splitlines()[-1:] == ["[]"], err


TASK = """
import asyncio, sys, time, threading
from pycdc.cli import process
from pycdc.errors import ServerError
from pycdc.telemetry.log import configure
configure("json", "info")
async def main(stop):
    print("up", flush=True)
    {body}
process.STOP_LIMIT, process.CANCEL_LIMIT = 0.3, 0.3
process.told(lambda: process.run(main), debug=False, as_json=False)
"""


def signalled(body: str, *signals: signal.Signals) -> tuple[int, str, str, float]:
    """Exit code, what was printed after `up`, log, seconds from the first signal to the end."""
    started = python(TASK.format(body=body))
    assert started.stdout is not None
    assert started.stderr is not None
    assert started.stdout.readline() == "up\n"
    began = time.monotonic()
    for n, number in enumerate(signals):
        if n:
            # The second signal counts as one only after the first has been seen.
            assert select.select([started.stderr], [], [], 10)[0]
        started.send_signal(number)
    with started:  # read to the end of what was printed: `communicate` would miss what readline took ahead
        out, err = started.stdout.read(), started.stderr.read()
        return started.wait(30), out, err, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_task_finish(number: signal.Signals) -> None:
    code, out, err, _ = signalled('await stop.wait(); print("committed")', number)
    assert (code, out) == (0, "committed\n"), err


def test_an_error_while_stopping_is_1() -> None:
    code, _, err, _ = signalled('await stop.wait(); raise ServerError("commit refused")', signal.SIGTERM)
    assert code == 1
    assert "commit refused" in err


def test_a_task_that_does_not_stop_is_cancelled_at_the_deadline() -> None:
    code, _, err, seconds = signalled("await asyncio.Event().wait()", signal.SIGTERM)
    assert code == 0
    assert "sent again at the next start" in err
    assert seconds < 10


def test_a_stuck_thread_does_not_keep_the_process() -> None:
    code, _, err, seconds = signalled("await asyncio.to_thread(time.sleep, 60)", signal.SIGTERM)
    assert code == 0, err
    assert seconds < 10


def test_a_task_that_swallows_its_cancellation_does_not_keep_the_process() -> None:
    body = """while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass"""
    code, _, err, seconds = signalled(body, signal.SIGTERM)
    assert code == 0, err
    assert seconds < 10


def test_a_second_signal_does_not_wait_for_the_deadline() -> None:
    body = "process.STOP_LIMIT = 60; await asyncio.Event().wait()"
    code, _, _, seconds = signalled(body, signal.SIGINT, signal.SIGINT)
    assert code == 0
    assert seconds < 20


def test_a_task_that_is_done_ends_the_process_with_0() -> None:
    code, out, err, _ = signalled('print("all done")')
    assert (code, out) == (0, "all done\n"), err


def test_a_signal_while_the_configuration_is_read_is_0() -> None:
    code = """
import signal
from pycdc.cli import process
def work():
    print("up", flush=True)
    signal.pause()
process.told(work, debug=False, as_json=False)
"""
    started = python(code)
    assert started.stdout is not None
    assert started.stdout.readline() == "up\n"
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=30)
    assert started.returncode == 0
