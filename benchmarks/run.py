#!/usr/bin/env python3
"""Debezium and pycdc side by side: the same PostgreSQL, the same broker, the same rows, one after the other.

    python benchmarks/run.py [--rows 1000000] [--rounds 2] [--only stream,snapshot,latency,...] [--big 5000000]

Writes benchmarks/results/DATE.md. The engines never run at the same time; every figure of one stands beside
the other's from the same run, because machines are noisy and only ratios mean something.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

sys.path.insert(0, str(Path(__file__).parent))
import connect
import sinks
from engines import JSON, Debezium, Engine, Pycdc, usage

from pycdc.servers.kafka import Kafka
from pycdc.servers.postgres import Postgres, binaries
from pycdc.servers.registry import Registry

TABLE = (
    "CREATE TABLE orders (id bigserial PRIMARY KEY, customer varchar(50), qty int, amount numeric(12,2), status text, "
    "note text, created timestamptz, updated timestamp, active bool, day date)"
)
ROWS = (
    "INSERT INTO orders(customer, qty, amount, status, note, created, updated, active, day) "
    "SELECT 'customer ' || (g % 1000), g % 100, (g % 100000) / 100.0, (ARRAY['NEW','PAID','SENT','DONE'])[g % 4 + 1], "
    "'some note about the order number ' || g, now() + g * interval '1 ms', now()::timestamp + g * interval '1 ms', "
    "g % 2 = 0, date '2024-01-01' + (g % 300)::int FROM generate_series(1, {rows}) g"
)


#: The transform that most sinks ask for.
UNWRAP = {
    "transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.unwrap.delete.tombstone.handling.mode": "rewrite", "transforms.unwrap.add.fields": "op,source.ts_ms",
}  # fmt: skip


AVRO = "io.confluent.connect.avro.AvroConverter"


class Bench:
    """One PostgreSQL, one broker and, where it is asked for, one schema registry for everything."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        self.rows = rows
        self.postgres = Postgres(folder / "pg", settings=connect.SETTINGS)
        self.kafka = Kafka(folder / "kafka", java_options=("-Xmx1g",))
        self.registry = Registry(folder / "registry")
        self.number = 0
        self.results: dict[str, dict[str, list[float]]] = {}

    def note(self, what: str, engine: str, value: float) -> None:
        self.results.setdefault(what, {}).setdefault(engine, []).append(value)
        print(f"  {engine:16} {what:44} {value:12,.1f}", flush=True)

    def sql(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.postgres.dsn(database), autocommit=True)

    def fresh(self, partitions: int, rows: int = 0, **topic_configs: str) -> tuple[str, str]:
        """A new database with the table (and rows), a new topic; their names."""
        self.number += 1
        name = f"bench{self.number}"
        with self.sql() as sql:
            sql.execute(f"CREATE DATABASE {name}")
        with self.sql(name) as sql:
            sql.execute(TABLE)
            if rows:
                sql.execute(ROWS.format(rows=rows))
                sql.execute("VACUUM ANALYZE orders")
        topic = f"{name}.public.orders"
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        admin.create_topics([NewTopic(topic, partitions, 1, config=topic_configs)])[topic].result()
        return name, topic

    def config(self, name: str, **more: str) -> dict[str, str]:
        return {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput",
            "database.hostname": self.postgres.host, "database.port": str(self.postgres.port), "database.user": "postgres",
            "database.password": "x", "database.dbname": name, "topic.prefix": name, "slot.name": name,
            "key.converter": JSON, "value.converter": JSON, "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false", **more,
        }  # fmt: skip

    def drop(self, *names: str) -> None:
        with self.sql() as sql:
            for name in names:
                for _ in range(200):
                    if not sql.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active", [name]).fetchone():
                        break
                    time.sleep(0.1)
                sql.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [name])
                sql.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        admin.delete_topics([f"{name}.public.orders" for name in names])
        time.sleep(0.5)

    def streaming(self, name: str) -> None:
        """Wait until the engine streams from the slot."""
        with self.sql() as sql:
            for _ in range(1200):
                if sql.execute(
                    "SELECT 1 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid "
                    "WHERE slot_name = %s AND state = 'streaming'", [name],
                ).fetchone():  # fmt: skip
                    return
                time.sleep(0.05)
        raise TimeoutError(f"{name} does not stream")

    def watermarks(self, consumer: Consumer, topic: str, partitions: int) -> int:
        try:
            return sum(consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(partitions))
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:  # of a topic that has just been made
                raise
            return 0

    def until(self, topic: str, partitions: int, count: int, limit: float = 600) -> tuple[float, float]:
        """Wait for `count` records; when the first and the last one were seen (perf_counter)."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "bench"})
        first, end = 0.0, time.perf_counter() + limit
        while time.perf_counter() < end:
            seen = self.watermarks(consumer, topic, partitions)
            now = time.perf_counter()
            if seen and not first:
                first = now
            if seen >= count:
                consumer.close()
                return first, now
            time.sleep(0.002 if not first else 0.02)
        raise TimeoutError(f"{topic}: {seen} of {count}")

    # ---- measurements

    def stream(self, engine: Engine, partitions: int, rows: int | None = None, label: str = "", **options: str) -> None:
        """One transaction of `rows` rows, from its commit to the last record. `options` go into the connector's file."""
        count = rows or self.rows
        name, topic = self.fresh(partitions)
        engine.create(name, self.config(name, **{"snapshot.mode": "no_data"}, **options))
        self.streaming(name)
        with self.sql(name) as sql:  # warm: the JVM's compiler has seen the code, the relation is known
            sql.execute(ROWS.format(rows=min(200_000, count)))
        self.until(topic, partitions, min(200_000, count))
        time.sleep(1)
        before, _ = usage(engine.pid)
        with self.sql(name) as sql:
            sql.execute(ROWS.format(rows=count))
        committed = time.perf_counter()
        start = min(200_000, count)
        _, last = self.until(topic, partitions, start + count)
        cpu, peak = usage(engine.pid)
        label = label or f"{partitions} partition{'s' if partitions > 1 else ''}"
        self.note(f"streaming, {label}: rows/s", engine.name, count / (last - committed))
        self.note(f"streaming, {label}: CPU s per million", engine.name, (cpu - before) / count * 1e6)
        self.note(f"streaming, {label}: peak RSS MiB", engine.name, peak)
        engine.delete(name)
        self.drop(name)

    def avro(self) -> dict[str, str]:
        """Converters of both sides, for a connector's file."""
        return {f"{side}.converter{key}": value for side in ("key", "value")
                for key, value in (("", AVRO), (".schema.registry.url", self.registry.url))}  # fmt: skip

    @staticmethod
    def insert(sql: psycopg.Connection, rows: int) -> None:
        """One transaction of so many rows."""
        sql.execute(ROWS.format(rows=rows))

    def first_event(self, engine: Engine) -> None:
        """From the commit of one big transaction to its first record."""
        name, topic = self.fresh(1)
        engine.create(name, self.config(name, **{"snapshot.mode": "no_data"}))
        self.streaming(name)
        with self.sql(name) as sql:
            sql.execute(ROWS.format(rows=1000))
            self.until(topic, 1, 1000)
            time.sleep(1)
            consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "bench"})
            sql.execute(ROWS.format(rows=self.rows))
            committed = time.perf_counter()
            while self.watermarks(consumer, topic, 1) <= 1000:
                time.sleep(0.002)
            self.note("commit to first event of a large transaction: s", engine.name, time.perf_counter() - committed)
            consumer.close()
        self.until(topic, 1, self.rows + 1000)
        engine.delete(name)
        self.drop(name)

    def snapshot(self, engine: Engine) -> None:
        """Rows that are there at the start."""
        name, topic = self.fresh(1, self.rows)
        engine.create(name, self.config(name))
        first, last = self.until(topic, 1, self.rows)
        self.note("snapshot: rows/s", engine.name, self.rows / (last - first))
        self.note("snapshot: peak RSS MiB", engine.name, usage(engine.pid)[1])
        engine.delete(name)
        self.drop(name)

    def polled(self, engine: Pycdc, label: str = "", **options: str) -> None:
        """The JDBC source: rows that become visible at once, from their commit to the last one in the topic."""
        name, _ = self.fresh(1)
        topic = f"{name}_orders"
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
        config = self.config(name, **options)
        engine.create(name, {
            "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "mode": "incrementing", "topic.prefix": f"{name}_",
            "connection.url": f"jdbc:postgresql://{self.postgres.host}:{self.postgres.port}/{name}", "connection.user": "postgres",
            "poll.interval.ms": "200", **{k: v for k, v in config.items() if ".converter" in k},
        })  # fmt: skip
        with self.sql(name) as sql:
            sql.execute(ROWS.format(rows=self.rows))
        began = time.perf_counter()
        _, last = self.until(topic, 1, self.rows)
        cpu, rss = usage(engine.pid)
        self.note(f"JDBC source{label}: rows/s", engine.name, self.rows / (last - began))
        self.note(f"JDBC source{label}: CPU s per million", engine.name, cpu * 1e6 / self.rows)
        self.note(f"JDBC source{label}: peak RSS MiB", engine.name, rss)
        engine.delete(name)
        admin.delete_topics([topic])
        self.drop(name)

    def latency(self, engine: Engine, count: int = 200) -> None:
        """One row every 50 ms; from its commit to the consumer that waits for it."""
        name, topic = self.fresh(1)
        engine.create(name, self.config(name, **{"snapshot.mode": "no_data"}))
        self.streaming(name)
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "bench", "fetch.wait.max.ms": 5, "socket.nagle.disable": True,
                             "auto.offset.reset": "earliest"})  # fmt: skip
        consumer.assign([TopicPartition(topic, 0, 0)])
        seen: list[float] = []
        stop = threading.Event()

        def consume() -> None:
            while not stop.is_set():
                m = consumer.poll(0.1)  # returns with the first message; consume() would wait for more
                if m is not None and not m.error():
                    seen.append(time.perf_counter())

        reader = threading.Thread(target=consume)
        reader.start()
        sent: list[float] = []
        with self.sql(name) as sql:
            for _ in range(count + 20):
                sql.execute(ROWS.format(rows=1))
                sent.append(time.perf_counter())
                time.sleep(0.05)
        end = time.monotonic() + 30
        while len(seen) < len(sent) and time.monotonic() < end:
            time.sleep(0.05)
        stop.set()
        reader.join()
        consumer.close()
        waits = sorted(b - a for a, b in list(zip(sent, seen, strict=True))[20:])  # the first ones warm up
        self.note("latency p50: ms", engine.name, statistics.median(waits) * 1000)
        self.note("latency p99: ms", engine.name, waits[int(len(waits) * 0.99)] * 1000)
        engine.delete(name)
        self.drop(name)

    def start_up(self, engine: Pycdc) -> None:
        """From starting the process to the first streamed event of a row that is waiting in the slot."""
        name, topic = self.fresh(1)
        config = self.config(name, **{"snapshot.mode": "no_data"})
        engine.create(name, config)
        self.streaming(name)
        with self.sql(name) as sql:
            sql.execute(ROWS.format(rows=1))
            self.until(topic, 1, 1)
            time.sleep(1.5)
            engine.delete(name)
            sql.execute(ROWS.format(rows=1))
        engine.create(name, config)
        _, last = self.until(topic, 1, 2)
        self.note("process start to first streamed event: s", engine.name, last - engine.started)
        engine.delete(name)
        self.drop(name)

    def ceiling(self) -> None:
        """pg_recvlogical to /dev/null: what the server itself can decode and send."""
        name, _ = self.fresh(1)
        tool = shutil.which("pg_recvlogical") or str(binaries() / "pg_recvlogical")
        with self.sql(name) as sql:
            sql.execute("CREATE PUBLICATION p FOR ALL TABLES")
            sql.execute(f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
            sql.execute(ROWS.format(rows=self.rows))
            row = sql.execute("SELECT pg_current_wal_lsn()").fetchone()
        start = time.perf_counter()
        subprocess.run(
            [tool, "-d", self.postgres.dsn(name), "--slot", name, "--start", "-f", "/dev/null", "-o", "proto_version=1",
             "-o", "publication_names=p", "--endpos", str(row[0] if row else "")],
            check=True,
        )  # fmt: skip
        self.note("ceiling: rows/s", "pg_recvlogical", self.rows / (time.perf_counter() - start))
        self.drop(name)


def table(bench: Bench, about: str) -> str:
    """The results as Markdown."""
    engines = ["Debezium 3.6.3", "pycdc", "pg_recvlogical"]
    lines = [
        f"# Benchmark of {datetime.datetime.now(datetime.UTC):%Y-%m-%d}", "",
        f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}; PostgreSQL, one Kafka 4.1.1 broker, the engine and the "
        f"measuring consumer share the machine. {about}", "",
        "| what | " + " | ".join(engines) + " | pycdc / Debezium |", "|---|" + "---:|" * (len(engines) + 1),
    ]  # fmt: skip
    for what, by in bench.results.items():
        middle = {e: statistics.median(v) for e, v in by.items()}
        cells = [f"{middle[e]:,.2f}" if e in middle and middle[e] < 10 else f"{middle[e]:,.0f}" if e in middle else "" for e in engines]
        ratio = f"{middle['pycdc'] / middle['Debezium 3.6.3']:.2f}" if "pycdc" in middle and middle.get("Debezium 3.6.3") else ""
        lines.append(f"| {what} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines) + "\n"


def write(folder: Path, kind: str, text: str) -> None:
    """One file of results for each day and kind."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}{kind}.md").write_text(text)
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--big", type=int, default=5_000_000, help="rows of the largest transaction, pycdc only")
    parser.add_argument("--only", default="stream,six,unwrap,avro,first,snapshot,latency,start,ceiling,big,jdbc,sinks,connect")
    parser.add_argument("--idle", type=int, default=connect.IDLE, help="connectors of the idle worker")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    a = parser.parse_args()
    wanted = set(a.only.split(","))
    folder = Path(tempfile.mkdtemp(prefix="pycdc-bench-"))
    folder.chmod(0o755)
    bench = Bench(folder, a.rows)
    try:
        bench.postgres.start()
        bench.kafka.start()
        if "avro" in wanted:
            bench.registry.start()
        engines: list[Engine] = [Debezium(folder / "debezium", bench.kafka.bootstrap), Pycdc(folder / "pycdc", bench.kafka.bootstrap)]
        for _ in range(a.rounds if wanted & {"stream", "six", "unwrap", "avro", "first", "snapshot", "latency"} else 0):
            for engine in engines:
                engine.up()
                if "stream" in wanted:
                    bench.stream(engine, 1)
                if "six" in wanted:
                    bench.stream(engine, 6)
                if "unwrap" in wanted:
                    bench.stream(engine, 1, label="unwrapped", **UNWRAP)
                if "avro" in wanted:
                    bench.stream(engine, 1, label="Avro", **bench.avro())
                if "first" in wanted:
                    bench.first_event(engine)
                if "snapshot" in wanted:
                    bench.snapshot(engine)
                if "latency" in wanted:
                    bench.latency(engine)
                engine.down()
        pycdc = engines[1]
        assert isinstance(pycdc, Pycdc)
        if "start" in wanted:
            bench.start_up(pycdc)
        if "big" in wanted:
            bench.stream(pycdc, 1, a.big, f"one transaction of {a.big:,}")
        if "ceiling" in wanted:
            bench.ceiling()
        if "jdbc" in wanted:
            bench.polled(pycdc)
            bench.polled(pycdc, ", with schemas", **{"value.converter.schemas.enable": "true"})
        if "avro" in wanted:
            sinks.beside(bench, engines, TABLE, sinks.Topic(bench, pycdc, max(a.rows // 5, 1), "Avro", bench.avro()))
        if "sinks" in wanted:
            sinks.measure(bench, engines, TABLE)
        if bench.results:
            write(a.out, "", table(bench, f"{a.rows:,} rows of 10 columns per round, JSON without schemas where no other form is named, medians of the rounds; made by `make bench`."))
        if "connect" in wanted:
            bench.results = {}
            connect.measure(bench, max(a.rounds, 1), a.idle)
            write(a.out, "-connect", table(bench, connect.ABOUT))
    finally:
        bench.registry.remove()
        bench.kafka.remove()
        bench.postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
