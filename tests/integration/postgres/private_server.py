"""A PostgreSQL cluster of these tests' own, which they stop, kill and reconfigure."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pycdc.postgres.session import ConnectionSettings

LIMIT = 20.0


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What `condition` gives once it is true."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if got := await condition():
            return got
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {LIMIT} s: {what}")


class Server:
    """One cluster under a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._bin = self._binaries()
        # The server refuses to run as root; the postgres user of its package then runs it.
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._user:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        (folder / "data/pg_hba.conf").write_text(
            "host all locked 127.0.0.1/32 scram-sha-256\nhost all outsider 127.0.0.1/32 reject\n"
            "host all all 127.0.0.1/32 trust\n"
        )
        self.configure(
            port=self.port,
            listen_addresses="127.0.0.1",
            unix_socket_directories="",
            wal_level="logical",
            fsync="off",
            max_replication_slots=40,
            max_wal_senders=40,
            shared_buffers="16MB",
            min_wal_size="32MB",
            max_prepared_transactions=4,
            logging_collector="off",
        )
        self.start()

    @staticmethod
    def _binaries() -> Path:
        on_path = shutil.which("initdb")
        found = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            pytest.fail("no PostgreSQL server: apt-get install postgresql")
        return found[-1]

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._user, str(self._bin / program), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def configure(self, **settings: Any) -> None:
        with (self.folder / "data/postgresql.conf").open("a") as file:
            file.writelines(f"{k} = '{v}'\n" for k, v in settings.items() if v is not None)

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-s", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-w", "-s", "-m", mode)

    def reload(self) -> None:
        self._run("pg_ctl", "reload", "-s")

    def settings(self, dbname: str = "postgres", **changes: Any) -> ConnectionSettings:
        return ConnectionSettings(
            **{"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": dbname, **changes}
        )

    def sql(self, statement: str, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings(dbname).conninfo(), autocommit=True) as conn:
            cursor = conn.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class Database:
    """A database of the test's own; its slots go with it."""

    def __init__(self, server: Server, dbname: str, encoding: str = "UTF8") -> None:
        self.server, self.dbname = server, dbname
        server.sql(f"CREATE DATABASE {dbname} TEMPLATE template0 ENCODING '{encoding}'")

    def settings(self, **changes: Any) -> ConnectionSettings:
        return self.server.settings(self.dbname, **changes)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return self.server.sql(statement, self.dbname)

    def drop(self) -> None:
        quoted = f"'{self.dbname}'"
        self.server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {quoted}")
        end = time.monotonic() + LIMIT
        while self.server.sql(f"SELECT 1 FROM pg_replication_slots WHERE database = {quoted} AND active"):
            assert time.monotonic() < end, "a slot stays active"
        self.server.sql(
            f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = {quoted}"
        )
        self.server.sql(f"DROP DATABASE {self.dbname} WITH (FORCE)")
