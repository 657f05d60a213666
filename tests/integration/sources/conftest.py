"""A database with a connection, and a reader of its changes."""

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reader import Reader


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def reader(postgres_db, names):
    return lambda **config: Reader(postgres_db, names, **config)
