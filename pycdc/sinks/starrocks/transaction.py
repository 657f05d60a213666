"""StarRocks' transaction interface: begin, load, prepare, commit, rollback.

One transaction of several tables makes a whole write visible at once (StarRocks >= 4.0). A transaction of one table
that is prepared and rolled back tells whether its rows fit, and leaves nothing behind. Errors in begin, load and
prepare roll back by themselves; row errors appear at prepare or commit. Bodies of one table must go with the same
headers; without a timeout header a transaction of several tables lives 20 s.

Source: StarRocks' documentation, "Load data using Stream Load transaction interface".
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from pycdc.errors import PycdcError
from pycdc.sinks.starrocks.faults import LabelTaken, RowsRefused
from pycdc.sinks.starrocks.labels import another
from pycdc.sinks.starrocks.load import Load, Loader, is_done


class Transaction:
    """One label's. `table` empty: several tables."""

    def __init__(self, loader: Loader, label: str, table: str = "") -> None:
        self._loader, self._table = loader, table
        self.label = label
        kind = {"table": table} if table else {"transaction_type": "multi"}
        self._headers = {"label": label, "db": loader.database, "timeout": loader.headers["timeout"], **kind}

    async def begin(self) -> None:
        """Raises LabelTaken and what every step raises: ConnectionLost, Busy, SinkError."""
        await self._step("begin")

    async def load(self, load: Load) -> None:
        """Raises as `begin`; the transaction is rolled back then."""
        headers = {**self._loader.headers, **load.headers, **self._headers, "table": load.table}
        answer = await self._loader.call("PUT", "/api/transaction/load", headers, load.body)
        await self._check(answer, load.table)

    async def prepare(self) -> None:
        """Raises RowsRefused, too."""
        await self._step("prepare")

    async def commit(self) -> None:
        """Raises RowsRefused, too."""
        await self._step("commit")

    async def rollback(self) -> None:
        """Never fails: what is not rolled back ends with its timeout."""
        with contextlib.suppress(PycdcError):
            await self._step("rollback")

    async def _step(self, op: str) -> None:
        await self._check(await self._loader.call("POST", f"/api/transaction/{op}", self._headers), self._table)

    async def _check(self, answer: dict[str, Any], table: str) -> None:
        if not is_done(answer):
            raise await self._loader.fault(answer, table or "several tables")


async def put_together(loader: Loader, loads: Sequence[Load], label: str) -> None:
    """All loads in one transaction. Raises as `Loader.put`."""
    first, is_idempotent = label, all(load.is_idempotent for load in loads)
    sent = unsure = taken = False
    tries = loader.tries()
    while True:
        transaction = Transaction(loader, label)
        try:
            if unsure and await loader.is_committed(label, loads[0].table):
                if sent or not is_idempotent:
                    return
                label = another(first)
                transaction = Transaction(loader, label)
            unsure = False
            await transaction.begin()
            for load in loads:
                await transaction.load(load)
            # from here on a lost answer may hide a commit
            sent = unsure = True
            await transaction.commit()
            return
        except LabelTaken as error:
            if taken:
                await tries.failed(error)
            taken = unsure = True
        except PycdcError as error:
            if not unsure:
                await transaction.rollback()
            await tries.failed(error)


async def refusal(loader: Loader, load: Load, label: str) -> RowsRefused | None:
    """Whether StarRocks refuses the load's rows, found out without leaving any behind. Raises as `Transaction.begin`."""
    transaction = Transaction(loader, label, load.table)
    try:
        await transaction.begin()
        await transaction.load(load)
        await transaction.prepare()
    except RowsRefused as error:
        return error
    finally:
        await transaction.rollback()
    return None
