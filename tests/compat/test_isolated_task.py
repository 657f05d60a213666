"""Tasks in processes of their own: what blocks or dies there stays there, and nothing outlives the worker."""

import os
import signal
import time
from pathlib import Path

import psycopg
import pytest
from rest_workers import OurWorker, properties

from pycdc.servers.connect import Connect

pytestmark = [pytest.mark.xdist_group("connect-rest"), pytest.mark.timeout(120)]


def wait(enough, what, limit=40):
    end = time.monotonic() + limit
    while not (found := enough()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


@pytest.fixture
def worker(stack, names, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(Path(__file__).parent / "rest"), os.environ.get("PYTHONPATH")))))
    worker = OurWorker(tmp_path / "worker", properties(stack.kafka, names.base, {"task.restart.backoff.ms": "200"}))
    worker.start()
    yield worker
    worker.end(signal.SIGTERM)


def call(worker, method, path, body=None):
    return Connect.call(worker, method, path, body)


def children(worker):
    """PIDs of the processes that the worker has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = path.parent.name, path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(rest[1]) == worker.pid and rest[0] != "Z":
            found.append(int(pid))
    return found


def source(stack, postgres_db, names, **more):
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "topic.prefix": names.base,
        "database.hostname": stack.pg_host, "database.port": str(stack.pg_port), "database.user": stack.pg_user, "database.password": "x",
        "database.dbname": postgres_db.dbname, "slot.name": names.slot, "publication.name": names.publication,
        "publication.autocreate.mode": "filtered", "table.include.list": "public.t", **more,
    }  # fmt: skip


def state(worker, name):
    tasks = call(worker, "GET", "/connectors?expand=status")[name].get("status", {"tasks": []})["tasks"]
    return tasks[0]["state"] if tasks else None


def topic_seen(worker, name, names):
    return call(worker, "GET", f"/connectors/{name}/topics")[name]["topics"] == [f"{names.base}.public.t"]


def test_a_process_that_dies_is_a_failed_task_and_comes_again(worker, stack, postgres_db, names):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY)")
        call(worker, "POST", "/connectors", {"name": "alone", "config": source(stack, postgres_db, names, isolation="process")})
        wait(lambda: state(worker, "alone") == "RUNNING", "it runs")
        (child,) = children(worker)
        sql.execute("INSERT INTO t VALUES (1)")
        wait(lambda: topic_seen(worker, "alone", names), "the worker hears what it does")
        os.kill(child, signal.SIGKILL)
        again = wait(lambda: [c for c in children(worker) if c != child], "it is started again")
        wait(lambda: state(worker, "alone") == "RUNNING", "it runs again")
        call(worker, "PUT", "/connectors/alone/pause")
        wait(lambda: not children(worker), "a paused task has no process")
        call(worker, "PUT", "/connectors/alone/resume")
        wait(lambda: children(worker) not in ([], again), "it goes on in another one")
        wait(lambda: state(worker, "alone") == "RUNNING", "it runs once more")


def test_one_that_blocks_holds_up_nobody(worker, stack, postgres_db, names):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY)")
    config = {"connector.class": "stubborn_source:StubbornSource", "isolation": "process"}
    call(worker, "POST", "/connectors", {"name": "stubborn", "config": config})
    call(worker, "POST", "/connectors", {"name": "well", "config": source(stack, postgres_db, names)})
    wait(lambda: state(worker, "well") == "RUNNING" and children(worker), "both are started")
    began = time.monotonic()
    call(worker, "DELETE", "/connectors/stubborn")
    wait(lambda: not children(worker), "the stubborn one is killed in the end")
    assert time.monotonic() - began < 30
    assert state(worker, "well") == "RUNNING"


def test_no_process_outlives_its_worker(worker, stack, postgres_db, names):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY)")
    call(worker, "POST", "/connectors", {"name": "alone", "config": source(stack, postgres_db, names, isolation="process")})
    wait(lambda: state(worker, "alone") == "RUNNING", "it runs")
    (child,) = children(worker)
    worker.end(signal.SIGKILL)
    wait(lambda: not Path(f"/proc/{child}").exists(), "its task's process ends by itself")
