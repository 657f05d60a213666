"""The checker sees what it is there to see."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from history import check

HISTORY = [("t", 1, 10, "w"), ("t", 1, 11, "w"), ("t", 2, 12, "w"), ("t", 2, 13, "d")]
EVENTS = [("t", 1, "r", 0), ("t", 1, "u", 10), ("t", 1, "u", 11), ("t", 2, "c", 12), ("t", 2, "d", None)]
FINAL = {("t", 1): 11}


def test_a_right_topic_passes_and_duplicates_are_counted():
    assert check(EVENTS, HISTORY, FINAL)["duplicates"] == 0
    assert check([*EVENTS[:3], ("t", 1, "u", 10), ("t", 1, "u", 11), *EVENTS[3:]], HISTORY, FINAL)["duplicates"] == 2


@pytest.mark.parametrize("lost", range(1, len(EVENTS)))
def test_each_lost_event_is_seen(lost):
    with pytest.raises(AssertionError):
        check([e for i, e in enumerate(EVENTS) if i != lost], HISTORY, FINAL)


def test_reordered_updates_are_seen():
    with pytest.raises(AssertionError, match="order"):
        check([EVENTS[0], EVENTS[2], EVENTS[1], EVENTS[2], *EVENTS[3:]], HISTORY, FINAL)
