"""A Connect worker that reads MariaDB by the requests of REST: tasks share tables, positions are the original's, rows arrive in PostgreSQL."""

import json
import sys
import urllib.error
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scenarios"))
from processes import ends, until

from pycdc.servers.connect import Connect
from pycdc.testing.workers import OurWorker, properties

pytestmark = pytest.mark.xdist_group("connect-rest")
JSON = "org.apache.kafka.connect.json.JsonConverter"


class Cluster:
    """A worker, and the connectors that tests make of it."""

    def __init__(self, worker, db, prefix):
        self.worker, self.db, self.prefix = worker, db, prefix

    def call(self, method, path, body=None):
        return Connect.call(self.worker, method, path, body)

    def post(self, name, config):
        self.call("POST", "/connectors", {"name": name, "config": {"tasks.max": "1", "value.converter": JSON, **config}})

    def source(self, name, **more):
        self.post(name, {
            "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "mode": "incrementing", "poll.interval.ms": "200", "topic.prefix": self.prefix,
            "connection.url": f"jdbc:mysql://{self.db.host}:{self.db.port}/{self.db.dbname}", "connection.user": self.db.user, "catalog.pattern": self.db.dbname, **more,
        })  # fmt: skip


@pytest.fixture
def cluster(mysql_db, kafka, names, tmp_path):
    worker = OurWorker(tmp_path / "worker", properties(kafka, names.base, {}))
    worker.start()
    yield Cluster(worker, mysql_db, f"{names.prefix}_")
    worker.signal(15)
    assert worker.faults() == []
    worker.end(15)


def test_from_mysql_into_postgresql_with_a_new_column(cluster, mysql, postgres_db, names):
    mysql.execute("CREATE TABLE t_orders (id int AUTO_INCREMENT PRIMARY KEY, num varchar(100)); INSERT INTO t_orders (num) VALUES ('100-456468')")
    with psycopg.connect(postgres_db.dsn, autocommit=True) as copy:
        copy.execute("CREATE TABLE t_orders (id integer PRIMARY KEY, num varchar(100), dt date, at timestamp)")
        cluster.source(names.base)
        cluster.post(f"{names.base}-sink", {
            "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "topics": f"{cluster.prefix}t_orders", "table.name.format": "t_orders",
            "connection.url": f"jdbc:postgresql://{postgres_db.host}:{postgres_db.port}/{postgres_db.dbname}", "connection.user": postgres_db.user,
            "insert.mode": "upsert", "pk.mode": "record_value", "pk.fields": "id",
        })  # fmt: skip

        def arrived(columns):
            wanted = list(mysql.execute(f"SELECT {columns} FROM t_orders ORDER BY id"))
            until(lambda: copy.execute(f"SELECT {columns} FROM t_orders ORDER BY id").fetchall() == wanted, "the copy is another", 60)

        arrived("id, num")
        mysql.execute("ALTER TABLE t_orders ADD dt date, ADD at datetime(3); INSERT INTO t_orders (num, dt, at) SELECT CONCAT('n', seq), '2026-02-28', '2026-07-01 12:00:00.125' FROM seq_1_to_20000")
        arrived("id, num, dt, at")


def test_tables_are_shared_by_tasks_and_positions_can_be_set(cluster, mysql, kafka, names):
    db, name = cluster.db.dbname, names.base
    for table in "abc":
        mysql.execute(f"CREATE TABLE {table} (id serial); INSERT INTO {table} VALUES (), (), (), (), ()")
    cluster.source(name, **{"table.whitelist": "a,b,c,d", "tasks.max": "2", "table.poll.interval.ms": "500"})

    def tables():
        return [t["config"]["tables"] for t in cluster.call("GET", f"/connectors/{name}/tasks")]

    def records():
        return {t.removeprefix(cluster.prefix): n for (t, _), n in ends(kafka, [cluster.prefix + t for t in "abcd"]).items()}

    def offsets():
        return {o["partition"]["table"]: o["offset"]["incrementing"] for o in cluster.call("GET", f"/connectors/{name}/offsets")["offsets"]}

    until(lambda: tables() == [f"`{db}`.`a`,`{db}`.`b`", f"`{db}`.`c`"], "the tables are not shared")
    until(lambda: records() == {"a": 5, "b": 5, "c": 5}, "rows are missing")
    until(lambda: offsets() == {f"{db}.a": 5, f"{db}.b": 5, f"{db}.c": 5}, "positions are missing")
    mysql.execute("CREATE TABLE d (id serial); INSERT INTO d VALUES (), (), (), (), ()")
    until(lambda: tables() == [f"`{db}`.`a`,`{db}`.`b`", f"`{db}`.`c`,`{db}`.`d`"], "the new table is not read")
    until(lambda: records() == {"a": 5, "b": 5, "c": 5, "d": 5} and offsets().get(f"{db}.d") == 5, "rows of the new table are missing")
    cluster.call("PUT", f"/connectors/{name}/stop")
    until(lambda: not cluster.call("GET", f"/connectors/{name}/status")["tasks"], "the tasks do not stop")
    cluster.call("PATCH", f"/connectors/{name}/offsets", {"offsets": [{"partition": {"protocol": "1", "table": f"{db}.b"}, "offset": {"incrementing": 3}}]})
    cluster.call("PUT", f"/connectors/{name}/resume")
    until(lambda: records() == {"a": 5, "b": 7, "c": 5, "d": 5}, "rows are not read again")


def test_a_database_that_cannot_be_reached_is_told_at_once(cluster, names):
    with pytest.raises(urllib.error.HTTPError) as refused:
        cluster.source(names.base, **{"connection.url": "jdbc:mysql://127.0.0.1:1/x"})
    assert refused.value.code == 400
    assert "cannot connect to MySQL" in json.loads(refused.value.read())["message"]
