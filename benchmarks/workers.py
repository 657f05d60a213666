"""Connect workers of the benchmark behind one interface: the real Kafka Connect with the real Debezium, and pycdc.

Both are given the same worker.properties and started as processes; nobody waits for them but who asks.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines import JSON, java_command

from pycdc.servers.kafka import jars
from pycdc.servers.process import free_port, tail

#: As in the issue: 6 s of silence are death, and nobody waits for a worker that does not come back.
TIMES = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "2000", "scheduled.rebalance.max.delay.ms": "0"}
#: Seconds between two tries while a worker comes up, and the longest wait for one.
_LOOK, _LIMIT = 0.005, 120.0


class Failed(RuntimeError):
    """A worker did not do what was asked."""


class Worker:
    """One process. Workers of one `group` on one broker share their connectors."""

    name = ""

    def __init__(self, folder: Path, bootstrap: str, group: str) -> None:
        folder.mkdir(parents=True)
        self.folder, self.port = folder, free_port()
        self.log = folder / "worker.log"
        stores = {f"{s}.storage.{k}": v for s in ("config", "offset", "status") for k, v in (("topic", f"{group}-{s}s"), ("replication.factor", "1"))}
        settings = {"bootstrap.servers": bootstrap, "group.id": group, "listeners": self.url, "key.converter": JSON, "value.converter": JSON,
                    "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false", **stores, **TIMES, **self.own()}  # fmt: skip
        self.properties = folder / "worker.properties"
        self.properties.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def own(self) -> Mapping[str, str]:
        """Settings that only this kind needs."""
        return {}

    def command(self) -> list[str]:
        raise NotImplementedError

    def spawn(self) -> None:
        with self.log.open("ab") as log:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers(self, path: str) -> float:
        """Seconds from the start of the process to the first 200."""
        end = time.perf_counter() + _LIMIT
        while time.perf_counter() < end:
            if self.process is None or self.process.poll() is not None:
                raise Failed(f"{self.name} ended at its start: {tail(self.log)}")
            try:
                status, _ = self.call("GET", path)
            except OSError:
                status = 0
            if status == 200:
                return time.perf_counter() - self.started
            # to one hundredth, and not more often: a JVM that starts is kept busy by questions
            time.sleep(max(_LOOK, (time.perf_counter() - self.started) / 100))
        raise Failed(f"{self.name}: {path} is not answered: {tail(self.log)}")

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of one request on a connection of its own. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_LIMIT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            raise OSError(error) from error
        finally:
            connection.close()
        is_json = answer.getheader("Content-Type", "").startswith("application/json")  # Jetty answers before Connect does
        return answer.status, json.loads(text) if text and is_json else None

    def create(self, name: str, config: Mapping[str, str]) -> None:
        """The original refuses while its group meets."""
        end = time.perf_counter() + _LIMIT
        while time.perf_counter() < end:
            status, answer = self.call("POST", "/connectors", {"name": name, "config": config})
            if status == 201:
                return
            if status not in (409, 500):
                raise Failed(f"{self.name}: POST of {name}: {status} {answer}")
            time.sleep(_LOOK)
        raise Failed(f"{self.name}: POST of {name}: {answer}")

    def delete(self, name: str) -> None:
        end = time.perf_counter() + _LIMIT
        while self.call("DELETE", f"/connectors/{name}")[0] not in (204, 404):
            if time.perf_counter() > end:
                raise Failed(f"{self.name}: {name} cannot be deleted")
            time.sleep(0.1)

    def runs(self, name: str) -> str:
        """Worker id of the one that has the connector's task when it is RUNNING, else "". Raises Failed when the task has failed."""
        status, found = self.call("GET", f"/connectors/{name}/status")
        tasks = found.get("tasks", []) if status == 200 else []
        if any(t["state"] == "FAILED" for t in tasks):
            raise Failed(f"{self.name}: {name}: {tasks[0].get('trace')}")
        return str(tasks[0]["worker_id"]) if tasks and tasks[0]["state"] == "RUNNING" else ""

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Ours(Worker):
    name = "pycdc"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "pycdc.cli", "connect", "--config", str(self.properties)]


class Original(Worker):
    name = "Debezium 3.6.3"

    def own(self) -> Mapping[str, str]:
        return {"plugin.path": str(jars(debezium=True) / "plugins"), "plugin.discovery": "hybrid_warn"}

    def command(self) -> list[str]:
        return java_command(self.folder, self.properties)
