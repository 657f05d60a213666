"""Recorded REST sessions of the real Kafka Connect, replayed against our workers.

Two workers serve most sessions; those that kill workers, leave something behind or need other settings have their
own. PYCDC_COMPAT_ORIGINAL in the environment replays them against the real Kafka Connect, which proves the harness.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager

import pytest
import rest_listed
from rest_capture import GOLDEN, load, names
from rest_steps import Session
from rest_workers import ORIGINAL, Cluster

#: One after another on one pytest worker: they share the Connect workers. A condition of a session may take 45 s.
pytestmark = [pytest.mark.xdist_group("connect-rest"), pytest.mark.timeout(600)]

IMPOSSIBLE = {"file": "pycdc has no FileStream connectors", "mirror": "pycdc has no MirrorMaker"}
#: Lost work waits as long as in the captures.
DELAY = {"scheduled.rebalance.max.delay.ms": "20000"}
#: Sessions with workers of their own: how many, and settings that the capture does not name.
OWN = {
    "cluster/kill": (2, DELAY),
    "cluster/term": (2, DELAY),
    "cluster/loggers": (2, {}),  # levels stay
    "cluster/names_stuck": (1, {}),  # so do its connectors
    "cluster/worker_strict": (1, {}),
}
LISTED = {} if ORIGINAL in os.environ else rest_listed.rows()


@contextmanager
def running(folder, bootstrap, group, size, settings):
    cluster = Cluster(folder, bootstrap, group, size, settings)
    try:
        cluster.revive()
        yield cluster
    finally:
        faults = cluster.stop()
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def shared_workers(stack, tmp_path_factory):
    """A cluster of two for all sessions that leave it as it was."""
    with running(tmp_path_factory.mktemp("connect"), stack.kafka, "rest-shared", 2, {}) as cluster:
        yield cluster


@pytest.fixture
def workers(request, capture, stack, tmp_path):
    """The cluster of a session, all of it alive."""
    if capture.name in OWN:
        size, settings = OWN[capture.name]
        with running(tmp_path, stack.kafka, f"rest-{capture.name.partition('/')[2]}", size, {**settings, **capture.worker}) as cluster:
            yield cluster
        return
    cluster = request.getfixturevalue("shared_workers")
    cluster.revive()  # whoever killed it has failed already
    yield cluster


@pytest.fixture
def capture(request):
    found = load(GOLDEN / f"{request.param}.json")
    for need in sorted(found.needs & IMPOSSIBLE.keys()):
        pytest.skip(IMPOSSIBLE[need])
    return found


@pytest.fixture
def session(capture, workers, postgres_db, stack):
    values = {
        "N": f"cap{hashlib.sha256(capture.name.encode()).hexdigest()[:8]}", "DB": postgres_db.dbname, "PG_HOST": stack.pg_host,
        "PG_PORT": str(stack.pg_port), "KAFKA": stack.kafka,
    }  # fmt: skip
    session = Session(workers.urls, values, postgres_db.dsn, workers)
    yield session
    session.clean()


@pytest.mark.parametrize("capture", names(), indirect=True)
def test_rest_session_equals_kafka_connect(capture, session, workers, record_property):
    def points(at, here):
        return rest_listed.judged(LISTED.get((capture.name, at)), capture.steps[at], capture.answers[at], here, soft=capture.soft)

    listed = {at for name, at in LISTED if name == capture.name}
    answers = session.run(capture, lambda at, here: not points(at, here), listed)
    wrong = {at: found for at, here in enumerate(answers) if here is not None and (found := points(at, here))}
    ended = workers.revive()
    equal = f"{capture.recorded - len(wrong)} of {capture.recorded} answers equal"
    record_property("equal_answers", equal)
    lines = [f"[{at}] {told(capture.steps[at])}\n" + "\n".join(f"      {point}" for point in found[:15]) for at, found in wrong.items()]
    assert not wrong, "\n".join([equal, *session.notes, *lines, *workers.logs])
    assert not ended, f"a worker ended by itself: {ended}, {workers.logs}"


def told(step):
    return f"{step['m']} {step['p']} {step.get('q', '')} {json.dumps(step['b'])[:120] if 'b' in step else ''}"
