"""How a test in another process speaks to the fake: under /_fake at the FE's HTTP port, without authorization.

POST /_fake/faults takes one Fault or a list ({"clear": true} forgets those to come), GET tells them; /_fake/stats,
/_fake/txns, /_fake/rows?db=&table= (all columns, by primary key) tell what is there; POST /_fake/sql runs a statement.
"""

from __future__ import annotations

import json

import msgspec

from pycdc.testing.starrocks.cluster import Cluster
from pycdc.testing.starrocks.errors import SqlError
from pycdc.testing.starrocks.faults import Fault
from pycdc.testing.starrocks.http import Reply, Request, dumps
from pycdc.testing.starrocks.sql import Session, Sql


class Control:
    def __init__(self, cluster: Cluster, sql: Sql) -> None:
        self._cluster, self._sql = cluster, sql

    async def handle(self, request: Request) -> Reply:
        cluster, body = self._cluster, json.loads(await request.body() or b"null")
        match request.path[1:]:
            case ["faults"]:
                if request.method == "POST":
                    for fault in body if isinstance(body, list) else [body]:
                        if fault.get("clear"):
                            cluster.faults.coming.clear()
                        else:
                            cluster.faults.add(msgspec.convert(fault, Fault))
                return Reply(200, dumps(cluster.faults.shown()))
            case ["stats"]:
                return Reply(200, dumps(cluster.told()))
            case ["txns"]:
                names = ("id", "db", "label", "kind", "state", "reason", "tables", "rows")
                return Reply(200, dumps([{n: getattr(t, n) for n in names} for t in cluster.txns.values()]))
            case ["rows"]:
                table = cluster.dbs.get(request.query.get("db", ""), {}).get(request.query.get("table", ""))
                if table is None:
                    return Reply(404, dumps({"error": "no such table"}))
                return Reply(200, dumps([dict(zip(table.names(), row, strict=True)) for row in table.ordered()]))
            case ["sql"]:
                try:
                    columns, rows = self._sql.run(body["sql"], Session(body.get("db") or "")) or ([], [])
                except SqlError as error:
                    return Reply(400, dumps({"errno": error.errno, "error": str(error)}))
                return Reply(200, dumps({"columns": [n for n, _ in columns], "rows": rows}))
        return Reply(404, dumps({"error": "unknown control path"}))
