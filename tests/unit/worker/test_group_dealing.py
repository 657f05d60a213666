"""What a meeting of workers comes to: connectors and tasks dealt out evenly, each once, and who has them known to all."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pycdc.worker.group import About, Alone, Assignment, Party, Place, dealt
from pycdc.worker.items import connector_item, connectors_of, name_of_item, number_of_item, task_item, tasks_of

NAMES = ["a", "b-1", "-/x", "1/y", "я"]
WORK = [connector_item(n) for n in NAMES] + [task_item(n, i) for n in NAMES for i in range(2)]
workers = st.dictionaries(st.sampled_from(["m1", "m2", "m3"]), st.sets(st.sampled_from(WORK)), min_size=1)


def about(held):
    return {m: About(f"http://{m}", m, sorted(items)) for m, items in held.items()}


def test_names_may_look_like_items():
    for name in NAMES:
        assert name_of_item(connector_item(name)) == name_of_item(task_item(name, 12)) == name
        assert number_of_item(connector_item(name)) is None
        assert number_of_item(task_item(name, 12)) == 12
    assert len(set(WORK)) == len(WORK)


def meet(held, work):
    """Until all is dealt out."""
    for _ in range(4):
        found = dealt(about(held), work, "http://m1")
        held = {m: set(a.items) for m, a in found.items()}
    return found


@given(workers, st.sets(st.sampled_from(WORK)))
def test_in_the_end_all_is_dealt_out_once_and_each_kind_evenly(held, work):
    found = meet(held, work)
    assert sorted(i for a in found.values() for i in a.items) == sorted(work)
    for kind in (connectors_of, tasks_of):
        sizes = [len(kind(a.items)) for a in found.values()]
        assert max(sizes) - min(sizes) <= 1


@given(workers, st.sets(st.sampled_from(WORK)))
def test_all_know_the_same_of_each_other(held, work):
    found = dealt(about(held), work, "http://m1")
    assert {(tuple(sorted(a.owners.items())), tuple(a.work), a.leader_url, tuple(a.workers)) for a in found.values()} == {
        (tuple(sorted((i, f"http://{m}") for m, a in found.items() for i in a.items)), tuple(sorted(work)), "http://m1", tuple(sorted(f"http://{m}" for m in held)))
    }  # fmt: skip


def test_the_first_of_all_is_the_leaders():
    found = dealt(about({"m1": set(), "m2": set()}), [connector_item("a")], "http://m2")
    assert found["m2"].items == [connector_item("a")]


def test_nobody_and_nothing():
    assert dealt({}, [], "http://m1") == {}
    assert dealt(about({"m1": set()}), [], "http://m1")["m1"].items == []


def party(placed, lost=None):
    async def refresh():
        placed.append("refreshed")

    async def forget():
        placed.append("lost")

    return Party(lambda: About("http://me", "me:1", []), lambda: [connector_item("a")], refresh, placed.append, lost or forget)


async def test_a_party_reads_what_is_to_do_before_it_deals():
    placed = []
    mine = party(placed)
    others = msgspec.json.encode(About("http://other", "other:1", [connector_item("a")]))
    given = await mine.deal({"m1": mine.metadata(), "m2": others})
    assert placed == ["refreshed"]
    assert msgspec.json.decode(given["m2"], type=Assignment).items == [connector_item("a")]
    await mine.given(given["m1"], generation=3, leads=True)
    assert placed[-1] == Place(Assignment([], "http://me", [connector_item("a")], {connector_item("a"): "http://other"}, ["http://me", "http://other"]), 3, leads=True)
    await mine.given(b"", generation=4, leads=False)
    assert placed[-1] == Place(Assignment([], ""), 4, leads=False)
    await mine.lost()
    assert placed[-1] == "lost"


async def test_a_worker_alone_has_all_and_leads():
    placed = []
    alone = Alone(party(placed))
    await alone.leave()
    await alone.start()
    assert await alone.confirm()
    alone.meet_again()
    while sum(isinstance(p, Place) for p in placed) < 1:  # noqa: ASYNC110  # the test has its limit
        await asyncio.sleep(0)
    place = placed[-1]
    assert (place.leads, place.assignment.items) == (True, [connector_item("a")])
    await alone.leave()
