"""The source halves of four stacks that people run with Kafka Connect today, on a real server and a real broker.

Each connector file is the one that its users have, JSON as they POST it; only hosts and names that tests may not
share are set on the command line. `snapshot` modes, least privilege, the outbox, incremental snapshots.
"""

import json
import socket
import sys
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from crm import CONNECTOR as CRM
from processes import Source


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def source(postgres_db, kafka, names, tmp_path):
    made = []

    def make(connector, **more):
        made.append(Source(connector, postgres_db, kafka, names, tmp_path, **more))
        made[-1].start()
        return made[-1]

    yield make
    for s in made:
        s.stop()


def until_it_streams(sql, names, source):
    query = "SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = %s AND r.state = 'streaming'"
    end = time.monotonic() + 30
    while not sql.execute(query, [names.slot]).fetchone():
        assert time.monotonic() < end, source.log.read_text()
        time.sleep(0.05)


def count(n):
    return lambda found: len(found) >= n


def payload(value):
    return value["payload"] if value is not None and "payload" in value else value


# ---- A: users and orders, with the schema in every message as Connect's worker has it

SHOP = {
    "name": "debezium-postgres-connector",
    "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": "postgres-host",
        "database.port": "5432", "database.user": "postgres", "database.password": "secret", "database.dbname": "mydb",
        "plugin.name": "pgoutput", "slot.name": "debezium_slot", "topic.prefix": "mycluster",
        "table.include.list": "public.users,public.orders",
    },
}  # fmt: skip


@pytest.mark.parametrize(("mode", "ops"), [("initial", ["r", "c", "u", "d"]), ("never", ["c", "u", "d"]), ("exported", ["r", "c", "u", "d"])])
def test_snapshot_modes_of_all_releases(mode, ops, sql, source, names):
    sql.execute("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE other (id int)")
    sql.execute("INSERT INTO users VALUES (1, 'Ann'); INSERT INTO other VALUES (1)")
    s = source(SHOP, **{"snapshot.mode": mode})
    until_it_streams(sql, names, s)
    sql.execute("INSERT INTO users VALUES (2, 'Bob')")
    sql.execute("UPDATE users SET name = 'Bert' WHERE id = 2")
    sql.execute("DELETE FROM users WHERE id = 2")
    found = s.records(f"{names.prefix}.public.users", count(len(ops) + 1))
    assert [payload(v)["op"] if v else None for _, _, v in found] == [*ops, None]
    said = s.log.read_text()
    assert ("of an older release" in said) == (mode != "initial")


# ---- C: a CRM, with a role that may replicate and read, and no more

def test_least_privilege_and_names_of_an_older_release(sql, source, names):
    role = f"{names.slot}_role"
    sql.execute("CREATE SCHEMA crm; CREATE TABLE crm.customers (id uuid PRIMARY KEY, name text)")
    sql.execute("CREATE TABLE crm.prostheses (id int PRIMARY KEY); CREATE TABLE crm.prosthesis_models (id int PRIMARY KEY)")
    sql.execute(f"CREATE USER {role} WITH REPLICATION PASSWORD 'debezium_password'")
    try:
        sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA crm TO {role}; GRANT USAGE ON SCHEMA crm TO {role}")
        sql.execute("CREATE PUBLICATION crm_publication FOR TABLE crm.customers, crm.prostheses, crm.prosthesis_models")
        first = "550e8400-e29b-41d4-a716-446655440000"
        sql.execute("INSERT INTO crm.customers VALUES (%s, 'Ivan'); INSERT INTO crm.prosthesis_models VALUES (1)".replace("%s", f"'{first}'"))
        s = source(CRM, **{"database.user": role})
        s.records(f"{names.prefix}.crm.prosthesis_models", count(1))
        sql.execute("UPDATE crm.customers SET name = 'Pyotr'")
        found = s.records(f"{names.prefix}.crm.customers", count(2))
        assert [(k, v) for _, k, v in found] == [({"id": first}, {"id": first, "name": n}) for n in ("Ivan", "Pyotr")]
        assert s.partitions(f"{names.prefix}.crm.customers") == 3
        assert s.partitions(f"{names.prefix}.crm.prosthesis_models") == 1
        said = s.log.read_text()
        assert "database.server.name" in said
        assert "drop.tombstones" in said
        assert "debezium_password" not in said
        s.stop()
    finally:
        sql.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active", [names.slot])
        sql.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


# ---- D: the outbox, and an incremental snapshot after both sides were altered

PLAIN = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.user": "postgres", "database.password": "postgres",
    "plugin.name": "pgoutput", "publication.autocreate.mode": "filtered", "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
}  # fmt: skip


def test_the_outbox_becomes_events_of_its_aggregates(sql, source, names):
    sql.execute("CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text, aggregateid text, type text, payload jsonb)")
    config = PLAIN | {
        "table.include.list": "public.outbox", "transforms": "outbox", "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "transforms.outbox.route.topic.replacement": f"{names.prefix}.${{routedByValue}}.events", "tombstones.on.delete": "false",
        "transforms.outbox.table.expand.json.payload": "true", "snapshot.mode": "no_data",
    }  # fmt: skip
    s = source({"name": "outbox-connector", "config": config})
    until_it_streams(sql, names, s)
    for i in range(3):
        with sql.transaction():  # as the pattern has it: written and removed at once
            sql.execute("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('Person', %s, 'created', %s)", [str(i), json.dumps({"n": i})])
            sql.execute("DELETE FROM outbox")
    found = s.records(f"{names.prefix}.Person.events", count(3))
    assert [(k, v) for _, k, v in found] == [(str(i), {"n": i}) for i in range(3)]


def test_an_incremental_snapshot_after_a_pause_and_an_alteration(sql, source, names):
    sql.execute("CREATE TABLE persons (id int PRIMARY KEY, name text); INSERT INTO persons SELECT g, 'p' || g FROM generate_series(1, 2500) g")
    sql.execute("CREATE TABLE debezium_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))")
    config = PLAIN | {"table.include.list": "public.persons", "signal.data.collection": "public.debezium_signal"}
    topic = f"{names.prefix}.public.persons"
    s = source({"name": "source-connector", "config": config})
    s.records(topic, count(2500))
    s.stop()  # paused
    sql.execute("ALTER TABLE persons ADD COLUMN age int NOT NULL DEFAULT 33")
    sql.execute("UPDATE persons SET age = 44 WHERE id = 7")
    s.start()
    s.records(topic, count(2501))
    sql.execute("""INSERT INTO debezium_signal VALUES ('s1', 'execute-snapshot', '{"data-collections": ["public.persons"], "type": "incremental"}')""")
    for i in range(20):  # changes go on while rows are read again
        sql.execute("UPDATE persons SET name = 'new' WHERE id = %s", [100 * i + 1])
        sql.execute("DELETE FROM persons WHERE id = %s", [100 * i + 2])

    def state(found):
        rows = {}
        for _, key, value in found:
            after = value and value["after"]
            if after is None:
                rows.pop(key["id"], None)
            else:
                rows[key["id"]] = after
        return rows

    wanted = {i: {"id": i, "name": n, "age": a} for i, n, a in sql.execute("SELECT id, name, age FROM persons").fetchall()}
    found = s.records(topic, lambda found: len(found) > 4000 and state(found) == wanted)
    assert state(found) == wanted


def test_the_series_that_dashboards_of_debezium_ask_for(sql, source, names):
    """By the names that the usual JMX exporter rule gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int); INSERT INTO orders SELECT g, g FROM generate_series(1, 40) g")
    s = source({**PLAIN, "table.include.list": "public.orders", "skip.messages.without.change": "true"}, http=f"127.0.0.1:{port}")
    until_it_streams(sql, names, s)
    sql.execute("ALTER TABLE orders REPLICA IDENTITY FULL")
    sql.execute("INSERT INTO orders VALUES (41, 1); UPDATE orders SET v = 9 WHERE id = 41; UPDATE orders SET v = 9 WHERE id = 41; DELETE FROM orders WHERE id = 1")
    s.records(f"{names.prefix}.public.orders", count(44))

    def series():
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        found = (line.rpartition(" ") for line in text.splitlines() if line.startswith("debezium_metrics_"))
        return {name.removeprefix("debezium_metrics_"): float(value) for name, _, value in found}

    common = f'name="{names.prefix}",plugin="postgres"'
    streaming = f'{{context="streaming",{common}}}'
    end = time.monotonic() + 10
    while (seen := series())[f"TotalNumberOfDeleteEventsSeen{streaming}"] < 1:
        assert time.monotonic() < end, seen
        time.sleep(0.1)
    assert seen[f'RowsScanned{{context="snapshot",{common},table="public.orders"}}'] == 40
    assert seen[f'SnapshotCompleted{{context="snapshot",{common}}}'] == 1
    assert seen[f"Connected{streaming}"] == 1
    assert seen[f"TotalNumberOfCreateEventsSeen{streaming}"] == 1
    assert seen[f"TotalNumberOfUpdateEventsSeen{streaming}"] == 1
    assert seen[f"NumberOfUnchangedEventsSkipped{streaming}"] == 1
    assert seen[f"NumberOfCommittedTransactions{streaming}"] >= 1
    assert 0 <= seen[f"MilliSecondsBehindSource{streaming}"] <= seen[f"MilliSecondsBehindSourceMaxValue{streaming}"] < 60_000
    (xid,) = sql.execute("SELECT txid_current()").fetchone()
    assert 0 < seen[f"LastTransactionId{streaming}"] < xid
    (lsn,) = sql.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
    assert 0 < seen[f'SourceEventPosition{{context="streaming",key="lsn",{common}}}'] <= lsn
