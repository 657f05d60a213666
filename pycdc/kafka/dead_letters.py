"""DeadLetterQueue: a topic for the records that a sink could not take, as they came.

Created with one partition when the sink starts, as Connect does. What was put is durable when `flush` has
returned, and positions behind it are committed only then: a letter may come twice, never not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.admin import NewTopic

from pycdc.errors import ProduceError
from pycdc.kafka.faults import unreachable
from pycdc.kafka.settings import producer_settings
from pycdc.kafka.topics import create_topic

#: Limit for connecting and for the acknowledgement of all that is under way, seconds.
_LIMIT = 30.0


class DeadLetterQueue:
    """`producer` and `admin` are Kafka's properties."""

    def __init__(self, topic: str, replication: int, producer: Mapping[str, str], admin: Mapping[str, str], *, client_id: str) -> None:
        self.topic = topic
        self._replication = replication
        self._admin = admin
        settings, _ = producer_settings(producer)
        settings |= {"client_id": client_id, "acks": "all", "enable_idempotence": True}
        self._bootstrap = producer.get("bootstrap.servers", "")
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._waiting: list[asyncio.Future[object]] = []

    async def start(self) -> None:
        """Create the topic unless it is there, and connect. Raises ServerError."""
        await create_topic(self._admin, NewTopic(self.topic, 1, self._replication))
        producer = AIOKafkaProducer(**self._settings)
        try:
            async with asyncio.timeout(_LIMIT):
                await producer.start()
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            await producer.stop()
            raise await unreachable(self._bootstrap, error) from None
        self._producer = producer

    async def put(
        self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]], timestamp: int
    ) -> None:
        """Send one record; `flush` waits for it."""
        assert self._producer is not None
        try:
            async with asyncio.timeout(_LIMIT):
                self._waiting.append(
                    await self._producer.send(self.topic, value, key, headers=list(headers), timestamp_ms=timestamp if timestamp >= 0 else None)
                )
        except (kafka.KafkaError, TimeoutError) as error:
            raise self._refused(error) from None

    async def flush(self) -> None:
        """Wait until all that was put is acknowledged. Raises ProduceError."""
        waiting, self._waiting = self._waiting, []
        try:
            async with asyncio.timeout(_LIMIT):
                await asyncio.gather(*waiting)
        except (kafka.KafkaError, TimeoutError) as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> ProduceError:
        return ProduceError(
            "a record cannot be written to the dead letter queue", where=f"topic {self.topic}", cause=f"{type(error).__name__}: {error}",
            hint=f"its largest message must hold any record with its headers: kafka-configs --alter --topic {self.topic} "
            "--add-config max.message.bytes=...",
        )  # fmt: skip

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()
