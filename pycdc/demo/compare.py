"""Row by row: both sides printed as the same canonical texts, then a checksum of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import psycopg

#: Texts that mean the same in PostgreSQL and ClickHouse.
COLUMNS = {
    "customers": ("id", "name", "email", "balance", "since", "active"),
    "orders": ("id", "customer", "amount", "note", "placed", "paid"),
}
_POSTGRES = {
    "active": "active::int::text",
    "placed": "trunc(extract(epoch FROM placed) * 1000000)::bigint::text",
    "paid": "trunc(extract(epoch FROM paid) * 1000000)::bigint::text",
}
_CLICKHOUSE = {
    "active": "toString(toInt8(active))",
    "placed": "toString(toUnixTimestamp64Micro(placed))",
    "paid": "toString(toUnixTimestamp64Micro(paid))",
    "balance": "toString(toDecimalString(balance, 2))",
    "amount": "toString(toDecimalString(amount, 2))",
}


class Digest(NamedTuple):
    rows: int
    checksum: str


def of_postgres(dsn: str, table: str) -> Digest:
    """Every column of every row, in the order of the key."""
    columns = ", ".join(_POSTGRES.get(c, f"{c}::text") for c in COLUMNS[table])
    with psycopg.connect(dsn) as conn, conn.cursor(name="compare") as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} ORDER BY {table}.id".encode())
        return _digest(cursor)


def of_clickhouse(path: str, table: str) -> Digest:
    """The same of the embedded ClickHouse under `path`; nobody else may have it open."""
    import clickhouse_connect

    client = clickhouse_connect.get_client(dsn=f"chdb://{path}")
    try:
        columns = ", ".join(_CLICKHOUSE.get(c, f"toString({c})") for c in COLUMNS[table])
        return _digest(client.query(f"SELECT {columns} FROM {table} FINAL ORDER BY id").result_rows)
    finally:
        client.close()


def _digest(rows: Iterable[tuple[object, ...]]) -> Digest:
    state, count = hashlib.sha256(), 0
    for row in rows:
        state.update(repr(tuple(row)).encode())
        count += 1
    return Digest(count, state.hexdigest()[:16])
