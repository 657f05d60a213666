"""Where positions are kept: Kafka Connect's offset topic, or a local file.

Topic records are byte for byte Connect's: key `["<connector>",{"server":"..."}]`, value the offset map,
compact JSON, raw UTF-8 (docs: KIP-875; JsonConverter without schemas). `put` returns when it is durable.
Positions of other connectors in the same topic or file are never touched.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka

from pycdc.errors import PycdcError, ServerError
from pycdc.kafka.faults import name_of, refused, unreachable
from pycdc.kafka.murmur2 import partition_for
from pycdc.kafka.settings import admin_settings
from pycdc.kafka.topics import NewTopic, administration, create_topic
from pycdc.kafka.wire import abandon, client_of, require_extension, topic_settings
from pycdc.plugins.contracts import Offset

log = structlog.get_logger(__name__)

#: Limit for one write or for reading the topic to its end, seconds.
_LIMIT: Final = 60.0
#: A write is tried this often, each time with a new producer.
_ATTEMPTS: Final = 3


class OffsetStore(Protocol):
    """Positions by connector and source partition."""

    async def start(self) -> None: ...

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None: ...

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return; None removes the position."""

    async def stop(self) -> None: ...


def _key(connector: str, partition: Mapping[str, str]) -> bytes:
    return orjson.dumps([connector, dict(partition)])


class FileOffsetStore:
    """A JSON file, replaced as a whole: a crash leaves the old one or the new one."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._offsets: dict[str, Offset] = {}
        self._writing = asyncio.Lock()

    async def start(self) -> None:
        """Raises PycdcError when the file cannot be understood, or could not be written."""
        if not os.access(self._path.parent, os.W_OK):
            raise self._unwritten("its folder does not exist or does not let us write")
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._broken(str(error)) from None
        try:
            loaded = orjson.loads(data)
            self._offsets = {str(k): dict(v) for k, v in loaded.items()}
        except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
            raise self._broken(str(error)) from None

    def _broken(self, cause: str) -> PycdcError:
        return PycdcError(
            "the offsets file cannot be read", where=str(self._path), cause=cause,
            hint="restore it, or remove it to begin anew: with snapshot.mode=initial all tables are read again",
        )  # fmt: skip

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None:
        return self._offsets.get(_key(connector, partition).decode())

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return; remembered only then. Raises PycdcError."""
        key = _key(connector, partition).decode()
        async with self._writing:
            offsets = {k: v for k, v in self._offsets.items() if k != key}
            if offset is not None:
                offsets[key] = offset
            await asyncio.to_thread(self._replace, orjson.dumps(offsets, option=orjson.OPT_INDENT_2))
            self._offsets = offsets

    def _replace(self, data: bytes) -> None:
        """The old file or the new one: written aside, on disk, then renamed, then the rename on disk."""
        temporary = self._path.with_name(self._path.name + ".tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unwritten(str(error)) from None

    def _unwritten(self, cause: str) -> PycdcError:
        return PycdcError(
            "the offsets file cannot be written", where=str(self._path), cause=cause,
            hint="name another file in --offsets-file, or let this user write into its folder",
        )  # fmt: skip

    async def stop(self) -> None:
        """Nothing is open between writes."""


class TopicOffsetStore:
    """offset.storage.topic. Read whole at the start; afterwards we are its only writer for our key."""

    def __init__(
        self, topic: str, settings: Mapping[str, str], *, partitions: int = 25, replication: int = 3,
        configs: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`settings` are Kafka's admin properties; `configs` further settings of the topic, when we create it."""
        require_extension()
        self._topic = topic
        self._settings = dict(settings)
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._new = NewTopic(topic, partitions, replication, {**(configs or {}), "cleanup.policy": "compact"})
        self._offsets: dict[bytes, bytes] = {}
        self._producer: AIOKafkaProducer | None = None
        self._count = 1

    async def start(self) -> None:
        """Create the topic when missing, read it to its end. Raises ServerError."""
        await create_topic(self._settings, self._new)
        await self._must_be_compacted()
        self._producer = await self._connected()
        try:
            async with asyncio.timeout(_LIMIT):
                self._count = len(await self._producer.partitions_for(self._topic))
                await self._read()
        except (kafka.KafkaError, TimeoutError) as error:
            raise self._unread(error) from None

    async def _must_be_compacted(self) -> None:
        """Any other policy deletes positions after a while: Connect refuses such a topic as well."""
        async with administration(self._settings) as admin:
            found = await topic_settings(client_of(admin), self._topic, ["cleanup.policy"])
        policy = found.get("cleanup.policy", "compact")
        if policy != "compact":
            raise ServerError(
                "the topic for positions would forget them",
                where=f"topic {self._topic}",
                cause=f"cleanup.policy={policy}",
                hint=f"kafka-configs --alter --entity-type topics --entity-name {self._topic} --add-config cleanup.policy=compact",
            )

    def _options(self) -> dict[str, object]:
        options, _ = admin_settings(self._settings)
        return options

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(enable_idempotence=True, acks="all", **self._options())
        try:
            async with asyncio.timeout(_LIMIT):
                await producer.start()
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            fault = await unreachable(self._bootstrap, error, producer.client)
            await abandon(producer)
            raise fault from None
        except BaseException:
            await abandon(producer)
            raise
        return producer

    async def _read(self) -> None:
        """To the end as it is now; what an open transaction of Connect's wrote is not a position yet."""
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed", **self._options()
        )
        await consumer.start()
        try:
            parts = [TopicPartition(self._topic, p) for p in range(self._count)]
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            left = set(parts)
            while left:
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    for record in records:
                        self._take(record.key, record.value)
                left = {part for part in left if await consumer.position(part) < ends[part]}
        finally:
            await consumer.stop()

    def _unread(self, error: BaseException) -> ServerError:
        return ServerError(
            "the stored positions cannot be read", where=f"topic {self._topic}", cause=name_of(error),
            hint=f"check that all its partitions have a leader: kafka-topics --describe --topic {self._topic}", retriable=True,
        )  # fmt: skip

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        if key is None:
            return
        if value is None:
            self._offsets.pop(key, None)
        else:
            self._offsets[key] = value

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None:
        """The position last put or read. Raises ServerError when it is not a JSON object."""
        data = self._offsets.get(_key(connector, partition))
        if data is None:
            return None
        try:
            offset = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._not_ours(str(error)) from None
        if offset is not None and not isinstance(offset, dict):
            raise self._not_ours("not a JSON object")
        return offset

    def _not_ours(self, cause: str) -> ServerError:
        return ServerError(
            "a stored position cannot be understood", where=f"topic {self._topic}", cause=cause,
            hint="it was not written by Kafka Connect or pycdc: remove it with a tombstone to begin anew",
        )  # fmt: skip

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return. Raises ServerError, retriable unless a person must mend it."""
        key = _key(connector, partition)
        value = None if offset is None else orjson.dumps(offset)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._write(key, value)
                break
            except (kafka.KafkaError, TimeoutError) as error:
                fault = self._unwritten(error)
                await self._forget_producer()
                if attempt == _ATTEMPTS or not fault.retriable:
                    raise fault from None
                log.warning("a position was not stored; trying again with a new producer", cause=fault.cause)
        self._take(key, value)

    async def _write(self, key: bytes, value: bytes | None) -> None:
        """A producer that failed once may be out of sequence for good, so each failure costs it its place."""
        if self._producer is None:
            self._producer = await self._connected()
        async with asyncio.timeout(_LIMIT):
            await self._producer.send_and_wait(self._topic, value, key, partition=partition_for(key, self._count))

    def _unwritten(self, error: BaseException) -> PycdcError:
        fault = refused(self._topic, error)
        if not isinstance(error, TimeoutError) and not fault.retriable:
            return fault
        return ServerError(
            "a position cannot be stored", where=f"topic {self._topic}", cause=name_of(error),
            hint="check the brokers; nothing is lost, the slot keeps the changes", retriable=True,
        )  # fmt: skip

    async def _forget_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await abandon(producer)

    async def stop(self) -> None:
        """Every `put` that returned is durable, so nothing is waited for."""
        await self._forget_producer()
