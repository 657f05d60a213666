"""Offsets as Debezium and we write them."""

import pytest

from pycdc.debezium.offsets import (
    OffsetError,
    OffsetWriter,
    SnapshotState,
    last_commit,
    position,
    reached,
    snapshot_done,
    snapshot_state,
)


def test_a_mid_transaction_offset_of_debezium_resumes_at_its_last_commit():
    offset = {"lsn": 900, "lsn_proc": 900, "lsn_commit": 500, "messageType": "INSERT"}
    assert position(offset) == 500
    assert reached(offset) == 900


def test_the_first_transaction_has_no_commit_yet():
    assert position({"lsn": 7, "lsn_proc": 7}) == 7
    assert position({}) is None


def test_javas_signed_long_is_read_as_an_lsn():
    assert position({"lsn_commit": -1}) == 2**64 - 1


@pytest.mark.parametrize("bad", ["12", True, 1.5])
def test_a_position_that_is_no_number_is_refused(bad):
    with pytest.raises(OffsetError, match="lsn_commit"):
        position({"lsn_commit": bad})


@pytest.mark.parametrize(
    ("offset", "done"),
    [
        ({"lsn": 1}, True),
        ({"snapshot": "INITIAL", "snapshot_completed": False}, False),
        ({"snapshot": True}, False),
        ({"snapshot": "INITIAL", "snapshot_completed": True}, True),
        ({"snapshot": "true", "snapshot_completed": "true"}, True),
    ],
)
def test_whether_a_snapshot_is_done_by_debeziums_rule(offset, done):
    assert snapshot_done(offset) is done


def test_the_snapshot_travels_in_every_offset_until_it_ends():
    writer = OffsetWriter()
    state = SnapshotState("slot", "77", 1)
    first = writer.snapshot_start(100, 5, 6, state)
    assert not snapshot_done(first)
    state.tables.append("public.a")
    assert snapshot_state(writer.commit(200, 9, 10)).tables == ["public.a"]
    end = writer.snapshot_end(200)
    assert snapshot_done(end)
    assert "pycdc_snapshot" not in end
    assert "snapshot" not in writer.commit(300, 11, 12)


def test_an_idle_offset_repeats_the_last_transaction():
    writer = OffsetWriter({"lsn": 1, "txId": 4, "ts_usec": 5, "messageType": "UPDATE"})
    assert writer.at(50) == {
        "lsn_proc": 50, "messageType": "UPDATE", "lsn_commit": 50, "lsn": 50, "txId": 4, "ts_usec": 5,
    }  # fmt: skip


def test_an_idle_offset_of_before_the_first_commit_names_none():
    writer = OffsetWriter()
    assert last_commit(writer.at(50)) is None
    assert last_commit(writer.snapshot_end(50)) is None
    assert last_commit(writer.commit(60, 7, 8)) == 60
    assert last_commit(writer.at(70)) == 70
    assert last_commit(OffsetWriter(writer.at(70)).at(80)) == 80
    assert last_commit(None) is None


def test_broken_snapshot_state_is_a_clear_error():
    with pytest.raises(OffsetError, match="pycdc_snapshot"):
        snapshot_state({"pycdc_snapshot": "{"})
