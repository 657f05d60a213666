"""What is told of running tasks without asking them: the topics they use, and that they do not get on."""

import asyncio

import pytest

from pycdc.runtime.health import Health
from pycdc.runtime.job import Job
from pycdc.telemetry.metrics import SourceMetrics
from pycdc.worker import watch
from pycdc.worker.configs import Configs, Target
from pycdc.worker.running import Backoff, RunningTask, Wish
from pycdc.worker.statuses import State
from pycdc.worker.watch import Watch


class Statuses:
    def __init__(self):
        self.topics = []

    async def used(self, topic):
        self.topics.append((topic.name, topic.connector, topic.task))


class Herder:
    def __init__(self, task):
        self.held = {"2/c": task}
        self.statuses = Statuses()


class Doing:
    """A task that does as it is told."""

    def __init__(self):
        self.records, self.place, self.work = {}, 0, False
        self.health = Health("c")
        self.told = []
        job = Job(
            self.health, SourceMetrics("c"), self._run, topics=lambda: self.records, begun=lambda: True, position=lambda: self.place,
            behind=lambda: self.work,
        )  # fmt: skip
        self.task = RunningTask(Wish({}, Target.STARTED), self._tell, None, Backoff(), None)
        self.task.job, self.task.state = job, State.RUNNING

    async def _run(self, stop):
        await stop.wait()

    async def _tell(self, state, trace):
        self.told.append((state, trace))


@pytest.fixture
def looked(monkeypatch):
    """Lets the watch look so often, each look `seconds` behind the last."""
    clock = [100.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])

    async def look(watching, times, seconds=0.0):
        looks = 0

        async def pause(_seconds):
            nonlocal looks
            looks += 1
            clock[0] += seconds
            if looks > times:
                raise asyncio.CancelledError

        monkeypatch.setattr(watch.asyncio, "sleep", pause)
        with pytest.raises(asyncio.CancelledError):
            await watching.run()

    return look


async def test_a_topic_is_told_again_when_it_was_forgotten_and_is_used(looked):
    doing = Doing()
    herder = Herder(doing.task)
    watching = Watch(herder, stall_limit=60, track_topics=True)
    doing.records = {"a": 3}
    await looked(watching, 2)
    assert herder.statuses.topics == [("a", "c", 2)]
    doing.records = {"a": 4, "b": 1}
    await looked(watching, 2)
    assert herder.statuses.topics == [("a", "c", 2), ("a", "c", 2), ("b", "c", 2)]


async def test_topics_are_not_tracked_when_that_is_off(looked):
    doing = Doing()
    doing.records = {"a": 3}
    herder = Herder(doing.task)
    await looked(Watch(herder, stall_limit=60, track_topics=False), 3)
    assert herder.statuses.topics == []


async def test_one_that_has_work_and_does_not_move_is_stalled_until_it_moves(looked):
    doing = Doing()
    doing.work = True
    watching = Watch(Herder(doing.task), stall_limit=60, track_topics=True)
    await looked(watching, 3, seconds=25)
    assert doing.told == []
    await looked(watching, 3, seconds=25)
    assert [state for state, _ in doing.told] == [State.RUNNING]
    assert doing.told[0][1].startswith("stalled: ")
    assert doing.health.stalled > 60
    doing.place = 1
    await looked(watching, 2, seconds=1)
    assert doing.told[1:] == [(State.RUNNING, None)]
    assert doing.health.stalled == 0


async def test_an_idle_one_is_not_stalled(looked):
    doing = Doing()
    await looked(Watch(Herder(doing.task), stall_limit=60, track_topics=True), 10, seconds=100)
    assert doing.told == []


async def test_what_it_waits_for_is_the_trace_of_its_state(looked):
    doing = Doing()
    watching = Watch(Herder(doing.task), stall_limit=60, track_topics=True)
    doing.health.last_error = "cannot reach PostgreSQL"
    await looked(watching, 3)
    assert doing.told == [(State.RUNNING, "it is waiting, and goes on by itself:\ncannot reach PostgreSQL")]
    doing.health.last_error = ""
    await looked(watching, 3)
    assert doing.told[1:] == [(State.RUNNING, None)]


async def test_what_a_task_did_behind_the_last_look_is_told_when_it_ends():
    doing = Doing()
    herder = Herder(doing.task)
    herder.configs = Configs()
    herder.configs.connectors["c"] = {}
    Watch(herder, stall_limit=60, track_topics=True)
    doing.records = {"a": 3}
    await herder.seen_off("2/c", doing.task.job)
    assert herder.statuses.topics == [("a", "c", 2)]
    del herder.configs.connectors["c"]
    await herder.seen_off("2/c", doing.task.job)
    assert len(herder.statuses.topics) == 1, "a deleted connector is forgotten"
