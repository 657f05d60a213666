"""Following the slot: payloads from the replication connection through the decoder, as batches.

Between transactions it looks after what the stream itself does not bring: heartbeats, idle positions, the
slot's xmin, signals from other channels, chunks that wait for a position. Never confirms anything.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import psycopg
import structlog

from pycdc.debezium import signals
from pycdc.debezium.offsets import OffsetWriter
from pycdc.plugins.contracts import Batch, Signal
from pycdc.postgres.replication import ReplicationConnection
from pycdc.postgres.session import translate
from pycdc.sources.postgres import setup
from pycdc.sources.postgres.decoder import StreamDecoder
from pycdc.sources.postgres.incremental import IncrementalSnapshot, Ready
from pycdc.sources.postgres.relations import merge
from pycdc.sources.postgres.reselect import Reselector
from pycdc.sources.postgres.session import Session

log = structlog.get_logger(__name__)

#: While the stream is silent it is looked after again after so many seconds, twice as many each time up to the longest:
#: data, signals and heartbeats come at once, and a hundred idle streams cost next to nothing.
_IDLE_LOOK: Final = 0.5
_LONGEST_LOOK: Final = 8.0
#: The same while a chunk waits for a position of the WAL: then the server is asked how far it is.
_ASK_AGAIN: Final = 0.05
_READ_BYTES: Final = 1 << 20
#: Runs of a few hundred rows are encoded by column while their texts are still in the processor's cache (measured).
_READ_MESSAGES: Final = 400

#: Takes a blocking snapshot while the stream waits.
Blocking = Callable[["Streaming", signals.SnapshotRequest], AsyncGenerator[Batch, None]]


class Streaming:
    """One replication connection's stream, from `start` on. `last_commit`: where it resumes, else None."""

    def __init__(
        self, session: Session, repl: ReplicationConnection, offsets: OffsetWriter, start: int, last_commit: int | None
    ) -> None:
        self._session = session
        self._repl = repl
        s = session.settings
        self.decoder = decoder = StreamDecoder(
            session.events, offsets, start=start, last_commit=last_commit, binary=s.binary,
            heartbeats=s.heartbeat_interval > 0, signal_table=s.signal_table,
        )  # fmt: skip
        self._chunks = IncrementalSnapshot(
            setup.incremental_settings(s), session.connection, session.events, offsets.incremental, session.notifier,
            session.progress, session.labels, lambda: decoder.passed,
        )  # fmt: skip
        #: Blocking snapshots that were asked for.
        self._requests: deque[signals.SnapshotRequest] = deque()
        #: What was read beyond a point at which the decoder stopped.
        self._rest: list[bytes] = []
        self._idle_sent = 0
        self._look = _IDLE_LOOK
        #: The wait under way; a signal ends it.
        self._wait: asyncio.Timeout | None = None
        session.context.signals.on_arrival = self._wake
        self._start = start
        self._reselector = (
            None if s.reselect is None else Reselector(s.reselect, session.sql, session.connection, decoder.events_of)
        )

    @property
    def position(self) -> int:
        """Everything before it has been fed, as far as is known between transactions."""
        return max(self._start, self.decoder.last_commit or 0, self.decoder.idle_lsn)

    async def close(self) -> None:
        """End what runs beside the stream."""
        await self._chunks.close()

    # ---- the loop

    async def forever(self, blocking: Blocking) -> AsyncGenerator[Batch, None]:
        """Batches without end."""
        s, decoder = self._session.settings, self.decoder
        if s.streaming_delay:
            await asyncio.sleep(s.streaming_delay / 1000)
        self._session.progress.phase = "streaming"
        self._chunks.resume_reading()
        beat_at = time.monotonic() if s.heartbeat_interval else float("inf")
        xmin_at = 0.0 if s.xmin_interval else float("inf")
        while True:
            if not decoder.in_transaction:
                await self._take_signals()
                while self._requests:
                    async with aclosing(blocking(self, self._requests.popleft())) as batches:
                        async for batch in batches:
                            yield batch
                    self._session.progress.phase = "streaming"
            if time.monotonic() >= xmin_at:
                await self._fetch_xmin()
                xmin_at = time.monotonic() + s.xmin_interval / 1000
            fed = await self._next(min(beat_at, xmin_at))
            if time.monotonic() >= beat_at and not decoder.in_transaction:
                fed = _joined(fed, await self._heartbeat())
                beat_at = time.monotonic() + s.heartbeat_interval / 1000
            if (fed is None or fed.offset is None) and self._idle_news():
                fed = _joined(fed, decoder.take())
            if fed is not None:
                yield fed
            elif self._session.notifier.pending:
                yield Batch([])  # what waits goes along with it

    async def until(self, enough: Callable[[], bool]) -> AsyncGenerator[Batch, None]:
        """Batches until `enough()`, looked at after every batch and while the stream is silent."""
        while not enough():
            batch = await self._next()
            if batch is not None:
                yield batch

    async def _next(self, until: float = float("inf")) -> Batch | None:
        """The next batch; None after a short silence, or at `until` (monotonic seconds)."""
        decoder = self.decoder
        payloads, self._rest = self._rest, []
        if not payloads:
            now = asyncio.get_running_loop().time()
            # the same moments for all streams of a process: those that are idle wake it together
            look = self._look - now % self._look
            if self._chunks.waiting_for is not None:
                self._repl.ask()
                look = _ASK_AGAIN
            try:
                async with asyncio.timeout_at(now + min(look, max(until - time.monotonic(), 0.001))) as self._wait:
                    payloads = await self._repl.read(_READ_BYTES, _READ_MESSAGES)
            except TimeoutError:
                self._look = _IDLE_LOOK if self._chunks.state.running else min(2 * self._look, _LONGEST_LOOK)
                return None
            finally:
                self._wait = None
            self._look = _IDLE_LOOK
        taken = 0
        while taken < len(payloads):
            taken = decoder.feed(payloads, taken, time.time_ns())
            if decoder.unknown is not None:
                await self._learn()
            if decoder.signal is not None:
                await self._signalled()
            if decoder.stopped:
                self._rest = payloads[taken:]
                break
        if self._chunks.active:
            decoder.observe(self._chunks.observe)
        if self._chunks.waiting_for is not None and not decoder.in_transaction:
            self._publish(await self._chunks.reached(self.position))
        progress = self._session.progress
        progress.read_lsn, progress.txid = self._repl.received, decoder.xid
        progress.unchanged = decoder.unchanged if self._session.events.skip_unchanged else -1
        batch = decoder.take()
        if self._reselector is not None:
            await self._reselector.complete(batch)
        return batch

    def _wake(self) -> None:
        """A signal has come, which is obeyed between transactions."""
        self._look = _IDLE_LOOK
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(0)

    async def _learn(self) -> None:
        """Tell the decoder the relation that it met."""
        relation, catalog = self.decoder.unknown, self._session.catalog
        assert relation is not None
        # a table without columns has rows, but nothing to tell of them
        if not relation.columns or not self._session.captures(relation.schema, relation.name):
            self.decoder.know(None)
            return
        known = (await catalog.load([relation.oid])).get(relation.oid)
        types = await catalog.types([c.type_oid for c in relation.columns])
        self.decoder.know(merge(relation, known, types))

    # ---- between transactions

    def _idle_news(self) -> bool:
        """The server has come further, and nothing of ours with it: the position goes into the next batch."""
        decoder = self.decoder
        if decoder.in_transaction or decoder.idle_lsn <= max(self._idle_sent, decoder.last_commit or 0):
            return False
        self._idle_sent = decoder.idle_lsn
        decoder.idle()
        return True

    async def _heartbeat(self) -> Batch:
        query, session = self._session.settings.heartbeat_query, self._session
        if query:
            try:
                await session.sql.execute(query.encode())
            except psycopg.Error as error:
                fault = translate(error, session.connection, "heartbeat.action.query failed")
                if fault.retriable or error.sqlstate in ("57P01", "42P01"):
                    raise fault from error
                log.warning("heartbeat.action.query failed", cause=fault.cause)
        self.decoder.beat(time.time_ns())
        return self.decoder.take()

    async def _fetch_xmin(self) -> None:
        query = "SELECT catalog_xmin::text::bigint FROM pg_replication_slots WHERE slot_name = %s"
        row = await (await self._session.sql.execute(query, [self._session.settings.slot])).fetchone()
        self.decoder.xmin = b"%d" % row[0] if row is not None and row[0] is not None else None

    # ---- signals

    async def _signalled(self) -> None:
        """A row of the signal table has come by the stream."""
        signal, self.decoder.signal = self.decoder.signal, None
        assert signal is not None
        if signal.type in (signals.OPEN, signals.CLOSE):
            if self._chunks.active:
                self.decoder.observe(self._chunks.observe)
            self._publish(await self._chunks.watermark(signal))
        elif "source" in self._session.settings.signal_channels:
            await self._obey(signal)

    async def _take_signals(self) -> None:
        """What came by other channels; it is in the offset before the channel forgets it."""
        waiting = self._session.context.signals
        while not waiting.empty():
            await self._obey(waiting.get_nowait())
            if self.position:
                await self._session.store(self.decoder.offsets.at(self.position))
            waiting.task_done()

    async def _obey(self, signal: Signal) -> None:
        """Carry out what a signal says; one that is malformed is told and passed over, as Debezium does."""
        try:
            match signal.type:
                case signals.EXECUTE:
                    request = signals.snapshot_request(signal)
                    if request.blocking:
                        self._requests.append(request)
                    else:
                        self._chunks.execute(request, await self._session.captured())
                case signals.STOP:
                    self._chunks.stop(signals.stopped_collections(signal))
                case signals.PAUSE:
                    self._chunks.pause()
                case signals.RESUME:
                    self._chunks.resume()
                case signals.LOG:
                    log.info(signals.log_message(signal).replace("{}", str(self.decoder.offsets.at(self.position))))
                case _:
                    log.warning(
                        "a signal of unknown type is ignored", id=signal.id, type=signal.type, known=", ".join(signals.KNOWN)
                    )
        except signals.SignalError as error:
            log.warning(str(error))

    def _publish(self, ready: Ready | None) -> None:
        if ready is not None:
            self._session.progress.rows_total += len(ready.rows)
            self.decoder.insert_rows(ready.templates, ready.rows, ready.table, ready.base, time.time_ns())


def _joined(first: Batch | None, second: Batch) -> Batch:
    if first is None:
        return second
    return Batch(
        first.runs + second.runs, second.offset or first.offset, 0, first.size + second.size,
        max(first.source_ts_us, second.source_ts_us),
    )  # fmt: skip
