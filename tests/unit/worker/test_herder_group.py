"""A worker between its group and its clients: writes wait for a meeting, what it loses ends, and its own end has a limit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from pycdc.runtime.health import Health
from pycdc.runtime.job import Job
from pycdc.telemetry.metrics import SourceMetrics
from pycdc.worker import herder as module
from pycdc.worker.group import Assignment
from pycdc.worker.herder import Herder, NotHere
from pycdc.worker.items import connector_item, task_item
from pycdc.worker.loggers import Loggers
from pycdc.worker.running import Backoff
from pycdc.worker.statuses import State
from pycdc.worker.stores import InMemory

ME, OTHER = "http://me:1", "http://other:1"
CONFIG = {"name": "x", "connector.class": "postgres"}


class Member:
    """`counts`: what the group says of us, one for each question; then that it does."""

    def __init__(self):
        self.counts, self.left, self.meetings, self.task, self.meeting = [], False, 0, None, False

    async def start(self):
        pass

    def meet_again(self):
        self.meetings += 1

    async def confirm(self):
        return self.counts.pop(0) if self.counts else True

    async def leave(self):
        self.left = True


class Launcher:
    def __init__(self, run):
        self.run, self.running = run, 0

    async def look_at(self, _name, _config):
        pass

    def settings_of(self, _name, _config):
        pytest.fail("nothing is divided here")

    @asynccontextmanager
    async def launched(self, _name, _number, _config):
        self.running += 1
        try:
            yield Job(Health("x"), SourceMetrics("x"), self.run, topics=dict, begun=lambda: True, position=lambda: 0, behind=lambda: False)
        finally:
            self.running -= 1


async def until_stopped(stop):
    await stop.wait()


async def never_stopping(_stop):
    await asyncio.get_running_loop().create_future()


class Worker:
    def __init__(self, run=until_stopped):
        self.member, self.launcher = Member(), Launcher(run)
        self.herder = Herder(ME, "me:1", InMemory, InMemory, self.launcher, Loggers(), Backoff())  # type: ignore[arg-type]
        self.party = self.herder.party()

    async def meets(self, generation, *items, leader=ME):
        work = sorted({*items, connector_item("x")})
        found = Assignment(list(items), leader, work, dict.fromkeys(items, ME), [ME, OTHER])
        await self.party.given(msgspec.json.encode(found), generation=generation, leads=leader == ME)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_LEADER_LIMIT", 0.3)
    monkeypatch.setattr(module, "_HAND_OVER_LIMIT", 0.1)


@asynccontextmanager
async def started(run=until_stopped):
    worker = Worker(run)
    await worker.herder.start(worker.member)
    try:
        yield worker
    finally:
        await worker.herder.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # anything may make it true
            await asyncio.sleep(0)


async def test_a_write_waits_until_the_group_has_met():
    async with started() as worker:
        creating = asyncio.create_task(worker.herder.create("x", CONFIG, None))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not creating.done()
        await worker.meets(1)
        await creating
        assert worker.herder.configs.connectors == {"x": CONFIG}


async def test_a_write_is_refused_when_nobody_leads():
    async with started() as worker:
        with pytest.raises(NotHere) as caught:
            await worker.herder.create("x", CONFIG, None)
        assert caught.value.url is None


async def test_a_write_that_falls_into_a_meeting_is_done_behind_it():
    async with started() as worker:
        await worker.meets(1)
        worker.member.counts = [False]
        creating = asyncio.create_task(worker.herder.create("x", CONFIG, None))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not creating.done()
        await worker.meets(2)
        await creating


async def test_behind_a_meeting_another_may_lead():
    async with started() as worker:
        await worker.meets(1)
        worker.member.counts = [False]
        creating = asyncio.create_task(worker.herder.create("x", CONFIG, None))
        for _ in range(20):
            await asyncio.sleep(0)
        await worker.meets(2, leader=OTHER)
        with pytest.raises(NotHere) as caught:
            await creating
        assert caught.value.url == OTHER
        assert worker.herder.configs.connectors == {}


async def test_a_leader_that_the_group_has_forgotten_writes_nothing():
    async with started() as worker:
        await worker.meets(1)
        worker.member.counts = [False] * 5
        with pytest.raises(NotHere) as caught:
            await worker.herder.create("x", CONFIG, None)
        assert caught.value.url is None
        assert worker.herder.configs.connectors == {}


async def running(worker):
    await worker.meets(1)
    await worker.herder.create("x", CONFIG, None)
    await worker.meets(2, connector_item("x"))
    await until(lambda: worker.herder.configs.tasks.get("x"))
    await worker.meets(3, connector_item("x"), task_item("x", 0))
    await until(lambda: worker.launcher.running == 1)


async def test_what_goes_to_another_ends_and_says_so():
    async with started() as worker:
        await running(worker)
        meetings = worker.member.meetings
        await worker.meets(4, connector_item("x"))
        await until(lambda: worker.herder.known.tasks["x"][0].state is State.UNASSIGNED)
        assert worker.launcher.running == 0
        await until(lambda: worker.member.meetings > meetings)


async def test_what_is_lost_ends_and_says_nothing():
    async with started(never_stopping) as worker:
        await running(worker)
        before = worker.herder.known.tasks["x"][0]
        await worker.party.lost()
        assert worker.launcher.running == 0
        assert worker.herder.known.tasks["x"][0] == before
        await worker.meets(5, connector_item("x"), task_item("x", 0))
        await until(lambda: worker.launcher.running == 1)


async def test_a_worker_that_ends_hands_all_over():
    async with started() as worker:
        await running(worker)
    assert worker.launcher.running == 0
    assert worker.member.left
    assert worker.herder.known.tasks["x"][0].state is State.UNASSIGNED


async def test_a_worker_that_ends_does_not_wait_long_for_what_does_not():
    """Or it would be killed before it has left the group, and the others waited for its session to end."""
    async with started(never_stopping) as worker:
        await running(worker)
    assert worker.launcher.running == 0
    assert worker.member.left


async def test_a_worker_starts_again_behind_a_start_that_failed():
    """Its brokers went away between two of its topics."""
    worker = Worker()
    for _ in range(2):
        await worker.herder.start(worker.member)
        await worker.meets(1)
        await worker.herder.stop()
    await worker.herder.start(worker.member)
    await worker.meets(1)
    await worker.herder.create("x", CONFIG, None)
    await worker.herder.stop()
