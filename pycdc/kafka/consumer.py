"""GroupConsumer: a sink's share of its topics' partitions.

Positions are committed only when the caller says so; what a revoked partition had in flight is settled by
the `revoked` callback before it goes. Never commits by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from pycdc.errors import ConnectionLost, PycdcError, ServerError
from pycdc.kafka.faults import unreachable
from pycdc.kafka.settings import consumer_settings
from pycdc.kafka.topic_id import topic_id
from pycdc.kafka.wire import bare_records, client_of_consumer, rejoin

log = structlog.get_logger(__name__)

#: Seconds for a commit, below any session timeout.
_COMMIT_LIMIT = 20.0

#: Partition of a topic, as a plain pair.
Place = tuple[str, int]


class Messages(msgspec.Struct):
    """Messages of one partition, in columns. Timestamps in ms since the epoch."""

    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Sequence[tuple[str, bytes | None]]]
    timestamps: list[int]
    #: Where reading goes on: also behind what a transaction's markers take.
    next_offset: int

    def __len__(self) -> int:
        return len(self.offsets)


#: Told of the partitions that this member has now; answers where those go on whose position is not Kafka's.
Assigned = Callable[[list[Place]], Awaitable[Mapping[Place, int]]]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(
        self, consumer: AIOKafkaConsumer, revoked: Callable[[], Awaitable[None]], assigned: Assigned | None, *, static: bool
    ) -> None:
        self._consumer = consumer
        self._revoked = revoked
        self._assigned = assigned
        self._may_ask = static
        #: What went wrong when partitions came; for the next poll to raise.
        self.fault: PycdcError | None = None

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        if list(revoked):
            await self._revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        parts = sorted(assigned)
        log.info("partitions assigned", partitions=[f"{p.topic}-{p.partition}" for p in parts])
        if not parts and self._may_ask:
            # A static member that comes back is given what it had (KIP-345), though topics may have come since.
            self._may_ask = False
            rejoin(self._consumer)
        if self._assigned is not None and parts:
            # before the first await: until the answer is here nothing may be read from where Kafka thinks it goes on
            self._consumer.pause(*parts)
            try:
                positions = await self._assigned([(p.topic, p.partition) for p in parts])
            except PycdcError as error:  # here it would only be logged
                self.fault = error
                return
            for (topic, partition), offset in positions.items():
                self._consumer.seek(TopicPartition(topic, partition), offset)
            self._consumer.resume(*parts)


class GroupConsumer:
    """A member of the group `group`, reading `topics` or those that match `pattern`."""

    def __init__(
        self, settings: Mapping[str, str], *, group: str, topics: tuple[str, ...] = (), pattern: str | None = None, client_id: str = "pycdc"
    ) -> None:
        mapped, _ = consumer_settings(settings)
        mapped.setdefault("auto_offset_reset", "earliest")
        mapped.setdefault("session_timeout_ms", 45_000)  # Kafka's default, where aiokafka has 10 s
        mapped.setdefault("max_poll_interval_ms", 300_000)
        #: Seconds that a write may take: well before the group gives the partitions to another member.
        self.write_limit = min(mapped["session_timeout_ms"], mapped["max_poll_interval_ms"]) / 1500
        mapped.setdefault("client_id", client_id)
        mapped.setdefault("max_partition_fetch_bytes", 4 << 20)
        mapped.setdefault("fetch_max_bytes", 8 << 20)
        mapped.setdefault("metadata_max_age_ms", 10_000)  # how long a new topic may wait; Kafka's default are five minutes
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._topics, self._pattern = topics, pattern
        self._listener: _Listener | None = None
        self._static = "group_instance_id" in mapped
        self._consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **mapped)

    async def start(self, revoked: Callable[[], Awaitable[None]], assigned: Assigned | None = None) -> None:
        """Join the group; `revoked` runs before partitions go to another member, `assigned` when they have come.

        Raises ServerError.
        """
        try:
            async with asyncio.timeout(30):
                await self._consumer.start()
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            await self._consumer.stop()
            raise await unreachable(self._bootstrap, error) from None
        bare_records(self._consumer)
        listener = self._listener = _Listener(self._consumer, revoked, assigned, static=self._static)
        if self._pattern is not None:
            self._consumer.subscribe(pattern=self._pattern, listener=listener)
        else:
            self._consumer.subscribe(topics=list(self._topics), listener=listener)

    async def poll(self, max_records: int, timeout_ms: int) -> list[Messages]:
        """What has come, by partition; empty after `timeout_ms`. Raises ConnectionLost and ServerError."""
        if self._listener is not None and self._listener.fault is not None:
            raise self._listener.fault
        try:
            fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
            return [_columns(part, records, await self._consumer.position(part)) for part, records in fetched.items()]
        except kafka.KafkaError as error:
            fault = ConnectionLost if error.retriable else ServerError
            raise fault("reading from Kafka failed", where=self._bootstrap, cause=f"{type(error).__name__}: {error}") from None

    async def commit(self, positions: Mapping[Place, int]) -> None:
        """Store the next offset of each partition. A lost membership is no fault: the new owner reads again."""
        try:
            async with asyncio.timeout(_COMMIT_LIMIT):
                await self._consumer.commit({TopicPartition(t, p): offset for (t, p), offset in positions.items()})
        except (kafka.CommitFailedError, kafka.IllegalStateError) as error:
            log.warning("positions were not committed: the partitions have another owner", cause=str(error))
        except (kafka.KafkaError, TimeoutError) as error:
            raise ConnectionLost("positions cannot be committed", where=self._bootstrap, cause=f"{type(error).__name__}: {error}") from None

    async def lag(self) -> dict[str, int]:
        """Records behind the end of each topic's assigned partitions, as far as the last fetch told."""
        out: dict[str, int] = {}
        for part in self._consumer.assignment():
            end = self._consumer.highwater(part)
            if end is not None:
                out[part.topic] = out.get(part.topic, 0) + max(0, end - await self._consumer.position(part))
        return out

    async def topic_id(self, topic: str) -> str:
        """See kafka.topic_id. Raises ConnectionLost."""
        try:
            return await topic_id(client_of_consumer(self._consumer), topic)
        except kafka.KafkaError as error:
            raise ConnectionLost("Kafka does not tell a topic's id", where=self._bootstrap, cause=f"{type(error).__name__}: {error}") from None

    @property
    def partitions(self) -> int:
        """How many are assigned to this member."""
        return len(self._consumer.assignment())

    async def stop(self) -> None:
        """Leave the group."""
        await self._consumer.stop()


def _columns(part: TopicPartition, records: Sequence[Any], position: int) -> Messages:
    return Messages(
        part.topic, part.partition, [r.offset for r in records], [r.key for r in records], [r.value for r in records],
        [r.headers for r in records], [r.timestamp for r in records], position,
    )  # fmt: skip
