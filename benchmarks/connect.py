"""The worker itself, not what it moves: its start, its size, its REST API, a hundred idle connectors, and who takes over.

Each figure is taken of the real Kafka Connect and of pycdc one after the other, with the same worker.properties.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, TopicPartition
from engines import usage
from workers import Original, Ours, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run import Bench

KINDS: Final[tuple[type[Worker], ...]] = (Original, Ours)
#: Of the PostgreSQL: Debezium has two connections for each connector.
SETTINGS: Final = {"max_replication_slots": "150", "max_wal_senders": "150", "max_connections": "450"}
ABOUT: Final = "Connect workers of one run, each figure of both with the same worker.properties (session.timeout.ms=6000); made by `run.py --only connect`."

STARTS: Final = 5
CREATIONS: Final = 10
IDLE: Final = 100
ASKING: Final = 16
#: Seconds: rest before a process is looked at; a look at idleness; asking for states.
REST, IDLE_LOOK, ASK = 5.0, 30.0, 10.0
#: Seconds between two looks at a state.
LOOK: Final = 0.005
LIMIT: Final = 300.0


def measure(bench: Bench, rounds: int, idle: int = IDLE) -> None:
    parts: list[Callable[[type[Worker]], None]] = [
        lambda kind: start(bench, kind), lambda kind: creation(bench, kind, 1), lambda kind: creation(bench, kind, 2),
        lambda kind: states(bench, kind), lambda kind: hundred(bench, kind, idle), lambda kind: takeover(bench, kind),
    ]  # fmt: skip
    for _ in range(rounds):
        for part in parts:  # the two of a figure as close to each other as can be: what else the machine does changes
            for kind in KINDS:
                part(kind)


@contextlib.contextmanager
def cluster(bench: Bench, kind: type[Worker], size: int = 1) -> Iterator[list[Worker]]:
    """A group of its own, up and answering; killed at the end."""
    bench.number += 1
    group = f"connect{bench.number}"
    workers = [kind(bench.folder / f"{group}-{n}", bench.kafka.bootstrap, group) for n in range(size)]
    try:
        for worker in workers:
            worker.spawn()
            worker.answers("/health")
            worker.answers("/connectors")
        yield workers
    finally:
        for worker in workers:
            worker.end()


def resident(pid: int) -> float:
    """MiB in memory now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def proportional(pid: int) -> float:
    """MiB, pages that others have too by their share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


# ---- start and size


def start(bench: Bench, kind: type[Worker]) -> None:
    """The topics are there already, as they are whenever a worker is started again."""
    with cluster(bench, kind) as (worker,):
        for _ in range(STARTS):
            worker.end()
            worker.spawn()
            healthy: list[float] = []
            beside = threading.Thread(target=lambda: healthy.append(worker.answers("/health")))  # noqa: B023  # joined below
            beside.start()
            bench.note("worker: start to GET /connectors: s", kind.name, worker.answers("/connectors"))
            beside.join()
            bench.note("worker: start to GET /health: s", kind.name, healthy[0])
        time.sleep(REST)
        bench.note("worker, idle, no connector: RSS MiB", kind.name, resident(worker.pid))
        bench.note("worker, idle, no connector: PSS MiB", kind.name, proportional(worker.pid))


# ---- REST


def running(worker: Worker, name: str) -> str:
    """Worker id of the one that runs its task."""
    end = time.perf_counter() + LIMIT
    while time.perf_counter() < end:
        if found := worker.runs(name):
            return found
        time.sleep(LOOK)
    raise TimeoutError(f"{worker.name}: {name} does not run")


def creation(bench: Bench, kind: type[Worker], size: int) -> None:
    """From the POST to RUNNING, each time at another worker of the group."""
    label = "a worker alone" if size == 1 else f"a group of {size}"
    with cluster(bench, kind, size) as workers:
        for turn in range(CREATIONS + 1):
            worker = workers[turn % size]
            name, _ = bench.fresh(1)
            config = bench.config(name, **{"snapshot.mode": "no_data"})
            asked = time.perf_counter()
            worker.create(name, config)
            running(worker, name)
            took = time.perf_counter() - asked
            if turn:  # the first one loads what the others find loaded
                bench.note(f"POST to RUNNING, {label}: ms", kind.name, took * 1000)
            else:
                bench.note(f"POST to RUNNING, {label}, the first since its start: ms", kind.name, took * 1000)
            bench.streaming(name)  # one that is ended before that is no measure of the next
            worker.delete(name)
            bench.drop(name)


def states(bench: Bench, kind: type[Worker]) -> None:
    """GET /connectors/X/status over kept connections, as often as the worker can."""
    with cluster(bench, kind) as (worker,):
        name, _ = bench.fresh(1)
        worker.create(name, bench.config(name, **{"snapshot.mode": "no_data"}))
        running(worker, name)
        command = [sys.executable, str(Path(__file__).parent / "keep_asking.py"), "127.0.0.1", str(worker.port), f"/connectors/{name}/status", str(ASKING)]
        subprocess.run([*command, str(ASK)], check=True, stdout=subprocess.DEVNULL)  # the JVM's compiler has seen the code
        before, _ = usage(worker.pid)
        asked = time.perf_counter()
        found = json.loads(subprocess.run([*command, str(ASK)], check=True, capture_output=True).stdout)
        took = time.perf_counter() - asked
        bench.note("GET status, per second", kind.name, found["answers"])
        bench.note("GET status: CPU of the worker, cores", kind.name, (usage(worker.pid)[0] - before) / took)
        bench.note("GET status: CPU of the client, cores", kind.name, found["cpu"])
        worker.delete(name)
        bench.drop(name)


# ---- a hundred


def hundred(bench: Bench, kind: type[Worker], count: int) -> None:
    """So many connectors, each with a database and a slot, none with anything to do."""
    with cluster(bench, kind) as (worker,):
        names = [bench.fresh(1)[0] for _ in range(count)]
        asked = time.perf_counter()
        for name in names:
            worker.create(name, bench.config(name, **{"snapshot.mode": "no_data"}))
        for name in names:
            running(worker, name)
        bench.note(f"{count} connectors: first POST to all RUNNING: s", kind.name, time.perf_counter() - asked)
        for name in names:
            bench.streaming(name)
        time.sleep(2 * REST)
        before, _ = usage(worker.pid)
        time.sleep(IDLE_LOOK)
        after, peak = usage(worker.pid)
        bench.note(f"{count} idle connectors: CPU, % of a core", kind.name, (after - before) / IDLE_LOOK * 100)
        bench.note(f"{count} idle connectors: RSS MiB", kind.name, resident(worker.pid))
        bench.note(f"{count} idle connectors: PSS MiB", kind.name, proportional(worker.pid))
        bench.note(f"{count} idle connectors: peak RSS MiB", kind.name, peak)
        worker.end(signal.SIGKILL)
        bench.drop(*names)


# ---- who takes over


class Writer:
    """One row every few ms, each its own transaction, until it is told to stop."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._bench, self._name = bench, name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        with self._bench.sql(self._name) as sql:
            while not self._stop.wait(0.005):
                self._bench.insert(sql, 1)

    def stop(self) -> set[int]:
        """What it has written, by id."""
        self._stop.set()
        self._thread.join()
        with self._bench.sql(self._name) as sql:
            return {row[0] for row in sql.execute("SELECT id FROM orders")}


def takeover(bench: Bench, kind: type[Worker]) -> None:
    """kill -9 of the worker that has the connector, under load: how long the topic got nothing, and whether all came."""
    with cluster(bench, kind, 2) as workers:
        name, topic = bench.fresh(1, **{"message.timestamp.type": "LogAppendTime"})
        workers[0].create(name, bench.config(name, **{"snapshot.mode": "no_data"}))
        owner = running(workers[0], name)
        bench.streaming(name)
        victim, other = sorted(workers, key=lambda w: not owner.endswith(f":{w.port}"))
        writer = Writer(bench, name)
        time.sleep(REST)
        killed = time.time()
        victim.end(signal.SIGKILL)
        while running(other, name) == owner:
            time.sleep(LOOK)
        time.sleep(REST)
        written = writer.stop()
        records = arrived(bench, topic, written)
        times = [at for at, _ in records]
        gaps = [b - a for a, b in itertools.pairwise(times) if b > killed * 1000]
        bench.note("kill -9 of the busy worker: longest gap in the topic, s", kind.name, max(gaps) / 1000)
        bench.note("kill -9 of the busy worker: rows lost", kind.name, len(written - {i for _, i in records}))
        bench.note("kill -9 of the busy worker: rows twice", kind.name, len(records) - len({i for _, i in records}))
        other.delete(name)
        bench.drop(name)


def arrived(bench: Bench, topic: str, wanted: set[int]) -> list[tuple[int, int]]:
    """When the broker took each record (ms since 1970) and its row's id; when all `wanted` are there, or none came for a while."""
    consumer = Consumer({"bootstrap.servers": bench.kafka.bootstrap, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[int, int]] = []
    missing, quiet = set(wanted), time.monotonic() + 30
    while time.monotonic() < quiet and (missing or time.monotonic() < quiet - 27):
        for message in consumer.consume(1000, 0.5):
            row = int(json.loads(message.key())["id"])
            found.append((message.timestamp()[1], row))
            missing.discard(row)
            quiet = time.monotonic() + 30
    consumer.close()
    return found
