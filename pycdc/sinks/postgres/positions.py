"""Positions in Kafka, kept in the target and written in the transaction of the rows that they cover.

Each partition has one row. Whoever claims it raises its epoch, waiting for a write under way to end; a writer of
an older epoch finds its row changed and writes nothing (rule 11 of docs/guarantees.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString

import psycopg

from pycdc.errors import SinkError
from pycdc.plugins.contracts import Partition

TABLE: Final = "pycdc_positions"
_CREATE: LiteralString = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        connector text, topic text, partition int, topic_id text NOT NULL, next_offset bigint, epoch bigint NOT NULL,
        PRIMARY KEY (connector, topic, partition))"""
# a topic of the same name that was made anew begins at its own start
_CLAIM: LiteralString = f"""
    INSERT INTO {TABLE} AS p VALUES (%s, %s, %s, %s, NULL, 1)
    ON CONFLICT (connector, topic, partition) DO UPDATE
       SET epoch = p.epoch + 1, topic_id = EXCLUDED.topic_id,
           next_offset = CASE WHEN p.topic_id = EXCLUDED.topic_id THEN p.next_offset END
    RETURNING next_offset, epoch"""
_STORE: LiteralString = f"""
    UPDATE {TABLE} AS p SET next_offset = n.next_offset
      FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[]) AS n (topic, partition, next_offset, epoch)
     WHERE p.connector = %s AND p.topic = n.topic AND p.partition = n.partition AND p.epoch = n.epoch"""


class Positions:
    """One connector's, as this process has claimed them."""

    def __init__(self) -> None:
        self._epochs: dict[Partition, int] = {}

    async def claim(
        self, conn: psycopg.AsyncConnection, connector: str, partitions: Sequence[Partition], topic_ids: Mapping[str, str]
    ) -> dict[Partition, int]:
        """Where each goes on; commits."""
        await conn.execute(_CREATE)
        await conn.commit()
        found = {}
        for topic, partition in sorted(partitions):
            row = await (await conn.execute(_CLAIM, [connector, topic, partition, topic_ids[topic]])).fetchone()
            assert row is not None
            self._epochs[topic, partition] = row[1]
            if row[0] is not None:
                found[topic, partition] = row[0]
        await conn.commit()
        return found

    async def store(self, conn: psycopg.AsyncConnection, connector: str, positions: Mapping[Partition, int]) -> None:
        """In the transaction that is open. Raises SinkError when another has claimed one of them."""
        listed = sorted(positions)
        cursor = await conn.execute(
            _STORE,
            [[t for t, _ in listed], [p for _, p in listed], [positions[k] for k in listed], [self._epochs.get(k, 0) for k in listed], connector],
        )
        if cursor.rowcount != len(listed):
            raise SinkError(
                "another process writes these partitions now", where=", ".join(f"{t}-{p}" for t, p in listed),
                cause=f"their epoch in the table {TABLE} is a newer one", hint="nothing was written; let this process join its group again",
            )  # fmt: skip
