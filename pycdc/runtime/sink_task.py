"""SinkTask: a consumer group's records through converters and transforms into a sink.

While one batch is written the next is read and decoded. A position is committed when the write that holds
everything before it has ended, and never else; a revocation waits for the write under way. A record that
cannot be decoded or written stops the task with its place, its position untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

from pycdc.errors import PycdcError, RecordError
from pycdc.model.envelope import HEADER_UNAVAILABLE
from pycdc.model.record import Header, Record
from pycdc.plan import Chain, Link
from pycdc.plugins.contracts import Converter, Sink, SinkContext
from pycdc.runtime.health import Health
from pycdc.runtime.http import serving
from pycdc.telemetry.metrics import SinkMetrics

if TYPE_CHECKING:
    from pycdc.kafka.consumer import GroupConsumer
    from pycdc.plugins.join import SinkPlan

log = structlog.get_logger(__name__)

_POLL_MS = 100
_POLL_RECORDS = 2000
#: Records buffered before a write begins, and before reading waits for the write under way.
_WRITE_RECORDS = 10_000
_MOST_RECORDS = 20_000
#: Longest wait of a buffered record, seconds.
_WRITE_AGE = 0.2
_STOP_LIMIT = 6.0


class SinkTask:
    """One sink connector's task in this process."""

    def __init__(
        self, plan_name: str, consumer: GroupConsumer, sink: Sink, key: Converter, value: Converter, chain: Chain,
        health: Health, metrics: SinkMetrics,
    ) -> None:  # fmt: skip
        self.name = plan_name
        self._consumer = consumer
        self._sink = sink
        self._key, self._value, self._chain = key, value, chain
        self._health, self._metrics = health, metrics
        self._positions: dict[tuple[str, int], int] = {}
        self._buffered = 0
        self._since = 0.0
        self._write: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or a fault ends it (raised)."""
        await self._sink.open(SinkContext(self.name, "0"))
        await self._consumer.start(self._settle)
        try:
            self._health.delivering(snapshot=False)
            while not stop.is_set():
                await self._step()
            async with asyncio.timeout(_STOP_LIMIT):
                await self._settle()
        except TimeoutError:
            log.warning("stopping with a write under way; its records are read again at the next start")
        finally:
            if self._write is not None:
                self._write.cancel()
                with contextlib.suppress(BaseException):
                    await self._write
            await self._consumer.stop()
            await self._sink.close()

    async def _step(self) -> None:
        batches = await self._consumer.poll(_POLL_RECORDS, _POLL_MS)
        for part, messages in batches.items():
            records = [r for m in messages if (r := self._record(m)) is not None]
            self._sink.put(records)
            if not self._buffered:
                self._since = time.monotonic()
            self._buffered += len(messages)
            self._positions[part.topic, part.partition] = messages[-1].offset + 1
        if self._write is not None and self._write.done():
            await self._finish()
        due = self._buffered >= _WRITE_RECORDS or (self._buffered and time.monotonic() - self._since >= _WRITE_AGE)
        if due and self._write is None:
            self._begin()
        elif self._buffered >= _MOST_RECORDS:
            await self._finish()

    def _begin(self) -> None:
        positions, self._positions, self._buffered = self._positions, {}, 0
        self._write = asyncio.ensure_future(self._flush(positions))

    async def _flush(self, positions: dict[tuple[str, int], int]) -> None:
        await self._sink.flush()
        await self._consumer.commit(positions)

    async def _finish(self) -> None:
        """Wait for the write under way; its fault is raised here."""
        write, self._write = self._write, None
        if write is not None:
            await write
            for table, rows in getattr(self._sink, "written", {}).items():
                self._health.wrote(table, rows - self._counted.get(table, 0))
                self._counted[table] = rows
            self._health.kafka_lag = await self._consumer.lag()

    @property
    def _counted(self) -> dict[str, int]:
        counted: dict[str, int] = self.__dict__.setdefault("_counts", {})
        return counted

    async def _settle(self) -> None:
        """Everything read so far is written and committed."""
        await self._finish()
        if self._positions:
            self._begin()
            await self._finish()

    def _record(self, message: Any) -> Record | None:
        """Decode and transform one message. Raises RecordError with its place."""
        topic = message.topic
        try:
            key_schema, key = self._key.read(topic, message.key)
            value_schema, value = self._value.read(topic, message.value)
            record = Record(
                topic=topic, key_schema=key_schema, key=key, value_schema=value_schema, value=value,
                headers=_headers(message.headers), partition=message.partition, timestamp=message.timestamp, offset=message.offset,
            )  # fmt: skip
            return self._chain.apply(record) if self._chain.links else record
        except PycdcError as error:
            error.where = f"topic {topic}, partition {message.partition}, offset {message.offset}"
            raise
        except Exception as error:
            raise RecordError(
                "a record cannot be transformed", cause=f"{type(error).__name__}",
                where=f"topic {topic}, partition {message.partition}, offset {message.offset}",
            ) from error  # fmt: skip


def _headers(raw: Sequence[tuple[str, bytes]]) -> tuple[Header, ...]:
    """Only the one that sinks read; the others are not worth a decoding per record."""
    for name, _ in raw:
        if name == HEADER_UNAVAILABLE:
            return tuple(Header(k, None, v.decode()) for k, v in raw if k == HEADER_UNAVAILABLE and v is not None)
    return ()


async def run_sink(plan: SinkPlan, *, http: str | None, stop: asyncio.Event) -> None:
    """Run `plan` until `stop` is set or a fault ends it (PycdcError)."""
    from pycdc.kafka.consumer import GroupConsumer

    health, metrics = Health(plan.name), SinkMetrics(plan.name)
    consumer = GroupConsumer(
        plan.consumer, group=plan.group, topics=plan.topics, pattern=plan.topics_regex, client_id=f"connector-consumer-{plan.name}-0"
    )
    chain = Chain([Link(s.transform, s.predicate, s.negate) for s in plan.transforms])
    task = SinkTask(plan.name, consumer, plan.make_sink(), plan.key_converter, plan.value_converter, chain, health, metrics)
    async with serving(http, health, metrics):
        try:
            await task.run(stop)
        except PycdcError as error:
            health.failed(error)
            raise
