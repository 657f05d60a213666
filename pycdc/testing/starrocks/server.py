"""StarRocks: the fake as a running server, on a thread of its own, for tests and benchmarks in any process.

It listens on three ports as a cluster does: the FE's HTTP port, a BE's HTTP port, the FE's query port. State is in
memory and gone with it. `fault`, `sql` and `rows` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Self, TypeVar

from pycdc.testing.starrocks.backend import Backend
from pycdc.testing.starrocks.cluster import Cluster, Settings
from pycdc.testing.starrocks.control import Control
from pycdc.testing.starrocks.faults import Fault, Kind
from pycdc.testing.starrocks.frontend import Frontend
from pycdc.testing.starrocks.http import serve
from pycdc.testing.starrocks.mysql import MysqlServer
from pycdc.testing.starrocks.sql import Session, Sql

T = TypeVar("T")

#: Longest head of a request, bytes: a columns header names every column of a wide table.
_HEAD = 1 << 20


class Ports:
    """The three servers on the running loop."""

    def __init__(self, cluster: Cluster, sql: Sql) -> None:
        self._cluster, self._sql = cluster, sql
        self._servers: list[asyncio.Server] = []
        self._dead = socket.socket()
        self.fe_http = self.be_http = self.fe_mysql = 0

    async def open(self) -> None:
        cluster, s = self._cluster, self._cluster.settings
        frontend, backend = Frontend(cluster, Control(cluster, self._sql)), Backend(cluster)
        mysql = MysqlServer(cluster, self._sql)
        self._servers = [
            await asyncio.start_server(partial(serve, frontend.handle, is_fe=True), s.host, s.fe_port, limit=_HEAD),
            await asyncio.start_server(partial(serve, backend.handle, is_fe=False), s.host, s.be_port, limit=_HEAD),
            await asyncio.start_server(mysql.serve, s.host, s.mysql_port),
        ]
        self.fe_http, self.be_http, self.fe_mysql = (server.sockets[0].getsockname()[1] for server in self._servers)
        self._dead.bind((s.host, 0))  # bound, so that nobody else takes it, and never listening
        cluster.be_port, cluster.dead_port = self.be_http, self._dead.getsockname()[1]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self._dead.close()


class StarRocks:
    """The fake in this process: `with StarRocks() as starrocks: ...`."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.cluster = Cluster(settings or Settings())
        self._sql = Sql(self.cluster)
        self._ports = Ports(self.cluster, self._sql)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="starrocks-fake", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._ports.open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _stop(self) -> None:
        await self._ports.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        with contextlib.suppress(RuntimeError):
            await self._loop.shutdown_default_executor()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self._do(call())

    # ---- addresses

    @property
    def http(self) -> str:
        """As `starrocks.http.url` takes it."""
        return f"{self.cluster.settings.host}:{self._ports.fe_http}"

    @property
    def query_port(self) -> int:
        return self._ports.fe_mysql

    # ---- what tests do with it

    def fault(self, kind: Kind, **details: Any) -> None:
        """Let something go wrong; see faults.Fault."""
        self._call(lambda: self.cluster.faults.add(Fault(kind, **details)))

    @property
    def fired(self) -> dict[str, int]:
        """How often each kind of fault has happened."""
        return self._call(lambda: dict(self.cluster.faults.fired))

    def sql(self, statement: str, database: str = "") -> list[list[Any]]:
        """Run a statement and give its rows. Raises SqlError."""
        result = self._call(lambda: self._sql.run(statement, Session(database)))
        return [list(row) for row in result[1]] if result is not None else []

    def rows(self, database: str, table: str) -> list[dict[str, Any]]:
        """All visible rows with all columns, by primary key."""

        def read() -> list[dict[str, Any]]:
            self.cluster.sweep()
            found = self.cluster.table(database, table)
            return [dict(zip(found.names(), row, strict=True)) for row in found.ordered()]

        return self._call(read)

    def loads(self, database: str, table: str) -> int:
        """Loads that became visible in a table."""
        return self._call(lambda: self.cluster.table(database, table).stats["loads"])

    def told(self) -> dict[str, Any]:
        """Counters of the whole cluster."""
        return self._call(self.cluster.told)

    def labels(self, database: str) -> dict[str, str]:
        """Labels and the state of their newest transaction."""
        return self._call(lambda: {label: txns[-1].state for (db, label), txns in self.cluster.labels.items() if db == database and txns})
