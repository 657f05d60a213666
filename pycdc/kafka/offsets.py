"""Where positions are kept: Kafka Connect's offset topic, or a local file.

Topic records are byte for byte Connect's: key `["<connector>",{"server":"..."}]`, value the offset map,
compact JSON, raw UTF-8 (docs: KIP-875; JsonConverter without schemas). `put` returns when it is durable.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import NewTopic

from pycdc.errors import PycdcError, ServerError
from pycdc.kafka.murmur2 import partition_for
from pycdc.kafka.producer import unreachable
from pycdc.kafka.settings import admin_settings, consumer_settings, producer_settings
from pycdc.kafka.topics import create_topic
from pycdc.plugins.contracts import Offset

#: Limit for one write or for reading the topic to its end, seconds.
_LIMIT = 60.0


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

    async def start(self) -> None:
        """Raises PycdcError when the file cannot be understood."""
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
        key = _key(connector, partition).decode()
        if offset is None:
            self._offsets.pop(key, None)
        else:
            self._offsets[key] = offset
        await asyncio.to_thread(self._replace, orjson.dumps(self._offsets, option=orjson.OPT_INDENT_2))

    def _replace(self, data: bytes) -> None:
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
            raise PycdcError("the offsets file cannot be written", where=str(self._path), cause=str(error)) from None

    async def stop(self) -> None:
        """Nothing is open between writes."""


class TopicOffsetStore:
    """offset.storage.topic. Read whole at the start; afterwards we are its only writer for our key."""

    def __init__(
        self, topic: str, settings: Mapping[str, str], *, partitions: int = 25, replication: int = 3,
        configs: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._topic = topic
        self._settings = dict(settings)
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._new = NewTopic(topic, partitions, replication, topic_configs={"cleanup.policy": "compact", **(configs or {})})
        self._offsets: dict[bytes, bytes] = {}
        self._producer: AIOKafkaProducer | None = None
        self._count = 1

    async def start(self) -> None:
        """Create the topic when missing, read it to its end. Raises ServerError."""
        options, _ = admin_settings(self._settings)
        await create_topic(options, self._bootstrap, self._new)
        mapped, _ = producer_settings(self._settings)
        mapped.pop("max_batch_size", None)
        self._producer = AIOKafkaProducer(enable_idempotence=True, acks="all", **mapped)
        try:
            async with asyncio.timeout(_LIMIT):
                await self._producer.start()
                await self._read()
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            raise unreachable(self._bootstrap, error) from None

    async def _read(self) -> None:
        mapped, _ = consumer_settings({k: v for k, v in self._settings.items() if k != "auto.offset.reset"})
        consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **mapped)
        await consumer.start()
        try:
            assert self._producer is not None
            parts = [TopicPartition(self._topic, p) for p in await self._producer.partitions_for(self._topic)]
            self._count = len(parts)
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            starts = await consumer.beginning_offsets(parts)
            left = {p for p in parts if ends[p] > starts[p]}
            while left:
                for part, records in (await consumer.getmany(timeout_ms=200)).items():
                    for r in records:
                        self._take(r.key, r.value)
                    del part
                for part in list(left):
                    if await consumer.position(part) >= ends[part]:
                        left.discard(part)
        finally:
            await consumer.stop()

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        if key is None:
            return
        if value is None:
            self._offsets.pop(key, None)
        else:
            self._offsets[key] = value

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None:
        data = self._offsets.get(_key(connector, partition))
        if data is None:
            return None
        try:
            offset: Offset = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise ServerError("a stored offset is not JSON", where=f"topic {self._topic}", cause=str(error)) from None
        return offset

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        assert self._producer is not None
        key = _key(connector, partition)
        value = None if offset is None else orjson.dumps(offset)
        try:
            async with asyncio.timeout(_LIMIT):
                await self._producer.send_and_wait(self._topic, value, key, partition=partition_for(key, self._count))
        except (kafka.KafkaError, TimeoutError) as error:
            raise ServerError(
                "a position cannot be stored", where=f"topic {self._topic}", cause=f"{type(error).__name__}: {error}",
                hint="check the brokers; nothing is lost, the slot keeps the changes", retriable=True,
            ) from None  # fmt: skip
        self._take(key, value)

    async def stop(self) -> None:
        if self._producer is not None:
            try:
                async with asyncio.timeout(3):
                    await self._producer.stop()
            except TimeoutError:
                pass
