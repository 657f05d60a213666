"""`pycdc source` over polls of PostgreSQL, killed again and again while rows are committed out of order."""

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kills_of_polls import CONFIGS, killed_again_and_again


@pytest.mark.parametrize("mode", CONFIGS)
def test_every_committed_row_arrives(mode, sql, postgres_db, kafka, names, tmp_path):
    sql.execute("CREATE TABLE t (id serial PRIMARY KEY, x text, at timestamptz NOT NULL DEFAULT now()); CREATE INDEX ON t (at)")
    url = f"jdbc:postgresql://{postgres_db.host}:{postgres_db.port}/{postgres_db.dbname}"

    def ids():
        return {row[0] for row in sql.execute("SELECT id FROM t")}

    killed_again_and_again(
        mode, lambda: psycopg.connect(postgres_db.dsn), ids, kafka, names, tmp_path, **{"connection.url": url, "connection.user": postgres_db.user}
    )
