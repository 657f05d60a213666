"""Which numbers below the position are still looked for."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.sources.jdbc.mysql.missing import Missing


def left(missing):
    return {n for first, last in missing.ranges for n in range(first, last + 1)}


@given(st.sets(st.integers(1, 400), min_size=1), st.integers(1, 500), st.integers(0, 1 << 30))
def test_what_was_not_seen_within_the_window_is_missing(present, window, seed):
    """In order as polls read them, then late ones in any order."""
    chance, missing = random.Random(seed), Missing(window, 0)
    rows = sorted(present)
    late = {n for n in rows if chance.random() < 0.3 and n != rows[-1]}
    early = [n for n in rows if n not in late]
    while early:
        some, early = early[:7], early[7:]
        missing.seen(some)
    high = rows[-1]
    assert missing.high == high
    wanted = {n for n in range(1, high) if n > high - window}
    assert left(missing) == wanted - (present - late)
    assert all(missing.is_missing(n) is (n in left(missing)) for n in range(high + 2))
    again = Missing.of(missing.text(), window, high)
    assert left(again) == left(missing)
    missing.seen(chance.sample(sorted(late), len(late)))
    assert left(missing) == wanted - present
    assert missing.high == high


def test_what_is_stored_is_short():
    missing = Missing(10_000, 0)
    missing.seen(range(2, 30_000, 2))
    assert len(missing.text()) < 200
    chance = random.Random(7)
    wild = Missing(1_000_000, 0)
    wild.seen(sorted(chance.sample(range(1, 40_000), 20_000)))
    assert len(wild.text()) < 2_000


def test_what_is_no_memory_is_told():
    for text in ("?", "AAAA", "eJw="):
        with pytest.raises(ValueError, match="no memory"):
            Missing.of(text, 10, 100)
