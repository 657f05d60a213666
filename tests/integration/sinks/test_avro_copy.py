"""PostgreSQL -> Avro in Kafka, with a real schema registry -> PostgreSQL, ClickHouse and StarRocks: every value arrives exact,
tables change on the way, and a registry that is away is waited for.
"""

import asyncio
import contextlib
import json
import urllib.request
from decimal import Decimal

import psycopg
import pytest
from confluent_kafka import Producer

from pycdc.config.layers import Layered
from pycdc.errors import PycdcError
from pycdc.kafka.offsets import FileOffsetStore
from pycdc.plugins.join import load_sink, load_source
from pycdc.registry import client
from pycdc.runtime import fetching
from pycdc.runtime.sink_task import run_sink, sink_job
from pycdc.runtime.source_task import run_source, source_job
from pycdc.testing.starrocks import Settings, StarRocks

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("registry"), pytest.mark.usefixtures("quick")]

AVRO = "io.confluent.connect.avro.AvroConverter"
TABLE = (
    "CREATE TABLE t (id bigint PRIMARY KEY, n numeric(30,6), small numeric(5,2), i int, f float8, b bool, s text, at timestamp(6), "
    "tz timestamptz, day date, time time(6), bin bytea, u uuid)"
)
ROWS = [
    (1, Decimal("123456789012345678901234.567891"), Decimal("-0.05"), -1, 0.1, True, "ä\u2028😀", "2026-01-02 03:04:05.678901",
     "1969-12-31 23:59:59.999999+00", "0001-01-01", "23:59:59.999999", b"\x00\xff", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
    (2, *[None] * 12),
    (3, Decimal("-0.000001"), Decimal("999.99"), 2**31 - 1, -1e300, False, "", "1583-10-15 00:00:00.000001", "2026-06-30 12:00:00+02",
     "9999-12-31", "00:00:00", b"", "00000000-0000-0000-0000-000000000000"),
]  # fmt: skip


def avro(registry, **more):
    both = {"": AVRO, ".schema.registry.url": registry, **{f".{k}": v for k, v in more.items()}}
    return {f"{side}.converter{k}": v for side in ("key", "value") for k, v in both.items()}


class Pipeline:
    """A source of the test's own database, and sinks of its topic."""

    def __init__(self, db, kafka, names, registry, tmp_path):
        self.db, self.kafka, self.names, self.registry, self.tmp = db, kafka, names, registry, tmp_path
        self.topic = f"{names.prefix}.public.t"

    def source(self, **more):
        return load_source(Layered.of({
            "name": f"{self.names.base}_source", "connector.class": "postgres", "database.hostname": self.db.host, "database.port": str(self.db.port),
            "database.user": self.db.user, "database.password": "x", "database.dbname": self.db.dbname, "topic.prefix": self.names.prefix,
            "slot.name": self.names.slot, "publication.name": self.names.publication, "bootstrap.servers": self.kafka,
            "offset.flush.interval.ms": "100", **avro(self.registry), **more,
        }), offsets_file=str(self.tmp / "offsets"))  # fmt: skip

    def sink(self, **more):
        return load_sink(Layered.of({
            "name": self.names.group, "bootstrap.servers": self.kafka, "topics": self.topic, "consumer.override.metadata.max.age.ms": "500",
            **avro(self.registry), **more,
        }))  # fmt: skip

    def to_postgres(self, target, **more):
        return self.sink(**{
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}",
            "connection.username": target.user, "connection.password": "x", "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key",
            "schema.evolution": "basic", "collection.name.format": "copy", **more,
        })  # fmt: skip

    def sourcing(self, stop, **more):
        return run_source(self.source(**more), offsets_file=str(self.tmp / "offsets"), http=None, stop=stop)


@pytest.fixture
def pipeline(postgres_db, kafka, names, schema_registry, tmp_path):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute(TABLE)
    return Pipeline(postgres_db, kafka, names, schema_registry, tmp_path)


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def copied(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        yield conn


@contextlib.asynccontextmanager
async def running(*coroutines):
    """Until the block ends; a fault of one of them ends the test. Each is given the event that stops it."""
    stop = asyncio.Event()
    tasks = [asyncio.ensure_future(c(stop)) for c in coroutines]
    try:
        yield tasks
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(look, wanted, tasks=(), limit=40):
    """Wait until `look()` gives `wanted`. It may wait for a lock that the sink holds, in a thread of its own: the sink needs the loop."""
    got = None
    try:
        async with asyncio.timeout(limit):
            while got != wanted:
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)
                with contextlib.suppress(psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                    got = await asyncio.to_thread(look)
    except TimeoutError:
        assert got == wanted


def insert(sql, rows):
    with sql.cursor() as cursor:
        cursor.executemany(f"INSERT INTO t VALUES ({','.join(['%s'] * 13)})", rows)


def all_of(conn, table):
    return conn.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()


#: The columns as the source has them, with times cut to what the mode's types hold.
SHOWN = {
    "adaptive": "id, n, small, i, f, b, s, day, bin, u, at, tz, time",
    "connect": "id, n, small, i, f, b, s, day, bin, u, date_trunc('milliseconds', at), tz, (date_trunc('milliseconds', time::interval))::time",
}


@pytest.mark.parametrize("time_mode", ["adaptive", "connect"])
async def test_every_value_arrives_exact_in_postgresql(pipeline, sql, copied, target, time_mode):
    """Microseconds are lost with time.precision.mode=connect alone, whose types have milliseconds."""
    insert(sql, ROWS)
    copied.execute(TABLE.replace(" t ", " copy ", 1))
    async with running(
        lambda stop: pipeline.sourcing(stop, **{"time.precision.mode": time_mode}),
        lambda stop: run_sink(pipeline.to_postgres(target), http=None, stop=stop),
    ) as tasks:
        await until(lambda: copied.execute("SELECT count(*) FROM copy").fetchone(), (3,), tasks)
        sql.execute("UPDATE t SET small = small + 1, at = at + interval '1001 microseconds' WHERE id = 1; DELETE FROM t WHERE id = 2")
        wanted = sql.execute(f"SELECT {SHOWN[time_mode]} FROM t ORDER BY id").fetchall()
        await until(lambda: copied.execute(f"SELECT {SHOWN['adaptive']} FROM copy ORDER BY id").fetchall(), wanted, tasks)


#: Columns that have no plain counterpart there.
FEWER = {"column.exclude.list": "public.t.(tz|time|bin)"}


async def test_every_value_arrives_exact_in_clickhouse(pipeline, sql, clickhouse):
    insert(sql, ROWS[:1] + ROWS[2:])
    clickhouse.command(
        "CREATE TABLE copy (id Int64, n Decimal(30, 6), small Decimal(5, 2), i Int32, f Float64, b Bool, s String, at DateTime64(6, 'UTC'), "
        "day Date32, u UUID, _version UInt64, _deleted UInt8 DEFAULT 0) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id"
    )
    # what Date32 and DateTime64 cannot hold
    sql.execute("UPDATE t SET day = '1900-01-01', at = '1950-01-01 00:00:00.000001' WHERE id = 3; UPDATE t SET day = '2299-12-31' WHERE id = 1")
    sink = {k: v for k, v in clickhouse.config().items() if k not in ("topics", "bootstrap.servers")} | {"topic2TableMap": f"{pipeline.topic}=copy"}
    async with running(lambda stop: pipeline.sourcing(stop, **FEWER), lambda stop: run_sink(pipeline.sink(**sink), http=None, stop=stop)) as tasks:
        shown = "id, toString(n), toString(small), i, f, b, s, toString(at), toString(day), toString(u)"
        wanted = sql.execute(
            "SELECT id, trim_scale(n)::text, small::text, i, f, b, s, to_char(at, 'YYYY-MM-DD HH24:MI:SS.US'), day::text, u::text FROM t ORDER BY id"
        ).fetchall()
        await until(lambda: clickhouse.rows(f"SELECT {shown} FROM copy FINAL ORDER BY id"), wanted, tasks)


async def test_every_value_arrives_exact_in_starrocks(pipeline, sql):
    insert(sql, ROWS)
    with StarRocks(Settings(password="p")) as server:
        server.sql("CREATE DATABASE d")
        server.sql(
            "CREATE TABLE d.copy (id BIGINT NOT NULL, n DECIMAL(30,6), small DECIMAL(5,2), i INT, f DOUBLE, b BOOLEAN, s VARCHAR(40), `at` DATETIME, "
            "day DATE, u VARCHAR(40)) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)"
        )
        sink = {
            "connector.class": "com.starrocks.connector.kafka.StarRocksSinkConnector", "starrocks.http.url": server.http,
            "starrocks.query.port": str(server.query_port), "starrocks.database.name": "d", "starrocks.username": "root",
            "starrocks.password": "p", "bufferflush.intervalms": "100", "starrocks.topic2table.map": f"{pipeline.topic}:copy",
        }  # fmt: skip
        async with running(lambda stop: pipeline.sourcing(stop, **FEWER), lambda stop: run_sink(pipeline.sink(**sink), http=None, stop=stop)) as tasks:
            wanted = sql.execute("SELECT id, n, small, i, f, b, s, at::text, day::text, u::text FROM t ORDER BY id").fetchall()
            await until(lambda: [tuple(r.values()) for r in server.rows("d", "copy")], wanted, tasks)


# ---- tables that change


async def test_added_and_dropped_columns_and_a_compatible_type_change_reach_the_target(pipeline, sql, copied, target):
    """Under the level BACKWARD, which every registry has by default: a new column may be null, int becomes bigint."""
    sql.execute("CREATE TABLE e (id int PRIMARY KEY, num varchar(100), small int)")
    pipeline.topic = f"{pipeline.names.prefix}.public.e"
    subject = Subjects(pipeline.registry, f"{pipeline.topic}-value")
    async with running(
        lambda stop: pipeline.sourcing(stop, **{"table.include.list": "public.e"}), lambda stop: run_sink(pipeline.to_postgres(target), http=None, stop=stop)
    ) as tasks:
        sql.execute("INSERT INTO e VALUES (1, 'a', 7)")
        await until(lambda: all_of(copied, "copy"), [(1, "a", 7)], tasks)
        await asyncio.to_thread(subject.put_level, "BACKWARD")
        sql.execute("ALTER TABLE e ADD dt date")
        sql.execute("INSERT INTO e VALUES (2, 'b', 8, '2026-01-02')")
        await until(lambda: copied.execute("SELECT num, dt::text FROM copy ORDER BY id").fetchall(), [("a", None), ("b", "2026-01-02")], tasks)
        sql.execute("ALTER TABLE e DROP num")
        sql.execute("INSERT INTO e VALUES (3, 9, '2026-01-03')")
        await until(lambda: copied.execute("SELECT id, num, small FROM copy ORDER BY id").fetchall(), [(1, "a", 7), (2, "b", 8), (3, None, 9)], tasks)
        sql.execute("ALTER TABLE e ALTER small TYPE bigint")
        await asyncio.to_thread(copied.execute, "ALTER TABLE copy ALTER small TYPE bigint")
        sql.execute("UPDATE e SET small = 5000000000 WHERE id = 3")
        await until(lambda: copied.execute("SELECT small FROM copy WHERE id = 3").fetchone(), (5_000_000_000,), tasks)
    assert await asyncio.to_thread(subject.versions) == [1, 2, 3, 4]


async def test_an_incompatible_change_stops_the_source_with_the_command_and_is_sent_behind_it(pipeline, sql, copied, target):
    sql.execute("CREATE TABLE e (id int PRIMARY KEY, v int)")
    pipeline.topic = f"{pipeline.names.prefix}.public.e"
    subject = Subjects(pipeline.registry, f"{pipeline.topic}-value")
    only = {"table.include.list": "public.e"}
    with pytest.raises(PycdcError, match="incompatible") as refused:
        async with running(
            lambda stop: pipeline.sourcing(stop, **only), lambda stop: run_sink(pipeline.to_postgres(target), http=None, stop=stop)
        ) as tasks:
            sql.execute("INSERT INTO e VALUES (1, 7)")
            await until(lambda: all_of(copied, "copy"), [(1, 7)], tasks)
            await asyncio.to_thread(subject.put_level, "BACKWARD")
            sql.execute("ALTER TABLE e ALTER v TYPE text")
            sql.execute("INSERT INTO e VALUES (2, 'x')")
            await asyncio.wait_for(tasks[0], 60)
    assert refused.value.what.endswith("field v was int, is string (level BACKWARD)"), "though this registry says only `after`"
    assert f"pycdc registry level {subject.name} --set NONE" in refused.value.hint
    await asyncio.to_thread(subject.put_level, "NONE")
    copied.execute("ALTER TABLE copy ALTER v TYPE text")
    async with running(
        lambda stop: pipeline.sourcing(stop, **only), lambda stop: run_sink(pipeline.to_postgres(target), http=None, stop=stop)
    ) as tasks:
        await until(lambda: all_of(copied, "copy"), [(1, "7"), (2, "x")], tasks)


class Subjects:
    """One subject of the registry."""

    def __init__(self, url, name):
        self.url, self.name = url, name

    def put_level(self, level):
        self._call("PUT", f"/config/{self.name}", {"compatibility": level})

    def versions(self):
        return self._call("GET", f"/subjects/{self.name}/versions")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())


# ---- a registry that is away


@pytest.fixture
def quick_client(monkeypatch):
    """Pauses of the client and of the tasks that tests need not sit through."""
    monkeypatch.setattr(client, "_BACK_OFF", 0.01)
    monkeypatch.setattr(fetching, "_LONGEST_PAUSE", 0.2)


@pytest.mark.usefixtures("quick_client")
async def test_a_registry_that_is_away_at_start_and_in_the_middle_loses_nothing(postgres_db, kafka, names, tmp_path, sql, copied, target, private_registry):
    sql.execute("CREATE TABLE e (id int PRIMARY KEY, v text); INSERT INTO e SELECT g, 'old' FROM generate_series(1, 500) g")
    pipeline = Pipeline(postgres_db, kafka, names, private_registry.url, tmp_path)
    pipeline.topic = f"{names.prefix}.public.e"
    store = FileOffsetStore(str(tmp_path / "offsets"))
    impatient = {f"{side}.converter.http.read.timeout.ms": "200" for side in ("key", "value")}
    source = source_job(pipeline.source(**impatient, **{"table.include.list": "public.e"}), store)
    sink = sink_job(pipeline.to_postgres(target, **impatient))
    await store.start()
    private_registry.pause()
    async with running(source.run, sink.run) as tasks:
        await until(lambda: (source.health.status, "does not answer" in source.health.last_error), ("retrying", True), tasks)
        private_registry.resume()
        await until(lambda: copied.execute("SELECT count(*) FROM copy").fetchone(), (500,), tasks)
        await until(lambda: (source.health.status, source.health.last_error), ("streaming", ""), tasks)
        private_registry.pause()
        sql.execute("INSERT INTO e SELECT g, 'known schema' FROM generate_series(501, 600) g")
        await until(lambda: copied.execute("SELECT count(*) FROM copy").fetchone(), (600,), tasks)
        sql.execute("ALTER TABLE e ADD w int")
        sql.execute("INSERT INTO e SELECT g, 'new schema', g FROM generate_series(601, 700) g")
        await until(lambda: source.health.status, "retrying", tasks)
        private_registry.resume()
        await until(lambda: copied.execute("SELECT count(*), count(w) FROM copy").fetchone(), (700, 100), tasks)
    await store.stop()


# ---- messages that no schema tells of


@pytest.mark.parametrize("message", [b"\x00\x7f\xff\xff\xff\x02", b"{}", b"\x00"])
async def test_an_unknown_id_or_magic_byte_goes_to_the_dead_letters(pipeline, sql, copied, target, kafka, names, message):
    sql.execute("CREATE TABLE e (id int PRIMARY KEY, v int); INSERT INTO e VALUES (1, 7)")
    pipeline.topic = f"{names.prefix}.public.e"
    dlq = {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": f"{names.base}_dlq", "errors.deadletterqueue.topic.replication.factor": "1",
           "errors.deadletterqueue.context.headers.enable": "true"}  # fmt: skip
    sink = sink_job(pipeline.to_postgres(target, **dlq))
    async with running(lambda stop: pipeline.sourcing(stop, **{"table.include.list": "public.e"}), sink.run) as tasks:
        await until(lambda: all_of(copied, "copy"), [(1, 7)], tasks)
        producer = Producer({"bootstrap.servers": kafka})
        producer.produce(pipeline.topic, key=None, value=message, partition=0)
        await asyncio.to_thread(producer.flush, 10)
        await until(lambda: sink.metrics.dead_letters, 1, tasks)
        sql.execute("INSERT INTO e VALUES (2, 8)")
        await until(lambda: all_of(copied, "copy"), [(1, 7), (2, 8)], tasks)


async def test_an_unknown_id_stops_a_sink_that_tolerates_nothing(pipeline, sql, copied, target, kafka, names):
    sql.execute("CREATE TABLE e (id int PRIMARY KEY, v int); INSERT INTO e VALUES (1, 7)")
    pipeline.topic = f"{names.prefix}.public.e"
    sink = sink_job(pipeline.to_postgres(target))
    with pytest.raises(PycdcError, match="does not know the schema") as stopped:
        async with running(lambda stop: pipeline.sourcing(stop, **{"table.include.list": "public.e"}), sink.run) as tasks:
            await until(lambda: all_of(copied, "copy"), [(1, 7)], tasks)
            producer = Producer({"bootstrap.servers": kafka})
            producer.produce(pipeline.topic, key=None, value=b"\x00\x7f\xff\xff\xff\x02", partition=0)
            await asyncio.to_thread(producer.flush, 10)
            await asyncio.wait_for(tasks[1], 60)
    assert stopped.value.where == f"topic {pipeline.topic}, partition 0, offset 1"
