"""ClickHouseSink: a block per table and flush, in the form that the table's engine wants.

In ReplacingMergeTree the newest version of a key wins when ClickHouse merges (read with FINAL); versions strictly
grow (DESIGN rule 12, sinks.clickhouse.versions). Rows go as TSV, which ClickHouse parses six times faster than the
client makes native blocks of Python's values (measured: 1.5 us a row of 10 columns, 8.7). Tables are written at the
same time, each by one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import orjson
import structlog

from pycdc.config.definition import ConfigDef
from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.change import Changes, Values
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, Partition, SinkContext, Written, no_topic_id
from pycdc.sinks.clickhouse import statements
from pycdc.sinks.clickhouse.blocks import shaped, without_deletes
from pycdc.sinks.clickhouse.client import Session, Sessions
from pycdc.sinks.clickhouse.config import ClickHouseSinkConfig
from pycdc.sinks.clickhouse.naming import Naming, Place
from pycdc.sinks.clickhouse.positions import Positions
from pycdc.sinks.clickhouse.tables import Tables
from pycdc.sinks.clickhouse.target import LOG, Target
from pycdc.sinks.clickhouse.versions import Versions
from pycdc.sinks.clickhouse.writer import NullsWanted, Writer
from pycdc.sinks.intake import Intake
from pycdc.sinks.isolate import write_in_order
from pycdc.sinks.ranges import Range, by_turn, ranges_by_partition
from pycdc.sinks.units import ColumnUnits

log = structlog.get_logger(__name__)


class _Heap(NamedTuple):
    """What is written together: changes of one table; of one partition, where its blocks have to be formed again."""

    places: tuple[Place, ...]
    partition: Partition | None = None


_Taken = dict[_Heap, list[Changes]]


class ClickHouseSink:
    """plugins.contracts.Sink for ClickHouse."""

    config: ClassVar[type[ConfigDef]] = ClickHouseSinkConfig
    #: Each insert is a part that has to be merged.
    linger: float = 0.2

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ClickHouseSinkConfig)
        self.settings = settings
        self._own_cluster = settings.own_cluster or settings.cluster
        self._sessions = Sessions(settings)
        self._naming = Naming(settings.table_map, settings.split_char if settings.splits_topic else "")
        self._tables = Tables(settings)
        self._versions = Versions()
        self._positions = Positions("")
        #: Of each column of each table.
        self._units = ColumnUnits(settings.time_mode)
        self._taken: _Taken = {}
        self._schemas: dict[Schema, Schema] = {}
        self._topic_id: Callable[[str], Awaitable[str]] = no_topic_id
        self._name = ""
        self._stored = 0
        self.written: dict[str, Written] = {}
        self._intake = Intake(self._take, _key_of)
        self.refused = self._intake.refused

    # ---- plugins.contracts.Sink

    @property
    def retries(self) -> int:
        return self._sessions.retries

    async def open(self, context: SinkContext) -> None:
        self._name, self._topic_id = context.connector, context.topic_id
        self._intake.tolerant = context.tolerant
        self._versions = Versions(self._own_cluster, context.topic_id)
        self._positions = Positions(context.connector, self._own_cluster)
        await self._sessions.open()

    def put(self, records: Sequence[Record]) -> None:
        self._intake.records(records)

    @property
    def takes_changes(self) -> bool:
        """Tables that keep every change want to know its op, and the row before it."""
        return self.settings.engine.keeps_rows

    def put_changes(self, changes: Changes) -> None:
        self._intake.changes(changes)

    def _take(self, changes: Changes) -> None:
        partition = None
        if self.keeps_positions and changes.partition is not None:
            partition = changes.topic, changes.partition
            if changes.row_schema is not None:
                # rows of equal schemas make one block, whichever way they came: the same when they are read again
                with contextlib.suppress(TypeError):  # a default may have no hash
                    changes.row_schema = self._schemas.setdefault(changes.row_schema, changes.row_schema)
        self._taken.setdefault(_Heap(self._naming.places(changes), partition), []).append(changes)

    async def flush(self, position: Offset | None = None) -> None:
        taken, self._taken = self._taken, {}
        await self._write_all(taken, {})
        if position is not None:
            await self._sessions.call(self._store, position)

    async def load_position(self) -> Offset | None:
        return await self._sessions.call(self._load)

    async def close(self) -> None:
        await self._sessions.close()

    # ---- plugins.contracts.PositionedSink

    @property
    def keeps_positions(self) -> bool:
        return self.settings.exactly_once

    async def claim(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        ids = {topic: await self._topic_id(topic) for topic, _ in partitions}
        # what was held of them is read again
        self._taken = {heap: changes for heap, changes in self._taken.items() if heap.partition not in set(partitions)}
        return await self._sessions.call(self._positions.claim, partitions, ids)

    async def flush_to(self, positions: Mapping[Partition, int]) -> None:
        begun = dict(self._positions.begun)
        again, now, held = by_turn(self._taken, begun, positions)
        self._taken = held
        await self._write_all(again, begun)
        ranges = ranges_by_partition(now)
        if ranges:
            await self._sessions.call(self._positions.begin, ranges)
        await self._write_all(now, ranges)
        await self._sessions.call(self._positions.finish, {p: n for p, n in positions.items() if p not in begun or n > begun[p].last})

    # ---- writing

    async def _write_all(self, taken: _Taken, ranges: Mapping[Partition, Range]) -> None:
        """All tables at the same time; what goes into one table, one after another."""
        by_place: dict[Place, list[_Heap]] = {}
        for heap in taken:
            by_place.setdefault(heap.places[-1], []).append(heap)

        async def write(heaps: Sequence[_Heap]) -> None:
            for heap in heaps:
                partition = heap.partition
                token = self._positions.token(partition, ranges[partition]) if partition is not None else None
                await self._write_heap(heap.places, taken[heap], token)

        try:
            async with asyncio.TaskGroup() as tasks:
                for heaps in by_place.values():
                    tasks.create_task(write(heaps))
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _write_heap(self, places: Sequence[Place], changes: list[Changes], token: str | None) -> None:
        for attempt in (1, 2):
            target = await self._sessions.call(self._tables.find, places, changes)
            if target is None:
                return
            try:
                await self._write(target, changes, token)
            except TargetSchemaError:
                # the table may have been altered since it was looked at
                self._tables.forget(target.place)
                if attempt == 2:
                    raise
            else:
                return

    async def _write(self, target: Target, changes: Sequence[Changes], token: str | None) -> None:
        changes = self._wanted([shaped(c, target) for c in changes], target)
        target = await self._sessions.call(self._tables.fitted, target, changes)
        if self.settings.versions == "stream":
            await self._versions.prepare(self._sessions, target, changes)
        last = max((n for n, c in enumerate(changes) if c.truncate), default=-1)
        if last >= 0 and target.family != LOG:  # a log keeps what was
            await self._sessions.call(_empty, target, self.settings.cluster)
        changes = [c for n, c in enumerate(changes) if (n > last or target.family == LOG) and len(c)]
        while changes:
            version_of = self._versions.of if self.settings.versions == "stream" else None
            writer = Writer(target, version_of, self._units, token=token)
            try:
                await self._sessions.call(writer.write, changes)
            except NullsWanted as wanted:
                if self.settings.evolves:
                    target = await self._sessions.call(self._tables.nullable, target, wanted.column)
                    continue
                self._refuse_now(wanted.told)
                await self._write_in_order(writer, changes)
            except BadRow as error:
                if error.record is not None:
                    self._refuse_now(error)
                await self._write_in_order(writer, changes)
            written = self.written.setdefault(str(target), Written())
            written.upserts += writer.written.upserts
            written.deletes += writer.written.deletes
            return

    async def _write_in_order(self, writer: Writer, changes: Sequence[Changes]) -> None:
        async def write(part: Sequence[Changes]) -> None:
            try:
                await self._sessions.call(writer.write, part)
            except NullsWanted as wanted:
                raise wanted.told from None

        await write_in_order(changes, write, self._intake.refuse)

    def _refuse_now(self, error: BadRow) -> None:
        """When none is tolerated and the row is known, there is nothing to search for."""
        if not self._intake.tolerant:
            raise error

    def _wanted(self, changes: list[Changes], target: Target) -> list[Changes]:
        if self.settings.deletes == "write":
            return changes
        gone = sum(1 for c in changes for r in c.rows if r is None)
        if gone:
            log.info("deletes are left out", table=str(target), deletes=gone)
        return [c if c.truncate else without_deletes(c) for c in changes]

    # ---- the position of `pycdc run`

    def _load(self, session: Session) -> Offset | None:
        session.command(
            statements.own("pycdc_offsets", "name String, position String, n UInt64", sorted_by="name", version="n", cluster=self._own_cluster), "positions cannot be kept"
        )
        rows = session.rows("SELECT position, n FROM pycdc_offsets WHERE name = {n:String} ORDER BY n DESC LIMIT 1", n=self._name)
        if not rows:
            return None
        self._stored = int(rows[0][1])
        position: Offset = orjson.loads(rows[0][0])
        return position

    def _store(self, session: Session, position: Offset) -> None:
        self._stored += 1
        values = f"{statements.literal(self._name)}, {statements.literal(orjson.dumps(position).decode())}, {self._stored}"
        session.command(f"INSERT INTO pycdc_offsets SETTINGS async_insert = 0 VALUES ({values})", "a position cannot be kept")


def _empty(session: Session, target: Target, cluster: str) -> None:
    place, cluster = (target.place, cluster) if target.own is None else (target.own, target.cluster)
    session.command(statements.truncate(place, cluster=cluster), f"{target} cannot be emptied")


def _key_of(record: Record) -> tuple[Schema | None, Values | None]:
    """A key that is no struct names no columns; the rows are written without one, as the original writes all."""
    return (record.key_schema, record.key) if isinstance(record.key, dict) else (None, None)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One fault ends a flush; the others were cut off by it."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
