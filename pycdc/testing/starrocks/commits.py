"""The two steps that FE and BE share: parse what a transaction holds, and commit it, with the faults that belong there."""

from __future__ import annotations

import asyncio

from pycdc.testing.starrocks.cluster import ABORTED, COMMITTED, VISIBLE, Cluster, Txn
from pycdc.testing.starrocks.errors import LoadError
from pycdc.testing.starrocks.http import Reset
from pycdc.testing.starrocks.plan import Plan
from pycdc.testing.starrocks.storage import Batch


async def parse_parts(cluster: Cluster, txn: Txn) -> list[Batch]:
    """On any error (LoadError) the transaction is rolled back."""
    try:
        if not txn.parts:
            raise LoadError(f"transaction label={txn.label}, txn_id: {txn.id} hasn't send any data yet")
        batches = []
        for part in txn.parts.values():
            batch = await asyncio.to_thread(part.plan.run, part.bodies)
            batches.append(batch)
            check_batch(cluster, batch, part.plan)
        return batches
    except LoadError as error:
        cluster.abort(txn, str(error))
        if error.batch is not None and not error.batch.error_url:
            cluster.keep_log(error.batch)
        raise


def check_batch(cluster: Cluster, batch: Batch, plan: Plan) -> None:
    """Too many filtered rows, or none at all. Raises LoadError."""
    cluster.keep_log(batch)
    total = batch.filtered + batch.loaded
    error = None
    if total and batch.filtered / total > plan.ratio:
        error = LoadError("too many filtered rows")
    elif not batch.loaded:
        error = LoadError("No rows were imported from upstream")
    if error is not None:
        error.batch = batch
        raise error


async def finish(cluster: Cluster, txn: Txn, batches: list[Batch]) -> None:
    """Commit. Raises LoadError (the transaction is aborted, or its publish is late) or Reset."""
    faults, tables = cluster.faults, [b.table.name for b in batches]
    slow = faults.take("slow", db=txn.db, tables=tables)
    if slow is not None:
        await asyncio.sleep(slow.delay_ms / 1000)
    if cluster.settings.commit_ms:
        await asyncio.sleep(cluster.settings.commit_ms / 1000)
    if txn.state in (COMMITTED, VISIBLE):  # a second commit won while this one waited
        return
    if txn.state == ABORTED:
        raise LoadError(f"transaction {txn.id} is already aborted. abort reason: {txn.reason}")
    fault = faults.take("fail", "too_many_versions", "conn_reset_before_commit", db=txn.db, tables=tables)
    if fault is not None and fault.kind == "conn_reset_before_commit":
        if not fault.leave_prepare:
            cluster.abort(txn, "Cancelled")
        raise Reset
    if fault is not None:
        message = fault.message if fault.kind == "fail" else _TOO_MANY_VERSIONS + cluster.settings.be_host
        cluster.abort(txn, message)
        raise LoadError(message)
    late = faults.take("publish_timeout", db=txn.db, tables=tables)
    cluster.commit(txn, batches, late.visible_after_ms / 1000 if late is not None else 0)
    if late is not None:
        raise LoadError("Publish timeout. The data will be visible after a while", "PUBLISH_TIMEOUT")
    if faults.take("conn_reset_after_commit", db=txn.db, tables=tables):
        raise Reset


_TOO_MANY_VERSIONS = (
    "Failed to load data into tablet 10010, because of too many versions, current/limit: 1001/1000. You can reduce the loading "
    "job concurrency, or increase loading data batch size. If you are loading data with Routine Load, you can increase FE configs "
    "routine_load_task_consume_second and max_routine_load_batch_size,: be:"
)
