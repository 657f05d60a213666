"""What the demo shows: a live table while it runs, the comparison at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg

from pycdc.demo import compare
from pycdc.demo.workers import Worker
from pycdc.demo.writer import Writer
from pycdc.servers.postgres import Postgres


def watch(console: Any, server: Postgres, workers: list[Worker], writer: Writer, seconds: float) -> None:
    """A row per worker and look: a live table on a terminal, plain tables elsewhere. Raises PycdcError."""
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

    table = Table("worker", "phase", "rows", "rows/s", "latency", "lag", "LSN", title=f"{writer.changes:,} changes written")
    lags = _lag(server)
    for worker in workers:
        health, behind = worker.health(), worker.behind_ms()
        rows = sum(t["rows"] for t in health.get("cdc_tables", {}).values())
        rate, before[worker.name] = max(0, rows - before[worker.name]), rows
        lag = f"{lags.get(worker.slot, 0):,} bytes" if worker.slot else f"{sum(health.get('kafka_lag', {}).values()):,} records"
        table.add_row(
            worker.name, health.get("phase", "starting"), f"{rows:,}", f"{rate:,}", "" if behind is None else f"{behind:,} ms", lag,
            str(health.get("lsn") or ""),
        )  # fmt: skip
    return table


def _lag(server: Postgres) -> dict[str, int]:
    """Bytes of WAL behind the server, by slot."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        rows = conn.execute("SELECT slot_name, pg_current_wal_insert_lsn() - confirmed_flush_lsn FROM pg_replication_slots").fetchall()
    return {name: int(lag or 0) for name, lag in rows}


def verdict(console: Any, folder: Path, server: Postgres) -> bool:
    """Shows original and copies, row counts and checksums; True when all are equal."""
    from rich.table import Table

    table = Table("table", "copy", "rows", "checksum", "verdict")
    equal = True
    for name in compare.COLUMNS:
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
