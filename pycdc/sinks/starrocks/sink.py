"""StarRocksSink: buffers per table, one Stream Load per table, set of columns and flush.

Deletes and upserts go in one load, reduced to the last change of each key; rows known in part go as partial
updates, which leave their other columns alone. A load is carried out until StarRocks says that it is committed;
labels made of offsets make sure that a lost answer doubles nothing. Writes keep a distance, because every one is a
version of its table; a table that has too many is written to less often. What a value is at fault for is told with
topic, partition, offset and column, found by halving the load in transactions that are rolled back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import ClassVar, Final, TypeVar
from urllib.parse import urlsplit

import orjson
import structlog

from pycdc.config.definition import ConfigDef
from pycdc.errors import BadRow, PycdcError, SinkError, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, SinkContext, Written
from pycdc.sinks.buffer import Buffer
from pycdc.sinks.changes import changes_of
from pycdc.sinks.starrocks.body import Body, make_body
from pycdc.sinks.starrocks.catalog import POSITIONS, Catalog, Target
from pycdc.sinks.starrocks.client import Client, Server
from pycdc.sinks.starrocks.compression import compress
from pycdc.sinks.starrocks.config import LONGEST_INTERVAL_MS, StarRocksSinkConfig
from pycdc.sinks.starrocks.faults import Outdated, RowsRefused
from pycdc.sinks.starrocks.labels import Incarnations, label, ranges_of
from pycdc.sinks.starrocks.load import Load, Loader
from pycdc.sinks.starrocks.pace import Pace
from pycdc.sinks.starrocks.rows import marks_of, sort
from pycdc.sinks.starrocks.transaction import put_together, refusal

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Tables that are loaded at a time: a commit takes StarRocks 60 to 100 ms whatever its size, and a BE has few threads
#: for it (be_http_num_workers).
_AT_A_TIME: Final = 4
#: Since when compressed bodies are taken in both formats.
_COMPRESSES: Final = (3, 2, 7)


class _Piece:
    """One load of one table, and the rows that it is made of."""

    def __init__(self, load: Load, body: Body, target: Target) -> None:
        self.load, self.body, self.target = load, body, target


class StarRocksSink:
    """plugins.contracts.Sink for StarRocks."""

    config: ClassVar[type[ConfigDef]] = StarRocksSinkConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, StarRocksSinkConfig)
        self.settings = s = settings
        hosts = [urlsplit(u).hostname or "" for u in s.http_urls]
        self._client = Client(Server(s.http_urls, s.username, s.login_password, s.connect_ms / 1000))
        self._catalog = Catalog(hosts, s.query_port, s.username, s.login_password, s.database, connect=s.connect_ms / 1000)
        self._pace = Pace(min(s.interval_ms, LONGEST_INTERVAL_MS) / 1000)
        self._loader = Loader(self._client, s.database, limit=s.timeout, retries=s.max_retries, when_busy=self._pace.slower)
        #: What the user wants said with every load of rows.
        self._headers = s.headers
        self._compression = s.compression
        self._incarnations = Incarnations()
        self._buffers: dict[str, Buffer] = {}
        self._targets: dict[str, Target] = {}
        self._name = ""
        self.written: dict[str, Written] = {}

    # ---- plugins.contracts.Sink

    async def open(self, context: SinkContext) -> None:
        self._name = context.connector
        self._incarnations = Incarnations(context.topic_id)
        version = await self._in_catalog(self._catalog.version)
        if self._compression != "none" and version and version < _COMPRESSES:
            told = ".".join(map(str, version))
            log.warning("bodies are not compressed: this StarRocks does not take it", version=told, needed="3.2.7")
            self._compression = "none"

    def put(self, records: Sequence[Record]) -> None:
        for changes in changes_of(records):
            self.put_changes(changes)

    @property
    def takes_changes(self) -> bool:
        return True

    def put_changes(self, changes: Changes) -> None:
        table = self._table(changes)
        if changes.truncate and not self.settings.truncates:
            log.warning("a truncate is not carried out", table=table, hint="truncate.enabled=true")
            return
        if not self.settings.deletes and None in changes.rows:
            changes = _without_deletes(changes)
        self._buffers.setdefault(table, Buffer()).put(changes, _key_columns(changes))

    async def flush(self, position: Offset | None = None) -> None:
        buffers, self._buffers = self._buffers, {}
        buffers = {table: buffer for table, buffer in buffers.items() if buffer}
        if not buffers and position is None:
            return
        await self._pace.turn(max((len(b.rows) + len(b.partial) for b in buffers.values()), default=0))
        if self.settings.multi_table:
            await self._write_together(buffers, position)
        else:
            await self._write_each(buffers)
            if position is not None:
                await self._loader.put(self._position_load(position))
        for table, buffer in buffers.items():
            self._count(table, buffer)

    async def load_position(self) -> Offset | None:
        return await self._in_catalog(lambda: self._catalog.load_position(self._name, self.settings.table_properties))

    async def close(self) -> None:
        await self._client.close()

    # ---- names

    def _table(self, changes: Changes) -> str:
        known = self.settings.table_map.get(changes.topic)
        return known or str(changes.source.get("table") or changes.topic.rsplit(".", 1)[-1])

    # ---- writing

    async def _write(self, table: str, buffer: Buffer) -> None:
        """One table, load after load; once more when it turns out to have been changed."""
        try:
            await self._put_all(await self._pieces(table, buffer))
        except Outdated as error:
            log.warning("a table has been changed", table=table, cause=error.cause)
            self._targets.pop(table, None)
            await self._put_all(await self._pieces(table, buffer))

    async def _put_all(self, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            try:
                await self._loader.put(piece.load)
            except RowsRefused as error:
                raise await self._named(error, piece) from None

    async def _write_together(self, buffers: dict[str, Buffer], position: Offset | None) -> None:
        """All tables in one transaction. A table whose loads differ in columns takes part with one set of columns in each
        of several transactions, because a transaction reads a table's bodies in one way.
        """
        rounds: list[list[_Piece]] = []
        for table, buffer in buffers.items():
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
                raise await self._named_in(error, pieces) from None
            except Outdated:
                self._targets.clear()
                raise

    async def _pieces(self, table: str, buffer: Buffer) -> list[_Piece]:
        """The loads of a table, which is truncated first where that was asked for."""
        ranges = ranges_of(buffer.changes)
        await self._incarnations.learn(ranges or {})
        target = await self._target(table, buffer)
        if buffer.truncate:
            await self._in_catalog(lambda: self._catalog.truncate(table))
            buffer.truncate = False
        try:
            bodies = self._bodies(target, buffer)
        except TargetSchemaError:
            # it may have been changed since it was looked at
            del self._targets[table]
            bodies = self._bodies(await self._target(table, buffer), buffer)
        pieces: list[_Piece] = []
        for body in bodies:
            for n, (rows, data) in enumerate(body.pieces(self.settings.max_bytes)):
                part = f"{body.headers['columns']} {len(pieces)} {n}"
                name = label(self._name, table, ranges, self._incarnations.known, part)
                pieces.append(_Piece(await self._load(target, rows, data, name), rows, target))
        return pieces

    def _bodies(self, target: Target, buffer: Buffer) -> list[Body]:
        """Deletes ride in the first load that brings whole rows."""
        s = self.settings
        parts = sort(buffer, target, deletes=s.deletes)
        apart = parts.deletes and (s.partial_update or not parts.whole)
        bodies = [make_body(target, None, parts.deletes, form=s.format)] if apart else []
        for n, whole in enumerate(parts.whole):
            deletes = parts.deletes if n == 0 and not apart else []
            bodies.append(make_body(target, whole, deletes, form=s.format, partial=s.partial_update))
        bodies += [make_body(target, part, [], form=s.format, partial=True) for part in parts.partial]
        return bodies

    async def _load(self, target: Target, body: Body, data: bytes, name: str) -> Load:
        headers = {**self._headers, **body.headers}
        if self._compression != "none":
            data = await asyncio.to_thread(compress, data, self._compression)
            headers["compression"] = self._compression
        return Load(target.name, name, headers, data, bool(target.primary_key))

    def _position_load(self, position: Offset) -> Load:
        row = {"name": self._name, "position": orjson.dumps(position).decode()}
        headers = {"format": "json", "strip_outer_array": "true", "columns": "`name`,`position`"}
        return Load(POSITIONS, label(self._name, POSITIONS, None, {}), headers, orjson.dumps([row]))

    async def _write_each(self, buffers: dict[str, Buffer]) -> None:
        """Some tables at a time. The others go on when one fails: what they commit stays; then the first fault is raised."""
        turn = asyncio.Semaphore(_AT_A_TIME)
        faults: list[PycdcError] = []

        async def one(table: str, buffer: Buffer) -> None:
            async with turn:
                try:
                    await self._write(table, buffer)
                except PycdcError as error:
                    faults.append(error)

        async with asyncio.TaskGroup() as group:
            for table, buffer in buffers.items():
                group.create_task(one(table, buffer))
        if faults:
            raise faults[0]

    def _count(self, table: str, buffer: Buffer) -> None:
        written = self.written.setdefault(table, Written())
        deletes = sum(1 for e in buffer.rows.values() if e[0] is None)
        written.deletes += deletes
        written.upserts += len(buffer.rows) + len(buffer.partial) - deletes

    # ---- the row at fault

    async def _named_in(self, error: RowsRefused, pieces: Sequence[_Piece]) -> PycdcError:
        for piece in pieces:
            found = await self._named(error, piece)
            if isinstance(found, BadRow):
                return found
        return error

    async def _named(self, error: RowsRefused, piece: _Piece) -> PycdcError:
        """The row that StarRocks refuses: the load's halves are tried in transactions that are rolled back."""
        rows, reason = piece.body, None
        try:
            if await self._refusal(piece.target, rows) is not None:
                while len(rows) > 1:
                    middle = len(rows) // 2
                    first = rows.part(0, middle)
                    rows = first if await self._refusal(piece.target, first) is not None else rows.part(middle, len(rows))
                reason = await self._refusal(piece.target, rows)
        except PycdcError as lost:
            log.warning("the row at fault cannot be looked for", cause=lost.cause or lost.what)
        if reason is None:
            return SinkError(error.what, where=error.where, cause=error.cause, hint=error.hint)
        _, changes, index = rows.entries[0]
        column = f", column {reason.column}" if reason.column else ""
        return BadRow(
            f"a row cannot be written to {piece.target.name}", where=changes.where(index) + column, cause=reason.cause,
            hint=f"compare the record with: DESC `{piece.target.name}`",
        )  # fmt: skip

    async def _refusal(self, target: Target, rows: Body) -> RowsRefused | None:
        load = await self._load(target, rows, rows.data(), label(self._name, target.name, None, {}))
        return await refusal(self._loader, load, load.label)

    # ---- tables

    async def _target(self, table: str, buffer: Buffer) -> Target:
        """The table with every column of the rows, made or widened when asked for. Raises TargetSchemaError."""
        names = _names(buffer)
        target = self._targets.get(table)
        if target is None or _missing(target, names):  # somebody may have added what is missing
            target = await self._in_catalog(lambda: self._catalog.describe(table))
        row = next((c.row_schema for c in reversed(buffer.changes) if c.row_schema is not None), None)
        if target is None and self.settings.creates and row is not None:
            target = await self._made(table, row, buffer)
        if target is None:
            raise TargetSchemaError(
                f"StarRocks has no table {table}", where=self.settings.database,
                hint="create it, or set schema.evolution=basic (which needs records with schemas)",
            )  # fmt: skip
        missing = _missing(target, names)
        if missing:
            target = await self._widened(table, missing, row)
        self._targets[table] = target
        return target

    async def _made(self, table: str, row: Schema, buffer: Buffer) -> Target | None:
        key = next((k for c in reversed(buffer.changes) if (k := _key_columns(c))), ())
        if not key:
            raise TargetSchemaError(
                f"table {table} cannot be made", cause="its records have no key, so nothing could be changed or deleted in it",
                hint="message.key.columns at the source names a key; a table that is only appended to is made by hand, with DUPLICATE KEY",
            )  # fmt: skip
        marks = marks_of(None)
        fields = row.replace(fields=tuple(f for f in row.fields if f.name not in marks))
        s = self.settings
        await self._in_catalog(lambda: self._catalog.create(table, fields, key, s.table_properties, s.buckets))
        return await self._in_catalog(lambda: self._catalog.describe(table))

    async def _widened(self, table: str, missing: Sequence[str], row: Schema | None) -> Target:
        schemas = {c: s for c in missing if row is not None and (s := row.field(c)) is not None}
        if not self.settings.creates or len(schemas) != len(missing):
            clauses = ", ".join(f"ADD COLUMN `{c}` <type> NULL" for c in missing)
            raise TargetSchemaError(
                f"table {table} lacks {', '.join(missing)}", where=self.settings.database, hint=f"ALTER TABLE `{table}` {clauses}, or schema.evolution=basic"
            )
        return await self._in_catalog(lambda: self._catalog.add_columns(table, schemas))

    async def _in_catalog(self, function: Callable[[], T]) -> T:
        """A blocking call in a thread, tried again while StarRocks cannot be reached. One that has begun is waited for also
        when we are cancelled: half a schema change must not meet another.
        """
        tries = self._loader.tries()
        while True:
            call = asyncio.ensure_future(asyncio.to_thread(function))
            try:
                return await asyncio.shield(call)
            except asyncio.CancelledError:
                await asyncio.wait([call])
                raise
            except PycdcError as error:
                await tries.failed(error)


def _names(buffer: Buffer) -> list[str]:
    """Names in the rows, in the order in which they come."""
    rows = [e[0] for entries in (buffer.rows, buffer.partial) for e in entries.values() if e[0] is not None]
    return list(dict.fromkeys(chain.from_iterable(rows)))


def _missing(target: Target, names: Sequence[str]) -> list[str]:
    """Those that the table does not have."""
    marks = marks_of(target)
    return [n for n in names if n not in marks and target.column(n) is None]


def _key_columns(changes: Changes) -> tuple[str, ...]:
    if changes.key_schema is not None:
        return tuple(f.name for f in changes.key_schema.fields)
    first = changes.keys[0] if changes.keys else None
    return tuple(first) if first is not None else ()


def _without_deletes(changes: Changes) -> Changes:
    kept = [i for i, row in enumerate(changes.rows) if row is not None]
    return Changes(
        changes.topic, changes.source, changes.key_schema, changes.row_schema, [changes.keys[i] for i in kept], [changes.rows[i] for i in kept],
        changes.partition, [changes.offsets[i] for i in kept] if changes.offsets else (), changes.partial, changes.truncate,
    )  # fmt: skip
