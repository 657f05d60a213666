"""BatchSender: records into batches per partition, batches to the broker, acknowledgements to the ledger.

One open batch per partition; a full one is queued, and one after another goes through aiokafka's
`send_batch`, so the next fills while one flies. A batch leaves early when its partition is quiet: an event
waits for nothing. Every batch is open in the ledger from its first record until its acknowledgement.
Never skips a record: what the broker refuses ends the sender, and the caller replays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from pycdc.errors import ProduceError, ProducerFenced, PycdcError, RecordError, ServerError
from pycdc.kafka.settings import producer_settings
from pycdc.kafka.wire import fill, require_extension
from pycdc.model.ledger import Ledger

log = structlog.get_logger(__name__)

# It calls a topic that the broker is about to create an error.
logging.getLogger("aiokafka.cluster").setLevel(logging.CRITICAL)

#: Bytes of a batch before compression. Throughput of one partition is batch / round trip; brokers take 1 MiB.
BATCH_BYTES = 512 << 10
#: A batch that is not acknowledged after this many seconds fails the sender: aiokafka retries for ever.
DELIVERY_LIMIT = 120.0


class _Lane:
    """One partition."""

    __slots__ = ("batch", "first", "flying", "partition", "queue", "runner", "ticket", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.batch: Any = None
        self.ticket = 0
        self.queue: deque[tuple[Any, int, int]] = deque()
        self.runner: asyncio.Task[None] | None = None
        #: Batches given to aiokafka and not yet acknowledged.
        self.flying = 0


class BatchSender:
    """An idempotent producer with acks=all."""

    def __init__(self, settings: Mapping[str, str], ledger: Ledger[Any], *, client_id: str = "pycdc") -> None:
        require_extension()
        mapped, ignored = producer_settings(settings)
        if ignored:
            log.warning("producer settings without effect", names=ignored)
        self._batch_bytes = max(int(mapped.pop("max_batch_size", 0)), BATCH_BYTES)
        mapped.setdefault("client_id", client_id)
        mapped.pop("max_request_size", None)
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._producer: AIOKafkaProducer | None = None
        self._options = mapped
        self._ledger = ledger
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._failure: PycdcError | None = None
        self._changed = asyncio.Event()
        self._oldest: dict[int, float] = {}
        #: Bytes in open, queued and flying batches.
        self.buffered_bytes = 0
        self.batches = 0

    async def start(self) -> None:
        """Connect. Raises ServerError when no broker answers."""
        self._producer = AIOKafkaProducer(
            enable_idempotence=True, acks="all", max_batch_size=self._batch_bytes, linger_ms=0,
            max_request_size=64 << 20, **self._options,
        )  # fmt: skip
        try:
            async with asyncio.timeout(30):
                await self._producer.start()
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            await self._producer.stop()
            raise unreachable(self._bootstrap, error) from None

    async def stop(self) -> None:
        """Drop what is open and close; call `flush` before to keep it."""
        for lane in self._lanes.values():
            if lane.runner is not None:
                lane.runner.cancel()
        if self._producer is not None:
            # a broker that is gone would hold the closing back: what was flying is sent again by the next start
            try:
                async with asyncio.timeout(3):
                    await self._producer.stop()
            except TimeoutError:
                log.warning("the producer did not close in time")

    async def partitions(self, topic: str) -> int:
        """How many partitions `topic` has; asking makes the broker create it where it may."""
        assert self._producer is not None
        try:
            async with asyncio.timeout(30):
                return len(await self._producer.partitions_for(topic))
        except (kafka.KafkaError, TimeoutError) as error:
            raise _refused(topic, error) from None

    # ---- appending

    def append_run(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Any],
        sequence: Sequence[int],
        timestamps: Sequence[int | None] | None = None,
    ) -> None:
        """Take records; `sequence` are their numbers in the ledger. Raises the error that ended the sender."""
        if self._failure is not None:
            raise self._failure
        assert self._producer is not None
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        now_ms = time.time_ns() // 1_000_000
        index, count = 0, len(values)
        while index < count:
            before = 0
            if lane.batch is None:
                lane.batch = self._producer.create_batch()
                lane.ticket = self._ledger.open(sequence[index])
            else:
                before = lane.batch.size()
            index = fill(lane.batch, index, keys, values, headers, timestamps, now_ms)
            self.buffered_bytes += lane.batch.size() - before
            if index < count:
                self._close(lane)

    def flush_soon(self) -> None:
        """Let open batches of quiet partitions leave now; those of busy ones when theirs is back."""
        for lane in self._lanes.values():
            if lane.batch is not None and not lane.flying and not lane.queue:
                self._close(lane)

    def _close(self, lane: _Lane) -> None:
        batch, lane.batch = lane.batch, None
        batch.close()
        lane.queue.append((batch, lane.ticket, batch.size()))
        if lane.runner is None:
            lane.runner = asyncio.ensure_future(self._run(lane))

    async def _run(self, lane: _Lane) -> None:
        """Give the lane's batches to aiokafka, one after another; it waits until the one before was taken."""
        assert self._producer is not None
        try:
            while lane.queue:
                batch, ticket, size = lane.queue.popleft()
                lane.flying += 1
                self._oldest[ticket] = time.monotonic()
                future = await self._producer.send_batch(batch, lane.topic, partition=lane.partition)
                self.batches += 1
                future.add_done_callback(lambda f, t=ticket, s=size: self._acknowledged(lane, t, s, f))
        except kafka.KafkaError as error:
            self._fail(_refused(lane.topic, error))
        finally:
            lane.runner = None

    def _acknowledged(self, lane: _Lane, ticket: int, size: int, future: asyncio.Future[Any]) -> None:
        lane.flying -= 1
        self._oldest.pop(ticket, None)
        if future.cancelled():
            self._fail(ProduceError("a batch was abandoned", where=lane.topic))
            return
        error = future.exception()
        if error is not None:
            self._fail(_refused(lane.topic, error))
            return
        self._ledger.close(ticket)
        self.buffered_bytes -= size
        self._changed.set()
        if lane.batch is not None and not lane.flying and not lane.queue:
            self._close(lane)

    def _fail(self, error: PycdcError) -> None:
        self._failure = self._failure or error
        self._changed.set()

    # ---- waiting

    async def room(self, limit_bytes: int) -> None:
        """Wait until less than `limit_bytes` are buffered. Raises the error that ended the sender."""
        await self._wait(lambda: self.buffered_bytes <= limit_bytes)

    async def flush(self) -> None:
        """Send everything and wait until all is acknowledged."""
        for lane in self._lanes.values():
            if lane.batch is not None:
                self._close(lane)
        await self._wait(lambda: self.buffered_bytes == 0)

    async def watch(self) -> None:
        """Raises when the sender has failed, also while nobody appends; runs until cancelled."""
        await self._wait(lambda: False)

    async def _wait(self, done: Any) -> None:
        while not done():
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            try:
                async with asyncio.timeout(1):
                    await self._changed.wait()
            except TimeoutError:
                self._check_age()
        if self._failure is not None:
            raise self._failure

    def _check_age(self) -> None:
        oldest = min(self._oldest.values(), default=None)
        if oldest is not None and time.monotonic() - oldest > DELIVERY_LIMIT:
            self._fail(
                ProduceError(
                    f"a batch was not acknowledged within {DELIVERY_LIMIT:g} s",
                    where=self._bootstrap,
                    hint="check the brokers and min.insync.replicas; nothing is lost, the slot keeps the changes",
                )
            )


def unreachable(bootstrap: str, error: BaseException) -> ServerError:
    """No broker answered."""
    return ServerError(
        "cannot reach Kafka",
        where=bootstrap,
        cause=f"{type(error).__name__}: {error}".rstrip(": "),
        hint="check bootstrap.servers, security.protocol and that the broker's advertised.listeners can be reached from here",
    )


def _refused(topic: str, error: BaseException) -> PycdcError:
    cause = f"{type(error).__name__}: {error}"
    if isinstance(error, kafka.MessageSizeTooLargeError):
        return RecordError(
            "a record is larger than the topic allows",
            where=f"topic {topic}",
            cause=cause,
            hint=f"kafka-configs --alter --entity-type topics --entity-name {topic} --add-config max.message.bytes=...",
        )
    if isinstance(error, kafka.ProducerFenced):
        return ProducerFenced("another producer took over", where=f"topic {topic}", cause=cause)
    if isinstance(error, kafka.TopicAuthorizationFailedError | kafka.ClusterAuthorizationFailedError | kafka.InvalidTopicError):
        return ServerError(
            "Kafka does not let us write",
            where=f"topic {topic}",
            cause=cause,
            hint=f"kafka-acls --add --producer --topic {topic} --allow-principal User:...",
        )
    if isinstance(error, kafka.UnknownTopicOrPartitionError | TimeoutError):
        return ServerError(
            "a topic does not exist and is not created by the broker",
            where=f"topic {topic}",
            cause=cause,
            hint="set topic.creation.default.partitions and topic.creation.default.replication.factor, or create it: "
            f"kafka-topics --create --topic {topic}",
        )
    # out of order sequence, unknown producer, codes newer than the client: a new producer and a replay mend them
    return ProduceError("Kafka did not accept a batch", where=f"topic {topic}", cause=cause)
