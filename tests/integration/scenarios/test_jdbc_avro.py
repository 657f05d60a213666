"""The second of the four stacks, whole: JDBC source, Avro with a real schema registry, JDBC sink, in one Connect worker.

`t_orders` grows a column, then many rows at once. The document's target can have no primary key; here it has one, and gets
each row once, by plain inserts with positions kept in the target and by upsert, also when a sink is deleted and made again.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "compat" / "rest"))
from documents import POSTGRES, Shell
from jdbc_stack import SINK, SOURCE, Stack, avro
from processes import Group, ends, until
from rest_clients import (
    Connector,
    Definition,
    Expanded,
    Kafbat,
    Kcctl,
    Lenses,
    Offsets,
    Plugin,
    Redpanda,
    Root,
    Status,
    Task,
    TaskStatus,
    Topics,
    Validation,
)

from pycdc.testing.rest import Rest
from pycdc.testing.workers import OurWorker, properties

pytestmark = [
    pytest.mark.xdist_group("registry"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="apt-get install curl bash"),
]

JDBC_SOURCE, JDBC_SINK = (f"io.confluent.connect.jdbc.Jdbc{kind}Connector" for kind in ("Source", "Sink"))
KEYLESS = "CREATE TABLE keyless (id integer, num varchar(100), dt date)"
#: As the document makes it, and as it warns not to.
TARGETS = f"{KEYLESS}; {KEYLESS.replace('keyless (id integer', 'pg_source_t_orders (id integer PRIMARY KEY')}; {KEYLESS.replace('keyless (id integer', 'orders_upsert (id integer PRIMARY KEY')}"


class Registry:
    """What a script asks it."""

    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None):
        """The status and the JSON."""
        answer = Rest(self.url).call(method, f"/apis/ccompat/v7{path}", body)
        return answer.status, answer.json()

    def versions(self, subject):
        status, found = self.call("GET", f"/subjects/{subject}/versions")
        return found if status == 200 else None

    def fields(self, subject, version):
        """Names and types of the record's fields."""
        status, found = self.call("GET", f"/subjects/{subject}/versions/{version}")
        assert status == 200, found
        return {f["name"]: f["type"] for f in json.loads(found["schema"])["fields"]}


@pytest.fixture(scope="module")
def worker(stack, schema_registry, tmp_path_factory):
    """One for all tests of this module; its converters are Avro, as in the document's compose file."""
    made = OurWorker(tmp_path_factory.mktemp("jdbc-avro") / "worker", properties(stack.kafka, "jdbc-avro", avro(schema_registry)))
    made.start()
    yield made
    made.end(15)
    assert made.faults() == []


@pytest.fixture
def pipeline(worker, postgres_db, target, names, schema_registry):
    """Its connectors are gone before the databases are."""
    made = Stack(worker, postgres_db, target, f"{names.prefix}_", schema_registry)
    yield made
    made.clear()


@pytest.fixture
def registry(schema_registry):
    return Registry(schema_registry.removesuffix("/apis/ccompat/v7"))


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def copy(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        yield conn


def count(conn, table):
    return conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


# ---- B1 to B4, as the document has them


@pytest.mark.timeout(400)
@pytest.mark.parametrize("rows", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_orders_with_a_new_column_and_many_rows_at_once(rows, pipeline, registry, sql, copy, kafka, tmp_path):
    shell = Shell(pipeline.rest.url, tmp_path)
    sql.execute("create table t_orders ( id serial primary key, num varchar(100) ); insert into t_orders values (1, '100-456468'); SELECT setval('t_orders_id_seq', 1)")
    copy.execute(TARGETS)

    # B1: the document's commands
    classes = {p["class"]: p["type"] for p in shell.json("curl -s http://localhost:8083/connector-plugins | jq")}
    assert (classes[JDBC_SOURCE], classes[JDBC_SINK]) == ("source", "sink")
    assert shell.json("curl -s http://localhost:8083/connectors | jq") == []
    register = 'curl -X POST -H "Content-Type: application/json" --data @connectors/{}_connector.json http://localhost:8083/connectors'
    connectors = {
        "source": pipeline.source_connector(), "sink": pipeline.sink_connector(), "upsert": pipeline.sink_connector("jdbc-sink-upsert", "upsert"),
        # to the letter: without a primary key, and positions in Kafka alone
        "keyless": pipeline.sink_connector("jdbc-sink-keyless", **{"table.name.format": "keyless", "exactly.once.enabled": "false"}),
    }  # fmt: skip
    for file, connector in connectors.items():
        shell.file(f"connectors/{file}_connector.json", connector)
        created = shell.json(register.format(file))
        assert (created["name"], created["config"]) == (connector["name"], {**connector["config"], "name": connector["name"]})
    assert sorted(shell.json("curl -s http://localhost:8083/connectors | jq")) == sorted(c["name"] for c in connectors.values())
    pipeline.rest.until_state(SOURCE, "RUNNING", ["RUNNING"])
    assert shell.json(f"curl -s http://localhost:8083/connectors/{SOURCE}/status | jq")["type"] == "source"
    copies = ("pg_source_t_orders", "orders_upsert", "keyless")
    pipeline.until_equal(*copies)

    # B2: a version for each shape of the table; the keys are null and have no schema
    subject = f"{pipeline.topic}-value"
    assert registry.versions(subject) == [1]
    assert registry.fields(subject, 1) == {"id": "int", "num": ["null", "string"]}
    assert registry.versions(f"{pipeline.topic}-key") is None

    # B3
    sql.execute("alter table t_orders add dt date; insert into t_orders (num, dt) select substr(md5(random()::text), 1, 25), now()")
    pipeline.until_equal(*copies, dated=True)
    assert registry.versions(subject) == [1, 2]
    assert registry.fields(subject, 2)["dt"][1]["logicalType"] == "date"

    # B4: sinks that are deleted and made again go on where they were
    sinks = [connectors[file] for file in ("sink", "upsert", "keyless")]
    for sink in sinks:
        assert shell.run(f"curl -X DELETE http://localhost:8083/connectors/{sink['name']}") == ""
        pipeline.rest.until(sink["name"], lambda status: status is None)
    sql.execute(f"INSERT INTO t_orders (num, dt) SELECT substr(md5(random()::text), 1, 25), now() FROM generate_series(1, {rows})")
    for sink in sinks:
        pipeline.post(sink)
    pipeline.until_equal(*copies, dated=True, limit=300)
    assert ends(kafka, [pipeline.topic]) == {(pipeline.topic, 0): rows + 2}, "each row is in the topic once"
    assert registry.versions(subject) == [1, 2]
    position = ({"protocol": "1", "table": "public.t_orders"}, rows + 2)
    until(lambda: [(o["partition"], o["offset"]["incrementing"]) for o in pipeline.offsets(SOURCE)] == [position], "the last row's position is not stored")

    # B4: and those whose offsets are reset knowingly read again
    for sink in sinks:
        until(lambda name=sink["name"]: [o["offset"]["kafka_offset"] for o in pipeline.offsets(name)] == [rows + 2], f"{sink['name']} commits nothing")
        pipeline.stop(sink["name"])
        back = {"partition": {"kafka_topic": pipeline.topic, "kafka_partition": 0}, "offset": {"kafka_offset": rows - 8}}
        answer = shell.json(f"curl -X PATCH -H 'Content-Type: application/json' --data '{json.dumps({'offsets': [back]})}' http://localhost:8083/connectors/{sink['name']}/offsets")
        assert "successfully" in answer["message"], answer
        pipeline.rest.done("PUT", f"/connectors/{sink['name']}/resume")
    until(lambda: count(copy, "keyless") == rows + 12, "the last ten rows are not inserted again")
    sql.execute("INSERT INTO t_orders (num) VALUES ('last')")
    pipeline.until_equal("pg_source_t_orders", "orders_upsert", dated=True)
    assert (count(copy, "keyless"), count(copy, "(SELECT DISTINCT * FROM keyless) AS k")) == (rows + 13, rows + 3)

    # the document's last command; positions would outlive it, and another connector of this name go on there
    pipeline.stop(SOURCE)
    pipeline.rest.done("DELETE", f"/connectors/{SOURCE}/offsets")
    assert shell.run(f"curl -X DELETE http://localhost:8083/connectors/{SOURCE}") == ""
    pipeline.rest.until(SOURCE, lambda status: status is None)


KEYED = {"transforms": "key", "transforms.key.type": "org.apache.kafka.connect.transforms.ValueToKey", "transforms.key.fields": "id"}
MODES = {
    "bulk": {"mode": "bulk"},
    "incrementing": {"mode": "incrementing"},
    "timestamp": {"mode": "timestamp", "timestamp.column.name": "at"},
    "timestamp+incrementing": {"mode": "timestamp+incrementing", "timestamp.column.name": "at"},
    "query": {"mode": "incrementing", "table.whitelist": "", "query": "SELECT * FROM (SELECT o.*, s.word FROM t_orders o JOIN states s USING (state)) AS q"},
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_with_keys(mode, pipeline, registry, sql, copy):
    """Keys by ValueToKey, as everybody makes them with this connector, and a sink that goes by them."""
    sql.execute("CREATE TABLE states (state int PRIMARY KEY, word text); INSERT INTO states VALUES (1, 'new'), (2, 'paid')")
    sql.execute("CREATE TABLE t_orders (id serial PRIMARY KEY, num text, state int NOT NULL DEFAULT 1, at timestamptz NOT NULL DEFAULT now())")
    sql.execute("INSERT INTO t_orders (num) SELECT 'old ' || g FROM generate_series(1, 700) g")
    if mode == "query":
        pipeline.topic = pipeline.prefix
    pipeline.post(pipeline.source_connector(**KEYED, **MODES[mode]))
    to = {"fields.whitelist": "", "auto.create": "true", "auto.evolve": "true", "pk.mode": "record_key", "table.name.format": "orders"}
    pipeline.post(pipeline.sink_connector(file="upsert", **to))
    look = "SELECT id, num, {}, date_trunc('milliseconds', {}) FROM {} ORDER BY id"

    def equal():
        """Connect's Timestamp has milliseconds, and no zone."""
        wanted = sql.execute(look.format("state", "at at time zone 'UTC'", "t_orders")).fetchall()
        return copy.execute("SELECT to_regclass('orders')").fetchone()[0] and copy.execute(look.format("state", "at", "orders")).fetchall() == wanted and pipeline.none_failed()

    until(equal, "the rows do not arrive")
    sql.execute("ALTER TABLE t_orders ADD more numeric(8,2) DEFAULT 1.5")
    sql.execute("INSERT INTO t_orders (num) SELECT 'new ' || g FROM generate_series(1, 300) g")
    if mode != "incrementing" and mode != "query":
        sql.execute("UPDATE t_orders SET state = 2, at = now() WHERE id % 7 = 0")
    until(equal, "changes do not arrive")
    until(lambda: copy.execute("SELECT count(*) FROM orders WHERE more = 1.5").fetchone()[0] >= 300, "the new column does not arrive")
    assert registry.versions(f"{pipeline.topic}-key") == [1]
    assert registry.fields(f"{pipeline.topic}-key", 1) == {"id": "int"}
    assert registry.versions(f"{pipeline.topic}-value") == [1, 2]
    stamped = {"timestamp", "timestamp_nanos"}
    wanted = {"bulk": [], "timestamp": [stamped], "timestamp+incrementing": [{*stamped, "incrementing"}]}
    until(
        lambda: [{k for k in o["offset"] if k != "pycdc_snapshot"} for o in pipeline.offsets(SOURCE)] == wanted.get(mode, [{"incrementing"}]), "positions are missing"
    )


# ---- B5: what Kafka UIs do with them


def test_kafka_uis_show_and_steer_both_connectors(pipeline, sql, copy, kafka):
    sql.execute("CREATE TABLE t_orders (id serial PRIMARY KEY, num varchar(100)); INSERT INTO t_orders (num) VALUES ('a')")
    copy.execute(TARGETS)
    kafbat, console, kcctl, lenses = (kind(pipeline.rest.url) for kind in (Kafbat, Redpanda, Kcctl, Lenses))
    source, sink = pipeline.source_connector(), pipeline.sink_connector(**{"consumer.override.session.timeout.ms": "6000"})
    assert {p.class_ for p in kafbat.ask(list[Plugin], "GET", "/connector-plugins")} >= {JDBC_SOURCE, JDBC_SINK}
    assert lenses.ask(Root, "GET", "/").kafka_cluster_id

    # forms
    form = kafbat.ask(Validation, "PUT", f"/connector-plugins/{JDBC_SOURCE}/config/validate", {"connector.class": JDBC_SOURCE})
    wrong = {c.value.name for c in form.configs if c.value.errors}
    assert wrong == {"name", "connection.url", "mode", "topic.prefix"}
    assert form.groups[-4:] == ["Database", "Mode", "Connector", "Late commits"]
    told = console.ask(Validation, "PUT", f"/connector-plugins/{JDBC_SOURCE}/config/validate", {**source["config"], "name": SOURCE, "incrementing.column.name": "nr"})
    assert [c.value.name for c in told.configs if c.value.errors] == ["incrementing.column.name"]
    right = kafbat.ask(Validation, "PUT", f"/connector-plugins/{JDBC_SOURCE}/config/validate", {**source["config"], "name": SOURCE})
    shown = {c.value.name: c.value for c in right.configs}
    assert right.errors == []
    assert shown["table.whitelist"].recommended_values == ["public.t_orders"]
    assert shown["connection.password"].value == "[hidden]"
    assert not shown["timestamp.column.name"].visible
    assert {d.name: d.type for d in kcctl.ask(list[Definition], "GET", f"/connector-plugins/{JDBC_SOURCE}/config")}["poll.interval.ms"] == "INT"

    for connector in (source, sink):
        assert kafbat.ask(Connector, "POST", "/connectors", connector).config == {**connector["config"], "name": connector["name"]}
    pipeline.until_equal("pg_source_t_orders")
    listed = console.ask(dict[str, Expanded], "GET", "/connectors?expand=info&expand=status")
    assert {name: one.info.type for name, one in listed.items()} == {SOURCE: "source", SINK: "sink"}
    for name in (SOURCE, SINK):
        path = f"/connectors/{name}"
        for client in (kafbat, console, kcctl, lenses):
            client.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
            assert client.ask(Connector, "GET", path).tasks[0].task == 0
            assert client.ask(list[Task], "GET", f"{path}/tasks")[0].id.connector == name
            client.ask(None, "PUT", f"{path}/pause")
            client.until(Status, f"{path}/status", lambda s: s.is_all("PAUSED"))
            client.ask(None, "PUT", f"{path}/resume")
            client.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
            client.ask(None, "POST", f"{path}/restart?includeTasks=true&onlyFailed=false")
            client.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
            client.ask(None, "POST", f"{path}/tasks/0/restart")
            client.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
        kafbat.until(TaskStatus, f"{path}/tasks/0/status", lambda task: task.state == "RUNNING")
        kafbat.until(dict[str, Topics], f"{path}/topics", lambda t, name=name: t[name].topics == [pipeline.topic])
        console.ask(None, "PUT", f"{path}/topics/reset")
        config = kafbat.ask(dict[str, str], "GET", f"{path}/config")
        assert kafbat.ask(Connector, "PUT", f"{path}/config", {**config, "errors.log.enable": "true"}).config["errors.log.enable"] == "true"
    sql.execute("INSERT INTO t_orders (num) VALUES ('b')")
    pipeline.until_equal("pg_source_t_orders")
    place = (pipeline.topic, 0)
    until(lambda: Group(kafka, SINK, [pipeline.topic]).committed([place]) == {place: 2}, "its group, by the name that a UI guesses, commits nothing")
    for name in (SOURCE, SINK):
        kcctl.until(Offsets, f"/connectors/{name}/offsets", lambda found: found.offsets)
        kafbat.ask(None, "PUT", f"/connectors/{name}/stop")
        kafbat.until(Status, f"/connectors/{name}/status", lambda s: s.is_all("STOPPED", tasks=0))
        kafbat.ask(None, "DELETE", f"/connectors/{name}/offsets")
        kafbat.ask(None, "PUT", f"/connectors/{name}/resume")
        kafbat.until(Status, f"/connectors/{name}/status", lambda s: s.is_all("RUNNING"))
    # the source reads all again, and the target's key would refuse them: the positions of a sink that is exactly-once are its own
    until(lambda: ends(kafka, [pipeline.topic]) == {(pipeline.topic, 0): 4}, "the source does not begin anew")


# ---- D5: Debezium's events as Avro


REGISTRY_SCRIPTS = {
    # as the document's scripts have them, but for quotes through which the level reaches the registry
    "get-compatibility-level": "curl -X GET http://localhost:8085/config/$1",
    "set-compatibility-level": """curl -X PUT -H "Content-Type: application/vnd.schemaregistry.v1+json" --data '{"compatibility": "'"$1"'"}' http://localhost:8085/config""",
    "get-debezium_table-key-schema": "curl -X GET http://localhost:8085/subjects/server.public.debezium_table-key/versions/$1",
    "get-debezium_table-value-schema": "curl -X GET http://localhost:8085/subjects/server.public.debezium_table-value/versions/$1",
}


class RegistryShell:
    """The document's scripts, for a registry and a topic prefix of the test's own."""

    def __init__(self, url, prefix):
        self._url, self._prefix = url, prefix

    def run(self, script, argument=""):
        command = REGISTRY_SCRIPTS[script].replace("http://localhost:8085", self._url).replace("/server.", f"/{self._prefix}.")
        done = subprocess.run(["bash", "-c", command, "script", argument], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)


def asked(*arguments):
    """`pycdc registry ...`: what it prints."""
    done = subprocess.run([sys.executable, "-m", "pycdc.cli", "registry", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_d5_debezium_as_avro_its_levels_and_schemas(pipeline, schema_registry, sql, copy, names, tmp_path):
    sql.execute("CREATE TABLE debezium_table (id int PRIMARY KEY, current_value bigint NOT NULL); INSERT INTO debezium_table VALUES (0, 7)")
    copy.execute("CREATE TABLE debezium_table (id int PRIMARY KEY, current_value bigint NOT NULL)")
    db = pipeline.source
    source = {
        "connector.class": POSTGRES, "tasks.max": "1", "database.hostname": db.host, "database.port": str(db.port), "database.user": db.user,
        "database.password": "postgres", "database.dbname": db.dbname, "database.server.name": names.prefix, "plugin.name": "pgoutput",
        "publication.autocreate.mode": "filtered", "slot.name": names.slot, "schema.include.list": "public", "table.include.list": "public.debezium_table",
    }  # fmt: skip
    topic = f"{names.prefix}.public.debezium_table"
    sink = {
        "connector.class": JDBC_SINK, "tasks.max": "1", "topics": topic, **pipeline.at(pipeline.target), "transforms": "unwrap,route",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState", "transforms.unwrap.drop.tombstones": "false",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.route.regex": r"([^.]+)\.([^.]+)\.([^.]+)",
        "transforms.route.replacement": "$2.$3", "auto.create": "false", "insert.mode": "upsert", "delete.enabled": "true", "pk.fields": "id",
        "pk.mode": "record_key", "consumer.override.metadata.max.age.ms": "500", **avro(schema_registry),
    }  # fmt: skip
    pipeline.post({"name": "source-connector", "config": source})
    pipeline.post({"name": "sink-connector", "config": sink})

    def arrives():
        due = sql.execute("SELECT * FROM debezium_table ORDER BY id").fetchall()
        until(lambda: copy.execute("SELECT * FROM debezium_table ORDER BY id").fetchall() == due and pipeline.none_failed(), f"{due} does not arrive")

    arrives()
    sql.execute("INSERT INTO debezium_table VALUES (1, 8), (2, 9); UPDATE debezium_table SET current_value = -1 WHERE id = 0; DELETE FROM debezium_table WHERE id = 2")
    arrives()

    # schemas of key and value, by the scripts and by pycdc's own command
    file = tmp_path / "register-postgres.json"
    file.write_text(json.dumps({"name": "source-connector", "config": {**source, **avro(schema_registry)}}))
    scripts = RegistryShell(schema_registry, names.prefix)
    for side, more, names_of in (("key", ["--key"], ["id"]), ("value", [], ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"])):
        for version in ("1", "latest"):
            found = scripts.run(f"get-debezium_table-{side}-schema", version)
            assert (found["subject"], found["version"]) == (f"{topic}-{side}", 1)
            assert [f["name"] for f in json.loads(found["schema"])["fields"]] == names_of
            assert json.loads(asked("schema", "public.debezium_table", *more, "--version", version, "--config", str(file))) == json.loads(found["schema"])
    assert {f"{topic}-key", f"{topic}-value"} <= set(asked("subjects", "--config", str(file)).splitlines())

    # the whole registry's level: other tests of this registry set levels of their own subjects alone
    before = asked("level", "--url", schema_registry)
    try:
        for level in ("FULL", "BACKWARD"):
            assert scripts.run("set-compatibility-level", level)["compatibility"] == level
            assert scripts.run("get-compatibility-level")["compatibilityLevel"] == level
            assert asked("level", "--url", schema_registry) == level
    finally:
        assert asked("level", "--set", before, "--url", schema_registry) == before
    assert asked("level", f"{topic}-value", "--set", "FORWARD", "--url", schema_registry) == "FORWARD"
    assert scripts.run("get-compatibility-level", f"{topic}-value")["compatibilityLevel"] == "FORWARD"

    # alter-destination-table.sh, alter-source-table.sh: a new version, which the level lets in
    for conn in (copy, sql):
        conn.execute("ALTER TABLE debezium_table ADD COLUMN extra1 int NULL DEFAULT 10")
    sql.execute("INSERT INTO debezium_table VALUES (3, 1, 5), (4, 1, NULL)")
    sql.execute("INSERT INTO debezium_table VALUES (5, 1)")
    # a NULL in a field with a default is written as the default: docs/how-to/avro.md
    until(lambda: copy.execute("SELECT id, extra1 FROM debezium_table WHERE id > 2 ORDER BY id").fetchall() == [(3, 5), (4, 10), (5, 10)] and pipeline.none_failed(), "the column does not arrive")
    assert scripts.run("get-debezium_table-value-schema", "latest")["version"] == 2
    assert scripts.run("get-debezium_table-key-schema", "latest")["version"] == 1
    assert asked("schema", topic, "--versions", "--url", schema_registry).split() == ["1", "2"]


# ---- a registry that is away


def values(kafka, topic):
    """Of all records, as bytes."""
    (place, end) = next(iter(ends(kafka, [topic]).items()))
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"check-{topic}", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(*place, 0)])
    found = []
    while len(found) < end:
        found += [m.value() for m in consumer.consume(1000, 1) if m.error() is None]
    consumer.close()
    return found


def test_a_registry_that_is_away_at_start_and_in_the_middle(stack, private_registry, postgres_db, target, kafka, names, sql, copy, tmp_path):
    sql.execute("CREATE TABLE t_orders (id serial PRIMARY KEY, num varchar(100)); INSERT INTO t_orders (num) SELECT g FROM generate_series(1, 500) g")
    copy.execute(TARGETS)
    impatient = {f"{side}.converter.http.read.timeout.ms": "300" for side in ("key", "value")}
    worker = OurWorker(tmp_path / "worker", properties(kafka, names.base, {**avro(private_registry.url), "offset.flush.interval.ms": "200"}))
    pipeline = Stack(worker, postgres_db, target, f"{names.prefix}_", private_registry.url)

    def waits(*connectors):
        """They run, and their status says what for."""
        for name in connectors:
            pipeline.rest.until(name, lambda s: [t["state"] for t in s["tasks"]] == ["RUNNING"] and "does not answer" in s["tasks"][0].get("trace", ""))
        until(lambda: pipeline.rest.done("GET", "/health/cdc")["status"] == "degraded", "health does not say so")

    def position():
        return [o["offset"]["incrementing"] for o in pipeline.offsets(SOURCE)]

    def works(*connectors):
        for name in connectors:
            pipeline.rest.until(name, lambda s: [(t["state"], t.get("trace")) for t in s["tasks"]] == [("RUNNING", None)])

    try:
        worker.start()
        private_registry.pause()
        pipeline.post(pipeline.source_connector(**impatient))
        pipeline.post(pipeline.sink_connector(**impatient))
        waits(SOURCE)
        assert pipeline.offsets(SOURCE) == []
        assert sum(ends(kafka, [pipeline.topic]).values()) == 0
        private_registry.resume()
        pipeline.until_equal("pg_source_t_orders")
        works(SOURCE, SINK)
        private_registry.pause()
        sql.execute("INSERT INTO t_orders (num) SELECT g FROM generate_series(1, 100) g")
        pipeline.until_equal("pg_source_t_orders")  # of a schema that is known
        sql.execute("ALTER TABLE t_orders ADD dt date; INSERT INTO t_orders (num, dt) SELECT g, now() FROM generate_series(1, 100) g")
        waits(SOURCE)
        until(lambda: position() == [600], "what was sent is not stored")
        worker.end(9)  # and is started while it is still away
        worker.start()
        waits(SOURCE)
        assert position() == [600]
        private_registry.resume()
        pipeline.until_equal("pg_source_t_orders", dated=True)
        works(SOURCE, SINK)
        assert len(values(kafka, pipeline.topic)) == len(set(values(kafka, pipeline.topic))) == 700
    finally:
        private_registry.resume()
        worker.end(15)
    assert worker.faults() == []
