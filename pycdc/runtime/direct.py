"""DirectPipeline: a source straight into a sink. The replication slot is the durable log.

The position lives in the target, written with the rows it covers; the source confirms it only after that
write. While one batch is written the next is read and filled.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from pycdc.errors import ConfigError, PycdcError
from pycdc.model.lsn import format_lsn
from pycdc.model.record import Record
from pycdc.model.template import Leaf, fill
from pycdc.plan import Chain
from pycdc.plan.encoder import refuse
from pycdc.plugins.contracts import Batch, Offset, Signalled, Sink, SinkContext, Source, SourceContext
from pycdc.runtime.health import Health
from pycdc.runtime.http import serving
from pycdc.runtime.observer import Observer
from pycdc.runtime.signals import read_signals
from pycdc.runtime.writes import Writes
from pycdc.telemetry.metrics import SourceMetrics

if TYPE_CHECKING:
    from pycdc.plugins.join import SinkPlan, SourcePlan

log = structlog.get_logger(__name__)

_WRITE_RECORDS = 10_000
_MOST_RECORDS = 30_000
_STOP_LIMIT = 6.0


class DirectPipeline:
    """One source, one sink, one process."""

    def __init__(
        self, name: str, source: Source, sink: Sink, chain: Chain, health: Health, metrics: SourceMetrics, *, tolerant: bool = False
    ) -> None:
        self.name = name
        self._tolerant = tolerant
        self._source, self._sink, self._chain = source, sink, chain
        self._health, self._metrics = health, metrics
        self._context = SourceContext(name, "0", self._load, self._store, self._settle)
        self._observer = Observer(health, metrics)
        self._buffered = 0
        self._since = 0.0
        self._position: Offset | None = None
        #: Commit LSN of the transaction being read, and how many records of it were made.
        self._commit = 0
        self._index = 0
        self._writes = Writes()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, the source is done, or a fault ends it (raised)."""
        await self._sink.open(SinkContext(self.name, "0", tolerant=self._tolerant))
        listening: asyncio.Task[None] | None = None
        try:
            await self._source.open(self._context)
            channels = self._source.signal_channels if isinstance(self._source, Signalled) else None
            if channels is not None:
                listening = asyncio.ensure_future(read_signals(channels, self._context.signals))
            await self._pump(stop)
            async with asyncio.timeout(_STOP_LIMIT):
                await self._settle()
        except TimeoutError:
            log.warning("stopping with a write under way; its changes are read again at the next start")
        finally:
            if listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await self._writes.cancel()
            await self._source.close()
            await self._sink.close()

    async def _pump(self, stop: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        reading: asyncio.Task[Batch | None] | None = None
        try:
            while not stop.is_set():
                reading = reading or asyncio.ensure_future(self._source.read())
                waits: set[asyncio.Future[Any]] = {reading, stopping} | ({self._writes.task} if self._writes.task else set())
                await asyncio.wait(waits, timeout=self._sink.linger, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    batch, reading = reading.result(), None
                    if batch is None:
                        return
                    self._take(batch)
                await self._write_when_due()
        finally:
            stopping.cancel()
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, PycdcError, StopAsyncIteration):
                    await reading

    def _take(self, batch: Batch) -> None:
        records = 0
        begins = deque(batch.begins)
        for n, run in enumerate(batch.runs):
            filled: list[Record] = []
            where = run.where
            for i, row in enumerate(run.rows):
                while begins and begins[0][:2] <= (n, i):
                    self._commit, self._index = begins.popleft()[2], 0
                for template in run.templates:
                    record = self._chain.apply(fill(template, row, lambda leaf, _t, e, w=where: self._null(leaf, e, w)))  # type: ignore[misc]
                    if record is not None:
                        filled.append(record.replace(offset=self._commit << 64 | self._index))
                    self._index += 1
            self._sink.put(filled)
            records += len(filled)
        if begins:  # its first row comes with the next batch
            self._commit, self._index = begins[-1][2], 0
        if not self._buffered:
            self._since = time.monotonic()
        self._buffered += records
        if batch.offset is not None:
            self._position = batch.offset
        p, now_ms = self._context.progress, time.time_ns() // 1_000_000
        self._metrics.saw(rows=records, size=batch.size, source_ts_us=batch.source_ts_us, now_ms=now_ms)
        self._observer.progressed(p)

    def _null(self, leaf: Leaf, error: Exception, where: str) -> Any:
        if self._source.conversion_failure == "fail":
            return refuse(leaf, error, where)
        self._metrics.nulls_made += 1
        log.warning("a value has no representation and is written as null", where=where, column=leaf.reader.column_name)
        return None

    async def _write_when_due(self) -> None:
        under_way = self._writes.task
        if under_way is not None and (under_way.done() or self._buffered >= _MOST_RECORDS):
            await self._writes.finish()
        age = time.monotonic() - self._since
        if self._writes.task is None and (
            self._buffered >= _WRITE_RECORDS or ((self._buffered or self._position is not None) and age >= self._sink.linger)
        ):
            self._writes.begin(self._flush)

    async def _flush(self) -> None:
        self._since = time.monotonic()
        # no await before the sink takes its buffers: see writes.Write
        position, self._position, self._buffered = self._position, None, 0
        await self._sink.flush(position)
        for row in self._sink.refused:
            self._metrics.errors += 1
            log.error("a row is left out", what=row.error.what, cause=row.error.cause, topic=row.topic, lsn=format_lsn(row.offset >> 64))
        self._sink.refused.clear()
        if position is not None:
            await self._source.confirm(position)
            self._health.lsn = self._metrics.confirmed_lsn = int(position.get("lsn_commit") or position.get("lsn") or 0)
        for table, written in self._sink.written.items():
            self._health.wrote_in_all(table, written.upserts + written.deletes)

    # ---- what the source asks for

    async def _settle(self) -> None:
        await self._writes.run(self._flush)

    async def _load(self, _partition: Mapping[str, str]) -> Offset | None:
        return await self._sink.load_position()

    async def _store(self, _partition: Mapping[str, str], offset: Offset) -> None:
        await self._writes.run(lambda: self._sink.flush(offset))


async def run_direct(source_plan: SourcePlan, sink_plan: SinkPlan, *, http: str | None, stop: asyncio.Event) -> None:
    """Run both plans as one pipeline until `stop` is set, the source is done, or a fault ends it."""
    health = Health(sink_plan.name)
    source = source_plan.make_source()
    if not source.partition:
        raise ConfigError(
            "This source has a position per table, and a sink keeps one: it needs Kafka between them.",
            hint="run `pycdc source` and `pycdc sink`, or both in `pycdc connect`",
        )  # fmt: skip
    metrics = SourceMetrics(source_plan.name, source.partition.get("server", ""))
    chain = Chain((*source_plan.transforms, *sink_plan.transforms))
    pipeline = DirectPipeline(f"{source_plan.name}/{sink_plan.name}", source, sink_plan.make_sink(), chain, health, metrics, tolerant=sink_plan.connector.tolerance == "all")
    async with serving(http, health, metrics):
        try:
            await pipeline.run(stop)
        except PycdcError as error:
            health.failed(error)
            raise
