"""StarRocksSink: buffers per table, one Stream Load per table, set of columns and flush.

Deletes and upserts go in one load, reduced to the last change of each key; rows known in part go as partial
updates, which leave their other columns alone. A load is carried out until StarRocks says that it is committed;
labels made of offsets make sure that a lost answer doubles nothing. Writes keep a distance, because every one is a
version of its table; when StarRocks has too many, it grows. A row at fault is told with topic, partition, offset and
column; where such rows are tolerated, the batch is made anew without them, so that the version of a row before
the bad one is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple
from urllib.parse import urlsplit

import orjson
import structlog

from pycdc.config.definition import ConfigDef
from pycdc.errors import BadRow, PycdcError, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, Partition, SinkContext, Written, no_topic_id
from pycdc.sinks.buffer import Buffer
from pycdc.sinks.intake import Intake
from pycdc.sinks.lines import Part
from pycdc.sinks.ranges import by_turn, ranges_by_partition
from pycdc.sinks.starrocks.body import Body, Form, faults_in, make_body
from pycdc.sinks.starrocks.catalog import Catalog, Target
from pycdc.sinks.starrocks.client import Client, Server
from pycdc.sinks.starrocks.compression import compress
from pycdc.sinks.starrocks.config import LONGEST_INTERVAL_MS, StarRocksSinkConfig
from pycdc.sinks.starrocks.faults import Busy, Outdated, RowsRefused
from pycdc.sinks.starrocks.labels import Incarnations, label, label_of_begun, ranges_of
from pycdc.sinks.starrocks.load import Load, Loader
from pycdc.sinks.starrocks.pace import Pace
from pycdc.sinks.starrocks.positions import Positions
from pycdc.sinks.starrocks.rows import BadRows, Sorted, sort, without
from pycdc.sinks.starrocks.tables import POSITION, Tables
from pycdc.sinks.starrocks.transaction import put_together, refusal
from pycdc.sinks.units import ColumnUnits

log = structlog.get_logger(__name__)

#: Tables that are loaded at a time: a commit takes StarRocks 60 to 100 ms whatever its size, and a BE has few threads
#: for it (be_http_num_workers).
_AT_A_TIME: Final = 4
#: Since when compressed bodies are taken in both formats.
_COMPRESSES: Final = (3, 2, 7)


class _Heap(NamedTuple):
    """What is written together: changes of one table; of one partition, where positions are kept."""

    table: str
    partition: Partition | None = None


#: What labels are made of where a batch may have to be formed again.
_Tokens = Mapping[Partition, str]


class _Piece(NamedTuple):
    """One load of one table, and the rows that it is made of."""

    load: Load
    body: Body
    target: Target


class StarRocksSink:
    """plugins.contracts.Sink for StarRocks."""

    config: ClassVar[type[ConfigDef]] = StarRocksSinkConfig
    #: A first write is worth waiting a moment for company; those behind it keep the distance of `Pace`.
    linger: float = 0.2

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, StarRocksSinkConfig)
        self.settings = s = settings
        hosts = [urlsplit(u).hostname or "" for u in s.http_urls]
        catalog = Catalog(hosts, s.query_port, s.username, s.login_password, s.database, connect=s.connect_ms / 1000)
        self._client = Client(Server(s.http_urls, s.username, s.login_password, s.connect_ms / 1000))
        self._loader = Loader(self._client, s.database, limit=s.timeout, retries=s.max_retries, failed=self._failed)
        self._tables = Tables(s, catalog, self._loader.tries)
        self._pace = Pace(min(s.interval_ms, LONGEST_INTERVAL_MS) / 1000)
        #: What the user wants said with every load of rows.
        self._headers = s.headers
        self._compression = s.compression
        self._form = Form(s.format, ColumnUnits(s.time_mode))
        self._incarnations = Incarnations()
        self._buffers: dict[_Heap, Buffer] = {}
        self._schemas: dict[Schema, Schema] = {}
        self._topic_id: Callable[[str], Awaitable[str]] = no_topic_id
        self._name = ""
        self._positions = Positions("", self._tables, self._loader)
        self.written: dict[str, Written] = {}
        self.retries = 0
        self._intake = Intake(self._buffer)
        self.refused = self._intake.refused

    # ---- plugins.contracts.Sink

    async def open(self, context: SinkContext) -> None:
        self._name, self._topic_id = context.connector, context.topic_id
        self._positions = Positions(context.connector, self._tables, self._loader)
        self._intake.tolerant = context.tolerant
        self._incarnations = Incarnations(context.topic_id)
        version = await self._tables.version()
        if self._compression != "none" and version and version < _COMPRESSES:
            told = ".".join(map(str, version))
            log.warning("bodies are not compressed: this StarRocks does not take it", version=told, needed="3.2.7")
            self._compression = "none"

    def put(self, records: Sequence[Record]) -> None:
        self._intake.records(records)

    @property
    def takes_changes(self) -> bool:
        return True

    def put_changes(self, changes: Changes) -> None:
        self._intake.changes(changes)

    def _buffer(self, changes: Changes) -> None:
        table = self._table(changes)
        if changes.truncate and not self.settings.truncates:
            log.warning("a truncate is not carried out", table=table, hint="truncate.enabled=true")
            return
        if not self.settings.deletes and None in changes.rows:
            changes = changes.pick([i for i, row in enumerate(changes.rows) if row is not None])
        heap = _Heap(table)
        if self.keeps_positions and changes.partition is not None:
            heap = _Heap(table, (changes.topic, changes.partition))
            # rows of equal schemas make one load, whichever way they came: the same when they are read again
            changes.row_schema, changes.key_schema = self._one(changes.row_schema), self._one(changes.key_schema)
        self._buffers.setdefault(heap, Buffer()).put(changes, changes.key_columns)

    def _one(self, schema: Schema | None) -> Schema | None:
        with contextlib.suppress(TypeError):  # a default may have no hash
            return schema if schema is None else self._schemas.setdefault(schema, schema)
        return schema

    async def flush(self, position: Offset | None = None) -> None:
        buffers, self._buffers = self._buffers, {}
        waiting = {heap: buffer for heap, buffer in buffers.items() if buffer}
        if not waiting and position is None:
            return
        await self._turn(waiting)
        await self._write_all(waiting, position)
        if position is not None and not self.settings.multi_table:
            await self._loader.put(self._position_load(position))

    async def load_position(self) -> Offset | None:
        return await self._tables.load_position(self._name)

    async def close(self) -> None:
        await self._client.close()

    # ---- plugins.contracts.PositionedSink

    @property
    def keeps_positions(self) -> bool:
        return self.settings.exactly_once

    async def claim(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        ids = {topic: await self._topic_id(topic) for topic, _ in partitions}
        # what was held of them is read again
        self._buffers = {heap: buffer for heap, buffer in self._buffers.items() if heap.partition not in set(partitions)}
        return await self._positions.claim(partitions, ids)

    async def flush_to(self, positions: Mapping[Partition, int]) -> None:
        begun = self._positions.begun()
        again, now, held = by_turn({heap: buffer.changes for heap, buffer in self._buffers.items()}, begun, positions)
        self._buffers = _buffers(held)
        await self._turn(_buffers(again | now))
        for heap, buffer in _buffers(again).items():
            if heap.partition is not None and not (await self._tables.target(heap.table, buffer)).primary_key:
                await self._positions.must_be_remembered(heap.partition, heap.table)
        await self._write_all(_buffers(again), tokens={p: self._positions.token(p) for p in begun})
        ranges = ranges_by_partition(now)
        await self._positions.begin(ranges)
        await self._write_all(_buffers(now), tokens={p: self._positions.token(p) for p in ranges})
        await self._positions.finish({p: n for p, n in positions.items() if p not in begun or n > begun[p].last})

    # ---- names, counts, rows at fault

    def _table(self, changes: Changes) -> str:
        known = self.settings.table_map.get(changes.topic)
        return known or str(changes.source.get("table") or changes.topic.rsplit(".", 1)[-1])

    def _failed(self, error: PycdcError) -> None:
        """Something is tried again."""
        self.retries += 1
        if isinstance(error, Busy):
            self._pace.slower()

    def _without(self, buffers: dict[_Heap, Buffer], errors: Sequence[BadRow]) -> dict[_Heap, Buffer]:
        """The buffers without the rows at fault. Raises when those are not tolerated."""
        for error in errors:
            self._intake.refuse(error)
        records = [e.record for e in errors if e.record is not None]
        left = {heap: without(buffer, records) for heap, buffer in buffers.items()}
        if sum(len(c) for b in left.values() for c in b.changes) == sum(len(c) for b in buffers.values() for c in b.changes):
            raise errors[0]  # it is none of them: leaving it out would not end
        return {heap: buffer for heap, buffer in left.items() if buffer}

    # ---- writing

    async def _turn(self, buffers: Mapping[_Heap, Buffer]) -> None:
        await self._pace.turn(max((len(b.rows) + len(b.partial) for b in buffers.values()), default=0))

    async def _write_all(self, waiting: dict[_Heap, Buffer], position: Offset | None = None, tokens: _Tokens = MappingProxyType({})) -> None:
        """Until all but the rows that are left out is committed."""
        while True:
            try:
                await (self._write_together(waiting, position) if self.settings.multi_table else self._write_each(waiting, tokens))
                return
            except BadRows as found:
                waiting = self._without(waiting, found.errors)

    async def _write_each(self, buffers: dict[_Heap, Buffer], tokens: _Tokens) -> None:
        """Some tables at a time; those that are written leave `buffers`. The others go on when one fails: what they commit
        stays. Then the first fault is raised, or the rows at fault of all.
        """
        turn = asyncio.Semaphore(_AT_A_TIME)
        faults: list[PycdcError] = []
        bad: list[BadRow] = []

        async def one(heap: _Heap, buffer: Buffer) -> None:
            token = tokens.get(heap.partition, "") if heap.partition is not None else ""
            async with turn:
                try:
                    await self._write(heap.table, buffer, token)
                    buffers.pop(heap).count_into(self.written.setdefault(heap.table, Written()))
                except BadRows as found:
                    bad.extend(found.errors)
                except PycdcError as error:
                    faults.append(error)

        async with asyncio.TaskGroup() as group:
            for heap, buffer in list(buffers.items()):
                group.create_task(one(heap, buffer))
        if faults:
            raise faults[0]
        if bad:
            raise BadRows(bad)

    async def _write(self, table: str, buffer: Buffer, token: str) -> None:
        """One table, load after load; once more when it turns out to have been changed."""
        try:
            await self._put_all(await self._pieces(table, buffer, token))
        except Outdated as error:
            log.warning("a table has been changed", table=table, cause=error.cause)
            self._tables.forget(table)
            await self._put_all(await self._pieces(table, buffer, token))

    async def _put_all(self, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            try:
                await self._loader.put(piece.load)
            except RowsRefused as error:
                raise await self._bad_row(error, [piece]) from None

    async def _write_together(self, buffers: dict[_Heap, Buffer], position: Offset | None) -> None:
        """All tables in one transaction. A table whose loads differ in columns takes part with one set of columns in each
        of several transactions, because a transaction reads a table's bodies in one way.
        """
        rounds: list[list[_Piece]] = []
        for (table, _), buffer in buffers.items():
            forms: list[dict[str, str]] = []
            for piece in await self._pieces(table, buffer):
                if piece.load.headers not in forms:
                    forms.append(piece.load.headers)
                n = forms.index(piece.load.headers)
                rounds.extend([] for _ in range(n + 1 - len(rounds)))
                rounds[n].append(piece)
        ranges = ranges_of(c for b in buffers.values() for c in b.changes)
        last = [self._position_load(position)] if position is not None else []
        for n, pieces in enumerate(rounds or [[]]):
            loads = [p.load for p in pieces] + (last if n >= len(rounds) - 1 else [])
            if not loads:
                continue
            name = label(self._name, "all", ranges, self._incarnations.known, f"round {n}")
            try:
                await put_together(self._loader, loads, name)
            except RowsRefused as error:
                raise await self._bad_row(error, pieces) from None
            except Outdated:
                for piece in pieces:
                    self._tables.forget(piece.target.name)
                raise
        for (table, _), buffer in buffers.items():
            buffer.count_into(self.written.setdefault(table, Written()))

    async def _pieces(self, table: str, buffer: Buffer, token: str = "") -> list[_Piece]:
        """The loads of a table, which is truncated first where that was asked for. Raises BadRows.

        With a token they have the labels that they had when their batch was begun, and what is committed stays as it is.
        """
        ranges = ranges_of(buffer.changes)
        await self._incarnations.learn(ranges or {})
        target = await self._tables.target(table, buffer)
        if buffer.truncate:
            await self._tables.truncate(table)
            buffer.truncate = False
        try:
            bodies = self._bodies(target, buffer)
        except TargetSchemaError:
            # it may have been changed since it was looked at
            self._tables.forget(table)
            target = await self._tables.target(table, buffer)
            bodies = self._bodies(target, buffer)
        pieces: list[_Piece] = []
        for body in bodies:
            for rows, data in body.pieces(self.settings.max_bytes):
                # without a row that was left out it is another body, under another label
                part = f"{body.headers['columns']} {len(pieces)} {len(rows)}"
                name = label_of_begun(self._name, table, token, part) if token else label(self._name, table, ranges, self._incarnations.known, part)
                pieces.append(_Piece(await self._load(target, rows, data, name, once=bool(token)), rows, target))
        return pieces

    def _bodies(self, target: Target, buffer: Buffer) -> list[Body]:
        """Raises BadRows: the first, or all of them where they are tolerated."""
        parts: Sorted | None = None
        try:
            parts = sort(buffer, target, deletes=self.settings.deletes)
            return self._made(target, parts)
        except BadRow as error:
            found: list[BadRow] = []
            if self._intake.tolerant and parts is not None:
                found = [e for p in (*parts.whole, *parts.partial, *parts.deletes) for e in faults_in(target, p, self._form)]
            raise BadRows(found or [error]) from None

    def _made(self, target: Target, parts: Sorted) -> list[Body]:
        """Deletes ride in the first load that brings whole rows."""
        s = self.settings

        def body(whole: Part | None, deletes: Sequence[Part], *, partial: bool = False) -> Body:
            return make_body(target, whole, deletes, self._form, partial=partial)

        apart = bool(parts.deletes) and (s.partial_update or not parts.whole)
        bodies = [body(None, parts.deletes)] if apart else []
        for n, whole in enumerate(parts.whole):
            bodies.append(body(whole, parts.deletes if n == 0 and not apart else [], partial=s.partial_update))
        return bodies + [body(part, [], partial=True) for part in parts.partial]

    async def _load(self, target: Target, body: Body, data: bytes, name: str, *, once: bool = False) -> Load:
        headers = {**self._headers, **body.headers}
        if self._compression != "none":
            data = await asyncio.to_thread(compress, data, self._compression)
            headers["compression"] = self._compression
        return Load(target.name, name, headers, data, is_idempotent=bool(target.primary_key) and not once)

    def _position_load(self, position: Offset) -> Load:
        row = {"name": self._name, "position": orjson.dumps(position).decode()}
        headers = {"format": "json", "strip_outer_array": "true", "columns": "`name`,`position`"}
        return Load(POSITION, label(self._name, POSITION, None, {}), headers, orjson.dumps([row]))

    # ---- the row that StarRocks refuses

    async def _bad_row(self, error: RowsRefused, pieces: Sequence[_Piece]) -> BadRows | PycdcError:
        """Its error, or what StarRocks said where it is not found again."""
        for piece in pieces:
            self._tables.forget(piece.target.name)  # its columns may be others than those that are known
            try:
                found = await self._found(piece)
            except PycdcError as lost:
                log.warning("the row at fault cannot be looked for", cause=lost.cause or lost.what)
                return error
            if found is not None:
                return BadRows([found])
        return error

    async def _found(self, piece: _Piece) -> BadRow | None:
        """The load's halves are tried in transactions that are rolled back."""
        rows = piece.body
        if await self._refusal(piece.target, rows) is None:
            return None
        while len(rows) > 1:
            middle = len(rows) // 2
            first = rows.part(0, middle)
            rows = first if await self._refusal(piece.target, first) is not None else rows.part(middle, len(rows))
        reason = await self._refusal(piece.target, rows)
        if reason is None:
            return None
        _, changes, index = rows.entries[0]
        column = f", column {reason.column}" if reason.column else ""
        return BadRow.of(
            changes.record(index), f"a row cannot be written to {piece.target.name}", where=changes.where(index) + column,
            cause=reason.cause, hint=f"compare the record with: DESC `{piece.target.name}`",
        )  # fmt: skip

    async def _refusal(self, target: Target, rows: Body) -> RowsRefused | None:
        load = await self._load(target, rows, rows.data(), label(self._name, target.name, None, {}))
        return await refusal(self._loader, load, load.label)


def _buffers(taken: Mapping[_Heap, Sequence[Changes]]) -> dict[_Heap, Buffer]:
    found: dict[_Heap, Buffer] = {}
    for heap, listed in taken.items():
        buffer = Buffer()
        for changes in listed:
            buffer.put(changes, changes.key_columns)
        if buffer:
            found[heap] = buffer
    return found
