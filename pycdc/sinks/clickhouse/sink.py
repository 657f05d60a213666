"""ClickHouseSink: rows into ReplacingMergeTree(_version, _is_deleted), a block per table and flush.

The newest version of a key wins when ClickHouse merges (read with FINAL). Versions strictly grow: with Kafka
they are the record's offset, without a broker a counter that begins above the table's newest version. A
delete is a row with the key, `_is_deleted` 1. An update that does not know all columns is refused: a
replacing table has no way to keep the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
import structlog

from pycdc.config.definition import ConfigDef, Property, boolean, integer, parsed, password, text
from pycdc.errors import BadRow, ConnectionLost, SinkError, TargetSchemaError
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset, SinkContext
from pycdc.sinks.buffer import Buffer, Row
from pycdc.sinks.changes import Change, change_of, where
from pycdc.sinks.clickhouse.types import column_type, converter, zero

log = structlog.get_logger(__name__)

VERSION, DELETED = "_version", "_is_deleted"
_LATER = "it is not available in this release"


def _table_map(value: str) -> dict[str, str]:
    pairs = [p.split("=", 1) for p in value.split(",") if p.strip()]
    if any(len(p) != 2 for p in pairs):
        raise ValueError("must be topic=table,topic=table")
    return {t.strip(): n.strip() for t, n in pairs}


class ClickHouseSinkConfig(ConfigDef):
    """com.clickhouse.kafka.connect.ClickHouseSinkConnector."""

    dsn = Property[str | None]("clickhouse.dsn", text(), doc="chdb:///PATH for the embedded engine, in place of hostname.")
    hostname = Property[str]("hostname", text(), default="localhost", importance="HIGH", doc="HTTP host.")
    port = Property[int]("port", integer(1, 65535), default=8443, doc="HTTP port.")
    ssl = Property[bool]("ssl", boolean(), default=False, doc="TLS.")
    database = Property[str]("database", text(), default="default", doc="Database.")
    username = Property[str]("username", text(), default="default", doc="User.")
    login_password = Property[str]("password", password(), default="", doc="Password.")
    table_map = Property[dict[str, str]]("topic2TableMap", parsed("STRING", _table_map), default={}, doc="topic=table,...")
    creates = Property[bool]("auto.create", boolean(), default=False, doc="Create missing tables.")
    exactly_once = Property[bool]("exactlyOnce", boolean(), default=False, ignored=_LATER, doc="Exactly-once inserts.")


class ClickHouseSink:
    """plugins.contracts.Sink for ClickHouse."""

    config: ClassVar[type[ConfigDef]] = ClickHouseSinkConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, ClickHouseSinkConfig)
        self.settings = settings
        self._client: Any = None
        self._buffers: dict[str, Buffer] = {}
        self._columns: dict[str, set[str]] = {}
        self._schemas: dict[str, Schema] = {}
        self._counter = 0
        self._name = ""
        self.buffered = 0
        self.written: dict[str, int] = {}

    # ---- plugins.contracts.Sink

    async def open(self, context: SinkContext) -> None:
        self._name = context.connector
        self._client = await self._call(self._connect)

    def put(self, records: Sequence[Record]) -> int:
        for record in records:
            change = change_of(record)
            if change is None:
                continue
            if change.partial:
                raise BadRow(
                    "an update does not carry all columns", where=where(record), cause="an unchanged TOAST value is not in the WAL",
                    hint=f"ALTER TABLE {change.source.get('schema', '?')}.{change.source.get('table', '?')} REPLICA IDENTITY FULL",
                )  # fmt: skip
            table = self._table(change)
            if change.row_schema is not None:
                self._schemas[table] = change.row_schema
            self._buffers.setdefault(table, Buffer()).put(change, tuple(change.key or ()))
            self.buffered += 1000
        return self.buffered

    async def flush(self, position: Offset | None = None) -> None:
        buffers, self._buffers, self.buffered = self._buffers, {}, 0
        for table, buffer in buffers.items():
            await self._call(self._write, table, buffer)
            self.written[table] = self.written.get(table, 0) + len(buffer.rows)
        if position is not None:
            await self._call(self._store, position)

    async def load_position(self) -> Offset | None:
        return await self._call(self._load)  # type: ignore[no-any-return]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await self._call(client.close)

    # ---- in a thread: clickhouse-connect and chDB block

    async def _call(self, function: Any, *arguments: Any) -> Any:
        """A call that has begun is waited for also when we are cancelled: half a write must not meet another."""
        call = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait([call])
            raise

    def _connect(self) -> Any:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import Error

        s = self.settings
        try:
            if s.dsn:
                return clickhouse_connect.get_client(dsn=s.dsn)
            return clickhouse_connect.get_client(
                host=s.hostname, port=s.port, username=s.username, password=s.login_password, database=s.database, secure=s.ssl
            )
        except (Error, OSError) as error:
            raise ConnectionLost(
                "cannot reach ClickHouse", where=s.dsn or f"{s.username}@{s.hostname}:{s.port}/{s.database}",
                cause=str(error).splitlines()[0], hint="check hostname, port (8123, or 8443 with ssl=true), username and password",
            ) from None  # fmt: skip

    def _table(self, change: Change) -> str:
        known = self.settings.table_map.get(change.topic)
        return known or str(change.source.get("table") or change.topic.rsplit(".", 1)[-1])

    def _write(self, table: str, buffer: Buffer) -> None:
        schema = self._schemas.get(table)
        rows = list(buffer.rows.values())
        columns = self._ensure(table, schema, rows)
        if buffer.truncate:
            self._client.command(f"TRUNCATE TABLE {_quoted(table)}")
        if not rows:
            return
        if schema is not None:
            names = [f.name for f in schema.fields]
        else:
            names = sorted({c for r in rows for c in (r.values or r.key or {})})
        missing = set(names) - columns
        if missing:
            listed = ", ".join(f"ADD COLUMN {_quoted(c)} <type>" for c in sorted(missing))
            raise TargetSchemaError(f"table {table} lacks {', '.join(sorted(missing))}", hint=f"ALTER TABLE {_quoted(table)} {listed}")
        block = [self._column(rows, name, schema) for name in names]
        block.append([self._version(r) for r in rows])
        block.append([int(r.values is None) for r in rows])
        self._insert(table, block, [*names, VERSION, DELETED], rows)

    def _column(self, rows: list[Row], name: str, schema: Schema | None) -> list[Any]:
        field = schema.field(name) if schema is not None else None
        convert, empty = converter(field), zero(field)
        out = []
        for row in rows:
            value = (row.values if row.values is not None else row.key or {}).get(name)
            if value is None:
                out.append(empty if row.values is None else None)
                continue
            try:
                out.append(value if convert is None else convert(value))
            except (ValueError, OverflowError, TypeError) as error:
                raise BadRow(
                    f"a value cannot be written to column {name}", where=where(row.change.record),
                    cause=f"a {type(value).__name__}: {type(error).__name__}",
                ) from None  # fmt: skip
        return out

    def _version(self, row: Row) -> int:
        offset = row.change.record.offset
        if offset >= 0:
            return offset + 1
        self._counter += 1
        return self._counter

    def _insert(self, table: str, block: list[list[Any]], names: list[str], rows: list[Row]) -> None:
        from clickhouse_connect.driver.exceptions import DataError, Error

        try:
            self._client.insert(table, block, column_names=names, column_oriented=True, settings={"async_insert": 0})
        except DataError as error:
            raise BadRow(f"rows cannot be written to {table}", where=where(rows[0].change.record), cause=str(error).splitlines()[0][:200]) from None
        except Error as error:
            raise SinkError(f"ClickHouse refuses a write to {table}", cause=str(error).splitlines()[0][:300]) from None

    # ---- tables

    def _ensure(self, table: str, schema: Schema | None, rows: list[Row]) -> set[str]:
        """Columns of the table, made when asked for."""
        known = self._columns.get(table)
        if known is not None:
            return known
        found = self._describe(table)
        if not found and self.settings.creates and schema is not None and rows:
            self._create(table, schema, tuple(rows[-1].key or ()))
            found = self._describe(table)
        if not found:
            raise TargetSchemaError(f"ClickHouse has no table {table}", hint="create it, or set auto.create=true")
        for needed in (VERSION, DELETED):
            if needed not in found:
                raise TargetSchemaError(
                    f"table {table} has no column {needed}", hint=f"ENGINE = ReplacingMergeTree({VERSION}, {DELETED}), both columns present"
                )
        newest = self._client.query(f"SELECT max({VERSION}) FROM {_quoted(table)}").result_rows
        self._counter = max(self._counter, int(newest[0][0] or 0) if newest else 0)
        self._columns[table] = found
        return found

    def _describe(self, table: str) -> set[str]:
        result = self._client.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}", parameters={"t": table}
        )
        return {row[0] for row in result.result_rows}

    def _create(self, table: str, schema: Schema, key: tuple[str, ...]) -> None:
        columns = [f"{_quoted(f.name)} {column_type(f.schema, key=f.name in key)}" for f in schema.fields]
        order = ", ".join(map(_quoted, key))
        engine = f"ReplacingMergeTree({VERSION}, {DELETED}) ORDER BY ({order})" if key else "MergeTree ORDER BY tuple()"
        self._client.command(
            f"CREATE TABLE IF NOT EXISTS {_quoted(table)} ({', '.join(columns)}, {VERSION} UInt64, {DELETED} UInt8) ENGINE = {engine}"
        )
        log.info("table created", table=table)

    # ---- positions

    def _load(self) -> Offset | None:
        self._client.command(
            "CREATE TABLE IF NOT EXISTS pycdc_offsets (name String, position String, n UInt64) ENGINE = ReplacingMergeTree(n) ORDER BY name"
        )
        rows = self._client.query(
            "SELECT position, n FROM pycdc_offsets WHERE name = {n:String} ORDER BY n DESC LIMIT 1", parameters={"n": self._name}
        ).result_rows
        if not rows:
            return None
        self._stored = int(rows[0][1])
        position: Offset = orjson.loads(rows[0][0])
        return position

    _stored = 0

    def _store(self, position: Offset) -> None:
        self._stored += 1
        self._client.insert("pycdc_offsets", [[self._name, orjson.dumps(position).decode(), self._stored]], column_names=["name", "position", "n"])


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
