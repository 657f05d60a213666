"""GroupConsumer: topics that come while it runs."""

from __future__ import annotations

import asyncio
import re

from aiokafka import AIOKafkaProducer
from kafka_records import new_topic, properties

from pycdc.kafka.consumer import GroupConsumer
from pycdc.testing.plugin import Names


async def send(kafka: str, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topic, topic.encode())
    await producer.stop()


async def until_read(consumer: GroupConsumer, value: bytes) -> None:
    async with asyncio.timeout(45):  # Kafka's default would be five minutes
        while not any(value in messages.values for messages in await consumer.poll(100, 100)):
            pass


async def nothing() -> None: ...


async def test_a_topic_that_is_made_later_is_read(kafka: str, names: Names) -> None:
    """By members that know its name and by members that know a pattern."""
    first, later = f"{names.prefix}.first", f"{names.prefix}.later"
    await new_topic(kafka, first)
    consumers = [
        GroupConsumer(properties(kafka), group=f"{names.prefix}-list", topics=(first, later)),
        GroupConsumer(properties(kafka), group=f"{names.prefix}-pattern", pattern=re.escape(names.prefix) + r"\..*"),
    ]
    try:
        await asyncio.gather(*(c.start(nothing) for c in consumers))
        await send(kafka, first)
        await asyncio.gather(*(until_read(c, first.encode()) for c in consumers))
        await new_topic(kafka, later)
        await send(kafka, later)
        await asyncio.gather(*(until_read(c, later.encode()) for c in consumers))
    finally:
        for consumer in consumers:
            await consumer.stop()
