"""Chunks of a table in the order of its key, for incremental snapshots, and the watermarks around them.

A chunk is one statement outside any longer transaction: the server takes its locks before its snapshot, so
that a table which was rewritten meanwhile is not seen empty. What the statement saw comes with its rows.
Keys travel as the texts that PostgreSQL prints; as quoted literals they take the column's own type again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import msgspec
import psycopg

from pycdc.postgres.copy import copy_rows
from pycdc.postgres.session import ConnectionSettings, quote_literal, quote_name, translate

Row = list[bytes | None]
KeyTexts = Sequence[str | None]


class KeyColumn(msgspec.Struct, frozen=True):
    """A column of the key that chunks follow."""

    name: str
    nullable: bool


class Chunk(msgspec.Struct):
    """Rows in key order, and, when there are any, the text of txid_current_snapshot() of the statement that read them."""

    rows: list[Row]
    visible: str


async def maximum_key(
    conn: psycopg.AsyncConnection, table: tuple[str, str], keys: Sequence[KeyColumn], condition: str | None,
    settings: ConnectionSettings,
) -> list[str | None] | None:
    """The highest key of the rows that `condition` admits; None when there are none. Raises ServerError."""
    order = ", ".join(f"{quote_name(k.name)} DESC" for k in keys)
    names = ", ".join(quote_name(k.name) for k in keys)
    where = f" WHERE ({condition})" if condition else ""
    rows = await _all(conn, f"SELECT {names} FROM {_quoted(table)}{where} ORDER BY {order} LIMIT 1", settings)
    return None if not rows else [None if t is None else t.decode() for t in rows[0]]


async def read_chunk(
    conn: psycopg.AsyncConnection, table: tuple[str, str], columns: Sequence[str | None], keys: Sequence[KeyColumn], *,
    after: KeyTexts | None, maximum: KeyTexts, condition: str | None, limit: int, settings: ConnectionSettings,
) -> Chunk:  # fmt: skip
    """Up to `limit` rows whose key is above `after` and not above `maximum`. A column None is not read but null.

    Raises ServerError; the connection can be used again.
    """
    wanted = [f"NOT {_above(keys, maximum)}"]
    if after is not None:
        wanted.append(_above(keys, after))
    if condition:
        wanted.append(f"({condition})")
    order = ", ".join(quote_name(k.name) for k in keys)
    shown = ", ".join("NULL" if c is None else quote_name(c) for c in columns)
    rows = await _all(
        conn,
        f"SELECT pg_catalog.txid_current_snapshot(), {shown} FROM {_quoted(table)} "
        f"WHERE {' AND '.join(wanted)} ORDER BY {order} LIMIT {limit}",
        settings,
    )
    return Chunk([row[1:] for row in rows], (rows[0][0] or b"").decode() if rows else "")


async def current_position(conn: psycopg.AsyncConnection, settings: ConnectionSettings) -> int:
    """An LSN that everything committed so far lies before; on a standby, everything replayed."""
    query = (
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
        "ELSE pg_catalog.pg_current_wal_insert_lsn() END - '0/0'::pg_lsn"
    )
    try:
        row: Any = await (await conn.execute(query)).fetchone()
    except psycopg.Error as error:
        raise translate(error, settings, "cannot read the WAL position") from None
    return int(row[0])


async def write_signal(
    conn: psycopg.AsyncConnection, table: tuple[str, str], values: tuple[str, str, str], settings: ConnectionSettings
) -> None:
    """Insert a row (id, type, data) into the signal table. Raises ServerError."""
    statement = f"INSERT INTO {_quoted(table)} VALUES ({', '.join(quote_literal(v) for v in values)})"
    await _change(conn, statement, settings)


async def delete_signal(
    conn: psycopg.AsyncConnection, table: tuple[str, str], id_column: str, identity: str, settings: ConnectionSettings
) -> None:
    """Delete the row of that id from the signal table. Raises ServerError."""
    await _change(conn, f"DELETE FROM {_quoted(table)} WHERE {quote_name(id_column)} = {quote_literal(identity)}", settings)


async def _change(conn: psycopg.AsyncConnection, statement: str, settings: ConnectionSettings) -> None:
    try:
        await conn.execute(statement.encode())
    except psycopg.Error as error:
        raise translate(error, settings, "cannot write to the signal table") from None


async def _all(conn: psycopg.AsyncConnection, query: str, settings: ConnectionSettings) -> list[Row]:
    async with aclosing(copy_rows(conn, query, settings=settings)) as pieces:
        return [row async for rows in pieces for row in rows]


def _quoted(table: tuple[str, str]) -> str:
    return f"{quote_name(table[0])}.{quote_name(table[1])}"


def _above(keys: Sequence[KeyColumn], values: KeyTexts) -> str:
    """The condition that a row's key is above `values`; nulls are last, as ORDER BY has them."""
    if not any(k.nullable for k in keys):
        # a comparison of rows can use the index
        names = ", ".join(quote_name(k.name) for k in keys)
        return f"(ROW({names}) > ROW({', '.join(quote_literal(v or '') for v in values)}))"
    branches = []
    for n, (key, value) in enumerate(zip(keys, values, strict=True)):
        equal = [_equal(k, v) for k, v in zip(keys[:n], values[:n], strict=True)]
        name = quote_name(key.name)
        if value is not None:
            higher = f"({name} > {quote_literal(value)} OR {name} IS NULL)" if key.nullable else f"{name} > {quote_literal(value)}"
            branches.append(" AND ".join([*equal, higher]))
    return f"({' OR '.join(branches) or 'false'})"


def _equal(key: KeyColumn, value: str | None) -> str:
    return f"{quote_name(key.name)} IS NULL" if value is None else f"{quote_name(key.name)} = {quote_literal(value)}"
