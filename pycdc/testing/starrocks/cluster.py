"""Databases, transactions and labels: what all nodes of the fake share.

Source: fe DatabaseTransactionMgr, LabelAlreadyUsedException, FeNameFormat. Labels are remembered as long as the
settings say; a label whose transaction was aborted may be used again. What time brings about (timeouts, a delayed
publish, forgotten labels, ALTER jobs) happens when somebody looks (`sweep`).
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pycdc.testing.starrocks.errors import LoadError
from pycdc.testing.starrocks.faults import Faults
from pycdc.testing.starrocks.storage import Batch, Table

if TYPE_CHECKING:
    from pycdc.testing.starrocks.plan import Plan

PREPARE: Final = "PREPARE"
PREPARED: Final = "PREPARED"
COMMITTED: Final = "COMMITTED"
VISIBLE: Final = "VISIBLE"
ABORTED: Final = "ABORTED"


class Settings(msgspec.Struct, kw_only=True):
    """How the cluster is set up."""

    host: str = "127.0.0.1"
    #: The BE's name in Location and ErrorURL.
    be_host: str = "127.0.0.1"
    fe_port: int = 0
    be_port: int = 0
    mysql_port: int = 0
    user: str = "root"
    password: str = ""
    #: BEs alive, for the check of replication_num.
    backends: int = 3
    label_keep_seconds: float = 259200
    max_running_txns: int = 1000
    #: streaming_load_max_batch_size_mb.
    json_limit_mb: int = 100
    #: How long an ALTER job runs that changes more than metadata.
    alter_delay_ms: float = 0
    #: What every commit and publish takes.
    commit_ms: float = 0
    #: Rows and bytes are counted and thrown away, for benchmarks: the fake then takes next to no time of its own.
    count_only: bool = False


class Part:
    """What a transaction holds for one table, not parsed yet."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.bodies: list[bytes] = []

    @property
    def bytes(self) -> int:
        return sum(map(len, self.bodies))


class Txn:
    """A load or a transaction. `kind`: stream, txn, multi."""

    def __init__(self, id_: int, db: str, label: str, kind: str, timeout: float) -> None:
        self.id, self.db, self.label, self.kind, self.state, self.reason = id_, db, label, kind, PREPARE, ""
        self.created = self.active = time.time()
        self.deadline = self.created + timeout
        self.idle: float | None = None
        self.finished: float | None = None
        self.publish_at = 0.0
        self.table = ""
        self.busy = False
        self.parts: dict[str, Part] = {}
        self.batches: list[Batch] = []
        #: What it has brought, once it is visible.
        self.tables: list[str] = []
        self.rows = 0


class AlterJob:
    """A schema change that runs."""

    def __init__(self, id_: int, table: Table, delay: float, change: Callable[[], None]) -> None:
        self.id, self.table, self.change = id_, table, change
        self.start = self.finish = time.time()
        self.at = self.start + delay
        self.state = "RUNNING" if delay else "FINISHED"


class Cluster:
    """State of the whole fake; used on one event loop, parsing of bodies aside."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dbs: dict[str, dict[str, Table]] = {"_statistics_": {}}
        self.txns: dict[int, Txn] = {}
        self.labels: dict[tuple[str, str], list[Txn]] = {}
        self.faults = Faults()
        self.jobs: list[AlterJob] = []
        self.error_logs: dict[str, str] = {}
        self.be_port = 0
        #: A port at which nobody listens.
        self.dead_port = 0
        self.loading = 0
        self.stats = {
            "stream_loads": 0, "stream_load_failed": 0, "txn_loads": 0, "redirects": 0, "rows_loaded": 0, "bytes": 0,
            "concurrent_max": 0, "sql": 0,
        }  # fmt: skip
        self._last_id = 10001

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def table(self, db: str, name: str) -> Table:
        """Raises LoadError."""
        if db not in self.dbs:
            raise LoadError(f"unknown database, database={db}", "ANALYSIS_ERROR")
        if name not in self.dbs[db]:
            raise LoadError(f'unknown table "{db}.{name}"', "ANALYSIS_ERROR")
        return self.dbs[db][name]

    def keep_log(self, batch: Batch) -> None:
        """The lines of rejected rows can be fetched behind an ErrorURL."""
        if batch.errors:
            name = "error_log_" + "_".join(uuid.uuid4().hex[i : i + 16] for i in (0, 16))
            self.error_logs[name] = "\n".join(batch.errors) + "\n"
            batch.error_url = f"http://{self.settings.be_host}:{self.be_port}/api/_load_error_log?file={name}"

    # ---- time

    def sweep(self) -> None:
        now = time.time()
        for txn in list(self.txns.values()):
            self._sweep(txn, now)
        for job in self.jobs:
            if job.state == "RUNNING" and now >= job.at:
                job.change()
                job.state, job.finish, job.table.state = "FINISHED", now, "NORMAL"

    def _sweep(self, txn: Txn, now: float) -> None:
        if txn.state in (PREPARE, PREPARED) and not txn.busy and now > txn.deadline:
            self.abort(txn, "timeout by txn manager")
        elif txn.state == PREPARE and txn.idle and not txn.busy and now > txn.active + txn.idle:
            self.abort(txn, "idle transaction timeout")
        elif txn.state == COMMITTED and txn.publish_at and now >= txn.publish_at:
            self.publish(txn)
        elif txn.finished and txn.state in (VISIBLE, ABORTED) and now > txn.finished + self.settings.label_keep_seconds:
            del self.txns[txn.id]
            self.labels[txn.db, txn.label].remove(txn)

    # ---- transactions

    def last(self, db: str, label: str) -> Txn | None:
        """The newest transaction of a label."""
        self.sweep()
        txns = self.labels.get((db, label))
        return txns[-1] if txns else None

    def begin(self, db: str, label: str, kind: str, timeout: float) -> Txn:
        """Raises LoadError."""
        if not re.fullmatch(r"[-\w]{1,128}", label, re.ASCII):
            raise LoadError(f"Label format error. regex: ^[-\\w]{{1,128}}$, label: {label}", "ANALYSIS_ERROR")
        old = self.last(db, label)
        if old is not None and old.state != ABORTED:
            raise LoadError(
                f"Label [{label}] has already been used.", "LABEL_ALREADY_EXISTS", "RUNNING" if old.state in (PREPARE, PREPARED) else "FINISHED"
            )
        running = sum(t.db == db and t.state in (PREPARE, PREPARED) for t in self.txns.values())
        limit = self.settings.max_running_txns
        if running >= limit or self.faults.take("txn_limit", db=db):
            raise LoadError(f"current running txns on db 10001 is {max(running, limit)}, larger than limit {limit}")
        txn = Txn(self.new_id(), db, label, kind, timeout)
        self.txns[txn.id] = txn
        self.labels.setdefault((db, label), []).append(txn)
        return txn

    def abort(self, txn: Txn, reason: str) -> None:
        if txn.state in (PREPARE, PREPARED):
            txn.state, txn.reason, txn.finished, txn.parts, txn.batches = ABORTED, reason, time.time(), {}, []

    def commit(self, txn: Txn, batches: list[Batch], publish_after: float = 0.0) -> None:
        txn.batches = batches
        txn.state, txn.publish_at = COMMITTED, time.time() + publish_after
        if publish_after <= 0:
            self.publish(txn)

    def publish(self, txn: Txn) -> None:
        tables = {b.table for b in txn.batches}
        waiting = [t for t in self.txns.values() if t.state == COMMITTED and t is not txn and t.publish_at <= txn.publish_at]
        for other in sorted(waiting, key=lambda t: t.publish_at):
            if tables & {b.table for b in other.batches}:  # versions of a table become visible in order
                self._apply(other)
        self._apply(txn)

    def _apply(self, txn: Txn) -> None:
        for batch in txn.batches:
            batch.table.apply(batch)
            stats = batch.table.stats
            stats["loads"] += 1
            stats["rows_loaded"] += batch.loaded
            stats["rows_filtered"] += batch.filtered
            stats["bytes"] += batch.bytes
            self.stats["rows_loaded"] += batch.loaded
            self.stats["bytes"] += batch.bytes
        txn.rows = sum(b.loaded for b in txn.batches)
        txn.tables = sorted(b.table.name for b in txn.batches)
        txn.state, txn.finished, txn.batches = VISIBLE, time.time(), []

    # ---- for tests

    def told(self) -> dict[str, Any]:
        """Counters, as GET /_fake/stats has them."""
        tables = {f"{d}.{t}": {**x.stats, "rows": len(x)} for d, ts in self.dbs.items() for t, x in ts.items()}
        return {**self.stats, "loading": self.loading, "fired": self.faults.fired, "tables": tables}
