"""pytest plugin: real servers shared by all workers, and a name of its own for every test.

The first worker that takes the file lock starts PostgreSQL and a broker and writes their addresses beside the
lock; the last one to leave stops them. Tests share servers, never names: database, slot, publication, topics
and group come from the test's id, and nobody deletes what it does not own. A test that stops, kills or
reconfigures a server takes a private one, in the xdist group "private". Coroutine tests run on uvloop.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from filelock import FileLock
from psycopg import sql

from pycdc.servers.kafka import Kafka
from pycdc.servers.postgres import Postgres

#: Limit of one coroutine test, seconds.
_LIMIT = 100


class Stack(NamedTuple):
    """Addresses of the shared servers."""

    pg_host: str
    pg_port: int
    pg_user: str
    kafka: str


class Database(NamedTuple):
    """A database of one test, dropped after it with its slots."""

    host: str
    port: int
    user: str
    dbname: str

    @property
    def dsn(self) -> str:
        return f"host={self.host} port={self.port} user={self.user} dbname={self.dbname}"


class Names(NamedTuple):
    """What a test may call its own."""

    base: str

    @property
    def slot(self) -> str:
        return f"{self.base}_slot"

    @property
    def publication(self) -> str:
        return f"{self.base}_pub"

    @property
    def prefix(self) -> str:
        return self.base

    @property
    def group(self) -> str:
        return f"{self.base}_group"

    @property
    def offsets(self) -> str:
        return f"{self.base}_offsets"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine tests."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    import uvloop

    wanted = {n: pyfuncitem.funcargs[n] for n in inspect.signature(pyfuncitem.obj).parameters}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**wanted), _LIMIT))
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with private servers run one after another on one worker."""
    for item in items:
        if {"private_postgres", "private_kafka"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("private"))


def _shared_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this run; its path is short and others may walk into it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = Path(tempfile.gettempdir()) / f"pycdc-stack-{hashlib.sha256(run.encode()).hexdigest()[:12]}"
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL and Kafka, started by the first worker that asks, stopped by the last."""
    folder = _shared_folder(request, tmp_path_factory)
    lock, state = FileLock(folder / "lock"), folder / "stack.json"
    with lock:
        known = json.loads(state.read_text()) if state.exists() else {"users": 0}
        if not known["users"]:
            postgres, kafka = Postgres(folder / "pg"), Kafka(folder / "kafka")
            postgres.start()
            kafka.start()
            known |= {"pg_port": postgres.port, "kafka_port": kafka.port}
        known["users"] += 1
        state.write_text(json.dumps(known))
    yield Stack("127.0.0.1", known["pg_port"], "postgres", f"127.0.0.1:{known['kafka_port']}")
    with lock:
        known = json.loads(state.read_text())
        known["users"] -= 1
        state.write_text(json.dumps(known))
        if not known["users"]:
            Postgres(folder / "pg", port=known["pg_port"]).stop("immediate")
            Kafka(folder / "kafka", port=known["kafka_port"]).kill()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Names:
    """Names that no other test has: the test's own, and a digest of its whole id."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    short = re.sub(r"\W+", "_", request.node.name.lower()).strip("_").removeprefix("test_")[:36]
    return Names(f"{short}_{digest}")


@pytest.fixture
def postgres_db(stack: Stack, names: Names) -> Iterator[Database]:
    """A database of the test's own on the shared server."""
    database = Database(stack.pg_host, stack.pg_port, stack.pg_user, names.base)
    yield from _database(database)


def _database(database: Database) -> Iterator[Database]:
    admin = database._replace(dbname="postgres").dsn
    name = sql.Identifier(database.dbname)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    yield database
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", [database.dbname]
        )
        for _ in range(100):
            left = conn.execute(
                "SELECT slot_name, active FROM pg_replication_slots WHERE database = %s", [database.dbname]
            ).fetchall()
            if not left:
                break
            for slot, active in left:
                if not active:
                    conn.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


@pytest.fixture
def kafka(stack: Stack) -> str:
    """bootstrap.servers of the shared broker."""
    return stack.kafka


@pytest.fixture
def private_postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A server that the test may stop, kill and reconfigure."""
    folder = Path(tempfile.mkdtemp(prefix="pycdc-private-"))
    folder.chmod(0o755)
    server = Postgres(folder / "pg")
    server.start()
    yield server
    server.remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def private_kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A broker that the test may stop and kill."""
    folder = Path(tempfile.mkdtemp(prefix="pycdc-private-"))
    server = Kafka(folder / "kafka")
    server.start()
    yield server
    server.remove()
    shutil.rmtree(folder, ignore_errors=True)
