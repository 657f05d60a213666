from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.model.ledger import Ledger


def oracle(marks: list[int], open_firsts: list[int]) -> int | None:
    """The newest of the leading marks before which no open work begins."""
    best = None
    for mark in marks:
        if any(first < mark for first in open_firsts):
            break
        best = mark
    return best


@given(st.data())
def test_settled_is_what_an_exhaustive_search_finds(data: st.DataObject) -> None:
    ledger: Ledger[int] = Ledger()
    event, reported = 0, -1
    marks: list[int] = []
    work: dict[int, int] = {}
    for _ in range(data.draw(st.integers(1, 60))):
        match data.draw(st.sampled_from(["open", "close", "mark", "settle"])):
            case "open":  # several lanes open work in the order of events, each with its own first one
                first = event
                event += data.draw(st.integers(1, 5))
                work[ledger.open(first)] = first
            case "close" if work:
                ticket = data.draw(st.sampled_from(sorted(work)))
                ledger.close(ticket)
                del work[ticket]
            case "mark":
                ledger.mark(event, event)
                marks.append(event)
            case _:
                expected = oracle(marks, list(work.values()))
                assert ledger.settled() == expected
                if expected is not None:
                    assert expected >= reported
                    reported = expected
                    marks = marks[marks.index(expected) + marks.count(expected) :]
        assert ledger.pending == len(work)
    for ticket in list(work):
        ledger.close(ticket)
    assert ledger.settled() == (marks[-1] if marks else None)
    assert ledger.unsettled == 0


def test_a_later_piece_that_is_done_first_settles_nothing() -> None:
    ledger: Ledger[str] = Ledger()
    early, late = ledger.open(0), ledger.open(5)
    ledger.mark(5, "a")
    ledger.mark(9, "b")
    ledger.close(late)
    assert ledger.settled() is None
    ledger.close(early)
    assert ledger.settled() == "b"
    assert ledger.settled() is None


def test_a_mark_in_the_middle_of_open_work_waits() -> None:
    """A batch that holds events from before and after a commit border holds the border back."""
    ledger: Ledger[str] = Ledger()
    ticket = ledger.open(3)
    ledger.mark(3, "before")
    ledger.mark(4, "inside")
    assert ledger.settled() == "before"
    ledger.close(ticket)
    assert ledger.settled() == "inside"


def test_closing_twice_is_our_error() -> None:
    ledger: Ledger[str] = Ledger()
    ticket = ledger.open(0)
    ledger.close(ticket)
    with pytest.raises(KeyError):
        ledger.close(ticket)


def test_clear_forgets_all() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.open(0)
    ledger.mark(1, "x")
    ledger.clear()
    assert (ledger.pending, ledger.unsettled, ledger.settled()) == (0, 0, None)
