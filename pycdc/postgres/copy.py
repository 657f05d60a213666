"""Rows of a query by COPY ... TO STDOUT, in batches of bounded size, and the transaction they are read in.

The text format (PostgreSQL docs, "COPY", File Formats) prints every value as the stream does, so snapshot
and stream share their readers. A batch is handed out before the next is read: a slow consumer holds back
the server through the socket. Never keeps more than one batch.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Final

import psycopg
from psycopg import pq

from pycdc.errors import ConnectionLost, ProtocolError
from pycdc.postgres.session import ConnectionSettings, quote_literal, translate
from pycdc.postgres.wire import TLS_EXTRA_READS, Wire, translate_result

#: Seconds for the server to notice that the rest of a COPY is not wanted; then the connection is closed.
_CANCEL_LIMIT: Final = 5.0

_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_NULL: Final = b"\\N"


def split_line(line: bytes) -> list[bytes | None]:
    """The values of one line of COPY's text format, without its newline. NULL is None."""
    values: list[bytes | None] = line.split(b"\t")  # type: ignore[assignment]  # it widens: None comes below
    if b"\\" not in line:
        return values
    # Mostly the backslashes are those of NULLs: as many \N values as backslashes means that there is nothing else.
    at = -1
    try:
        for _ in range(line.count(b"\\")):
            at = values.index(_NULL, at + 1)
            values[at] = None
    except ValueError:
        return [_unescaped(value) for value in line.split(b"\t")]
    return values


def _unescaped(value: bytes) -> bytes | None:
    if value == _NULL:
        return None
    return _ESCAPE.sub(_unescape, value) if b"\\" in value else value


def _unescape(found: re.Match[bytes]) -> bytes:
    return _ESCAPED.get(found[1], found[1])


async def copy_rows(
    conn: psycopg.AsyncConnection,
    query: str,
    *,
    batch_rows: int = 2000,
    batch_bytes: int = 1 << 20,
    settings: ConnectionSettings | None = None,
    what: str = "cannot read the rows of a snapshot",
) -> AsyncGenerator[list[list[bytes | None]], None]:
    """Batches of the rows of `query`, at least one row each, closed when either limit is reached.

    `conn` must not be used for anything else until the iterator has ended; close it (`aclose`) to leave
    early, and the connection can be used again. Raises what `translate` gives for a failure of `what`.
    """
    wire = Wire(conn)
    begun = finished = False
    try:
        result = await wire.query(f"COPY ({query}) TO STDOUT".encode())
        begun = True
        if result.status != pq.ExecStatus.COPY_OUT:
            finished = True
            await wire.results()
            raise translate_result(result, settings, what)
        columns = result.nfields
        while not finished:
            batch, finished = await _batch(wire, columns, batch_rows, batch_bytes)
            # before the last rows leave, for nobody may come back for more
            results = await wire.results() if finished else []
            if batch:
                yield batch
            for result in results:
                if result.status == pq.ExecStatus.FATAL_ERROR:
                    raise translate_result(result, settings, what)
    except psycopg.Error as error:
        finished = True  # there is nothing left to cancel
        raise translate(error, settings, what) from None
    finally:
        if not finished:
            await _abandon(conn, wire, begun=begun)


async def _batch(wire: Wire, columns: int, batch_rows: int, batch_bytes: int) -> tuple[list[list[bytes | None]], bool]:
    """The next rows, and whether they are the last."""
    get, consume = wire.pgconn.get_copy_data, wire.pgconn.consume_input
    rows: list[list[bytes | None]] = []
    size = 0
    reads_left = extra_reads = TLS_EXTRA_READS if wire.tls else 0
    # A server that always has more must not keep the rest of the process from running.
    await asyncio.sleep(0)
    while True:
        length, view = get(1)
        if length > 0:
            # The server sends one line per message; without its newline it would be a part of one.
            if view[length - 1] != _NEWLINE:
                raise ProtocolError("a row of COPY does not end in a newline")
            rows.append(split_line(bytes(view)[:-1]) if columns else [])
            size += length
            reads_left = extra_reads
            if size >= batch_bytes or len(rows) >= batch_rows:
                return rows, False
        elif length == 0:
            if reads_left:
                reads_left -= 1
            else:
                await wire.readable()
                reads_left = extra_reads
            consume()
        else:
            return rows, True


_NEWLINE: Final = ord("\n")


async def _abandon(conn: psycopg.AsyncConnection, wire: Wire, *, begun: bool) -> None:
    """Cancel the COPY and read to its end, so that the connection is usable; or close it."""
    try:
        async with asyncio.timeout(_CANCEL_LIMIT):
            await conn.cancel_safe(timeout=_CANCEL_LIMIT)
            if not begun:
                # The server's answer to the command may still be on its way, and be the start of the rows.
                begun = any(r.status == pq.ExecStatus.COPY_OUT for r in await wire.results())
            if begun:
                while not (await _batch(wire, 0, 2000, 1 << 20))[1]:
                    pass
                await wire.results()
    except (TimeoutError, psycopg.Error):
        await conn.close()


async def snapshot_transaction(
    conn: psycopg.AsyncConnection,
    snapshot: str | None,
    isolation: str = "REPEATABLE READ",
    settings: ConnectionSettings | None = None,
) -> None:
    """Begin a read-only transaction on `conn` (in autocommit), at the exported `snapshot` if one is given.

    The exporter must still be idle in its transaction. An imported snapshot is always REPEATABLE READ: the
    walsender that exports it runs so, and SERIALIZABLE could not import from it. The caller ends it.
    """
    level = "REPEATABLE READ" if snapshot is not None else isolation
    try:
        await conn.execute(f"BEGIN ISOLATION LEVEL {level} READ ONLY".encode())
        if snapshot is not None:
            await conn.execute(f"SET TRANSACTION SNAPSHOT {quote_literal(snapshot)}".encode())
    except psycopg.Error as error:
        if not conn.closed:
            await conn.rollback()
        raise translate(error, settings, "cannot begin the snapshot's transaction") from None
    if conn.info.transaction_status != pq.TransactionStatus.INTRANS:
        raise ConnectionLost("the snapshot's transaction did not begin")
