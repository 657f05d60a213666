"""The demo's processes: each is the command that a user would type, with its configuration files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from pycdc.errors import PycdcError
from pycdc.servers.postgres import Postgres
from pycdc.servers.process import free_port

#: What the source writes and the sinks read, where there is a broker.
TOPICS = ("shop.public.customers", "shop.public.orders")
_JSON = "org.apache.kafka.connect.json.JsonConverter"


class Worker:
    """One `pycdc` process. `configs`: option -> configuration, each written to a file of its own."""

    def __init__(self, name: str, folder: Path, command: str, configs: dict[str, dict[str, Any]], *, slot: str = "") -> None:
        self.name = name
        #: The replication slot that it reads; empty for a sink behind a broker.
        self.slot = slot
        self.log = folder / f"{name}.log"
        # A killed worker cannot remove its temporary files (chDB's driver inserts through them): the demo removes them.
        self._environment = {**os.environ, "TMPDIR": str(folder)}
        self._port = free_port()
        self._command = [sys.executable, "-m", "pycdc.cli", command, "--http", f"127.0.0.1:{self._port}"]
        for option, config in configs.items():
            file = folder / f"{name}{option.replace('--', '-')}.json"
            file.write_text(json.dumps({"name": name, "config": config}))
            self._command += [option, str(file)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends in good order; by force when it does not."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def check(self) -> None:
        """Raises PycdcError with the end of its log when the worker ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise PycdcError(f"the worker {self.name} ended", cause=self.log.read_text(errors="replace")[-1500:])

    def health(self) -> dict[str, Any]:
        """What it answers at /health/cdc; empty while it starts."""
        try:
            report: dict[str, Any] = json.loads(self._get("/health/cdc"))
        except (OSError, ValueError):
            return {}
        return report

    def behind_ms(self) -> int | None:
        """Age of the newest change when the source handled it, ms; None for a sink, and before the first."""
        try:
            found = re.search(r'MilliSecondsBehindSource\{[^}]*context="streaming"[^}]*\} (-?\d+)', self._get("/metrics"))
        except OSError:
            return None
        return int(found[1]) if found is not None and int(found[1]) >= 0 else None

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=1) as answer:
            text: str = answer.read().decode()
            return text


def direct(folder: Path, server: Postgres) -> list[Worker]:
    """`pycdc run` into each target: no broker, the slot is the log."""
    return [
        Worker(name, folder, "run", {"--source": _source(server, f"to_{name}"), "--sink": sink}, slot=f"to_{name}")
        for name, sink in _sinks(folder, server).items()
    ]


def through_kafka(folder: Path, server: Postgres, bootstrap: str) -> list[Worker]:
    """`pycdc source` and, for each target, `pycdc sink`."""
    common = {"bootstrap.servers": bootstrap}
    for side in ("key", "value"):
        common[f"{side}.converter"] = _JSON
    source = _source(server, "shop") | common | {
        "offset.storage.topic": "pycdc-offsets", "offset.storage.replication.factor": 1, "offset.storage.partitions": 1,
        "topic.creation.default.replication.factor": 1, "topic.creation.default.partitions": 1,
    }  # fmt: skip
    # static members: one that is started again after a kill takes its partitions at once
    topics = {"topics": ",".join(TOPICS), "consumer.override.group.instance.id": "1", "consumer.override.session.timeout.ms": 10_000}
    sinks = [Worker(name, folder, "sink", {"--config": sink | common | topics}) for name, sink in _sinks(folder, server).items()]
    return [Worker("source", folder, "source", {"--config": source}, slot="shop"), *sinks]


def _source(server: Postgres, slot: str) -> dict[str, Any]:
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": slot,
        "database.hostname": server.host, "database.port": server.port, "database.user": server.user,
        "database.dbname": "shop", "slot.name": slot, "table.include.list": "public.(customers|orders)",
        "slot.max.retries": 30, "slot.retry.delay.ms": 300,
    }  # fmt: skip


def _sinks(folder: Path, server: Postgres) -> dict[str, dict[str, Any]]:
    return {
        "postgres": {
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "connection.username": server.user,
            "connection.url": f"jdbc:postgresql://{server.host}:{server.port}/copy", "insert.mode": "upsert",
            "delete.enabled": True, "primary.key.mode": "record_key", "schema.evolution": "basic",
            "collection.name.format": "${source.table}",
        },
        "clickhouse": {
            "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "auto.create": True,
            "clickhouse.dsn": f"chdb://{folder / 'clickhouse'}",
        },
    }  # fmt: skip
