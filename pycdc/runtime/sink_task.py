"""SinkTask: a consumer group's records through converters and transforms into a sink.

While one batch is written the next is read and decoded. A position is committed when the write that holds
everything before it has ended, and never else; a revocation waits for the write under way, and every write
has a deadline well before the group would give the partitions away (DESIGN rule 11). What becomes of a record
that cannot be decoded or written is `refused`'s: it is settled before a position behind it is committed.

Two ways lead into the sink. The plain one makes a Record of each message, runs the transforms and hands it
over. Messages that no transform wants, that need no header and whose converter and sink offer it
(`RowReader`, `ChangeSink`) go in columns, which spares three objects per record; whatever is unusual about
them sends them the plain way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from base64 import b64encode
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from pycdc.errors import BadRow, RegistryError, SinkError
from pycdc.model.change import Changes
from pycdc.model.envelope import CREATE, DELETE, HEADER_UNAVAILABLE, PLACEHOLDER, READ, UPDATE
from pycdc.model.record import Header, Record
from pycdc.plan import Chain
from pycdc.plugins.contracts import ChangeSink, Converter, NotReady, PositionedSink, RowReader, Sink, SinkContext
from pycdc.runtime.fetching import Fetching
from pycdc.runtime.health import Health
from pycdc.runtime.http import serving
from pycdc.runtime.job import Job
from pycdc.runtime.refused import Policy, RefusedRecords, Stage, StageError, StageWaits, at_stage, by_the_sink, place_of
from pycdc.runtime.writes import Writes
from pycdc.telemetry.metrics import SinkMetrics

if TYPE_CHECKING:
    from pycdc.kafka.consumer import GroupConsumer, Messages
    from pycdc.kafka.dead_letters import DeadLetterQueue
    from pycdc.plugins.join import SinkPlan

log = structlog.get_logger(__name__)

_POLL_MS = 100
#: Decoding this many takes about 5 ms, for which the write under way has to wait.
_POLL_RECORDS = 1000
#: Records, and bytes of their messages, buffered before a write begins; reading waits at twice as many.
_WRITE_RECORDS = 10_000
_WRITE_BYTES = 8 << 20
_STOP_LIMIT = 6.0
_LAG_EVERY = 1.0
#: Seconds, and ids, for which a refusal of the registry holds: a thousand messages of one unknown id ask once.
_REFUSED_FOR, _MOST_REFUSALS = 1.0, 1000

#: The header converter that no header can break.
_SIMPLE: Final = "org.apache.kafka.connect.storage.SimpleHeaderConverter"

#: Of a header.
_NAME: Final = itemgetter(0)
_ROW_OPS: Final = frozenset((CREATE, READ, UPDATE, DELETE))
#: The placeholder as it may stand in a message; a column of type bytes has it in base64 in JSON.
_PLACEHOLDERS: Final = (PLACEHOLDER.encode(), b64encode(PLACEHOLDER.encode()).rstrip(b"="))


class Steps(NamedTuple):
    """What a message goes through, each with the name of its class for errors."""

    key: Converter
    value: Converter
    links: Sequence[tuple[str, Chain]] = ()
    key_class: str = ""
    value_class: str = ""
    #: None: nobody looks at headers, but for pycdc's own.
    header: Converter | None = None
    header_class: str = ""


class _LetGo(Exception):
    """Messages that were waited for are not taken: who has their partition then reads them again."""


class SinkTask:
    """One sink connector's task in this process."""

    def __init__(
        self, plan_name: str, consumer: GroupConsumer, sink: Sink, steps: Steps, refused: RefusedRecords, health: Health, metrics: SinkMetrics,
        number: str = "0",
    ) -> None:  # fmt: skip
        self.name, self._number = plan_name, number
        #: Records taken since the task began, by topic.
        self.topics: dict[str, int] = {}
        self._consumer = consumer
        self._sink = sink
        self._steps = steps
        self._refused = refused
        #: Messages taken and not written yet, where a dead letter may be made of them; records that failed before the sink.
        self._originals: list[Messages] = []
        self._failures: list[tuple[StageError, Messages, int]] = []
        self._columns = _columns(sink, steps)
        self._positioned = sink if isinstance(sink, PositionedSink) and sink.keeps_positions else None
        self._health, self._metrics = health, metrics
        metrics.buffered_limit = 2 * _WRITE_BYTES
        self._positions: dict[tuple[str, int], int] = {}
        self._records = 0
        self._bytes = 0
        self._since = 0.0
        self._writes = Writes()
        #: Of a write that nobody waited for but a revocation.
        self._fault: Exception | None = None
        self._lag_at = 0.0
        self._fetching = Fetching(self._waits)
        self._stop = asyncio.Event()
        #: Begins and ends of revocations so far.
        self._revocations = 0
        #: What the registry refused, and until when (seconds, monotonic) it is not asked again.
        self._refusals: dict[str, tuple[float, RegistryError]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or a fault ends it (raised)."""
        self._stop = stop
        try:
            await self._refused.start()
            await self._sink.open(SinkContext(self.name, self._number, self._consumer.topic_id, self._refused.tolerant))
            await self._consumer.start(self._revoked, self._positioned.claim if self._positioned is not None else None)
            self._health.delivering(snapshot=False)
            while not stop.is_set() and self._fault is None:
                await self._step()
            if self._fault is not None:
                raise self._fault
            async with asyncio.timeout(_STOP_LIMIT):
                await self._settle()
        except TimeoutError:
            log.warning("stopping with a write under way; its records are read again at the next start")
        finally:
            await self._writes.cancel()
            await self._consumer.stop()
            await self._sink.close()
            await self._refused.stop()

    async def _step(self) -> None:
        await asyncio.sleep(0)  # a poll that has its records at hand lets no write go on
        # what is buffered is due by its own time, whether or not more comes
        wait = min(_POLL_MS, int(self._sink.linger * 1000)) if self._records and self._writes.task is None else _POLL_MS
        with contextlib.suppress(_LetGo):
            for messages in await self._consumer.poll(_POLL_RECORDS, wait):
                await self._take(messages)
        if self._writes.task is not None and self._writes.task.done():
            await self._writes.finish()
        full = self._records >= _WRITE_RECORDS or self._bytes >= _WRITE_BYTES
        if self._writes.task is None and (full or (self._records and time.monotonic() - self._since >= self._sink.linger)):
            self._writes.begin(self._flush)
        elif self._records >= 2 * _WRITE_RECORDS or self._bytes >= 2 * _WRITE_BYTES:
            await self._writes.finish()
        if time.monotonic() - self._lag_at >= _LAG_EVERY:
            await self._look_at_lag()

    # ---- records into the sink

    async def _take(self, messages: Messages) -> None:
        changes = await self._changes_of(messages)
        records, failures = ([], []) if changes is not None else await self._records_of(messages)
        # from here on no await before the sink has them: a write that began in between would not know what belongs to it
        if self._refused.wants_originals:
            self._originals.append(messages)
        self._failures += failures
        self.topics[messages.topic] = self.topics.get(messages.topic, 0) + len(messages)
        try:
            if changes is not None:
                self._sink.put_changes(changes)  # type: ignore[attr-defined]
            else:
                self._sink.put(records)
        except BadRow as error:
            await self._tell_refused(error, self._originals)
            raise
        if self._failures and not self._refused.tolerant:
            await self._refused.refuse(*self._failures[0])
        if not self._records:
            self._since = time.monotonic()
        size = sum(map(len, filter(None, messages.values))) + sum(map(len, filter(None, messages.keys)))
        self._records += len(messages)
        self._bytes += size
        self._positions[messages.topic, messages.partition] = messages.next_offset
        m = self._metrics
        m.rows += len(messages)
        m.bytes += size
        m.batches += 1
        m.buffered_bytes = self._bytes

    async def _changes_of(self, messages: Messages) -> Changes | None:
        """All of them in columns; None sends them the plain way, which names the one that the registry refuses."""
        while self._columns is not None:
            try:
                return self._columns.changes(messages)
            except NotReady as waiting:
                try:
                    await self._fetch(waiting)
                except RegistryError:
                    break
        return None

    async def _records_of(self, messages: Messages) -> tuple[list[Record], list[tuple[StageError, Messages, int]]]:
        """The records of the messages, and what failed, up to the first when none is tolerated."""
        records, failures = [], []
        for index in range(len(messages)):
            try:
                try:
                    record = self._record(messages, index)
                except StageWaits as waits:
                    record = await self._record_when_ready(messages, index, waits)
            except StageError as failure:
                failures.append((failure, messages, index))
                if not self._refused.tolerant:
                    break
                continue
            if record is not None:
                records.append(record)
        return records, failures

    async def _record_when_ready(self, messages: Messages, index: int, waits: StageWaits) -> Record | None:
        """Raises StageError, for what the registry refuses too."""
        while True:
            try:
                await self._fetch(waits.waiting)
            except RegistryError as error:
                raise waits.refused(error) from error
            try:
                return self._record(messages, index)
            except StageWaits as again:
                waits = again

    async def _fetch(self, waiting: NotReady) -> None:
        """Wait for it. Raises RegistryError, and _LetGo when the messages at hand may be another's by then."""
        until, refusal = self._refusals.get(waiting.what, (0.0, None))
        if refusal is not None and time.monotonic() < until:
            raise refusal
        revocations = self._revocations
        fetching, stopping = asyncio.ensure_future(self._fetching(waiting)), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((fetching, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set() or self._revocations != revocations:
                raise _LetGo
            await fetching
        except RegistryError as error:
            if len(self._refusals) >= _MOST_REFUSALS:
                self._refusals.clear()
            self._refusals[waiting.what] = (time.monotonic() + _REFUSED_FOR, error)
            raise
        finally:
            for task in (fetching, stopping):
                task.cancel()
            await asyncio.gather(fetching, stopping, return_exceptions=True)

    def _waits(self, fault: RegistryError | None) -> None:
        """Told while the registry is away: what was read before it went is written all the same."""
        if fault is None:
            self._health.delivering(snapshot=False)
            return
        self._health.retrying(fault)
        if self._records and self._writes.task is None:
            self._writes.begin(self._flush)

    def _record(self, messages: Messages, index: int) -> Record | None:
        """Decode and transform one message. Raises StageError."""
        steps, topic, offset, where = self._steps, messages.topic, messages.offsets[index], place_of(messages, index)
        key_schema, key = at_stage(Stage.KEY_CONVERTER, steps.key_class, where, steps.key.read, topic, messages.keys[index])
        value_schema, value = at_stage(Stage.VALUE_CONVERTER, steps.value_class, where, steps.value.read, topic, messages.values[index])
        headers = _headers(messages.headers[index])
        if steps.header is not None:
            read = steps.header.read
            headers = tuple(
                Header(name, *at_stage(Stage.HEADER_CONVERTER, steps.header_class, where, read, topic, data))
                for name, data in messages.headers[index]
            )
        record = Record(
            topic=topic, key_schema=key_schema, key=key, value_schema=value_schema, value=value, headers=headers,
            partition=messages.partition, timestamp=messages.timestamps[index], offset=offset,
        )  # fmt: skip
        for class_name, link in steps.links:
            changed: Record | None = at_stage(Stage.TRANSFORMATION, class_name, where, link.apply, record)
            if changed is None:
                return None
            record = changed
        return record

    # ---- writes

    async def _flush(self) -> None:
        # no await before the sink takes its buffers: a record put in between would be written, and its position not
        positions, self._positions, self._records, self._bytes = self._positions, {}, 0, 0
        originals, self._originals = self._originals, []
        failures, self._failures = self._failures, []
        began, limit = time.monotonic(), self._consumer.write_limit
        try:
            async with asyncio.timeout(limit):
                await (self._sink.flush() if self._positioned is None else self._positioned.flush_to(positions))
        except BadRow as error:
            await self._tell_refused(error, originals)
            raise
        except TimeoutError:
            raise SinkError(
                f"a write took longer than {limit:.0f} s", cause="the group would give its partitions to another member",
                hint="look at what the target waits for; consumer.override.session.timeout.ms raises the limit",
            ) from None  # fmt: skip
        for failure, messages, index in failures:
            await self._refused.refuse(failure, messages, index)
        refused = list(self._sink.refused)
        self._sink.refused.clear()
        for row in refused:
            await self._refused.refuse(by_the_sink(row.error), *_original(originals, (row.topic, row.partition, row.offset)))
        await self._refused.settle()
        await self._consumer.commit(positions)
        self._metrics.errors += len(failures) + len(refused)
        self._metrics.flushes += 1
        self._metrics.flush_ms += int((time.monotonic() - began) * 1000)
        self._metrics.last_flush_ms = time.time_ns() // 1_000_000
        self._count()

    async def _tell_refused(self, error: BadRow, originals: list[Messages]) -> None:
        """A row that ends the task: the dead letter queue has it all the same."""
        if error.record is not None:
            await self._refused.refuse(by_the_sink(error), *_original(originals, error.record))

    def _count(self) -> None:
        written = self._sink.written
        self._metrics.retries = self._sink.retries
        self._metrics.written_by_table = {t: w.upserts + w.deletes for t, w in written.items()}
        self._metrics.upserts = sum(w.upserts for w in written.values())
        self._metrics.deletes = sum(w.deletes for w in written.values())
        for table, w in written.items():
            self._health.wrote_in_all(table, w.upserts + w.deletes)

    async def _settle(self) -> None:
        """Everything read so far is written and committed."""
        await self._writes.finish()
        while self._positions:
            await self._writes.run(self._flush)

    async def _revoked(self) -> None:
        """Partitions go to another member, perhaps while a step waits for a write. A fault ends the task behind that step:
        here it would only be logged, and what could not be written would be left out.
        """
        self._revocations += 1
        try:
            await self._settle()
        except Exception as error:
            self._fault = error
        finally:
            self._revocations += 1

    async def _look_at_lag(self) -> None:
        self._lag_at = time.monotonic()
        self._health.kafka_lag = self._metrics.lag_by_topic = await self._consumer.lag()
        self._metrics.assigned_partitions = self._consumer.partitions


class _Columns:
    """The way in columns."""

    def __init__(self, key: RowReader, value: RowReader) -> None:
        self._key, self._value = key, value

    def changes(self, messages: Messages) -> Changes | None:
        """All of them, or None. Raises NotReady."""
        if HEADER_UNAVAILABLE in map(_NAME, chain.from_iterable(messages.headers)):
            return None
        values = [v for v in messages.values if v is not None]
        if not values or None in messages.keys:
            return None
        read = self._value.read_rows(messages.topic, values)
        if read is None or (read.ops is not None and not _are_rows(read.ops, read.rows)):
            return None
        # rows that were read as they stand have all their values
        streamed = b"".join(values if read.ops is None else [v for v, op in zip(values, read.ops, strict=True) if op != READ])
        if any(p in streamed for p in _PLACEHOLDERS):
            return None
        keys = self._key.read_many(messages.topic, messages.keys)  # type: ignore[arg-type]
        if keys is None or not set(map(type, keys[1])) <= {dict}:
            return None
        rows = read.rows
        if len(values) < len(messages):  # a tombstone deletes what the delete before it has deleted
            present = iter(rows)
            rows = [None if v is None else next(present) for v in messages.values]
        return Changes(messages.topic, read.source, keys[0], read.row_schema, keys[1], rows, messages.partition, messages.offsets)


def _columns(sink: Sink, steps: Steps) -> _Columns | None:
    key, value = steps.key, steps.value
    if steps.links or steps.header is not None or not (isinstance(sink, ChangeSink) and sink.takes_changes):
        return None
    return _Columns(key, value) if isinstance(key, RowReader) and isinstance(value, RowReader) else None


def _are_rows(ops: Sequence[str], rows: Sequence[object]) -> bool:
    """Whether each is a create, read or update with its row, or a delete without."""
    if not _ROW_OPS.issuperset(ops) or not {dict, NoneType}.issuperset(map(type, rows)):
        return False
    return (DELETE not in ops and None not in rows) or [op == DELETE for op in ops] == [r is None for r in rows]


def _original(originals: Sequence[Messages], record: tuple[str, int | None, int]) -> tuple[Messages | None, int]:
    """Where the record is among the messages at hand."""
    topic, partition, offset = record
    for messages in originals:
        if (messages.topic, messages.partition) == (topic, partition) and messages.offsets and messages.offsets[0] <= offset <= messages.offsets[-1]:
            return messages, messages.offsets.index(offset)
    return None, 0


def _headers(raw: Sequence[tuple[str, bytes | None]]) -> tuple[Header, ...]:
    """Only the one that sinks read; the others are not worth a decoding per record."""
    for name, _ in raw:
        if name == HEADER_UNAVAILABLE:
            return tuple(Header(k, None, v.decode()) for k, v in raw if k == HEADER_UNAVAILABLE and v is not None)
    return ()


async def run_sink(plan: SinkPlan, *, http: str | None, stop: asyncio.Event) -> None:
    """Run `plan` until `stop` is set or a fault ends it (PycdcError)."""
    job = sink_job(plan)
    async with serving(http, job.health, job.metrics):
        await job.run(stop)


def sink_job(plan: SinkPlan, number: int = 0) -> Job:
    """The task `number` of a sink: a member of its group."""
    from pycdc.kafka.consumer import GroupConsumer

    health, metrics = Health(plan.name), SinkMetrics(plan.name)
    consumer = GroupConsumer(
        plan.consumer, group=plan.group, topics=plan.topics, pattern=plan.topics_regex, client_id=f"connector-consumer-{plan.name}-{number}"
    )
    links = [(plan.classes[f"transforms.{link.name}"], Chain([link])) for link in plan.transforms]
    header_class = plan.classes["header.converter"]
    looked_at = bool(links) or header_class != _SIMPLE
    steps = Steps(
        plan.key_converter, plan.value_converter, links, plan.classes["key.converter"], plan.classes["value.converter"],
        plan.header_converter if looked_at else None, header_class,
    )  # fmt: skip
    refused = RefusedRecords(plan.name, _policy(plan), _dead_letters(plan, number), metrics, str(number))
    task = SinkTask(plan.name, consumer, plan.make_sink(), steps, refused, health, metrics, str(number))
    return Job(
        health, metrics, task.run, topics=lambda: task.topics, begun=lambda: health.is_ready,
        position=lambda: (metrics.rows, metrics.flushes), behind=lambda: any(health.kafka_lag.values()),
    )  # fmt: skip


def _policy(plan: SinkPlan) -> Policy:
    c = plan.connector
    return Policy(c.tolerance == "all", c.log_errors, c.dlq_headers)


def _dead_letters(plan: SinkPlan, number: int) -> DeadLetterQueue | None:
    from pycdc.kafka.dead_letters import DeadLetterQueue

    if not plan.connector.dlq_topic:
        return None
    return DeadLetterQueue(
        plan.connector.dlq_topic, plan.connector.dlq_replication, plan.producer, plan.admin, client_id=f"connector-dlq-producer-{plan.name}-{number}"
    )
