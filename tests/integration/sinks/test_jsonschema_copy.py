"""PostgreSQL -> JSON with schemas in a real registry -> PostgreSQL: every value arrives exact, columns are added and dropped, and
a message that no schema tells of goes to the dead letters.
"""

import asyncio

import psycopg
import pytest
from confluent_kafka import Producer
from test_avro_copy import ROWS, SHOWN, TABLE, Pipeline, Subjects, insert, running, until

from pycdc.runtime.sink_task import run_sink, sink_job

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("registry"), pytest.mark.usefixtures("quick")]

JSON_SCHEMA = {f"{side}.converter": "io.confluent.connect.json.JsonSchemaConverter" for side in ("key", "value")}


class Written(Pipeline):
    """With the JsonSchemaConverter on both sides."""

    def source(self, **more):
        return super().source(**{**JSON_SCHEMA, **more})

    def sink(self, **more):
        return super().sink(**{**JSON_SCHEMA, **more})


@pytest.fixture
def pipe(postgres_db, kafka, names, schema_registry, tmp_path):
    return Written(postgres_db, kafka, names, schema_registry, tmp_path)


@pytest.fixture
def origin(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def copy(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        # the loop that waits for a lock here is the one in which the sink would give it back
        conn.execute("SET lock_timeout = '200ms'")
        yield conn


def rows(conn, query):
    """None while the sink changes the table."""
    try:
        return conn.execute(query).fetchall()
    except psycopg.errors.LockNotAvailable:
        return None


@pytest.mark.parametrize("decimals", ["BASE64", "NUMERIC"])
async def test_every_value_arrives_exact_in_postgresql(pipe, origin, copy, target, decimals):
    origin.execute(TABLE)
    insert(origin, ROWS)
    copy.execute(TABLE.replace(" t ", " copy ", 1))
    options = {"value.converter.decimal.format": decimals}
    async with running(
        lambda stop: pipe.sourcing(stop, **options), lambda stop: run_sink(pipe.to_postgres(target, **options), http=None, stop=stop)
    ) as tasks:
        await until(lambda: rows(copy, "SELECT count(*) FROM copy"), [(3,)], tasks)
        origin.execute("UPDATE t SET small = small + 1, at = at + interval '1001 microseconds' WHERE id = 1; DELETE FROM t WHERE id = 2")
        wanted = origin.execute(f"SELECT {SHOWN['adaptive']} FROM t ORDER BY id").fetchall()
        await until(lambda: rows(copy, f"SELECT {SHOWN['adaptive']} FROM copy ORDER BY id"), wanted, tasks)


async def test_added_and_dropped_columns_and_a_bad_message(pipe, origin, copy, target, kafka, names):
    """Under the level BACKWARD with closed schemas, as the page says; a dropped column needs another level."""
    origin.execute("CREATE TABLE e (id int PRIMARY KEY, num varchar(100))")
    pipe.topic = f"{names.prefix}.public.e"
    subject = Subjects(pipe.registry, f"{pipe.topic}-value")
    dlq = {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": f"{names.base}_dlq", "errors.deadletterqueue.topic.replication.factor": "1"}
    sink = sink_job(pipe.to_postgres(target, **dlq))
    closed = {"table.include.list": "public.e", "value.converter.object.additional.properties": "false"}
    async with running(lambda stop: pipe.sourcing(stop, **closed), sink.run) as tasks:
        origin.execute("INSERT INTO e VALUES (1, 'a')")
        await until(lambda: rows(copy, "SELECT * FROM copy"), [(1, "a")], tasks)
        await asyncio.to_thread(subject.put_level, "BACKWARD")
        # not in the loop: it waits for the snapshot's transaction, which the loop has to end
        await asyncio.to_thread(origin.execute, "ALTER TABLE e ADD dt date")
        origin.execute("INSERT INTO e VALUES (2, 'b', '2026-01-02')")
        dated = "SELECT id, num, dt::text FROM copy ORDER BY id"
        await until(lambda: rows(copy, dated), [(1, "a", None), (2, "b", "2026-01-02")], tasks)
        producer = Producer({"bootstrap.servers": kafka})
        for data in (b"{}", b"\x00\x7f\xff\xff\xff{}"):
            producer.produce(pipe.topic, key=None, value=data, partition=0)
        await asyncio.to_thread(producer.flush, 10)
        await until(lambda: sink.metrics.dead_letters, 2, tasks)
        await asyncio.to_thread(subject.put_level, "NONE")
        await asyncio.to_thread(origin.execute, "ALTER TABLE e DROP num")
        origin.execute("INSERT INTO e VALUES (3, '2026-01-03')")
        await until(lambda: (rows(copy, dated) or [])[2:], [(3, None, "2026-01-03")], tasks)
    assert await asyncio.to_thread(subject.versions) == [1, 2, 3]
