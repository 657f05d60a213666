"""Proves the harness against the real Debezium: its cases, run anew on Kafka Connect, equal their captures.

    python tests/differential/live.py [CASE ...]      (make differential-live)

Starts its own PostgreSQL, broker and Connect worker; needs Java and, at first use, Maven. Prints what differs
and ends with 1 when anything does. Nothing of pycdc's own engine takes part.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import cases

from pycdc.servers.kafka import Kafka, jars
from pycdc.servers.postgres import Postgres
from pycdc.servers.process import ServerFailed, free_port, require, tail, wait_for

#: One of each kind: envelopes and keys, many types, restarts with stored offsets, several partitions of topics.
DEFAULT = ("ri_default", "num_basic_precise", "snap_initial_restart", "tx_metadata", "topic_creation")


class Connect:
    """A Kafka Connect worker with the Debezium of the captures, quick to start."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.folder, self.bootstrap, self.port = folder, bootstrap, free_port()
        self.log = folder / "connect.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raises ServerFailed."""
        java, home = require("java", "apt-get install openjdk-17-jre-headless"), jars(debezium=True)
        self.folder.mkdir()
        properties, log4j = self.folder / "connect.properties", self.folder / "log4j.properties"
        log4j.write_text("log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
                         "log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n")  # fmt: skip
        converter = "org.apache.kafka.connect.json.JsonConverter"
        stores = {"offset": "connect-offsets", "config": "connect-configs", "status": "connect-status"}
        lines = [f"bootstrap.servers={self.bootstrap}", "group.id=live", f"plugin.path={home / 'plugins'}",
                 f"listeners={self.url}", f"key.converter={converter}", f"value.converter={converter}",
                 "offset.flush.interval.ms=300", "scheduled.rebalance.max.delay.ms=0",
                 "offset.storage.partitions=1", "status.storage.partitions=1"]  # fmt: skip
        for store, topic in stores.items():
            lines += [f"{store}.storage.topic={topic}", f"{store}.storage.replication.factor=1"]
        properties.write_text("\n".join(lines) + "\n")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [java, "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j.configuration=file:{log4j}",
                 "-cp", f"{home / 'libs'}/*", "org.apache.kafka.connect.cli.ConnectDistributed", str(properties)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self._answers, 120, "Kafka Connect does not start", self.log)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise ServerFailed("Kafka Connect ended at its start", hint=tail(self.log))
        try:
            with urllib.request.urlopen(f"{self.url}/connectors", timeout=5) as answer:
                return bool(answer.read())
        except OSError:
            return False

    def stop(self) -> None:
        process: subprocess.Popen[bytes] | None = getattr(self, "process", None)
        if process is not None:
            process.kill()
            process.wait()


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
            # not what pycdc may differ in: here Debezium is compared with itself
            found = cases.differences(name, cases.run_with(driver, name, stack), allowed=False)
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
