"""The demo's course: start, write, kill, start again, wait, compare."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg

from pycdc.demo import compare
from pycdc.demo.writer import TABLES, Writer
from pycdc.errors import PycdcError
from pycdc.model.lsn import parse_lsn
from pycdc.servers.postgres import Postgres, bundled
from pycdc.servers.process import free_port

_TABLES = ("customers", "orders")


class Worker:
    """`pycdc run` into one target, as a process of its own."""

    def __init__(self, name: str, folder: Path, source: dict[str, Any], sink: dict[str, Any]) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._files = folder / f"{name}-source.json", folder / f"{name}-sink.json"
        for file, config in zip(self._files, (source, sink), strict=True):
            file.write_text(json.dumps({"name": name, "config": config}))
        self._port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "pycdc.cli", "run", "--source", str(self._files[0]), "--sink", str(self._files[1])]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([*command, "--http", f"127.0.0.1:{self._port}"], stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)

    def check(self) -> None:
        """Raises PycdcError with the end of its log when the worker ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise PycdcError(f"the worker {self.name} ended", cause=self._log.read_text(errors="replace")[-1500:])

    def health(self) -> dict[str, Any]:
        """What it answers at /health/cdc; empty while it starts."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health/cdc", timeout=1) as answer:
                report: dict[str, Any] = json.loads(answer.read())
                return report
        except (OSError, ValueError):
            return {}


def run_demo(*, kafka: bool, seconds: int) -> bool:
    """True when both copies are equal to the original. Raises PycdcError when something does not start."""
    if kafka:
        raise PycdcError("the demo through a broker is not in this build", hint="run `pycdc demo` without --kafka")
    folder = Path(tempfile.mkdtemp(prefix="pycdc-demo-"))
    folder.chmod(0o755)
    server = Postgres(folder / "pg", bin_dir=bundled())
    workers: list[Worker] = []
    try:
        return _course(folder, server, workers, seconds)
    finally:
        for worker in workers:
            worker.stop()
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _course(folder: Path, server: Postgres, workers: list[Worker], seconds: int) -> bool:
    from rich.console import Console

    console = Console()
    console.print("starting PostgreSQL ...")
    server.start()
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE shop")
        conn.execute("CREATE DATABASE copy")
    with psycopg.connect(server.dsn("shop"), autocommit=True) as conn:
        conn.execute(TABLES)
        conn.execute("ALTER TABLE orders REPLICA IDENTITY FULL; ALTER TABLE customers REPLICA IDENTITY FULL")
    workers += _workers(folder, server)
    writer = Writer(server.dsn("shop"))
    for worker in workers:
        worker.start()
    writer.start()
    _watch(console, server, workers, writer, seconds / 2)
    for worker in workers:
        worker.kill()
    console.print("[bold red]kill -9[/] of both workers, in the middle of the load; starting them again")
    for worker in workers:
        worker.start()
    _watch(console, server, workers, writer, seconds / 2)
    writer.finish()
    console.print(f"the writer stops after {writer.changes:,} changes; waiting for the copies")
    _catch_up(server, workers)
    for worker in workers:
        worker.stop()
    return _verdict(console, folder, server)


def _workers(folder: Path, server: Postgres) -> list[Worker]:
    def source(slot: str) -> dict[str, Any]:
        return {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": slot,
            "database.hostname": server.host, "database.port": server.port, "database.user": server.user,
            "database.dbname": "shop", "slot.name": slot, "table.include.list": "public.(customers|orders)",
            "slot.max.retries": 30, "slot.retry.delay.ms": 300,
        }  # fmt: skip

    postgres = {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "connection.username": server.user,
        "connection.url": f"jdbc:postgresql://{server.host}:{server.port}/copy", "insert.mode": "upsert",
        "delete.enabled": True, "primary.key.mode": "record_key", "schema.evolution": "basic",
        "collection.name.format": "${source.table}",
    }  # fmt: skip
    clickhouse = {
        "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "auto.create": True,
        "clickhouse.dsn": f"chdb://{folder / 'clickhouse'}",
    }  # fmt: skip
    return [Worker("postgres", folder, source("to_postgres"), postgres), Worker("clickhouse", folder, source("to_clickhouse"), clickhouse)]


def _lag(server: Postgres) -> dict[str, int]:
    """Bytes of WAL behind the server, by slot."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        rows = conn.execute("SELECT slot_name, pg_current_wal_insert_lsn() - confirmed_flush_lsn FROM pg_replication_slots").fetchall()
    return {name: int(lag or 0) for name, lag in rows}


def _watch(console: Any, server: Postgres, workers: list[Worker], writer: Writer, seconds: float) -> None:
    """A line per worker and look: a live table on a terminal, plain lines elsewhere."""
    from rich.live import Live

    end = time.monotonic() + seconds
    before = {w.name: 0 for w in workers}
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        while time.monotonic() < end:
            time.sleep(1)
            for worker in workers:
                worker.check()
            table = _table(server, workers, writer, before)
            if console.is_terminal:
                live.update(table)
            else:
                console.print(table)


def _table(server: Postgres, workers: list[Worker], writer: Writer, before: dict[str, int]) -> Any:
    from rich.table import Table

    table = Table("target", "phase", "rows", "rows/s", "lag bytes", "LSN", title=f"{writer.changes:,} changes written")
    lags = _lag(server)
    for worker in workers:
        health = worker.health()
        rows = sum(t["rows"] for t in health.get("cdc_tables", {}).values())
        rate, before[worker.name] = max(0, rows - before[worker.name]), rows
        lag = lags.get(f"to_{worker.name}", 0)
        table.add_row(worker.name, health.get("phase", "starting"), f"{rows:,}", f"{rate:,}", f"{lag:,}", str(health.get("lsn") or ""))
    return table


def _catch_up(server: Postgres, workers: list[Worker], limit: float = 60) -> None:
    """Until both slots have confirmed what was written. Raises PycdcError."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        row = conn.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        target = parse_lsn(str(row[0])) if row is not None else 0
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for worker in workers:
                worker.check()
            rows = conn.execute("SELECT confirmed_flush_lsn::text FROM pg_replication_slots").fetchall()
            if len(rows) == len(workers) and all(r[0] is not None and parse_lsn(r[0]) >= target for r in rows):
                return
            time.sleep(0.2)
    raise PycdcError("the copies did not catch up", cause=f"not within {limit:g} s")


def _verdict(console: Any, folder: Path, server: Postgres) -> bool:
    from rich.table import Table

    table = Table("table", "copy", "rows", "checksum", "verdict")
    equal = True
    for name in _TABLES:
        original = compare.of_postgres(server.dsn("shop"), name)
        table.add_row(name, "original", f"{original.rows:,}", original.checksum, "")
        copies = {
            "PostgreSQL": compare.of_postgres(server.dsn("copy"), name),
            "ClickHouse": compare.of_clickhouse(str(folder / "clickhouse"), name),
        }
        for target, copy in copies.items():
            same = copy == original
            equal &= same
            table.add_row(name, target, f"{copy.rows:,}", copy.checksum, "[green]equal[/]" if same else "[red]DIFFERENT[/]")
    console.print(table)
    return equal
