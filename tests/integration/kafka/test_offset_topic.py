"""Positions in the offset topic: bytes that Kafka Connect reads, and what Connect wrote."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from kafka_records import new_topic, properties, read

from pycdc.errors import ConnectionLost, ServerError
from pycdc.kafka.murmur2 import partition_for
from pycdc.kafka.offsets import TopicOffsetStore
from pycdc.kafka.wire import client_of, topic_settings
from pycdc.servers.process import free_port
from pycdc.testing.plugin import Names

SHOP = {"server": "shop"}


async def opened(kafka: str, names: Names, partitions: int = 5) -> TopicOffsetStore:
    store = TopicOffsetStore(names.offsets, properties(kafka), partitions=partitions, replication=1)
    await store.start()
    return store


async def test_the_topic_is_created_compacted_with_its_partitions(kafka: str, names: Names) -> None:
    store = await opened(kafka, names, 25)
    await store.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    [topic] = await admin.describe_topics([names.offsets])
    found = await topic_settings(client_of(admin), names.offsets, ["cleanup.policy"])
    await admin.close()
    assert len(topic["partitions"]) == 25
    assert found == {"cleanup.policy": "compact"}


async def test_the_bytes_are_those_of_connect(kafka: str, names: Names) -> None:
    """Compact JSON in the given order, raw UTF-8, no escaped slash, in murmur2's partition."""
    store = await opened(kafka, names)
    assert await store.get("größe/1", SHOP) is None
    offset: dict[str, Any] = {"lsn_proc": 2**62, "messageType": "INSERT", "lsn": 24023128, "snapshot_completed": True, "x": "ü/\u2028"}
    await store.put("größe/1", SHOP, offset)
    await store.put("gone", SHOP, {"lsn": 1})
    await store.put("gone", SHOP, None)
    await store.stop()
    found = {(p, r.key): r.value for p, rs in (await read(kafka, names.offsets, 5)).items() for r in rs}
    key = '["größe/1",{"server":"shop"}]'.encode()
    gone = b'["gone",{"server":"shop"}]'
    assert found == {
        (partition_for(key, 5), key): (
            '{"lsn_proc":4611686018427387904,"messageType":"INSERT","lsn":24023128,"snapshot_completed":true,"x":"ü/\u2028"}'.encode()
        ),
        (partition_for(gone, 5), gone): None,
    }  # fmt: skip
    again = await opened(kafka, names)
    assert await again.get("größe/1", SHOP) == offset
    assert list(await again.get("größe/1", SHOP) or {}) == list(offset)
    assert await again.get("gone", SHOP) is None
    await again.stop()


async def test_what_connect_wrote_is_read_and_the_last_record_wins(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.offsets, 3, cleanup_policy="compact")
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    key = b'["c",{"server":"shop"}]'
    for value in (b'{"lsn":1}', b'{"transaction_id":null,"lsn_proc":7,"lsn":8,"txId":9,"ts_usec":10}'):
        await producer.send_and_wait(names.offsets, value, key, partition=partition_for(key, 3))
    await producer.send_and_wait(names.offsets, b"no json", b'["bad",{"server":"shop"}]', partition=0)
    await producer.send_and_wait(names.offsets, b"3", b'["odd",{"server":"shop"}]', partition=0)
    await producer.stop()
    store = await opened(kafka, names)
    assert await store.get("c", SHOP) == {"transaction_id": None, "lsn_proc": 7, "lsn": 8, "txId": 9, "ts_usec": 10}
    for connector in ("bad", "odd"):
        with pytest.raises(ServerError, match="cannot be understood"):
            await store.get(connector, SHOP)
    await store.stop()


async def test_an_aborted_transaction_is_not_a_position(kafka: str, names: Names) -> None:
    """A Connect worker with exactly-once writes offsets in its transactions."""
    await new_topic(kafka, names.offsets, 1, cleanup_policy="compact")
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=names.base)
    await producer.start()
    async with producer.transaction():
        await producer.send(names.offsets, b'{"lsn":1}', b'["c",{"server":"shop"}]')
    await producer.begin_transaction()
    await producer.send_and_wait(names.offsets, b'{"lsn":2}', b'["c",{"server":"shop"}]')
    await producer.abort_transaction()
    await producer.stop()
    store = await opened(kafka, names, 1)
    assert await store.get("c", SHOP) == {"lsn": 1}
    await store.stop()


async def test_a_topic_that_forgets_is_refused(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.offsets, cleanup_policy="delete")
    with pytest.raises(ServerError, match="would forget") as caught:
        await opened(kafka, names)
    assert "--add-config cleanup.policy=compact" in caught.value.hint


async def test_too_few_brokers_for_the_replicas_is_told_with_the_setting(kafka: str, names: Names) -> None:
    store = TopicOffsetStore(names.offsets, properties(kafka))
    with pytest.raises(ServerError, match="cannot be created") as caught:
        await store.start()
    assert "offset.storage.replication.factor" in caught.value.hint
    await store.stop()


async def test_an_unreachable_broker_is_one_quick_error() -> None:
    store = TopicOffsetStore("offsets", properties(f"127.0.0.1:{free_port()}"))
    began = time.monotonic()
    with pytest.raises(ConnectionLost, match="cannot reach Kafka"):
        await store.start()
    assert time.monotonic() - began < 10
    await store.stop()
