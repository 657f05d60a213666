"""kill -9 of `pycdc sink` under load, with exactly.once.enabled: each record of the topic is one row of the target.

The targets are PostgreSQL and, as the protocol fake in a process of its own, StarRocks.

The target of one topic has no key, so that a record written twice would show; that of the other takes upserts
and deletes and has to end as the topic's last word. PYCDC_SEED repeats a run; the seed is printed.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql as q

from pycdc.config.layers import Layered
from pycdc.errors import PycdcError, SinkError
from pycdc.model.record import Record
from pycdc.plugins.contracts import SinkContext
from pycdc.plugins.join import load_sink
from pycdc.runtime.sink_task import run_sink
from pycdc.sinks.postgres import PostgresSink
from pycdc.testing.plugin import Database
from pycdc.testing.starrocks import StarRocksProcess

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "scenarios"))
import processes
from embedded import ClickHouse

PARTITIONS = 3
JSON = "org.apache.kafka.connect.json.JsonConverter"


def write(path, config):
    path.write_text(json.dumps({"name": config["name"], "config": config}))
    return str(path)


class Sink:
    """`pycdc sink` as a process; a static member of its group, whose place a new one takes at once."""

    def __init__(self, name, folder, kafka, config):
        config = {
            "name": name, "topics": name, "bootstrap.servers": kafka, "exactly.once.enabled": "true", "key.converter": JSON, "value.converter": JSON,
            "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false",
            "consumer.override.group.instance.id": "one", "consumer.override.session.timeout.ms": "6000", **config,
        }  # fmt: skip
        self.log = folder / f"{name}.log"
        self.command = [sys.executable, "-m", "pycdc.cli", "sink", "--config", write(folder / f"{name}.json", config)]
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Load(threading.Thread):
    """Writes records until told to end: to `log` each with a number of its own, to `state` the versions of 500 keys."""

    def __init__(self, kafka, log, state, seed):
        super().__init__()
        self.producer = Producer({"bootstrap.servers": kafka, "linger.ms": 5})
        self.log, self.state, self.chance = log, state, random.Random(seed)
        self.ended = threading.Event()
        self.records, self.final = 0, {}

    def run(self):
        while not self.ended.is_set():
            for _ in range(self.chance.randint(1, 400)):
                n, key = self.records, self.chance.randrange(500)
                self.producer.produce(self.log, json.dumps({"n": n}), json.dumps({"n": n}), partition=n % PARTITIONS)
                self.final[key] = None if self.chance.random() < 0.2 else n
                value = None if self.final[key] is None else json.dumps({"id": key, "version": n})
                self.producer.produce(self.state, value, json.dumps({"id": key}), partition=key % PARTITIONS)
                self.records += 1
            self.producer.flush(10)
            time.sleep(self.chance.uniform(0, 0.05))


class PostgresTarget:
    """Two tables of a database, named like their topics."""

    def __init__(self, database, log, state):
        self.database, self.log, self.state = database, q.Identifier(log), q.Identifier(state)
        self._run("CREATE TABLE {} (n int)", self.log)
        self._run("CREATE TABLE {} (id int PRIMARY KEY, version int)", self.state)

    def configs(self):
        """Of the sink that appends, and of the one that takes upserts and deletes."""
        d = self.database
        both = {
            "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "table.name.format": "${topic}",
            "connection.url": f"jdbc:postgresql://{d.host}:{d.port}/{d.dbname}", "connection.user": d.user,
        }  # fmt: skip
        return both, {**both, "insert.mode": "upsert", "pk.mode": "record_key", "delete.enabled": "true"}

    def written(self):
        return [r[0] for r in self._run("SELECT n FROM {}", self.log).fetchall()]

    def stored(self):
        return dict(self._run("SELECT id, version FROM {}", self.state).fetchall())

    def _run(self, statement, table):
        with psycopg.connect(self.database.dsn, autocommit=True) as conn:
            return conn.execute(q.SQL(statement).format(table))


class StarRocksTarget:
    """The same in StarRocks."""

    def __init__(self, starrocks, log, state):
        self.starrocks, self.tables = starrocks, {log: "log", state: "state"}
        starrocks.sql("CREATE DATABASE d")
        starrocks.sql("CREATE TABLE d.log (n BIGINT) DUPLICATE KEY (n) DISTRIBUTED BY HASH (n)")
        starrocks.sql("CREATE TABLE d.state (id BIGINT NOT NULL, version BIGINT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")

    def configs(self):
        """One for both: the table decides."""
        both = {
            "connector.class": "com.starrocks.connector.kafka.StarRocksSinkConnector", "starrocks.http.url": self.starrocks.http,
            "starrocks.query.port": str(self.starrocks.query_port), "starrocks.database.name": "d", "starrocks.username": "root",
            "starrocks.topic2table.map": ",".join(f"{topic}:{table}" for topic, table in self.tables.items()), "bufferflush.intervalms": "50",
        }  # fmt: skip
        return both, both

    def written(self):
        return [r[0] for r in self.starrocks.sql("SELECT n FROM log", "d")]

    def stored(self):
        return {r[0]: r[1] for r in self.starrocks.sql("SELECT id, version FROM state", "d")}


def run(make_target, kafka, folder, name, kills, disturb=lambda _n: None):
    seed = int(os.environ.get("PYCDC_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    topics = log, state = f"{name}_log"[-50:], f"{name}_state"[-50:]
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in topics]).values():
        made.result()
    target = make_target(log, state)
    sinks = [Sink(topic, folder, kafka, config) for topic, config in zip(topics, target.configs(), strict=True)]
    load = Load(kafka, log, state, seed)
    for sink in sinks:
        sink.start()
    load.start()
    try:
        for n in range(kills):
            time.sleep(chance.uniform(0.4, 2.2))
            disturb(n)
            sink = chance.choice(sinks)
            sink.kill()
            sink.start()
        load.ended.set()
        load.join()
        check(target, sinks, load)
    finally:
        load.ended.set()
        for sink in sinks:
            sink.kill()
    print(f"{kills} kills, {load.records} records of each topic: each a row once, and the last word of every key")


def check(target, sinks, load):
    """Wait until all has arrived; then nothing may have come twice."""
    due = {k: v for k, v in load.final.items() if v is not None}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(target.written()) >= load.records and target.stored() == due:
            break
        assert all(s.process.poll() is None for s in sinks), "".join(s.log.read_text()[-2000:] for s in sinks)
        time.sleep(0.2)
    time.sleep(1)  # what comes twice has time to come
    rows = target.written()
    assert sorted(rows) == list(range(load.records)), f"{len(rows)} rows, {len(set(rows))} different, of {load.records} records"
    assert target.stored() == due


@pytest.fixture
def starrocks():
    with StarRocksProcess() as server:
        yield server


@pytest.mark.timeout(300)
def test_each_record_is_written_once_through_kills(target, kafka, names, tmp_path):
    run(partial(PostgresTarget, target), kafka, tmp_path, names.base.lower(), 5)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_each_record_is_written_once_through_a_hundred_kills(target, kafka, names, tmp_path):
    run(partial(PostgresTarget, target), kafka, tmp_path, names.base.lower(), 100)


@pytest.mark.timeout(300)
def test_each_record_is_in_starrocks_once_through_kills(starrocks, kafka, names, tmp_path):
    run(partial(StarRocksTarget, starrocks), kafka, tmp_path, names.base.lower(), 3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_each_record_is_in_starrocks_once_through_a_hundred_kills(starrocks, kafka, names, tmp_path):
    """Every third time a commit's answer is lost, too."""
    answers = ("conn_reset_after_commit", "conn_reset_before_commit", "slow")
    run(
        partial(StarRocksTarget, starrocks), kafka, tmp_path, names.base.lower(), 100,
        lambda n: starrocks.fault(answers[n % 9 // 3], delay_ms=200) if n % 3 == 0 else None,
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_the_target_dies_under_load(private_postgres, kafka, names, tmp_path):
    target = Database(private_postgres.host, private_postgres.port, private_postgres.user, "postgres")
    run(partial(PostgresTarget, target), kafka, tmp_path, names.base.lower(), 3, lambda _n: private_postgres.restart("immediate"))


# ---- ClickHouse: what is in it can be seen when the sink has ended


def run_clickhouse(kafka, folder, name, kills):
    seed = int(os.environ.get("PYCDC_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    chance, clickhouse = random.Random(seed), ClickHouse(folder / "data")
    log, state = f"{name}_log"[-50:], f"{name}_state"[-50:]
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in (log, state)]).values():
        made.result()
    remembers = "SETTINGS non_replicated_deduplication_window = 1000"
    clickhouse.run(
        f"CREATE TABLE log (n Int32) ENGINE = MergeTree ORDER BY n {remembers}",
        # its view takes a moment of every block, so that kills meet writes, and writes of which a half is there
        f"CREATE TABLE viewed (n Int32, waited UInt8) ENGINE = MergeTree ORDER BY n {remembers}",
        "CREATE MATERIALIZED VIEW behind TO viewed AS SELECT n, sleep(0.05) AS waited FROM log",
        f"CREATE TABLE state (id Int32, version Int32, _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id {remembers}",
    )
    sink = processes.Sink(
        {
            "name": log, "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": f"{log},{state}",
            "clickhouse.dsn": clickhouse.dsn, "topic2TableMap": f"{log}=log,{state}=state", "exactlyOnce": "true", "key.converter": JSON, "value.converter": JSON,
            "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false",
            "consumer.override.group.instance.id": "one", "consumer.override.session.timeout.ms": "6000",
        }, kafka, folder,
    )  # fmt: skip
    load, group = Load(kafka, log, state, seed), processes.Group(kafka, log, [log, state])
    places = [(t, p) for t in (log, state) for p in range(PARTITIONS)]
    sink.start()
    load.start()
    try:
        for _ in range(kills):
            if chance.random() < 0.8:  # it writes; else while it starts
                before = group.committed(places)
                processes.until(lambda before=before: group.committed(places) != before, "the sink stands", processes=[sink])
            time.sleep(chance.uniform(0, 0.8))
            sink.kill()
            sink.start()
        load.ended.set()
        load.join()
        group.until_written(sink)
        sink.stop()
    finally:
        load.ended.set()
        sink.kill()
    counts = "SELECT count(), uniqExact(n), min(n), max(n) FROM"
    (rows,), (viewed,), held = clickhouse.run(f"{counts} log", f"{counts} viewed", "SELECT id, version FROM state FINAL")
    assert rows == viewed
    assert [int(r) for r in rows] == [load.records, load.records, 0, load.records - 1]
    assert {int(k): int(v) for k, v in held} == {k: v for k, v in load.final.items() if v is not None}
    assert len(held) > 0
    print(f"{kills} kills, {load.records} records of each topic: each a row once, and the last word of every key")


@pytest.mark.timeout(300)
def test_clickhouse_has_each_record_once_through_kills(kafka, names, tmp_path):
    pytest.importorskip("chdb")
    run_clickhouse(kafka, tmp_path, names.base.lower(), 3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_clickhouse_has_each_record_once_through_a_hundred_kills(kafka, names, tmp_path):
    pytest.importorskip("chdb")
    run_clickhouse(kafka, tmp_path, names.base.lower(), 100)


# ---- without processes: who may write


def settings(target):
    given = {
        "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}", "connection.user": target.user,
        "exactly.once.enabled": "true",
    }  # fmt: skip
    faults = []
    made = PostgresSink.config_for("io.confluent.connect.jdbc.JdbcSinkConnector").parse(given, faults)
    assert not faults
    return made


def records(first, count):
    return [Record(topic="t", partition=0, offset=n, value={"n": n}) for n in range(first, first + count)]


async def opened(target, topic_id="one"):
    async def of(_topic):
        return topic_id

    sink = PostgresSink(settings(target))
    await sink.open(SinkContext("s", "0", of))
    return sink


async def test_positions_that_cannot_be_read_end_the_task(target, kafka, names):
    """Else its partitions would stay silent."""
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        conn.execute("CREATE VIEW pycdc_positions AS SELECT 1 AS nothing")
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(names.base, 1, 1)])[names.base].result()
    config = {
        "name": names.base, "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "topics": names.base, "bootstrap.servers": kafka,
        "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}", "connection.user": target.user,
        "exactly.once.enabled": "true",
    }  # fmt: skip
    with pytest.raises(PycdcError, match="positions cannot be read"):
        async with asyncio.timeout(30):
            await run_sink(load_sink(Layered.of(config)), http=None, stop=asyncio.Event())


async def test_a_zombie_writes_nothing(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (n int)")
        old, new = await opened(target), await opened(target)
        assert await old.claim([("t", 0)]) == {}
        old.put(records(0, 10))
        await old.flush_to({("t", 0): 10})
        old.put(records(10, 10))  # buffered while another takes over
        assert await new.claim([("t", 0)]) == {("t", 0): 10}
        with pytest.raises(SinkError, match="another process"):
            await old.flush_to({("t", 0): 20})
        new.put(records(10, 5))
        await new.flush_to({("t", 0): 15})
        assert [r[0] for r in conn.execute("SELECT n FROM t ORDER BY n").fetchall()] == list(range(15))
        third, fourth = await opened(target), await opened(target, "two")
        assert await third.claim([("t", 0), ("t", 1)]) == {("t", 0): 15}
        assert await fourth.claim([("t", 0)]) == {}, "a topic of that name that was made anew"
        await asyncio.gather(*(s.close() for s in (old, new, third, fourth)))
