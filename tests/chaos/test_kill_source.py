"""kill -9 of `pycdc source` under load, the snapshot included, with a broker and a PostgreSQL restart among it.

PYCDC_SEED repeats a run; the seed is printed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

sys.path.insert(0, str(Path(__file__).parent))
from history import SETUP, Load, check


class Worker:
    """`pycdc source` as a process that can be killed and started again."""

    def __init__(self, postgres, kafka, folder):
        self.log = folder / "source.log"
        config = {
            "connector.class": "postgres", "topic.prefix": "k", "database.hostname": "127.0.0.1", "database.port": postgres.port,
            "database.user": "postgres", "database.dbname": "postgres", "table.include.list": "public.(big|small)",
            "slot.name": "kill", "key.converter.schemas.enable": False, "value.converter.schemas.enable": False,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "slot.max.retries": 60, "slot.retry.delay.ms": 500, "retriable.restart.connector.wait.ms": 500,
            "bootstrap.servers": kafka.bootstrap, "offset.storage.topic": "k-offsets",
            "offset.storage.replication.factor": 1, "offset.storage.partitions": 1, "offset.flush.interval.ms": 100,
        }  # fmt: skip
        self.file = folder / "source.json"
        self.file.write_text(json.dumps({"name": "kill", "config": config}))
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pycdc.cli", "source", "--config", str(self.file)], stdout=log, stderr=log
            )

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def keep_alive(self):
        """A worker that ended by itself is started again, as a supervisor does."""
        if self.process.poll() is not None:
            self.start()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(10) == 0, self.log.read_text()[-2000:]


def topic_events(kafka):
    """All row events of the two tables, in topic order."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "check", "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    events = []
    for table in ("big", "small"):
        topic = f"k.public.{table}"
        part = TopicPartition(topic, 0, 0)
        _, end = consumer.get_watermark_offsets(part, timeout=10)
        consumer.assign([part])
        position = 0
        while position < end:
            for m in consumer.consume(5000, 1):
                assert not m.error()
                position = m.offset() + 1
                if m.value() is None:
                    continue
                key, value = json.loads(m.key()), json.loads(m.value())
                after = value["after"]
                events.append((table, key["id"], value["op"], None if after is None else after["version"]))
    consumer.close()
    return events


def versions_when_the_slot_is_there(dsn):
    """Every later version is committed after the slot's consistent point."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if conn.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'kill' AND confirmed_flush_lsn IS NOT NULL").fetchone():
                return conn.execute("SELECT last_value FROM versions").fetchone()[0]
            time.sleep(0.01)
    raise AssertionError("the slot was not made")


def run(postgres, kafka, folder, kills, rows):
    seed = int(os.environ.get("PYCDC_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    dsn = postgres.dsn()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SETUP.replace("{rows}", str(rows)))
    worker, load = Worker(postgres, kafka, folder), Load(dsn, seed)
    worker.start()
    load.start()
    since = versions_when_the_slot_is_there(dsn)
    broker_dies, server_restarts = kills // 2, kills // 2 + 1
    for n in range(kills):
        # the first third hits the snapshot: it takes longer than these waits
        time.sleep(chance.uniform(0.5, 1.4) if n < -(-kills // 3) else chance.uniform(0.8, 3.0))
        if n == broker_dies:
            kafka.kill()
            kafka.start()
        if n == server_restarts:
            postgres.restart("immediate")
        worker.kill()
        worker.start()
    time.sleep(3)
    load.finish()
    with psycopg.connect(dsn, autocommit=True) as conn:
        history = conn.execute("SELECT tab, id, version, op FROM history ORDER BY n").fetchall()
        final = {
            (t, i): v
            for t in ("big", "small")
            for i, v in conn.execute(f"SELECT id, version FROM {t}").fetchall()
        }
        target = conn.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
        end = time.monotonic() + 120
        while time.monotonic() < end:
            worker.keep_alive()
            row = conn.execute("SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE slot_name = 'kill'", [target]).fetchone()
            if row and row[0]:
                break
            time.sleep(0.2)
        else:
            pytest.fail("did not catch up:\n" + worker.log.read_text()[-3000:])
    worker.stop()
    counts = check(topic_events(kafka), history, final, since)
    print(f"{kills} kills, {load.transactions} transactions: {counts}")


@pytest.mark.timeout(300)
def test_eight_kills_lose_nothing(private_postgres, private_kafka, tmp_path):
    run(private_postgres, private_kafka, tmp_path, kills=8, rows=150_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fifty_kills_lose_nothing(private_postgres, private_kafka, tmp_path):
    run(private_postgres, private_kafka, tmp_path, kills=50, rows=400_000)
