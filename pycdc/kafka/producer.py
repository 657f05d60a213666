"""BatchSender: records into batches per partition, batches to the broker, acknowledgements to the ledger.

One open batch per partition; a full one is queued, and one after another goes through aiokafka's
`send_batch`, so the next fills while one flies. A batch leaves early when its partition is quiet: an event
waits for nothing. Every batch is open in the ledger from its first record until its acknowledgement.
Never skips a record: what the broker refuses ends the sender, and the caller replays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from pycdc.errors import ProduceError, PycdcError, RecordError
from pycdc.kafka.clients import started_producer
from pycdc.kafka.faults import name_of, refused, unreachable
from pycdc.kafka.settings import producer_settings
from pycdc.kafka.wire import Batch, abandon, require_extension, topic_settings
from pycdc.model.ledger import Ledger

log = structlog.get_logger(__name__)

# It calls a topic that the broker is about to create an error.
logging.getLogger("aiokafka.cluster").setLevel(logging.CRITICAL)

#: Bytes of a batch before compression. Throughput of one partition is batch / round trip; brokers take 1 MiB.
BATCH_BYTES: Final = 512 << 10
#: What Kafka's own clients send by default: a topic that refuses more takes at least this.
SMALL_BATCH_BYTES: Final = 16 << 10
#: A batch that is not acknowledged after this many seconds fails the sender: aiokafka retries for ever.
DELIVERY_LIMIT: Final = 120.0
#: A partition that has just sent waits this long (linger.ms) before it sends a batch that is not full.
LINGER: Final = 0.005
#: Largest record, Kafka's own default of max.request.size.
RECORD_BYTES: Final = 1 << 20
#: Bytes given to aiokafka at a time: one request takes a batch of every partition, and brokers refuse
#: requests over socket.request.max.bytes (100 MiB); also, what is being sent lies in memory twice.
_HANDED_BYTES: Final = 16 << 20
#: Smaller batches are compressed on the spot: a thread costs more than it saves.
_THREAD_BYTES: Final = 32 << 10
#: Limit for connecting and for one question, seconds.
_ANSWER_LIMIT: Final = 30.0
#: How long a topic may take to appear where the broker creates it, seconds.
_TOPIC_LIMIT: Final = 15.0

#: Kafka's own rule (org.apache.kafka.common.internals.Topic).
_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")

Headers = Sequence[list[tuple[str, bytes | None]]]


class _Lane:
    """One partition."""

    __slots__ = ("batch", "flying", "limit", "partition", "queue", "runner", "sent_at", "ticket", "timer", "topic")

    def __init__(self, topic: str, partition: int, limit: int) -> None:
        self.topic = topic
        self.partition = partition
        #: Bytes of a batch that the topic takes.
        self.limit = limit
        #: The open batch, and its ticket in the ledger.
        self.batch: Batch | None = None
        self.ticket = 0
        #: Closed batches with their tickets, sizes before compression and, in a thread, what to wait for.
        self.queue: deque[tuple[Batch, int, int, asyncio.Future[None] | None]] = deque()
        self.runner: asyncio.Task[None] | None = None
        #: Batches given to aiokafka and not yet acknowledged.
        self.flying = 0
        self.sent_at = 0.0
        self.timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        return self.runner is not None or self.flying > 0


class BatchSender:
    """An idempotent producer with acks=all.

    After a failure every method but `stop` raises it: ProduceError (`retriable`: make a new sender and
    replay from the stored offset), ProducerFenced, RecordError or ServerError.
    """

    #: (bootstrap, topic) -> bytes of a batch that the topic takes. Outlives a sender: being refused, which is
    #: how it is learnt where we may not ask, ends one.
    _limits: ClassVar[dict[tuple[str, str], int]] = {}

    def __init__(self, settings: Mapping[str, str], ledger: Ledger[Any], *, client_id: str = "pycdc") -> None:
        """`settings` are Kafka's producer properties. Raises ConfigError; PycdcError without the C extension."""
        require_extension()
        mapped, ignored = producer_settings(settings)
        if ignored:
            log.warning("producer settings without effect", names=ignored)
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._compression: str | None = mapped.pop("compression_type", None)
        self._record_bytes = int(mapped.pop("max_request_size", RECORD_BYTES))
        # batch.size below ours would only slow down: a batch leaves early anyway when there is nothing more
        self._batch_bytes = min(max(int(mapped.pop("max_batch_size", 0)), BATCH_BYTES), self._record_bytes)
        self._linger = mapped.pop("linger", LINGER)
        self._delivery_limit = mapped.pop("delivery_limit", DELIVERY_LIMIT)
        mapped.setdefault("client_id", client_id)
        self._options = mapped
        self._producer: AIOKafkaProducer | None = None
        self._ledger = ledger
        self._lanes: dict[tuple[str, int], _Lane] = {}
        #: Lanes with an open batch.
        self._open: set[_Lane] = set()
        self._failure: PycdcError | None = None
        self._stopped = False
        self._changed = asyncio.Event()
        #: Ticket -> when its batch was closed.
        self._waiting: dict[int, float] = {}
        self._handed_bytes = 0
        #: Bytes in open, queued and flying batches, as they lie in memory.
        self.buffered_bytes = 0
        #: Batches given to aiokafka.
        self.batches = 0

    async def start(self) -> None:
        """Connect. Raises ConnectionLost when no broker answers, ServerError when one refuses us."""
        self._producer = await started_producer(self._options, self._bootstrap, _ANSWER_LIMIT)

    async def stop(self) -> None:
        """Drop what is not acknowledged and close, within seconds; call `flush` before to keep it."""
        self._stopped = True
        for lane in self._open:
            if lane.timer is not None:
                lane.timer.cancel()
        runners = [lane.runner for lane in self._lanes.values() if lane.runner is not None]
        for runner in runners:
            runner.cancel()
        if runners:
            await asyncio.wait(runners)
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await abandon(producer)

    async def partitions(self, topic: str) -> int:
        """How many partitions `topic` has; asking makes the broker create it where it may.

        Raises ServerError when there is no such topic or we may not see it, ConnectionLost without a broker.
        """
        producer = self._ready()
        if not _NAME.fullmatch(topic) or topic in {".", ".."}:
            raise refused(topic, kafka.InvalidTopicError())  # brokers say so as well, but aiokafka would ask on
        try:
            async with asyncio.timeout(_TOPIC_LIMIT):
                count = len(await producer.partitions_for(topic))
        except (kafka.UnknownTopicOrPartitionError, TimeoutError) as error:
            await self._need_broker(producer)
            raise refused(topic, error) from None
        except kafka.KafkaError as error:
            raise refused(topic, error) from None
        await self._learn_limit(producer, topic)
        return count

    async def _need_broker(self, producer: AIOKafkaProducer) -> None:
        """No answer about a topic can also mean that nobody is there to answer."""
        try:
            async with asyncio.timeout(_ANSWER_LIMIT):
                await producer.client.fetch_all_metadata()
        except (kafka.KafkaError, TimeoutError) as error:
            raise await unreachable(self._bootstrap, error, producer.client) from None

    async def _learn_limit(self, producer: AIOKafkaProducer, topic: str) -> None:
        """A topic may take less than brokers do. Where we may not ask, a refusal tells."""
        with contextlib.suppress(kafka.KafkaError, TimeoutError):
            async with asyncio.timeout(_ANSWER_LIMIT):
                found = await topic_settings(producer.client, topic, ["max.message.bytes"])
            if "max.message.bytes" in found:
                self._limits[self._bootstrap, topic] = int(found["max.message.bytes"])

    # ---- appending

    def append_run(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Headers,
        sequence: Sequence[int],
        timestamps: Sequence[int | None] | None = None,
    ) -> None:
        """Take records; `sequence` are their numbers in the ledger, rising. Raises the error that ended the sender.

        `headers[i]` is a list of (name, bytes or None); `timestamps` are ms, None is now.
        """
        self._ready()
        lane = self._lanes.get((topic, partition))
        if lane is None:
            limit = min(self._limits.get((self._bootstrap, topic), self._batch_bytes), self._batch_bytes)
            lane = self._lanes[topic, partition] = _Lane(topic, partition, limit)
        now_ms = time.time_ns() // 1_000_000
        index, count = 0, len(values)
        while index < count:
            batch = lane.batch
            before = 0
            if batch is None:
                batch = lane.batch = Batch(lane.limit)
                lane.ticket = self._ledger.open(sequence[index])
                self._open.add(lane)
            else:
                before = batch.size()
            index = batch.fill(index, keys, values, headers, timestamps, now_ms)
            self.buffered_bytes += batch.size() - before
            if batch.size() > self._record_bytes:  # only a single record makes a batch exceed its limit
                raise self._too_large(lane, batch.size())
            if index < count:
                self._close(lane)

    def flush_soon(self) -> None:
        """Let open batches leave: at once where the partition is quiet, else when the one before is back.

        A partition that has just sent waits `linger.ms` first, or a busy stream would go out in crumbs.
        """
        for lane in tuple(self._open):
            self._leave(lane)

    def _leave(self, lane: _Lane) -> None:
        if lane.busy or lane.timer is not None or self._failure is not None:
            return
        rest = lane.sent_at + self._linger - time.monotonic()
        if rest <= 0:
            self._close(lane)
        else:
            lane.timer = asyncio.get_running_loop().call_later(rest, self._on_timer, lane)

    def _on_timer(self, lane: _Lane) -> None:
        lane.timer = None
        self._leave(lane)

    def _close(self, lane: _Lane) -> None:
        """No more records into the open batch: it is queued, and the lane's runner sends it."""
        batch = lane.batch
        assert batch is not None
        lane.batch = None
        self._open.discard(lane)
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        self._waiting[lane.ticket] = time.monotonic()
        size = batch.size()
        packing = None
        if self._compression is not None and size > _THREAD_BYTES:
            packing = asyncio.get_running_loop().run_in_executor(None, batch.seal, self._compression)
        else:
            batch.seal(self._compression)
        lane.queue.append((batch, lane.ticket, size, packing))
        if lane.runner is None:
            lane.runner = asyncio.get_running_loop().create_task(self._run(lane))

    # ---- sending

    async def _run(self, lane: _Lane) -> None:
        """Give the lane's batches to aiokafka, one after another; it waits until the one before was taken."""
        try:
            while lane.queue and self._failure is None:
                batch, ticket, size, packing = lane.queue.popleft()
                if packing is not None:
                    await packing
                self.buffered_bytes += batch.size() - size
                await self._hand_over(lane, batch, ticket)
        except kafka.KafkaError as error:
            self._fail(refused(lane.topic, error))
        except Exception as error:  # nobody awaits this task: whatever it met must end the sender
            fault = ProduceError("the sender failed", where=f"topic {lane.topic}", cause=name_of(error))
            fault.__cause__ = error
            self._fail(fault)
        finally:
            lane.runner = None

    async def _hand_over(self, lane: _Lane, batch: Batch, ticket: int) -> None:
        size = batch.size()
        while self._handed_bytes and self._handed_bytes + size > _HANDED_BYTES:
            self._changed.clear()
            await self._changed.wait()
        lane.flying += 1
        lane.sent_at = time.monotonic()
        self._handed_bytes += size
        self.batches += 1
        while True:
            try:
                future = await self._ready().send_batch(batch, lane.topic, partition=lane.partition)
                break
            except kafka.KafkaTimeoutError:
                continue  # the batch before still waits for its broker: the age of both is watched elsewhere
        future.add_done_callback(lambda f: self._landed(lane, batch, ticket, size, f))

    def _landed(self, lane: _Lane, batch: Batch, ticket: int, size: int, future: asyncio.Future[Any]) -> None:
        lane.flying -= 1
        self._handed_bytes -= size
        error = None if future.cancelled() else future.exception()
        if self._stopped:
            return
        if error is not None:
            self._fail(self._refusal(lane, batch, error))
            return
        if future.cancelled():
            self._fail(ProduceError("a batch was abandoned", where=f"topic {lane.topic}"))
            return
        self._ledger.close(ticket)
        del self._waiting[ticket]
        self.buffered_bytes -= size
        self._changed.set()
        if lane.batch is not None:
            self._leave(lane)

    # ---- failing

    def _refusal(self, lane: _Lane, batch: Batch, error: BaseException) -> PycdcError:
        if not isinstance(error, kafka.MessageSizeTooLargeError | kafka.RecordListTooLargeError):
            return refused(lane.topic, error)
        if batch.record_count() == 1:
            return self._too_large(lane, batch.size())
        # the topic takes less than we were told: a new sender makes batches that every topic takes
        self._limits[self._bootstrap, lane.topic] = SMALL_BATCH_BYTES
        return ProduceError("a batch was larger than its topic allows", where=f"topic {lane.topic}", cause=str(error))

    def _too_large(self, lane: _Lane, size: int) -> RecordError:
        error = RecordError(
            "a record is too large for its topic",
            where=f"topic {lane.topic}, partition {lane.partition}",
            cause=f"{size} bytes; max.request.size is {self._record_bytes}, the topic's max.message.bytes decides as well",
            hint=f"set producer.override.max.request.size={2 * size}, and kafka-configs --alter --entity-type topics "
            f"--entity-name {lane.topic} --add-config max.message.bytes={2 * size}",
        )
        self._fail(error)
        return error

    def _fail(self, error: PycdcError) -> None:
        self._failure = self._failure or error
        self._changed.set()

    def _ready(self) -> AIOKafkaProducer:
        if self._failure is not None:
            raise self._failure
        if self._producer is None:
            raise ProduceError("the sender is not started", where=self._bootstrap)
        return self._producer

    # ---- waiting

    async def room(self, limit_bytes: int) -> None:
        """Wait until at most `limit_bytes` are buffered. Raises the error that ended the sender."""
        if self.buffered_bytes > limit_bytes:
            self._close_all()  # many half full batches can be the whole of it
        await self._wait(lambda: self.buffered_bytes <= limit_bytes)

    async def flush(self) -> None:
        """Send everything and wait until all is acknowledged. Raises the error that ended the sender."""
        self._ready()
        self._close_all()
        await self._wait(lambda: self.buffered_bytes == 0)

    def _close_all(self) -> None:
        for lane in tuple(self._open):
            self._close(lane)

    async def watch(self) -> None:
        """Raises when the sender has failed, also while nobody appends; runs until cancelled."""
        await self._wait(lambda: False)

    async def _wait(self, done: Callable[[], bool]) -> None:
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
        oldest = min(self._waiting.values(), default=None)
        if oldest is not None and time.monotonic() - oldest > self._delivery_limit:
            self._fail(
                ProduceError(
                    f"a batch was not acknowledged within {self._delivery_limit:g} s",
                    where=self._bootstrap,
                    hint="check the brokers and min.insync.replicas; nothing is lost, the slot keeps the changes",
                )
            )
