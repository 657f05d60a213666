"""The plugin's own promises: workers share one stack, tests share no name, the run leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from pycdc.servers.process import alive

ROOT = Path(__file__).parents[3]

SUITE = """
import pathlib, pytest, psycopg

@pytest.mark.parametrize("n", range(4))
def test_one(n, postgres_db, kafka, names, worker_id):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE mine(id int)")  # fails where two tests share a database
        sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
        data = sql.execute("SHOW data_directory").fetchone()[0]
    pathlib.Path(f"told-{worker_id}-{n}").write_text(f"{data} {kafka} {names.base}")
"""


def test_two_workers_share_one_stack_and_leave_nothing_behind(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "test_suite.py").write_text(SUITE)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYCDC_TEST"))} | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), "test_suite.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=env,
    )  # fmt: skip
    assert "4 passed" in result.stdout, result.stdout + result.stderr
    told = {f.name: f.read_text().split() for f in tmp_path.glob("told-*")}
    assert {name.split("-")[1] for name in told} == {"gw0", "gw1"}
    (data,) = {data for data, _, _ in told.values()}
    assert len({bootstrap for _, bootstrap, _ in told.values()}) == 1
    assert len({base for _, _, base in told.values()}) == 4
    assert not Path(data).parents[1].exists()


def test_a_database_goes_with_its_slots_even_while_somebody_streams(stack, names):
    from pycdc.testing.plugin import Database, _database

    database = Database(stack.pg_host, stack.pg_port, stack.pg_user, names.base)
    life = _database(database)
    next(life)
    with psycopg.connect(database.dsn, autocommit=True) as sql:
        sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
        sql.execute(f"CREATE PUBLICATION {names.publication} FOR ALL TABLES")
    from pycdc.servers.postgres import binaries

    reader = subprocess.Popen(
        [binaries() / "pg_recvlogical", "-d", database.dsn, "--slot", names.slot, "--start", "-f", os.devnull,
         "-o", "proto_version=1", "-o", f"publication_names={names.publication}"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert alive(reader.pid)
        assert list(life) == []  # the teardown
        with psycopg.connect(database._replace(dbname="postgres").dsn) as sql:
            assert sql.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database.dbname]).fetchone() is None
            assert sql.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [names.slot]).fetchone() is None
    finally:
        reader.kill()
        reader.wait()
