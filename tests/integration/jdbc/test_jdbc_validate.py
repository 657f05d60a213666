"""Validation of a JDBC source says what its polls would meet, and what they will be."""

import pytest

from pycdc.worker.validation.validate import Worker, validate

WORKER = Worker.of({})


def config(db, **changes):
    return {
        "name": "one", "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "topic.prefix": "p_", "mode": "incrementing",
        "connection.url": f"jdbc:postgresql://{db.host}:{db.port}/{db.dbname}", "connection.user": db.user,
        **{k.replace("__", "."): v for k, v in changes.items()},
    }  # fmt: skip


async def told(db, **changes):
    form = await validate("JdbcSourceConnector", config(db, **changes), WORKER)
    return {e.name: e.errors for e in form.entries if e.errors}, {e.name: e.recommended for e in form.entries}


async def test_the_plan_is_explained(sql, postgres_db):
    sql.execute("CREATE TABLE a (id serial PRIMARY KEY, at timestamptz NOT NULL); CREATE TABLE b (id serial); CREATE VIEW v AS SELECT * FROM a")
    errors, offered = await told(postgres_db)
    assert errors == {}
    assert offered["table.whitelist"] == ("public.a", "public.b")
    of_a, late_a, of_b, _ = offered["query"]
    assert of_a == 'SELECT * FROM "public"."a" WHERE "id" > -1 ORDER BY "id" ASC -- index a_pkey; progress is guarded by id'
    assert late_a.startswith('SELECT * FROM "public"."a" WHERE "id" > -10000 AND "id" <= 0 AND xmin')
    assert of_b.endswith("-- no index serves: each poll reads the whole table; progress is guarded by id")
    _, offered = await told(postgres_db, mode="bulk", table__types="VIEW")
    assert offered["query"] == ('SELECT * FROM "public"."v" -- reads the whole table; nothing guards progress: all is read at each poll',)
    _, offered = await told(postgres_db, mode="timestamp+incrementing", timestamp__column__name="at", table__whitelist="a")
    assert offered["query"][0].endswith("progress is guarded by at, id")
    _, offered = await told(postgres_db, query="SELECT * FROM a", incrementing__column__name="id")
    assert offered["query"][-1] == "-- rows that are committed late are not looked for"


async def test_rows_that_no_poll_finds_are_told(sql, postgres_db):
    sql.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a VALUES (NULL)")
    _, offered = await told(postgres_db, incrementing__column__name="id", validate__non__null="false")
    of_a, _, of_b, _ = offered["query"]
    assert "there are rows with NULL in id, which are never read" in of_a
    assert "NULL" not in of_b


async def test_a_masked_query_is_not_shown(sql, postgres_db):
    sql.execute("CREATE TABLE a (id int)")
    form = await validate("JdbcSourceConnector", config(postgres_db, mode="bulk", query__masked="SELECT 's3cret' AS x FROM a"), WORKER)
    assert "s3cret" not in str(form.body())
    assert {e.name: e.recommended for e in form.entries}["query"] == ("-- reads the whole table; nothing guards progress: all is read at each poll",)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"incrementing__column__name": "nr"}, "incrementing.column.name", "the column nr is not there [a] cause: columns: id, at"),
        ({"mode": "timestamp", "timestamp__column__name": "id"}, "timestamp.column.name", "the timestamp column id is no timestamp [a] cause: it is int4"),
        ({"mode": "timestamp", "timestamp__column__name": "at"}, "timestamp.column.name", "the timestamp column may be NULL [a] cause: at"),
        ({"query": "SELECT x FROM a", "incrementing__column__name": "id"}, "query", 'column "x" does not exist'),
        ({"connection__url": "jdbc:postgresql://127.0.0.1:1/x"}, "connection.url", "cannot connect to PostgreSQL"),
        ({"connection__url": "jdbc:oracle:x"}, "connection.url", "must be jdbc:postgresql://HOST:PORT/DATABASE"),
        ({"mode": "bulk", "query": "SELECT 1", "table__whitelist": "a"}, "table.whitelist", "cannot be given together with a query"),
    ],
)
async def test_what_is_wrong_is_told_at_its_key(changes, key, words, sql, postgres_db):
    sql.execute("CREATE TABLE a (id serial, at timestamp)")
    errors, _ = await told(postgres_db, **changes)
    assert list(errors) == [key]
    assert words in errors[key][0]
