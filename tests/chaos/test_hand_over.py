"""Real Debezium, then pycdc, then Debezium again, on one slot, one topic of offsets and one connector's name.

Each is killed or stopped in the middle of a load; between the second and the third lies an idle night with
foreign writes only. Nothing may be lost, and no second snapshot be taken. PYCDC_SEED repeats a run.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from history import SETUP, Load, check
from test_kill_source import Worker, topic_events, versions_when_the_slot_is_there

from pycdc.servers.connect import Connect


def config_of(postgres):
    """The JSON that a user has today; both are given it as it is."""
    json_converter = "org.apache.kafka.connect.json.JsonConverter"
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "tasks.max": "1",
        "topic.prefix": "k", "database.hostname": "127.0.0.1", "database.port": str(postgres.port), "database.user": "postgres",
        "database.password": "x", "database.dbname": "postgres", "table.include.list": "public.(big|small)", "slot.name": "kill",
        "key.converter": json_converter, "value.converter": json_converter, "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false", "poll.interval.ms": "50",
    }  # fmt: skip


class Ours(Worker):
    """pycdc with Connect's own topic of offsets."""

    def __init__(self, postgres, kafka, folder):
        super().__init__(postgres, kafka, folder)
        worker = {
            "bootstrap.servers": kafka.bootstrap, "offset.storage.topic": "connect-offsets", "offset.storage.partitions": "1",
            "offset.storage.replication.factor": "1", "offset.flush.interval.ms": "300", "slot.retry.delay.ms": "500",
        }  # fmt: skip
        self.file.write_text(json.dumps({"name": "kill", "config": config_of(postgres) | worker}))


def wait(enough, what, limit=90):
    end = time.monotonic() + limit
    while not enough():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def caught_up(sql):
    target = sql.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]

    def enough():
        row = sql.execute("SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE slot_name = 'kill'", [target]).fetchone()
        return bool(row and row[0])

    return enough


def streams(sql):
    query = "SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = 'kill' AND r.state = 'streaming'"
    return lambda: sql.execute(query).fetchone() is not None


@pytest.mark.long
@pytest.mark.timeout(600)
def test_debezium_and_pycdc_hand_over_to_each_other(private_postgres, private_kafka, tmp_path):
    seed = int(os.environ.get("PYCDC_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    dsn = private_postgres.dsn()
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(SETUP.replace("{rows}", "20000"))
        first = Connect(tmp_path / "first", private_kafka.bootstrap)
        first.start()
        load = Load(dsn, seed)
        try:
            first.call("PUT", "/connectors/kill/config", config_of(private_postgres))
            since = versions_when_the_slot_is_there(dsn)
            # the load begins behind the snapshot, in which Debezium loses changes by itself
            wait(streams(sql), "Debezium does not stream")
            load.start()
            time.sleep(8)
        finally:
            first.stop()  # kill -9 in the middle of the load

        ours = Ours(private_postgres, private_kafka, tmp_path)
        ours.start()
        time.sleep(8)
        ours.kill()
        ours.start()
        time.sleep(3)
        load.finish()
        wait(caught_up(sql), "pycdc did not catch up: " + ours.log.read_text()[-2000:])

        # an idle night: only foreign tables are written, WAL is switched and recycled
        sql.execute("CREATE TABLE foreign_to_us (id serial, v text)")
        for _ in range(5):
            sql.execute("INSERT INTO foreign_to_us (v) SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
            sql.execute("SELECT pg_switch_wal()")
            sql.execute("CHECKPOINT")
        wait(caught_up(sql), "the idle slot does not move")
        ours.stop()

        last = Connect(tmp_path / "last", private_kafka.bootstrap)
        last.start()  # it finds its connector in connect-configs
        again = Load(dsn, seed + 1)
        try:
            again.start()
            time.sleep(8)
            again.finish()
            # Debezium confirms behind its last event only: an event after the load lets it
            sql.execute("UPDATE small SET v = 'end' WHERE id = (SELECT min(id) FROM small)")
            version = sql.execute("SELECT version FROM small WHERE v = 'end'").fetchone()[0]
            wait(lambda: any(e[3] == version for e in topic_events(private_kafka)), "Debezium did not go on: " + last.log.read_text()[-2000:], 180)
            state = last.call("GET", "/connectors/kill/status")
            assert [t["state"] for t in state["tasks"]] == ["RUNNING"], state
        finally:
            last.stop()
        history = sql.execute("SELECT tab, id, version, op FROM history ORDER BY n").fetchall()
        final = {(t, i): v for t in ("big", "small") for i, v in sql.execute(f"SELECT id, version FROM {t}").fetchall()}
    events = topic_events(private_kafka)
    counts = check(events, history, final, since)
    read = sum(op == "r" for _, _, op, _ in events)
    assert read == 22_000, "one snapshot, by the first Debezium"
    print(f"{load.transactions + again.transactions} transactions: {counts}")
