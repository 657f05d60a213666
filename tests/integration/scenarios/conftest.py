"""A writer over the tables of `writing`."""

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from writing import SCHEMA, Writer


@pytest.fixture
def writer(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
        conn.execute("INSERT INTO users (name) SELECT 'old ' || g FROM generate_series(1, 50) g; INSERT INTO orders SELECT g, 1, g, 'old' FROM generate_series(1, 50) g")
    made = Writer(postgres_db.dsn)
    yield made
    made.ended.set()
    made.join()
