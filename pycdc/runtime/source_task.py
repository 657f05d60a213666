"""SourceTask: a source, its encoder, Kafka's producer and the offset store, in one loop.

Order of acts, the idle paths included: events acknowledged, then the offset record stored, then the source
told to confirm. The ledger decides what the acknowledged prefix is; nothing here goes around it. When the
producer has to be rebuilt, the source is opened anew at the stored offset: duplicates, never a gap.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import structlog

from pycdc.cutoff import to_its_end
from pycdc.errors import PycdcError, RecordError, RegistryError, ServerError
from pycdc.kafka.murmur2 import PrefixHash
from pycdc.model.envelope import OP
from pycdc.model.ledger import Ledger
from pycdc.model.template import Leaf
from pycdc.plan import Chain, Encoded, Encoder
from pycdc.plan.encoder import refuse
from pycdc.plugins.contracts import Offset, Progress, Run, Signalled, Source, SourceContext
from pycdc.runtime.fetching import Fetching, ReadyEncoder
from pycdc.runtime.health import Health
from pycdc.runtime.http import serving
from pycdc.runtime.job import Job
from pycdc.runtime.observer import Observer
from pycdc.runtime.signals import read_signals
from pycdc.telemetry.metrics import SourceMetrics

if TYPE_CHECKING:
    from pycdc.kafka.offsets import OffsetStore
    from pycdc.kafka.producer import BatchSender
    from pycdc.kafka.topics import Topics
    from pycdc.plugins.join import SourcePlan

log = structlog.get_logger(__name__)

#: A source partition, None for the source's only one, and its offset.
Mark = tuple[Mapping[str, str] | None, Offset]
ConfirmOwner = Callable[[str, Mapping[str, str]], Awaitable[None]]

#: How long an orderly stop may wait for acknowledgements: Docker kills after 10 s.
_STOP_LIMIT = 6.0
#: Pauses before the producer is rebuilt, seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class SourceTask:
    """One source connector's only task."""

    def __init__(
        self,
        name: str,
        make_source: Callable[[], Source],
        encoder: Encoder,
        store: OffsetStore,
        make_sender: Callable[[Ledger[Mark]], BatchSender],
        topics: Topics,
        *,
        queue_bytes: int,
        flush_interval: float,
        progress: Progress | None = None,
        confirm_owner: ConfirmOwner | None = None,
        on_batch: Callable[[SourceTask], None] = lambda _task: None,
    ) -> None:
        self.name = name
        self._make_source = make_source
        #: What converters wait for; its fault says why nothing moves.
        self.fetching = Fetching(self._waits)
        self._encoder = ReadyEncoder(encoder, self.fetching)
        self._store = store
        self._make_sender = make_sender
        self._topics = topics
        #: A batch under way lies in memory twice: as it was built and in the socket's buffers.
        self._queue_bytes = queue_bytes // 2
        self._flush_interval = flush_interval
        self.progress = progress or Progress()
        self._confirm_owner = confirm_owner
        self._on_batch = on_batch
        self.encoder = encoder
        self.source: Source
        self.sender: BatchSender
        self.ledger: Ledger[Mark] = Ledger()
        #: Records handed to the producer since the task began, and raw bytes read.
        self.records = 0
        self.bytes_read = 0
        self.source_ts_us = 0
        self.rebuilds = 0
        self.confirmed_lsn = 0
        self.records_by_topic: dict[str, int] = {}
        #: Changes by op (c, u, d, r ...), and transactions begun.
        self.ops: Counter[str] = Counter()
        self.transactions = 0
        self._sequence = 0
        self._started = False
        #: The fault that ends us is the source's: the broker may be well.
        self._source_failed = False
        #: The newest settled position of each partition that is not stored yet: the end may come while one is.
        self._unstored: dict[Any, Mark] = {}
        self._storing = asyncio.Lock()
        self._known_topics: dict[str, int] = {}
        self._hashes: dict[str, PrefixHash] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, the source is done, or a fault that no retry mends (raised)."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                await self._once(stop)
                return
            except ServerError as error:
                # At the first start an unreachable broker is told and ends us; later it is waited for.
                if not error.retriable or stop.is_set() or not self._started:
                    raise
                if time.monotonic() - began > 10 * _LONGEST_PAUSE:
                    pause = _FIRST_PAUSE
                self.rebuilds += 1
                log.warning("rebuilding the producer; events since the stored offset are sent again", cause=str(error), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, stop: asyncio.Event) -> None:
        self.ledger = Ledger()
        self._source_failed = False
        self._unstored.clear()
        self._known_topics.clear()
        self.source = self._make_source()
        self.sender = self._make_sender(self.ledger)
        try:
            await self.sender.start()
            self._started = True
            context = SourceContext(self.name, "0", self._load, self._put, self._settle, self.progress, confirm_owner=self._owner_of(self.source))
            await self.source.open(context)
            async with asyncio.TaskGroup() as group:
                pump = group.create_task(self._pump())
                others = [
                    group.create_task(self._flush_regularly()),
                    group.create_task(self.sender.watch()),
                    stopper := group.create_task(stop.wait()),
                ]
                channels = self.source.signal_channels if isinstance(self.source, Signalled) else None
                if channels is not None:
                    others.append(group.create_task(read_signals(channels, context.signals)))
                await asyncio.wait((pump, stopper), return_when=asyncio.FIRST_COMPLETED)
                if pump.done():
                    # all is read: the end is only when all is acknowledged, however long the broker takes
                    await self._settle_or(stopper)
                for task in (pump, *others):
                    task.cancel()
            await self._finish()
        except BaseExceptionGroup as group_error:
            fault = _first_fault(group_error)
            if self._source_failed or isinstance(fault, RegistryError) or not isinstance(fault, ServerError):
                await self._keep_what_was_sent()
            raise fault from None
        finally:
            await self._close()

    async def _settle_or(self, stopper: asyncio.Task[Any]) -> None:
        """Wait until everything is acknowledged and stored, or until we are to stop."""
        settling = asyncio.ensure_future(self._settle())
        try:
            await asyncio.wait((settling, stopper), return_when=asyncio.FIRST_COMPLETED)
            if settling.done():
                settling.result()
        finally:
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)

    async def _finish(self) -> None:
        """Everything handed out is acknowledged and stored before we leave, within the limit."""
        try:
            async with asyncio.timeout(_STOP_LIMIT):
                await self._settle()
        except TimeoutError:
            log.warning("stopping with unacknowledged events; they are sent again at the next start")

    async def _keep_what_was_sent(self) -> None:
        """After a fault of a record or of the source: what came before it is good, and need not be sent again."""
        try:
            await self._finish()
        except PycdcError as error:
            log.warning("the position of acknowledged events is not stored; they are sent again at the next start", cause=str(error))

    async def _close(self) -> None:
        for close in (self.source.close, self.sender.stop):
            try:
                async with asyncio.timeout(_STOP_LIMIT):
                    await close()
            except (TimeoutError, PycdcError) as error:
                log.warning("closing took too long or failed", cause=str(error))

    def _owner_of(self, source: Source) -> Callable[[], Awaitable[None]] | None:
        confirm = self._confirm_owner
        return None if confirm is None else lambda: confirm(self.name, source.partition)

    # ---- offsets

    async def _load(self, partition: Mapping[str, str]) -> Offset | None:
        return await self._store.get(self.name, partition)

    async def _put(self, partition: Mapping[str, str], offset: Offset) -> None:
        await self._store.put(self.name, partition, offset)

    async def _flush_regularly(self) -> None:
        while True:
            # the same moments for all tasks of a process: a hundred idle ones wake it once
            await asyncio.sleep(self._flush_interval - asyncio.get_running_loop().time() % self._flush_interval)
            await self._store_settled()
            self._on_batch(self)

    async def _store_settled(self) -> None:
        """Store the acknowledged prefix's offset, then confirm it. One at a time, or an older one could win."""
        async with self._storing:
            for partition, offset in self.ledger.settled_all():
                self._unstored[None if partition is None else tuple(partition.items())] = (partition, offset)
            for key, (partition, offset) in list(self._unstored.items()):
                # a second one beside it would meet its transaction half done
                await to_its_end(self._store.put(self.name, self.source.partition if partition is None else partition, offset), limit=_STOP_LIMIT)
                await self.source.confirm(offset)
                del self._unstored[key]
                self.confirmed_lsn = int(offset.get("lsn_commit") or offset.get("lsn") or 0)

    async def _settle(self) -> None:
        await self.sender.flush()
        await self._store_settled()

    # ---- events

    async def _pump(self) -> None:
        while True:
            try:
                batch = await self.source.read()
            except PycdcError:
                self._source_failed = True
                raise
            if batch is None:
                return
            for run in batch.runs:
                self.count(run)
                for encoded in await self._encoder.encode(run):
                    await self._append(encoded)
            self.transactions += len(batch.begins)
            if batch.offset is not None:
                self.ledger.mark(self._sequence, (batch.partition, batch.offset))
            self.bytes_read += batch.size
            self.source_ts_us = batch.source_ts_us
            self.sender.flush_soon()
            self._on_batch(self)
            if self.sender.buffered_bytes > self._queue_bytes:
                await self.sender.room(self._queue_bytes)

    def _waits(self, _fault: RegistryError | None) -> None:
        """The registry is away, or back: what was encoded before goes out, and health tells."""
        self.sender.flush_soon()
        self._on_batch(self)

    def count(self, run: Run) -> None:
        value = run.templates[0].value
        op = value.get(OP) if type(value) is dict else None
        if type(op) is str:  # a row without envelope may have a column of that name
            self.ops[op] += len(run.rows)

    async def _append(self, encoded: Encoded) -> None:
        topic = encoded.topic
        count = self._known_topics.get(topic)
        if count is None:
            await self._topics.ensure_topic(topic)
            count = self._known_topics[topic] = await self.sender.partitions(topic)
        first, self._sequence = self._sequence, self._sequence + len(encoded.values)
        self.records += len(encoded.values)
        self.records_by_topic[topic] = self.records_by_topic.get(topic, 0) + len(encoded.values)
        if encoded.partition is not None or count == 1:
            self._send(encoded, encoded.partition or 0, range(first, self._sequence))
            return
        for partition, picks in self._lanes(encoded, count, first).items():
            self._send(_picked(encoded, picks), partition, [first + i for i in picks])

    def _lanes(self, encoded: Encoded, count: int, first: int) -> dict[int, list[int]]:
        """Partition -> which of the records go there."""
        choose = self._hashes.get(encoded.topic) or self._hashes.setdefault(encoded.topic, PrefixHash(count))
        keys: Sequence[Any] = encoded.keys
        if None in keys:
            # records without key stay together per run, as a sticky partitioner's do
            partitions = [choose.partition(k) if k is not None else first % count for k in keys]
        else:
            partitions = choose.partitions(keys)
        lanes: dict[int, list[int]] = {p: [] for p in set(partitions)}
        for i, partition in enumerate(partitions):
            lanes[partition].append(i)
        return lanes

    def _send(self, encoded: Encoded, partition: int, sequence: Any) -> None:
        self.sender.append_run(
            encoded.topic, partition, encoded.keys, encoded.values, encoded.headers, sequence, encoded.timestamps
        )


def _picked(encoded: Encoded, picks: list[int]) -> Encoded:
    if len(picks) == len(encoded.values):
        return encoded
    take = itemgetter(*picks) if len(picks) > 1 else lambda column: (column[picks[0]],)
    return Encoded(
        encoded.topic, encoded.partition, take(encoded.keys), take(encoded.values), take(encoded.headers),
        None if encoded.timestamps is None else take(encoded.timestamps),
    )  # fmt: skip


def _first_fault(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The fault that ended the task group; its siblings were only cancelled."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return _first_fault(error)
        return error
    return group


# ---- what `pycdc source` runs, and each source of a Connect worker


async def run_source(
    plan: SourcePlan, *, offsets_file: str | None, http: str | None, stop: asyncio.Event,
    show: Callable[[Progress], None] | None = None,
) -> None:  # fmt: skip
    """Run `plan` until `stop` is set, the source is done, or a fault ends it (PycdcError).

    `show` is told the progress after every batch; without it a snapshot's progress is logged.
    """
    from pycdc.kafka.offsets import FileOffsetStore, TopicOffsetStore

    worker = plan.worker
    if offsets_file is not None:
        store: OffsetStore = FileOffsetStore(offsets_file)
    else:
        store = TopicOffsetStore(
            plan.offset_topic or "", plan.admin, partitions=worker.offset_partitions,
            replication=worker.offset_replication, configs=plan.offset_topic_settings,
        )  # fmt: skip
    job = source_job(plan, store, show=show)
    async with serving(http, job.health, job.metrics):
        try:
            await store.start()
            await job.run(stop)
        except PycdcError as error:
            job.health.failed(error)
            raise
        finally:
            await store.stop()


def source_job(plan: SourcePlan, store: OffsetStore, *, show: Callable[[Progress], None] | None = None, confirm_owner: ConfirmOwner | None = None) -> Job:
    """The task of a source. `store` has been started when it runs, and is not stopped by it.

    `confirm_owner`: see SourceContext; given the connector's name and its partition.
    """
    from pycdc.kafka.producer import BatchSender
    from pycdc.kafka.topics import Topics, parse_groups

    health = Health(plan.name)
    metrics = SourceMetrics(plan.name)
    source = plan.make_source()
    task = SourceTask(
        plan.name,
        plan.make_source,
        make_encoder(plan, source, metrics),
        store,
        lambda ledger: BatchSender(plan.producer, ledger, client_id=f"connector-producer-{plan.name}-0"),
        Topics(parse_groups(plan.topic_creation), plan.admin),
        queue_bytes=source.queue_bytes,
        flush_interval=max(min(plan.worker.flush_interval / 1000, _LONGEST_FLUSH), _SHORTEST_FLUSH),
        on_batch=Observer(health, metrics, show),
        confirm_owner=confirm_owner,
    )
    metrics.queue_limit = source.queue_bytes
    metrics.server = source.partition.get("server", "")
    p = task.progress
    return Job(
        health, metrics, task.run, topics=lambda: task.records_by_topic,
        begun=lambda: p.phase != "starting" or bool(p.fault),
        position=lambda: (p.read_lsn, p.rows_total, task.records), behind=lambda: p.server_lsn > p.read_lsn or p.phase == "snapshot",
    )  # fmt: skip


#: Positions are stored at least this often, seconds, whatever offset.flush.interval.ms says: a crash repeats
#: what came since, and a record a second costs nothing.
_LONGEST_FLUSH = 1.0
_SHORTEST_FLUSH = 0.01


def make_encoder(plan: SourcePlan, source: Source, metrics: SourceMetrics) -> Encoder:
    """The encoder of a plan; a value without representation is counted and, by default, named."""

    def null(leaf: Leaf, error: Exception, where: str) -> None:
        metrics.nulls_made += 1
        if source.conversion_failure == "warn":
            log.warning(
                "a value has no representation and is written as null", where=where, column=leaf.reader.column_name,
                type=leaf.reader.type_name, cause=type(error).__name__,
            )  # fmt: skip

    def report(what: str, where: str) -> None:
        log.error(what, where=where)

    def tolerate(error: RecordError) -> bool:
        """errors.tolerance=all, or the source's own setting. Counted, and told unless it is to be skipped."""
        if plan.connector.tolerance != "all" and source.event_failure == "fail":
            return False
        metrics.errors += 1
        if source.event_failure == "warn" or plan.connector.log_errors:
            log.warning("an event is left out", where=error.where, what=error.what, cause=error.cause)
        return True

    chain = Chain(plan.transforms)
    return Encoder(
        plan.key_converter, plan.value_converter, plan.header_converter, chain,
        unrepresentable=refuse if source.conversion_failure == "fail" else null, tolerate=tolerate, report=report,
    )  # fmt: skip
