"""What goes wrong around a worker: Kafka away, records that say nothing, topics and groups that are another's, wrong settings, signals."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from worker_process import JSON, WorkerProcess, settings

from pycdc.kafka.topics import NewTopic, create_topic
from pycdc.servers.connect import Connect
from pycdc.servers.kafka import Kafka
from pycdc.servers.process import free_port, wait_for


@pytest.fixture
def source(postgres_db, names):
    """A connector of one table."""
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": names.prefix, "plugin.name": "pgoutput",
        "database.hostname": postgres_db.host, "database.port": str(postgres_db.port), "database.user": postgres_db.user, "database.password": "x",
        "database.dbname": postgres_db.dbname, "slot.name": names.slot, "publication.name": names.publication,
        "retriable.restart.connector.wait.ms": "200",
    }  # fmt: skip


async def written(bootstrap, topic, *records):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for key, value in records:
        await producer.send_and_wait(topic, value, key)
    await producer.stop()


def records_of(bootstrap, topic, count, limit=60):
    async def read():
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        found = []
        try:
            async with asyncio.timeout(limit):
                while len(found) < count:
                    found += [json.loads(r.value) async for r in _some(consumer)]
        finally:
            await consumer.stop()
        return found

    return asyncio.run(read())


async def _some(consumer):
    for batch in (await consumer.getmany(timeout_ms=200)).values():
        for record in batch:
            yield record


# ---- Kafka away


def test_kafka_away_at_the_start(tmp_path, names):
    """The worker says so, refuses what it cannot do, and gets ready by itself."""
    broker = Kafka(tmp_path / "kafka")
    try:
        with WorkerProcess(tmp_path / "w", settings(broker.bootstrap, names.base)) as worker:
            worker.until(lambda: worker.call("GET", "/health")[0] == 503)
            worker.until(lambda: "Kafka does not answer" in worker.call("GET", "/health")[1]["message"])
            assert worker.call("GET", "/health")[1]["message"].startswith("Worker is still starting up. ")
            assert worker.call("GET", "/health/live")[0] == 200
            assert worker.call("GET", "/health/ready")[0] == 503
            status, answer = worker.call("GET", "/connectors")
            assert (status, answer["error_code"]) == (503, 503)
            assert worker.call("GET", "/")[0] == 200
            broker.start()
            worker.until_healthy()
            assert worker.call("GET", "/connectors") == (200, [])
            worker.signal(signal.SIGTERM)
            assert worker.code(10) == 0
            assert any("Kafka is waited for" in line["event"] for line in worker.lines("warning"))
            assert "Traceback" not in worker.log.read_text()
            assert "Unclosed" not in worker.log.read_text()
    finally:
        broker.remove()


def test_a_signal_while_kafka_is_waited_for(tmp_path, names):
    with WorkerProcess(tmp_path / "w", settings(f"127.0.0.1:{free_port()}", names.base)) as worker:
        worker.until(lambda: worker.call("GET", "/health")[0] == 503)
        worker.signal(signal.SIGTERM)
        assert worker.code(9) == 0


@pytest.mark.timeout(300)
def test_kafka_away_in_the_middle(private_kafka, tmp_path, names, source, postgres_db):
    with WorkerProcess(tmp_path / "w", settings(private_kafka.bootstrap, names.base, task__restart__backoff__ms="500")) as worker:
        worker.until_healthy()
        assert worker.call("POST", "/connectors", {"name": "c", "config": source})[0] == 201
        worker.until(lambda: worker.states("c") == ["RUNNING", "RUNNING"])
        assert len(records_of(private_kafka.bootstrap, f"{names.prefix}.public.t", 1)) == 1
        private_kafka.kill()
        for path in ("/connectors", "/connectors/c", "/connectors/c/config", "/connectors/c/status", "/connectors/c/tasks", "/connector-plugins", "/health"):
            began = time.monotonic()
            assert worker.call("GET", path)[0] == 200, path
            assert time.monotonic() - began < 2, path
        for method, path, body in (("PUT", "/connectors/c/config", source), ("PUT", "/connectors/c/pause", None)):
            began = time.monotonic()
            status, answer = worker.call(method, path, body, limit=90)
            assert status in (409, 500), (path, answer)
            assert answer["message"]
            assert time.monotonic() - began < 35, path
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            conn.execute("INSERT INTO t VALUES (2)")
        private_kafka.start()
        worker.until(lambda: worker.call("PUT", "/connectors/c/resume")[0] == 202)
        worker.until(lambda: worker.states("c") == ["RUNNING", "RUNNING"])
        ids = {r["payload"]["after"]["id"] for r in records_of(private_kafka.bootstrap, f"{names.prefix}.public.t", 2)}
        assert ids == {1, 2}
        worker.until(lambda: worker.call("PUT", "/connectors/c/stop")[0] == 204)
        worker.until(lambda: worker.states("c") == ["STOPPED"])
        assert worker.process.poll() is None
        worker.signal(signal.SIGTERM)
        assert worker.code(10) == 0
        assert "Traceback" not in worker.log.read_text()


# ---- records that say nothing


def test_broken_records_in_the_config_topic(kafka, tmp_path, names, source):
    """Before the start and while it runs: each is told, the others count."""
    topic = f"{names.base}-config"
    good = json.dumps({"properties": {**source, "name": "good"}}).encode()
    broken = [
        (b"connector-no-json", b"{"), (b"connector-list", b"[]"), (b"connector-no-properties", b"{}"), (b"connector-number", b'{"properties": {"connector.class": 5}}'),
        (b"task-x-y", b'{"properties": {}}'), (b"commit-good", b'{"tasks": "many"}'), (b"target-state-good", b'{"state": "FLYING"}'),
        (b"restart-connector-good", b"5"), (b"logger-cluster-pycdc", b'{"level": 5}'), (b"connector-\xff", b"\xff\xff"), (b"unknown-key", b"{}"),
    ]  # fmt: skip

    async def prepare():
        await create_topic({"bootstrap.servers": kafka}, NewTopic(topic, 1, 1, {"cleanup.policy": "compact"}))
        await written(kafka, topic, *broken, (b"connector-good", good), (b"connector-odd", b'{"properties": {"connector.class": "no.Such", "name": "odd"}}'))

    asyncio.run(prepare())
    with WorkerProcess(tmp_path / "w", settings(kafka, names.base)) as worker:
        worker.until_healthy()
        worker.until(lambda: worker.states("good") == ["RUNNING", "RUNNING"])
        assert worker.call("GET", "/connectors")[1] == ["good", "odd"]
        worker.until(lambda: worker.states("odd")[:1] == ["FAILED"])
        told = {line["key"] for line in worker.lines("error") if "config topic" in line["event"]}
        assert {k.decode(errors="replace") for k, _ in broken[:8]} - {"commit-good"} <= told, "tasks of nobody say nothing"
        again = [*broken, (b"logger-cluster-pycdc", b'{"level": "LOUD"}'), (b"restart-connector-nobody", b'{"include-tasks": true}')]
        asyncio.run(written(kafka, topic, *again))
        worker.until(lambda: any("level of a logger" in line["event"] for line in worker.lines("error")))
        assert worker.states("good") == ["RUNNING", "RUNNING"]
        assert worker.call("PUT", "/connectors/good/pause")[0] == 202, "it still hears what is written"
        worker.until(lambda: worker.states("good") == ["PAUSED", "PAUSED"])
        assert worker.call("DELETE", "/connectors/odd")[0] == 204
        worker.signal(signal.SIGTERM)
        assert worker.code(10) == 0
        assert "Traceback" not in worker.log.read_text()


def test_broken_records_in_the_status_topic(kafka, tmp_path, names):
    topic = f"{names.base}-status"

    async def prepare():
        await create_topic({"bootstrap.servers": kafka}, NewTopic(topic, 1, 1, {"cleanup.policy": "compact"}))
        await written(kafka, topic, (b"status-connector-x", b"{"), (b"status-task-x-y", b"{}"), (b"status-topic-a:connector-x", b'{"topic": []}'), (b"\xff", b"5"),
                      (b"status-connector-y", b'{"state": "FLYING", "worker_id": "w", "generation": 1}'))  # fmt: skip

    asyncio.run(prepare())
    with WorkerProcess(tmp_path / "w", settings(kafka, names.base)) as worker:
        worker.until_healthy()
        assert worker.call("GET", "/connectors") == (200, [])
        assert sum("status topic" in line["event"] for line in worker.lines("error")) >= 4


# ---- another's topics and groups


@pytest.mark.parametrize("store", ["config", "offset", "status"])
def test_a_topic_that_would_forget(kafka, tmp_path, names, store):
    topic = f"{names.base}-{store}"
    asyncio.run(create_topic({"bootstrap.servers": kafka}, NewTopic(topic, 1, 1, {"cleanup.policy": "delete"})))
    with WorkerProcess(tmp_path / "w", settings(kafka, names.base)) as worker:
        assert worker.code(40) == 1
    (fault,) = [line for line in worker.lines("error") if "hint" in line]
    assert fault["cause"] == "cleanup.policy=delete"
    assert fault["hint"] == (
        f"kafka-configs --bootstrap-server {kafka} --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=compact"
    )
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.timeout(240)
@pytest.mark.xdist_group("private")
def test_the_group_of_a_live_kafka_connect(kafka, tmp_path, names):
    """Nothing is taken from it: the worker refuses, and lists who is there."""
    given = settings(kafka, names.base)
    original = Connect(tmp_path / "original", kafka, settings={k: v for k, v in given.items() if not k.endswith("converter")})
    original.start()
    try:
        with WorkerProcess(tmp_path / "w", given) as worker:
            assert worker.code(60) == 1
        (fault,) = [line for line in worker.lines("error") if "hint" in line]
        assert "members of another kind" in fault["event"]
        assert fault["where"] == f"group {names.base}"
        assert "connect protocol sessioned" in fault["cause"]
        assert "connect-" in fault["cause"]
        assert "host 127.0.0.1" in fault["cause"]
        assert "stop all workers of Kafka Connect" in fault["hint"]
        assert original.call("GET", "/connectors") == []
    finally:
        original.stop()


# ---- settings


def test_every_fault_of_the_settings_is_told_and_the_exit_code_is_2(tmp_path):
    wrong = {
        "bootstrap.servers": "127.0.0.1:1", "session.timeout.ms": "soon", "listeners": "8083", "config.storage.topic": "c", "key.converter": JSON,
        "offset.storage.topic": "o", "sasl.jaas.config": "${file:/no/such/file:key}",
    }  # fmt: skip
    with WorkerProcess(tmp_path / "w", wrong) as worker:
        assert worker.code(30) == 2
    (fault,) = worker.lines("error")
    assert {f["key"] for f in fault["faults"]} >= {"group.id", "status.storage.topic", "session.timeout.ms", "listeners", "sasl.jaas.config"}


def test_every_fault_of_the_servers_files_is_told_and_the_exit_code_is_2(tmp_path):
    wrong = settings("127.0.0.1:1", "g", listeners="https://127.0.0.1:1", rest__auth__basic__users__file="/no/users", response__http__headers__config="x")
    with WorkerProcess(tmp_path / "w", wrong) as worker:
        assert worker.code(30) == 2
    (fault,) = worker.lines("error")
    assert [f["key"] for f in fault["faults"]] == ["rest.auth.basic.users.file", "response.http.headers.config", "listeners.https.ssl.keystore.location"]


def test_an_address_that_is_taken_is_1(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = settings("127.0.0.1:1", "g", listeners=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with WorkerProcess(tmp_path / "w", wrong) as worker:
            assert worker.code(30) == 1
    assert any("REST cannot listen" in line["event"] for line in worker.lines("error"))


# ---- signals


def test_sigterm_hands_the_work_over(kafka, tmp_path, names, source):
    given = settings(kafka, names.base)
    with WorkerProcess(tmp_path / "a", given) as one, WorkerProcess(tmp_path / "b", given) as two:
        one.until_healthy()
        two.until_healthy()
        assert one.call("POST", "/connectors", {"name": "c", "config": source})[0] == 201
        one.until(lambda: one.states("c") == ["RUNNING", "RUNNING"])

        def owner():
            return one.call("GET", "/connectors/c/status")[1]["tasks"][0]["worker_id"]

        first, second = (one, two) if owner() in one.url else (two, one)
        began = time.monotonic()
        first.signal(signal.SIGTERM)
        assert first.code(9) == 0
        assert time.monotonic() - began < 8
        second.until(lambda: second.states("c") == ["RUNNING", "RUNNING"] and second.call("GET", "/connectors/c/status")[1]["tasks"][0]["worker_id"] in second.url)
        assert time.monotonic() - began < 20, "nobody waits for a session to end"
        assert "Traceback" not in first.log.read_text() + second.log.read_text()


def test_a_second_sigterm_does_not_wait(kafka, tmp_path, names):
    """Its target never answers, so that its task does not stop."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = {
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": names.base, "connection.username": "u", "connection.password": "p",
            "connection.url": f"jdbc:postgresql://127.0.0.1:{silent.getsockname()[1]}/x",
        }  # fmt: skip
        with WorkerProcess(tmp_path / "w", settings(kafka, names.base)) as worker:
            worker.until_healthy()
            assert worker.call("POST", "/connectors", {"name": "c", "config": sink})[0] == 201
            worker.until(lambda: worker.states("c") == ["RUNNING", "RUNNING"])
            worker.signal(signal.SIGTERM)
            wait_for(lambda: any(line["event"] == "stopping" for line in worker.lines()), 5, "the signal is not heard", worker.log)
            worker.signal(signal.SIGTERM)
            assert worker.code(4) == 0
