"""Scenario D's rebalance: a worker of two is killed, or told to end, while a writer updates; the other takes over, and nothing is lost.

The document says of Kafka Connect that after an orderly stop its connectors stay UNASSIGNED. Ours must not.
"""

import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import documents
from processes import records, until

from pycdc.testing.rest import Rest

#: They share the Connect workers.
pytestmark = pytest.mark.xdist_group("connect-rest")

#: Of the workers (session.timeout.ms), seconds: so long a dead one is taken for alive.
SESSION = 6
#: Seconds in which a machine that is busy with other tests moves the work.
MOVE = 8


class Writer(threading.Thread):
    """Five rows, updated one after another; what was committed is kept."""

    def __init__(self, dsn):
        super().__init__()
        self.dsn, self.ended, self.committed = dsn, threading.Event(), 0

    def run(self):
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            conn.execute("INSERT INTO debezium_table SELECT g, 0 FROM generate_series(0, 4) g")
            while not self.ended.wait(0.005):
                self.committed += 1
                conn.execute("UPDATE debezium_table SET current_value = %s WHERE id = %s", [self.committed, self.committed % 5])


@pytest.fixture
def writer(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute(documents.SOURCE_DB)
    made = Writer(postgres_db.dsn)
    made.start()
    yield made
    made.ended.set()
    made.join()


@pytest.fixture
def destination(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        conn.execute(documents.DESTINATION_DB)
        yield conn


@pytest.fixture
def both(connect, writer, postgres_db, target, destination, kafka, names):
    """Source and sink on their workers: (source's worker, other worker), numbers from 1."""
    rest = Rest(connect.urls[0])
    rest.done("POST", "/connectors", documents.source_connector(postgres_db, names, **{"topic.prefix": names.prefix}))
    records(kafka, f"{names.prefix}.public.debezium_table", len)  # a sink looks only every ten seconds for a topic that is not there
    # the group of a sink whose worker was killed has no time to wait for it; the original's would for 45 s
    quick = {"consumer.override.session.timeout.ms": str(SESSION * 1000), "consumer.override.heartbeat.interval.ms": "1000"}
    rest.done("POST", "/connectors", documents.sink_connector(target, names, **quick))
    for name in ("source-connector", "sink-connector"):
        rest.until_state(name, "RUNNING", ["RUNNING"])
    until(lambda: destination.execute("SELECT count(*) FROM debezium_table WHERE current_value > 0").fetchone() == (5,), "nothing arrives")
    at = worker_of(rest, connect, "source-connector")
    return at, 3 - at


def worker_of(rest, connect, name):
    """Number of the worker that has its task."""
    return 1 + [url.removeprefix("http://") for url in connect.urls].index(rest.status(name)["tasks"][0]["worker_id"])


def taken_over(rest, connect, worker, limit):
    """Until everything runs on that worker; after how many seconds, and which states were seen on the way."""
    began, seen = time.monotonic(), set()
    here = connect.urls[worker - 1].removeprefix("http://")

    def moved():
        shown = [status["status"] for status in rest.done("GET", "/connectors?expand=status").values()]
        items = [item for status in shown for item in (status["connector"], *status["tasks"])]
        seen.update(item["state"] for item in items)
        return len(items) == 4 and all((item["state"], item["worker_id"]) == ("RUNNING", here) for item in items)

    until(moved, "the work does not move", limit)
    return time.monotonic() - began, seen


def nothing_is_lost(kafka, names, writer, postgres_db, destination):
    """Each value that was committed stands in the topic, and the copy equals the original."""
    writer.ended.set()
    writer.join()
    last = writer.committed
    topic = f"{names.prefix}.public.debezium_table"
    found = records(kafka, topic, lambda all_: any(value["payload"]["current_value"] == last for _, _, value in all_ if value))
    values = [value["payload"]["current_value"] for _, _, value in found if value]
    first = min(v for v in values if v)
    assert set(range(first, last + 1)) <= set(values), "an update is lost"
    firsts = list(dict.fromkeys(v for v in values if v >= first + 5))
    assert firsts == sorted(firsts), "what is sent again comes behind what was sent"
    with psycopg.connect(postgres_db.dsn) as conn:
        due = conn.execute("SELECT * FROM debezium_table ORDER BY id").fetchall()
    until(lambda: destination.execute("SELECT * FROM debezium_table ORDER BY id").fetchall() == due, "the copy is another", 30)
    return len(values) - len(set(values))


def test_d2_a_killed_worker_is_replaced(connect, both, writer, postgres_db, destination, kafka, names, record_property):
    dead, other = both
    rest = Rest(connect.urls[other - 1])
    connect.kill9(dead)
    before = writer.committed
    took, _ = taken_over(rest, connect, other, SESSION + MOVE)
    record_property("seconds", took)
    until(lambda: writer.committed > before + 50, "the writer stands still")
    record_property("sent_again", nothing_is_lost(kafka, names, writer, postgres_db, destination))


def test_d2_an_orderly_stop_moves_the_work_at_once(connect, both, writer, postgres_db, destination, kafka, names, record_property):
    ending, other = both
    rest = Rest(connect.urls[other - 1])
    connect.term(ending)
    took, seen = taken_over(rest, connect, other, MOVE)
    record_property("seconds", took)
    assert "FAILED" not in seen
    nothing_is_lost(kafka, names, writer, postgres_db, destination)
    # and back, without a minute's wait for whoever has just come
    connect.start(ending)

    def shared():
        shown = rest.done("GET", "/connectors?expand=status").values()
        tasks = [task for status in shown for task in status["status"]["tasks"]]
        return {task["state"] for task in tasks} == {"RUNNING"} and len({task["worker_id"] for task in tasks}) == 2

    until(shared, "the worker that came back is given nothing", SESSION + MOVE)
