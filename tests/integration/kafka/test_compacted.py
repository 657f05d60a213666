"""CompactedTopic: a table in a topic, seen alike by all that follow it."""

from __future__ import annotations

import asyncio

from kafka_records import properties

from pycdc.kafka.compacted import CompactedTopic
from pycdc.kafka.topics import NewTopic
from pycdc.testing.plugin import Names


class Table:
    """What one member has been told."""

    def __init__(self, kafka: str, name: str, partitions: int = 3) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.told: list[bytes] = []
        self.topic = CompactedTopic(NewTopic(name, partitions, 1), properties(kafka), self._take, holds="rows")

    def _take(self, key: bytes, value: bytes | None) -> None:
        self.told.append(key)
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value


async def test_what_was_put_before_the_call_is_told_before_it_returns(kafka: str, names: Names) -> None:
    first, second = Table(kafka, names.base), Table(kafka, names.base)
    await first.topic.start(follow=True)
    await second.topic.start(follow=True)
    for n in range(20):
        await first.topic.put(b"key %d" % (n % 7), b"%d" % n)
        await second.topic.read_to_end()
        assert second.rows[b"key %d" % (n % 7)] == b"%d" % n
    await second.topic.put(b"key 3", None)
    await asyncio.gather(first.topic.read_to_end(), second.topic.read_to_end())
    assert first.rows == second.rows == {b"key %d" % k: b"%d" % max(n for n in range(20) if n % 7 == k) for k in range(7) if k != 3}
    await first.topic.stop()
    await second.topic.stop()


async def test_who_comes_later_is_told_all(kafka: str, names: Names) -> None:
    first, later = Table(kafka, names.base), Table(kafka, names.base)
    await first.topic.start()
    for n in range(50):
        await first.topic.put(b"%d" % n, b"x")
    await later.topic.start()
    assert len(later.rows) == 50
    await later.topic.stop()
    await first.topic.stop()


async def test_it_is_made_compacted_with_the_partitions_asked_for(kafka: str, names: Names) -> None:
    table = Table(kafka, names.base, partitions=5)
    await table.topic.start()
    assert len(table.topic._parts) == 5
    again = Table(kafka, names.base, partitions=2)
    await again.topic.start()
    assert len(again.topic._parts) == 5, "one that exists is left as it is"
    await again.topic.stop()
    await table.topic.stop()
