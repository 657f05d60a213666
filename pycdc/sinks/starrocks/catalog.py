"""The FE's query port: tables as they are, tables and columns that are made.

Blocking functions, for a thread: pymysql has no other way. Each connects anew: they are rare, and an FE that was
restarted since is then no fault. ALTER is a job that runs on behind its statement: `add_columns` waits for it.

Source: StarRocks' documentation of CREATE TABLE (PRIMARY KEY: key columns first, NOT NULL, not FLOAT, DOUBLE, DECIMAL),
ALTER TABLE, SHOW ALTER TABLE.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

from pycdc.errors import ConnectionLost, PycdcError, SinkError, TargetSchemaError
from pycdc.model.schema import Schema
from pycdc.sinks.starrocks.types import ColumnType, column_type, parse_type, wider_type

log = structlog.get_logger(__name__)

#: Seconds: what a statement may take, and what a schema change is waited for; less than a write may take (30 s).
_STATEMENT: Final = 10
_ALTER_LIMIT: Final = 20.0
ALTER_LOOK_EVERY = 0.2
_DENIED: Final = (1044, 1045, 1142, 1227, 5203)
_NO_DATABASE: Final = (1049,)
_NO_TABLE: Final = (1146, 5502)


class Column(msgspec.Struct, frozen=True):
    """A column of the target. `is_required`: NOT NULL and without default."""

    name: str
    type: ColumnType
    is_nullable: bool
    is_required: bool


class Target(msgspec.Struct, frozen=True):
    """A table of the target; columns by their name in lower case, as StarRocks compares them."""

    name: str
    columns: dict[str, Column]
    #: Names in lower case; empty when it is no PRIMARY KEY table.
    primary_key: tuple[str, ...]

    def column(self, name: str) -> Column | None:
        return self.columns.get(name.lower())


def wider_columns(target: Target, rows: Sequence[Schema]) -> dict[Column, str]:
    """Columns that cannot hold all values of these rows, and types that can. A key's type cannot be changed."""
    found: dict[Column, str] = {}
    for field in (f for row in rows for f in row.fields):
        column = target.column(field.name)
        if column is not None and field.name.lower() not in target.primary_key:
            known = parse_type(found[column]) if column in found else column.type
            kind = wider_type(known, field.schema)
            if kind is not None:
                found[column] = kind
    return found


class Catalog:
    """One database, seen through any of its FEs."""

    def __init__(self, hosts: Sequence[str], port: int, username: str, password: str, database: str, *, connect: float) -> None:
        self._hosts, self._port, self._username, self._password, self._database = hosts, port, username, password, database
        self._connect = connect

    def version(self) -> tuple[int, ...]:
        """StarRocks' version, empty when it does not tell one; also whether database and login are right."""
        with self._connected() as execute:
            text = str(execute("SELECT current_version()")[0][0])
        found = re.match(r"\d+(?:\.\d+)*", text)
        return tuple(map(int, found[0].split("."))) if found else ()

    def describe(self, table: str) -> Target | None:
        """None when there is no such table."""
        with self._connected() as execute:
            return self._describe(execute, table)

    def create(self, table: str, row: Schema, key: Sequence[str], properties: Mapping[str, str], buckets: int | None) -> None:
        """A PRIMARY KEY table for rows of `row`; made already is well."""
        names = [*key, *(f.name for f in row.fields if f.name not in key)]
        lines = []
        for name in names:
            schema = row.field(name)
            if schema is None:
                raise TargetSchemaError(f"table {table} cannot be made", cause=f"the key column {name} is none of the row's")
            # a NOT NULL that the source gives up later would stop the copy: only the key has it
            lines.append(f"{quoted(name)} {column_type(schema, key=name in key)} {'NOT NULL' if name in key else 'NULL'}")
        with self._connected() as execute:
            execute(_create_statement(table, lines, key, properties, buckets))
        log.info("table created", table=table)

    def add_columns(self, table: str, schemas: Mapping[str, Schema]) -> Target:
        """The table with these columns; those that are there already are left alone. Raises TargetSchemaError."""
        return self._altered(table, lambda target: [
            f"ADD COLUMN {quoted(c)} {column_type(s, key=False)} NULL" for c, s in schemas.items() if target.column(c) is None
        ])  # fmt: skip

    def widen_columns(self, table: str, rows: Sequence[Schema]) -> Target:
        """The table with columns that hold values of all these rows. Raises TargetSchemaError."""
        return self._altered(table, lambda target: [
            f"MODIFY COLUMN {quoted(c.name)} {kind} {'NULL' if c.is_nullable else 'NOT NULL'}" for c, kind in wider_columns(target, rows).items()
        ])  # fmt: skip

    def _altered(self, table: str, clauses_of: Callable[[Target], list[str]]) -> Target:
        """Alters until nothing is left to do, waiting for changes that run."""
        began, refused = time.monotonic(), ""
        while True:
            with self._connected() as execute:
                target = self._describe(execute, table)
                if target is None:
                    raise TargetSchemaError(f"StarRocks has no table {table}", cause="it is gone")
                clauses = clauses_of(target)
                if not clauses:
                    return target
                if not self._is_altering(execute, table):
                    statement = f"ALTER TABLE {quoted(table)} {', '.join(clauses)}"
                    try:
                        execute(statement)
                        log.info("table altered", table=table, clauses=clauses)
                    except SinkError as error:  # another member may have been quicker, the next look tells
                        if refused == error.cause:
                            raise TargetSchemaError(f"{table} cannot be altered", cause=refused, hint=statement) from None
                        refused = error.cause
            if time.monotonic() - began > _ALTER_LIMIT:
                raise TargetSchemaError(
                    f"a schema change of {table} takes long", cause=f"it has run for {_ALTER_LIMIT:.0f} s",
                    hint=f"SHOW ALTER TABLE COLUMN WHERE TableName = '{table}'", retriable=True,
                )  # fmt: skip
            time.sleep(ALTER_LOOK_EVERY)

    def truncate(self, table: str) -> None:
        with self._connected() as execute:
            execute(f"TRUNCATE TABLE {quoted(table)}")

    def make_own(self, table: str, columns: Sequence[str], properties: Mapping[str, str]) -> None:
        """A table of pycdc's, whose key is its first column, unless it is there."""
        with self._connected() as execute:
            execute(_create_statement(table, columns, [columns[0].split("`")[1]], properties, 1))

    def select(self, statement: str, *values: str) -> Sequence[Sequence[Any]]:
        with self._connected() as execute:
            return execute(statement, *values)

    # ---- inside one connection

    def _describe(self, execute: Execute, table: str) -> Target | None:
        keys = execute(
            "SELECT COLUMN_NAME, COLUMN_KEY FROM information_schema.columns WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s", self._database, table
        )
        if not keys:
            return None
        columns = {}
        # information_schema shows a BOOLEAN as tinyint; DESC tells the types themselves
        for name, kind, null, _, default, extra, *_ in execute(f"DESC {quoted(table)}"):
            nullable = str(null).upper() == "YES"
            filled = default is not None or bool(extra and "auto_increment" in str(extra).lower())
            columns[name.lower()] = Column(name, parse_type(kind), nullable, not nullable and not filled)
        return Target(table, columns, tuple(name.lower() for name, key in keys if key == "PRI"))

    def _is_altering(self, execute: Execute, table: str) -> bool:
        rows = execute(
            f"SHOW ALTER TABLE COLUMN FROM {quoted(self._database)} WHERE TableName = %s ORDER BY JobId DESC LIMIT 1", table
        )
        # its columns differ between releases, its words for the state do not
        return bool(rows) and not {"FINISHED", "CANCELLED"} & {str(v).upper() for v in rows[0]}

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Execute]:
        """What runs a statement and gives its rows, on a connection of its own. Raises ConnectionLost, SinkError."""
        pymysql = _driver()
        connection = self._open()
        try:
            with connection.cursor() as cursor:
                yield Execute(cursor, f"{connection.host}:{self._port}/{self._database}")
        finally:
            with contextlib.suppress(pymysql.err.Error, OSError):
                connection.close()

    def _open(self) -> Any:
        pymysql = _driver()
        last: Exception | None = None
        for host in self._hosts:
            try:
                return pymysql.connect(
                    host=host, port=self._port, user=self._username, password=self._password, database=self._database, autocommit=True,
                    connect_timeout=max(1, round(self._connect)), read_timeout=_STATEMENT, write_timeout=_STATEMENT, charset="utf8mb4",
                )  # fmt: skip
            except pymysql.err.OperationalError as error:
                last = error
                if error.args and error.args[0] in (*_DENIED, *_NO_DATABASE):
                    break
        assert last is not None
        raise fault_of_sql(last, f"{','.join(self._hosts)}:{self._port}/{self._database}")


class Execute:
    """Runs statements on one connection."""

    def __init__(self, cursor: Any, where: str) -> None:
        self._cursor, self._where = cursor, where

    def __call__(self, statement: str, *values: str) -> Sequence[Sequence[Any]]:
        pymysql = _driver()
        try:
            self._cursor.execute(statement, values or None)
            rows: Sequence[Sequence[Any]] = self._cursor.fetchall()
        except pymysql.err.MySQLError as error:
            raise fault_of_sql(error, self._where) from None
        return rows


def _driver() -> Any:
    """The module pymysql, loaded when it is needed first."""
    import pymysql

    return pymysql


def fault_of_sql(error: Exception, where: str) -> PycdcError:
    """MySQL's error as ours."""
    number, text = (error.args[0], str(error.args[1])) if len(error.args) > 1 else (0, str(error))
    first = text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__
    if number in _DENIED:
        return SinkError(
            "StarRocks denies access", where=where, cause=first,
            hint="check starrocks.username and starrocks.password, and what is granted: SHOW GRANTS",
        )  # fmt: skip
    if number in _NO_DATABASE:
        return TargetSchemaError("StarRocks has no such database", where=where, cause=first, hint="CREATE DATABASE, or look at starrocks.database.name")
    if number in _NO_TABLE:
        return TargetSchemaError("StarRocks has no such table", where=where, cause=first)
    if number == 0 or 2000 <= number < 3000:  # the client's own errors: the connection
        return ConnectionLost(
            "cannot reach StarRocks' query port", where=where, cause=first, hint="check starrocks.query.port (9030) and that the FE runs"
        )
    if "replication num" in first.lower():
        return TargetSchemaError(
            "StarRocks cannot make a table", where=where, cause=first, hint="set table.create.properties.replication_num to the number of BEs"
        )
    return SinkError("StarRocks refuses a statement", where=where, cause=first)


def _create_statement(table: str, lines: Sequence[str], key: Sequence[str], properties: Mapping[str, str], buckets: int | None) -> str:
    keys = ", ".join(map(quoted, key))
    told = ", ".join(f'"{_escaped(k)}" = "{_escaped(v)}"' for k, v in properties.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(lines)}) PRIMARY KEY ({keys}) DISTRIBUTED BY HASH ({keys})"
        + (f" BUCKETS {buckets}" if buckets else "")
        + (f" PROPERTIES ({told})" if told else "")
    )


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
