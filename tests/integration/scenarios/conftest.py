"""A second database, for sinks to write to."""

import psycopg
import pytest
from psycopg import sql as q


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
