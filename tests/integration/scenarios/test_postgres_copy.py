"""PostgreSQL -> Kafka -> PostgreSQL under a writer: the copy equals its source through kills, outages and ALTER TABLE."""

import random
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from processes import Sink, Source

CONNECTOR = {
    "name": "source",
    "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.user": "postgres", "database.password": "postgres",
        "plugin.name": "pgoutput", "table.include.list": "public.users,public.orders", "column.propagate.source.type": ".*",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    },
}  # fmt: skip
SCHEMA = (
    "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE users (id serial PRIMARY KEY, name varchar(20), at timestamptz DEFAULT now(), m mood); "
    "CREATE TABLE orders (user_id int, n int, amount numeric(8,2), note text, PRIMARY KEY (user_id, n))"
)


class Writer(threading.Thread):
    """Inserts, updates, deletes, keys that change, in transactions of which some are undone."""

    def __init__(self, dsn):
        super().__init__()
        self.dsn, self.ended, self.chance = dsn, threading.Event(), random.Random(5)

    def run(self):
        with psycopg.connect(self.dsn) as conn:
            while not self.ended.is_set():
                for _ in range(self.chance.randint(1, 5)):
                    self.change(conn)
                conn.rollback() if self.chance.random() < 0.1 else conn.commit()
                time.sleep(0.002)

    def change(self, conn):
        i, n = self.chance.randrange(1, 60), self.chance.randrange(1, 6)
        match self.chance.randrange(6):
            case 0:
                conn.execute("INSERT INTO users (name, m) VALUES (%s, 'ok')", [f"user {i}"])
            case 1:
                conn.execute("UPDATE users SET name = name || '.', m = 'sad' WHERE id = %s AND length(name) < 20", [i])
            case 2:
                conn.execute("INSERT INTO orders VALUES (%s, %s, 1.5, repeat('x', 3000)) ON CONFLICT (user_id, n) DO UPDATE SET amount = orders.amount + 1", [i, n])
            case 3:
                conn.execute("UPDATE orders SET user_id = user_id + 100 WHERE user_id = %s AND n = %s AND NOT EXISTS (SELECT FROM orders WHERE user_id = %s AND n = %s)", [i, n, i + 100, n])
            case 4:
                conn.execute("DELETE FROM orders WHERE user_id IN (%s, %s)", [i, i + 100])
            case _:
                conn.execute("UPDATE orders SET amount = -amount WHERE n = %s", [n])



@pytest.fixture
def writer(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
        conn.execute("INSERT INTO users (name) SELECT 'old ' || g FROM generate_series(1, 50) g; INSERT INTO orders SELECT g, 1, g, 'old' FROM generate_series(1, 50) g")
    made = Writer(postgres_db.dsn)
    yield made
    made.ended.set()
    made.join()


@pytest.mark.timeout(180)
def test_the_copy_equals_its_source(postgres_db, target, kafka, names, tmp_path, writer):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        conn.execute("CREATE TYPE mood AS ENUM ('ok', 'sad')")
    sink_config = {
        "name": f"{names.base}-sink", "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics.regex": rf"{names.prefix}\.public\..*",
        "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}", "connection.username": target.user,
        "insert.mode": "upsert", "primary.key.mode": "record_key", "delete.enabled": "true", "schema.evolution": "basic",
        "collection.name.format": "${source.table}", "consumer.override.group.instance.id": "one", "consumer.override.session.timeout.ms": "6000",
    }  # fmt: skip
    source, sink = Source(CONNECTOR, postgres_db, kafka, names, tmp_path), Sink(sink_config, kafka, tmp_path)
    source.start()
    sink.start()
    try:
        writer.start()
        time.sleep(3)
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            # rows of both shapes are under way when the table changes
            conn.execute("ALTER TABLE users ADD COLUMN score int DEFAULT 7, ALTER COLUMN name TYPE varchar(40)")
            for process in (source, sink):
                time.sleep(1)
                process.kill()
                process.start()
            conn.execute("ALTER TABLE orders ADD COLUMN tags text[], ALTER COLUMN amount TYPE numeric(12,4)")
            conn.execute("UPDATE users SET score = id, name = name || ' and a longer name' WHERE id <= 20")
            conn.execute("UPDATE orders SET tags = ARRAY['a', NULL, 'b,c'] WHERE n = 1")
        time.sleep(2)
        writer.ended.set()
        writer.join()
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            conn.execute("UPDATE users SET score = 8 WHERE score IS NULL OR score = 7")  # ADD COLUMN ... DEFAULT is no change of a row
        end = time.monotonic() + 60
        while (copy := shape(target.dsn)) != (due := shape(postgres_db.dsn)) and time.monotonic() < end:
            for process in (source, sink):
                assert process.process.poll() is None, process.log.read_text()[-3000:]
            time.sleep(0.3)
        assert copy == due, sink.log.read_text()[-3000:]
    finally:
        source.stop()
        sink.stop()


def shape(dsn):
    """Rows by column name, and types that have to follow."""
    with psycopg.connect(dsn) as conn:
        rows = {}
        for table in ("users", "orders"):
            if conn.execute("SELECT to_regclass(%s)", [table]).fetchone()[0] is None:
                return None
            rows[table] = sorted(r[0] for r in conn.execute(f"SELECT to_jsonb(t)::text FROM {table} AS t").fetchall())
        types = conn.execute(
            "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
            "AND attrelid IN ('users'::regclass, 'orders'::regclass) ORDER BY 1, 2"
        ).fetchall()
        return rows, types
