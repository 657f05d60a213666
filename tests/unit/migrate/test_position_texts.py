"""Positions of connectors: which is behind, what to write, how they are told."""

from pycdc.migrate import positions
from pycdc.worker.requests import PartitionOffset as At


def pg(lsn, **more):
    return At({"server": "shop"}, {"lsn": lsn, "lsn_proc": lsn, "lsn_commit": lsn, **more})


def kafka(partition, offset, topic="orders"):
    return At({"kafka_topic": topic, "kafka_partition": partition}, {"kafka_offset": offset})


def jdbc(table, **offset):
    return At({"protocol": "1", "table": table}, offset)


OTHER = At({"file": "t"}, {"position": 5})


def test_who_is_behind():
    assert positions.behind([pg(7)], [pg(7)]) == []
    assert positions.behind([pg(8)], [pg(7)]) == []
    assert positions.behind([pg(0x15)], [pg(0x16)]) == ["shop: 0/15, was 0/16"]
    assert positions.behind([], [pg(0x16)]) == ["shop: nothing, was 0/16"]
    assert positions.behind([kafka(0, 5), kafka(1, 2)], [kafka(1, 3), kafka(0, 5)]) == ["orders-1: 2, was 3"]
    assert positions.behind([pg(1)], []) == []
    assert positions.behind([At({"file": "t"}, {"position": 4})], [OTHER]) == [], "nobody knows"
    assert positions.behind([jdbc("s.t", incrementing=4)], [jdbc("s.t", incrementing=5)]) == ["s.t: 4, was 5"]
    assert positions.behind([jdbc("s.t", incrementing=4, timestamp=2)], [jdbc("s.t", incrementing=5, timestamp=1)]) == []
    assert positions.behind([], [At({"query": "query"}, {"incrementing": 5})]) == ["query: nothing, was 5"]
    assert positions.behind([pg(-1)], [pg(7)]) == [], "Java has no unsigned long"


def test_a_position_that_is_text_compares_with_nothing():
    assert positions.behind([At({"server": "shop"}, {"lsn": "7"})], [pg(8)]) == []


def test_equal_in_whatever_order_and_with_numbers_as_text():
    assert positions.same([kafka(0, 5), kafka(1, 2)], [kafka(1, 2), kafka(0, 5)])
    assert positions.same([kafka(0, 5)], [kafka("0", 5)])
    assert not positions.same([kafka(0, 5)], [kafka(0, 6)])
    assert positions.same([At(None, {"lsn": 1}), At({"server": "x"}, None)], [])


def test_what_is_written_makes_both_equal():
    stale = At({"server": "older"}, {"lsn": 1})
    assert positions.to_write([pg(7)], [pg(7)], sink=False) == []
    assert positions.to_write([pg(7)], [], sink=False) == [pg(7)]
    assert positions.to_write([pg(7)], [pg(3), stale], sink=False) == [pg(7), At({"server": "older"}, None)]
    assert positions.to_write([], [stale], sink=False) == [At({"server": "older"}, None)], "one that never ran begins anew"
    assert positions.to_write([kafka(0, 5)], [kafka(0, 5), kafka(1, 1)], sink=True) == [kafka(0, 5)]


def test_how_they_are_told():
    assert positions.told([]) == "none"
    assert positions.told([pg(0x16B374D848)]) == "16/B374D848"
    assert positions.told([pg(1, snapshot="INITIAL", snapshot_completed=False)]) == "0/1, in the snapshot"
    assert positions.told([pg(1, snapshot="INITIAL", snapshot_completed=True)]) == "0/1"
    assert positions.told([kafka(0, 5), kafka(1, 2)]) == "orders-0@5 and 1 more"
    assert positions.told([jdbc("s.t", incrementing=5, pycdc_snapshot="7:7:")]) == "s.t@5"
    assert positions.told([jdbc("s.t", incrementing=5, timestamp=1767225600123), jdbc("s.u", incrementing=1)]) == "s.t@2026-01-01 00:00:00 UTC and 1 more"
    assert positions.told([jdbc("s.t", timestamp=10**18)]) == f"s.t@{10**18}"
    assert positions.told([OTHER]) == "a position of its own form"
