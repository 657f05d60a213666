"""The BE's HTTP port: loads, the transaction interface as far as the BE answers it, error logs.

Source: be http/action/stream_load, transaction_stream_load, runtime/stream_load/*. Nearly every failure is HTTP 200
with JSON; row errors of a transaction appear at prepare or commit, not at load.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable
from typing import Any

from pycdc.testing.starrocks.cluster import PREPARE, PREPARED, Cluster, Part, Txn
from pycdc.testing.starrocks.commits import check_batch, finish, parse_parts
from pycdc.testing.starrocks.errors import LoadError
from pycdc.testing.starrocks.http import Reply, Request, dumps
from pycdc.testing.starrocks.plan import Plan
from pycdc.testing.starrocks.storage import Batch

_STATUS = {"OK": "Success", "PUBLISH_TIMEOUT": "Publish Timeout", "LABEL_ALREADY_EXISTS": "Label Already Exists"}


class Backend:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def handle(self, request: Request) -> Reply:
        self._cluster.sweep()
        match request.method, request.path:
            case "PUT", ["api", db, table, "_stream_load"]:
                if self._cluster.faults.take("503", db=db, tables=[table], at="be"):
                    return Reply(503, close=True)
                return await self._counted(_StreamLoad(self._cluster, request, db, table).run())
            case "PUT" | "POST", ["api", "transaction", "load"]:
                return await self._counted(self._txn_load(request))
            case "POST" | "PUT", ["api", "transaction", op]:
                return await self._txn_step(request, op)
            case "GET", ["api", "_load_error_log"]:
                log = self._cluster.error_logs.get(request.query.get("file", ""))
                return Reply(200, log, content_type="text/plain") if log else Reply(404, content_type="text/plain")
            case "GET", ["api", "health"]:
                return Reply(200, dumps({"status": "OK", "msg": "To Be Added"}))
        return Reply(404)

    async def _counted(self, work: Awaitable[Reply]) -> Reply:
        cluster = self._cluster
        cluster.loading += 1
        cluster.stats["concurrent_max"] = max(cluster.stats["concurrent_max"], cluster.loading)
        try:
            return await work
        finally:
            cluster.loading -= 1

    # ---- transactions

    def _find(self, request: Request) -> Txn | None:
        label = request.headers.get("label", "")
        return next((t for ts in self._cluster.labels.values() for t in ts if t.label == label and t.state == PREPARE), None)

    async def _txn_load(self, request: Request) -> Reply:
        cluster, headers = self._cluster, request.headers
        label, name = headers.get("label", ""), headers.get("table", "")
        txn: Txn | None = None
        cluster.stats["txn_loads"] += 1
        try:
            if not label:
                raise LoadError("Invalid label ", "INVALID_ARGUMENT")
            found = self._find(request)
            if found is None:
                raise LoadError(f"Transaction with label {label} not exists", "TXN_NOT_EXISTS")
            if found.db != headers.get("db", ""):
                raise LoadError(f"Request database {headers.get('db', '')} not equal transaction database {found.db}", "INVALID_ARGUMENT")
            if found.kind != "multi" and name != found.table:
                raise LoadError(f"Request table {name} not equal transaction table {found.table}", "INVALID_ARGUMENT")
            if found.busy:
                raise LoadError("Transaction in processing, please retry later", "TXN_IN_PROCESSING")
            txn, found.busy = found, True
            check_request(cluster, request)
            part = txn.parts.get(name)
            if part is None:  # the first load's headers hold for all of the table's
                part = Part(Plan(cluster.table(txn.db, name), headers, count_only=cluster.settings.count_only))
            body = await request.body()
            part.bodies.append(body)
            txn.parts[name], txn.active = part, time.time()
            return _step_reply("OK", "", label, TxnId=txn.id, LoadBytes=len(body), StreamLoadPlanTimeMs=0, ReceivedDataTimeMs=0)
        except LoadError as error:
            if txn is not None:
                cluster.abort(txn, str(error))
            reply = _step_reply(error.code, str(error), label)
            if txn is None:
                reply.content_type = "text/html; charset=ISO-8859-1"
            return reply
        except (asyncio.IncompleteReadError, ConnectionError):
            if txn is not None:
                cluster.abort(txn, "Cancelled")
            raise
        finally:
            if txn is not None:
                txn.busy = False

    async def _txn_step(self, request: Request, op: str) -> Reply:
        label = request.headers.get("label", "")
        try:
            if not label:
                raise LoadError("empty label", "INVALID_ARGUMENT")
            if request.headers.get("transaction_type"):
                raise LoadError("Multi-statement transaction requests can only be sent to FE nodes, not BE nodes", "INVALID_ARGUMENT")
            if op not in ("begin", "prepare", "commit", "rollback"):
                raise LoadError(f"unsupport transaction operation {op}", "INVALID_ARGUMENT")
            if op == "begin":
                return self._begin(request, label)
            return await self._end(request, op, label)
        except LoadError as error:
            return _step_reply(error.code, str(error), label, error.batch.error_url if error.batch else "", error.existing)

    def _begin(self, request: Request, label: str) -> Reply:
        cluster, headers = self._cluster, request.headers
        check_request(cluster, request)
        db, name = headers.get("db", ""), headers.get("table", "")
        if any(t.label == label and t.state == PREPARE for t in cluster.txns.values()):
            raise LoadError("", "LABEL_ALREADY_EXISTS", "")
        cluster.table(db, name)
        txn = cluster.begin(db, label, "txn", float(headers.get("timeout") or 600))
        txn.table, txn.idle = name, float(headers.get("idle_transaction_timeout") or 0) or None
        return _step_reply("OK", "", label, TxnId=txn.id, BeginTxnTimeMs=0)

    async def _end(self, request: Request, op: str, label: str) -> Reply:
        cluster, start = self._cluster, time.time()
        txn = self._find(request)
        if txn is None:
            raise LoadError(f"transaction with label {label} not exists", "TXN_NOT_EXISTS")
        if txn.db != request.headers.get("db", ""):
            raise LoadError(f"request db {request.headers.get('db', '')} transaction db {txn.db} not match", "INVALID_ARGUMENT")
        if op == "rollback":
            cluster.abort(txn, "transaction is aborted by user.")
            return _step_reply("OK", "", label)
        if txn.busy:
            raise LoadError("Transaction in processing, please retry later", "TXN_IN_PROCESSING")
        txn.busy, size = True, sum(p.bytes for p in txn.parts.values())
        try:
            batches = await parse_parts(cluster, txn)
            if op == "prepare":
                txn.batches, txn.state, txn.parts = batches, PREPARED, {}
                txn.deadline = time.time() + float(request.headers.get("prepared_timeout") or 86400)
            else:
                await finish(cluster, txn, batches)
        finally:
            txn.busy = False
        spent = int((time.time() - start) * 1000)
        return _step_reply(
            "OK", "", label, next((b.error_url for b in batches if b.error_url), ""), TxnId=txn.id, **_rows(batches), LoadBytes=size,
            LoadTimeMs=spent, StreamLoadPlanTimeMs=0, ReceivedDataTimeMs=0, WriteDataTimeMs=spent, CommitAndPublishTimeMs=0,
        )  # fmt: skip


def check_request(cluster: Cluster, request: Request) -> None:
    """What a BE looks at before it reads the body. Raises LoadError."""
    settings, headers, auth = cluster.settings, request.headers, request.auth()
    if not auth:
        raise LoadError("no valid Basic authorization")
    if auth != (settings.user, settings.password):
        raise LoadError(f"Access denied for {auth[0]}@127.0.0.1", "ANALYSIS_ERROR")
    size, limit = int(headers.get("content-length") or 0), settings.json_limit_mb * 1024 * 1024
    if headers.get("format", "").lower() == "json" and size > limit and headers.get("ignore_json_size", "").lower() != "true":
        raise LoadError(
            f"The size of this batch exceed the max size [{limit}]  of json type data  data [ {size} ]. Set "
            "ignore_json_size to skip the check, although it may lead huge memory consuming."
        )
    if not re.fullmatch(r"\d*", headers.get("timeout", "")):
        raise LoadError("Invalid timeout format", "INVALID_ARGUMENT")


class _StreamLoad:
    """One PUT of _stream_load: begin, plan, body, rows, commit, and the answer that tells how far it got."""

    def __init__(self, cluster: Cluster, request: Request, db: str, table: str) -> None:
        self._cluster, self._request, self._db, self._table = cluster, request, db, table
        self._label = request.headers.get("label") or str(uuid.uuid4())
        self._txn: Txn | None = None
        self._batch: Batch | None = None
        self._size = 0
        self._start = self._mark = time.time()
        self._times = {
            "BeginTxnTimeMs": 0, "StreamLoadPlanTimeMs": 0, "ReadDataTimeMs": 0, "WriteDataTimeMs": 0, "CommitAndPublishTimeMs": 0,
        }  # fmt: skip

    async def run(self) -> Reply:
        cluster = self._cluster
        cluster.stats["stream_loads"] += 1
        error: LoadError | None = None
        try:
            await self._load()
        except LoadError as failed:
            error = failed
            self._batch = failed.batch or self._batch
            if self._batch is not None and not self._batch.error_url:
                cluster.keep_log(self._batch)
            if self._txn is not None and failed.code != "PUBLISH_TIMEOUT":
                cluster.abort(self._txn, str(failed))
                cluster.stats["stream_load_failed"] += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            if self._txn is not None:
                cluster.abort(self._txn, "Cancelled")
            raise
        finally:
            if self._txn is not None:
                self._txn.busy = False
        return self._reply(error)

    async def _load(self) -> None:
        cluster, request = self._cluster, self._request
        check_request(cluster, request)
        table = cluster.table(self._db, self._table)
        if cluster.faults.take("label_exists_running", db=self._db, tables=[self._table]):
            raise LoadError(f"Label [{self._label}] has already been used.", "LABEL_ALREADY_EXISTS", "RUNNING")
        self._txn = cluster.begin(self._db, self._label, "stream", float(request.headers.get("timeout") or 600))
        self._txn.busy = True
        self._passed("BeginTxnTimeMs")
        plan = Plan(table, request.headers, count_only=cluster.settings.count_only)
        self._passed("StreamLoadPlanTimeMs")
        body = await request.body()
        self._size = len(body)
        self._passed("ReadDataTimeMs")
        self._batch = await asyncio.to_thread(plan.run, [body])
        check_batch(cluster, self._batch, plan)
        self._passed("WriteDataTimeMs")
        await finish(cluster, self._txn, [self._batch])
        self._passed("CommitAndPublishTimeMs")

    def _passed(self, step: str) -> None:
        now = time.time()
        self._times[step], self._mark = int((now - self._mark) * 1000), now

    def _reply(self, error: LoadError | None) -> Reply:
        code = error.code if error is not None else "OK"
        out: dict[str, Any] = {"TxnId": self._txn.id if self._txn is not None else -1, "Label": self._label, "Status": _STATUS.get(code, "Fail")}
        if error is not None and code == "LABEL_ALREADY_EXISTS":
            out["ExistingJobStatus"] = error.existing
        out["Message"] = str(error) if error is not None else "OK"
        out |= _rows([self._batch] if self._batch is not None else [])
        out |= {"LoadBytes": self._size, "LoadTimeMs": int((time.time() - self._start) * 1000), **self._times}
        if self._batch is not None and self._batch.error_url:
            out["ErrorURL"] = self._batch.error_url
        return Reply(200, dumps(out, indent=4))


def _rows(batches: list[Batch]) -> dict[str, Any]:
    loaded, filtered = sum(b.loaded for b in batches), sum(b.filtered for b in batches)
    return {"NumberTotalRows": loaded + filtered, "NumberLoadedRows": loaded, "NumberFilteredRows": filtered, "NumberUnselectedRows": 0}


def _step_reply(status: str, message: str, label: str, url: str = "", existing: str = "", **more: Any) -> Reply:
    out: dict[str, Any] = {"Status": status}
    if status == "LABEL_ALREADY_EXISTS":
        out["ExistingJobStatus"] = existing
    elif status == "TXN_IN_PROCESSING":
        out["Label"] = label
    out["Message"] = message
    if status == "OK":
        out |= {"Label": label, **more}
    if url:
        out["ErrorURL"] = url
    return Reply(200, dumps(out, indent=4))
