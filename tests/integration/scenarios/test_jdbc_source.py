"""The JDBC source in a Connect worker: how tasks share tables, how positions are reset, and what a user is told of what is wrong."""

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from jdbc_stack import Stack
from processes import ends, until

from pycdc.testing.workers import OurWorker, properties

#: One worker for all of them.
pytestmark = pytest.mark.xdist_group("connect-rest")


@pytest.fixture(scope="module")
def worker(stack, tmp_path_factory):
    made = OurWorker(tmp_path_factory.mktemp("jdbc-source") / "worker", properties(stack.kafka, "jdbc-source", {"task.restart.backoff.ms": "500"}))
    made.start()
    yield made
    made.end(15)
    assert made.faults() == []


@pytest.fixture
def pipeline(worker, postgres_db, target, names):
    made = Stack(worker, postgres_db, target, f"{names.prefix}_")
    yield made
    made.clear()


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


def test_tables_are_shared_by_tasks_and_positions_can_be_forgotten(pipeline, sql, kafka, names):
    sql.execute("CREATE TABLE a (id serial); CREATE TABLE b (id serial); CREATE TABLE c (id serial)")
    for table in "abc":
        sql.execute(f"INSERT INTO {table} SELECT FROM generate_series(1, 5)")
    name, rest = names.base, pipeline.rest
    more = {"table.whitelist": "a,b,c,d", "tasks.max": "2", "incrementing.column.name": "", "table.poll.interval.ms": "500"}
    pipeline.post(pipeline.source_connector(name, **more))

    def tables():
        return [t["config"]["tables"] for t in rest.done("GET", f"/connectors/{name}/tasks")]

    def records():
        return {t.removeprefix(pipeline.prefix): n for (t, _), n in ends(kafka, [pipeline.prefix + t for t in "abcd"]).items()}

    def offsets():
        return {o["partition"]["table"]: o["offset"]["incrementing"] for o in pipeline.offsets(name)}

    until(lambda: tables() == ['"public"."a","public"."b"', '"public"."c"'], "the tables are not shared")
    until(lambda: records() == {"a": 5, "b": 5, "c": 5}, "rows are missing")
    until(lambda: offsets() == {"public.a": 5, "public.b": 5, "public.c": 5}, "positions are missing")
    sql.execute("CREATE TABLE d (id serial); INSERT INTO d SELECT FROM generate_series(1, 5)")
    until(lambda: tables() == ['"public"."a","public"."b"', '"public"."c","public"."d"'], "the new table is not read")
    until(lambda: records() == {"a": 5, "b": 5, "c": 5, "d": 5} and offsets().get("public.d") == 5, "rows of the new table are missing")
    # reset, as the original has it: the connector is stopped first
    pipeline.stop(name)
    refused = rest.call("PATCH", f"/connectors/{name}/offsets", {"offsets": [{"partition": {"table": "a"}, "offset": {"incrementing": {}}}]})
    assert (refused.status, refused.json()["message"]) == (500, "Offsets may only contain primitive types as values, but field incrementing contains MAP")
    rest.done("DELETE", f"/connectors/{name}/offsets")
    rest.done("PATCH", f"/connectors/{name}/offsets", {"offsets": [{"partition": {"table": "public.b", "protocol": "1"}, "offset": {"incrementing": 3}}]})
    rest.done("PUT", f"/connectors/{name}/resume")
    until(lambda: records() == {"a": 10, "b": 7, "c": 10, "d": 10}, "rows are not read again")


# ---- bad input


@pytest.mark.parametrize(
    ("table", "more", "words"),
    [
        ("(nr int NOT NULL)", {}, ["the column id is not there [t_orders]", "columns: nr", "incrementing.column.name"]),
        ("(id int)", {}, ["may be NULL [t_orders]", "make it NOT NULL, or set validate.non.null=false"]),
        ("(id text NOT NULL)", {}, ["no whole number [t_orders]", "it is text"]),
        ("(id int, at date NOT NULL)", {"mode": "timestamp", "timestamp.column.name": "at"}, ["no timestamp [t_orders]", "it is date"]),
        ("(id int, at text NOT NULL)", {"mode": "timestamp", "timestamp.column.name": "at"}, ["no timestamp [t_orders]", "it is text"]),
        ("(id serial)", {"mode": "timestamp"}, ["timestamp.column.name is required by mode=timestamp"]),
        ("(id serial)", {"connection.url": "jdbc:postgresql://127.0.0.1:1/x"}, ["cannot connect to PostgreSQL", "pg_isready"]),
        ("(id serial)", {"connection.url": "jdbc:sqlite:x"}, ["connection.url", "must be jdbc:"]),
    ],
)
def test_a_connector_that_could_read_nothing_is_not_made(table, more, words, pipeline, sql):
    sql.execute(f"CREATE TABLE t_orders {table}")
    refused = pipeline.rest.call("POST", "/connectors", pipeline.source_connector(**more))
    told = refused.json()
    assert (refused.status, told["error_code"]) == (400, 400)
    assert "Connector configuration is invalid and contains the following 1 error(s):" in told["message"]
    assert not [w for w in words if w not in told["message"]], told["message"]
    assert pipeline.rest.done("GET", "/connectors") == []


@pytest.mark.parametrize(
    ("mode", "breaks", "mends", "words"),
    [
        ("incrementing", "ALTER TABLE t_orders RENAME id TO nr", "ALTER TABLE t_orders RENAME nr TO id", "the column id is not there"),
        ("incrementing", "ALTER TABLE t_orders ALTER id DROP NOT NULL", "ALTER TABLE t_orders ALTER id SET NOT NULL", "may be NULL"),
        ("timestamp", "ALTER TABLE t_orders ALTER at TYPE text", "ALTER TABLE t_orders ALTER at TYPE timestamptz USING at::timestamptz", "no timestamp"),
    ],
)
def test_a_table_that_loses_what_guards_progress_is_told_and_gone_on_with(mode, breaks, mends, words, pipeline, sql, kafka):
    """A poll that cannot be right ends the task; it is tried again, and goes on when the table is mended: nothing is lost."""
    sql.execute("CREATE TABLE t_orders (id int NOT NULL, at timestamptz NOT NULL DEFAULT now()); INSERT INTO t_orders VALUES (1)")
    pipeline.post(pipeline.source_connector(**{"mode": mode, "incrementing.column.name": "id", "timestamp.column.name": "at"}))
    name = pipeline.source_connector()["name"]

    def sent():
        return sum(ends(kafka, [pipeline.topic]).values())

    until(lambda: sent() == 1, "the first row does not come")
    sql.execute(breaks)
    sql.execute("INSERT INTO t_orders VALUES (2)")
    failed = pipeline.rest.until(name, lambda s: [t["state"] for t in s["tasks"]] == ["FAILED"])
    trace = failed["tasks"][0]["trace"]
    assert words in trace.splitlines()[0]
    assert "[t_orders]" in trace
    sql.execute(mends)
    sql.execute("INSERT INTO t_orders VALUES (3)")
    pipeline.rest.until_state(name, "RUNNING", ["RUNNING"])
    # a changed type writes the table anew: what is behind the position, but not far, comes once more
    until(lambda: sent() == 3 + (" TYPE " in breaks), "rows that were written meanwhile do not come, or others come again")


def test_rows_with_null_are_left_out_where_that_is_allowed(pipeline, sql, kafka):
    sql.execute("CREATE TABLE t_orders (id int); INSERT INTO t_orders VALUES (1), (NULL), (2)")
    pipeline.post(pipeline.source_connector(**{"validate.non.null": "false"}))
    until(lambda: sum(ends(kafka, [pipeline.topic]).values()) == 2, "the rows with a number do not come")
    sql.execute("INSERT INTO t_orders VALUES (NULL), (3)")
    until(lambda: sum(ends(kafka, [pipeline.topic]).values()) == 3, "the next row does not come")
    form = pipeline.rest.done("PUT", "/connector-plugins/JdbcSourceConnector/config/validate", {**pipeline.source_connector(**{"validate.non.null": "false"})["config"], "name": "n"})
    (explained, _) = next(c["value"]["recommended_values"] for c in form["configs"] if c["value"]["name"] == "query")
    assert "there are rows with NULL in id, which are never read" in explained
