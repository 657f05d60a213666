"""Notifications of snapshots as records: who started, how far it is, how it ended.

Source: Debezium's documentation, "Receiving notifications from a connector"; the captures of area `signals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pycdc.debezium.envelope import Templates
from pycdc.model.record import Record
from pycdc.model.schema import INT64, STRING, Schema, struct
from pycdc.model.template import Form, Leaf, Reader
from pycdc.plugins.contracts import Run

INITIAL: Final = "Initial Snapshot"
INCREMENTAL: Final = "Incremental Snapshot"

STARTED, IN_PROGRESS, TABLE_SCAN_COMPLETED, COMPLETED = "STARTED", "IN_PROGRESS", "TABLE_SCAN_COMPLETED", "COMPLETED"
ABORTED, SKIPPED, PAUSED, RESUMED = "ABORTED", "SKIPPED", "PAUSED", "RESUMED"

#: How a table's scan ended.
SUCCEEDED, EMPTY, NO_PRIMARY_KEY, SQL_EXCEPTION, UNKNOWN_SCHEMA = (
    "SUCCEEDED", "EMPTY", "NO_PRIMARY_KEY", "SQL_EXCEPTION", "UNKNOWN_SCHEMA",
)  # fmt: skip

#: Keys of additional_data in the order in which Java's HashMap gives those that come together.
_ORDER: Final = (
    "scanned_collection", "current_collection_in_progress", "connector_name", "total_rows_scanned", "maximum_key",
    "data_collections", "status", "last_processed_key",
)  # fmt: skip

_KEY: Final = struct([("id", STRING)], name="io.debezium.connector.common.NotificationKey", version=1)
_VALUE: Final = struct(
    [
        ("id", STRING), ("type", STRING), ("aggregate_type", STRING),
        ("additional_data", Schema(type="map", keys=STRING, values=STRING, optional=True)), ("timestamp", INT64),
    ],
    name="io.debezium.connector.common.Notification", version=1,
)  # fmt: skip

_TEXT: Final = Reader(read=bytes.decode, form=Form.TEXT, type_name="text")
_NUMBER: Final = Reader(read=int, form=Form.DIGITS, type_name="int8")


class Notifications:
    """Makes the records for one topic; a template per set of details, so that they are few."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._templates: dict[tuple[str, ...], Templates] = {}

    def record(self, aggregate: str, kind: str, identity: str, details: Mapping[str, str], now_ms: int) -> Run:
        """One notification as a run of one row."""
        names = tuple(n for n in _ORDER if n in details)
        texts = (identity, kind, aggregate, str(now_ms), *(details[n] for n in names))
        return Run(self._template(names), [[t.encode() for t in texts]], "notification", -1)

    def _template(self, names: tuple[str, ...]) -> Templates:
        known = self._templates.get(names)
        if known is None:
            identity = Leaf(0, _TEXT)
            value = {
                "id": identity, "type": Leaf(1, _TEXT), "aggregate_type": Leaf(2, _TEXT),
                "additional_data": {n: Leaf(4 + i, _TEXT) for i, n in enumerate(names)}, "timestamp": Leaf(3, _NUMBER),
            }  # fmt: skip
            record = Record(topic=self._topic, key_schema=_KEY, key={"id": identity}, value_schema=_VALUE, value=value)
            known = self._templates[names] = (record,)
        return known
