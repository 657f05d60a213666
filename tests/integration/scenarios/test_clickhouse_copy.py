"""Scenario C, whole: PostgreSQL -> `pycdc source` -> Kafka -> `pycdc sink` -> ClickHouse, and the topics as Kafka's engine reads them.

Embedded ClickHouse belongs to the sink while it runs: how far that is, is asked of Kafka; rows are looked at behind it.
PYCDC_SEED repeats what the writer does; the seed is printed.
"""

import json
import os
import random
import socket
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

sys.path.insert(0, str(Path(__file__).parent))
import crm
from embedded import ClickHouse
from processes import Group, Sink, Source, ends, until

MS = "(extract(epoch FROM {c}) * 1000)::bigint"
#: The rows of each table in PostgreSQL and in ClickHouse, as texts.
STATES = {
    "customers": (
        f"SELECT id::text, name, email, ldap_username, {MS.format(c='created_at')}::text, {MS.format(c='updated_at')}::text FROM crm.customers",
        "SELECT id, name, email, ldap_username, toUnixTimestamp64Milli(created_at), toUnixTimestamp64Milli(updated_at) FROM {d}.crm_customers FINAL WHERE _deleted = 0",
    ),
    "prostheses": (
        "SELECT id::text, customer_id::text, model_id::text, chip_id FROM crm.prostheses",
        "SELECT id, customer_id, model_id, chip_id FROM {d}.crm_prostheses FINAL WHERE _deleted = 0",
    ),
    "prosthesis_models": (
        "SELECT id::text, name, coalesce(price::text, '-') FROM crm.prosthesis_models",
        "SELECT id, name, if(price IS NULL, '-', toDecimalString(price, 2)) FROM {d}.crm_prosthesis_models FINAL WHERE _deleted = 0",
    ),
}
class Writer(threading.Thread):
    """The CRM's operators: customers, models and prostheses come, change, also their keys, go, and come again; some is undone."""

    def __init__(self, dsn, seed):
        super().__init__()
        self.dsn, self.ended, self.chance, self.commits = dsn, threading.Event(), random.Random(seed), 0

    def run(self):
        with psycopg.connect(self.dsn) as conn:
            while not self.ended.is_set():
                for _ in range(self.chance.randint(1, 5)):
                    self.change(conn)
                conn.rollback() if self.chance.random() < 0.1 else conn.commit()
                self.commits += 1
                time.sleep(0.002)

    def change(self, conn):
        customer, prosthesis, model = (uuid.UUID(int=self.chance.randrange(n)) for n in (40, 80, 8))
        match self.chance.randrange(7):
            case 0 | 1:
                row = [customer, f"Иван {self.chance.randrange(99)} \"'\\\t", f"{customer.int}@x", "u"]
                conn.execute("INSERT INTO crm.customers VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = clock_timestamp()", row)
            case 2:
                row = [model.int, f"model {self.chance.randrange(99)}", None if model.int % 2 else self.chance.randrange(-999, 999) / 100]
                conn.execute("INSERT INTO crm.prosthesis_models VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price", row)
            case 3 | 4:
                row = [prosthesis, f"chip {self.chance.randrange(999)}", customer, model.int]
                conn.execute(
                    "INSERT INTO crm.prostheses SELECT %s, c.id, m.id, %s FROM crm.customers c, crm.prosthesis_models m WHERE c.id = %s AND m.id = %s "
                    "ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, model_id = excluded.model_id, chip_id = excluded.chip_id", row,
                )  # fmt: skip
            case 5:
                other = uuid.UUID(int=self.chance.randrange(80))
                conn.execute("UPDATE crm.prostheses SET id = %s WHERE id = %s AND NOT EXISTS (SELECT FROM crm.prostheses WHERE id = %s)", [other, prosthesis, other])
            case _:
                conn.execute("DELETE FROM crm.prostheses WHERE customer_id = %s OR model_id = %s", [customer, model.int])
                conn.execute("DELETE FROM crm.customers WHERE id = %s", [customer])
                conn.execute("DELETE FROM crm.prosthesis_models WHERE id = %s", [model.int])


class Crm:
    """The database with the document's grants, the connector over it, its topics, and the warehouse behind them."""

    def __init__(self, db, kafka, names, folder):
        self.db, self.kafka, self.names, self.folder = db, kafka, names, folder
        self.role, self.topics = f"{names.slot}_role", {t: f"{names.prefix}.crm.{t}" for t in crm.TABLES}
        self.clickhouse, self.admin, self.started, self.source = ClickHouse(folder / "data"), AdminClient({"bootstrap.servers": kafka}), [], None
        self.sql = psycopg.connect(db.dsn, autocommit=True)
        self.sql.execute(crm.DATABASE)
        self.sql.execute(f"CREATE USER {self.role} WITH REPLICATION PASSWORD 'debezium_password'")
        self.sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA crm TO {self.role}; GRANT USAGE ON SCHEMA crm TO {self.role}")

    def start_source(self, **more):
        self.source = Source(crm.CONNECTOR, self.db, self.kafka, self.names, self.folder, **{"database.user": self.role}, **more)
        self.source.start()
        self.started.append(self.source)
        return self.source

    def start_sink(self, database, http=None):
        sink = Sink(
            {
                "name": f"{self.names.base}-sink", "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": ",".join(self.topics.values()),
                "clickhouse.dsn": self.clickhouse.dsn, "database": database, "topic2TableMap": ",".join(f"{topic}=crm_{t}" for t, topic in self.topics.items()),
                "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
                "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false", "offset.flush.interval.ms": "200",
                "consumer.override.group.instance.id": "one", "consumer.override.session.timeout.ms": "6000",
                "consumer.override.metadata.max.age.ms": "1000",  # the topic of an empty table comes later; found within five minutes else
            }, self.kafka, self.folder,
        )  # fmt: skip
        sink.command += [] if http is None else ["--http", http]
        sink.start()
        self.started.append(sink)
        return sink

    def until_published(self):
        """Until everything that is committed now is in the topics: a position is confirmed when all before it is acknowledged."""
        streams = "SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = %s AND r.state = 'streaming'"
        until(lambda: self.sql.execute(streams, [self.names.slot]).fetchone(), "the source does not stream", processes=[self.source])
        (lsn,) = self.sql.execute("SELECT pg_logical_emit_message(true, 'a position behind the snapshot', '')").fetchone()
        confirmed = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn >= %s"
        until(lambda: self.sql.execute(confirmed, [self.names.slot, lsn]).fetchone(), "the source is behind", processes=[self.source])

    def until_written(self, sink):
        Group(self.kafka, sink.name, self.topics.values()).until_written(sink)

    def messages(self, topic):
        """partition -> its values, as bytes; None is a tombstone."""
        due = {p: end for (_, p), end in ends(self.kafka, [topic]).items()}
        consumer, found = Consumer({"bootstrap.servers": self.kafka, "group.id": "check", "enable.auto.commit": False, "auto.offset.reset": "earliest"}), {p: [] for p in due}
        consumer.assign([TopicPartition(topic, p, 0) for p in due])

        def read():
            for m in consumer.consume(1000, 0.2):
                if m.error() is None:
                    found[m.partition()].append(m.value())
            return all(len(found[p]) >= due[p] for p in due)

        try:
            until(read, f"{topic} cannot be read")
        finally:
            consumer.close()
        return found

    def due(self):
        """The tables, and the mart's join, as PostgreSQL has them."""
        tables = {t: sorted(map(list, self.sql.execute(of_source).fetchall())) for t, (of_source, _) in STATES.items()}
        return tables | {"mart": sorted([str(v) for v in row] for row in self.sql.execute(crm.MART.format("crm.", "")).fetchall())}

    def copy(self, database):
        """The same, as the warehouse has them."""
        queries = [of_copy.format(d=database) for _, of_copy in STATES.values()]
        found = self.clickhouse.run(*queries, f"SELECT * FROM {database}.cdc_customer_data")
        return {name: sorted(rows) for name, rows in zip([*STATES, "mart"], found, strict=True)}

    def close(self):
        for process in self.started:
            process.stop()
        self.sql.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active", [self.names.slot])
        self.sql.execute(f"DROP OWNED BY {self.role}; DROP ROLE {self.role}")
        self.sql.close()


@pytest.fixture
def stack(postgres_db, kafka, names, tmp_path):
    pytest.importorskip("chdb")
    made = Crm(postgres_db, kafka, names, tmp_path)
    yield made
    made.close()


def some_rows(sql):
    for n in range(30):
        sql.execute("INSERT INTO crm.customers (id, name, email, ldap_username) VALUES (%s, %s, %s, 'old')", [uuid.UUID(int=n), f"old {n}", f"{n}@x"])
    sql.execute("INSERT INTO crm.prosthesis_models SELECT g, 'old ' || g, g FROM generate_series(0, 7) g")


def last_words(sql):
    """A row of each table that stays and one that goes, whatever the chance of the writer left."""
    for n in (100, 101):
        one = uuid.UUID(int=n)
        sql.execute("INSERT INTO crm.customers (id, name, email, ldap_username) VALUES (%s, 'last', %s, 'u')", [one, f"{n}@x"])
        sql.execute("INSERT INTO crm.prosthesis_models VALUES (%s, 'last', NULL)", [n])
        sql.execute("INSERT INTO crm.prostheses VALUES (%s, %s, %s, 'last')", [one, one, n])
    sql.execute("DELETE FROM crm.prostheses WHERE id = %s", [one])
    sql.execute("DELETE FROM crm.customers WHERE id = %s", [one])
    sql.execute("DELETE FROM crm.prosthesis_models WHERE id = %s", [n])


def test_the_connector_as_it_is_makes_the_topics_and_their_messages(stack):
    """Partitions, retention, plain rows. drop.tombstones is of an older release, which the log says: a delete is a tombstone."""
    some_rows(stack.sql)
    stack.start_source()
    first = str(uuid.UUID(int=0))
    stack.until_published()
    stack.sql.execute("INSERT INTO crm.prostheses VALUES (%s, %s, 1, 'chip')", [first, first])
    stack.sql.execute("DELETE FROM crm.prostheses")
    stack.until_published()
    assert {t: stack.source.partitions(topic) for t, topic in stack.topics.items()} == {"customers": 3, "prostheses": 3, "prosthesis_models": 1}
    for topic in stack.topics.values():
        resource = ConfigResource(ResourceType.TOPIC, topic)
        assert stack.admin.describe_configs([resource])[resource].result(10)["retention.ms"].value == str(7 * 24 * 3600 * 1000)
    told = {t: [v for values in stack.messages(topic).values() for v in values] for t, topic in stack.topics.items()}
    assert [v and json.loads(v) for v in told["prostheses"]] == [{"id": first, "customer_id": first, "model_id": 1, "chip_id": "chip"}, None]
    assert sorted(json.loads(v)["name"] for v in told["customers"]) == sorted(f"old {n}" for n in range(30))
    assert all(set(json.loads(v)) == {"id", "name", "email", "ldap_username", "created_at", "updated_at"} for v in told["customers"])
    assert len(told["prosthesis_models"]) == 8


@pytest.mark.timeout(240)
def test_both_ways_into_clickhouse_end_equal_through_kills(stack):
    """The sink's tables, and those that the document's materialized views fill out of the same topics."""
    seed = int(os.environ.get("PYCDC_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    stack.clickhouse.run(
        *crm.warehouse("reports", engine="ReplacingMergeTree(_version, _deleted)"),
        *crm.warehouse("views", engine="ReplacingMergeTree(_version)"), *crm.intake("views"),
    )  # fmt: skip
    some_rows(stack.sql)
    source = stack.start_source(**crm.FOR_VIEWS)
    stack.until_published()  # the views' version is a time, and that of a row of the snapshot is when it was read
    sink, writer = stack.start_sink("reports"), Writer(stack.db.dsn, seed)
    writer.start()
    try:
        for process in chance.sample([source, sink, source, sink, sink], 5):
            reached = writer.commits + chance.randint(50, 250)
            until(lambda reached=reached: writer.commits >= reached, "the writer stands", processes=[source, sink])
            process.kill()
            process.start()
    finally:
        writer.ended.set()
        writer.join()
    last_words(stack.sql)
    stack.until_published()
    stack.until_written(sink)
    sink.stop()
    due = stack.due()
    assert all(due.values()), "nothing would be compared"
    assert stack.copy("reports") == due
    for table, topic in stack.topics.items():
        values = stack.messages(topic)
        assert None not in [v for of in values.values() for v in of], "a tombstone is no row of JSONEachRow"
        deleted = [v for of in values.values() for v in of if json.loads(v)["__op"] == "d"]
        assert deleted, "nothing was deleted"
        for of in values.values():
            size = chance.randint(1, 500)
            stack.clickhouse.feed(f"views.kafka_crm_{table}", [[v.decode() for v in of[i : i + size]] for i in range(0, len(of), size)])
    assert stack.copy("views") == due


def test_a_row_can_be_queried_after_its_commit_and_health_says_so(stack):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = f"127.0.0.1:{free.getsockname()[1]}"
    stack.clickhouse.run(*crm.warehouse("reports", engine="ReplacingMergeTree(_version)"))
    some_rows(stack.sql)
    stack.start_source()
    stack.until_published()
    sink = stack.start_sink("reports", http)
    stack.until_written(sink)
    first = str(uuid.UUID(int=0))
    stack.sql.execute("INSERT INTO crm.prostheses VALUES (%s, %s, 3, 'the chip')", [first, first])

    def report():
        with urllib.request.urlopen(f"http://{http}/health/cdc", timeout=5) as answer:
            told = json.load(answer)
        return told if "crm_prostheses" in told["cdc_tables"] and told["kafka_lag"] == dict.fromkeys(sorted(stack.topics.values()), 0) else None

    told = until(report, "the row is not told, or not all topics are without lag", processes=[sink])
    stack.until_written(sink)
    assert told["status"] == "healthy"
    assert {name: t["rows"] for name, t in told["cdc_tables"].items()} == {"crm_customers": 30, "crm_prostheses": 1, "crm_prosthesis_models": 8}
    assert all(t["last_update"].endswith("Z") for t in told["cdc_tables"].values())
    sink.stop()
    copy = stack.copy("reports")
    assert copy == stack.due()
    assert copy["mart"] == [[first, "old 0", "0@x", "old", first, "the chip", "old 3"]]
