"""The second of the four stacks: JDBC source, Kafka, JDBC sink, in one Connect worker, by the same requests.

`t_orders` grows a column, then a million rows at once; a target with a primary key gets each of them once, by upsert, and by
insert with positions kept in the target; a sink that is deleted and made again doubles nothing.
"""

import json
import sys
import urllib.error
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "compat" / "rest"))
from processes import ends, until
from rest_workers import OurWorker, properties

from pycdc.servers.connect import Connect

JSON = "org.apache.kafka.connect.json.JsonConverter"
SOURCE = {
    "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "mode": "incrementing", "incrementing.column.name": "id",
    "table.whitelist": "t_orders", "poll.interval.ms": "200", "tasks.max": "1",
}  # fmt: skip
SINK = {"connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "tasks.max": "1"}
UPSERT = {"insert.mode": "upsert", "pk.mode": "record_value", "pk.fields": "id"}
INSERT = {"insert.mode": "insert", "pk.mode": "none", "exactly.once.enabled": "true"}
#: Equal where the rows are.
SUM = "SELECT count(*), count(DISTINCT id), sum(id), md5(string_agg(num{}, ',' ORDER BY id)) FROM {}"
DATED = " || coalesce(dt::text, '')"


class Stack:
    """A worker, its source database and its target."""

    def __init__(self, worker, source, target, prefix):
        self.worker, self.source, self.target, self.prefix = worker, source, target, prefix

    def call(self, method, path, body=None):
        return Connect.call(self.worker, method, path, body)

    def of(self, db):
        return {"connection.url": f"jdbc:postgresql://{db.host}:{db.port}/{db.dbname}", "connection.user": db.user, "connection.password": "postgres"}

    def post_source(self, name="jdbc-source-postgres", **more):
        config = {**SOURCE, **self.of(self.source), "topic.prefix": self.prefix, "value.converter": JSON, **more}
        self.call("POST", "/connectors", {"name": name, "config": config})

    def post_sink(self, name, table, mode):
        config = {
            **SINK, **self.of(self.target), **mode, "topics": f"{self.prefix}t_orders", "table.name.format": table, "value.converter": JSON,
        }  # fmt: skip
        self.call("POST", "/connectors", {"name": name, "config": config})

    def healthy(self):
        """No task has failed."""
        for name in self.call("GET", "/connectors"):
            status = self.call("GET", f"/connectors/{name}/status")
            for task in status["tasks"]:
                assert task["state"] != "FAILED", task["trace"]
        return True

    def until_equal(self, *tables, values="", limit=60):
        with psycopg.connect(self.source.dsn, autocommit=True) as sql, psycopg.connect(self.target.dsn, autocommit=True) as copy:
            count = sql.execute("SELECT count(*) FROM t_orders").fetchone()
            for table in tables:
                until(lambda t=table: copy.execute(f"SELECT count(*) FROM {t}").fetchone() >= count and self.healthy(), f"{table} lacks rows", limit)
                assert copy.execute(SUM.format(values, table)).fetchone() == sql.execute(SUM.format(values, "t_orders")).fetchone(), table


@pytest.fixture
def stack(postgres_db, target, kafka, names, tmp_path):
    worker = OurWorker(tmp_path / "worker", properties(kafka, names.base, {}))
    worker.start()
    yield Stack(worker, postgres_db, target, f"{names.prefix}_")
    worker.signal(15)
    assert worker.faults() == []
    worker.end(15)


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.mark.xdist_group("connect-rest")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("rows", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_orders_with_a_new_column_and_many_rows_at_once(rows, stack, sql):
    sql.execute("CREATE TABLE t_orders (id serial primary key, num varchar(100)); INSERT INTO t_orders VALUES (1, '100-456468'); SELECT setval('t_orders_id_seq', 1)")
    with psycopg.connect(stack.target.dsn, autocommit=True) as copy:
        for table in ("by_upsert", "by_insert"):
            copy.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY, num varchar(100), dt date)")
    stack.post_source()
    stack.post_sink("upsert", "by_upsert", UPSERT)
    stack.post_sink("insert", "by_insert", INSERT)
    stack.until_equal("by_upsert", "by_insert")
    sql.execute("ALTER TABLE t_orders ADD dt date; INSERT INTO t_orders (num, dt) SELECT substr(md5(random()::text), 1, 25), now()")
    stack.until_equal("by_upsert", "by_insert", values=DATED)
    for name, table, mode in (("upsert", "by_upsert", UPSERT), ("insert", "by_insert", INSERT)):
        stack.call("DELETE", f"/connectors/{name}")
        stack.post_sink(name, table, mode)
    sql.execute(f"INSERT INTO t_orders (num, dt) SELECT substr(md5(random()::text), 1, 25), now() FROM generate_series(1, {rows})")
    stack.until_equal("by_upsert", "by_insert", values=DATED, limit=200)
    assert stack.call("GET", "/connectors/jdbc-source-postgres/offsets")["offsets"][0]["partition"] == {"protocol": "1", "table": "public.t_orders"}


# ---- the source in a worker


@pytest.mark.xdist_group("connect-rest")
def test_tables_are_shared_by_tasks_and_positions_can_be_forgotten(stack, sql, kafka, names):
    sql.execute("CREATE TABLE a (id serial); CREATE TABLE b (id serial); CREATE TABLE c (id serial)")
    for table in "abc":
        sql.execute(f"INSERT INTO {table} SELECT FROM generate_series(1, 5)")
    name = names.base
    stack.post_source(name, **{"table.whitelist": "a,b,c,d", "tasks.max": "2", "incrementing.column.name": "", "table.poll.interval.ms": "500"})

    def tables():
        return [t["config"]["tables"] for t in stack.call("GET", f"/connectors/{name}/tasks")]

    def records():
        return {t.removeprefix(stack.prefix): n for (t, _), n in ends(kafka, [stack.prefix + t for t in "abcd"]).items()}

    def offsets():
        return {o["partition"]["table"]: o["offset"]["incrementing"] for o in stack.call("GET", f"/connectors/{name}/offsets")["offsets"]}

    until(lambda: tables() == ['"public"."a","public"."b"', '"public"."c"'], "the tables are not shared")
    until(lambda: records() == {"a": 5, "b": 5, "c": 5}, "rows are missing")
    until(lambda: offsets() == {"public.a": 5, "public.b": 5, "public.c": 5}, "positions are missing")
    sql.execute("CREATE TABLE d (id serial); INSERT INTO d SELECT FROM generate_series(1, 5)")
    until(lambda: tables() == ['"public"."a","public"."b"', '"public"."c","public"."d"'], "the new table is not read")
    until(lambda: records() == {"a": 5, "b": 5, "c": 5, "d": 5} and offsets().get("public.d") == 5, "rows of the new table are missing")
    # reset, as the original has it: the connector is stopped first
    stack.call("PUT", f"/connectors/{name}/stop")
    until(lambda: not stack.call("GET", f"/connectors/{name}/status")["tasks"], "the tasks do not stop")
    with pytest.raises(urllib.error.HTTPError):
        stack.call("PATCH", f"/connectors/{name}/offsets", {"offsets": [{"partition": {"table": "a"}, "offset": {"incrementing": {}}}]})
    stack.call("DELETE", f"/connectors/{name}/offsets")
    stack.call("PATCH", f"/connectors/{name}/offsets", {"offsets": [{"partition": {"table": "public.b", "protocol": "1"}, "offset": {"incrementing": 3}}]})
    stack.call("PUT", f"/connectors/{name}/resume")
    until(lambda: records() == {"a": 10, "b": 7, "c": 10, "d": 10}, "rows are not read again")


@pytest.mark.xdist_group("connect-rest")
def test_a_database_that_cannot_be_reached_is_told_at_once(stack, sql, names):
    sql.execute("CREATE TABLE a (id serial)")
    with pytest.raises(urllib.error.HTTPError) as refused:
        stack.post_source(names.base, **{"connection.url": "jdbc:postgresql://127.0.0.1:1/x"})
    assert refused.value.code == 400
    assert "cannot connect to PostgreSQL" in json.loads(refused.value.read())["message"]
