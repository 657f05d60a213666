"""The FE's HTTP port: redirects, label states, and the transaction interface as far as the FE answers it itself.

Source: fe http/rest/LoadAction, RestBaseAction, GetStreamLoadState, TransactionLoadAction,
TransactionWithoutChannelHandler, StreamLoadMultiStmtTask. 307 only, and its Location has no credentials; the Expect
header is mandatory for a load; the connection is closed afterwards.
"""

from __future__ import annotations

from typing import Any

from pycdc.testing.starrocks.cluster import ABORTED, COMMITTED, PREPARE, PREPARED, VISIBLE, Cluster, Txn
from pycdc.testing.starrocks.commits import finish, parse_parts
from pycdc.testing.starrocks.control import Control
from pycdc.testing.starrocks.errors import UNSUPPORTED, FeError, LoadError
from pycdc.testing.starrocks.http import Reply, Request, dumps, rest_failed

_OK = {"status": "OK", "code": "0", "msg": "Success", "message": "OK"}
#: Status, message and what else a step of a transaction answers.
Result = dict[str, Any]


class Frontend:
    def __init__(self, cluster: Cluster, control: Control) -> None:
        self._cluster, self._control = cluster, control

    async def handle(self, request: Request) -> Reply:
        cluster, settings = self._cluster, self._cluster.settings
        cluster.sweep()
        if request.path[0] == "_fake":
            return await self._control.handle(request)
        auth = request.auth()
        if auth != (settings.user, settings.password):
            message = f"Access denied for {auth[0]}@127.0.0.1" if auth and auth[0] else "Need auth information."
            return Reply(401, rest_failed(message), {"WWW-Authenticate": 'Basic realm=""'})
        match request.method, request.path:
            case "PUT", ["api", db, table, "_stream_load"]:
                return self._stream_load(request, db, table)
            case "GET", ["api", db, "get_load_state"]:
                return self._load_state(db, request.query.get("label", ""))
            case "POST", ["api", db, _, "_cancel"]:
                return self._cancel(db, request.query.get("label", ""))
            case "POST" | "PUT", ["api", "transaction", op]:
                if cluster.faults.take("503", at="fe", db=request.headers.get("db", ""), tables=[request.headers.get("table", "")]):
                    return Reply(503, close=True)
                return await self._answered(request, op)
            case "GET", ["api", "health"] | ["api", "v2", "health"] | ["api", "bootstrap"]:
                return Reply(200, dumps(_OK))
        return Reply(404, rest_failed("Not implemented"))

    def _redirect(self, request: Request, *, close: bool = False, db: str = "", table: str = "") -> Reply:
        cluster = self._cluster
        cluster.stats["redirects"] += 1
        port = cluster.dead_port if cluster.faults.take("be_down", db=db or request.headers.get("db", ""), tables=[table or request.headers.get("table", "")]) else cluster.be_port
        return Reply(307, headers={"Location": f"http://{cluster.settings.be_host}:{port}{request.target}"}, close=close)

    def _stream_load(self, request: Request, db: str, table: str) -> Reply:
        if self._cluster.faults.take("503", db=db, tables=[table], at="fe"):
            return Reply(503, close=True)
        if request.version != "HTTP/1.0" and not request.expects:
            text = "class com.starrocks.common.DdlException: There is no 100-continue header"
            return Reply(200, dumps({"Status": "FAILED", "Message": text}, indent=2), close=True)
        return self._redirect(request, close=True, db=db, table=table)

    def _load_state(self, db: str, label: str) -> Reply:
        if not label:
            return Reply(200, rest_failed("No label selected."))
        if db not in self._cluster.dbs:
            return Reply(200, rest_failed(f"unknown database, database={db}"))
        txn = self._cluster.last(db, label)
        state = {"state": txn.state, "reason": txn.reason} if txn is not None else {"state": "UNKNOWN"}
        return Reply(200, dumps({**state, **_OK}, compact=True))

    def _cancel(self, db: str, label: str) -> Reply:
        txn = self._cluster.last(db, label)
        if txn is None or txn.state not in (PREPARE, PREPARED):
            return Reply(200, rest_failed(f"running transaction not found, label={label}"))
        self._cluster.abort(txn, "user cancel")
        return Reply(200, dumps(_OK))

    # ---- transactions

    async def _answered(self, request: Request, op: str) -> Reply:
        result: Result = {"Status": "OK", "Message": ""}
        try:
            answer = await self._transaction(request, op, result)
            if answer is not None:
                return answer
        except FeError as error:
            result = {"Status": "FAILED", "Message": str(error)}
        except LoadError as error:
            if error.existing:
                result = {"Status": "LABEL_ALREADY_EXISTS", "Message": str(error), "ExistingJobStatus": error.existing}
            else:
                result = {"Status": "FAILED", "Message": f"class com.starrocks.common.StarRocksException: {error}"}
        return Reply(200, dumps(result, indent=2))

    async def _transaction(self, request: Request, op: str, result: Result) -> Reply | None:
        if op not in ("begin", "load", "prepare", "commit", "rollback"):
            raise FeError(f"Unknown transaction operation: {op}")
        headers = request.headers
        db, label = headers.get("db", "").strip(), headers.get("label", "").strip()
        if not db:
            raise FeError("No database selected.")
        if not label:
            raise FeError("Empty label.")
        if headers.get("channel_num") or headers.get("channel_id"):
            raise FeError(UNSUPPORTED % "channel_num/channel_id")
        txn = self._cluster.last(db, label)
        if headers.get("transaction_type", "").lower() == "multi":
            return await self._multi(request, op, db, label, txn, result)
        if db not in self._cluster.dbs:
            raise FeError(f"Database[{db}] does not exist.")
        if op == "begin":
            return self._redirect(request)
        if txn is None:
            raise FeError(_unknown_transaction(op, db, label))
        if txn.kind == "multi":
            raise FeError(f"The source type for transaction stream load with db [{db}] and label[{label}] should be BE, but is FE.")
        if op in ("load", "prepare") or txn.state == PREPARE:
            return self._redirect(request)
        await self._end(op, txn, label, result)
        result.update(TxnId=txn.id, Label=label)
        return None

    async def _end(self, op: str, txn: Txn, label: str, result: Result) -> None:
        """Commit or rollback of a transaction that is prepared, or over."""
        if op == "commit":
            if txn.state == ABORTED:
                raise FeError(f"Can not commit ABORTED transaction {txn.id}, label is {label}")
            if txn.state == PREPARED:
                await finish(self._cluster, txn, txn.batches)
            else:
                result["Message"] = f"Transaction {txn.id} has already committed, label is {label}"
        elif txn.state == PREPARED:
            self._cluster.abort(txn, "User Aborted")
        elif txn.state == ABORTED:
            result["Message"] = f"Transaction {txn.id} has already aborted, label is {label}"
        else:
            raise FeError(f"Can not abort {txn.state} transaction {txn.id}, label is {label}")

    async def _multi(self, request: Request, op: str, db: str, label: str, txn: Txn | None, result: Result) -> Reply | None:
        """Transactions of several tables, which the FE drives."""
        cluster = self._cluster
        if db not in cluster.dbs:
            raise FeError(f"Database[{db}] does not exist")
        if op == "begin":
            if txn is not None and txn.state != ABORTED:
                result.update(_label_in_use(txn, label))
                return None
            txn = cluster.begin(db, label, "multi", float(request.headers.get("timeout") or 20))  # the FE's default, not 600
        elif op == "prepare":
            raise FeError("Unsupported operation: prepare")
        elif txn is None or txn.kind != "multi":
            raise FeError(f"stream load task {label} does not exist")
        elif op == "load":
            if txn.state != PREPARE:
                result.update(Status="FAILED", Message=f"stream load task {label} has already been {txn.state.lower()}")
                return None
            return self._redirect(request)
        elif op == "commit":
            if not await self._commit_multi(txn, label, result):
                return None
        elif txn.state in (COMMITTED, VISIBLE):
            result.update(Status="FAILED", Message=f"Can not abort VISIBLE transaction {txn.id}, label is {label}")
            return None
        else:
            aborted = txn.state == ABORTED
            result["Message"] = (
                f"Transaction {txn.id} has already aborted, label is {label}" if aborted else f"stream load {label} abort"
            )
            cluster.abort(txn, "manual abort")
        result.update(Label=label, TxnId=txn.id)
        return None

    async def _commit_multi(self, txn: Txn, label: str, result: Result) -> bool:
        if txn.state == ABORTED:
            result.update(Status="FAILED", Message=f"Can not commit CANCELLED transaction {txn.id}, label is {label}")
            return False
        if txn.busy:
            raise FeError(f"Transaction {txn.id} is already committing, label is {label}")
        if txn.state != PREPARE:
            result["Message"] = f"Transaction {txn.id} has already committed, label is {label}"
            return True
        txn.busy = True
        try:
            await finish(self._cluster, txn, await parse_parts(self._cluster, txn))
        finally:
            txn.busy = False
        return True


def _unknown_transaction(op: str, db: str, label: str) -> str:
    if op in ("load", "prepare"):
        return (
            f"Can't find the transaction with db [{db}] and label[{label}]. The possible reasons: "
            "1. FE leader is started or switched; 2. The transaction timeouts and is cleaned."
        )
    return f"No transaction found with db[{db}] and label[{label}]"


def _label_in_use(txn: Txn, label: str) -> Result:
    busy = txn.state in (PREPARE, PREPARED)
    return {
        "Status": "LABEL_ALREADY_EXISTS", "ExistingJobStatus": "BEGIN" if busy else "COMMITED",
        "Message": f"Transaction already started with label [{label}], txnId: {txn.id}" if busy else f"Label [{label}] has already been used.",
    }  # fmt: skip
