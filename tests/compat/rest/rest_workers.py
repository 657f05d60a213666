"""Workers of a Connect cluster as processes: ours, or the real Kafka Connect to prove these tests.

Both take the worker.properties that are written here. A cluster has names of its own, so several share a broker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from pycdc.servers.connect import Connect
from pycdc.servers.process import ServerFailed, free_port, tail, wait_for

#: Set: the sessions are replayed against the real Kafka Connect. It must equal its own captures.
ORIGINAL = "PYCDC_COMPAT_ORIGINAL"
_JSON = "org.apache.kafka.connect.json.JsonConverter"
#: A worker reads three topics and joins its group; the machine may be busy with other tests. Seconds.
_START = 60
#: Its tasks may flush and say so for some seconds (task.shutdown.graceful.timeout.ms is 5 s).
_STOP = 30


def properties(bootstrap: str, group: str, settings: Mapping[str, str]) -> dict[str, str]:
    """What the captured workers had, quick to notice a lost one."""
    topics = {f"{store}.storage.topic": f"{group}-{store}s" for store in ("config", "offset", "status")}
    replicas = {f"{store}.storage.replication.factor": "1" for store in ("config", "offset", "status")}
    converters = {"key.converter": _JSON, "value.converter": _JSON, "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"}
    times = {"offset.flush.interval.ms": "500", "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
    times["scheduled.rebalance.max.delay.ms"] = "0"  # nobody is to wait for a worker that does not come back
    return {"bootstrap.servers": bootstrap, "group.id": group, **topics, **replicas, **converters, **times, **settings}


class OurWorker:
    """`pycdc connect --config FILE`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        folder.mkdir()
        self.log = folder / "worker.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._config = folder / "worker.properties"
        self._config.write_text("".join(f"{k}={v}\n" for k, v in ({"listeners": self.url} | dict(settings)).items()))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Until it is healthy. Raises ServerFailed with the end of its log."""
        command = [sys.executable, "-m", "pycdc.cli", "connect", "--config", str(self._config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._healthy, _START, "the worker does not get healthy", self.log)

    def _healthy(self) -> bool:
        if not self.running:
            raise ServerFailed("the worker ended at its start", hint=tail(self.log))
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{self.url}/health", timeout=15) as answer:
                return bool(answer.status == 200)
        return False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Without waiting for what comes of it."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """By this signal, and waited for. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(number)
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def faults(self) -> list[str]:
        """Lines of its log that no worker should write: errors that nobody thought of."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if "internal error" in line.lower()]


class OriginalWorker:
    """The real Kafka Connect with the real Debezium."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._connect = Connect(folder, settings["bootstrap.servers"], settings=settings)
        self.url, self.log = self._connect.url, self._connect.log

    @property
    def running(self) -> bool:
        return self._connect.running

    def start(self) -> None:
        self._connect.start()

    def end(self, number: signal.Signals) -> None:
        self._connect.end(number)

    def faults(self) -> list[str]:
        return []


Worker = OurWorker | OriginalWorker


class Cluster:
    """Workers 1 and up of one group; rest_steps.Servers over them."""

    def __init__(self, folder: Path, bootstrap: str, group: str, size: int, settings: Mapping[str, str]) -> None:
        kind = OriginalWorker if ORIGINAL in os.environ else OurWorker
        given = properties(bootstrap, group, settings)
        self._workers: list[Worker] = [kind(folder / f"worker{number}", given) for number in range(1, size + 1)]

    @property
    def urls(self) -> list[str]:
        return [worker.url for worker in self._workers]

    def revive(self) -> list[str]:
        """Start those that do not run; which they were."""
        dead = [worker for worker in self._workers if not worker.running]
        for worker in dead:
            worker.start()
        return [worker.url for worker in dead]

    def kill9(self, worker: int) -> None:
        self._workers[worker - 1].end(signal.SIGKILL)

    def term(self, worker: int) -> None:
        self._workers[worker - 1].end(signal.SIGTERM)

    def start(self, worker: int) -> None:
        self._workers[worker - 1].start()

    def stop(self) -> list[str]:
        """By SIGTERM; what their logs should not say."""
        for worker in self._workers:
            worker.end(signal.SIGTERM)
        return [f"{worker.url}: {line}" for worker in self._workers for line in worker.faults()]

    @property
    def logs(self) -> list[str]:
        return [f"{worker.url} wrote {worker.log}" for worker in self._workers]
