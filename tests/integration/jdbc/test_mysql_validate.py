"""Validation of a JDBC source over MariaDB says what its polls would meet, and what they will be."""


import json

import pytest
from click.testing import CliRunner

from pycdc.cli.app import pycdc
from pycdc.worker.validation.validate import Worker, validate

#: They read INNODB_TRX, which only one should do at a time.
pytestmark = pytest.mark.xdist_group("mysql")

WORKER = Worker.of({})


def config(db, **changes):
    return {
        "name": "one", "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "topic.prefix": "p_", "mode": "incrementing",
        "connection.url": f"jdbc:mysql://{db.host}:{db.port}/{db.dbname}", "connection.user": db.user, "catalog.pattern": db.dbname,
        **{k.replace("__", "."): v for k, v in changes.items()},
    }  # fmt: skip


async def told(db, **changes):
    form = await validate("JdbcSourceConnector", config(db, **changes), WORKER)
    return {e.name: e.errors for e in form.entries if e.errors}, {e.name: e.recommended for e in form.entries}


async def test_the_plan_is_explained(mysql, mysql_db):
    mysql.execute(
        "CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, at timestamp(6) NOT NULL, x text, KEY by_time (at)); CREATE TABLE b (id int NOT NULL); "
        "CREATE VIEW v AS SELECT * FROM a; INSERT INTO a SELECT seq, now(), 'x' FROM seq_1_to_10; INSERT INTO b SELECT seq FROM seq_1_to_10"
    )
    db = mysql_db.dbname
    errors, offered = await told(mysql_db, incrementing__column__name="id")
    assert errors == {}
    assert offered["table.whitelist"] == (f"{db}.a", f"{db}.b")
    of_a, late_a, of_b, _ = offered["query"]
    assert of_a == f"SELECT * FROM `{db}`.`a` WHERE `id` > -1 ORDER BY `id` ASC -- index PRIMARY; progress is guarded by id"
    assert late_a == f"SELECT * FROM `{db}`.`a` WHERE `id` = 2 OR `id` BETWEEN 5 AND 7 ORDER BY `id` ASC -- rows that were committed late"
    assert of_b.endswith("-- no index serves: each poll reads the whole table; progress is guarded by id")
    _, offered = await told(mysql_db, mode="bulk", table__types="VIEW")
    assert offered["query"] == (f"SELECT * FROM `{db}`.`v` -- reads the whole table; nothing guards progress: all is read at each poll",)
    _, offered = await told(mysql_db, mode="timestamp", timestamp__column__name="at", table__whitelist="a")
    by_time, late = offered["query"]
    assert "-- index by_time" in by_time
    assert by_time.endswith("progress is guarded by at")
    assert late == "-- rows wait for the transactions that may still write older timestamps (INNODB_TRX)"
    _, offered = await told(mysql_db, query="SELECT * FROM a", incrementing__column__name="id")
    assert offered["query"][-1] == "-- rows that are committed late are not looked for"


async def test_a_user_who_may_not_see_transactions_is_told_before(mysql, mysql_db, mysql_user):
    mysql.execute("CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, at timestamp NOT NULL)")
    user = mysql_user(f"GRANT SELECT ON `{mysql_db.dbname}`.*")
    _, offered = await told(mysql_db, mode="timestamp", timestamp__column__name="at", **user)
    name = user["connection.user"]
    assert offered["query"][1] == (
        f"-- other clients' transactions cannot be seen, so rows do not wait for them: those committed late are lost; GRANT PROCESS ON *.* TO '{name}'@'%'"
    )


async def test_rows_that_no_poll_finds_are_told(mysql, mysql_db):
    mysql.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a VALUES (NULL)")
    _, offered = await told(mysql_db, incrementing__column__name="id", validate__non__null="false")
    of_a, _, of_b, _ = offered["query"]
    assert "there are rows with NULL in id, which are never read" in of_a
    assert "NULL" not in of_b


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"incrementing__column__name": "nr"}, "incrementing.column.name", "the column nr is not there [a] cause: columns: id, at"),
        ({"mode": "timestamp", "timestamp__column__name": "id"}, "timestamp.column.name", "the timestamp column id is no timestamp [a] cause: it is bigint"),
        ({"mode": "timestamp", "timestamp__column__name": "at"}, "timestamp.column.name", "the timestamp column may be NULL [a] cause: at hint: make it NOT NULL, or set validate.non.null=false: rows with NULL are then never read; ALTER TABLE `"),
        ({"query": "SELECT x FROM a", "incrementing__column__name": "id"}, "query", "Unknown column 'x'"),
        ({"connection__url": "jdbc:mysql://127.0.0.1:1/x"}, "connection.url", "cannot connect to MySQL"),
        ({"connection__url": "jdbc:mysql://h"}, "connection.url", "names no database: jdbc:mysql://HOST:PORT/DATABASE"),
        ({"connection__user": "nobody"}, "connection.url", "ALTER USER 'nobody'@'%' IDENTIFIED BY"),
    ],
)
async def test_what_is_wrong_is_told_at_its_key(changes, key, words, mysql, mysql_db):
    mysql.execute("CREATE TABLE a (id serial, at datetime)")
    errors, _ = await told(mysql_db, **changes)
    assert list(errors) == [key]
    assert words in errors[key][0]




def test_the_command_tells_the_same(mysql, mysql_db, tmp_path):
    mysql.execute("CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY)")
    file = tmp_path / "source.json"
    file.write_text(json.dumps({"name": "one", "config": config(mysql_db)}))
    result = CliRunner().invoke(pycdc, ["validate", "--config", str(file)])
    assert result.exit_code == 0, result.output
    assert f"SELECT * FROM `{mysql_db.dbname}`.`a` WHERE `id` > -1 ORDER BY `id` ASC -- index PRIMARY; progress is guarded by id" in result.output
    result = CliRunner().invoke(pycdc, ["validate", "--config", str(file), "--set", "incrementing.column.name=nr"])
    assert result.exit_code == 2
    assert "incrementing.column.name: the column nr is not there [a]" in result.output
