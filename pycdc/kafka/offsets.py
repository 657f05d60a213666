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
from typing import Any, Final, Protocol

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from pycdc.cutoff import to_its_end
from pycdc.errors import ProducerFenced, PycdcError, ServerError
from pycdc.kafka.clients import started_producer
from pycdc.kafka.compacted import CompactedTopic
from pycdc.kafka.faults import refused
from pycdc.kafka.settings import admin_settings
from pycdc.kafka.topics import NewTopic
from pycdc.kafka.wire import abandon
from pycdc.plugins.contracts import Offset

#: Connect's source partition; None and {} can be written by its REST API.
Partition = Mapping[str, Any] | None


class OffsetStore(Protocol):
    """Positions by connector and source partition."""

    async def start(self) -> None: ...

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None: ...

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return; None removes the position."""

    async def stop(self) -> None: ...


class OffsetTable(OffsetStore, Protocol):
    """One that can also be looked at and changed by whoever administers connectors."""

    async def put_record(self, key: bytes, offset: Offset | None) -> None:
        """For a key as it is stored."""

    async def of(self, connector: str) -> list[tuple[bytes, Partition, Offset]]:
        """Key, partition and position of everything stored for a connector."""


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
        await self.put_record(_key(connector, partition), offset)

    async def put_record(self, key: bytes, offset: Offset | None) -> None:
        """The same for a key as it stands in the file."""
        await to_its_end(self._write(key, offset))  # the next one writes aside in the same place

    async def _write(self, key: bytes, offset: Offset | None) -> None:
        async with self._writing:
            offsets = {k: v for k, v in self._offsets.items() if k != key.decode()}
            if offset is not None:
                offsets[key.decode()] = offset
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

    async def of(self, connector: str) -> list[tuple[bytes, Partition, Offset]]:
        """Key, partition and position of everything stored for a connector."""
        return [
            (key.encode(), named[1], offset) for key, offset in self._offsets.items()
            if (named := _named(key.encode())) is not None and named[0] == connector
        ]  # fmt: skip

    async def stop(self) -> None:
        """Nothing is open between writes."""


class TopicOffsetStore:
    """offset.storage.topic. Read whole at the start; afterwards we are its only writer for our keys, unless it is followed."""

    def __init__(
        self, topic: str, settings: Mapping[str, str], *, partitions: int = 25, replication: int = 3,
        configs: Mapping[str, str] | None = None, follow: bool = False,
    ) -> None:  # fmt: skip
        """`settings` are Kafka's admin properties; `configs` further settings of the topic, when we create it.

        `follow`: others write to it too, and what they write is known.
        """
        self._offsets: dict[bytes, bytes] = {}
        self._follow = follow
        self._settings = dict(settings)
        self.topic = CompactedTopic(NewTopic(topic, partitions, replication, dict(configs or {})), settings, self._take, holds="positions")

    async def start(self) -> None:
        """Create the topic when missing, read it to its end. Raises ServerError."""
        await self.topic.start(follow=self._follow)

    def _take(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._offsets.pop(key, None)
        else:
            self._offsets[key] = value

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None:
        """The position last put or read. Raises ServerError when it is not a JSON object."""
        if self._follow:
            await self.topic.read_to_end()
        data = self._offsets.get(_key(connector, partition))
        return None if data is None else self._offset(data)

    def _offset(self, data: bytes) -> Offset | None:
        try:
            offset = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._not_ours(str(error)) from None
        if offset is not None and not isinstance(offset, dict):
            raise self._not_ours("not a JSON object")
        return offset

    def _not_ours(self, cause: str) -> ServerError:
        return ServerError(
            "a stored position cannot be understood", where=f"topic {self.topic.name}", cause=cause,
            hint="it was not written by Kafka Connect or pycdc: remove it with a tombstone to begin anew",
        )  # fmt: skip

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return. Raises ServerError, retriable unless a person must mend it."""
        await self.put_record(_key(connector, partition), offset)

    async def put_record(self, key: bytes, offset: Offset | None) -> None:
        """The same for a key as it stands in the topic."""
        value = None if offset is None else orjson.dumps(offset)
        await self.topic.put(key, value)
        if self._follow:
            await self.topic.read_to_end()
        else:
            self._take(key, value)

    async def of(self, connector: str) -> list[tuple[bytes, Partition, Offset]]:
        """Key, partition and position of everything stored for a connector; only with `follow`. Raises ServerError."""
        await self.topic.read_to_end()
        found = []
        for key, data in self._offsets.items():
            named = _named(key)
            offset = self._offset(data) if named is not None and named[0] == connector else None
            if named is not None and offset is not None:
                found.append((key, named[1], offset))
        return found

    async def stop(self) -> None:
        """Every `put` that returned is durable, so nothing is waited for."""
        await self.topic.stop()


def _named(key: bytes) -> tuple[str, Partition] | None:
    """Connector and partition; None for a key that is not Connect's."""
    try:
        found = orjson.loads(key)
    except orjson.JSONDecodeError:
        return None
    match found:
        case [str() as name, dict() | None as partition]:
            return name, partition
    return None


class FencedOffsets:
    """One task's way to a topic that several workers write: whoever took the task over last is the only one who still can.

    Each position is a transaction under the task's own id. Starting such a producer ends those that have the same id
    (KIP-98): their next `put` raises ProducerFenced, however long they slept.
    """

    def __init__(self, store: TopicOffsetStore, settings: Mapping[str, str], transactional_id: str) -> None:
        """`store` has been started, with `follow`."""
        self._store = store
        self._id = transactional_id
        self._options = admin_settings(settings)[0]
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """From here on no other has it. Raises ServerError."""
        self._producer = await started_producer({**self._options, "transactional_id": self._id}, self._bootstrap, _LIMIT)

    async def get(self, connector: str, partition: Mapping[str, str]) -> Offset | None:
        """What the former owner stored is there: its open transaction ended when we started."""
        return await self._store.get(connector, partition)

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return. Raises ProducerFenced when another has the task, and ServerError as the store."""
        key, value = _key(connector, partition), None if offset is None else orjson.dumps(offset)
        topic = self._store.topic
        assert self._producer is not None
        try:
            async with asyncio.timeout(_LIMIT), self._producer.transaction():
                sent = await self._producer.send(topic.name, value, key, partition=topic.partition_of(key))
                # an error of the record itself would not fail the commit
                await sent
        except (kafka.KafkaError, TimeoutError) as error:
            fault = refused(topic.name, error)
            if isinstance(fault, ProducerFenced):
                raise ProducerFenced(
                    "another worker has this task", where=f"connector {connector}", cause=fault.cause, hint="nothing: it goes on there"
                ) from None
            raise topic.unwritten(error) from None

    async def confirm(self, connector: str, partition: Mapping[str, str]) -> None:
        """Raises ProducerFenced when another has the task: what is stored is stored again, which only its owner can."""
        offset = await self.get(connector, partition)
        if offset is not None:
            await self.put(connector, partition, offset)

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await abandon(producer)


#: Limit for storing one position, seconds.
_LIMIT: Final = 60.0
