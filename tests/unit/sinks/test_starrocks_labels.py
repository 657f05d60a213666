"""Labels, and when writes begin: what needs no server."""

import asyncio
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.model.change import Changes
from pycdc.sinks.starrocks import pace
from pycdc.sinks.starrocks.faults import Busy, LabelTaken, RowsRefused, fault_of, reason_of, without_values
from pycdc.sinks.starrocks.labels import Incarnations, another, label, ranges_of


def changes(first, last, topic="t", partition=0):
    offsets = list(range(first, last + 1))
    return Changes(topic, {}, None, None, [{"id": i} for i in offsets], [{"id": i} for i in offsets], partition, offsets)


names = st.text(min_size=1, max_size=200)


@given(names, names, st.dictionaries(st.tuples(names, st.integers(-1, 99)), st.tuples(st.integers(0, 2**80), st.integers(0, 2**80)), max_size=4), names)
def test_a_label_is_one_that_starrocks_takes(connector, table, ranges, part):
    for made in (found := label(connector, table, ranges, {}, part), another(found)):
        assert re.fullmatch(r"[A-Za-z][-\w]{0,127}", made, re.ASCII)


def test_the_same_records_make_the_same_label_and_others_another():
    ranges = ranges_of([changes(5, 9), changes(10, 12), changes(3, 4, partition=1)])
    assert ranges == {("t", 0): (5, 12), ("t", 1): (3, 4)}
    made = label("c", "t", ranges, {"t": "id"}, "columns")
    assert made == label("c", "t", ranges_of([changes(3, 4, partition=1), changes(5, 12)]), {"t": "id"}, "columns")
    others = {
        label("d", "t", ranges, {"t": "id"}, "columns"), label("c", "u", ranges, {"t": "id"}, "columns"), label("c", "t", ranges, {"t": "other"}, "columns"),
        label("c", "t", ranges, {"t": "id"}, "other columns"), label("c", "t", ranges_of([changes(5, 12)]), {"t": "id"}, "columns"),
    }  # fmt: skip
    assert len(others | {made}) == 6


def test_names_that_look_alike_when_cut_make_labels_of_their_own():
    long = "x" * 50
    assert label("c", long + "a", {("t", 0): (1, 1)}, {}) != label("c", long + "b", {("t", 0): (1, 1)}, {})
    assert label("c.d", "t", {("t", 0): (1, 1)}, {}) != label("c_d", "t", {("t", 0): (1, 1)}, {})


def test_without_offsets_no_two_labels_are_alike():
    unknown = ranges_of([Changes("t", {}, None, None, [{"id": 1}], [{"id": 1}])])
    assert unknown is None
    assert label("c", "t", unknown, {}) != label("c", "t", unknown, {})


def test_a_snapshots_rows_are_only_numbered_and_make_no_label():
    assert ranges_of([changes(0, 5, partition=None)]) is None
    assert ranges_of([changes((7 << 64) | 1, (7 << 64) | 3, partition=None)]) == {("t", -1): ((7 << 64) | 1, (7 << 64) | 3)}


def test_a_topic_is_asked_for_again_when_its_offsets_fall():
    asked = []

    async def topic_id(topic):
        asked.append(topic)
        return str(len(asked))

    async def learn():
        incarnations = Incarnations(topic_id)
        for ranges in ({("t", 0): (0, 9)}, {("t", 0): (10, 19)}, {("t", 1): (0, 5)}):
            await incarnations.learn(ranges)
        assert incarnations.known == {"t": "1"}
        await incarnations.learn({("t", 0): (0, 9)})
        assert incarnations.known == {"t": "2"}
        await incarnations.learn({("t", -1): (0, 9)})

    asyncio.run(learn())
    assert asked == ["t", "t"]


# ---- what StarRocks says


@pytest.mark.parametrize(("answer", "kind", "retriable"), [
    ({"status": "Fail", "message": "too many filtered rows"}, RowsRefused, False),
    ({"status": "Label Already Exists", "message": "Label [x] has already been used."}, LabelTaken, False),
    ({"status": "LABEL_ALREADY_EXISTS", "message": ""}, LabelTaken, False),
    ({"status": "FAILED", "message": "Label [x] has already been used, relate to txn [1]"}, LabelTaken, False),
    ({"status": "Fail", "message": "... because of too many versions, current/limit: 1001/1000"}, Busy, True),
    ({"status": "Fail", "message": "current running txns on db 1 is 1000, larger than limit 1000"}, Busy, True),
    ({"status": "Fail", "message": "something of a later release"}, None, True),
    ({"status": "Fail", "message": "Access denied; you need (at least one of) the INSERT privilege(s)"}, None, False),
    ({"status": "Fail", "message": 'unknown table "d.t"'}, None, False),
    ({"status": "Commit Timeout", "message": ""}, None, True),
])  # fmt: skip
def test_an_answer_is_told_by_its_class(answer, kind, retriable):
    error = fault_of(answer, "t")
    assert kind is None or type(error) is kind
    assert error.retriable is retriable


@pytest.mark.parametrize(("line", "column"), [
    ("Error: NULL value in non-nullable column 'req'. Row: [1, NULL, 'secret']", "req"),
    ("Error: Invalid argument: Value is overflow. column=ti, value=300. Row: {\"id\": \"secret\"}", "ti"),
    ("Error: Invalid argument: Value length is beyond the capacity. column=v, capacity=10. Row: secret", "v"),
    ("Error: Value 'secret' is out of range. The type of 'dec' is DECIMAL64(10,2). Row: {}", "dec"),
    ("Error: Invalid argument: Unable to cast string value to BIGINT. value=secret, column=i. Row: {}", "i"),
    ("Error: The field (name = id, pos = 0) is out of range. Type: INT, Value length: 6, Value: secret. Row: secret\ta", "id"),
    ("Error: Target column count: 4 doesn't match source value column count: 3. Row: secret", ""), ("Error: secret words of a later release", ""),
])  # fmt: skip
def test_an_error_log_tells_its_column_and_never_a_value(line, column):
    reason, found = reason_of(line)
    assert found == column
    assert "secret" not in str(fault_of({"status": "Fail", "message": "too many filtered rows"}, "t", line))
    assert bool(reason) == ("later release" not in line)


def test_messages_are_cut_where_they_quote():
    assert without_values("the value should be array type, value: {secret}") == "the value should be array type"
    assert without_values("Error: bad. Row: secret") == "Error: bad"
    assert without_values("first line\nsecret") == "first line"


# ---- pace


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self, monkeypatch):
        self.now, self.waits = 100.0, []
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(pace.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds):
        self.waits.append(round(seconds, 3))
        self.now += seconds


def test_small_writes_keep_their_distance_and_full_ones_do_not_wait(monkeypatch):
    clock = Clock(monkeypatch)
    turns = pace.Pace(1.0)

    async def write():
        await turns.turn(10)
        clock.now += 0.25
        await turns.turn(10)
        await turns.turn(pace.FULL)
        clock.now += 5
        await turns.turn(10)

    asyncio.run(write())
    assert clock.waits == [0, 0.75, 0]


def test_a_refusal_doubles_the_distance_for_full_writes_too_and_success_brings_it_back(monkeypatch):
    clock = Clock(monkeypatch)
    turns = pace.Pace(1.0)

    async def write():
        await turns.turn(10)
        turns.slower()
        for _ in range(10):
            await turns.turn(pace.FULL)

    asyncio.run(write())
    assert clock.waits[1] == 2.0
    assert clock.waits[2:] == sorted(clock.waits[2:], reverse=True)
    assert turns.distance == 1.0


# ---- what loading the sink costs


def test_neither_driver_is_loaded_before_it_is_used():
    code = "import pycdc, pycdc.sinks.starrocks, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"pymysql", "aiohttp", "cramjam"} & set(loaded)
