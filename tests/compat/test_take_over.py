"""A running cluster of the real Kafka Connect is taken over in place, on its own topics, and given back; nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from rest_workers import OurWorker, properties

from pycdc.servers.connect import Connect

pytestmark = [pytest.mark.xdist_group("connect-rest"), pytest.mark.timeout(300)]

SCHEMAS = {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}


def wait(enough, what, limit=60):
    end = time.monotonic() + limit
    while not enough():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Load:
    """Rows that go on being inserted, one transaction each."""

    def __init__(self, dsn):
        self._dsn, self._stop = dsn, threading.Event()
        self.count = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        with psycopg.connect(self._dsn, autocommit=True) as sql:
            while not self._stop.is_set():
                self.count += 1
                sql.execute("INSERT INTO orders VALUES (%s, 'x')", [self.count])
                self._stop.wait(0.005)

    def stop(self):
        self._stop.set()
        self._thread.join()


class Side:
    """A cluster of one worker, whoever made it."""

    def __init__(self, worker):
        self._worker = worker
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
        original.start()
        load = Load(postgres_db.dsn)
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
            original.stop()

            ours.start()
            wait(ours.is_at(paused), "the same connectors are in the same states with us")
            assert {path: ours.call("GET", path) for path in asked} == told
            copied = load.count
            wait(lambda: sql.execute("SELECT max(id) FROM copy").fetchone()[0] > copied, "we copy")
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
            wait(lambda: sql.execute("SELECT max(id) FROM copy").fetchone()[0] > copied, "the original copies again")
        finally:
            load.stop()
        wait(lambda: sql.execute("SELECT count(*) FROM copy").fetchone()[0] == load.count, "the copy is whole")
        sent = changes(stack.kafka, topic)
        ids = list(dict.fromkeys(number for _op, number in sent))
        assert ids == list(range(1, load.count + 1)), "every row was sent, in the order in which they were made"
        read = [number for op, number in sent if op == "r"]
        assert len(read) == len(set(read)), "nobody took a second snapshot"
        assert not process.faults()
