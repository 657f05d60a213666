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
from typing import Protocol

import orjson

from pycdc.errors import PycdcError, ServerError
from pycdc.kafka.compacted import CompactedTopic
from pycdc.kafka.topics import NewTopic
from pycdc.plugins.contracts import Offset


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
        self._offsets: dict[bytes, bytes] = {}
        self._topic = CompactedTopic(NewTopic(topic, partitions, replication, dict(configs or {})), settings, self._take, holds="positions")

    async def start(self) -> None:
        """Create the topic when missing, read it to its end. Raises ServerError."""
        await self._topic.start()

    def _take(self, key: bytes, value: bytes | None) -> None:
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
            "a stored position cannot be understood", where=f"topic {self._topic.name}", cause=cause,
            hint="it was not written by Kafka Connect or pycdc: remove it with a tombstone to begin anew",
        )  # fmt: skip

    async def put(self, connector: str, partition: Mapping[str, str], offset: Offset | None) -> None:
        """Durable on return. Raises ServerError, retriable unless a person must mend it."""
        key = _key(connector, partition)
        value = None if offset is None else orjson.dumps(offset)
        await self._topic.put(key, value)
        self._take(key, value)

    async def stop(self) -> None:
        """Every `put` that returned is durable, so nothing is waited for."""
        await self._topic.stop()
