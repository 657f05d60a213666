"""PostgreSQL -> Kafka -> StarRocks under a writer: through pycdc's sink, and as a Routine Load of StarRocks' own would read.

StarRocks is the protocol fake, in a process of its own.
"""

import json
import re
import sys
import time
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from processes import Sink, Source
from writing import CONNECTOR, change

from pycdc.servers.process import wait_for
from pycdc.testing.starrocks import StarRocksProcess
from pycdc.testing.starrocks.bodies import dig, parse_path, split_top

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "starrocks.md"
MOMENT = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
#: Of each table: what PostgreSQL has, and what StarRocks has, in the same order and form.
SHOWN = {
    "users": (f"SELECT id, name, {MOMENT}, m::text, score FROM users ORDER BY id", "SELECT id, name, at, m, score FROM users ORDER BY id"),
    "orders": (
        "SELECT user_id, n, amount, note, tags FROM orders ORDER BY user_id, n", "SELECT user_id, n, amount, note, tags FROM orders ORDER BY user_id, n",
    ),
}  # fmt: skip


@pytest.fixture
def starrocks():
    with StarRocksProcess("--alter-delay-ms", "300") as server:
        server.sql("CREATE DATABASE d")
        yield server


def original(dsn):
    with psycopg.connect(dsn) as conn:
        return {table: [comparable(r) for r in conn.execute(shown).fetchall()] for table, (shown, _) in SHOWN.items()}


def copy(starrocks):
    """None while a column or table is still to come."""
    found = {}
    for table, (_, shown) in SHOWN.items():
        names = {r[0] for r in starrocks.sql(f"SELECT COLUMN_NAME FROM information_schema.columns WHERE TABLE_NAME = '{table}'")}
        if not set(re.findall(r"\w+", shown.partition(" FROM ")[0])[1:]) <= names:
            return None
        found[table] = [comparable(r) for r in starrocks.sql(shown, "d")]
    return found


def comparable(row):
    """DECIMALs come as texts."""
    return [Decimal(v) if isinstance(v, str) and re.fullmatch(r"-?\d+\.\d+", v) else v for v in row]


def running(*processes):
    for process in processes:
        assert process.process.poll() is None, process.log.read_text()[-3000:]


def await_fault(starrocks, kind, more=1):
    """Wait until it has happened so many times more."""
    wanted = starrocks.fired().get(kind, 0) + more
    wait_for(lambda: starrocks.fired().get(kind, 0) >= wanted, 20, f"{kind} does not happen: nothing is loaded")


def sink_config(starrocks, names, **more):
    return {
        "name": f"{names.base}-sink", "connector.class": "com.starrocks.connector.kafka.StarRocksSinkConnector",
        "topics.regex": rf"{names.prefix}\.public\..*", "starrocks.http.url": starrocks.http, "starrocks.query.port": str(starrocks.query_port),
        "starrocks.database.name": "d", "starrocks.username": "root", "starrocks.password": "", "bufferflush.intervalms": "200",
        "schema.evolution": "basic", "consumer.override.group.instance.id": "one", "consumer.override.session.timeout.ms": "30000", **more,
    }  # fmt: skip


@pytest.mark.timeout(180)
def test_the_copy_equals_its_source(postgres_db, starrocks, kafka, names, tmp_path, writer):
    source = Source(CONNECTOR, postgres_db, kafka, names, tmp_path)
    sink = Sink(sink_config(starrocks, names), kafka, tmp_path)
    source.start()
    sink.start()
    try:
        writer.start()
        wait_for(lambda: len(starrocks.sql("SHOW TABLES", "d")) >= 2, 30, "no table is made in StarRocks")
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            # rows of both shapes are under way when the table changes, and both processes end in the middle
            change(conn, "ALTER TABLE users ADD COLUMN score int DEFAULT 7, ALTER COLUMN name TYPE varchar(40)")
            for process in (source, sink):
                starrocks.fault("slow", delay_ms=300, times=4)
                await_fault(starrocks, "slow")
                process.kill()
                process.start()
            change(conn, "ALTER TABLE orders ADD COLUMN tags text[], ALTER COLUMN amount TYPE numeric(12,4)")
            starrocks.fault("conn_reset_after_commit")
            starrocks.fault("be_down", times=100_000)
            change(conn, "UPDATE users SET score = id, name = name || ' and a longer name' WHERE id <= 20")
            change(conn, "UPDATE orders SET tags = ARRAY['a', NULL, 'b,c'], amount = amount + 0.0001 WHERE n = 1")
            await_fault(starrocks, "be_down", 2)
            change(conn, "ALTER TABLE users ALTER COLUMN score TYPE bigint")
            change(conn, "UPDATE users SET score = 5000000000 + id WHERE id > 40")
            starrocks.healed()
        running(source, sink)
        time.sleep(1)
        writer.ended.set()
        writer.join()
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            change(conn, "UPDATE users SET score = 8 WHERE score IS NULL OR score = 7")  # ADD COLUMN ... DEFAULT is no change of a row
        due = original(postgres_db.dsn)
        end = time.monotonic() + 40
        while copy(starrocks) != due and time.monotonic() < end:
            running(source, sink)
            time.sleep(0.1)
        assert copy(starrocks) == due, sink.log.read_text()[-3000:]
        types = dict(starrocks.sql("SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.columns WHERE TABLE_NAME = 'users'"))
        assert types["score"] == "bigint"
        assert {"slow", "be_down", "conn_reset_after_commit"} <= starrocks.fired().keys()
    finally:
        source.stop()
        sink.stop()


# ---- Routine Load


def routine_load(table):
    """What the how-to's job for `table` says: the slots that its jsonpaths fill, their paths, and expressions by column."""
    job = next(j for j in re.findall(r"CREATE ROUTINE LOAD.*?;", HOW_TO.read_text(), re.DOTALL) if f" ON {table}\n" in j)
    listed = split_top(re.search(r"COLUMNS\s*\((.*?)\)\nPROPERTIES", job, re.DOTALL)[1])
    slots = [item for item in listed if "=" not in item]
    expressions = {name.strip(): text.strip() for name, _, text in (item.partition("=") for item in listed if "=" in item)}
    paths = [parse_path(p) for p in json.loads(re.search(r'"jsonpaths"\s*=\s*"(.*)"', job)[1].replace(r"\"", '"'))]
    assert len(slots) == len(paths)
    return slots, paths, expressions


def evaluated(expression, values):
    """The two functions that the job uses."""
    call = re.fullmatch(r"(\w+)\((.*)\)", expression, re.DOTALL)
    arguments = split_top(call[2])
    if call[1] == "coalesce":
        return next((values[a] for a in arguments if values[a] is not None), None)
    assert call[1] == "if", expression
    name, _, wanted = arguments[0].partition("=")
    return int(arguments[1] if values[name.strip()] == wanted.strip().strip("'") else arguments[2])


def loaded(messages, job):
    """Rows by key as StarRocks has them behind the job; a message that it could not read is an error."""
    slots, paths, expressions = job
    rows = {}
    for _, _, message in messages:
        assert isinstance(message, dict), "a tombstone is no JSON: the job pauses"
        values = {slot: dig(message, path) for slot, path in zip(slots, paths, strict=True)}
        row = {name: v for name, v in values.items() if not name.startswith("_")} | {n: evaluated(e, values) for n, e in expressions.items()}
        key = tuple(row[k] for k in ("id", "user_id", "n") if k in row)
        assert None not in key, message
        assert row["__op"] in (0, 1)
        rows.pop(key, None) if row.pop("__op") else rows.update({key: row})
    return rows


@pytest.mark.timeout(120)
def test_a_routine_load_reads_the_topic(postgres_db, kafka, names, tmp_path, writer):
    more = {"value.converter.schemas.enable": "false", "key.converter.schemas.enable": "false", "tombstones.on.delete": "false", "decimal.handling.mode": "string"}
    source = Source(CONNECTOR, postgres_db, kafka, names, tmp_path, **more)
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute("INSERT INTO orders SELECT g, 2, 1, 'moves' FROM generate_series(1, 20) g")
        source.start()
        try:
            writer.start()
            source.records(f"{names.prefix}.public.orders", lambda found: len(found) > 500)
            writer.ended.set()
            writer.join()
            # the last message of each table
            conn.execute("DELETE FROM users WHERE id <= 10; INSERT INTO users (id, name) VALUES (100000, 'last')")
            conn.execute("DELETE FROM orders WHERE user_id = 1; INSERT INTO orders VALUES (100000, 1, 2.5, 'last')")
            due = {
                "users": {(i,): {"id": i, "name": name} for i, name in conn.execute("SELECT id, name FROM users").fetchall()},
                "orders": {
                    (u, n): {"user_id": u, "n": n, "amount": str(a), "note": note}
                    for u, n, a, note in conn.execute("SELECT user_id, n, amount, note FROM orders").fetchall()
                },
            }  # fmt: skip
            for table, last in (("users", "id"), ("orders", "user_id")):
                messages = source.records(f"{names.prefix}.public.{table}", lambda found, key=last: any(k[key] == 100000 for _, k, _ in found))
                assert {m["op"] for _, _, m in messages} >= ({"r", "c", "d"} if table == "users" else {"r", "c", "u", "d"})
                assert loaded(messages, routine_load(table)) == due[table]
        finally:
            source.stop()
