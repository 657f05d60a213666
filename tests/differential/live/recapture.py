"""Proves the harness against the real Debezium: its cases, run anew on Kafka Connect, equal their captures.

    python tests/differential/live/recapture.py [CASE ...]      (make differential-recapture)

A case that has no capture yet gets one: that is how captures are made.

Starts its own PostgreSQL, broker and Connect worker; needs Java and, at first use, Maven. Prints what differs
and ends with 1 when anything does. Nothing of pycdc's own engine takes part.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import cases

from pycdc.servers.connect import Connect
from pycdc.servers.kafka import Kafka
from pycdc.servers.postgres import Postgres

#: One of each kind: envelopes and keys, many types, restarts with stored offsets, several partitions of topics.
DEFAULT = ("ri_default", "num_basic_precise", "snap_initial_restart", "tx_metadata", "topic_creation")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in cases.ALL]
    if unknown:
        print("no such case:", *unknown)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="pycdc-live-"))
    folder.chmod(0o755)
    postgres, kafka = Postgres(folder / "pg"), Kafka(folder / "kafka")
    connect = Connect(folder / "connect", kafka.bootstrap)
    different = 0
    try:
        for server in (postgres, kafka, connect):
            server.start()
        stack: dict[str, Any] = {
            "pg_host": postgres.host, "pg_port": postgres.port, "pg_user": postgres.user, "kafka": kafka.bootstrap,
            "connect": connect.url,
        }  # fmt: skip
        driver = cases.capture.ConnectDriver(stack)
        for name in names or DEFAULT:
            captured = cases.run_with(driver, name, stack)
            file = cases.GOLDEN / f"{name}.json"
            if not file.exists():
                file.write_text(json.dumps(captured, indent=1, ensure_ascii=False) + "\n")
                print("captured", name, flush=True)
                continue
            # not what pycdc may differ in: here Debezium is compared with itself
            found = cases.differences(name, captured, allowed=False)
            different += bool(found)
            print("equal  " if not found else "DIFFERS", name, *(f"\n    {d[:300]}" for d in found[:10]), flush=True)
    finally:
        connect.stop()
        kafka.remove()
        postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
