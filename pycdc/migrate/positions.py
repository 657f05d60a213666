"""Positions of connectors as the REST API gives them: how far each has read, which of two is behind, what to write over.

A sink's are Kafka's offsets by topic and partition; a PostgreSQL source's are LSNs, in Debezium's keys; a JDBC source's a
number or a moment for each table. Of other sources only equality is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pycdc.debezium.offsets import OffsetError, position, snapshot_done
from pycdc.model.lsn import format_lsn
from pycdc.worker.requests import PartitionOffset

Positions = Sequence[PartitionOffset]

#: What grows in a JDBC source's position, the weightier first.
_JDBC: Final = ("timestamp", "incrementing")
#: Milliseconds since 1970 that no date is made of any more.
_YEAR_10000: Final = 253_402_300_800_000


def reached(offset: Mapping[str, Any]) -> int | None:
    """A number that grows while the connector reads; None where there is none."""
    # a JDBC source's timestamp goes before its number, which may be any where the timestamp is a later one
    for key in ("kafka_offset", *_JDBC):
        number = offset.get(key)
        if isinstance(number, int):
            return number
    try:
        return position(dict(offset))
    except OffsetError:
        return None


def behind(later: Positions, earlier: Positions) -> list[str]:
    """The partitions in which `later` has not got as far as `earlier`, as texts. Empty: it has everywhere."""
    now = {_key(p): p.offset for p in later if p.offset is not None}
    found = []
    for entry in _known(earlier):
        recorded, offset = entry.offset or {}, now.get(_key(entry))
        if offset is None:
            found.append(f"{_partition(entry)}: nothing, was {_reached_text(recorded)}")
            continue
        was, at = reached(recorded), reached(offset)
        if was is not None and at is not None and at < was:
            found.append(f"{_partition(entry)}: {_reached_text(offset)}, was {_reached_text(recorded)}")
    return found


def same(one: Positions, other: Positions) -> bool:
    """Equal in every partition, in whatever order."""
    return {_key(p): p.offset for p in _known(one)} == {_key(p): p.offset for p in _known(other)}


def to_write(recorded: Positions, there: Positions, *, sink: bool) -> list[PartitionOffset]:
    """What makes the positions `there` those of `recorded`.

    A source's partition that only the other side has is left from an earlier life there and is erased: a connector that
    has no position would go on from it. A sink's group is shared by both sides or belongs to none of them.
    """
    if same(recorded, there):
        return []
    kept = list(_known(recorded))
    if sink:
        return kept
    names = {_key(p) for p in kept}
    return [*kept, *(PartitionOffset(p.partition, None) for p in _known(there) if _key(p) not in names)]


def in_snapshot(positions: Positions) -> bool:
    """Of a PostgreSQL source: its first snapshot has begun and is not done."""
    return any(not snapshot_done(dict(entry.offset or {})) for entry in _known(positions))


def told(positions: Positions) -> str:
    """In one line: `0/16B3748`, or `shop.orders-0@17 and 3 more`; `none` where nothing was read."""
    texts = [_told(entry) for entry in _known(positions)]
    if not texts:
        return "none"
    return texts[0] if len(texts) == 1 else f"{texts[0]} and {len(texts) - 1} more"


def _told(entry: PartitionOffset) -> str:
    offset = entry.offset or {}
    text = _reached_text(offset)
    if _counted(offset):
        return f"{_partition(entry)}@{text}"
    return text if snapshot_done(dict(offset)) else f"{text}, in the snapshot"


def _known(positions: Positions) -> Iterator[PartitionOffset]:
    """Those that can be written: a null partition is none, a null offset says that there is no position."""
    return (p for p in positions if p.partition is not None and p.offset is not None)


def _key(entry: PartitionOffset) -> tuple[tuple[str, str], ...]:
    """Equal for equal partitions; Connect gives a number now and then as text."""
    return tuple(sorted((k, str(v)) for k, v in (entry.partition or {}).items()))


def _partition(entry: PartitionOffset) -> str:
    members = entry.partition or {}
    if "kafka_topic" in members:
        return f"{members['kafka_topic']}-{members.get('kafka_partition')}"
    if "table" in members:
        return str(members["table"])
    return ",".join(str(v) for v in members.values())


def _counted(offset: Mapping[str, Any]) -> bool:
    """Each partition has a count of its own, which says nothing without it."""
    return any(key in offset for key in ("kafka_offset", *_JDBC))


def _reached_text(offset: Mapping[str, Any]) -> str:
    at = reached(offset)
    if at is None:
        return "a position of its own form"
    if offset.get("timestamp") == at and 0 <= at < _YEAR_10000:
        return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return str(at) if _counted(offset) else format_lsn(at)
