"""`pycdc connect` as a process, and what a client sees of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from pycdc.servers.process import free_port, tail, wait_for

JSON = "org.apache.kafka.connect.json.JsonConverter"


def settings(bootstrap: str, group: str, **more: str) -> dict[str, str]:
    """Small and quick to notice a lost worker; `__` stands for a dot."""
    stores = ("config", "offset", "status")
    return {
        "bootstrap.servers": bootstrap, "group.id": group, "key.converter": JSON, "value.converter": JSON, "session.timeout.ms": "6000",
        "heartbeat.interval.ms": "500", "offset.storage.partitions": "1", "status.storage.partitions": "1", "offset.flush.interval.ms": "300",
        **{f"{s}.storage.topic": f"{group}-{s}" for s in stores}, **{f"{s}.storage.replication.factor": "1" for s in stores},
        **{k.replace("__", "."): v for k, v in more.items()},
    }  # fmt: skip


class WorkerProcess:
    """One. `answers` keeps the text of all that it ever answered."""

    def __init__(self, folder: Path, config: dict[str, str], *arguments: str, env: dict[str, str] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log, self._file = folder / "worker.log", folder / "worker.properties"
        self._file.write_text("".join(f"{k}={v}\n" for k, v in {"listeners": self.url, **config}.items()))
        self._command = [sys.executable, "-m", "pycdc.cli", "connect", "--config", str(self._file), "--log-format", "json", *arguments]
        self._env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.answers: list[str] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def code(self, limit: float) -> int:
        """Of its end, within so many seconds."""
        assert self.process is not None
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it runs for more than {limit} s\n{tail(self.log, 20)}") from None

    def call(self, method: str, path: str, body: Any = None, *, limit: float = 60) -> tuple[int, Any]:
        """Status and body. Raises OSError when nobody answers."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=limit) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        self.answers.append(text)
        with contextlib.suppress(ValueError):
            return status, json.loads(text)
        return status, text

    def until(self, condition: Any, limit: float = 60) -> None:
        """`condition` may find the worker not there yet."""

        def holds() -> bool:
            with contextlib.suppress(OSError):
                return bool(condition())
            return False

        wait_for(holds, limit, f"it does not come to this; answered last: {self.answers[-1:]}", self.log)

    def until_healthy(self, limit: float = 60) -> None:
        """Also of its group."""
        self.until(lambda: self.call("GET", "/health")[0] == 200 and "rebalance_rebalancing 0.0" in self.call("GET", "/metrics")[1], limit)

    def states(self, name: str) -> list[str]:
        """Of a connector and its tasks."""
        status, found = self.call("GET", f"/connectors/{name}/status")
        return [found["connector"]["state"], *(t["state"] for t in found["tasks"])] if status == 200 else []

    def lines(self, level: str | None = None) -> list[dict[str, Any]]:
        """Of its log."""
        found = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if level in (None, line.get("level"))]
