"""Dealing out work: complete, even, never twice, and no more moves than needed."""


from hypothesis import given
from hypothesis import strategies as st

from pycdc.worker.assignment import deal

ITEMS = [f"t{i}" for i in range(12)]
MEMBERS = ["a", "b", "c", "d"]
holdings = st.dictionaries(st.sampled_from(MEMBERS), st.sets(st.sampled_from(ITEMS)), min_size=1)


def is_settled(held, work):
    """Whether a meeting would change nothing."""
    return {m: sorted(items) for m, items in held.items()} == deal(held, work)


def meet(held, work):
    """Until nothing changes, each meeting telling what the one before gave. How many it took."""
    meetings = 0
    while not is_settled(held, work):
        held = deal(held, work)
        meetings += 1
        assert meetings < 10
    return held, meetings


@given(holdings, st.sets(st.sampled_from(ITEMS)))
def test_in_the_end_everything_runs_once_and_evenly(held, work):
    settled, meetings = meet(held, work)
    assert sorted(i for items in settled.values() for i in items) == sorted(work)
    sizes = [len(items) for items in settled.values()]
    assert max(sizes) - min(sizes) <= 1
    assert meetings <= 3


@given(holdings, st.sets(st.sampled_from(ITEMS)))
def test_nothing_is_given_to_one_while_another_runs_it(held, work):
    for member, items in deal(held, work).items():
        for item in set(items) - set(held[member]):
            assert not any(item in others for m, others in held.items() if m != member)


@given(holdings, st.sets(st.sampled_from(ITEMS), min_size=1))
def test_what_is_settled_stays(held, work):
    settled, _ = meet(held, work)
    assert deal(settled, work) == {m: sorted(items) for m, items in settled.items()}


@given(st.sets(st.sampled_from(ITEMS)), st.integers(1, 3))
def test_who_comes_takes_its_share_and_no_more_moves(work, members):
    before, _ = meet({m: set() for m in MEMBERS[:members]}, work)
    after, _ = meet(before | {"new": set()}, work)
    moved = sum(len(set(before[m]) - set(after[m])) for m in before)
    assert moved == len(after["new"]) == len(work) // (members + 1)


@given(st.sets(st.sampled_from(ITEMS)), st.integers(2, 4))
def test_who_goes_leaves_its_work_to_the_others_at_once(work, members):
    before, _ = meet({m: set() for m in MEMBERS[:members]}, work)
    gone = MEMBERS[0]
    left = {m: items for m, items in before.items() if m != gone}
    after = deal(left, work)
    assert sorted(i for items in after.values() for i in items) == sorted(work)
    for member, items in left.items():
        assert set(items) <= set(after[member]), "nothing else moves"
