"""Faults that a test asks for, each taken once or as often as it says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import msgspec

Kind = Literal[
    # the load is committed, the answer says that it is not visible yet
    "publish_timeout",
    # a commit fails with `message`
    "fail",
    "too_many_versions",
    "txn_limit",
    # the connection is cut where the commit would be, or right after it
    "conn_reset_before_commit",
    "conn_reset_after_commit",
    # a commit takes `delay_ms` more
    "slow",
    # FE or BE (`at`) answers so
    "503",
    # the FE redirects to a BE that does not answer any more
    "be_down",
    # a label is said to be in use by a load that runs
    "label_exists_running",
]


class Fault(msgspec.Struct):
    """One fault; all but 503 and be_down also hit the commit of a transaction."""

    kind: Kind
    #: How often it happens, and how often it is let pass before.
    times: int = 1
    skip: int = 0
    #: `table` or `db.table`; empty = any.
    table: str = ""
    #: Where a 503 comes from: fe or be.
    at: str = "fe"
    delay_ms: float = 1000
    visible_after_ms: float = 300
    message: str = "Memory of process exceed limit. be=127.0.0.1"
    #: The load stays in PREPARE, as behind a BE that crashed.
    leave_prepare: bool = False


class Faults:
    """Those that are still to come, and how often each kind has happened."""

    def __init__(self) -> None:
        self.coming: list[Fault] = []
        self.fired: dict[str, int] = {}

    def add(self, fault: Fault) -> None:
        if fault.kind not in get_args(Kind):
            raise ValueError(f"unknown fault {fault.kind!r}; there are: {', '.join(get_args(Kind))}")
        self.coming.append(fault)

    def take(self, *kinds: Kind, db: str = "", tables: Iterable[str] = (), at: str = "") -> Fault | None:
        """The next fault of one of these kinds that belongs here, used up once."""
        tables = list(tables)
        for fault in self.coming:
            here = not fault.table or any(fault.table in (t, f"{db}.{t}") for t in tables)
            if fault.kind not in kinds or fault.times <= 0 or (at and fault.at != at) or not here:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            self.fired[fault.kind] = self.fired.get(fault.kind, 0) + 1
            return fault
        return None

    def shown(self) -> dict[str, Any]:
        return {"faults": [msgspec.to_builtins(f) for f in self.coming if f.times > 0], "fired": self.fired}
