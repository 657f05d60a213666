"""PostgresSink: buffers per table, one transaction per flush.

Rows go by COPY into a temporary table with the target's own column types, and from there by one statement
into the target: deletes, then upserts, then updates of rows that are known only in part. In `pycdc run` the
position is written in the same transaction. A write that fails is retried when its fault is one of
connection or concurrency; a batch in which a row is at fault is written again in its own order, without that row.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import orjson
import psycopg
import structlog
from psycopg import sql

from pycdc.config.definition import ConfigDef
from pycdc.errors import BadRow, ConnectionLost, SinkError, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, Partition, SinkContext, Written, no_topic_id
from pycdc.postgres.session import connect, translate
from pycdc.sinks.buffer import Buffer, Entry
from pycdc.sinks.intake import Intake
from pycdc.sinks.isolate import write_in_order
from pycdc.sinks.lines import Part, alike, copy_lines, keys_alike, with_key
from pycdc.sinks.postgres import ddl, statements
from pycdc.sinks.postgres.config import AivenSinkConfig, ConfluentSinkConfig, DebeziumSinkConfig, JdbcSinkConfig
from pycdc.sinks.postgres.ddl import Target
from pycdc.sinks.postgres.faults import bad_row, is_of_a_row
from pycdc.sinks.postgres.keys import Keys
from pycdc.sinks.postgres.naming import Naming, Place
from pycdc.sinks.postgres.positions import Positions
from pycdc.sinks.postgres.types import widened
from pycdc.sinks.postgres.values import local_texts, texts
from pycdc.sinks.units import ColumnUnits

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

#: Deadlock and serialization failure: the same statements may succeed at once.
_CONCURRENCY = ("40P01", "40001")


class PostgresSink:
    """plugins.contracts.Sink for PostgreSQL."""

    config: ClassVar[type[ConfigDef]] = DebeziumSinkConfig
    #: A transaction of few rows takes some milliseconds.
    linger: float = 0.02

    @classmethod
    def config_for(cls, connector_class: str) -> type[ConfigDef]:
        """Each family has its own names and defaults."""
        families = {"io.confluent.": ConfluentSinkConfig, "io.aiven.": AivenSinkConfig}
        return next((c for prefix, c in families.items() if connector_class.startswith(prefix)), DebeziumSinkConfig)

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, JdbcSinkConfig)
        self.settings = settings
        self._connection = settings.connection()
        self._conn: psycopg.AsyncConnection | None = None
        self._naming = Naming(settings.naming())
        self._keys = Keys(settings.keys())
        self._listed = settings.listed()
        self._buffers: dict[Place, Buffer] = {}
        self._targets: dict[Place, Target] = {}
        #: The schema for whose rows a target was looked at last.
        self._fitted: dict[Place, Schema | None] = {}
        self._staged: set[str] = set()
        self._connector = ""
        self._topic_id: Callable[[str], Awaitable[str]] = no_topic_id
        self._positions = Positions()
        #: By table and column.
        self._units = ColumnUnits(settings.time_mode)
        self.written: dict[str, Written] = {}
        self.retries = 0
        self._intake = Intake(self._buffer, self._keys.of_record)
        self.refused = self._intake.refused

    # ---- plugins.contracts.Sink

    async def open(self, context: SinkContext) -> None:
        self._connector, self._topic_id = context.connector, context.topic_id
        self._intake.tolerant = context.tolerant
        await self._retried(self._connected, "cannot connect")

    def put(self, records: Sequence[Record]) -> None:
        self._intake.records(records)

    @property
    def takes_changes(self) -> bool:
        return not self._keys.needs_records

    def put_changes(self, changes: Changes) -> None:
        self._intake.changes(changes)

    def _buffer(self, changes: Changes) -> None:
        if not self.settings.deletes and None in changes.rows:
            changes = self._without_deletes(changes)
        place = self._naming.place(changes)
        if place is None or not (len(changes) or changes.truncate):
            return
        changes = self._keys.shaped(self._listed.typed(changes))
        buffer = self._buffers.get(place)
        if buffer is None:
            buffer = self._buffers[place] = Buffer()
        buffer.put(changes, self._reduced_by(changes))

    def _reduced_by(self, changes: Changes) -> tuple[str, ...]:
        """Rows that are only ever inserted are all written: the target may have no key at all."""
        if self.settings.insert_mode in ("insert", "multi") and not self.settings.deletes:
            return ()
        return self._keys.columns(changes)

    def _without_deletes(self, changes: Changes) -> Changes:
        """delete.enabled=false: Debezium's sink passes deletes over, Confluent's takes them for a mistake."""
        if self.settings.refuses_deletes:
            index = changes.rows.index(None)
            raise BadRow.of(
                changes.record(index), "a record is a delete", where=changes.where(index), cause="delete.enabled is false",
                hint="set delete.enabled=true with pk.mode=record_key, or drop tombstones by a transform",
            )  # fmt: skip
        return changes.pick([i for i, row in enumerate(changes.rows) if row is not None])

    async def flush(self, position: Offset | None = None) -> None:
        async def store(conn: psycopg.AsyncConnection) -> None:
            if position is not None:
                await conn.execute(_STORE, [self._connector, orjson.dumps(position).decode()])

        await self._flush(store, forced=position is not None)

    # ---- plugins.contracts.PositionedSink

    @property
    def keeps_positions(self) -> bool:
        return self.settings.exactly_once

    async def claim(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        ids = {topic: await self._topic_id(topic) for topic, _ in partitions}

        async def claim() -> Mapping[Partition, int]:
            return await self._positions.claim(await self._connected(), self._connector, partitions, ids)

        return await self._retried(claim, "positions cannot be read")

    async def flush_to(self, positions: Mapping[Partition, int]) -> None:
        await self._flush(lambda conn: self._positions.store(conn, self._connector, positions), forced=True)

    async def _flush(self, store: Callable[[psycopg.AsyncConnection], Awaitable[None]], *, forced: bool) -> None:
        """Write what is buffered; `store` writes positions in the same transaction, `forced` also without rows."""
        buffers, self._buffers = self._buffers, {}
        if not buffers and not forced:
            return
        in_order, told = False, len(self.refused)

        async def write() -> None:
            nonlocal in_order
            del self.refused[told:]
            try:
                await self._transaction(buffers, store, in_order=in_order)
                return
            except BadRow:
                if in_order:
                    raise
            except psycopg.Error as error:
                if in_order or not is_of_a_row(error):
                    raise
            in_order = True
            await self._transaction(buffers, store, in_order=True)

        await self._retried(write, "a write failed")

    async def _retried(self, act: Callable[[], Awaitable[_T]], what: str) -> _T:
        """`act`, again after faults that pass, as often as the configuration says."""
        attempt = 0
        while True:
            try:
                return await act()
            except psycopg.Error as error:
                fault = translate(error, self._connection, what)
                if error.sqlstate not in _CONCURRENCY and not fault.retriable:
                    raise SinkError(what, where=self._connection.where, cause=fault.cause, hint=fault.hint) from error
            except ConnectionLost as error:
                fault = error
            if attempt >= self.settings.max_retries:
                raise fault
            pause = min(0.1 * 2**attempt, self.settings.retry_ms / 1000) * random.uniform(0.8, 1.2)  # noqa: S311
            attempt += 1
            self.retries += 1
            log.warning("trying again", what=what, cause=fault.cause, seconds=round(pause, 1))
            await self._disconnect()
            await asyncio.sleep(pause)

    async def load_position(self) -> Offset | None:
        conn = await self._connected()
        await conn.execute(_POSITIONS)
        row = await (await conn.execute("SELECT position FROM pycdc_offsets WHERE name = %s", [self._connector])).fetchone()
        await conn.commit()
        if row is None:
            return None
        position: Offset = orjson.loads(row[0])
        return position

    async def close(self) -> None:
        await self._disconnect()

    # ---- connection

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._conn is None or self._conn.closed:
            self._conn = await connect(self._connection, autocommit=False)
            self._staged.clear()
        return self._conn

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()

    def _forget(self) -> None:
        """A rollback has undone tables, and may have undone columns."""
        self._staged.clear()
        self._targets.clear()
        self._fitted.clear()

    # ---- writing

    async def _transaction(
        self, buffers: dict[Place, Buffer], store: Callable[[psycopg.AsyncConnection], Awaitable[None]], *, in_order: bool
    ) -> None:
        """All tables' changes, reduced by key or (`in_order`) one after another without those that are refused."""
        conn = await self._connected()
        try:
            for place, buffer in buffers.items():
                if in_order:
                    await self._write_in_order(conn, place, buffer)
                else:
                    await self._write(conn, place, buffer)
            await store(conn)
            await conn.commit()
        except BaseException:
            if not conn.closed:
                await conn.rollback()
            self._forget()
            raise
        for (schema, name), buffer in buffers.items():
            buffer.count_into(self.written.setdefault(f"{schema}.{name}", Written()))

    async def _write(self, conn: psycopg.AsyncConnection, place: Place, buffer: Buffer) -> None:
        entries: Sequence[Entry] = list(buffer.rows.values())
        deletes = [e for e in entries if e[0] is None]
        if deletes:
            entries = [e for e in entries if e[0] is not None]
        whole, partial = alike(entries), alike([with_key(e) for e in buffer.partial.values()])
        target = await self._target(conn, place, buffer, {c for part in (*whole, *partial) for c in part.columns})
        if buffer.truncate and self.settings.truncates:
            await conn.execute(statements.truncate(target))
        if not buffer.rows and not buffer.partial:
            return
        key = [target.column(c) for c in self._keys.columns(buffer.changes[-1])] or list(target.primary_key)
        for part in keys_alike(deletes, self._keys.columns(buffer.changes[-1])) if deletes else ():
            stage = await self._stage(conn, target, part)
            await conn.execute(statements.delete(target, stage, key))
        for part in whole:
            stage = await self._stage(conn, target, part)
            columns = [target.column(c) for c in part.columns]
            if self.settings.insert_mode == "update":
                await self._update(conn, target, stage, columns, key)
            else:
                upserts = self.settings.insert_mode == "upsert"
                await conn.execute(statements.insert(target, stage, columns, key, upserts=upserts))
        for part in partial:
            # the other columns stay; a row that is not there yet follows by the snapshot
            stage = await self._stage(conn, target, part)
            await self._update(conn, target, stage, [target.column(c) for c in part.columns], key)

    @staticmethod
    async def _update(conn: psycopg.AsyncConnection, target: Target, stage: sql.Identifier, columns: Sequence[str], key: Sequence[str]) -> None:
        if any(c not in key for c in columns):
            await conn.execute(statements.update(target, stage, columns, key))

    async def _target(self, conn: psycopg.AsyncConnection, place: Place, buffer: Buffer, fields: set[str]) -> Target:
        """The table with columns for `fields`, made or widened when asked for. Raises TargetSchemaError."""
        row = next((c.row_schema for c in reversed(buffer.changes) if c.row_schema is not None), None)
        target = self._targets.get(place)
        if target is not None and self._fitted.get(place) is row and all(target.column(f) in target.types for f in fields):
            return target
        target = target or await ddl.load(conn, *place)
        if target is None and self.settings.creates and row is not None:
            types = await ddl.choose_types(conn, {f.name: f.schema for f in row.fields})
            await conn.execute(ddl.create_statement(*place, row, types, self._keys.columns(buffer.changes[-1]), fold=self._folds))
            target = await ddl.load(conn, *place)
            log.info("table created", table=".".join(place))
        if target is None:
            raise TargetSchemaError(
                f"the target has no table {'.'.join(place)}", where=self._connection.where,
                hint="create it, or set schema.evolution=basic (auto.create=true)",
            )  # fmt: skip
        target = await self._evolved(conn, target, fields, row)
        self._targets[place], self._fitted[place] = target, row
        return target

    @property
    def _folds(self) -> bool:
        return self.settings.naming().fold

    async def _evolved(self, conn: psycopg.AsyncConnection, target: Target, fields: set[str], row: Schema | None) -> Target:
        """The table with the columns that it lacks, and with wider ones where the rows' schema is wider."""
        missing = sorted(f for f in fields if target.column(f) not in target.types)
        schemas = {f: s for f in missing if row is not None and (s := row.field(f)) is not None}
        types = await ddl.choose_types(conn, schemas)
        added = {f.lower() if self._folds else f: types.get(f, "<type>") for f in missing}
        if missing and (not self.settings.evolves or len(types) != len(missing)):
            raise TargetSchemaError(
                f"table {target} lacks {', '.join(missing)}", where=self._connection.where,
                hint=statements.alter(target, added, {}).as_string(),
            )  # fmt: skip
        wider = {}
        if self.settings.evolves and row is not None:
            columns = {target.column(f.name): f.schema for f in row.fields if target.column(f.name) in target.types}
            wider = {c: t for c, s in columns.items() if (t := widened(s, target.types[c], target.typmods[c])) is not None}
        if not added and not wider:
            return target
        await conn.execute(statements.alter(target, added, wider))
        log.info("table altered", table=str(target), added=list(added), widened=list(wider))
        self._staged = {s for s in self._staged if not s.startswith(f"{target}|")}
        loaded = await ddl.load(conn, target.schema, target.name)
        assert loaded is not None
        return loaded

    async def _stage(self, conn: psycopg.AsyncConnection, target: Target, part: Part) -> sql.Identifier:
        """COPY into a temporary table of the target's column types, emptied by the commit."""
        columns = [target.column(c) for c in part.columns]
        tag = f"{target}|{'|'.join(columns)}"
        name = f"pycdc_{abs(hash(tag)):x}"
        stage = sql.Identifier("pg_temp", name)
        if tag not in self._staged:
            await conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(stage))
            await conn.execute(statements.create_stage(target, name, columns))
            self._staged.add(tag)
        else:
            await conn.execute(sql.SQL("TRUNCATE {}").format(stage))

        def write(field: str, values: Sequence[Any], schema: Schema | None) -> Sequence[str]:
            column = target.column(field)
            kind, typmod = target.types[column], target.typmods[column]
            if (local := local_texts(values, schema, kind, self.settings.zone)) is not None:
                return local
            return texts(values, schema, kind, typmod, self._units[str(target), column])

        lines = copy_lines(part, write, {f: target.types[c] for f, c in zip(part.columns, columns, strict=True)}, str(target))
        async with conn.cursor().copy(statements.copy_into(stage, columns)) as copy:
            await copy.write(lines)
        return stage

    # ---- rows at fault

    async def _write_in_order(self, conn: psycopg.AsyncConnection, place: Place, buffer: Buffer) -> None:
        async def write(changes: Sequence[Changes]) -> None:
            part = Buffer()
            for c in changes:
                part.put(c, self._reduced_by(c))
            await conn.execute("SAVEPOINT pycdc")
            try:
                await self._write(conn, place, part)
            except (psycopg.Error, BadRow) as error:
                if conn.closed or (isinstance(error, psycopg.Error) and not is_of_a_row(error)):
                    raise
                await conn.execute("ROLLBACK TO SAVEPOINT pycdc")
                self._forget()
                raise error if isinstance(error, BadRow) else bad_row(error, ".".join(place)) from error
            await conn.execute("RELEASE SAVEPOINT pycdc")

        await write_in_order(buffer.changes, write, self._intake.refuse)


_POSITIONS = "CREATE TABLE IF NOT EXISTS pycdc_offsets (name text PRIMARY KEY, position text NOT NULL)"
_STORE = "INSERT INTO pycdc_offsets VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position"

