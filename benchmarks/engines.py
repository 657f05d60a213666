"""The two engines of the benchmark behind one interface: real Debezium on real Kafka Connect, and pycdc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import confluent

from pycdc.servers.kafka import jars
from pycdc.servers.process import accepts, free_port, require, tail, wait_for

JSON = "org.apache.kafka.connect.json.JsonConverter"
TICKS = os.sysconf("SC_CLK_TCK")


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds so far and peak resident MiB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / TICKS, peak / 1024


def java_command(folder: Path, properties: Path) -> list[str]:
    """A worker of Kafka Connect, its JVM as Connect's own scripts start it: 2 GB of heap, G1, all tiers of the compiler."""
    log4j = folder / "log4j.properties"
    log4j.write_text(
        "log4j.rootLogger=WARN, stdout\nlog4j.appender.stdout=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.stdout.layout=org.apache.log4j.PatternLayout\n"
        "log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n\n"
    )
    java = require("java", "apt-get install openjdk-17-jre-headless")
    return [java, "-Xmx2g", "-Xms256m", "-XX:+UseG1GC", f"-Dlog4j.configuration=file:{log4j}", "-cp", f"{jars(debezium=True) / 'libs'}/*",
            "org.apache.kafka.connect.cli.ConnectDistributed", str(properties)]  # fmt: skip


class Engine:
    """Runs one source connector at a time."""

    name = ""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        raise NotImplementedError

    def up(self) -> None:
        """Start the engine itself, without a connector."""

    def create(self, name: str, config: dict[str, str]) -> None: ...

    def delete(self, name: str) -> None: ...

    def failed(self, name: str) -> str:
        """Why the connector has failed; empty while it runs."""
        raise NotImplementedError

    def down(self) -> None: ...


class Pycdc(Engine):
    name = "pycdc"

    def __init__(self, folder: Path, bootstrap: str) -> None:
        super().__init__(folder, bootstrap)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def create(self, name: str, config: dict[str, str]) -> None:
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps({"name": name, "config": config}))
        kind = "sink" if "Sink" in config["connector.class"] else "source"
        settings = {"bootstrap.servers": self.bootstrap}
        if kind == "source":
            settings |= {"offset.storage.topic": "bench-offsets", "offset.storage.replication.factor": "1",
                         "offset.storage.partitions": "1"}  # fmt: skip
        command = [sys.executable, "-m", "pycdc.cli", kind, "--config", str(file)]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        log = (self.folder / f"{name}.log").open("wb")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def delete(self, name: str) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def down(self) -> None:
        self.delete("")

    def failed(self, name: str) -> str:
        if self.process is None or self.process.poll() is None:
            return ""
        return f"exit {self.process.returncode}: {tail(self.folder / f'{name}.log')}"


class Debezium(Engine):
    name = "Debezium 3.6.3"

    def __init__(self, folder: Path, bootstrap: str) -> None:
        super().__init__(folder, bootstrap)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def up(self) -> None:
        home = jars(debezium=True)
        properties = self.folder / "connect.properties"
        properties.write_text(
            f"bootstrap.servers={self.bootstrap}\ngroup.id=bench-connect\nkey.converter={JSON}\nvalue.converter={JSON}\n"
            "offset.storage.topic=connect-offsets\noffset.storage.replication.factor=1\noffset.storage.partitions=1\n"
            "config.storage.topic=connect-configs\nconfig.storage.replication.factor=1\n"
            "status.storage.topic=connect-status\nstatus.storage.replication.factor=1\nstatus.storage.partitions=1\n"
            f"plugin.path={home / 'plugins'},{confluent.plugins()}\nplugin.discovery=hybrid_warn\nlisteners=http://127.0.0.1:{self.port}\n"
        )
        log = (self.folder / "connect.log").open("wb")
        self.process = subprocess.Popen(java_command(self.folder, properties), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: accepts(self.port) and self._call("GET", "/connectors") is not None, 90, "Connect does not start", self.folder / "connect.log")

    def _call(self, method: str, path: str, body: object = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        for _ in range(100):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read()
                    return json.loads(text) if text else {}
            except urllib.error.HTTPError as error:
                if error.code != 409 and not (error.code == 404 and method == "GET"):
                    raise
            except OSError:
                return None
            time.sleep(0.2)
        raise TimeoutError(path)

    def create(self, name: str, config: dict[str, str]) -> None:
        self._call("POST", "/connectors", {"name": name, "config": config})

    def delete(self, name: str) -> None:
        self._call("DELETE", f"/connectors/{name}")

    def failed(self, name: str) -> str:
        status = self._call("GET", f"/connectors/{name}/status")
        return next((t["trace"] for t in status["tasks"] if t["state"] == "FAILED"), "") if isinstance(status, dict) else ""

    def down(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
