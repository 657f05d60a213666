"""A database with a connection, and whoever polls it."""

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from polls_of_tables import Polls


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def another(postgres_db):
    """A second session, in whose transaction rows are late."""
    with psycopg.connect(postgres_db.dsn) as conn:
        yield conn


@pytest.fixture
def polls(postgres_db, names):
    return lambda **config: Polls(postgres_db, names, **config)
