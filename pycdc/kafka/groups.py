"""What consumer groups have committed, beside where their topics end."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient


async def records_behind(bootstrap: str, groups: Iterable[str], topics: Iterable[str]) -> int:
    """Records of the topics between what the groups have committed and the ends. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await consumer.start()
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        behind = 0
        for group in groups:
            committed = await admin.list_consumer_group_offsets(group)
            behind += sum(end - max(0, committed[part].offset if part in committed else 0) for part, end in ends.items())
        return behind
    finally:
        await consumer.stop()
        await admin.close()
