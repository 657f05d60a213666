"""A move that ends, or fails, at each of its calls in turn: never do two run, and another run always gets it done."""

import asyncio

import pytest
from connect_model import Held, Killed, Model

from pycdc.errors import ConnectionLost, PycdcError
from pycdc.migrate.decision import MoveRefused
from pycdc.migrate.move import Limits, Move, MoveFailed
from pycdc.migrate.observed import MARKER
from pycdc.migrate.rest import RestRefused
from pycdc.worker.requests import PartitionOffset

QUICK = Limits(wait=0.2, settled=0, works=0, look=0)
CONFIG = {"name": "n", "topic.prefix": "shop"}


def position(lsn):
    return PartitionOffset({"server": "shop"}, {"lsn": lsn})


class World:
    """Both sides. The `at`-th call raises `error`; after each change at most one side runs."""

    def __init__(self, state="RUNNING"):
        self.a, self.b = Model("a", self), Model("b", self)
        self.a.held["n"] = Held(dict(CONFIG), state)
        self.a.kept["n"] = {str(position(7).partition): position(7)}
        self.calls, self.at, self.error = 0, None, None
        #: A side that does not answer from that call on.
        self.gone = None
        self.said = []

    def before(self, side, what):
        self.calls += 1
        if self.calls == self.at or (self.gone is side and self.calls >= self.at):
            raise self.error

    def after(self):
        active = [side for side in (self.a, self.b) if (held := side.held.get("n")) and (held.state != "STOPPED" or held.leaving)]
        assert len(active) <= 1, "two run"

    def move(self, *, back=False, delete_old=False):
        self.calls = 0
        sides = (self.b, self.a) if back else (self.a, self.b)
        return asyncio.run(Move("n", *sides, self.said.append, QUICK).run(delete_old=delete_old))

    def state(self, side):
        held = side.held.get("n")
        return None if held is None else held.state

    def moved(self, wish="RUNNING"):
        assert (self.state(self.a), self.state(self.b)) == ("STOPPED", wish)
        assert self.b.held["n"].config == CONFIG
        assert list(self.b.kept["n"].values()) == [position(7)]


def calls_of_a_move(state="RUNNING"):
    world = World(state)
    world.move()
    world.moved(state)
    return world.calls


@pytest.mark.parametrize("state", ["RUNNING", "PAUSED", "STOPPED"])
def test_it_ends_in_the_state_that_it_had(state):
    world = World(state)
    world.move()
    world.moved(state)


@pytest.mark.parametrize("state", ["RUNNING", "PAUSED"])
def test_killed_at_any_call_the_next_run_goes_on(state):
    for at in range(1, calls_of_a_move(state) + 1):
        world = World(state)
        world.at, world.error = at, Killed()
        with pytest.raises(Killed):
            world.move()
        world.at = None
        if world.state(world.b) == "STOPPED" == world.state(world.a) and MARKER not in world.b.held["n"].config:
            with pytest.raises(Exception, match="stopped on both sides"):  # the very moment before the start
                world.move()
            continue
        world.move()
        world.moved(state)


def test_killed_at_any_call_the_way_back_is_open():
    for at in range(1, calls_of_a_move() + 1):
        world = World()
        world.at, world.error = at, Killed()
        with pytest.raises(Killed):
            world.move()
        world.at = None
        if world.state(world.b) is None or (world.state(world.b) == "STOPPED" and MARKER not in world.b.held["n"].config):
            continue
        world.move(back=True)
        assert world.state(world.a) == "RUNNING"
        assert world.state(world.b) == "STOPPED"
        assert MARKER not in {**world.a.held["n"].config, **world.b.held["n"].config}


@pytest.mark.parametrize("error", [RestRefused("refused", status=500, where="x", cause="no"), ValueError("a bug")])
def test_what_fails_at_any_call_is_undone(error):
    for at in range(1, calls_of_a_move() + 1):
        world = World()
        world.at, world.error = at, error
        try:
            world.move()
        except (MoveFailed, RestRefused, ValueError):
            assert (world.state(world.a), world.state(world.b)) == ("RUNNING", None), at
        else:
            world.moved()  # a refused position is written again
        assert MARKER not in world.a.held["n"].config


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_side_that_answers_no_more_leaves_one_that_runs_or_says_that_none_may(side):
    for at in range(1, calls_of_a_move() + 1):
        world = World()
        world.gone = getattr(world, side)
        world.at, world.error = at, ConnectionLost("unreachable")
        try:
            world.move()
        except PycdcError as error:
            if "nor could that be undone" in str(error):
                assert side == "a" or world.state(world.b) == "RUNNING" or world.b.held["n"].config == CONFIG
            else:
                assert world.state(world.a) == "RUNNING", at
        else:
            world.moved()
        world.gone = world.at = None
        if MARKER in (world.b.held["n"].config if "n" in world.b.held else {}):
            world.move()
            world.moved()


def test_what_fails_on_the_new_side_goes_back_with_what_it_had_read():
    world = World()
    world.b.broken = True
    original = world.b.start

    async def start(name, wish):
        await original(name, wish)
        world.b.kept[name] = {str(position(9).partition): position(9)}

    world.b.start = start
    with pytest.raises(MoveFailed, match="could not be moved. It is stopped on the new side, started again on the old side, deleted") as error:
        world.move()
    assert "com.acme.Broken: no" in error.value.cause
    assert (world.state(world.a), world.state(world.b)) == ("RUNNING", None)
    assert list(world.a.kept["n"].values()) == [position(9)]


def test_cancelled_between_mark_and_start_it_starts_first():
    world = World()
    configure = world.b.configure

    async def moving():
        task = asyncio.ensure_future(Move("n", world.a, world.b, world.said.append, QUICK).run())

        async def cancelled(name, config):
            await configure(name, config)
            task.cancel()
            await asyncio.sleep(0)

        world.b.configure = cancelled
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(moving())
    world.moved()


def test_when_undoing_fails_too_both_are_said():
    world = World()
    world.b.broken = True

    async def stop(name):
        raise RestRefused("refused", status=500, where="b", cause="the worker is gone")

    world.b.stop = stop
    with pytest.raises(MoveFailed, match="nor could that be undone") as error:
        world.move()
    assert "the worker is gone" in error.value.cause
    assert world.state(world.a) == "STOPPED", "the old side is not started while the new one may run"


def test_who_was_started_on_the_old_side_meanwhile_is_left_running():
    world = World()
    original = world.b.configure

    async def configure(name, config):
        await original(name, config)
        world.a.held["n"].state = "RUNNING"

    world.b.configure = configure
    with pytest.raises(MoveFailed, match="could not be moved"):
        world.move()
    assert (world.state(world.a), world.state(world.b)) == ("RUNNING", None)


def test_there_and_back_and_there_again_and_the_old_one_deleted():
    world = World()
    world.move()
    world.move(back=True)
    assert (world.state(world.a), world.state(world.b)) == ("RUNNING", "STOPPED")
    world.move(delete_old=True)
    assert (world.state(world.a), world.state(world.b)) == (None, "RUNNING")
    assert world.move().steps == ()


def test_a_first_snapshot_is_not_interrupted():
    world = World()
    offset = {"lsn": 7, "snapshot": "INITIAL", "snapshot_completed": False}
    world.a.kept["n"] = {"p": PartitionOffset({"server": "shop"}, offset)}
    with pytest.raises(MoveRefused, match="first snapshot"):
        world.move()
    assert (world.state(world.a), world.state(world.b)) == ("RUNNING", None)


def test_stale_positions_on_the_new_side_are_gone():
    world = World()
    world.b.kept["n"] = {str({"server": "older"}): PartitionOffset({"server": "older"}, {"lsn": 1})}
    world.move()
    world.moved()
