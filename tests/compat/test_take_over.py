"""A running cluster of the real Kafka Connect is taken over in place, on its own topics, and given back; nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from pycdc.servers.connect import Connect
from pycdc.testing.load import Load
from pycdc.testing.workers import OurWorker, properties

pytestmark = [pytest.mark.xdist_group("connect-rest"), pytest.mark.timeout(300)]

SCHEMAS = {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}


def wait(enough, what, limit=60):
    end = time.monotonic() + limit
    while not enough():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.1)


class Side:
    """A cluster of one worker, whoever made it."""

    def __init__(self, worker):
        self._worker, self.url = worker, worker.url
        self.call = Connect.call.__get__(worker)

    def start(self):
        self._worker.start()

    def stop(self):
        self._worker.end(signal.SIGTERM)

    def states(self):
        found = self.call("GET", "/connectors?expand=status")
        return {n: (c["status"]["connector"]["state"], [t["state"] for t in c["status"]["tasks"]]) for n, c in found.items() if "status" in c}

    def is_at(self, wanted):
        def enough():
            try:
                return self.states() == wanted
            except OSError:
                return False

        return enough


def records(kafka, topic):
    async def read():
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            part = TopicPartition(topic, 0)
            consumer.assign([part])
            end, found = (await consumer.end_offsets([part]))[part], []
            while await consumer.position(part) < end:
                found += (await consumer.getmany(part, timeout_ms=500)).get(part, [])
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


def changes(kafka, topic):
    """Op and id."""
    payloads = [json.loads(r.value)["payload"] for r in records(kafka, topic) if r.value]
    return [(p["op"], p["after"]["id"]) for p in payloads]


def what_is_missing(sql, sent, count):
    """Of the copy, and of the topic."""
    copied = {number for (number,) in sql.execute("SELECT id FROM copy")}
    wanted, known = set(range(1, count + 1)), {number for _op, number in sent}
    return f"the copy lacks {sorted(wanted - copied)[:20]} of {count}, the topic {sorted(wanted - known)[:20]}"


def commands_of_the_page():
    """How to look before and after, as docs/how-to says it: what comes before the change, what behind it."""
    page = (Path(__file__).parents[2] / "docs/how-to/migrate-from-kafka-connect.md").read_text()
    section = page.split("## Take over the whole cluster in place\n", 1)[1].split("\n## ", 1)[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("       ")]
    before = [c for c in commands if c.endswith("> before.json")]
    after = commands[next(i for i, c in enumerate(commands) if c.endswith("> after.json")) :]
    assert len(before) == 1
    assert after[1].startswith("diff ")
    return before, after


def run(commands, url, folder):
    script = "\n".join(commands).replace("http://connect:8083", url)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def clusters(stack, names, tmp_path):
    settings = {**properties(stack.kafka, names.base, SCHEMAS), "offset.flush.interval.ms": "300"}
    original = Connect(tmp_path / "original", stack.kafka, settings=settings)
    ours = OurWorker(tmp_path / "ours", settings)
    try:
        yield Side(original), Side(ours), ours
    finally:
        original.stop()
        ours.end(signal.SIGTERM)


def test_a_cluster_is_taken_over_in_place_and_given_back(stack, postgres_db, names, tmp_path):
    base, topic = names.base, f"{names.base}.public.orders"
    database = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "database.hostname": stack.pg_host,
        "database.port": str(stack.pg_port), "database.user": stack.pg_user, "database.password": "x", "database.dbname": postgres_db.dbname,
        "publication.name": base, "publication.autocreate.mode": "filtered", "table.include.list": "public.orders", "poll.interval.ms": "50",
    }  # fmt: skip
    source = {**database, "topic.prefix": base, "slot.name": base}
    sink = {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": topic, "insert.mode": "upsert", "delete.enabled": "true",
        "connection.url": f"jdbc:postgresql://{stack.pg_host}:{stack.pg_port}/{postgres_db.dbname}", "connection.username": stack.pg_user,
        "connection.password": "x", "primary.key.mode": "record_key", "schema.evolution": "basic", "collection.name.format": "copy",
    }  # fmt: skip
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql, clusters(stack, names, tmp_path) as (original, ours, process):
        sql.execute("CREATE TABLE orders (id int PRIMARY KEY, t text)")
        sql.execute("CREATE TABLE copy (id int PRIMARY KEY, t text)")
        original.start()
        load = Load(postgres_db.dsn, "INSERT INTO orders VALUES (%s, 'x')")
        try:
            original.call("POST", "/connectors", {"name": "source", "config": source})
            original.call("POST", "/connectors", {"name": "sink", "config": sink})
            idle = {**database, "topic.prefix": f"{base}_idle", "slot.name": f"{base}_idle"}
            original.call("POST", "/connectors", {"name": "idle", "config": idle})
            original.call("POST", "/connectors", {"name": "stopped", "config": idle, "initial_state": "STOPPED"})
            running = ("RUNNING", ["RUNNING"])
            wait(original.is_at({"source": running, "sink": running, "idle": running, "stopped": ("STOPPED", [])}), "the original's connectors run")
            original.call("PUT", "/connectors/idle/pause")
            paused = {"source": running, "sink": running, "idle": ("PAUSED", ["PAUSED"]), "stopped": ("STOPPED", [])}
            wait(original.is_at(paused), "the original's connectors are in their states")
            wait(lambda: sql.execute("SELECT count(*) FROM copy").fetchone()[0] > 100, "the original copies")
            asked = ("/connectors/source", "/connectors/source/tasks", "/connectors/sink/config", "/connectors/source/topics")
            told = {path: original.call("GET", path) for path in asked}
            before, after = commands_of_the_page()
            run(before, original.url, tmp_path)
            original.stop()

            ours.start()
            wait(ours.is_at(paused), "the same connectors are in the same states with us")
            assert {path: ours.call("GET", path) for path in asked} == told
            assert run(after, ours.url, tmp_path) == "", "the page's own comparison finds nothing"
            copied = load.count
            wait(lambda: sql.execute("SELECT coalesce(max(id), 0) FROM copy").fetchone()[0] > copied, "we copy")
            ours.call("PUT", "/connectors/idle/resume")
            ours.call("DELETE", "/connectors/stopped")
            ours.call("POST", "/connectors", {"name": "new", "config": {**idle, "slot.name": f"{base}_new"}, "initial_state": "STOPPED"})
            ours.call("PUT", "/connectors/source/config", {**source, "poll.interval.ms": "60"})
            changed = {"source": running, "sink": running, "idle": running, "new": ("STOPPED", [])}
            wait(ours.is_at(changed), "what was changed with us")
            positions = ours.call("GET", "/connectors/source/offsets")["offsets"]
            ours.stop()

            original.start()
            wait(original.is_at(changed), "the original has what was changed with us")
            assert original.call("GET", "/connectors/source/config")["poll.interval.ms"] == "60"
            later = original.call("GET", "/connectors/source/offsets")["offsets"]
            assert [o["partition"] for o in later] == [o["partition"] for o in positions]
            copied = load.count
            wait(lambda: sql.execute("SELECT coalesce(max(id), 0) FROM copy").fetchone()[0] > copied, "the original copies again")
        finally:
            load.stop()
        sent = changes(stack.kafka, topic)
        wait(lambda: sql.execute("SELECT count(*) FROM copy").fetchone()[0] == load.count, lambda: what_is_missing(sql, sent, load.count))
        sent = changes(stack.kafka, topic)
        ids = list(dict.fromkeys(number for _op, number in sent))
        assert ids == list(range(1, load.count + 1)), "every row was sent, in the order in which they were made"
        read = [number for op, number in sent if op == "r"]
        assert len(read) == len(set(read)), "nobody took a second snapshot"
        assert not process.faults()
