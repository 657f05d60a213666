"""PostgreSQL -> Kafka -> PostgreSQL under a writer: the copy equals its source through kills, outages and ALTER TABLE."""

import sys
import time
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from processes import Sink, Source
from writing import CONNECTOR, change


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
            change(conn, "ALTER TABLE users ADD COLUMN score int DEFAULT 7, ALTER COLUMN name TYPE varchar(40)")
            for process in (source, sink):
                time.sleep(1)
                process.kill()
                process.start()
            change(conn, "ALTER TABLE orders ADD COLUMN tags text[], ALTER COLUMN amount TYPE numeric(12,4)")
            change(conn, "UPDATE users SET score = id, name = name || ' and a longer name' WHERE id <= 20")
            change(conn, "UPDATE orders SET tags = ARRAY['a', NULL, 'b,c'] WHERE n = 1")
        time.sleep(2)
        writer.ended.set()
        writer.join()
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            change(conn, "UPDATE users SET score = 8 WHERE score IS NULL OR score = 7")  # ADD COLUMN ... DEFAULT is no change of a row
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
