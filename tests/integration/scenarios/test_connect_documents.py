"""What the documents of all four scenarios do to Kafka Connect's REST API, done to our workers: their connectors and commands.

Adapted are hosts, ports, and names that must be unique.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

sys.path.insert(0, str(Path(__file__).parent))
import crm
import documents
from documents import JDBC_SINK, POSTGRES, WITH_SCHEMAS, Shell
from processes import records, until

from pycdc.model.lsn import parse_lsn
from pycdc.testing.rest import Rest

#: They share the Connect workers.
pytestmark = [
    pytest.mark.xdist_group("connect-rest"),
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="apt-get install curl bash"),
]


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def copy(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def rest(connect):
    return Rest(connect.urls[0])


@pytest.fixture
def shell(connect, tmp_path):
    return Shell(connect.urls[0], tmp_path)


def of(ops, found):
    return [value["op"] for _, _, value in found if value is not None] == list(ops)


def test_a1_a_posted_connector_snapshots_and_follows(rest, connect, sql, postgres_db, kafka, names):
    sql.execute("CREATE TABLE users (id int PRIMARY KEY, name text, age int); ALTER TABLE users REPLICA IDENTITY FULL")
    sql.execute("CREATE TABLE orders (id int PRIMARY KEY, user_id int); CREATE TABLE secrets (id int PRIMARY KEY)")
    sql.execute("INSERT INTO users VALUES (123, 'Ivan', 30), (124, 'Анна', NULL); INSERT INTO orders VALUES (1, 123); INSERT INTO secrets VALUES (1)")
    connector = {
        "name": "debezium-postgres-connector",
        "config": {
            "connector.class": POSTGRES, "database.hostname": postgres_db.host, "database.port": str(postgres_db.port), "database.user": postgres_db.user,
            "database.password": "secret", "database.dbname": postgres_db.dbname, "plugin.name": "pgoutput", "slot.name": names.slot,
            "topic.prefix": names.prefix, "table.include.list": "public.users,public.orders",
        },
    }  # fmt: skip
    assert rest.call("POST", "/connectors", connector).status == 201
    users, orders = (f"{names.prefix}.public.{t}" for t in ("users", "orders"))
    snapshot = records(kafka, users, lambda found: len(found) == 2)
    assert of("rr", snapshot)
    assert [value["after"] for _, _, value in snapshot] == [{"id": 123, "name": "Ivan", "age": 30}, {"id": 124, "name": "Анна", "age": None}]
    assert of("r", records(kafka, orders, lambda found: len(found) == 1))
    rest.until_state(connector["name"], "RUNNING", ["RUNNING"])
    slot = "SELECT plugin, active, confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s"
    plugin, _, before = sql.execute(slot, [names.slot]).fetchone()
    assert plugin == "pgoutput"
    sql.execute("INSERT INTO users VALUES (125, 'Oleg', 20); UPDATE users SET age = 31 WHERE id = 123; DELETE FROM users WHERE id = 124; INSERT INTO orders VALUES (2, 125)")
    (written,) = sql.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    followed = records(kafka, users, lambda found: len(found) == 6)
    assert of("rrcud", followed)
    _, key, updated = followed[3]
    assert (key, updated["op"]) == ({"id": 123}, "u")
    assert updated["before"] == {"id": 123, "name": "Ivan", "age": 30}
    assert updated["after"] == {"id": 123, "name": "Ivan", "age": 31}
    assert updated["source"]["table"] == "users"
    assert followed[4][2]["after"] is None
    assert followed[5] == (followed[4][0], {"id": 124}, None), "a tombstone follows a delete"
    assert of("rc", records(kafka, orders, lambda found: len(found) == 2))
    until(lambda: parse_lsn(sql.execute(slot, [names.slot]).fetchone()[2]) >= parse_lsn(written), "the position is not confirmed to PostgreSQL")
    assert parse_lsn(before) < parse_lsn(written)
    assert f"{names.prefix}.public.secrets" not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics


def test_c4_health_of_the_crm(shell, connect, rest, sql, target, names, kafka):
    sql.execute(crm.DATABASE)
    for n in range(5):
        sql.execute("INSERT INTO crm.customers VALUES (gen_random_uuid(), %s, 'a@b', 'u')", [f"Ivan {n}"])
        sql.execute("INSERT INTO crm.prosthesis_models VALUES (%s, 'm', 1.5)", [n])
    sql.execute("INSERT INTO crm.prostheses SELECT gen_random_uuid(), c.id, 1, 'chip' FROM crm.customers c")
    topics = [f"{names.prefix}.crm.{t}" for t in crm.TABLES]
    at = {"database.hostname": target.host, "database.port": str(target.port), "database.dbname": names.base, "database.user": "postgres"}
    more = {"slot.name": names.slot, "topic.prefix": names.prefix, "database.server.name": names.prefix, "transforms.unwrap.drop.tombstones": "true"}
    shell.file("debezium/crm-connector.json", {"name": "crm-connector", "config": {**crm.CONNECTOR["config"], **at, **more, **WITH_SCHEMAS}})
    created = shell.json('curl -X POST -H "Content-Type: application/json" \\\n  --data @debezium/crm-connector.json \\\n  http://localhost:8083/connectors')
    assert created["name"] == "crm-connector"
    sink = {
        "connector.class": JDBC_SINK, "topics": ",".join(topics), "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}",
        "connection.user": target.user, "connection.password": "p", "auto.create": "true", "insert.mode": "upsert", "pk.mode": "record_key", "pk.fields": "id",
        "transforms": "route", "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.route.regex": r".*\.crm\.(.*)",
        "transforms.route.replacement": "crm_$1", "consumer.override.metadata.max.age.ms": "500", **WITH_SCHEMAS,
    }  # fmt: skip
    rest.done("POST", "/connectors", {"name": "crm-sink", "config": sink})

    def report():
        """Each worker speaks of what runs on it, and of every connector's state."""
        answers = [shell.json(f"curl {url}/health/cdc") for url in connect.urls]
        for answer in answers:
            assert answer.keys() >= {"status", "cdc_tables", "kafka_lag"}
        return {part: {k: v for answer in answers for k, v in answer[part].items()} for part in ("cdc_tables", "kafka_lag", "connectors")} | {
            "status": [answer["status"] for answer in answers]
        }

    def caught_up():
        found = report()
        tables = found["cdc_tables"]
        return found if [tables.get(f"public.crm_{t}", {}).get("rows") for t in crm.TABLES] == [5, 5, 5] and found["kafka_lag"] == dict.fromkeys(topics, 0) else None

    found = until(caught_up, "the sink is not caught up", 30)
    assert found["status"] == ["healthy", "healthy"]
    assert found["connectors"] == {"crm-connector": "RUNNING", "crm-sink": "RUNNING"}
    assert found["cdc_tables"].keys() == {*topics, *(f"public.crm_{t}" for t in crm.TABLES)}, "a source's tables by their topics"
    for table in found["cdc_tables"].values():
        assert table.keys() == {"rows", "last_update"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", table["last_update"])

    # the document's table of the admin API
    assert rest.done("GET", "/connectors") == ["crm-connector", "crm-sink"]
    assert rest.done("GET", "/connectors/crm-connector/status")["connector"]["state"] == "RUNNING"
    rest.done("PUT", "/connectors/crm-connector/pause")
    rest.until_state("crm-connector", "PAUSED", ["PAUSED"])
    until(lambda: report()["connectors"]["crm-connector"] == "PAUSED", "health does not say that it is paused")
    assert report()["status"] == ["healthy", "healthy"], "a pause is no fault"
    rest.done("PUT", "/connectors/crm-connector/resume")
    rest.until_state("crm-connector", "RUNNING", ["RUNNING"])
    assert shell.run("curl -X POST http://localhost:8083/connectors/crm-connector/restart") == ""
    rest.until_state("crm-connector", "RUNNING", ["RUNNING"])
    assert shell.run("curl -X DELETE http://localhost:8083/connectors/crm-connector") == ""
    rest.until("crm-connector", lambda status: status is None)
    until(lambda: "crm-connector" not in report()["connectors"], "health speaks of a deleted connector")


def test_c4_health_names_what_has_failed(connect, target, kafka, names):
    first, second = (Rest(url) for url in connect.urls)
    fields = [{"field": "id", "type": "int32"}]
    producer = Producer({"bootstrap.servers": kafka})
    for topic in documents.sink_connector(target, names)["config"]["topics"].split(","):
        row = json.dumps({"schema": {"type": "struct", "fields": fields}, "payload": {"id": 1}})
        producer.produce(topic, row, row)
    producer.flush()
    first.done("POST", "/connectors", documents.sink_connector(target, names))  # its table is not there, and it may make none
    first.until_state("sink-connector", "RUNNING", ["FAILED"])
    for rest in (first, second):
        until(lambda r=rest: r.call("GET", "/health/cdc").status == 503, "health stays well")
        told = rest.call("GET", "/health/cdc").json()
        assert (told["status"], told["failed"]) == ("unhealthy", ["sink-connector"])
        assert rest.call("GET", "/health").status == 200, "a failed connector is no reason to end the worker"
    first.done("DELETE", "/connectors/sink-connector")
    for rest in (first, second):
        until(lambda r=rest: r.call("GET", "/health/cdc").status == 200, "health stays ill")


_HEADERS = '-H "Accept:application/json" -H  "Content-Type:application/json"'
#: What the document's scripts of these names do, each with the connector's name behind it.
SCRIPTS = {
    "register": f"curl -i -X POST {_HEADERS} http://localhost:8083/connectors/ -d @register-$1.json",
    "list": "curl -i http://localhost:8083/connectors?expand=status&expand=info",  # to a shell the & is an end: without the second
    "config": f"curl -i -X GET {_HEADERS} http://localhost:8083/connectors/$1/config",
    "pause": f"curl -i -X PUT {_HEADERS} http://localhost:8083/connectors/$1/pause",
    "resume": f"curl -i -X PUT {_HEADERS} http://localhost:8083/connectors/$1/resume",
    "restart": f"curl -i -X POST {_HEADERS} http://localhost:8083/connectors/$1/tasks/$2/restart",
    "delete": "curl -i -X DELETE http://localhost:8083/connectors/$1",
}


def test_d6_the_scripts_work_unchanged(shell, rest, sql, copy, postgres_db, target, kafka, names):
    sql.execute(documents.SOURCE_DB)
    sql.execute("INSERT INTO debezium_table VALUES (0, 7)")
    copy.execute(documents.DESTINATION_DB)
    sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])  # Patroni has made it already
    shell.file("register-postgres.json", documents.source_connector(postgres_db, names))
    shell.file("register-sink.json", documents.sink_connector(target, names))

    def arrives(number):
        sql.execute("INSERT INTO debezium_table VALUES (%s, 0)", [number])
        sql.execute("UPDATE debezium_table SET current_value = current_value + 1")
        due = sql.execute("SELECT * FROM debezium_table ORDER BY id").fetchall()
        until(lambda: copy.execute("SELECT * FROM debezium_table ORDER BY id").fetchall() == due, f"{due} does not arrive", 30)

    status, registered = shell.asked(SCRIPTS["register"], "postgres")
    assert (status, registered["config"]["heartbeat.interval.ms"]) == (201, "15000")
    records(kafka, f"{names.prefix}.public.debezium_table", len)  # else the sink looks for its topic again in ten seconds
    assert shell.asked(SCRIPTS["register"], "sink")[0] == 201
    for name in ("source-connector", "sink-connector"):
        rest.until_state(name, "RUNNING", ["RUNNING"])
    status, listed = shell.asked(SCRIPTS["list"])
    assert status == 200
    assert {name: shown["status"]["tasks"][0]["state"] for name, shown in listed.items()} == {"source-connector": "RUNNING", "sink-connector": "RUNNING"}
    arrives(1)
    status, config = shell.asked(SCRIPTS["config"], "source-connector")
    assert (status, config["slot.name"]) == (200, names.slot)
    assert shell.asked(SCRIPTS["pause"], "source-connector") == (202, None)
    rest.until_state("source-connector", "PAUSED", ["PAUSED"])
    assert shell.asked(SCRIPTS["delete"], "sink-connector") == (204, None)
    rest.until("sink-connector", lambda status: status is None)
    assert shell.asked(SCRIPTS["register"], "sink")[0] == 201
    assert shell.asked(SCRIPTS["resume"], "source-connector") == (202, None)
    arrives(2)
    assert shell.asked(SCRIPTS["restart"], "source-connector", "0") == (204, None)
    arrives(3)
    assert shell.asked(SCRIPTS["restart"], "source-connector", "1")[0] == 404
    for name in ("source-connector", "sink-connector"):
        assert shell.asked(SCRIPTS["delete"], name) == (204, None)
        rest.until(name, lambda status: status is None)
        assert shell.asked(SCRIPTS["pause"], name)[0] == 404
    assert shell.asked(SCRIPTS["list"]) == (200, {})
