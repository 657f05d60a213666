"""pycdc as a library: PostgreSQL's changes as an async iterator of events.

    async with pycdc.PostgresSource({"topic.prefix": "shop", "database.hostname": ...}, offsets_file="pos.json") as source:
        async for event in source:
            ...
            await event.ack()

Events may be acknowledged in any order; the position that is stored and confirmed to PostgreSQL is the end of
the longest prefix of acknowledged events, and only in that order (docs/guarantees.md, "Order of acts").
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, Fault
from pycdc.model.ledger import Ledger
from pycdc.model.record import Record
from pycdc.model.template import Leaf, fill
from pycdc.plugins.contracts import Batch, Offset, Run, SourceContext
from pycdc.sources.postgres.config import PostgresSourceConfig
from pycdc.sources.postgres.source import PostgresSource as Reader

#: A position is stored at most this often, seconds, and once more at the end.
_STORE_EVERY = 0.5


class ChangeEvent(msgspec.Struct, eq=False):
    """One event, as Debezium shapes it: structs are dicts, a tombstone's `value` is None."""

    topic: str
    key: dict[str, Any] | None
    value: dict[str, Any] | None
    headers: dict[str, Any]
    _source: PostgresSource
    _ticket: int
    _acked: bool = False

    @property
    def op(self) -> str | None:
        """c, u, d, r, t or m; None for tombstones, heartbeats and transaction records."""
        return None if self.value is None else self.value.get("op")

    @property
    def before(self) -> dict[str, Any] | None:
        return None if self.value is None else self.value.get("before")

    @property
    def after(self) -> dict[str, Any] | None:
        return None if self.value is None else self.value.get("after")

    @property
    def source(self) -> dict[str, Any]:
        """Debezium's source block: schema, table, lsn, txId, ts_ms, snapshot and so on."""
        return (self.value or {}).get("source") or {}

    async def ack(self) -> None:
        """The event is dealt with, for good. Acknowledging twice does nothing."""
        if not self._acked:
            self._acked = True
            await self._source._acknowledged(self._ticket)


class PostgresSource:
    """Changes of a PostgreSQL database. `config` has Debezium's property names.

    `offsets_file` keeps the position; without one it is not kept: the slot still is, and after a restart the
    stream goes on from what was last confirmed, but a snapshot begins again. Raises ConfigError with every fault.
    """

    def __init__(self, config: Mapping[str, object], *, offsets_file: str | None = None, name: str = "library") -> None:
        layered = Layered.of({k: _text(v) for k, v in config.items()})
        faults: list[Fault] = list(layered.resolve().faults)
        settings = PostgresSourceConfig.parse(layered.resolved(), faults)
        if faults:
            raise ConfigError("The configuration of the source is wrong.", faults=tuple(faults))
        self._name = name
        self._reader = Reader(settings)
        self._file = offsets_file
        self._store: Any = None
        self._memory: Offset | None = None
        self._ledger: Ledger[Offset] = Ledger()
        self._number = 0
        self._stored_at = 0.0

    async def __aenter__(self) -> Self:
        if self._file is not None:
            from pycdc.kafka.offsets import FileOffsetStore

            self._store = FileOffsetStore(self._file)
            await self._store.start()
        await self._reader.open(SourceContext(self._name, "0", self._load, self._put, self._settle))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._settle()
        await self._reader.close()

    async def __aiter__(self) -> AsyncIterator[ChangeEvent]:
        while (batch := await self._reader.read()) is not None:
            for event in self._events(batch):
                yield event
            if batch.offset is not None:
                self._ledger.mark(self._number, batch.offset)
                if not self._ledger.pending:
                    await self._settle()

    def _events(self, batch: Batch) -> list[ChangeEvent]:
        out = []
        for run in batch.runs:
            for row in run.rows:
                for template in run.templates:
                    out.append(self._event(fill(template, row, _null), run))
        return out

    def _event(self, record: Record, _run: Run) -> ChangeEvent:
        ticket = self._ledger.open(self._number)
        self._number += 1
        headers = {h.key: h.value for h in record.headers}
        return ChangeEvent(record.topic, record.key, record.value, headers, self, ticket)

    # ---- positions

    async def _acknowledged(self, ticket: int) -> None:
        self._ledger.close(ticket)
        if time.monotonic() - self._stored_at >= _STORE_EVERY:
            await self._settle()

    async def _settle(self) -> None:
        """Store the acknowledged prefix, then confirm it."""
        offset = self._ledger.settled()
        if offset is not None:
            self._stored_at = time.monotonic()
            await self._put(self._reader.partition, offset)
            await self._reader.confirm(offset)

    async def _load(self, partition: Mapping[str, str]) -> Offset | None:
        if self._store is None:
            return self._memory
        offset: Offset | None = await self._store.get(self._name, partition)
        return offset

    async def _put(self, partition: Mapping[str, str], offset: Offset) -> None:
        self._memory = offset
        if self._store is not None:
            await self._store.put(self._name, partition, offset)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _null(_leaf: Leaf, _text: bytes, _error: Exception) -> None:
    """event.converting.failure.handling.mode=warn: a value without representation is null."""
