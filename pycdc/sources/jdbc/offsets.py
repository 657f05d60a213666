"""Positions in the original's format, so that a connector moves over in place, and back.

A table's partition is {"table": "schema.table", "protocol": "1"}; releases with a newer driver put the database before it,
old ones stored {"table": "table"}; a query has {"query": "query"}. The offset holds what the modes track: `incrementing`,
and `timestamp` (ms) with `timestamp_nanos` (of the second). One key is ours, which the original does not read:
`pycdc_snapshot`, a dialect's memory of which rows up to there were seen.

Source: OffsetProtocols and TimestampIncrementingOffset of kafka-connect-jdbc 10.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pycdc.errors import ServerError
from pycdc.model.javahash import map_order
from pycdc.plugins.contracts import Offset
from pycdc.sources.jdbc.tables import TableId

QUERY = {"query": "query"}
_SNAPSHOT = "pycdc_snapshot"


class Position(msgspec.Struct, frozen=True):
    """How far a table is read. `stamp_us`: microseconds since 1970; None: not at all."""

    number: int | None = None
    stamp_us: int | None = None
    #: Which rows at or below were seen, in the dialect's own words (dialect.Late).
    snapshot: str | None = None

    def offset(self) -> Offset:
        """Members as Java's hash maps have them."""
        values: dict[str, Any] = {}
        if self.number is not None:
            values["incrementing"] = self.number
        if self.stamp_us is not None:
            values["timestamp"] = self.stamp_us // 1000
            values["timestamp_nanos"] = self.stamp_us % 1_000_000 * 1000
        ordered = {k: values[k] for k in map_order(values)}
        return ordered if self.snapshot is None else {**ordered, _SNAPSHOT: self.snapshot}


def position_of(offset: Offset, where: str) -> Position:
    """Raises ServerError when it is not in this format."""
    number, millis, nanos = (_whole(offset, key, where) for key in ("incrementing", "timestamp", "timestamp_nanos"))
    stamp = None
    if millis is not None:
        stamp = millis * 1000 if nanos is None else millis // 1000 * 1_000_000 + nanos // 1000
    snapshot = offset.get(_SNAPSHOT)
    return Position(number, stamp, snapshot if isinstance(snapshot, str) else None)


def _whole(offset: Offset, key: str, where: str) -> int | None:
    value = offset.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise ServerError(
            "a stored position cannot be understood", where=where, cause=f"{key} is no whole number",
            hint="mend it with PATCH /connectors/NAME/offsets, or remove it to read the table anew",
        )  # fmt: skip
    return value


def partitions(table: TableId, places: Sequence[str]) -> list[dict[str, str]]:
    """Where a table's position may be, the newest form first; `places` are the whole names that it may have there."""
    return [*map(_first, places), {"table": table.table}]


def is_current(partition: dict[str, str]) -> bool:
    """Positions of older forms are read, and stored anew in the form of today."""
    return "protocol" in partition or partition == QUERY


def _first(table: str) -> dict[str, str]:
    values = {"table": table, "protocol": "1"}
    return {k: values[k] for k in map_order(values)}
