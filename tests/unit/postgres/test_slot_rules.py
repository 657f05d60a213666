"""Which slot the stream may go on from."""

from __future__ import annotations

from typing import Any

import pytest

from pycdc.errors import PycdcError, SlotBusy, SlotError, SlotLost
from pycdc.postgres.slot import SlotInfo, require_covers, require_usable


def slot(**changes: Any) -> SlotInfo:
    values: dict[str, Any] = {
        "name": "s",
        "plugin": "pgoutput",
        "database": "shop",
        "temporary": False,
        "active_pid": None,
        "restart_lsn": 90,
        "confirmed_flush_lsn": 100,
    }
    return SlotInfo(**{**values, **changes})


def test_a_healthy_slot_is_given_back() -> None:
    assert require_usable(slot(), "s", "shop") == slot()


@pytest.mark.parametrize(
    ("info", "kind", "word", "retriable"),
    [
        (None, SlotLost, "snapshot", False),
        (slot(plugin="test_decoding"), SlotError, "slot.name", False),
        (slot(plugin=None), SlotError, "slot.name", False),
        (slot(database="other"), SlotError, "per cluster", False),
        (slot(lost="its WAL was removed"), SlotLost, "pg_drop_replication_slot('s')", False),
        (slot(lost="x", confirmed_flush_lsn=None), SlotLost, "snapshot", False),
        (slot(active_pid=7), SlotBusy, "pg_terminate_backend(7)", True),
    ],
)
def test_each_unusable_slot_says_why(info: SlotInfo | None, kind: type[PycdcError], word: str, retriable: bool) -> None:
    with pytest.raises(kind) as raised:
        require_usable(info, "s", "shop")
    assert word in raised.value.hint
    assert raised.value.retriable is retriable


def test_a_lost_slot_tells_from_where_changes_are_gone() -> None:
    with pytest.raises(SlotLost) as raised:
        require_usable(slot(lost="invalidated: wal_removed", confirmed_flush_lsn=0x16B374D848), "s", "shop")
    assert "16/B374D848" in raised.value.cause


def test_an_offset_before_the_slot_is_a_loss_and_one_at_it_is_not() -> None:
    require_covers(slot(), 100)
    require_covers(slot(confirmed_flush_lsn=None), 1)
    with pytest.raises(SlotLost) as raised:
        require_covers(slot(), 99)
    assert "0/63" in raised.value.cause
    assert "0/64" in raised.value.cause
