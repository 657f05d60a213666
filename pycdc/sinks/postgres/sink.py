"""PostgresSink: buffers per table, one transaction per flush.

Rows go by COPY into a temporary table with the target's own column types, and from there by one statement
into the target: deletes, then upserts, then updates of rows that are known only in part. In `pycdc run` the
position is written in the same transaction. A write that fails is retried when its fault is one of
connection or concurrency; another fault is told with the row it comes from, found by bisection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import orjson
import psycopg
import structlog
from psycopg import sql

from pycdc.config.definition import ConfigDef
from pycdc.errors import BadRow, PycdcError, SinkError, TargetSchemaError
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, SinkContext
from pycdc.postgres.session import ConnectionSettings, connect, translate
from pycdc.sinks.buffer import Buffer, Row
from pycdc.sinks.changes import Change, change_of, where
from pycdc.sinks.postgres import ddl
from pycdc.sinks.postgres.config import ConfluentSinkConfig, DebeziumSinkConfig, JdbcSinkConfig
from pycdc.sinks.postgres.ddl import Target
from pycdc.sinks.postgres.values import Text, decimal_by_scale, writer

log = structlog.get_logger(__name__)

#: Deadlock and serialization failure: the same statements may succeed at once.
_CONCURRENCY = ("40P01", "40001")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


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
        self._names: dict[str, tuple[str, str]] = {}
        self._writers: dict[tuple[int, str, str], tuple[Schema | None, list[Text]]] = {}
        self._staged: set[str] = set()
        self._position_key = ""
        self.buffered = 0
        self.written: dict[str, int] = {}

    # ---- plugins.contracts.Sink

    async def open(self, context: SinkContext) -> None:
        self._position_key = context.connector
        await self._connected()

    def put(self, records: Sequence[Record]) -> int:
        """Rows into buffers. The size is an estimate: what a row's objects take in memory."""
        for record in records:
            change = change_of(record)
            if change is None:
                continue
            if change.values is None and not change.truncate and not self.settings.deletes:
                continue
            place = self._place(change)
            buffer = self._buffers.get(place)
            if buffer is None:
                buffer = self._buffers[place] = Buffer()
            buffer.put(change, self._key_columns(change))
            self.buffered += 1000
        return self.buffered

    async def flush(self, position: Offset | None = None) -> None:
        buffers, self._buffers, self.buffered = self._buffers, {}, 0
        if not buffers and position is None:
            return
        attempt = 0
        while True:
            try:
                await self._transaction(buffers, position)
                return
            except psycopg.Error as error:
                fault = translate(error, self._connection, "a write failed")
                if error.sqlstate not in _CONCURRENCY and not fault.retriable:
                    raise await self._named(error, fault, buffers) from error
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

    # ---- names

    def _place(self, change: Change) -> tuple[str, str]:
        """Schema and name of the target's table."""
        known = self._names.get(change.topic)
        if known is None:
            name = self.settings.table_format.replace("${topic}", change.topic)
            for field in ("db", "schema", "table"):
                name = name.replace("${source." + field + "}", str(change.source.get(field, "")))
            if self.settings.dots_split and "." in name:
                parts = name.split(".")
                known = parts[-2], parts[-1]
            else:
                known = "public", name.replace(".", "_")
            self._names[change.topic] = known
        return known

    def _key_columns(self, change: Change) -> tuple[str, ...]:
        if self.settings.key_mode == "none":
            return ()
        if self.settings.key_fields:
            fields: tuple[str, ...] = self.settings.key_fields
            return fields
        return tuple(change.key) if change.key is not None else ()

    # ---- writing

    async def _transaction(self, buffers: dict[tuple[str, str], Buffer], position: Offset | None) -> None:
        conn = await self._connected()
        try:
            for place, buffer in buffers.items():
                await self._write(conn, place, buffer)
            if position is not None:
                await conn.execute(_STORE, [self._position_key, orjson.dumps(position).decode()])
            await conn.commit()
        except BaseException:
            if not conn.closed:
                await conn.rollback()
            self._staged.clear()
            raise
        for (schema, name), buffer in buffers.items():
            self.written[f"{schema}.{name}"] = self.written.get(f"{schema}.{name}", 0) + len(buffer.rows)

    async def _write(self, conn: psycopg.AsyncConnection, place: tuple[str, str], buffer: Buffer) -> None:
        target = await self._target(conn, place, buffer)
        if buffer.truncate and getattr(self.settings, "truncates", True):
            await conn.execute(sql.SQL("TRUNCATE {}").format(target.identifier))
        rows = list(buffer.rows.values())
        key = self._key_columns(buffer.changes[-1]) or target.primary_key
        deletes = [r for r in rows if r.values is None]
        if deletes:
            await self._delete(conn, target, key, deletes)
        for columns, group in _by_columns(r for r in rows if r.values is not None):
            await self._upsert(conn, target, key, columns, group)

    async def _target(self, conn: psycopg.AsyncConnection, place: tuple[str, str], buffer: Buffer) -> Target:
        """The table, made or widened when asked for. Raises TargetSchemaError."""
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
        needed = {c for r in buffer.rows.values() if r.values is not None for c in r.values}
        missing = needed - target.types.keys()
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

    async def _upsert(
        self, conn: psycopg.AsyncConnection, target: Target, key: Sequence[str], columns: tuple[str, ...], rows: list[Row]
    ) -> None:
        stage = await self._stage(conn, target, columns, self._lines(target, columns, rows, lambda r: r.values or {}))
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        others = [c for c in columns if c not in key]
        if rows[0].partial or self.settings.insert_mode == "update":
            await self._update(conn, target, stage, key, others)
            return
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(target.identifier, names, names, stage)
        if self.settings.insert_mode == "upsert" and key:
            changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(c)) for c in others)
            action = sql.SQL("UPDATE SET {}").format(changes) if others else sql.SQL("NOTHING")
            arbiter = sql.SQL(", ").join(map(sql.Identifier, key))
            statement += sql.SQL(" ON CONFLICT ({}) DO {}").format(arbiter, action)
        await conn.execute(statement)

    async def _update(
        self, conn: psycopg.AsyncConnection, target: Target, stage: sql.Identifier, key: Sequence[str], others: list[str]
    ) -> None:
        """Rows known in part: the other columns stay; a row that is not there yet follows by the snapshot."""
        if not others:
            return
        sets = sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(c)) for c in others)
        same = sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(c)) for c in key)
        await conn.execute(sql.SQL("UPDATE {} AS t SET {} FROM {} AS s WHERE {}").format(target.identifier, sets, stage, same))

    async def _delete(self, conn: psycopg.AsyncConnection, target: Target, key: Sequence[str], rows: list[Row]) -> None:
        if not key or any(r.key is None for r in rows):
            raise BadRow("a delete without key", where=where(rows[0].change.record), hint="give the table a primary key")
        stage = await self._stage(conn, target, tuple(key), self._lines(target, tuple(key), rows, lambda r: r.key or {}, of_key=True))
        same = sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(c)) for c in key)
        await conn.execute(sql.SQL("DELETE FROM {} AS t USING {} AS s WHERE {}").format(target.identifier, stage, same))

    # ---- texts

    def _lines(
        self, target: Target, columns: tuple[str, ...], rows: list[Row], values: Callable[[Row], dict[str, Any]], *, of_key: bool = False
    ) -> bytes:
        """COPY's text format, a column at a time: one writer runs over all rows before the next."""
        schema = rows[0].change.key_schema if of_key else rows[0].change.row_schema
        same = all((r.change.key_schema if of_key else r.change.row_schema) is schema for r in rows)
        texts = []
        for c in columns:
            write = self._writer(target, c, schema.field(c) if schema is not None else None)
            column = [values(r)[c] for r in rows]
            if not same:
                write = self._any_writer(target, c, rows, of_key=of_key)
            try:
                texts.append(_escaped([None if v is None else write(v) for v in column] if None in column else list(map(write, column))))
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise self._unwritable(target, c, rows, column, write, error) from None
        return "".join("\t".join(line) + "\n" for line in zip(*texts, strict=True)).encode()

    def _writer(self, target: Target, column: str, schema: Schema | None) -> Text:
        kind = target.types[column]
        if schema is None and kind == "numeric" and target.typmods[column] >= 4:
            return decimal_by_scale((target.typmods[column] - 4) & 0x7FF)
        return writer(schema, kind)

    def _any_writer(self, target: Target, column: str, rows: list[Row], *, of_key: bool) -> Text:
        """Rows of several schemas in one batch: the value says which writer it takes only with its row."""
        iterator = iter(rows)

        def write(value: Any) -> str:
            for row in iterator:
                if (row.values if not of_key else row.key or {})[column] is not None:  # type: ignore[index]
                    schema = row.change.key_schema if of_key else row.change.row_schema
                    return self._writer(target, column, schema.field(column) if schema is not None else None)(value)
            raise ValueError("more values than rows")

        return write

    def _unwritable(self, target: Target, column: str, rows: list[Row], values: list[Any], write: Text, error: Exception) -> BadRow:
        for row, value in zip(rows, values, strict=True):
            try:
                if value is not None:
                    write(value)
            except (ValueError, TypeError, KeyError, OverflowError):
                return BadRow(
                    f"a value cannot be written to column {column} of {target}", where=where(row.change.record),
                    cause=f"a {type(value).__name__} for type {target.types[column]}: {type(error).__name__}",
                )  # fmt: skip
        return BadRow(f"a value cannot be written to column {column} of {target}", cause=type(error).__name__)

    # ---- the row at fault

    async def _named(self, error: psycopg.Error, fault: PycdcError, buffers: dict[tuple[str, str], Buffer]) -> PycdcError:
        """The row that the server refuses, found by halving the batch in transactions that are rolled back."""
        for place, buffer in buffers.items():
            rows = list(buffer.rows.items())
            if not await self._refused(place, buffer, rows):
                continue
            while len(rows) > 1:
                half = rows[: len(rows) // 2]
                rows = half if await self._refused(place, buffer, half) else rows[len(rows) // 2 :]
            diagnosis = error.diag
            column = f", column {diagnosis.column_name}" if diagnosis.column_name else ""
            return BadRow(
                f"a row cannot be written to {'.'.join(place)}", where=where(rows[0][1].change.record) + column,
                cause=f"{error.sqlstate} {diagnosis.message_primary or ''}".strip(), hint=fault.hint,
            )  # fmt: skip
        return SinkError("a write failed", where=self._connection.where, cause=fault.cause, hint=fault.hint)

    async def _refused(self, place: tuple[str, str], buffer: Buffer, rows: list[tuple[Any, Row]]) -> bool:
        part = Buffer()
        part.rows, part.changes = dict(rows), buffer.changes
        conn = await self._connected()
        try:
            await self._write(conn, place, part)
        except psycopg.Error:
            return True
        finally:
            if not conn.closed:
                await conn.rollback()
            self._staged.clear()
        return False


def _escaped(texts: list[Any]) -> list[str]:
    r"""COPY's escapes and its \N, where a column needs them: one look at all of it, since most need none."""
    nulls = None in texts
    whole = "".join(t for t in texts if t is not None) if nulls else "".join(texts)
    if "\\" in whole or "\t" in whole or "\n" in whole or "\r" in whole:
        return [r"\N" if t is None else t.translate(_ESCAPES) for t in texts]
    return [r"\N" if t is None else t for t in texts] if nulls else texts


_POSITIONS = "CREATE TABLE IF NOT EXISTS pycdc_offsets (name text PRIMARY KEY, position text NOT NULL)"
_STORE = "INSERT INTO pycdc_offsets VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position"


def _by_columns(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, ...], list[Row]]]:
    """Rows of the same columns and kind together; rows are sorted by nothing: the stage has no order."""
    groups: dict[tuple[bool, tuple[str, ...]], list[Row]] = {}
    for row in rows:
        values = dict(row.values or {})
        if row.partial and row.key is not None:
            values |= row.key
            row.values = values
        groups.setdefault((row.partial, tuple(values)), []).append(row)
    return [(columns, group) for (_, columns), group in groups.items()]
