"""Sending and reading back, for tests of the Kafka room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from pycdc.kafka.producer import BatchSender
from pycdc.kafka.topics import NewTopic, create_topic
from pycdc.model.ledger import Ledger

NONE: list[tuple[str, bytes | None]] = []


def properties(bootstrap: str, **more: str) -> dict[str, str]:
    """Kafka client properties; `_` in a name stands for `.`."""
    return {"bootstrap.servers": bootstrap} | {k.replace("_", "."): v for k, v in more.items()}


async def new_topic(bootstrap: str, name: str, partitions: int = 1, **configs: str) -> None:
    await create_topic(properties(bootstrap), NewTopic(name, partitions, 1, {k.replace("_", "."): v for k, v in configs.items()}))


async def sender(bootstrap: str, ledger: Ledger[Any] | None = None, **more: str) -> BatchSender:
    made = BatchSender(properties(bootstrap, **more), Ledger() if ledger is None else ledger)
    await made.start()
    return made


def append(to: BatchSender, topic: str, partition: int, numbers: Sequence[int], size: int = 20) -> None:
    """One record per number: key and value tell it."""
    keys = [b"%d" % n for n in numbers]
    values = [b"%d " % n + b"x" * size for n in numbers]
    to.append_run(topic, partition, keys, values, [NONE] * len(keys), numbers)


async def read(bootstrap: str, topic: str, partitions: int = 1) -> dict[int, list[Any]]:
    """Everything in the topic, by partition, read by a plain consumer."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        parts = [TopicPartition(topic, p) for p in range(partitions)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found: dict[int, list[Any]] = {p: [] for p in range(partitions)}
        for part in parts:
            while await consumer.position(part) < ends[part]:
                for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[tp.partition] += records
    finally:
        await consumer.stop()
    return found


def numbers(records: Iterable[Any]) -> list[int]:
    return [int(r.value.split()[0]) for r in records]


async def until(done: Callable[[], bool], seconds: float = 20) -> None:
    """Look at every turn of the loop's clock; TimeoutError after the limit."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 - the sender has nothing to wait on
            await asyncio.sleep(0.005)
