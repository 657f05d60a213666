"""The PostgreSQL sink against real databases: `pycdc run` end to end, and the sink fed by hand."""

import asyncio

import psycopg
import pytest

from pycdc.config.layers import Layered
from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.record import Header, Record
from pycdc.plugins.contracts import SinkContext
from pycdc.plugins.join import load_sink, load_source
from pycdc.runtime.direct import run_direct

SINK = {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "insert.mode": "upsert", "delete.enabled": "true",
    "primary.key.mode": "record_key", "schema.evolution": "basic", "collection.name.format": "${source.table}",
}  # fmt: skip


def sink_config(target, **more):
    url = f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}"
    return {"name": "copy", **SINK, "connection.url": url, "connection.username": target.user, **more}


async def settled(read, want, limit=30):
    """Wait until `read()` gives `want`."""
    async with asyncio.timeout(limit):
        while (got := read()) != want:  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(0.05)
    return got


class Pipeline:
    """`pycdc run` in this process."""

    def __init__(self, db, names, target, **more):
        source = {
            "name": "source", "connector.class": "postgres", "topic.prefix": names.prefix, "database.hostname": db.host,
            "database.port": str(db.port), "database.user": db.user, "database.dbname": db.dbname, "slot.name": names.slot,
            "publication.name": names.publication,
        }  # fmt: skip
        self.plans = load_source(Layered.of(source), direct=True), load_sink(Layered.of(sink_config(target, **more)), direct=True)

    async def __aenter__(self):
        self.stop = asyncio.Event()
        self.task = asyncio.ensure_future(run_direct(*self.plans, http=None, stop=self.stop))
        return self

    async def __aexit__(self, *_):
        self.stop.set()
        await self.task


TYPES = (
    "CREATE TABLE a (id serial PRIMARY KEY, t text, n numeric(10,2), d date, ts timestamp, tz timestamptz, ti time, b bool, "
    "by bytea, j jsonb, u uuid, ia int[], ta text[], f float8, r real, s smallint, v varchar(20), c char(5))"
)
FILL = (
    "INSERT INTO a(t, n, d, ts, tz, ti, b, by, j, u, ia, ta, f, r, s, v, c) SELECT 'x' || g || E'\\t\\\\\\n\"', g / 3.0, "
    "date '2020-01-01' + g, now()::timestamp, now(), '12:34:56.789', g % 2 = 0, '\\x00ff', '{\"a\": [1, null]}', "
    "gen_random_uuid(), '{1,NULL,3}', array['a,b', '\"q\"', null], g / 7.0, g / 7.0, g, 'é' || g, 'ab' "
    "FROM generate_series(1, 500) g"
)
SPECIAL = (
    "INSERT INTO a(d, ts, tz, ti) VALUES ('infinity', 'infinity', '-infinity', '24:00'), "
    "('0044-03-15 BC', '0044-03-15 12:00 BC', '0044-03-15 12:00+00 BC', '00:00'), ('20000-01-01', '20000-01-01', '20000-01-01', null)"
)


def rows(dsn, table="a"):
    with psycopg.connect(dsn) as conn:
        return conn.execute(f"SELECT t::text FROM {table} AS t ORDER BY id").fetchall()


async def test_every_common_type_arrives_equal_by_snapshot_and_stream(postgres_db, names, target):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as source:
        source.execute(TYPES)
        source.execute(FILL)
        async with Pipeline(postgres_db, names, target):
            await settled(lambda: target_count(target), 500)
            source.execute(FILL)
            source.execute(SPECIAL)
            source.execute("INSERT INTO a DEFAULT VALUES")
            source.execute("UPDATE a SET n = -5.55, t = repeat('long', 3000) WHERE id = 3; UPDATE a SET n = 6 WHERE id = 3")
            source.execute("DELETE FROM a WHERE id BETWEEN 10 AND 20; UPDATE a SET id = 5000 WHERE id = 5")
            source.execute("BEGIN; DELETE FROM a WHERE id = 7; INSERT INTO a(id, t) VALUES (7, 'again'); COMMIT")
            want = rows(postgres_db.dsn)
            await settled(lambda: rows(target.dsn), want)


def target_count(target):
    with psycopg.connect(target.dsn) as conn:
        if conn.execute("SELECT to_regclass('public.a')").fetchone()[0] is None:
            return 0
        return conn.execute("SELECT count(*) FROM a").fetchone()[0]


async def test_the_position_in_the_target_is_where_a_restart_goes_on(postgres_db, names, target):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as source:
        source.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        async with Pipeline(postgres_db, names, target):
            await settled(lambda: target_count(target), 1)
        source.execute("INSERT INTO a VALUES (2); DELETE FROM a WHERE id = 1")
        async with Pipeline(postgres_db, names, target):
            await settled(lambda: rows(target.dsn), [("(2)",)])


# ---- fed by hand

SOURCE_BLOCK = {"schema": "public", "table": "a"}


def event(offset, op, row, key=None, headers=()):
    value = {"op": op, "before": None, "after": row, "source": SOURCE_BLOCK}
    return Record(topic="p.public.a", partition=0, offset=offset, key=key or {"id": row["id"]}, value=value, headers=headers)


@pytest.fixture
def by_hand(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE a (id int PRIMARY KEY, v varchar(5), n numeric(6,2))")

    def make(**more):
        return load_sink(Layered.of(sink_config(target, topics="t", **{"bootstrap.servers": "x:1"}, **more))).make_sink()

    return make


async def put(sink, *records):
    await sink.open(SinkContext("copy", "0"))
    try:
        sink.put(records)
        await sink.flush()
    finally:
        await sink.close()


async def test_a_batch_keeps_the_last_change_of_a_key(by_hand, target):
    delete = Record(topic="p.public.a", partition=0, offset=4, key={"id": 2}, value={"op": "d", "after": None, "source": SOURCE_BLOCK})
    await put(
        by_hand(), event(1, "c", {"id": 1, "v": "a", "n": None}), event(2, "u", {"id": 1, "v": "b", "n": None}),
        event(3, "c", {"id": 2, "v": "x", "n": None}), delete,
    )  # fmt: skip
    assert rows(target.dsn) == [("(1,b,)",)]


async def test_an_unavailable_column_keeps_the_targets_value(by_hand, target):
    await put(by_hand(), event(1, "c", {"id": 1, "v": "keep", "n": None}), event(2, "c", {"id": 2, "v": "keep", "n": None}))
    await put(
        by_hand(), event(3, "u", {"id": 1, "v": "__debezium_unavailable_value", "n": "AQ=="}),
        event(4, "u", {"id": 2, "v": None, "n": "Ag=="}, headers=(Header("pycdc.unavailable", None, "v"),)),
    )  # fmt: skip
    assert rows(target.dsn) == [("(1,keep,0.01)",), ("(2,keep,0.02)",)]


async def test_a_row_that_the_target_refuses_is_named_and_nothing_of_the_batch_is_written(by_hand, target):
    good = [event(i, "c", {"id": i, "v": "ok", "n": None}) for i in range(1, 40)]
    with pytest.raises(BadRow, match="offset 77") as error:
        await put(by_hand(), *good[:20], event(77, "c", {"id": 500, "v": "too long", "n": None}), *good[20:])
    assert "too long" not in str(error.value).replace("value too long", ""), "no row values in errors"
    assert rows(target.dsn) == []


async def test_a_missing_column_is_told_with_the_statement_that_adds_it(by_hand):
    with pytest.raises(TargetSchemaError, match="ADD COLUMN"):
        await put(by_hand(**{"schema.evolution": "none"}), event(1, "c", {"id": 1, "v": "a", "n": None, "extra": 1}))


async def test_without_a_broker_too_a_row_at_fault_may_be_left_out(postgres_db, names, target, capsys):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as source, psycopg.connect(target.dsn, autocommit=True) as copy:
        source.execute("CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'ok')")
        copy.execute("CREATE TABLE a (id int PRIMARY KEY, v varchar(5))")
        async with Pipeline(postgres_db, names, target, **{"errors.tolerance": "all"}):
            await settled(lambda: target_count(target), 1)
            source.execute("INSERT INTO a VALUES (2, 'much too long'), (3, 'ok')")
            await settled(lambda: target_count(target), 2)
    said = capsys.readouterr().out
    assert "a row is left out" in said
    assert "much too long" not in said


@pytest.mark.parametrize(
    ("mode", "unit"), [(None, 1000), ("adaptive", 1000), ("connect", 1_000_000), ("microseconds", 1000), ("nanoseconds", 1)], ids=str
)
async def test_temporal_numbers_without_schema_are_of_the_sources_unit(mode, unit, by_hand, target):
    """adaptive writes milliseconds for columns of up to three digits."""
    moment, of_day = 1_709_210_096_789_000_000, 45_296_789_000_000  # nanoseconds
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        conn.execute("ALTER TABLE a ADD six timestamp, ADD three timestamp(3), ADD t6 time, ADD t3 time(3), ADD d date")
        short = 1_000_000 if mode in (None, "adaptive") else unit
        row = {"id": 1, "v": None, "n": None, "six": moment // unit, "three": moment // short, "t6": of_day // unit, "t3": of_day // short, "d": 19782}
        await put(by_hand(**({} if mode is None else {"time.precision.mode": mode})), event(0, "c", row))
        got = conn.execute("SELECT six::text, three::text, t6::text, t3::text, d::text FROM a").fetchone()
    assert got == ("2024-02-29 12:34:56.789", "2024-02-29 12:34:56.789", "12:34:56.789", "12:34:56.789", "2024-02-29")
