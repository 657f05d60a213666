"""What a user does wrong, through the command line: one clear error, the command that mends it, the right exit code.

Exit 2 is what is wrong without any connection, 1 is what a server said.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from psycopg import sql as q

PASSWORD = "s3cret-word"


def write(path, config):
    path.write_text(json.dumps({"name": config.get("name", "c"), "config": config}))
    return str(path)


def pycdc(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "pycdc.cli", *arguments, "--log-format", "text"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "NO_COLOR": "1"}
    )


def ended(*arguments, limit=40):
    """Exit code and output of a command that ends by itself."""
    process = pycdc(*arguments)
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        pytest.fail(f"it did not end: {output[-2000:]}")
    return process.returncode, output


def refused(output, *words):
    """It says all of `words`, and neither a stack trace nor the password."""
    assert "Traceback" not in output
    assert PASSWORD not in output
    flat = re.sub(r"\s+", " ", output)
    for word in words:
        assert word in flat, f"{word!r} is not in: {output}"


@pytest.fixture
def source(postgres_db, names, kafka, tmp_path):
    """Writes a source's file; the arguments that start it."""

    def make(**more):
        config = {
            "name": names.base, "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": names.prefix,
            "database.hostname": postgres_db.host, "database.port": postgres_db.port, "database.user": postgres_db.user,
            "database.password": PASSWORD, "database.dbname": postgres_db.dbname, "slot.name": names.slot, "publication.name": names.publication,
            "bootstrap.servers": kafka, "offset.storage.topic": names.offsets, "offset.storage.replication.factor": "1",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "1", "retriable.restart.connector.wait.ms": "100",
            "errors.max.retries": "0", **{k.replace("__", "."): v for k, v in more.items()},
        }  # fmt: skip
        return "source", "--config", write(tmp_path / "source.json", {k: v for k, v in config.items() if v is not None})

    return make


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        yield conn


@pytest.fixture
def role(sql, names):
    """A role without any right but to log in; dropped after the test."""
    name = q.Identifier(f"{names.base}_role")
    sql.execute(q.SQL("CREATE ROLE {} LOGIN").format(name))
    yield f"{names.base}_role"
    sql.execute(q.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(name))


def streamed(bootstrap, topic, count, limit=30):
    """Values of the first `count` records of the topic."""
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values, end = [], time.monotonic() + limit
    while len(values) < count and time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(json.loads(message.value())["payload"])
    consumer.close()
    return values


def test_a_wrong_password(private_postgres, source, tmp_path):
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as conn:
        conn.execute("SET password_encryption = 'scram-sha-256'; CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'right'")
    (private_postgres.data / "pg_hba.conf").write_text("local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as conn:
        conn.execute("SELECT pg_reload_conf()")
    code, output = ended(*source(database__port=private_postgres.port, database__user="cdc", database__dbname="postgres"))
    refused(output, "password authentication failed", "ALTER ROLE")
    assert code == 1


def test_wal_level_is_not_logical(private_postgres, source):
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET wal_level = replica")
    private_postgres.restart("fast")
    code, output = ended(*source(database__port=private_postgres.port, database__dbname="postgres"))
    refused(output, "wal_level", "ALTER SYSTEM SET wal_level")
    assert code == 1


def test_a_role_without_replication(source, role):
    code, output = ended(*source(database__user=role))
    refused(output, "REPLICATION")
    assert code == 1


def test_a_role_that_may_not_read_a_table_and_after_the_grant_every_row_arrives(source, role, sql, names, kafka):
    sql.execute(q.SQL("ALTER ROLE {} REPLICATION").format(q.Identifier(role)))
    sql.execute(q.SQL("CREATE PUBLICATION {} FOR TABLE t").format(q.Identifier(names.publication)))
    start = source(database__user=role, table__include__list="public.t", publication__autocreate__mode="disabled")
    code, output = ended(*start)
    refused(output, "permission denied", "GRANT SELECT ON TABLE")
    assert code == 1
    statement = re.search(r'GRANT SELECT ON TABLE "?([\w."]+)"? TO "?\w+"?', output)
    assert statement is not None, output
    sql.execute(statement[0])
    process = pycdc(*start)
    try:
        assert sorted(v["after"]["id"] for v in streamed(kafka, f"{names.prefix}.public.t", 2)) == [1, 2]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)


def test_a_slot_that_another_process_holds(source, sql, postgres_db, names):
    sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
    sql.execute(q.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(q.Identifier(names.publication)))
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, f"{postgres_db.dsn} replication=database", names.slot, names.publication], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        code, output = ended(*source(snapshot__mode="no_data", slot__max__retries="1", slot__retry__delay__ms="100"))
    finally:
        holder.kill()
        holder.communicate()
    refused(output, names.slot, "active for PID", "SELECT pg_terminate_backend")
    assert code == 1


_HOLD = """
import sys, time, psycopg.pq as pq
c = pq.PGconn.connect(sys.argv[1].encode())
r = c.exec_(f"START_REPLICATION SLOT {sys.argv[2]} LOGICAL 0/0 (proto_version '1', publication_names '{sys.argv[3]}')".encode())
assert r.status == pq.ExecStatus.COPY_BOTH, r.error_message
print("held", flush=True)
time.sleep(60)
"""


def test_a_publication_that_lacks_the_table(source, sql, names):
    sql.execute(q.SQL("CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION {} FOR TABLE other").format(q.Identifier(names.publication)))
    code, output = ended(*source(table__include__list="public.t", publication__autocreate__mode="disabled"))
    refused(output, "lacks public.t", f'ALTER PUBLICATION "{names.publication}" ADD TABLE "public"."t"')
    assert code == 1


def test_no_publication_where_none_may_be_made(source, sql, names):
    code, output = ended(*source(publication__autocreate__mode="disabled"))
    refused(output, "does not exist", f'CREATE PUBLICATION "{names.publication}"')
    assert code == 1


def test_an_unknown_table_of_the_include_list_is_named_and_the_others_flow(source, sql, names, kafka):
    process = pycdc(*source(table__include__list="public.t,public.orderz"))
    try:
        assert len(streamed(kafka, f"{names.prefix}.public.t", 2)) == 2
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 0, output
    assert output.count("no table matches an entry of table.include.list") == 1
    assert "public.orderz" in output


def test_an_unreachable_broker(source, sql):
    code, output = ended(*source(bootstrap__servers="127.0.0.1:9"), limit=90)
    refused(output, "127.0.0.1:9", "bootstrap.servers")
    assert code == 1


def test_a_topic_that_cannot_be_made(source, sql, names):
    code, output = ended(*source(topic__creation__default__replication__factor="3"), limit=90)
    refused(output, f"{names.prefix}.public.t", "replication factor", "topic.creation.default.replication.factor")
    assert code == 1


def test_a_malformed_file(tmp_path):
    (tmp_path / "broken.json").write_text('{"name": "x", "config": {')
    code, output = ended("source", "--config", str(tmp_path / "broken.json"))
    refused(output, "broken.json", "line 1")
    assert code == 2


def test_every_fault_of_a_configuration_at_once(source):
    code, output = ended(*source(snapshot__mode="sometimes", database__hostname=None, tabel__include__list="x", exactly__once__support="required"))
    refused(output, "snapshot.mode", "sometimes", "database.hostname", "tabel.include.list", "table.include.list", "exactly.once.support")
    assert code == 2


# ---- transforms, patterns and values


def test_every_fault_of_transforms_and_patterns_at_once(source):
    more = {
        "transforms": "a,b,c,d", "predicates": "p", "transforms.a.type": "com.example.Nothing",
        "transforms.b.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.b.regex": "(", "transforms.b.replacement": "x",
        "transforms.c.type": "io.debezium.transforms.ExtractNewRecordState", "transforms.c.add.feilds": "op",
        "transforms.d.type": "org.apache.kafka.connect.transforms.DropHeaders", "transforms.d.headers": "h", "transforms.d.predicate": "q",
        "predicates.p.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches", "predicates.p.pattern": "[z-a]",
        "table.include.list": "public.(t",
    }  # fmt: skip
    code, output = ended(*source(**more))
    refused(output, "com.example.Nothing", "transforms.b.regex", "add.feilds", "add.fields", "transforms.d.predicate", "predicates.p.pattern",
            "table.include.list")  # fmt: skip
    assert code == 2
    code, output = ended(*source(**{"column.mask.hash.SHA-0.with.salt.x": "public.t.v"}))
    refused(output, "column.mask.hash.SHA-0.with.salt.x", "SHA-256")
    assert code == 2


MASK = {
    "transforms": "unwrap,mask", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
    "transforms.mask.type": "org.apache.kafka.connect.transforms.MaskField$Value", "transforms.mask.fields": "v",
}  # fmt: skip


def until_streaming(sql, names, process):
    end = time.monotonic() + 30
    query = "SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = %s AND r.state = 'streaming'"
    while not sql.execute(query, [names.slot]).fetchone():
        assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
        time.sleep(0.05)


def test_a_transform_that_fails_is_named_with_table_and_position(source, sql, names):
    """MaskField cannot take the tombstone of a delete: the original stops its task there, too."""
    process = pycdc(*source(**MASK))
    until_streaming(sql, names, process)
    sql.execute("DELETE FROM t WHERE id = 1")
    output, _ = process.communicate(timeout=30)
    refused(output, "public.t", "LSN", "transforms.mask", "MaskField")
    assert process.returncode == 1


def test_with_errors_tolerance_the_event_is_left_out_and_the_others_arrive(source, sql, names, kafka):
    process = pycdc(*source(**MASK, **{"errors.tolerance": "all", "errors.log.enable": "true"}))
    until_streaming(sql, names, process)
    sql.execute("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 'c')")
    assert [v["id"] for v in streamed(kafka, f"{names.prefix}.public.t", 3)] == [1, 2, 3]
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "an event is left out" in output
    assert "public.t" in output


@pytest.mark.parametrize("mode", ["fail", "warn", "skip"])
def test_a_value_without_representation(mode, source, sql, names, kafka):
    sql.execute("ALTER TABLE t ADD at timestamp")
    process = pycdc(*source(time__precision__mode="nanoseconds", event__converting__failure__handling__mode=mode))
    until_streaming(sql, names, process)
    sql.execute("INSERT INTO t VALUES (3, 'c', '9999-12-31 23:59:59'), (4, 'd', '2024-01-01')")
    if mode == "fail":
        output, _ = process.communicate(timeout=30)
        refused(output, "public.t", "column at", "timestamp", "LSN", "event.converting.failure.handling.mode")
        assert "9999" not in output
        assert process.returncode == 1
        return
    values = streamed(kafka, f"{names.prefix}.public.t", 4)
    assert [v["after"]["at"] for v in values] == [None, None, None, 1704067200000000000]
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert ("has no representation" in output) == (mode == "warn")


def test_an_enum_grows_while_it_is_streamed(source, sql, names, kafka):
    sql.execute("CREATE TYPE mood AS ENUM ('ok'); ALTER TABLE t ADD m mood")
    process = pycdc(*source())
    until_streaming(sql, names, process)
    sql.execute("INSERT INTO t VALUES (3, 'c', 'ok')")
    sql.execute("ALTER TYPE mood ADD VALUE 'new'")
    sql.execute("INSERT INTO t VALUES (4, 'd', 'new')")
    assert [v["after"]["m"] for v in streamed(kafka, f"{names.prefix}.public.t", 4)] == [None, None, "ok", "new"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_source_without_a_place_for_its_positions(source):
    code, output = ended(*source(offset__storage__topic=None))
    refused(output, "offset.storage.topic", "--offsets-file")
    assert code == 2


def test_debug_shows_where_it_happened(source):
    code, output = ended(*source(publication__autocreate__mode="disabled"), "--debug")
    assert code == 1
    assert "Traceback" in output
    assert PASSWORD not in output


# ---- sinks


@pytest.fixture
def sink(postgres_db, names, kafka, tmp_path):
    def make(**more):
        config = {
            "name": names.base, "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": f"{names.prefix}.public.t",
            "connection.url": f"jdbc:postgresql://{postgres_db.host}:{postgres_db.port}/{postgres_db.dbname}",
            "connection.username": postgres_db.user, "connection.password": PASSWORD, "insert.mode": "upsert", "delete.enabled": "true",
            "primary.key.mode": "record_key", "collection.name.format": "copy", "bootstrap.servers": kafka,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            **{k.replace("__", "."): v for k, v in more.items()},
        }  # fmt: skip
        return "sink", "--config", write(tmp_path / "sink.json", config)

    return make


@pytest.fixture
def filled(source, sql):
    """The topic holds the table's two rows."""
    code, output = ended(*source(snapshot__mode="initial_only", table__include__list="public.t"))
    assert code == 0, output


def test_a_target_without_a_column_and_after_it_is_added_every_row_arrives(filled, sink, sql, names):
    sql.execute("CREATE TABLE copy (id int PRIMARY KEY)")
    code, output = ended(*sink())
    refused(output, "public.copy lacks v", 'ALTER TABLE "public"."copy" ADD COLUMN "v" text')
    assert code == 1
    sql.execute(re.search(r'ALTER TABLE "public"."copy" ADD COLUMN "v" text', output)[0])
    process = pycdc(*sink())
    try:
        end = time.monotonic() + 30
        while (rows := sql.execute("SELECT * FROM copy ORDER BY 1").fetchall()) != [(1, "a"), (2, "b")] and time.monotonic() < end:
            time.sleep(0.1)
        assert rows == [(1, "a"), (2, "b")]
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 0, output


def test_an_unreachable_target(sink):
    code, output = ended(*sink(connection__url="jdbc:postgresql://127.0.0.1:9/copy"))
    refused(output, "127.0.0.1:9", "refused")
    assert "Unclosed" not in output, "a client that was never used is closed as well"
    assert code == 1


def test_a_target_without_the_table(filled, sink):
    code, output = ended(*sink())
    refused(output, "no table public.copy", "schema.evolution=basic")
    assert code == 1


def test_a_poison_record_stops_the_sink_with_its_place(filled, sink, sql, names, kafka):
    from confluent_kafka import Producer

    sql.execute("CREATE TABLE copy (id int PRIMARY KEY, v text)")
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(f"{names.prefix}.public.t", key=b"{", value=b"no json")
    producer.flush()
    code, output = ended(*sink())
    refused(output, f"topic {names.prefix}.public.t, partition 0, offset 2", "not JSON")
    assert code == 1
