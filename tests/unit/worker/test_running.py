"""A connector and a task that a worker has: the states that it tells, in order, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from pycdc.errors import ConfigError, Fault, ProducerFenced, PycdcError, ServerError
from pycdc.runtime.health import Health
from pycdc.runtime.job import Job
from pycdc.telemetry.metrics import SourceMetrics
from pycdc.worker import running
from pycdc.worker.configs import Target
from pycdc.worker.running import Backoff, RunningConnector, RunningTask, Wish, trace_of

CONFIG = {"name": "x"}
OTHER = {"name": "x", "a": "1"}
#: Restarts at once, and for ever.
QUICK = Backoff(0.0, 0.0, -1)
#: A pause that no test waits for.
LONG = Backoff(3600.0, 3600.0, -1)


def wish(config=CONFIG, target=Target.STARTED):
    return Wish(config, target)


class Told:
    """What was told, as words; a trace's first line behind a colon."""

    def __init__(self):
        self.words, self.traces = [], []
        #: Raised instead, one for each telling.
        self.refused: list[Exception | None] = []

    async def __call__(self, state, trace):
        if self.refused and (error := self.refused.pop(0)) is not None:
            raise error
        self.words.append(str(state))
        self.traces.append(trace)
        await asyncio.sleep(0)

    async def until(self, *words):
        await until(lambda: self.words == list(words), lambda: self.words)


async def until(condition: Callable[[], object], shown: Callable[[], object] = lambda: "", limit=5.0):
    try:
        async with asyncio.timeout(limit):
            while not condition():  # noqa: ASYNC110  # anything may make it true
                await asyncio.sleep(0)
    except TimeoutError:
        pytest.fail(f"it does not come to this: {shown()}")


async def unseen(_job):
    """Nobody watches."""


async def settled():
    """Whatever can happen by itself has happened: nothing here waits for a clock."""
    for _ in range(50):
        await asyncio.sleep(0)


class Launches:
    """Jobs on demand. `runs`: what each does, in order; the last one for all that follow."""

    def __init__(self, *runs, enter=None, leave=None):
        self.runs = list(runs) or [until_stopped]
        self.configs, self.left = [], 0
        self.enter, self.leave = enter, leave

    @asynccontextmanager
    async def __call__(self, config):
        self.configs.append(dict(config))
        if self.enter is not None:
            await self.enter(len(self.configs))
        run = self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]
        try:
            yield Job(Health("x"), SourceMetrics("x"), run, topics=dict, begun=lambda: not getattr(run, "fails", False), position=lambda: 0, behind=lambda: False)
        finally:
            self.left += 1
            if self.leave is not None:
                await self.leave()


async def until_stopped(stop):
    await stop.wait()


async def until_done(_stop):
    return


def failing(error):
    async def run(_stop):
        raise error

    run.fails = True
    return run


@pytest.fixture
def told():
    return Told()


@asynccontextmanager
async def task_of(told, launches, backoff=LONG, first=None):
    task = RunningTask(first or wish(), told, launches, backoff, unseen)
    task.begin(connector="x", task="0")
    try:
        yield task
    finally:
        await task.abandon()


# ---- tasks


async def test_a_task_starts_and_ends_in_order(told):
    ended = []

    async def run(stop):
        await stop.wait()
        ended.append("last batch")

    launches = Launches(run)
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        assert task.job is not None
        await task.give_up()
        assert ended == ["last batch"]
        assert launches.left == 1
        assert task.job is None
    assert told.words == ["RUNNING"], "its end is told by whoever knows why"


async def test_pause_and_resume(told):
    launches = Launches()
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        task.wish(wish(target=Target.PAUSED))
        await told.until("RUNNING", "PAUSED")
        assert launches.left == 1
        task.wish(wish())
        await told.until("RUNNING", "PAUSED", "RUNNING")


async def test_the_same_wish_is_no_reason_to_begin_anew(told):
    launches = Launches()
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        task.wish(wish())
        await settled()
        assert launches.configs == [CONFIG]


async def test_another_configuration_begins_anew_with_it(told):
    launches = Launches()
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        task.wish(wish(OTHER))
        await told.until("RUNNING", "RUNNING")
        assert launches.configs == [CONFIG, OTHER]


@pytest.mark.parametrize(("announced", "words"), [(False, ["UNASSIGNED"]), (True, ["UNASSIGNED", "RESTARTING"])])
async def test_restart(told, announced, words):
    async with task_of(told, Launches()) as task:
        await told.until("RUNNING")
        task.restart(announced=announced)
        await told.until("RUNNING", *words, "RUNNING")


async def test_a_restart_that_is_asked_for_while_one_is_told_counts_too(told):
    launches = Launches()
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        task.restart(announced=True)
        await until(lambda: told.words[-1] == "RESTARTING")
        task.restart()
        await told.until("RUNNING", "UNASSIGNED", "RESTARTING", "RUNNING", "UNASSIGNED", "RUNNING")


async def test_a_failed_task_is_restarted_behind_its_pause(told):
    launches = Launches(failing(ServerError("no", cause="disk full")), until_stopped)
    async with task_of(told, launches, QUICK) as task:
        await told.until("FAILED", "RUNNING")
        assert "pycdc.errors.ServerError: no\n  cause: disk full" in told.traces[0]
        assert "it is restarted in 0 s" in told.traces[0]
        assert (task.failures, task.restarts) == (1, 1)


async def test_restarts_have_a_limit(told):
    launches = Launches(failing(ServerError("no")))
    async with task_of(told, launches, Backoff(0.0, 0.0, 2)) as task:
        await told.until("FAILED", "FAILED", "FAILED")
        await settled()
        assert len(launches.configs) == 3
        assert "restarted" not in told.traces[-1]
        task.restart()
        await told.until(*["FAILED"] * 3, "UNASSIGNED", *["FAILED"] * 3)


@pytest.mark.parametrize("error", [ConfigError(faults=(Fault("a", "is wrong"),)), ProducerFenced("another has it")])
async def test_what_no_restart_mends_is_left_as_it_is(told, error):
    launches = Launches(failing(error))
    async with task_of(told, launches, QUICK):
        await told.until("FAILED")
        await settled()
        assert len(launches.configs) == 1


async def test_another_configuration_ends_the_pause(told):
    launches = Launches(failing(ServerError("no")), until_stopped)
    async with task_of(told, launches) as task:
        await told.until("FAILED")
        task.wish(wish(OTHER))
        await told.until("FAILED", "RUNNING")
        assert launches.configs == [CONFIG, OTHER]
        assert task.failures == 0


async def test_a_failed_task_that_is_paused_waits_without_looking_at_the_clock(told, monkeypatch):
    """Once its time had come, it looked again and again."""
    launches = Launches(failing(ServerError("no")), until_stopped)
    async with task_of(told, launches, Backoff(0.05, 0.05, -1)) as task:
        await told.until("FAILED")
        task.wish(wish(target=Target.PAUSED))
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.call_later(0.1, over.set_result, None)
        await over
        looks = []
        monotonic = running.time.monotonic
        monkeypatch.setattr(running.time, "monotonic", lambda: looks.append(1) or monotonic())
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(looks) < 10
        assert launches.configs == [CONFIG], "a paused task is not restarted"
        task.wish(wish())
        await told.until("FAILED", "RUNNING")


async def test_what_fails_before_it_runs_has_failed(told):
    async def enter(time):
        if time == 1:
            raise ConfigError("wrong", faults=(Fault("database.password", "the file /s has no key p", "${file:/s:p}"),))

    async with task_of(told, Launches(enter=enter)) as task:
        await told.until("FAILED")
        assert "${file:/s:p}" in told.traces[0]
        task.restart()
        await told.until("FAILED", "UNASSIGNED", "RUNNING")


async def test_what_fails_behind_its_run_has_failed(told):
    async def leave():
        raise ServerError("cannot be closed")

    async with task_of(told, Launches(failing(ServerError("first")), leave=leave)):
        await told.until("FAILED")
        assert "cannot be closed" in told.traces[0]


async def test_an_error_that_nobody_foresaw_shows_places_and_no_text(told):
    async with task_of(told, Launches(failing(KeyError("a row's value")))):
        await told.until("FAILED")
        assert told.traces[0].startswith("builtins.KeyError: internal error\n\tat ")
        assert "a row's value" not in told.traces[0]


async def test_a_task_that_cancels_itself_has_failed(told):
    async with task_of(told, Launches(failing(asyncio.CancelledError()), until_stopped)) as task:
        await until(lambda: "FAILED" in told.words)
        assert "cancelled from within" in told.traces[-1]
        task.restart()
        await until(lambda: told.words[-2:] == ["UNASSIGNED", "RUNNING"])


async def test_all_that_there_was_is_read_and_it_stays_running(told):
    launches = Launches(until_done)
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        await settled()
        assert launches.left == 0
        task.wish(wish(target=Target.PAUSED))
        await told.until("RUNNING", "PAUSED")


async def test_a_state_that_cannot_be_stored_ends_nothing_and_is_told_later(told):
    told.refused = [ServerError("Kafka is away"), RuntimeError("nobody foresaw it")]
    async with task_of(told, Launches()) as task:
        await until(lambda: task.is_unknown)
        assert told.words == []
        assert task.job is not None, "it runs"
        await task.say_what_is_unknown()
        assert task.is_unknown
        await task.say_what_is_unknown()
        assert told.words == ["RUNNING"]
        await task.say_what_is_unknown()
        assert told.words == ["RUNNING"]
        task.wish(wish(target=Target.PAUSED))
        await told.until("RUNNING", "PAUSED")


async def test_trouble_is_told_with_the_state_that_it_has(told):
    async with task_of(told, Launches()) as task:
        await told.until("RUNNING")
        await task.say_again("stalled")
        await task.say_again(None)
        assert (told.words, told.traces) == (["RUNNING"] * 3, [None, "stalled", None])


async def test_a_task_that_is_abandoned_is_not_waited_for(told):
    async def run(_stop):
        await asyncio.get_running_loop().create_future()

    launches = Launches(run)
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        await task.abandon()
        assert launches.left == 1
        await task.abandon()
        assert told.words == ["RUNNING"]


async def test_a_task_that_does_not_stop_is_cut_off(told, monkeypatch):
    monkeypatch.setattr(running, "_STOP_LIMIT", 0.01)

    async def run(_stop):
        await asyncio.get_running_loop().create_future()

    launches = Launches(run, until_stopped)
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        task.wish(wish(OTHER))
        await told.until("RUNNING", "RUNNING")
        assert launches.configs == [CONFIG, OTHER]


async def test_who_is_cancelled_while_giving_up_gets_through_and_leaves_nothing(told):
    async def run(_stop):
        await asyncio.get_running_loop().create_future()

    launches = Launches(run)
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        giving_up = asyncio.create_task(task.give_up())
        await settled()
        giving_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await giving_up
        assert launches.left == 1


async def test_an_error_while_it_is_stopped_keeps_nobody(told):
    async def run(stop):
        await stop.wait()
        raise ServerError("the last batch is not there")

    async with task_of(told, Launches(run, until_stopped)) as task:
        await told.until("RUNNING")
        task.wish(wish(OTHER))
        await told.until("RUNNING", "RUNNING")
        await task.give_up()


async def test_a_task_that_tries_for_long_runs(told, monkeypatch):
    """It had no state at all for as long as its target was away."""
    monkeypatch.setattr(running, "_BEGIN_LIMIT", 0.05)

    async def run(stop):
        await stop.wait()

    run.fails = True
    async with task_of(told, Launches(run)):
        await told.until("RUNNING")


async def test_giving_up_before_it_began_ends_it(told):
    async def enter(_time):
        await asyncio.get_running_loop().create_future()

    async with task_of(told, Launches(enter=enter)) as task:
        await settled()
        await task.give_up()
    assert told.words == []


async def test_restarting_while_it_stops(told):
    """One more beginning is enough for both."""
    stopping, go_on = asyncio.Event(), asyncio.Event()

    async def run(stop):
        await stop.wait()
        stopping.set()
        await go_on.wait()

    launches = Launches(run, until_stopped)
    async with task_of(told, launches) as task:
        await told.until("RUNNING")
        task.wish(wish(OTHER))
        await stopping.wait()
        task.restart()
        go_on.set()
        await told.until("RUNNING", "UNASSIGNED", "RUNNING")
        await settled()
        assert launches.configs == [CONFIG, OTHER]


# ---- connectors


class Looks:
    def __init__(self, *errors):
        self.errors, self.configs = list(errors), []
        self.gate: asyncio.Event | None = None

    async def __call__(self, config):
        self.configs.append(dict(config))
        if self.gate is not None:
            await self.gate.wait()
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error


@asynccontextmanager
async def connector_of(told, looks, first=None):
    connector = RunningConnector(first or wish(), told, looks)
    connector.begin(connector="x")
    try:
        yield connector
    finally:
        await connector.give_up()


async def test_a_connector_is_looked_at_once_however_often_it_is_paused(told):
    looks = Looks()
    async with connector_of(told, looks) as connector:
        await told.until("RUNNING")
        connector.wish(wish(target=Target.PAUSED))
        await told.until("RUNNING", "PAUSED")
        connector.wish(wish())
        await told.until("RUNNING", "PAUSED", "RUNNING")
        assert looks.configs == [CONFIG]
        connector.wish(wish(target=Target.STOPPED))
        await told.until("RUNNING", "PAUSED", "RUNNING", "STOPPED")
        connector.wish(wish())
        await told.until("RUNNING", "PAUSED", "RUNNING", "STOPPED", "RUNNING")
        assert looks.configs == [CONFIG, CONFIG]


@pytest.mark.parametrize("error", [PycdcError("no"), KeyError("third party")])
async def test_a_connector_that_does_not_come_up(told, error):
    looks = Looks(error, error)
    async with connector_of(told, looks) as connector:
        await told.until("FAILED")
        assert await connector.restarted(5) is False
        assert await connector.restarted(5) is True
        assert told.words == ["FAILED", "UNASSIGNED", "FAILED", "UNASSIGNED", "RUNNING"]


async def test_the_answer_to_a_restart_is_of_that_restart(told):
    """Not of the look that was under way."""
    looks = Looks(None, PycdcError("no"))
    looks.gate = asyncio.Event()
    async with connector_of(told, looks) as connector:
        await until(lambda: looks.configs)
        restarted = asyncio.create_task(connector.restarted(5))
        await settled()
        looks.gate.set()
        assert await restarted is False
        assert told.words == ["RUNNING", "UNASSIGNED", "FAILED"]


async def test_a_restart_of_what_goes_to_another_worker_has_not_happened(told):
    looks = Looks()
    async with connector_of(told, looks) as connector:
        await told.until("RUNNING")
        looks.gate = asyncio.Event()
        restarted = asyncio.create_task(connector.restarted(60))
        await until(lambda: len(looks.configs) == 2)
        await connector.give_up()
        assert await restarted is False


async def test_a_restart_that_takes_too_long(told):
    looks = Looks()
    async with connector_of(told, looks) as connector:
        await told.until("RUNNING")
        looks.gate = asyncio.Event()
        with pytest.raises(TimeoutError):
            await connector.restarted(0.01)


# ---- pauses


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(10.0, 300.0, 10)
    assert [backoff.pause(n) for n in (1, 2, 3, 5, 6, 10)] == [10, 20, 40, 160, 300, 300]
    assert backoff.pause(11) is None
    assert Backoff(10.0, 300.0, 0).pause(1) is None
    assert Backoff(10.0, 300.0, -1).pause(10_000) == 300


def test_a_trace_of_ours_says_what_mends_it():
    assert trace_of(ServerError("no", where="topic t", cause="c", hint="h")) == "pycdc.errors.ServerError: no [topic t]\n  cause: c\n  hint: h"
