"""A group of Connect workers whose members are killed, stopped, put to sleep and started again, under load.

Whenever it comes to rest each connector runs exactly once and the work is spread evenly; no worker ever finds another
reading in its place without the right to; and at the end nothing is missing in any topic. PYCDC_SEED repeats a run.
"""

import asyncio
import json
import os
import random
import re
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer

sys.path.insert(0, str(Path(__file__).parents[1] / "compat" / "rest"))
from rest_workers import OurWorker, properties

from pycdc.servers.connect import Connect

pytestmark = pytest.mark.xdist_group("connect-rest")

CONNECTORS = 6
SIZE = 3
#: In which a worker learns that it is not in its group any more, seconds.
_HEARTBEATS = 4
STATUS = re.compile(r'kafka_connect_connector_task_status\{connector="([^"]+)",status="running",task="0"\} 1')


def wait(enough, what, limit=60):
    end = time.monotonic() + limit
    while not (found := enough()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


class Load:
    """Rows of one table that all connectors capture."""

    def __init__(self, dsn):
        self._dsn, self._stop = dsn, threading.Event()
        self.count = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        with psycopg.connect(self._dsn, autocommit=True) as sql:
            while not self._stop.wait(0.01):
                self.count += 1
                sql.execute("INSERT INTO t VALUES (%s)", [self.count])

    def stop(self):
        self._stop.set()
        self._thread.join()


class Group:
    """Workers as processes."""

    def __init__(self, folder, kafka, name):
        self.workers = [OurWorker(folder / f"worker{i}", properties(kafka, name, {})) for i in range(SIZE)]
        self.asleep = set()
        self.woken = 0.0
        for worker in self.workers:
            worker.start()

    def awake(self):
        return [w for w in self.workers if w.running and w not in self.asleep]

    def call(self, method, path, body=None):
        return Connect.call(self.awake()[0], method, path, body)

    def running(self):
        """Tasks that each worker says it runs."""
        found = {}
        for worker in self.awake():
            with urllib.request.urlopen(f"{worker.url}/metrics", timeout=10) as answer:
                found[worker.url.removeprefix("http://")] = sorted(STATUS.findall(answer.read().decode()))
        return found

    def told(self, worker):
        """The same, as the status topic has it by this worker's word."""
        found = {w.url.removeprefix("http://"): [] for w in self.awake()}
        for name, c in sorted(Connect.call(worker, "GET", "/connectors?expand=status").items()):
            for task in c.get("status", {"tasks": []})["tasks"]:
                found.setdefault(task["worker_id"] if task["state"] == "RUNNING" else task["state"], []).append(name)
        return found

    def at_rest(self):
        """Each task runs once, evenly spread over those that are awake, and everybody knows where. How many each has."""
        running = self.running()
        names = sorted(name for held in running.values() for name in held)
        # one that has just woken up does not know yet what it has lost; the database has ended its stream all the same
        assert len(names) == len(set(names)) or time.monotonic() < self.woken + _HEARTBEATS, f"a connector runs twice: {running}"
        if names != [f"c{i}" for i in range(CONNECTORS)]:
            return None
        counts = sorted(map(len, running.values()))
        return counts if counts[-1] - counts[0] <= 1 and all(self.told(w) == running for w in self.awake()) else None

    def stop(self):
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            worker.end(signal.SIGTERM)
        return [line for worker in self.workers for line in worker.faults()]


def everything(kafka, topics):
    """Ids in each topic, in their order."""

    async def read():
        consumer = AIOKafkaConsumer(*topics, bootstrap_servers=kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            parts = consumer.assignment()
            ends, found = await consumer.end_offsets(parts), {t: [] for t in topics}
            while any([await consumer.position(p) < ends[p] for p in parts]):
                for part, records in (await consumer.getmany(timeout_ms=500)).items():
                    found[part.topic] += [json.loads(r.value)["after"]["id"] for r in records if r.value]
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


def disturb(group, chance):
    """One of them is lost or comes back; what was done."""
    lost = [w for w in group.workers if w not in group.awake()]
    if lost and (len(lost) == SIZE - 1 or chance.random() < 0.5):
        worker = chance.choice(lost)
        if worker in group.asleep:
            group.asleep.discard(worker)
            worker.signal(signal.SIGCONT)
            group.woken = time.monotonic()
            return "wakes up"
        worker.start()
        return "is started"
    worker = chance.choice(group.awake())
    act = chance.choice(["is killed", "is stopped", "falls asleep"])
    if act == "falls asleep":
        worker.signal(signal.SIGSTOP)
        group.asleep.add(worker)
    else:
        worker.end(signal.SIGKILL if act == "is killed" else signal.SIGTERM)
    return act


def run(stack, postgres_db, names, tmp_path, rounds):
    seed = int(os.environ.get("PYCDC_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY)")
        sql.execute(f"CREATE PUBLICATION {names.publication} FOR TABLE t")
    group = Group(tmp_path, stack.kafka, names.base)
    load = Load(postgres_db.dsn)
    try:
        for i in range(CONNECTORS):
            group.call("POST", "/connectors", {"name": f"c{i}", "config": {
                "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "topic.prefix": f"{names.base}.c{i}",
                "database.hostname": stack.pg_host, "database.port": str(stack.pg_port), "database.user": stack.pg_user, "database.password": "x",
                "database.dbname": postgres_db.dbname, "slot.name": f"{names.base}_c{i}", "publication.name": names.publication,
                "publication.autocreate.mode": "disabled",
            }})  # fmt: skip
        wait(group.at_rest, "all connectors run, evenly spread")
        for number in range(rounds):
            act = disturb(group, chance)
            began = time.monotonic()
            counts = wait(group.at_rest, f"round {number}, a worker {act}: at rest again, {group.call('GET', '/connectors?expand=status')}")
            print(f"round {number}: a worker {act}; at rest after {time.monotonic() - began:.1f} s, {counts}")
        load.stop()
        wait(lambda: caught_up(postgres_db.dsn, names), "every slot has confirmed everything")
    finally:
        load.stop()
        faults = group.stop()
    assert not faults, faults
    for topic, ids in everything(stack.kafka, [f"{names.base}.c{i}.public.t" for i in range(CONNECTORS)]).items():
        assert set(ids) == set(range(1, load.count + 1)), f"every row is in {topic}"


def caught_up(dsn, names):
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE IF NOT EXISTS target AS SELECT pg_current_wal_insert_lsn() AS lsn")
        query = "SELECT count(*) FROM pg_replication_slots, target WHERE slot_name LIKE %s AND confirmed_flush_lsn >= lsn"
        return sql.execute(query, [f"{names.base}_c%"]).fetchone()[0] == CONNECTORS


@pytest.mark.timeout(300)
def test_a_group_heals_itself(stack, postgres_db, names, tmp_path):
    run(stack, postgres_db, names, tmp_path, 4)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_group_heals_itself_twenty_times(stack, postgres_db, names, tmp_path):
    run(stack, postgres_db, names, tmp_path, 20)
