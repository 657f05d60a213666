"""Positions in the original's bytes, and where they are looked for."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.errors import ServerError
from pycdc.sources.jdbc.offsets import QUERY, Position, is_current, partitions, position_of
from pycdc.sources.jdbc.tables import TableId


def test_partitions_newest_first():
    found = partitions(TableId("public", "t"), ["public.t", "shop.public.t"])
    # the order of members is part of the topic's key: that of Java's hash map
    assert [orjson.dumps(p) for p in found] == [
        b'{"protocol":"1","table":"public.t"}', b'{"protocol":"1","table":"shop.public.t"}', b'{"table":"t"}',
    ]  # fmt: skip
    assert [is_current(p) for p in (*found, QUERY)] == [True, True, False, True]


def test_offsets():
    assert orjson.dumps(Position(7).offset()) == b'{"incrementing":7}'
    assert Position(7, 1_767_225_600_123_456).offset() == {"incrementing": 7, "timestamp": 1767225600123, "timestamp_nanos": 123456000}
    assert Position(stamp_us=-1).offset() == {"timestamp": -1, "timestamp_nanos": 999999000}
    assert Position(7, snapshot="3:4:3").offset() == {"incrementing": 7, "pycdc_snapshot": "3:4:3"}


def test_a_timestamp_without_nanos_has_milliseconds():
    assert position_of({"timestamp": 1500}, "t") == Position(None, 1_500_000)


@given(st.builds(Position, st.none() | st.integers(-1, 2**63 - 1), st.none() | st.integers(-(2**60), 2**60), st.none() | st.just("3:4:3")))
def test_what_is_stored_is_read(position):
    assert position_of(position.offset(), "t") == position


@pytest.mark.parametrize("offset", [{"incrementing": "7"}, {"timestamp": 1.5}, {"incrementing": True}, {"timestamp": 1, "timestamp_nanos": "x"}])
def test_what_is_no_position_is_told(offset):
    with pytest.raises(ServerError, match="no whole number"):
        position_of(offset, "t")
