"""A second database, for sinks to write to; a writer over the tables of `writing`."""

import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql as q

sys.path.insert(0, str(Path(__file__).parent))
from writing import SCHEMA, Writer


@pytest.fixture
def target(postgres_db):
    """A second database beside the test's own."""
    name = f"{postgres_db.dbname}_t"
    admin = postgres_db._replace(dbname="postgres").dsn
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(q.SQL("CREATE DATABASE {}").format(q.Identifier(name)))
    yield postgres_db._replace(dbname=name)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(q.SQL("DROP DATABASE {} WITH (FORCE)").format(q.Identifier(name)))


@pytest.fixture
def writer(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
        conn.execute("INSERT INTO users (name) SELECT 'old ' || g FROM generate_series(1, 50) g; INSERT INTO orders SELECT g, 1, g, 'old' FROM generate_series(1, 50) g")
    made = Writer(postgres_db.dsn)
    yield made
    made.ended.set()
    made.join()
