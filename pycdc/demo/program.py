"""The demo's course: start, write, kill, start again, wait, compare."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import psycopg

from pycdc.demo.view import verdict, watch
from pycdc.demo.workers import TOPICS, Worker, direct, through_kafka
from pycdc.demo.writer import TABLES, Writer
from pycdc.errors import PycdcError
from pycdc.kafka.groups import records_behind
from pycdc.model.lsn import parse_lsn
from pycdc.servers.kafka import Kafka
from pycdc.servers.postgres import Postgres, bundled

_CATCH_UP_LIMIT = 60.0


def run_demo(*, kafka: bool, seconds: int) -> bool:
    """True when both copies are equal to the original. Raises PycdcError when something does not start."""
    folder = Path(tempfile.mkdtemp(prefix="pycdc-demo-"))
    folder.chmod(0o755)
    server = Postgres(folder / "pg", bin_dir=bundled())
    broker = Kafka(folder / "kafka") if kafka else None
    workers: list[Worker] = []
    try:
        return _course(folder, server, broker, workers, seconds)
    finally:
        for worker in workers:
            worker.stop()
        if broker is not None:
            broker.remove()
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _course(folder: Path, server: Postgres, broker: Kafka | None, workers: list[Worker], seconds: int) -> bool:
    from rich.console import Console

    console = Console()
    console.print(f"starting PostgreSQL{'' if broker is None else ' and Kafka'} ...")
    server.start()
    if broker is not None:
        broker.start()
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE shop")
        conn.execute("CREATE DATABASE copy")
    with psycopg.connect(server.dsn("shop"), autocommit=True) as conn:
        conn.execute(TABLES)
        conn.execute("ALTER TABLE orders REPLICA IDENTITY FULL; ALTER TABLE customers REPLICA IDENTITY FULL")
    workers += direct(folder, server) if broker is None else through_kafka(folder, server, broker.bootstrap)
    writer = Writer(server.dsn("shop"))
    for worker in workers:
        worker.start()
    writer.start()
    watch(console, server, workers, writer, seconds / 2)
    for worker in workers:
        worker.kill()
    console.print(f"[bold red]kill -9[/] of all {len(workers)} workers, in the middle of the load; starting them again")
    for worker in workers:
        worker.start()
    watch(console, server, workers, writer, seconds / 2)
    writer.finish()
    console.print(f"the writer stops after {writer.changes:,} changes; waiting for the copies")
    _catch_up(server, broker, workers)
    for worker in workers:
        worker.stop()
    return verdict(console, folder, server)


def _catch_up(server: Postgres, broker: Kafka | None, workers: list[Worker]) -> None:
    """Until every source streams and its slot has confirmed what was written, and every sink has committed its topics.

    A slot alone tells too little: while a snapshot is taken beside it, it moves on before all rows are there.
    Raises PycdcError.
    """
    sources = [w for w in workers if w.slot]
    slots = [w.slot for w in workers if w.slot]
    groups = [f"connect-{w.name}" for w in workers if not w.slot]
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        row = conn.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        target = parse_lsn(str(row[0])) if row is not None else 0
        end = time.monotonic() + _CATCH_UP_LIMIT
        while time.monotonic() < end:
            for worker in workers:
                worker.check()
            streaming = all(w.health().get("phase") == "streaming" for w in sources)
            rows = conn.execute("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = ANY(%s)", [slots]).fetchall()
            confirmed = len(rows) == len(slots) and all(r[0] is not None and parse_lsn(r[0]) >= target for r in rows)
            if streaming and confirmed and (broker is None or not asyncio.run(records_behind(broker.bootstrap, groups, TOPICS))):
                return
            time.sleep(0.2)
    raise PycdcError("the copies did not catch up", cause=f"not within {_CATCH_UP_LIMIT:g} s")
