"""libpq on the event loop, for the two protocols where psycopg's cursors do not reach.

COPY BOTH is unknown to them, and COPY costs three times as much through them as through libpq itself. A
`Wire` borrows the libpq connection of a psycopg connection that runs nothing else meanwhile. It never blocks
the loop and decides nothing: what the bytes and results mean is its callers'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import pq

from pycdc.errors import PycdcError
from pycdc.postgres.session import ConnectionSettings, explain

#: With TLS a record of up to 16 KiB may lie decrypted inside libpq, which no readiness of the socket tells.
#: libpq keeps 8 KiB free per read, so TLS_EXTRA_READS more reads empty one record; a record that arrives in
#: between and is read in part is found when _TLS_WAIT seconds of silence have passed.
TLS_EXTRA_READS: Final = 2
_TLS_WAIT: Final = 0.25


class Wire:
    """One waiter at a time. Every method may raise psycopg.Error when the connection breaks."""

    def __init__(self, conn: psycopg.AsyncConnection) -> None:
        self.pgconn = conn.pgconn
        self._loop = asyncio.get_running_loop()
        # Kept, because libpq forgets it when the connection breaks, and the loop must be told to forget it too.
        self._socket = conn.pgconn.socket
        self.tls = conn.pgconn.ssl_in_use
        self._waiter: asyncio.Future[None] | None = None

    async def query(self, command: bytes) -> pq.abc.PGresult:
        """Send `command`; its first result."""
        self.pgconn.send_query(command)
        while self.pgconn.flush():
            await self.writable()
        return await self._result() or self._no_result()

    async def results(self) -> list[pq.abc.PGresult]:
        """What is left of the results of the last command, up to one that begins a COPY."""
        left = []
        while (result := await self._result()) is not None:
            left.append(result)
            if result.status in _COPYING:
                break
        return left

    async def _result(self) -> pq.abc.PGresult | None:
        while self.pgconn.is_busy():
            await self.readable()
            self.pgconn.consume_input()
        return self.pgconn.get_result()

    def _no_result(self) -> pq.abc.PGresult:
        raise psycopg.OperationalError("the server gave no result")

    async def readable(self) -> None:
        """Until the socket has bytes, `wake` is called, or, with TLS, a short time has passed."""
        await self._ready(self._loop.add_reader, self._loop.remove_reader, _TLS_WAIT if self.tls else None)

    async def writable(self) -> None:
        await self._ready(self._loop.add_writer, self._loop.remove_writer, None)

    async def _ready(
        self,
        add: Callable[[int, Callable[[], None]], object],
        remove: Callable[[int], object],
        limit: float | None,
    ) -> None:
        if self.pgconn.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError("the connection is lost")  # libpq has closed the socket
        # Watched only while waited for: the socket of a paused reader stays readable and would spin the loop.
        self._waiter = self._loop.create_future()
        timer = None if limit is None else self._loop.call_later(limit, self.wake)
        add(self._socket, self.wake)
        try:
            await self._waiter
        finally:
            remove(self._socket)
            if timer is not None:
                timer.cancel()
            self._waiter = None

    def wake(self) -> None:
        """End the wait under way, if there is one."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def flush_later(self) -> None:
        """Send what libpq holds, now or when the socket takes it; a failure shows in the next read."""
        if self.pgconn.flush():
            self._loop.add_writer(self._socket, self._flush_more)

    def _flush_more(self) -> None:
        try:
            if self.pgconn.flush():
                return
        except psycopg.Error:
            self.wake()
        self._loop.remove_writer(self._socket)

    def forget(self) -> None:
        """Take the socket off the loop, before it is closed."""
        self._loop.remove_writer(self._socket)


def translate_result(result: pq.abc.PGresult, settings: ConnectionSettings | None, what: str) -> PycdcError:
    """As `session.translate`, for a failed result."""

    def field(code: pq.DiagnosticField) -> str:
        return (result.error_field(code) or b"").decode("utf-8", "replace")

    lines = [field(pq.DiagnosticField.MESSAGE_PRIMARY), field(pq.DiagnosticField.MESSAGE_DETAIL)]
    text = "\n".join(line for line in lines if line) or result.get_error_message()
    return explain(field(pq.DiagnosticField.SQLSTATE) or None, text, settings, what)


_COPYING: Final = (pq.ExecStatus.COPY_BOTH, pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT)
