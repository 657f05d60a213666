"""One case through both engines at once: the same database, a slot and a topic prefix each."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import capture
import compare
import psycopg
from case import DOWN, UP, Case, setup_sql, steps_sql

DIFFERENCES = Path(__file__).parents[3] / "docs" / "differences.toml"
_DDL = re.compile(r"^\s*(ALTER|DROP|CREATE|TRUNCATE)\b", re.IGNORECASE)
_LIMIT = 25.0
#: Seconds in which Connect stores offsets; the worker does so every 300 ms.
_OFFSETS_STORED = 0.7

#: Names of the two engines: of one length, so that one name can take the other's place in the bytes.
ORIGINAL, OURS = "dbz", "our"


class InvalidCase(Exception):
    """The server refuses one of its statements: no case."""


class OriginalFailed(Exception):
    """Debezium itself ended with an error."""


class _Message:
    """A record of ours under the original's name."""

    def __init__(self, message: Any, ours: bytes, theirs: bytes) -> None:
        def renamed(data: bytes | None) -> bytes | None:
            return None if data is None else data.replace(ours, theirs)

        self._topic = message.topic().replace(ours.decode(), theirs.decode())
        self._partition, self._offset, self._timestamp = message.partition(), message.offset(), message.timestamp()
        self._key, self._value = renamed(message.key()), renamed(message.value())
        self._headers = [(k, renamed(v)) for k, v in message.headers() or []]

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> Any:
        return self._timestamp

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self._headers


class Pair:
    """Runs cases on a stack. `drivers`: engine's name -> what capture.py calls a driver."""

    def __init__(self, stack: dict[str, Any], drivers: dict[str, Any]) -> None:
        self._stack = stack
        self._drivers = drivers
        self._number = 0
        #: Records of the original's, compared so far.
        self.records = 0
        self._rows = tomllib.loads(DIFFERENCES.read_text())["difference"]

    def differences(self, case: Case) -> list[str]:
        """What ours does otherwise. Raises InvalidCase and OriginalFailed."""
        self._number += 1
        database = f"live{self._number:05d}"
        names = {engine: f"{engine}{self._number:05d}" for engine in (ORIGINAL, OURS)}
        run = _Run(self._stack, self._drivers, database, names)
        try:
            golden, candidate = run.go(case)
        finally:
            run.clean_up()
        if golden["status"]["tasks"] == ["FAILED"]:
            raise OriginalFailed(golden["trace"] or "")
        self.records += sum(map(len, golden["records"].values()))
        options = argparse.Namespace(bytes=True, any_version=False, skip={"offsets", "publications", "publication_tables"})
        found: list[str] = compare.Compare(golden, candidate, options).run().diffs
        if candidate["trace"]:
            found.insert(0, f"ours ends: {candidate['trace'][-700:]}")
        return [d for d in found if not any(re.search(r["path"], d.split(": golden ", 1)[0]) for r in self._rows if r["case"] == "live")]


class _Run:
    def __init__(self, stack: dict[str, Any], drivers: dict[str, Any], database: str, names: dict[str, str]) -> None:
        self.stack, self.drivers, self.database, self.names = stack, drivers, database, names
        prefixes = tuple(f"{n}." for n in names.values())
        self.tap = capture.Tap(stack, lambda topic: topic.startswith(prefixes))
        self.marks = 0
        self.failed: dict[str, str] = {}
        self.created: list[str] = []

    def _dsn(self, database: str) -> str:
        s = self.stack
        return f"host={s['pg_host']} port={s['pg_port']} user={s['pg_user']} dbname={database}"

    def _admin(self, sql: str) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as conn:
            conn.execute(sql)

    def config(self, case: Case, engine: str) -> dict[str, str]:
        name, s = self.names[engine], self.stack
        return capture.DEFAULTS | case.config | {
            "name": name, "topic.prefix": name, "slot.name": name, "publication.name": f"pub_{name}",
            "database.hostname": s["pg_host"], "database.port": str(s["pg_port"]), "database.user": s["pg_user"],
            "database.password": "x", "database.dbname": self.database,
        }  # fmt: skip

    def go(self, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
        self._admin(f'CREATE DATABASE "{self.database}" TEMPLATE template0')
        with psycopg.connect(self._dsn(self.database), autocommit=True) as sql:
            self._execute(sql, setup_sql(case))
            sql.execute("CREATE SCHEMA oracle_mark; CREATE TABLE oracle_mark.m (id text PRIMARY KEY)")
            for engine, name in self.names.items():
                try:
                    self.drivers[engine].create(name, self.config(case, engine))
                    self.created.append(engine)
                except RuntimeError as error:
                    self.failed[engine] = str(error)
            self._wait(lambda: self._streams(sql), "streaming")
            up = True
            for step in [*steps_sql(case), UP]:
                if step in (UP, DOWN):
                    if up != (step == UP):
                        self._start(sql) if step == UP else self._stop(sql)
                        up = step == UP
                    continue
                if up and _DDL.match(step):
                    self._sync(sql)
                self._execute(sql, [step])
            self._sync(sql)
        statuses = {engine: self.drivers[engine].status(self.names[engine]) for engine in self.created}
        self.tap.drain()
        return self._capture(ORIGINAL, statuses), self._capture(OURS, statuses)

    @staticmethod
    def _execute(sql: psycopg.Connection, statements: list[str]) -> None:
        for statement in statements:
            try:
                sql.execute(statement.encode())
            except psycopg.Error as error:
                raise InvalidCase(str(error)) from None

    def _stop(self, sql: psycopg.Connection) -> None:
        """End both in an orderly way, when all that they published is in their offsets."""
        self._sync(sql)
        self._pump(_OFFSETS_STORED)
        for engine in self.created:
            self.drivers[engine].stop(self.names[engine])
        active = "SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND active"
        self._wait(lambda: not sql.execute(active).fetchone(), "release of the slots")

    def _start(self, sql: psycopg.Connection) -> None:
        for engine in self.created:
            self.drivers[engine].resume(self.names[engine])
        self._wait(lambda: self._streams(sql), "streaming")

    def _pump(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tap.pump(0.05)

    def _streams(self, sql: psycopg.Connection) -> bool:
        query = (
            "SELECT s.slot_name FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid "
            "WHERE s.database = current_database() AND r.state IN ('catchup', 'streaming')"
        )
        streaming = {row[0] for row in sql.execute(query).fetchall()}
        return all(self.names[e] in streaming or e in self.failed for e in self.names)

    def _wait(self, enough: Any, what: str) -> None:
        end = time.monotonic() + _LIMIT
        looked = time.monotonic()
        while time.monotonic() < end:
            self.tap.pump(0.03)
            if enough():
                return
            if time.monotonic() - looked > 0.4:
                looked = time.monotonic()
                self._look_at_states()
        for engine in self.names:
            self.failed.setdefault(engine, f"no {what} within {_LIMIT:g} s")

    def _look_at_states(self) -> None:
        for engine in self.created:
            status = self.drivers[engine].status(self.names[engine])
            for task in (status or {}).get("tasks", []):
                if task["state"] == "FAILED":
                    self.failed.setdefault(engine, task.get("trace") or "failed")

    def _sync(self, sql: psycopg.Connection) -> None:
        """Wait until both have published a marker that is written now."""
        self.marks += 1
        text = f"oracle-marker-{self.marks}"
        with contextlib.suppress(psycopg.Error):
            for row in sql.execute("SELECT pubname FROM pg_publication p WHERE NOT puballtables AND NOT EXISTS "
                                   "(SELECT FROM pg_publication_tables t WHERE t.pubname = p.pubname AND t.schemaname = 'oracle_mark')").fetchall():  # fmt: skip
                sql.execute(f'ALTER PUBLICATION "{row[0]}" ADD TABLE oracle_mark.m')
        sql.execute("INSERT INTO oracle_mark.m VALUES (%s)", [text])
        mark = text.encode()

        def seen() -> bool:
            passed = {m.topic().split(".", 1)[0] for m in self.tap.records if mark in (m.value() or b"") + (m.key() or b"")}
            return all(self.names[e] in passed or e in self.failed for e in self.names)

        self._wait(seen, text)

    def _capture(self, engine: str, statuses: dict[str, Any]) -> dict[str, Any]:
        ours, theirs = self.names[OURS].encode(), self.names[ORIGINAL].encode()
        prefix = f"{self.names[engine]}."
        messages = [_Message(m, ours, theirs) for m in self.tap.records if m.topic().startswith(prefix)]
        out: dict[str, Any] = {"format": 1, "case": {"name": "live", "steps": [], "config": {}}}
        capture.Run.records(SimpleNamespace(tap=SimpleNamespace(records=messages)), out)
        self._topics(engine, out)
        failed = self.failed.get(engine)
        out["status"] = {"connector": "RUNNING", "tasks": ["FAILED" if failed else "RUNNING"]}
        out["trace"] = failed
        return json.loads(json.dumps(out))

    def _topics(self, engine: str, out: dict[str, Any]) -> None:
        name, theirs = self.names[engine], self.names[ORIGINAL]
        mark = "oracle_mark"
        out["topics"] = [
            {"name": n.replace(name, theirs), "partitions": len(t.partitions), "config": {}}
            for n, t in sorted(self.tap.all_topics().items())
            if n.startswith(f"{name}.") and mark not in n and not n.endswith(".m")
        ]

    def clean_up(self) -> None:
        for engine in self.created:
            with contextlib.suppress(RuntimeError):
                self.drivers[engine].stop(self.names[engine])
            with contextlib.suppress(RuntimeError):
                self.drivers[engine].delete(self.names[engine])
        for _ in range(100):
            try:
                self._admin(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{self.database}'")
                break
            except psycopg.Error:
                time.sleep(0.1)
        self._admin(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')
        topics = list(self.tap.all_topics())
        if topics:
            self.tap.adm.delete_topics(topics, operation_timeout=10)
        self.tap.close()
