"""pytest plugin: real servers shared by all workers, and a name of its own for every test.

The first worker that takes the file lock starts PostgreSQL and a broker and writes their ports beside the lock;
the process that the user started stops them when all workers have ended. Tests share servers, never names: database, slot, publication, topics
and group come from the test's id, and nobody deletes what it does not own. A test that stops, kills or
reconfigures a server takes a private one, in the xdist group "private".

pytest loads this module wherever pycdc is installed, also beside tests that have nothing to do with it: it
imports nothing that comes with an extra before a fixture is asked for, and changes no test of others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from pycdc.servers.kafka import Kafka
    from pycdc.servers.mariadb import MariaDb
    from pycdc.servers.postgres import Postgres
    from pycdc.servers.registry import Registry


class _Server(Protocol):
    def start(self) -> None: ...
    def remove(self) -> None: ...


S = TypeVar("S", bound=_Server)

#: Set in the process that named the folder of the shared servers.
_OWNER = pytest.StashKey[bool]()


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


class MySqlDatabase(NamedTuple):
    """A database of one test on the shared MariaDB, dropped after it; `user` may do everything and has no password."""

    host: str
    port: int
    user: str
    dbname: str


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with private servers run one after another on one worker."""
    for item in items:
        if {"private_postgres", "private_kafka", "private_registry", "private_mariadb"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("private"))


#: Environment: where the shared servers of this run live. The process that the user started makes the name up,
#: its workers inherit it.
_STACK = "PYCDC_TEST_STACK"


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of the shared servers; nothing is made before a test asks for them."""
    if _STACK not in os.environ:
        # short, because a server may put a socket in it
        os.environ[_STACK] = str(Path(tempfile.gettempdir()) / f"pycdc-stack-{os.getpid()}-{secrets.token_hex(3)}")
        config.stash[_OWNER] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that named the folder stops what its workers started, also after a crashed worker."""
    if not config.stash.get(_OWNER, False):
        return
    folder = Path(os.environ.pop(_STACK))
    if not folder.exists():
        return
    from pycdc.servers.kafka import Kafka
    from pycdc.servers.mariadb import MariaDb
    from pycdc.servers.postgres import Postgres
    from pycdc.servers.registry import Registry

    MariaDb(folder / "mariadb").kill()
    Postgres(folder / "pg").stop("immediate")
    Kafka(folder / "kafka").kill()
    Registry(folder / "registry").stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Stack:
    """PostgreSQL and Kafka, started by the first worker that asks, stopped at the end of the whole run."""
    from filelock import FileLock

    from pycdc.servers.kafka import Kafka
    from pycdc.servers.postgres import Postgres

    folder = Path(os.environ[_STACK])
    folder.mkdir(mode=0o755, exist_ok=True)
    state = folder / "stack.json"
    with FileLock(folder / "lock"):
        if not state.exists():
            postgres, kafka = Postgres(folder / "pg"), Kafka(folder / "kafka")
            postgres.start()
            kafka.start()
            state.write_text(json.dumps({"postgres": postgres.port, "kafka": kafka.port}))
    ports = json.loads(state.read_text())
    return Stack("127.0.0.1", ports["postgres"], "postgres", f"127.0.0.1:{ports['kafka']}")


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
    import psycopg
    from psycopg import sql

    from pycdc.servers.process import wait_for

    admin = database._replace(dbname="postgres").dsn
    name = sql.Identifier(database.dbname)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    yield database
    with psycopg.connect(admin, autocommit=True) as conn:
        mine = [database.dbname]

        def slots_gone() -> bool:
            """Whoever streams is ended first: an active slot cannot be dropped, and it keeps its database."""
            conn.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = %s AND active", mine)
            free = "SELECT slot_name FROM pg_replication_slots WHERE database = %s AND NOT active"
            for (slot,) in conn.execute(free, mine).fetchall():
                with contextlib.suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                    conn.execute("SELECT pg_drop_replication_slot(%s)", [slot])
            return conn.execute("SELECT 1 FROM pg_replication_slots WHERE database = %s", mine).fetchone() is None

        wait_for(slots_gone, 20, f"a slot of the database {database.dbname} stays in use")
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


@pytest.fixture
def kafka(stack: Stack) -> str:
    """bootstrap.servers of the shared broker."""
    return stack.kafka


@pytest.fixture(scope="session")
def schema_registry() -> str:
    """`schema.registry.url` of the shared registry; its subjects are named after topics, and so are each test's own."""
    from filelock import FileLock

    from pycdc.servers.registry import Registry

    folder = Path(os.environ[_STACK])
    folder.mkdir(mode=0o755, exist_ok=True)
    state = folder / "registry-port"
    with FileLock(folder / "registry-lock"):
        if not state.exists():
            server = Registry(folder / "registry")
            server.start()
            state.write_text(str(server.port))
    return Registry(folder / "registry", port=int(state.read_text())).url


@pytest.fixture(scope="session")
def mariadb() -> int:
    """The port of the shared MariaDB, started by the first worker that asks. Where there is none the test fails, and says why."""
    from filelock import FileLock

    from pycdc.servers.mariadb import MariaDb

    folder = Path(os.environ[_STACK])
    folder.mkdir(mode=0o755, exist_ok=True)
    state = folder / "mariadb-port"
    with FileLock(folder / "mariadb-lock"):
        if not state.exists():
            server = MariaDb(folder / "mariadb")
            server.start()
            state.write_text(str(server.port))
    return int(state.read_text())


@pytest.fixture
def mysql_db(mariadb: int, names: Names) -> Iterator[MySqlDatabase]:
    """A database of the test's own."""
    import pymysql

    database = MySqlDatabase("127.0.0.1", mariadb, "root", names.base)
    with contextlib.closing(pymysql.connect(host=database.host, port=mariadb, user=database.user, autocommit=True)) as conn:
        conn.cursor().execute(f"CREATE DATABASE `{database.dbname}`")
    yield database
    with contextlib.closing(pymysql.connect(host=database.host, port=mariadb, user=database.user, autocommit=True)) as conn:
        cursor = conn.cursor()
        # an open transaction of the test's would lock its tables
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [database.dbname])
        for (thread,) in cursor.fetchall():
            with contextlib.suppress(pymysql.err.OperationalError):
                cursor.execute(f"KILL {thread}")
        cursor.execute(f"DROP DATABASE `{database.dbname}`")


@contextlib.contextmanager
def _started(make: Callable[[Path], S]) -> Iterator[S]:
    """A server of the test's own, in a folder that is gone behind it."""
    folder = Path(tempfile.mkdtemp(prefix="pycdc-private-"))
    folder.chmod(0o755)  # some run as another user
    server = make(folder / "server")
    server.start()
    yield server
    server.remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def private_mariadb() -> Iterator[MariaDb]:
    """A server that the test may stop, kill and reconfigure."""
    from pycdc.servers.mariadb import MariaDb

    with _started(MariaDb) as server:
        yield server


@pytest.fixture
def private_registry() -> Iterator[Registry]:
    """A registry that the test may stop and start again; what it held is gone then."""
    from pycdc.servers.registry import Registry

    with _started(Registry) as server:
        yield server


@pytest.fixture
def private_postgres() -> Iterator[Postgres]:
    """A server that the test may stop, kill and reconfigure."""
    from pycdc.servers.postgres import Postgres

    with _started(Postgres) as server:
        yield server


@pytest.fixture
def private_kafka() -> Iterator[Kafka]:
    """A broker that the test may stop and kill."""
    from pycdc.servers.kafka import Kafka

    with _started(Kafka) as server:
        yield server
