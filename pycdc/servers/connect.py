"""A real Kafka Connect worker with the real Debezium in it, for comparisons and hand-over tests. Quick to start.

Needs Java and the jars of both (`python -m pycdc.servers --debezium`). Its offsets, configurations and statuses lie in
topics of the broker, connect-offsets, connect-configs and connect-status unless it is given another beginning.
"""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycdc.servers.kafka import jars
from pycdc.servers.process import ServerFailed, free_port, require, tail, wait_for


class Connect:
    """A Kafka Connect worker with the Debezium of the captures, quick to start.

    Clusters of one broker differ in `group` and in `topics`, what the names of their three topics begin with.
    """

    def __init__(
        self, folder: Path, bootstrap: str, *, group: str = "live", topics: str = "connect", settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` come after those that are written here."""
        self.folder, self.bootstrap, self.port = folder, bootstrap, free_port()
        self.group, self.topics = group, topics
        self._settings = settings or {}
        self.log = folder / "connect.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raises ServerFailed."""
        java, home = require("java", "apt-get install openjdk-17-jre-headless"), jars(debezium=True)
        self.folder.mkdir(exist_ok=True)
        properties, log4j = self.folder / "connect.properties", self.folder / "log4j.properties"
        log4j.write_text("log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
                         "log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n")  # fmt: skip
        converter = "org.apache.kafka.connect.json.JsonConverter"
        stores = {"offset": f"{self.topics}-offsets", "config": f"{self.topics}-configs", "status": f"{self.topics}-status"}
        lines = [f"bootstrap.servers={self.bootstrap}", f"group.id={self.group}", f"plugin.path={home / 'plugins'}",
                 f"listeners={self.url}", f"key.converter={converter}", f"value.converter={converter}",
                 "offset.flush.interval.ms=300", "scheduled.rebalance.max.delay.ms=0",
                 "offset.storage.partitions=1", "status.storage.partitions=1"]  # fmt: skip
        for store, topic in stores.items():
            lines += [f"{store}.storage.topic={topic}", f"{store}.storage.replication.factor=1"]
        lines += [f"{key}={value}" for key, value in self._settings.items()]  # the last of a key counts
        properties.write_text("\n".join(lines) + "\n")
        with self.log.open("ab") as log:
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
            with urllib.request.urlopen(f"{self.url}/connectors", timeout=5) as answer:  # noqa: S310  # our own address
                return bool(answer.read())
        except OSError:
            return False

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the REST API; the answer's JSON or None. Raises OSError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            text = answer.read()
            return json.loads(text) if text else None

    @property
    def running(self) -> bool:
        process: subprocess.Popen[bytes] | None = getattr(self, "process", None)
        return process is not None and process.poll() is None

    def end(self, number: signal.Signals) -> None:
        """By this signal, and waited for."""
        if self.running:
            self.process.send_signal(number)
            self.process.wait(60)

    def stop(self) -> None:
        """By kill -9."""
        self.end(signal.SIGKILL)
