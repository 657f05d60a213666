"""Positions of connectors as REST shows and changes them: a source's in the offset topic, a sink's in its consumer group.

Source: Kafka Connect's ConnectorOffsets, KIP-875; captures of 4.1.1 (offsets_source, offsets_sink).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import orjson
import structlog

from pycdc.errors import PycdcError
from pycdc.kafka.group_offsets import GroupOffsets, Place, UsedGroupError
from pycdc.kafka.offsets import FencedOffsets, FileOffsetStore, OffsetStore, OffsetTable, TopicOffsetStore
from pycdc.model.javahash import map_order
from pycdc.plugins.contracts import Offset
from pycdc.worker.requests import PartitionOffset, RequestError
from pycdc.worker.settings import Worker

log = structlog.get_logger(__name__)

#: In Connect's words.
_STILL_USED: Final = (
    " either because its tasks haven't stopped completely yet or the connector was resumed before the request to {} its offsets could be "
    "successfully completed. If the connector is in a stopped state, this operation can be safely retried. If it doesn't eventually succeed, "
    "the Connect cluster may need to be restarted to get rid of the zombie sink tasks."
)

_TOPIC, _PARTITION, _OFFSET = "kafka_topic", "kafka_partition", "kafka_offset"
_INTEGER: Final = re.compile(r"[+-]?\d+")


class OwnedOffsets(OffsetStore, Protocol):
    """A task's way to its positions."""

    async def confirm(self, connector: str, partition: Mapping[str, str]) -> None:
        """Raises ProducerFenced when another has the task."""


class _Alone:
    """The way of a task that nobody else can have: its worker is alone, and keeps the store open."""

    def __init__(self, store: OffsetTable) -> None:
        self.get, self.put = store.get, store.put

    async def start(self) -> None:
        """It is."""

    async def confirm(self, connector: str, partition: Mapping[str, str]) -> None:
        """It does."""

    async def stop(self) -> None:
        """The worker does it."""


class SourceOffsets:
    """The worker's offset topic, or file, and the topics that connectors have for themselves (`offsets.storage.topic`)."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        c = worker.config
        self._shared: OffsetTable = self._store(c.offset_topic) if c.offset_topic else FileOffsetStore(c.offset_file or "")
        self._own: dict[str, TopicOffsetStore] = {}

    def _store(self, topic: str) -> TopicOffsetStore:
        c = self._worker.config
        return TopicOffsetStore(
            topic, self._worker.kafka, partitions=c.offset_partitions, replication=c.offset_replication, configs=c.storage("offset.storage."),
            follow=True,
        )  # fmt: skip

    async def start(self) -> None:
        """Raises PycdcError."""
        await self._shared.start()

    async def stop(self) -> None:
        for store in (*self._own.values(), self._shared):
            await store.stop()

    async def store_of(self, config: Mapping[str, str]) -> OffsetTable:
        """Where a connector's positions are. Raises PycdcError when its own topic cannot be made or read."""
        topic = config.get("offsets.storage.topic")
        if topic is None or topic == self._worker.config.offset_topic:
            return self._shared
        if topic not in self._own:
            store = self._store(topic)
            await store.start()
            self._own[topic] = store
        return self._own[topic]

    async def for_task(self, name: str, number: int, config: Mapping[str, str]) -> OwnedOffsets:
        """A task's own way there, to be started: whoever had it before us cannot store any more. Raises PycdcError."""
        store = await self.store_of(config)
        if not isinstance(store, TopicOffsetStore):
            return _Alone(store)
        return FencedOffsets(store, self._worker.kafka, f"{self._worker.config.group_id or 'standalone'}-{name}-{number}")

    async def listed(self, name: str, config: Mapping[str, str]) -> list[dict[str, Any]]:
        """Raises ServerError."""
        store = await self.store_of(config)
        return [{"partition": p, "offset": offset} for _key, p, offset in await store.of(name) if p is not None]

    async def alter(self, name: str, config: Mapping[str, str], entries: Sequence[PartitionOffset]) -> None:
        """One record for each entry, in their order. Raises RequestError, ServerError."""
        for entry in entries:
            _must_be_plain(entry.partition)
            _must_be_plain(entry.offset)
        store = await self.store_of(config)
        known = {_same(p): key for key, p, _offset in await store.of(name)}
        for entry in entries:
            await store.put_record(known.get(_same(entry.partition)) or _key(name, entry.partition), _ordered(entry.offset))

    async def reset(self, name: str, config: Mapping[str, str]) -> None:
        """Forget those that are listed. Raises ServerError."""
        store = await self.store_of(config)
        for key, partition, _offset in await store.of(name):
            if partition is not None:
                await store.put_record(key, None)


def _must_be_plain(values: Mapping[str, Any] | None) -> None:
    for field, value in (values or {}).items():
        if isinstance(value, dict | list):
            kind = "MAP" if isinstance(value, dict) else "ARRAY"
            raise RequestError(500, f"Offsets may only contain primitive types as values, but field {field} contains {kind}")


def _ordered(offset: Offset | None) -> Offset | None:
    """Members as Java's hash maps have them, like everything that came by REST."""
    return None if offset is None else {k: offset[k] for k in map_order(offset)}


def _key(name: str, partition: Mapping[str, Any] | None) -> bytes:
    return orjson.dumps([name, None if partition is None else {k: partition[k] for k in map_order(partition)}])


def _same(partition: Mapping[str, Any] | None) -> bytes:
    """Equal for equal partitions."""
    return orjson.dumps(partition, option=orjson.OPT_SORT_KEYS)


# ---- sinks


class SinkOffsets:
    """What a sink's group has committed."""

    def __init__(self, worker: Worker, name: str, config: Mapping[str, str]) -> None:
        self._name = name
        self._group = GroupOffsets(worker.kafka, config.get("consumer.override.group.id") or f"connect-{name}")

    async def listed(self) -> list[dict[str, Any]]:
        """Raises ServerError."""
        found = await self._group.committed()
        return [{"partition": {_PARTITION: p, _TOPIC: t}, "offset": {_OFFSET: offset}} for (t, p), offset in found.items()]

    async def alter(self, entries: Sequence[PartitionOffset]) -> None:
        """Raises RequestError."""
        wished = dict(_wish(entry) for entry in entries)
        if any(offset is not None and offset < 0 for offset in wished.values()):
            raise RequestError(500, f"Failed to modify offsets for sink connector {self._name}")
        set_, gone = {p: o for p, o in wished.items() if o is not None}, [p for p, o in wished.items() if o is None]
        try:
            if set_:
                await self._group.commit(set_)
            if gone:
                await self._group.forget(gone)
        except PycdcError as error:
            raise self._refusal("alter", error) from error

    async def reset(self) -> None:
        """Raises RequestError."""
        try:
            await self._group.forget_all()
        except PycdcError as error:
            raise self._refusal("reset", error) from error

    def _refusal(self, verb: str, error: PycdcError) -> RequestError:
        """In Connect's words, which say nothing of the cause: that is logged."""
        log.warning("the offsets of a sink are as they were", connector=self._name, wished=verb, error=str(error))
        why = _STILL_USED.format(verb) if isinstance(error, UsedGroupError) else ""
        return RequestError(500, f"Failed to {verb} consumer group offsets for connector {self._name}{why}")


def _wish(entry: PartitionOffset) -> tuple[Place, int | None]:
    """Raises RequestError."""
    place = entry.partition
    if place is None:
        raise RequestError(400, "The partition for a sink connector offset cannot be null or missing")
    topic, partition = place.get(_TOPIC), place.get(_PARTITION)
    if topic is None or partition is None:
        raise RequestError(400, f"The partition for a sink connector offset must contain the keys '{_TOPIC}' and '{_PARTITION}'")
    number = _integer(partition)
    if number is None:
        raise RequestError(
            400, f"Failed to parse the following Kafka partition value in the provided offsets: '{_text(partition)}'. "
            "Partition values for sink connectors need to be integers.",
        )  # fmt: skip
    if entry.offset is None:
        return (str(topic), number), None
    if entry.offset.get(_OFFSET) is None:
        raise RequestError(400, f"The offset for a sink connector should either be null or contain the key '{_OFFSET}'")
    offset = _integer(entry.offset[_OFFSET])
    if offset is None:
        raise RequestError(
            400, f"Failed to parse the following Kafka offset value in the provided offsets: '{_text(entry.offset[_OFFSET])}'. "
            "Offset values for sink connectors need to be integers.",
        )  # fmt: skip
    return (str(topic), number), offset


def _integer(value: Any) -> int | None:
    """Of what Java's parser takes: also of a text."""
    text = _text(value)
    return int(text) if _INTEGER.fullmatch(text) else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
