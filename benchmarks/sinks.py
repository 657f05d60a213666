"""The sinks: a topic of rows into an empty table.

Two topics, because Debezium's JDBC sink takes only records with schemas: one of all rows without schemas, as
the sources of this benchmark write it, for pycdc's sinks; one of a fifth of them with schemas, for both
engines. The rate is that of the rows between the first sight of the table and the last row, so that neither
the start of a process nor the first batch counts; keys grow by one, so max(id) is the number of rows.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from engines import JSON, Engine, Pycdc, usage

from pycdc.testing.clickhouse import ClickHouseProcess
from pycdc.testing.starrocks.process import StarRocksProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from run import Bench

LIMIT = 600.0
CLICKHOUSE_TABLE = (
    "CREATE TABLE orders (id Int64, customer Nullable(String), qty Nullable(Int32), amount Nullable(Decimal(12,2)), "
    "status Nullable(String), note Nullable(String), created Nullable(DateTime64(6, 'UTC')), updated Nullable(DateTime64(6)), "
    "active Nullable(Bool), day Nullable(Date32), _version UInt64, _is_deleted UInt8) "
    "ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id"
)
STARROCKS_TABLE = (
    "CREATE TABLE shop.orders (id BIGINT NOT NULL, customer VARCHAR(200), qty INT, amount DECIMAL(12,2), status STRING, note STRING, "
    "created DATETIME, updated DATETIME, active BOOLEAN, day DATE) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)"
)


class Topic:
    """Rows in a topic, put there by pycdc's snapshot."""

    def __init__(self, bench: Bench, source: Pycdc, rows: int, form: str, converters: dict[str, str]) -> None:
        """`form`: what the results call it."""
        self.bench, self.rows, self.form, self.converters = bench, rows, form, converters
        self.name, self.topic = bench.fresh(1, rows)
        source.create(self.name, bench.config(self.name, **converters))
        bench.until(self.topic, 1, rows)
        source.delete(self.name)


def measure(bench: Bench, engines: list[Engine], table: str) -> None:
    """Every sink. `table` is the DDL of the target."""
    pycdc = next(e for e in engines if isinstance(e, Pycdc))
    plain = Topic(bench, pycdc, bench.rows, "without schemas", _converters())
    for sink in (lambda: to_postgres(bench, pycdc, plain, table), *(lambda to=to: to(bench, pycdc, plain) for to in (to_clickhouse, to_embedded, to_starrocks))):
        try:
            sink()
        except RuntimeError as error:  # the other figures of a long run are worth keeping
            print(f"FAILED: {error}", flush=True)
            pycdc.down()
    bench.drop(plain.name)
    other = Pycdc(bench.folder / "pycdc-other", bench.kafka.bootstrap)
    mixed(bench, pycdc, other, table)
    end_to_end(bench, pycdc, other, table)
    end_to_end_clickhouse(bench, pycdc, other)
    beside(bench, engines, table, Topic(bench, pycdc, max(bench.rows // 5, 1), "with schemas", _converters(schemas=True)))


def beside(bench: Bench, engines: list[Engine], table: str, topic: Topic) -> None:
    """Debezium's sink and ours, from one topic with schemas."""
    for engine in engines:
        engine.up()
        for warm in (False, True):  # only the second round counts: the JVM's compiler has seen the code
            to_postgres(bench, engine, topic, table, note=warm)
        engine.down()
    bench.drop(topic.name)


@contextlib.contextmanager
def _target(bench: Bench, table: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A database with the table, dropped at the end; its name and a connection."""
    bench.number += 1
    name = f"sink{bench.number}"
    with bench.sql() as sql:
        sql.execute(f"CREATE DATABASE {name}")
    with bench.sql(name) as sql:
        sql.execute(table)
        yield name, sql
    with bench.sql() as sql:
        sql.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _largest_id(sql: psycopg.Connection) -> int:
    row = sql.execute("SELECT coalesce(max(id), 0) FROM orders").fetchone()
    return int(row[0]) if row else 0


def to_postgres(bench: Bench, engine: Engine, topic: Topic, table: str, *, note: bool = True) -> None:
    with _target(bench, table) as (target, sql):
        config = _jdbc(bench, target, topic.topic) | topic.converters
        label = f"PostgreSQL sink, {topic.form}"
        run(bench, engine, target, config, topic.rows, lambda: _largest_id(sql), label if note else "")
        row = sql.execute("SELECT count(*), count(customer), count(amount), count(created), count(day) FROM orders").fetchone()
        assert row is not None
        assert set(row) == {topic.rows}, row


def mixed(bench: Bench, source: Pycdc, sink: Pycdc, table: str) -> None:
    """Inserts, as many updates, and a delete of each tenth row, streamed into a topic first."""
    count = bench.rows // 2
    name, topic = bench.fresh(1)
    source.create(name, bench.config(name, **{"snapshot.mode": "no_data", "tombstones.on.delete": "false"}))
    bench.streaming(name)
    with bench.sql(name) as sql:
        bench.insert(sql, count)
        sql.execute("UPDATE orders SET qty = qty + 1, status = 'DONE'")
        sql.execute("DELETE FROM orders WHERE id % 10 = 0")
        left = sql.execute("SELECT count(*) FROM orders").fetchone()
    records = 2 * count + count // 10
    bench.until(topic, 1, records)
    source.delete(name)
    with _target(bench, table) as (target, sql):
        config = _jdbc(bench, target, topic) | _converters()
        run(bench, sink, target, config, records, _committed(bench, target, topic), "PostgreSQL sink, inserts, updates and deletes")
        assert sql.execute("SELECT count(*) FROM orders").fetchone() == left
    bench.drop(name)


def end_to_end(bench: Bench, source: Pycdc, sink: Pycdc, table: str, rows: int = 10_000, rate: int = 1000) -> None:
    """Rows one by one at a steady rate; from each commit at the source to the first look at the target that shows it."""
    name, topic = _streamed(bench, source)
    with _target(bench, table) as (target, at_target):
        sink.create(target, _jdbc(bench, target, topic) | _converters())
        waits = _waits(bench, name, lambda: _largest_id(at_target), rows, rate)
        _note_waits(bench, f"commit to row in the PostgreSQL target at {rate} rows/s", source, waits)
        sink.delete(target)
    source.delete(name)
    bench.drop(name)


def end_to_end_clickhouse(bench: Bench, source: Pycdc, sink: Pycdc, rows: int = 10_000, rate: int = 1000) -> None:
    """The same into ClickHouse over HTTP."""
    name, topic = _streamed(bench, source)
    bench.number += 1
    target = f"sink{bench.number}"
    with _clickhouse_server(bench.folder / target) as (server, look):
        sink.create(target, _over_http(server, topic) | _converters())
        waits = _waits(bench, name, lambda: look("SELECT max(id) FROM orders"), rows, rate)
        _note_waits(bench, f"commit to row in ClickHouse at {rate} rows/s", source, waits)
        sink.delete(target)
        assert look("SELECT count() FROM orders FINAL") == rows + 1
    source.delete(name)
    bench.drop(name)


def _streamed(bench: Bench, source: Pycdc) -> tuple[str, str]:
    """A database whose changes `source` publishes, and the topic with the first row."""
    name, topic = bench.fresh(1)
    source.create(name, bench.config(name, **{"snapshot.mode": "no_data"}))
    bench.streaming(name)
    with bench.sql(name) as sql:
        bench.insert(sql, 1)
    bench.until(topic, 1, 1)
    return name, topic


def _waits(bench: Bench, name: str, written: Callable[[], int], rows: int, rate: int) -> list[float]:
    """Seconds from the commit of each row to the first look that finds it among the `written()`, sorted."""
    sent: list[float] = []
    seen: list[float] = []

    def look() -> None:
        while len(seen) < rows + 1:
            seen.extend([time.perf_counter()] * (written() - len(seen)))
            time.sleep(0.001)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    with bench.sql(name) as sql:
        while not seen:
            time.sleep(0.01)
        begin = time.perf_counter()
        for n in range(rows):
            time.sleep(max(0.0, begin + n / rate - time.perf_counter()))
            bench.insert(sql, 1)
            sent.append(time.perf_counter())
    looking.join(LIMIT)
    return sorted(b - a for a, b in zip(sent, seen[1:], strict=True))


def _note_waits(bench: Bench, label: str, engine: Engine, waits: list[float]) -> None:
    bench.note(f"{label}, p50: ms", engine.name, waits[len(waits) // 2] * 1000)
    bench.note(f"{label}, p99: ms", engine.name, waits[int(len(waits) * 0.99)] * 1000)


def _converters(*, schemas: bool = False) -> dict[str, str]:
    enable = "true" if schemas else "false"
    return {f"{side}.converter{option}": value for side in ("key", "value") for option, value in (("", JSON), (".schemas.enable", enable))}


def _jdbc(bench: Bench, target: str, topic: str) -> dict[str, str]:
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": topic, "tasks.max": "1",
        "connection.url": f"jdbc:postgresql://{bench.postgres.host}:{bench.postgres.port}/{target}",
        "connection.username": "postgres", "connection.password": "x", "insert.mode": "upsert", "primary.key.mode": "record_key",
        "delete.enabled": "true", "collection.name.format": "orders", "schema.evolution": "none",
    }  # fmt: skip


def _committed(bench: Bench, name: str, topic: str) -> Callable[[], int]:
    """The position of the sink `name`, as its group has it."""
    admin = AdminClient({"bootstrap.servers": bench.kafka.bootstrap, "log_level": 0})
    asked = ConsumerGroupTopicPartitions(f"connect-{name}", [TopicPartition(topic, 0)])

    def committed() -> int:
        try:
            answer = admin.list_consumer_group_offsets([asked])[asked.group_id].result(10)
        except KafkaException as error:  # the broker gets to know the group while its first member comes
            if error.args[0].code() not in (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR):
                raise
            return 0
        return max(0, answer.topic_partitions[0].offset)

    return committed


@contextlib.contextmanager
def _clickhouse_server(folder: Path) -> Iterator[tuple[ClickHouseProcess, Callable[[str], int]]]:
    """The engine behind HTTP in a process of its own, with the table; and a query's only number."""
    with ClickHouseProcess(folder) as server:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, compress=False)
        client.command(CLICKHOUSE_TABLE)
        yield server, lambda statement: int(client.query(statement).result_rows[0][0])
        client.close()


def _over_http(server: ClickHouseProcess, topic: str) -> dict[str, str]:
    return {
        "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": topic, "tasks.max": "1", "hostname": "127.0.0.1",
        "port": str(server.port), "topic2TableMap": f"{topic}=orders",
    }  # fmt: skip


def to_clickhouse(bench: Bench, engine: Pycdc, topic: Topic) -> None:
    bench.number += 1
    name = f"sink{bench.number}"
    with _clickhouse_server(bench.folder / name) as (server, look):
        config = _over_http(server, topic.topic) | topic.converters
        run(bench, engine, name, config, topic.rows, lambda: look("SELECT max(id) FROM orders"), "ClickHouse sink (over HTTP), without schemas")
        assert look("SELECT count() FROM orders FINAL") == topic.rows


def to_embedded(bench: Bench, engine: Pycdc, topic: Topic) -> None:
    """Embedded ClickHouse belongs to the sink's process while it runs: its progress is that of the group."""
    bench.number += 1
    name = f"sink{bench.number}"
    folder = bench.folder / name
    config = _clickhouse(folder, topic.topic) | topic.converters
    clickhouse(folder, CLICKHOUSE_TABLE)
    run(bench, engine, name, config, topic.rows, _committed(bench, name, topic.topic), "ClickHouse sink (embedded), without schemas")
    assert int(clickhouse(folder, "SELECT count() FROM orders FINAL")) == topic.rows


def to_starrocks(bench: Bench, engine: Pycdc, topic: Topic) -> None:
    """Against the stand-in, which counts rows and bytes and commits as fast as it can: what the sink itself is able to do."""
    bench.number += 1
    name = f"sink{bench.number}"
    with StarRocksProcess("--count-only") as server:
        server.sql("CREATE DATABASE shop")
        server.sql(STARROCKS_TABLE)
        config = {
            "connector.class": "com.starrocks.connector.kafka.StarRocksSinkConnector", "topics": topic.topic, "tasks.max": "1",
            "starrocks.http.url": server.http, "starrocks.query.port": str(server.query_port), "starrocks.database.name": "shop",
            "starrocks.username": "root", "starrocks.password": "", "starrocks.topic2table.map": f"{topic.topic}:orders",
        } | topic.converters  # fmt: skip
        run(bench, engine, name, config, topic.rows, _committed(bench, name, topic.topic), "StarRocks sink (stand-in that counts), without schemas")
        loaded = server.loaded("shop", "orders")
    assert loaded == topic.rows, loaded


def _clickhouse(folder: Path, topic: str) -> dict[str, str]:
    return {
        "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": topic, "tasks.max": "1",
        "clickhouse.dsn": f"chdb://{folder}", "topic2TableMap": f"{topic}=orders", "offset.flush.interval.ms": "200",
    }  # fmt: skip


def clickhouse(folder: Path, statement: str) -> str:
    """One statement on the embedded server, in a process of its own: the engine's memory is not the benchmark's."""
    code = "import sys, clickhouse_connect as c; print(c.get_client(dsn=sys.argv[1]).command(sys.argv[2]))"
    done = subprocess.run([sys.executable, "-c", code, f"chdb://{folder}", statement], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run(bench: Bench, engine: Engine, name: str, config: dict[str, str], rows: int, written: Callable[[], int], label: str) -> None:
    """Start the sink, watch it until all rows are there, note its figures under `label`, if there is one."""
    engine.create(name, config)
    before, _ = usage(engine.pid)
    end, first, at = time.perf_counter() + LIMIT, 0, 0.0
    while (count := written()) < rows:
        now = time.perf_counter()
        if count and not first:
            first, at = count, now
        if now > end or (why := engine.failed(name)):
            raise RuntimeError(f"{label}, {engine.name}: {count} of {rows} rows; {why if now <= end else 'too slow'}")
        time.sleep(0.1)
    last = time.perf_counter()
    cpu, peak = usage(engine.pid)
    engine.delete(name)
    if not label:
        return
    if first:  # else all came at once, and there is no rate
        bench.note(f"{label}: rows/s", engine.name, (rows - first) / (last - at))
    bench.note(f"{label}: CPU s per million", engine.name, (cpu - before) / rows * 1e6)
    bench.note(f"{label}: peak RSS MiB", engine.name, peak)
