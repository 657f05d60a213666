"""The fake in a process of its own, for tests that kill other processes: what is committed survives them."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from pycdc.testing.process import ServerProcess


class StarRocksProcess(ServerProcess):
    """`with StarRocksProcess() as starrocks: ...`. `settings`: options of `python -m pycdc.testing.starrocks`."""

    def __init__(self, *settings: str) -> None:
        super().__init__("pycdc.testing.starrocks", *settings)
        self.http = ""
        self.query_port = 0

    def _ready(self, told: dict[str, Any]) -> None:
        self.http, self.query_port = f"127.0.0.1:{told['fe_http']}", told["fe_mysql"]

    def fault(self, kind: str, **details: Any) -> None:
        """Let something go wrong; see faults.Fault."""
        self._ask("faults", {"kind": kind, **details})

    def healed(self) -> None:
        """Faults to come are forgotten."""
        self._ask("faults", {"clear": True})

    def fired(self) -> dict[str, int]:
        """How often each kind of fault has happened."""
        fired: dict[str, int] = self._ask("faults", [])["fired"]
        return fired

    def loaded(self, database: str, table: str) -> int:
        """Rows that loads have brought, also where they are only counted."""
        count: int = self._ask("stats", None)["tables"][f"{database}.{table}"]["rows_loaded"]
        return count

    def sql(self, statement: str, database: str = "") -> list[list[Any]]:
        """The rows of a statement, numbers that are no integers as texts."""
        rows: list[list[Any]] = self._ask("sql", {"sql": statement, "db": database})["rows"]
        return rows

    def _ask(self, path: str, body: object) -> Any:
        request = urllib.request.Request(f"http://{self.http}/_fake/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http alone
            return json.load(answer)
