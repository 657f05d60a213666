"""PostgresSink: buffers per table, one transaction per flush.

Rows go by COPY into a temporary table with the target's own column types, and from there by one statement
into the target: deletes, then upserts, then updates of rows that are known only in part. In `pycdc run` the
position is written in the same transaction. A write that fails is retried when its fault is one of
connection or concurrency; a batch in which a row is at fault is written again in its own order, without that row.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
import psycopg
import structlog
from psycopg import sql

from pycdc.config.definition import ConfigDef
from pycdc.errors import BadRow, SinkError, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, SinkContext, Written
from pycdc.postgres.session import ConnectionSettings, connect, translate
from pycdc.sinks.buffer import Buffer, Entry
from pycdc.sinks.intake import Intake
from pycdc.sinks.isolate import write_in_order
from pycdc.sinks.lines import Part, alike, copy_lines, keys_alike, with_key
from pycdc.sinks.postgres import ddl
from pycdc.sinks.postgres.config import ConfluentSinkConfig, DebeziumSinkConfig, JdbcSinkConfig
from pycdc.sinks.postgres.ddl import Target
from pycdc.sinks.postgres.faults import bad_row, is_of_a_row
from pycdc.sinks.postgres.values import texts

log = structlog.get_logger(__name__)

#: Deadlock and serialization failure: the same statements may succeed at once.
_CONCURRENCY = ("40P01", "40001")


class PostgresSink:
    """plugins.contracts.Sink for PostgreSQL."""

    config: ClassVar[type[ConfigDef]] = DebeziumSinkConfig

    @classmethod
    def config_for(cls, connector_class: str) -> type[ConfigDef]:
        """Each family has its own names and defaults."""
        return ConfluentSinkConfig if connector_class.startswith("io.confluent.") else DebeziumSinkConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, JdbcSinkConfig)
        self.settings = settings
        url = settings.url
        self._connection = ConnectionSettings(
            host=url.host, port=url.port, user=settings.user, password=settings.login_password or url.parameters.get("password"),
            dbname=url.dbname, sslmode=url.parameters.get("sslmode", "prefer"),
        )  # fmt: skip
        self._conn: psycopg.AsyncConnection | None = None
        self._buffers: dict[tuple[str, str], Buffer] = {}
        self._targets: dict[tuple[str, str], Target] = {}
        self._places: dict[str, tuple[str, str]] = {}
        self._staged: set[str] = set()
        self._position_key = ""
        self.written: dict[str, Written] = {}
        self._intake = Intake(self._buffer)
        self.refused = self._intake.refused

    # ---- plugins.contracts.Sink

    async def open(self, context: SinkContext) -> None:
        self._position_key = context.connector
        self._intake.tolerant = context.tolerant
        await self._connected()

    def put(self, records: Sequence[Record]) -> None:
        self._intake.records(records)

    @property
    def takes_changes(self) -> bool:
        return True

    def put_changes(self, changes: Changes) -> None:
        self._intake.changes(changes)

    def _buffer(self, changes: Changes) -> None:
        if not self.settings.deletes and None in changes.rows:
            changes = self._without_deletes(changes)
        place = self._place(changes)
        if place is None or not (len(changes) or changes.truncate):
            return
        if self.settings.key_mode == "record_key" and None in changes.keys:
            index = changes.keys.index(None)
            name = type(self.settings).key_mode.name
            raise BadRow.of(
                changes.record(index), "a record has no key", where=changes.where(index), cause=f"{name} is record_key",
                hint=f"give the table a primary key, or name columns in the source's message.key.columns; or set {name}=none for plain inserts",
            )  # fmt: skip
        buffer = self._buffers.get(place)
        if buffer is None:
            buffer = self._buffers[place] = Buffer()
        buffer.put(changes, self._key_columns(changes))

    async def flush(self, position: Offset | None = None) -> None:
        buffers, self._buffers = self._buffers, {}
        if not buffers and position is None:
            return
        attempt, in_order, told = 0, False, len(self.refused)
        while True:
            try:
                await self._transaction(buffers, position, in_order=in_order)
                return
            except BadRow:
                if in_order:
                    raise
                in_order = True
            except psycopg.Error as error:
                del self.refused[told:]
                if is_of_a_row(error) and not in_order:
                    in_order = True
                    continue
                fault = translate(error, self._connection, "a write failed")
                if error.sqlstate not in _CONCURRENCY and not fault.retriable:
                    raise SinkError("a write failed", where=self._connection.where, cause=fault.cause, hint=fault.hint) from error
                if attempt >= self.settings.max_retries:  # type: ignore[attr-defined]
                    raise fault from error
                pause = min(0.1 * 2**attempt, self.settings.retry_ms / 1000) * random.uniform(0.8, 1.2)  # type: ignore[attr-defined]  # noqa: S311
                attempt += 1
                log.warning("a write failed, trying again", cause=fault.cause, seconds=round(pause, 1))
                await self._disconnect()
                await asyncio.sleep(pause)

    async def load_position(self) -> Offset | None:
        conn = await self._connected()
        await conn.execute(_POSITIONS)
        row = await (await conn.execute("SELECT position FROM pycdc_offsets WHERE name = %s", [self._position_key])).fetchone()
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

    # ---- names

    def _place(self, changes: Changes) -> tuple[str, str] | None:
        """Schema and name of the target's table; None for tombstones of a topic whose table no event has named yet:
        the delete before them has been written.
        """
        named = self.settings.table_format
        if "${source." in named and not changes.source:
            known = self._places.get(changes.topic)
            if known is None and any(r is not None for r in changes.rows):
                raise BadRow.of(
                    changes.record(0), "a record does not name its table", where=changes.where(0), cause=f"it has no source block for {named}",
                    hint=f"set {type(self.settings).table_format.name} to ${{topic}} or to the table's name",
                )  # fmt: skip
            return known
        name = named.replace("${topic}", changes.topic)
        for field in ("db", "schema", "table"):
            name = name.replace("${source." + field + "}", str(changes.source.get(field, "")))
        if self.settings.dots_split and "." in name:
            place = tuple(name.split("."))[-2:]
        else:
            place = ("public", name.replace(".", "_"))
        self._places[changes.topic] = place
        return place

    def _without_deletes(self, changes: Changes) -> Changes:
        """delete.enabled=false: Debezium's sink passes deletes over, Confluent's takes them for a mistake."""
        if self.settings.refuses_deletes:
            index = changes.rows.index(None)
            raise BadRow.of(
                changes.record(index), "a record is a delete", where=changes.where(index), cause="delete.enabled is false",
                hint="set delete.enabled=true with pk.mode=record_key, or drop tombstones by a transform",
            )  # fmt: skip
        kept = [i for i, row in enumerate(changes.rows) if row is not None]
        return changes.pick(kept)

    def _key_columns(self, changes: Changes) -> tuple[str, ...]:
        if self.settings.key_mode == "none":
            return ()
        if self.settings.key_fields:
            fields: tuple[str, ...] = self.settings.key_fields
            return fields
        if changes.key_schema is not None:
            return tuple(f.name for f in changes.key_schema.fields)
        first = changes.keys[0] if changes.keys else None
        return tuple(first) if first is not None else ()

    # ---- writing

    async def _transaction(self, buffers: dict[tuple[str, str], Buffer], position: Offset | None, *, in_order: bool) -> None:
        """All tables' changes, reduced by key or (`in_order`) one after another without those that are refused."""
        conn = await self._connected()
        try:
            for place, buffer in buffers.items():
                if in_order:
                    await self._write_in_order(conn, place, buffer)
                else:
                    await self._write(conn, place, buffer)
            if position is not None:
                await conn.execute(_STORE, [self._position_key, orjson.dumps(position).decode()])
            await conn.commit()
        except BaseException:
            if not conn.closed:
                await conn.rollback()
            self._forget()
            raise
        for (schema, name), buffer in buffers.items():
            written = self.written.setdefault(f"{schema}.{name}", Written())
            deletes = sum(1 for e in buffer.rows.values() if e[0] is None)
            written.deletes += deletes
            written.upserts += len(buffer.rows) + len(buffer.partial) - deletes

    async def _write(self, conn: psycopg.AsyncConnection, place: tuple[str, str], buffer: Buffer) -> None:
        entries: Sequence[Entry] = list(buffer.rows.values())
        deletes = [e for e in entries if e[0] is None]
        if deletes:
            entries = [e for e in entries if e[0] is not None]
        whole, partial = alike(entries), alike([with_key(e) for e in buffer.partial.values()])
        target = await self._target(conn, place, buffer, {c for part in (*whole, *partial) for c in part.columns})
        if buffer.truncate and getattr(self.settings, "truncates", True):
            await conn.execute(sql.SQL("TRUNCATE {}").format(target.identifier))
        if not buffer.rows and not buffer.partial:
            return
        key = self._key_columns(buffer.changes[-1]) or target.primary_key
        if deletes and self.settings.deletes:
            await self._delete(conn, target, key, deletes)
        for part in whole:
            await self._upsert(conn, target, key, part)
        for part in partial:
            await self._update(conn, target, key, part)

    async def _target(self, conn: psycopg.AsyncConnection, place: tuple[str, str], buffer: Buffer, columns: set[str]) -> Target:
        """The table with `columns`, made or widened when asked for. Raises TargetSchemaError."""
        target = self._targets.get(place) or await ddl.load(conn, *place)
        row_schema = next((c.row_schema for c in reversed(buffer.changes) if c.row_schema is not None), None)
        if target is None and self.settings.creates and row_schema is not None:
            key = self._key_columns(buffer.changes[-1])
            await conn.execute(ddl.create_statement(*place, row_schema, key))
            target = await ddl.load(conn, *place)
            log.info("table created", table=".".join(place))
        if target is None:
            raise TargetSchemaError(
                f"the target has no table {'.'.join(place)}", where=self._connection.where,
                hint="create it, or set schema.evolution=basic (auto.create=true)",
            )  # fmt: skip
        missing = columns - target.types.keys()
        if missing:
            target = await self._add_columns(conn, target, missing, row_schema)
        self._targets[place] = target
        return target

    async def _add_columns(self, conn: psycopg.AsyncConnection, target: Target, missing: set[str], row: Schema | None) -> Target:
        types = {c: ddl.column_type(s) for c in sorted(missing) if row is not None and (s := row.field(c)) is not None}
        statement = f'ALTER TABLE "{target.schema}"."{target.name}" ' + ", ".join(
            f'ADD COLUMN "{c}" {types.get(c, "<type>")}' for c in sorted(missing)
        )
        if not self.settings.creates or len(types) != len(missing):
            raise TargetSchemaError(
                f"table {target} lacks {', '.join(sorted(missing))}", where=self._connection.where, hint=statement
            )
        await conn.execute(statement.encode())
        self._staged = {s for s in self._staged if not s.startswith(f"{target}|")}
        loaded = await ddl.load(conn, target.schema, target.name)
        assert loaded is not None
        return loaded

    async def _stage(self, conn: psycopg.AsyncConnection, target: Target, columns: Sequence[str], lines: bytes) -> sql.Identifier:
        """COPY into a temporary table of the target's column types, emptied by the commit."""
        tag = f"{target}|{'|'.join(columns)}"
        name = sql.Identifier("pg_temp", f"pycdc_{abs(hash(tag)):x}")
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        if tag not in self._staged:
            await conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
            await conn.execute(
                sql.SQL("CREATE TEMP TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WHERE false").format(
                    sql.Identifier(name._obj[1]), names, target.identifier
                )
            )
            self._staged.add(tag)
        else:
            await conn.execute(sql.SQL("TRUNCATE {}").format(name))
        async with conn.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, names)) as copy:
            await copy.write(lines)
        return name

    async def _upsert(self, conn: psycopg.AsyncConnection, target: Target, key: Sequence[str], part: Part) -> None:
        if self.settings.insert_mode == "update":
            await self._update(conn, target, key, part)
            return
        stage = await self._stage(conn, target, part.columns, self._lines(target, part))
        names = sql.SQL(", ").join(map(sql.Identifier, part.columns))
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(target.identifier, names, names, stage)
        if self.settings.insert_mode == "upsert" and key:
            others = [c for c in part.columns if c not in key]
            changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(c)) for c in others)
            action = sql.SQL("UPDATE SET {}").format(changes) if others else sql.SQL("NOTHING")
            arbiter = sql.SQL(", ").join(map(sql.Identifier, key))
            statement += sql.SQL(" ON CONFLICT ({}) DO {}").format(arbiter, action)
        await conn.execute(statement)

    async def _update(self, conn: psycopg.AsyncConnection, target: Target, key: Sequence[str], part: Part) -> None:
        """Rows known in part: the other columns stay; a row that is not there yet follows by the snapshot."""
        others = [c for c in part.columns if c not in key]
        if not others:
            return
        stage = await self._stage(conn, target, part.columns, self._lines(target, part))
        sets = sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(c)) for c in others)
        same = sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(c)) for c in key)
        await conn.execute(sql.SQL("UPDATE {} AS t SET {} FROM {} AS s WHERE {}").format(target.identifier, sets, stage, same))

    async def _delete(self, conn: psycopg.AsyncConnection, target: Target, key: Sequence[str], entries: list[Entry]) -> None:
        for part in keys_alike(entries, tuple(key)):
            stage = await self._stage(conn, target, part.columns, self._lines(target, part))
            equal = sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(c)) for c in key)
            await conn.execute(sql.SQL("DELETE FROM {} AS t USING {} AS s WHERE {}").format(target.identifier, stage, equal))

    def _lines(self, target: Target, part: Part) -> bytes:
        def write(name: str, values: Sequence[Any], schema: Schema | None) -> Sequence[str]:
            return texts(values, schema, target.types[name], target.typmods[name])

        return copy_lines(part, write, target.types, str(target))

    # ---- rows at fault

    async def _write_in_order(self, conn: psycopg.AsyncConnection, place: tuple[str, str], buffer: Buffer) -> None:
        async def write(changes: Sequence[Changes]) -> None:
            part = Buffer()
            for c in changes:
                part.put(c, self._key_columns(c))
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

