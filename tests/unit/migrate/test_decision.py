"""What is left to do, for every pair of states that two sides can be in."""

import pytest

from pycdc.migrate.decision import MoveRefused, Step, decide
from pycdc.migrate.observed import MARKER, Observed, Task

WHOLE = (Step.CREATE, Step.STOP, Step.COPY, Step.START, Step.VERIFY)
GO_ON = WHOLE[1:]


def seen(state, marker=None, tasks=(), **config):
    more = {} if marker is None else {MARKER: marker}
    return Observed(name="n", kind="source", config={"name": "n", "a": "1", **config, **more}, state=state, tasks=tasks)


RUNS = seen("RUNNING", tasks=(Task(0, "RUNNING"),))
STOPPED = seen("STOPPED")


@pytest.mark.parametrize(
    ("old", "new", "steps", "wish"),
    [
        (RUNS, None, WHOLE, "RUNNING"),
        (seen("PAUSED"), None, WHOLE, "PAUSED"),
        (STOPPED, None, WHOLE, "STOPPED"),
        (seen("FAILED"), None, WHOLE, "RUNNING"),
        (seen("UNASSIGNED"), None, WHOLE, "RUNNING"),
        (RUNS, STOPPED, WHOLE, "RUNNING"),  # moved back once
        (RUNS, seen("STOPPED", "RUNNING"), GO_ON, "RUNNING"),  # cut short before the stop
        (seen("PAUSED"), seen("STOPPED", "RUNNING"), WHOLE, "PAUSED"),  # and changed since
        (RUNS, seen("STOPPED", "RUNNING", b="2"), WHOLE, "RUNNING"),
        (STOPPED, seen("STOPPED", "RUNNING"), GO_ON, "RUNNING"),  # and behind it: what was wished stands in the mark
        (STOPPED, seen("STOPPED", "PAUSED"), GO_ON, "PAUSED"),
        (seen("STOPPED", tasks=(Task(0, "RUNNING"),)), seen("STOPPED", "RUNNING"), GO_ON, "RUNNING"),
        (STOPPED, RUNS, (), "RUNNING"),
        (STOPPED, seen("PAUSED"), (), "PAUSED"),
        (STOPPED, seen("FAILED"), (), "RUNNING"),
        (STOPPED, seen("RUNNING", "RUNNING"), (Step.CLEAN, Step.VERIFY), "RUNNING"),  # resumed by hand
        (None, RUNS, (), "RUNNING"),
        (None, STOPPED, (), "STOPPED"),
        # the other direction was cut short
        (seen("STOPPED", "RUNNING"), STOPPED, (Step.START, Step.VERIFY, Step.CLEAN_OLD), "RUNNING"),
        (seen("STOPPED", "RUNNING"), RUNS, (Step.CLEAN_OLD,), "RUNNING"),
    ],
)
def test_what_is_left(old, new, steps, wish):
    decision = decide("n", old, new)
    assert (decision.steps, decision.wish) == (steps, wish)


@pytest.mark.parametrize(("old", "new"), [(RUNS, None), (STOPPED, RUNS), (seen("STOPPED", "RUNNING"), RUNS)])
def test_the_old_one_is_deleted_last(old, new):
    assert decide("n", old, new, delete_old=True).steps[-1] is Step.DELETE_OLD


def test_there_is_nothing_to_delete_where_nothing_is():
    assert decide("n", None, RUNS, delete_old=True).steps == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (None, None, "There is no connector n."),
        (RUNS, RUNS, "runs on both sides"),
        (STOPPED, STOPPED, "stopped on both sides"),
        (RUNS, seen("STOPPED", b="2"), "has another connector n"),
        (STOPPED, seen("STOPPED", "RUNNING", b="2"), "has another connector n"),
        (None, seen("STOPPED", "RUNNING"), "was cut short, and the old side has it no more"),
        (seen("STOPPED", "RUNNING"), None, "the side that it came from has it no more"),
        (seen("RUNNING", "RUNNING"), STOPPED, "is marked as being moved to where it runs"),
        (seen("RUNNING", **{"slot.drop.on.stop": "true"}), None, "would drop its slot"),
        (seen("RUNNING", **{"slot.drop_on_stop": " TRUE "}), None, "would drop its slot"),
    ],
)
def test_only_the_user_can_know(old, new, words):
    with pytest.raises(MoveRefused) as error:
        decide("n", old, new)
    assert words in error.value.what
    assert error.value.hint


def test_keys_that_differ_are_named_without_their_values():
    with pytest.raises(MoveRefused) as error:
        decide("n", seen("RUNNING", password="one"), seen("STOPPED", password="two"))
    assert "password" in str(error.value)
    assert "two" not in str(error.value)
