"""A compacted topic: a table of which each record is a row's newest value, as Kafka Connect keeps its own.

Read whole at the start. With `follow` it stays open, and what others write is told as it comes; `read_to_end` then
returns when everything that was there at the call has been told. `put` returns when the record is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka

from pycdc.errors import PycdcError, ServerError
from pycdc.kafka.clients import started_producer
from pycdc.kafka.faults import name_of, refused
from pycdc.kafka.murmur2 import partition_for
from pycdc.kafka.settings import admin_settings
from pycdc.kafka.topics import NewTopic, administration, create_topic
from pycdc.kafka.wire import abandon, client_of, require_extension, topic_settings

log = structlog.get_logger(__name__)

#: Limit for one write or for reading the topic to its end, seconds.
_LIMIT: Final = 60.0
#: A write is tried this often, each time with a new producer.
_ATTEMPTS: Final = 3
_POLL_MS: Final = 200
#: Seconds between two tries to go on reading.
_PAUSE: Final = 1.0

#: Told of each record in the order of its partition; None = deleted.
Told = Callable[[bytes, bytes | None], None]


class CompactedTopic:
    """One topic. `holds` says what of, for messages: positions, connectors."""

    def __init__(self, topic: NewTopic, settings: Mapping[str, str], told: Told, *, holds: str) -> None:
        """`topic`: how it is made where it is missing; `settings`: Kafka's admin properties."""
        require_extension()
        self.name = topic.name
        self._new = NewTopic(topic.name, topic.num_partitions, topic.replication_factor, {**topic.topic_configs, "cleanup.policy": "compact"})
        self._settings = dict(settings)
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._told, self._holds = told, holds
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        #: Asks where the topic ends. Not the one that reads: on its connection a question waits behind the fetch under way.
        self._asker: AIOKafkaConsumer | None = None
        self._parts: list[TopicPartition] = []
        self._following: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()

    async def start(self, *, follow: bool = False) -> None:
        """Create the topic when missing, read it to its end. Raises ServerError."""
        await create_topic(self._settings, self._new)
        await self._must_be_compacted()
        self._producer = await self._connected()
        try:
            async with asyncio.timeout(_LIMIT):
                self._parts = [TopicPartition(self.name, p) for p in range(len(await self._producer.partitions_for(self.name)))]
                # what an open transaction of Connect's wrote is not there yet
                self._consumer = AIOKafkaConsumer(
                    enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed", **self._options()
                )
                await self._consumer.start()
                self._consumer.assign(self._parts)
                ends = await self._consumer.end_offsets(self._parts)
                while not await self._has_reached(ends):
                    await self._read(50)
        except (kafka.KafkaError, TimeoutError) as error:
            await self._close_consumer()
            raise self._unread(error) from None
        if follow:
            self._asker = AIOKafkaConsumer(enable_auto_commit=False, isolation_level="read_committed", **self._options())
            await self._asker.start()
            self._following = asyncio.create_task(self._follow())
        else:
            await self._close_consumer()

    async def _must_be_compacted(self) -> None:
        """Any other policy deletes records after a while: Connect refuses such a topic as well."""
        async with administration(self._settings) as admin:
            found = await topic_settings(client_of(admin), self.name, ["cleanup.policy"])
        policy = found.get("cleanup.policy", "compact")
        if policy != "compact":
            raise ServerError(
                f"the topic for {self._holds} would forget them", where=f"topic {self.name}", cause=f"cleanup.policy={policy}",
                hint=f"kafka-configs --alter --entity-type topics --entity-name {self.name} --add-config cleanup.policy=compact",
            )  # fmt: skip

    def _options(self) -> dict[str, object]:
        options, _ = admin_settings(self._settings)
        return options

    # ---- reading

    async def _read(self, wait_ms: int) -> None:
        assert self._consumer is not None
        for records in (await self._consumer.getmany(timeout_ms=wait_ms)).values():
            for record in records:
                if record.key is not None:
                    self._told(record.key, record.value)

    async def _has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        assert self._consumer is not None
        return all([await self._consumer.position(part) >= end for part, end in ends.items()])

    async def _follow(self) -> None:
        while True:
            try:
                await self._read(_POLL_MS)
            except kafka.KafkaError as error:
                log.warning("a topic cannot be read, trying again", topic=self.name, cause=name_of(error))
                await asyncio.sleep(_PAUSE)
            async with self._moved:
                self._moved.notify_all()

    async def read_to_end(self) -> None:
        """Until everything that is there now has been told; only with `follow`. Raises ServerError."""
        assert self._asker is not None
        try:
            async with asyncio.timeout(_LIMIT):
                ends = await self._asker.end_offsets(self._parts)
                async with self._moved:
                    while not await self._has_reached(ends):
                        await self._moved.wait()
        except (kafka.KafkaError, TimeoutError) as error:
            raise self._unread(error) from None

    def _unread(self, error: BaseException) -> ServerError:
        return ServerError(
            f"the stored {self._holds} cannot be read", where=f"topic {self.name}", cause=name_of(error),
            hint=f"check that all its partitions have a leader: kafka-topics --describe --topic {self.name}", retriable=True,
        )  # fmt: skip

    # ---- writing

    async def put(self, key: bytes, value: bytes | None) -> None:
        """Durable on return. Raises ServerError, retriable unless a person must mend it."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._write(key, value)
                return
            except (kafka.KafkaError, TimeoutError) as error:
                fault = self.unwritten(error)
                await self._forget_producer()
                if attempt == _ATTEMPTS or not fault.retriable:
                    raise fault from None
                log.warning("a record was not stored; trying again with a new producer", topic=self.name, cause=fault.cause)

    async def _write(self, key: bytes, value: bytes | None) -> None:
        """A producer that failed once may be out of sequence for good, so each failure costs it its place."""
        if self._producer is None:
            self._producer = await self._connected()
        async with asyncio.timeout(_LIMIT):
            await self._producer.send_and_wait(self.name, value, key, partition=self.partition_of(key))

    async def _connected(self) -> AIOKafkaProducer:
        return await started_producer(self._options(), self._bootstrap, _LIMIT)

    def partition_of(self, key: bytes) -> int:
        """Where the records of a key are."""
        return partition_for(key, len(self._parts))

    def unwritten(self, error: BaseException) -> PycdcError:
        """A record was not stored, in words."""
        fault = refused(self.name, error)
        if not isinstance(error, TimeoutError) and not fault.retriable:
            return fault
        return ServerError(
            f"the {self._holds} cannot be stored", where=f"topic {self.name}", cause=name_of(error),
            hint="check the brokers; nothing is lost, the slot keeps the changes", retriable=True,
        )  # fmt: skip

    async def _forget_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await abandon(producer)

    # ---- the end

    async def _close_consumer(self) -> None:
        consumers = [c for c in (self._consumer, self._asker) if c is not None]
        self._consumer = self._asker = None
        for consumer in consumers:
            await consumer.stop()

    async def stop(self) -> None:
        """Every `put` that returned is durable, so nothing is waited for."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await self._close_consumer()
        await self._forget_producer()
