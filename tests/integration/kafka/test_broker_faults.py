"""BatchSender and the offset topic while their broker is killed, frozen and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from kafka_records import append, new_topic, numbers, properties, read, sender

from pycdc.errors import ConnectionLost, ProduceError
from pycdc.kafka import producer
from pycdc.kafka.offsets import TopicOffsetStore
from pycdc.model.ledger import Ledger
from pycdc.servers.kafka import Kafka

TOPIC = "faults"


async def test_a_killed_broker_loses_nothing_that_was_settled_and_all_arrives(private_kafka: Kafka) -> None:
    """kill -9 in the middle, started again: order is kept, nothing is missing, retries repeat nothing."""
    await new_topic(private_kafka.bootstrap, TOPIC, 2)
    ledger: Ledger[int] = Ledger()
    to = await sender(private_kafka.bootstrap, ledger, request_timeout_ms="5000")
    await to.partitions(TOPIC)
    outage: asyncio.Future[None] | None = None
    settled_before_kill, first = 0, 0
    for step in range(300):
        append(to, TOPIC, step % 2, range(first, first + 200), size=200)
        first += 200
        ledger.mark(first, first)
        to.flush_soon()
        if step == 100:
            settled_before_kill = ledger.settled() or 0
            outage = asyncio.ensure_future(asyncio.to_thread(_kill_and_start, private_kafka))
        await to.room(2_000_000)
        await asyncio.sleep(0.001)
    await to.flush()
    assert outage is not None
    await outage
    assert settled_before_kill > 0
    assert ledger.settled() == first
    await to.stop()
    found = await read(private_kafka.bootstrap, TOPIC, 2)
    lanes = {p: [n for n in range(first) if n // 200 % 2 == p] for p in range(2)}
    assert {p: numbers(r) for p, r in found.items()} == lanes


def _kill_and_start(broker: Kafka) -> None:
    broker.kill()
    broker.start()


async def test_a_frozen_broker_ends_the_sender_within_its_limit_and_stop_does_not_hang(private_kafka: Kafka) -> None:
    await new_topic(private_kafka.bootstrap, TOPIC)
    ledger: Ledger[int] = Ledger()
    to = await sender(private_kafka.bootstrap, ledger, delivery_timeout_ms="2000")
    await to.partitions(TOPIC)
    append(to, TOPIC, 0, range(10))
    await to.flush()
    ledger.mark(10, 10)
    assert ledger.settled() == 10
    pid = private_kafka.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        append(to, TOPIC, 0, range(10, 5000), size=2000)  # more than the socket holds
        ledger.mark(5000, 5000)
        began = time.monotonic()
        with pytest.raises(ProduceError, match="not acknowledged within 2 s") as caught:
            await to.watch()
        assert caught.value.retriable
        assert time.monotonic() - began < 6
        assert ledger.settled() is None
        began = time.monotonic()
        await to.stop()
        assert time.monotonic() - began < 4
    finally:
        os.kill(pid, signal.SIGCONT)
    # what was in the socket may have arrived: a replay repeats it, but nothing is missing
    again = await sender(private_kafka.bootstrap)
    append(again, TOPIC, 0, range(10, 5000), size=2000)
    await again.flush()
    await again.stop()
    assert set(numbers((await read(private_kafka.bootstrap, TOPIC))[0])) == set(range(5000))


async def test_a_broker_that_is_gone_can_be_left_and_is_told_as_unreachable(
    private_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "_TOPIC_LIMIT", 1.0)
    await new_topic(private_kafka.bootstrap, TOPIC)
    to = await sender(private_kafka.bootstrap)
    await to.partitions(TOPIC)
    private_kafka.kill()
    append(to, TOPIC, 0, range(10))
    to.flush_soon()
    with pytest.raises(ConnectionLost):
        await to.partitions("unknown.before")
    assert to.buffered_bytes > 0
    began = time.monotonic()
    await to.stop()
    assert time.monotonic() - began < 4


async def test_a_position_is_stored_across_a_restart_of_the_broker(private_kafka: Kafka) -> None:
    """`put` begins while the broker is down and returns when it is durable."""
    shop = {"server": "shop"}
    settings = properties(private_kafka.bootstrap)
    store = TopicOffsetStore("offsets", settings, partitions=1, replication=1)
    await store.start()
    await store.put("c", shop, {"lsn": 1})
    private_kafka.kill()
    put = asyncio.ensure_future(store.put("c", shop, {"lsn": 2}))
    await asyncio.to_thread(private_kafka.start)
    await put
    await store.stop()
    again = TopicOffsetStore("offsets", settings, partitions=1, replication=1)
    await again.start()
    assert await again.get("c", shop) == {"lsn": 2}
    await again.stop()
