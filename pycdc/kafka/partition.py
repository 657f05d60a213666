"""PartitionReader: one partition of a topic, read from where its group's position is.

For topics of commands, not of data: a record at a time, its position stored when the caller says that it is
dealt with. Never joins the group: who else uses its name does not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka

from pycdc.errors import ConnectionLost
from pycdc.kafka.faults import unreachable
from pycdc.kafka.settings import consumer_settings

#: Seconds for a request to the broker.
_LIMIT = 30.0


class Message(msgspec.Struct, frozen=True):
    """One record."""

    offset: int
    key: bytes | None
    value: bytes | None


class PartitionReader:
    """Partition 0 of `topic`, from the position of `group`, else from its beginning."""

    def __init__(self, settings: Mapping[str, str], topic: str, group: str, *, client_id: str) -> None:
        mapped, _ = consumer_settings(settings)
        mapped.setdefault("auto_offset_reset", "earliest")
        mapped.setdefault("client_id", client_id)
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._place = TopicPartition(topic, 0)
        self._consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **mapped)

    async def start(self) -> None:
        """Raises ServerError."""
        try:
            async with asyncio.timeout(_LIMIT):
                await self._consumer.start()
                self._consumer.assign([self._place])
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            await self._consumer.stop()
            raise await unreachable(self._bootstrap, error) from None

    async def read(self, timeout_ms: int) -> list[Message]:
        """What has come; empty after `timeout_ms`, also while the topic does not exist. Raises ConnectionLost."""
        try:
            fetched = await self._consumer.getmany(self._place, timeout_ms=timeout_ms)
        except kafka.KafkaError as error:
            raise ConnectionLost("reading from Kafka failed", where=self._bootstrap, cause=f"{type(error).__name__}: {error}") from None
        return [Message(r.offset, r.key, r.value) for records in fetched.values() for r in records]

    async def done(self, message: Message) -> None:
        """It need not be read again. Raises ConnectionLost."""
        try:
            async with asyncio.timeout(_LIMIT):
                await self._consumer.commit({self._place: message.offset + 1})
        except (kafka.KafkaError, TimeoutError) as error:
            raise ConnectionLost("a position cannot be stored", where=self._bootstrap, cause=f"{type(error).__name__}: {error}") from None

    async def stop(self) -> None:
        await self._consumer.stop()
