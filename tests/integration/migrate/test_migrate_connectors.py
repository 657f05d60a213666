"""Connectors move between two real Connect clusters while their data flows: nothing is lost, and at most one side runs."""

import json
import secrets
import signal
import threading

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from connect_sides import (
    commands_of_a_plan,
    commands_of_the_page,
    ended_at,
    flat,
    migrate,
    row,
    run_lines,
    sink_config,
    source_config,
    started,
    state,
    until,
)

pytestmark = [pytest.mark.xdist_group("migrate"), pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def clusters(stack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("migrate")
    both = started(folder, stack.kafka, f"migrate-{secrets.token_hex(3)}")
    yield both
    for side in both:
        side.stop()


@pytest.fixture
def sides(clusters, postgres_db):
    """Both without a connector; those of the test are gone before its database is."""
    yield clusters
    for side in clusters:
        for name in side.call("GET", "/connectors"):
            side.call("DELETE", f"/connectors/{name}")


class Writing:
    """Calls `write(number)` for 1, 2, 3 ... in a thread; `with` ends it, `last` is the last that was written."""

    def __init__(self, write):
        self.last = 0
        self._write, self._end = write, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._end.wait(0.02):
            self._write(self.last + 1)
            self.last += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(10)


def read_ids(kafka, topic):
    """The ids of all events of a topic with one partition, in their order."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "nobody", "auto.offset.reset": "earliest", "log_level": 0})
    try:
        partition = TopicPartition(topic, 0)
        _, end = consumer.get_watermark_offsets(partition, timeout=20)
        consumer.assign([TopicPartition(topic, 0, 0)])
        found, at = [], 0
        while at < end:
            message = consumer.poll(20)
            at = message.offset() + 1
            found.append(json.loads(message.value())["after"]["id"])
        return found
    finally:
        consumer.close()


def wait_for_running(side, name):
    until(lambda: state(side, name) == "RUNNING RUNNING", lambda: f"{name}: {state(side, name)}")


def test_a_source_moves_there_and_back_under_load(sides, postgres_db, names, kafka):
    a, b = sides
    name, topic = names.base, f"{names.prefix}.public.t"
    config = source_config(postgres_db, names)
    both_ways = (a.url, "--to", b.url, "--connector", name)
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql, psycopg.connect(postgres_db.dsn, autocommit=True) as own:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY)")
        sql.execute("INSERT INTO t VALUES (0)")
        a.call("PUT", f"/connectors/{name}/config", config)
        wait_for_running(a, name)
        slot = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
        until(lambda: sql.execute(slot, [names.slot]).fetchone() == (True,), "Debezium does not stream")

        with Writing(lambda n: own.execute("INSERT INTO t VALUES (%s)", [n])) as writing:
            until(lambda: a.call("GET", f"/connectors/{name}/offsets")["offsets"], "no position is stored")
            table = migrate("inspect", a.url)
            assert f"{name}  PostgresConnector  RUNNING  1/1" in table
            assert f"slot {names.slot}, publication {names.publication}" in table
            assert "moved already" not in migrate("apply", *both_ways, "--dry-run")
            assert state(b, name) == "absent"

            assert ended_at("stop it on the old side", signal.SIGKILL, "apply", *both_ways)[0] == -signal.SIGKILL
            code, told = ended_at("copy its positions", signal.SIGTERM, "apply", *both_ways)
            assert (code, state(b, name)) == (1, "STOPPED")
            assert "The move was interrupted" in told
            assert "the same command goes on" in told
            there = migrate("apply", *both_ways)
            assert "RUNNING on the new side" in there
            assert (state(a, name), state(b, name)) == ("STOPPED", "RUNNING RUNNING")
            assert b.call("GET", f"/connectors/{name}/config") == config | {"name": name}
            assert "moved already" in migrate("apply", *both_ways)
            moved_at = writing.last

            migrate("apply", *both_ways, "--back", "--delete-old")
            assert (state(a, name), state(b, name)) == ("RUNNING RUNNING", "absent")
            back_at = writing.last
        assert back_at > moved_at > 0
        last = writing.last
        until(lambda: last in read_ids(kafka, topic), "the last change did not come")
        ids = read_ids(kafka, topic)
        assert sorted(set(ids)) == list(range(last + 1))
        assert ids.count(0) == 1, "no second snapshot"


def test_a_sink_moves_by_hand_and_back_with_its_offsets(sides, postgres_db, names, kafka):
    a, b = sides
    name, topic = names.base, f"{names.base}.rows"
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "log_level": 0, "linger.ms": 0})

    def produce(number):
        key, value = row(number)
        producer.produce(topic, value, key)
        assert producer.flush(20) == 0

    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        produce(0)
        a.call("PUT", f"/connectors/{name}/config", sink_config(postgres_db, topic, "copied"))
        wait_for_running(a, name)
        with Writing(produce) as writing:
            until(lambda: sql.execute("SELECT to_regclass('copied')").fetchone() != (None,), "the sink made no table")
            until(lambda: a.call("GET", f"/connectors/{name}/offsets")["offsets"], "no offset is committed")
            shown = migrate("plan", a.url, "--to", b.url, "--connector", name)
            assert f"{name}: same" in shown
            run_lines(commands_of_a_plan(shown, "by hand"))
            wait_for_running(b, name)
            assert state(a, name) == "STOPPED"
            run_lines(commands_of_the_page("And back by hand"), OLD=a.url, NEW=b.url, NAME=name)
            wait_for_running(a, name)
            assert state(b, name) == "STOPPED"
        last = writing.last
        count = "SELECT count(*), max(id) FROM copied"
        until(lambda: sql.execute(count).fetchone() == (last + 1, last), lambda: f"{sql.execute(count).fetchone()} of {last + 1}")
        position = {"partition": {"kafka_topic": topic, "kafka_partition": 0}, "offset": {"kafka_offset": last + 1}}
        until(lambda: a.call("GET", f"/connectors/{name}/offsets")["offsets"] == [position], "the offsets do not grow")


def test_what_fails_on_the_new_side_runs_again_on_the_old_one_and_moves_later(sides, postgres_db, target, names, kafka):
    """The target lets nobody in while the connector moves: it fails there, comes back, goes on, and moves when it can."""
    a, b = sides
    name, topic = names.base, f"{names.base}.rows"
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "log_level": 0})
    for number in range(5):
        producer.produce(topic, *reversed(row(number)))
    assert producer.flush(20) == 0
    with psycopg.connect(postgres_db.dsn, autocommit=True) as admin, psycopg.connect(target.dsn, autocommit=True) as sql:
        a.call("PUT", f"/connectors/{name}/config", sink_config(target, topic, "copied"))
        wait_for_running(a, name)
        until(lambda: a.call("GET", f"/connectors/{name}/offsets")["offsets"], "no offset is committed")
        admin.execute(f"ALTER DATABASE {target.dbname} ALLOW_CONNECTIONS false")
        told = flat(migrate("apply", a.url, "--to", b.url, "--connector", name, code=1))
        assert "failed on the new side" in told
        assert "It is stopped on the new side, started again on the old side, deleted on the new side" in told
        assert state(b, name) == "absent"
        assert state(a, name).startswith("RUNNING")
        admin.execute(f"ALTER DATABASE {target.dbname} ALLOW_CONNECTIONS true")
        a.call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")
        wait_for_running(a, name)
        migrate("apply", a.url, "--to", b.url, "--all", "--delete-old")
        assert (state(a, name), state(b, name)) == ("absent", "RUNNING RUNNING")
        producer.produce(topic, *reversed(row(5)))
        assert producer.flush(20) == 0
        ids = "SELECT array_agg(id ORDER BY id) FROM copied"
        until(lambda: sql.execute(ids).fetchone() == ([0, 1, 2, 3, 4, 5],), lambda: str(sql.execute(ids).fetchone()))
