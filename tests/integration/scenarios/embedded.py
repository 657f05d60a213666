"""Embedded ClickHouse beside a sink that is a process of its own."""

import json
import subprocess
import sys

_RUN = """
import json, sys
import clickhouse_connect
client, found = clickhouse_connect.get_client(dsn=sys.argv[1]), []
for statement, block in json.load(sys.stdin):
    if block is not None:
        client.raw_insert(statement, insert_block=block.encode(), fmt="JSONEachRow")
    elif statement.startswith("SELECT"):
        found.append([[None if v is None else str(v) for v in row] for row in client.query(statement).result_rows])
    else:
        client.command(statement)
json.dump(found, sys.stdout)
"""


class ClickHouse:
    """The engine, embedded, which belongs to one process at a time: each call is one, and none may be made while a sink runs."""

    def __init__(self, folder):
        self.dsn = f"chdb://{folder}"

    def run(self, *statements):
        """The rows of each SELECT, values as texts, in ClickHouse's order."""
        return self._run([(s, None) for s in statements])

    def feed(self, table, blocks):
        """Messages as they are, as Kafka's engine gives them to the format JSONEachRow."""
        self._run([(table, "\n".join(block)) for block in blocks])

    def _run(self, steps):
        done = subprocess.run([sys.executable, "-c", _RUN, self.dsn], input=json.dumps(steps), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)
