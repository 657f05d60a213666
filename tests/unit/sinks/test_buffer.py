"""Reduction by key."""

from hypothesis import given
from hypothesis import strategies as st

from pycdc.model.change import Changes
from pycdc.sinks.buffer import Buffer


def one(key, row, *, partial=False, offset=0):
    return Changes("t", {}, None, None, [{"id": key}], [row], 0, [offset], partial)


def left(buffer):
    return {k: e[0] for k, e in buffer.rows.items()}, {k: e[0] for k, e in buffer.partial.items()}


def test_the_last_change_of_a_key_wins_and_tells_where_it_comes_from():
    buffer = Buffer()
    buffer.put(Changes("t", {}, None, None, [{"id": 1}, {"id": 2}, {"id": 1}], [{"v": 1}, {"v": 2}, None], 0, [7, 8, 9]), ("id",))
    assert left(buffer) == ({1: None, 2: {"v": 2}}, {})
    _, changes, index = buffer.rows[1]
    assert changes.where(index) == "topic t, partition 0, offset 9"


def test_a_row_known_in_part_is_laid_over_what_the_batch_knows():
    buffer = Buffer()
    buffer.put(one(1, {"id": 1, "a": 1, "b": 1}), ("id",))
    buffer.put(one(1, {"id": 1, "a": 2}, partial=True), ("id",))
    buffer.put(one(2, {"id": 2, "a": 3}, partial=True), ("id",))
    buffer.put(one(2, {"id": 2, "b": 4}, partial=True), ("id",))
    assert left(buffer) == ({1: {"id": 1, "a": 2, "b": 1}}, {2: {"id": 2, "a": 3, "b": 4}})
    buffer.put(one(2, {"id": 2, "a": 9, "b": 9}), ("id",))
    assert left(buffer) == ({1: {"id": 1, "a": 2, "b": 1}, 2: {"id": 2, "a": 9, "b": 9}}, {})


def test_a_truncate_forgets_what_came_before():
    buffer = Buffer()
    buffer.put(one(1, {"id": 1}), ("id",))
    buffer.put(Changes("t", {}, None, None, [], [], 0, [], truncate=True), ("id",))
    buffer.put(one(2, {"id": 2}), ("id",))
    assert buffer.truncate
    assert left(buffer) == ({2: {"id": 2}}, {})


def test_without_a_key_every_change_stays():
    buffer = Buffer()
    for _ in range(3):
        buffer.put(Changes("t", {}, None, None, [None], [{"v": 1}]), ())
    assert len(buffer.rows) == 3


@given(st.lists(st.tuples(st.sampled_from(["c", "d", "p"]), st.integers(1, 3), st.sampled_from("ab"), st.integers(0, 9))))
def test_a_batch_leaves_what_the_changes_one_by_one_leave(changes):
    target = {k: {"a": 0, "b": 0} for k in (1, 2, 3)}
    buffer, want = Buffer(), {k: dict(v) for k, v in target.items()}
    for kind, key, column, value in changes:
        if kind == "c":
            want[key] = {"a": value, "b": -value}
            buffer.put(one(key, {"a": value, "b": -value}), ("id",))
        elif kind == "d":
            want.pop(key, None)
            buffer.put(one(key, None), ("id",))
        elif key in want:  # an update of a row that is there
            want[key][column] = value
            buffer.put(one(key, {column: value}, partial=True), ("id",))
    rows, partial = left(buffer)
    for key, row in rows.items():
        target.pop(key, None)
        if row is not None:
            target[key] = row
    for key, row in partial.items():
        target[key] |= row
    assert target == want
