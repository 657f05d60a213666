"""Positions in Kafka, kept in the table `pycdc_positions`, and what was about to be written when a process ended.

Before a block is written its range of offsets stands here; behind it, where reading goes on. Whoever finds a range
without an end reads it again, forms the same blocks first, and gives them the same deduplication tokens: what of
them was written is not written twice. That holds as long as the table remembers tokens (its deduplication window).
A writer that lost its partitions without knowing is held off by its deadline (rule 11 of docs/guarantees.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pycdc.plugins.contracts import Partition
from pycdc.sinks.clickhouse import statements
from pycdc.sinks.clickhouse.client import Session
from pycdc.sinks.ranges import Range

TABLE: Final = "pycdc_positions"
_COLUMNS: Final = (
    "connector String, topic String, `partition` Int32, topic_id String, first Int64, last Int64, next Int64, written UInt8, n UInt64"
)
_FIND: Final = (
    f"SELECT topic, `partition`, topic_id, first, last, next, written, n FROM {TABLE} WHERE connector = {{c:String}} "
    "ORDER BY n DESC LIMIT 1 BY topic, `partition`"
)


class Positions:
    """One connector's, as this process has claimed them."""

    def __init__(self, connector: str, cluster: str = "") -> None:
        self._connector = connector
        self._cluster = cluster
        self._ids: Mapping[str, str] = {}
        self._count: dict[Partition, int] = {}
        #: Ranges that were about to be written; they have to be formed again before anything else of their partition.
        self.begun: dict[Partition, Range] = {}

    def claim(self, session: Session, partitions: Sequence[Partition], topic_ids: Mapping[str, str]) -> dict[Partition, int]:
        """Where each goes on; those of which nothing is known are missing."""
        session.command(
            statements.own(TABLE, _COLUMNS, sorted_by="(connector, topic, `partition`)", version="n", cluster=self._cluster), "positions cannot be kept"
        )
        self._ids = {**self._ids, **topic_ids}
        known = {(r[0], r[1]): r[2:] for r in session.rows(_FIND, c=self._connector)}
        found = {}
        for partition in partitions:
            self.begun.pop(partition, None)
            self._count[partition] = 0
            if partition not in known:
                continue
            topic_id, first, last, next_offset, written, n = known[partition]
            self._count[partition] = int(n)
            if topic_id != topic_ids[partition[0]]:
                continue  # a topic of the same name that was made anew begins at its own start
            if not written:
                self.begun[partition] = Range(first, last)
            found[partition] = int(next_offset if written else first)
        return found

    def begin(self, session: Session, ranges: Mapping[Partition, Range]) -> None:
        """These are about to be written."""
        self._store(session, [(p, *r, -1, 0) for p, r in ranges.items()])

    def finish(self, session: Session, positions: Mapping[Partition, int]) -> None:
        """Everything before these offsets is written."""
        self._store(session, [(p, -1, -1, offset, 1) for p, offset in positions.items()])
        for partition in positions:
            self.begun.pop(partition, None)

    def token(self, partition: Partition, covered: Range) -> str:
        """What the tokens of this range's blocks begin with."""
        topic, number = partition
        return f"{self._connector}/{self._ids.get(topic, '')}/{topic}-{number}/{covered.first}-{covered.last}"

    def _store(self, session: Session, rows: Iterable[tuple[Partition, int, int, int, int]]) -> None:
        values = []
        for (topic, number), first, last, next_offset, written in rows:
            n = self._count[topic, number] = self._count.get((topic, number), 0) + 1
            texts = (statements.literal(t) for t in (self._connector, topic))
            values.append(f"({', '.join(texts)}, {number}, {statements.literal(self._ids.get(topic, ''))}, {first}, {last}, {next_offset}, {written}, {n})")
        if values:
            session.command(f"INSERT INTO {TABLE} SETTINGS async_insert = 0 VALUES {', '.join(values)}", "positions cannot be kept")
