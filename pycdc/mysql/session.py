"""One connection to MySQL or MariaDB, whose blocking calls run in a thread of its own.

The event loop only awaits; an await that is cancelled cuts the connection, because its thread still waits for the server.
Raises PycdcError, which names the cause and what mends it (see `diagnosis`); never shows a password, never retries.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, Self, TypeVar

import msgspec

from pycdc.errors import ConnectionLost, PycdcError
from pycdc.mysql import wire
from pycdc.mysql.diagnosis import translate
from pycdc.mysql.thread import Thread
from pycdc.mysql.wire import Field, Result, Row

T = TypeVar("T")

#: Bytes of a batch of rows.
_BATCH_BYTES: Final = 1 << 20
#: Seconds that the server waits for a reader whose own target is slow, before it takes the connection for dead (60 by itself).
_PATIENCE: Final = 86_400
#: Seconds that a session may do nothing between two statements; the most that every platform takes.
_IDLE: Final = 2_147_483


class Tls(msgspec.Struct, frozen=True):
    """`mode`: disabled, preferred (where the server has it), required, verify-ca, verify-full. Files are PEM."""

    mode: str = "preferred"
    authority: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str | None = None


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom. `variables` are SET for the session; `read_timeout` in seconds, None = as long as it takes."""

    host: str = "localhost"
    port: int = 3306
    user: str = ""
    password: str | None = None
    database: str = ""
    tls: Tls = Tls()
    #: Seconds.
    connect_timeout: int = 10
    read_timeout: int | None = None
    program: str = "pycdc"
    variables: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"ConnectionSettings({self.where})"

    @property
    def where(self) -> str:
        """user@host:port/database, for messages."""
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


class Session:
    """`connect` makes one."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self._thread = Thread("mysql")
        self._connection: Any = None
        self.closed = False

    @classmethod
    async def connect(cls, settings: ConnectionSettings) -> Self:
        """Raises PycdcError."""
        wire.driver()  # says so when there is none, before a thread is made
        session = cls(settings)
        try:
            await session._opened()
            # a server's limits are meant for clients that people wait for
            await session.execute(f"SET SESSION net_write_timeout = {_PATIENCE}, wait_timeout = {_IDLE}")
            for name, value in settings.variables:
                await session.execute(f"SET SESSION {name} = {value}")
        except BaseException:
            await session.close()
            raise
        return session

    async def _opened(self) -> None:
        """The driver's own limit ends with TCP's handshake, behind which a dead server may still be silent."""
        limit = self.settings.connect_timeout
        try:
            async with asyncio.timeout(2 * limit):
                await self._call(self._open, "cannot connect to MySQL")
        except TimeoutError:
            raise ConnectionLost("cannot connect to MySQL", where=self.settings.where, cause=f"the server says nothing, for {2 * limit} s") from None

    def _open(self) -> None:
        s = self.settings
        self._connection = wire.driver().connect(
            host=s.host, port=s.port, user=s.user, password=(s.password or "").encode(), database=s.database or None, charset="utf8mb4",
            use_unicode=False, conv={}, autocommit=True, connect_timeout=s.connect_timeout, read_timeout=s.read_timeout, program_name=s.program,
            ssl=_context(s.tls), ssl_disabled=s.tls.mode == "disabled", defer_connect=True,
        )  # fmt: skip
        self._connection.connect()  # in two steps, so that a cut reaches it meanwhile
        wire.keep_alive(self._connection)

    async def _call(self, act: Callable[[], T], what: str) -> T:
        """`act` in the thread."""
        if self.closed:
            raise translate(wire.driver().err.InterfaceError(0, "the connection is closed"), what, where=self.settings.where, user=self.settings.user)
        try:
            return await self._thread.call(act)
        except asyncio.CancelledError:
            self._cut()
            raise
        except (wire.driver().err.MySQLError, OSError, ssl.SSLError, RuntimeError) as error:
            raise translate(error, what, where=self.settings.where, user=self.settings.user) from None

    def _cut(self) -> None:
        """The thread ends by itself: what it waits for fails."""
        self.closed = True
        if self._connection is not None:
            wire.cut(self._connection)

    async def close(self) -> None:
        """Never raises."""
        if not self.closed:
            self._cut()
        self._thread.end(self._end)

    def _end(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):  # it is gone, whatever it says to that
                self._connection.close()

    # ---- statements

    async def execute(self, statement: str, what: str = "a statement failed") -> list[Row]:
        """All its rows, as texts."""
        return (await self.fetched(statement, what))[1]

    async def fetched(self, statement: str, what: str = "a statement failed") -> tuple[Sequence[Field], list[Row]]:
        """Its columns and all its rows."""

        def run() -> tuple[Sequence[Field], list[Row]]:
            result = Result(self._connection, statement)
            rows: list[Row] = []
            while not result.ended:
                rows += result.read(1000, _BATCH_BYTES)
            return result.fields, rows

        return await self._call(run, what)

    async def rows(self, statement: str, *, batch_rows: int, what: str, change: Callable[[Sequence[Field], list[Row]], None] | None = None) -> AsyncGenerator[list[Row], None]:
        """Batches of its rows, each read when it is asked for. `change` is done to each in the thread.

        Nothing else may run before it has ended. One that is left early cuts the connection: the protocol cannot take back
        what the server is sending.
        """
        result = await self._call(lambda: Result(self._connection, statement), what)

        def read() -> list[Row]:
            rows = result.read(batch_rows, _BATCH_BYTES)
            if change is not None:
                change(result.fields, rows)
            return rows

        try:
            while rows := await self._call(read, what):
                yield rows
        finally:
            if not result.ended:
                self._cut()


def _context(tls: Tls) -> ssl.SSLContext | None:
    """None: as pymysql does it, with TLS where the server has it. Raises PycdcError for files that cannot be read."""
    if tls.mode in ("disabled", "preferred"):
        return None
    try:
        context = ssl.create_default_context(cafile=tls.authority)
        # certificates that MySQL makes for itself are not strictly right
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = tls.mode == "verify-full"
        if tls.mode == "required":
            context.verify_mode = ssl.CERT_NONE
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key, tls.key_password)
    except (OSError, ValueError) as error:
        raise PycdcError("the TLS files of connection.url cannot be read", cause=str(error), hint="they must be PEM files") from None
    return context


_PLAIN: Final = re.compile(r"[A-Za-z_@][\w.@]*")


def quote_name(name: str) -> str:
    """An SQL identifier, always quoted."""
    return "`" + name.replace("`", "``") + "`"


def quote_literal(text: str) -> str:
    """An SQL string that means the same with and without NO_BACKSLASH_ESCAPES: a text with a backslash is written as bytes."""
    if "\\" in text:
        return f"CONVERT(0x{text.encode().hex()} USING utf8mb4)"
    return "'" + text.replace("'", "''") + "'"


def is_plain_name(name: str) -> bool:
    """Of a session variable."""
    return _PLAIN.fullmatch(name) is not None
