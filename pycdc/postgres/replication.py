"""The replication stream: one walsender connection, read in batches, on asyncio.

Commands (slot, snapshot, system) run through psycopg; once streaming, libpq is driven directly, because at
a hundred thousand messages a second every call counts. The position confirmed to the server is only what
`confirm` was given; status updates go out by a timer of their own, also while nobody reads, so that a
paused reader is not taken for a dead one. Never decodes a message, never reconnects.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Final, Self

import msgspec
import psycopg
from psycopg import pq

from pycdc.errors import ConnectionLost, PycdcError, SlotError
from pycdc.model.lsn import format_lsn, parse_lsn
from pycdc.postgres.pgoutput import EPOCH_US
from pycdc.postgres.session import (
    ConnectionSettings,
    connect_replication,
    explain,
    quote_literal,
    quote_name,
    translate,
)
from pycdc.postgres.wire import TLS_EXTRA_READS, Wire, translate_result

#: First bytes of the payloads that `read` hands out.
XLOGDATA: Final = ord("w")
KEEPALIVE: Final = ord("k")

#: 'k', end of WAL, send time, reply requested. An XLogData payload is never as short: its header has 25.
_KEEPALIVE: Final = struct.Struct("!BQQB")
_KEEPALIVE_SIZE: Final = _KEEPALIVE.size
#: 'r', written, flushed, applied, send time, reply requested.
_STATUS: Final = struct.Struct("!BQQQqB")

#: Seconds between status updates when wal_sender_timeout does not ask for more.
_LONGEST_INTERVAL: Final = 10.0
#: START_REPLICATION answers before it decodes anything; a minute means that the server hangs.
_START_LIMIT: Final = 60.0
#: How long `close` waits for the server's CopyDone. In the middle of a long transaction it comes only behind
#: that transaction; then the connection is simply cut, which frees the slot as well.
_CLOSE_LIMIT: Final = 1.0
#: Seconds to let data gather when the server sends steadily but slower than we read; otherwise every two or
#: three messages would cost a turn of the loop. It follows only upon a batch smaller than _FEW that was given
#: out just now, so that a row after a pause is never delayed.
_GATHER: Final = 0.001
_FEW: Final = 100


class SystemIdentity(msgspec.Struct, frozen=True):
    """`wal_end` is the server's flush position."""

    system_id: str
    timeline: int
    wal_end: int
    dbname: str


class CreatedSlot(msgspec.Struct, frozen=True):
    """`snapshot` lives until the next command on the connection that made the slot, or its end."""

    name: str
    consistent_point: int
    snapshot: str | None


class ReplicationConnection:
    """Commands first, then `start`, `read`, `confirm`, `close`. One reader at a time."""

    def __init__(self, conn: psycopg.AsyncConnection, settings: ConnectionSettings) -> None:
        self._conn = conn
        self._pgconn = conn.pgconn
        self._wire = Wire(conn)
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._what = "the replication connection ended"
        self._streaming = False
        self._floor = 0
        self._timer: asyncio.TimerHandle | None = None
        #: Why nothing more will come; raised once what arrived before it has been read.
        self._failure: PycdcError | None = None
        self._ended = False
        self._end_text = ""
        self._batch: list[bytes] = []
        #: How much of `_batch` lies before a warning that ends the stream.
        self._whole: int | None = None
        self._heard = False
        self._gather = False
        self._given = 0.0
        #: Up to here the server may forget: what `confirm` was given; 0, which the server ignores, before that.
        self.flushed = 0
        #: The highest WAL position seen in the stream.
        self.received = 0
        #: Seconds between status updates.
        self.status_interval = _LONGEST_INTERVAL

    @classmethod
    async def connect(cls, settings: ConnectionSettings) -> Self:
        return cls(await connect_replication(settings), settings)

    @property
    def server_version(self) -> int:
        """As libpq gives it: 150004 is 15.4."""
        return self._pgconn.server_version

    # ---- commands

    async def identify_system(self) -> SystemIdentity:
        """IDENTIFY_SYSTEM, which DESIGN rule 4 wants at every connect."""
        row = await self._command("IDENTIFY_SYSTEM", "cannot identify the server")
        return SystemIdentity(str(row[0]), int(str(row[1])), parse_lsn(str(row[2])), str(row[3]))

    async def create_slot(
        self,
        name: str,
        *,
        temporary: bool = False,
        failover: bool = False,
        export_snapshot: bool = True,
        time_limit: float | None = None,
        observer: psycopg.AsyncConnection | None = None,
    ) -> CreatedSlot:
        """CREATE_REPLICATION_SLOT ... LOGICAL pgoutput.

        The server waits for every transaction that is writing, in any database. After `time_limit` seconds
        creation is cancelled and SlotError (retriable) names those transactions, seen through `observer`, an
        SQL connection. `failover` takes effect from PostgreSQL 17 on and is left out before, as Debezium does.
        """
        command = f"CREATE_REPLICATION_SLOT {quote_name(name)}{' TEMPORARY' if temporary else ''} LOGICAL pgoutput"
        if self.server_version >= 150000:
            options = [f"SNAPSHOT {quote_literal('export' if export_snapshot else 'nothing')}"]
            if failover and not temporary and self.server_version >= 170000:
                options.append("FAILOVER")
            command += f" ({', '.join(options)})"
        else:
            command += " EXPORT_SNAPSHOT" if export_snapshot else " NOEXPORT_SNAPSHOT"
        what = f"cannot create the replication slot {name!r}"
        try:
            # psycopg passes the cancellation on to the server, which drops the half-made slot.
            async with asyncio.timeout(time_limit):
                row = await self._command(command, what)
        except TimeoutError:
            raise await self._creation_blocked(what, time_limit, observer) from None
        return CreatedSlot(str(row[0]), parse_lsn(str(row[1])), None if row[2] is None else str(row[2]))

    async def _creation_blocked(
        self, what: str, time_limit: float | None, observer: psycopg.AsyncConnection | None
    ) -> SlotError:
        blockers: list[str] = []
        if observer is not None:
            try:
                blockers = [str(r[0]) for r in await (await observer.execute(_WRITING_TRANSACTIONS)).fetchall()]
            except psycopg.Error as error:
                blockers = [f"(who, could not be asked: {translate(error, None, '').cause})"]
        seen = "; ".join(blockers) or "see pg_stat_activity (backend_xid IS NOT NULL) and pg_prepared_xacts"
        return SlotError(
            what,
            where=self._settings.where,
            cause=f"after {time_limit:g} s transactions that began before it are still open: {seen}",
            hint="wait for them, or end them: SELECT pg_terminate_backend(PID); ROLLBACK PREPARED 'GID'",
            retriable=True,
        )

    async def _command(self, command: str, what: str) -> tuple[object, ...]:
        try:
            row = await (await self._conn.execute(command.encode())).fetchone()
        except psycopg.Error as error:
            raise translate(error, self._settings, what) from None
        if row is None:
            raise ConnectionLost(what, where=self._settings.where, cause="the server gave no row")
        return row

    # ---- the stream

    async def start(
        self,
        slot: str,
        lsn: int,
        publications: Sequence[str],
        *,
        messages: bool,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """START_REPLICATION at `lsn` (0 = at the slot's own position), protocol version 1.

        `messages` asks for those of pg_logical_emit_message, which servers before 14 cannot send. `extra`
        are further options of pgoutput.
        """
        self.status_interval = await self._interval()
        options = {"proto_version": "1", "publication_names": ",".join(map(quote_name, publications))}
        if messages and self.server_version >= 140000:
            options["messages"] = "true"
        options.update(extra or {})
        shown = ", ".join(f"{quote_name(k)} {quote_literal(v)}" for k, v in options.items())
        command = f"START_REPLICATION SLOT {quote_name(slot)} LOGICAL {format_lsn(lsn)} ({shown})"
        what = f"cannot stream from the replication slot {slot!r}"
        try:
            async with asyncio.timeout(_START_LIMIT):
                result = await self._wire.query(command.encode())
        except TimeoutError:
            raise ConnectionLost(
                what, where=self._settings.where, cause=f"the server did not answer within {_START_LIMIT:g} s"
            ) from None
        except psycopg.Error as error:
            raise translate(error, self._settings, what) from None
        if result.status != pq.ExecStatus.COPY_BOTH:
            await self._wire.results()  # the connection takes another command: a busy slot is tried again
            raise translate_result(result, self._settings, what)
        self._what = f"streaming from the replication slot {slot!r} ended"
        self._conn.add_notice_handler(lambda notice: self._heed(notice, publications))
        self._streaming = True
        self._floor = lsn
        self._tick()

    async def _interval(self) -> float:
        row = await self._command(
            "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'",
            "cannot read wal_sender_timeout",
        )
        milliseconds = int(str(row[0]))
        return min(_LONGEST_INTERVAL, milliseconds / 3000) if milliseconds else _LONGEST_INTERVAL

    async def read(self, limit_bytes: int = 1 << 20, limit_messages: int = 2000) -> list[bytes]:
        """The payloads that have arrived, at least one, in order: XLogData and keepalives with their headers.

        Waits without limit when there are none. Cancelling it loses nothing. Raises ConnectionLost,
        SlotLost or another ServerError once everything that came before it has been read.
        """
        # Zero, too, has a purpose: a reader that always finds data must not keep the process from all else.
        await asyncio.sleep(_GATHER if self._gather and self._loop.time() - self._given < _GATHER else 0)
        while True:
            if self._failure is None and not self._ended:
                batch = self._drain(limit_bytes, limit_messages)
                if batch:
                    self._gather = len(batch) < _FEW
                    self._given = self._loop.time()
                    return batch
            if self._failure is None and self._ended:
                self._failure = await self._reason()
            if self._failure is not None:
                raise self._failure
            await self._wire.readable()

    def _drain(self, limit_bytes: int, limit_messages: int) -> list[bytes]:
        """What libpq holds and the socket has now. Never waits; the end of the stream is noted in `_ended`."""
        get = self._pgconn.get_copy_data
        batch: list[bytes] = []
        self._batch = batch
        size = 0
        reads_left = 0  # how often the socket may still be found without a whole message
        reply = False
        fresh = False
        try:
            while True:
                length, view = get(1)
                if length > 0:
                    batch.append(bytes(view))
                    size += length
                    fresh = False
                    if length == _KEEPALIVE_SIZE and view[17]:
                        reply = True
                    if size >= limit_bytes or len(batch) >= limit_messages:
                        break
                elif length == 0:
                    if not fresh:
                        fresh = True
                        reads_left = TLS_EXTRA_READS if self._wire.tls else 0
                    elif reads_left == 0:
                        break
                    else:
                        reads_left -= 1
                    self._pgconn.consume_input()
                else:
                    self._ended = True
                    break
        except psycopg.Error as error:
            self._ended = True
            self._end_text = str(error)
            # The server's last words lie before the end of the connection: they say why it ended.
            self._drain_rest(batch)
        if self._whole is not None:
            del batch[self._whole :]
        if batch:
            self._heard = True
            self.received = max(self.received, _position(batch[-1]))
            if reply:
                self._send_status()
        return batch

    def _heed(self, notice: psycopg.errors.Diagnostic, publications: Sequence[str]) -> None:
        """From version 18 on the server goes on without a missing publication, with no more than a warning.

        Its changes would be lost and, with the commits that follow, confirmed: what came before the warning is
        handed out, the rest is not, and the stream fails as it does with older servers.
        """
        text = notice.message_primary or ""
        missing = [name for name in publications if name in text]
        if notice.sqlstate == _NOT_IN_STATE and missing and self._failure is None:
            self._whole = len(self._batch)
            self._failure = explain(
                _UNDEFINED_OBJECT, f'publication "{missing[0]}" does not exist', self._settings, self._what
            )

    def _drain_rest(self, batch: list[bytes]) -> None:
        try:
            while (got := self._pgconn.get_copy_data(1))[0] > 0:
                batch.append(bytes(got[1]))
        except psycopg.Error:
            return  # its text is `_end_text` already

    async def _reason(self) -> PycdcError:
        """Why the stream ended: the server's error if it sent one."""
        try:
            async with asyncio.timeout(_CLOSE_LIMIT):
                for result in await self._wire.results():
                    if result.error_field(pq.DiagnosticField.SQLSTATE):
                        return translate_result(result, self._settings, self._what)
        except (TimeoutError, psycopg.Error) as error:
            self._end_text = self._end_text or str(error)
        text = self._end_text or "the server closed the stream"
        return ConnectionLost(self._what, where=self._settings.where, cause=text.strip())

    def confirm(self, lsn: int) -> None:
        """Everything before `lsn` is safe: the server may forget it. Told to it at once; never goes back.

        Nothing below the start of the stream is told. After the connection was lost it is without effect: the
        next one begins at the stored offset.
        """
        # Older servers let a slot go back when a status says so, and would decode removed WAL: hence the floor.
        if lsn > self.flushed and lsn >= self._floor:
            self.flushed = lsn
            if self._streaming:
                self._send_status()

    def ask(self) -> None:
        """Let the server say how far its WAL has come; the answer is a keepalive in the stream."""
        self._send_status(ask=True)

    def _tick(self) -> None:
        """The periodic status update. After silence it asks for an answer, which shows a reader that the
        server lives and how far its WAL has come.
        """
        self._send_status(ask=not self._heard)
        self._heard = False
        now = self._loop.time()  # whole seconds: many connections' updates wake the process together
        self._timer = self._loop.call_at(max(math.floor(now + self.status_interval), now + min(self.status_interval, 0.5)), self._tick)

    def _send_status(self, *, ask: bool = False) -> None:
        if self._ended or self._failure is not None:
            return
        now = int(time.time() * 1_000_000) - EPOCH_US
        # Written is what was received; only flushed moves the slot.
        written = max(self.received, self.flushed)
        status = _STATUS.pack(ord("r"), written, self.flushed, self.flushed, now, ask)
        try:
            self._pgconn.put_copy_data(status)
            self._wire.flush_later()
        except psycopg.Error as error:
            # What has arrived may still be read; the reader meets the end by itself, a waiting one is woken.
            self._end_text = self._end_text or str(error)
            self._wire.wake()

    # ---- the end

    async def close(self) -> None:
        """End the stream politely and close. Safe to call twice. The slot stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if self._streaming and not self._ended and self._failure is None:
                self._streaming = False
                await self._say_goodbye()
        finally:
            self._streaming = False
            self._wire.forget()
            await self._conn.close()

    async def _say_goodbye(self) -> None:
        """CopyDone, which frees the slot before `close` returns rather than some time later."""
        try:
            async with asyncio.timeout(_CLOSE_LIMIT):
                self._send_status()
                self._pgconn.put_copy_end()
                while self._pgconn.flush():
                    await self._wire.writable()
                while self._drain(1 << 20, 2000) or not self._ended:
                    await self._wire.readable()
                await self._reason()
        except (TimeoutError, psycopg.Error):
            return  # it is cut instead

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


_NOT_IN_STATE: Final = "55000"
_UNDEFINED_OBJECT: Final = "42704"

#: What a new slot waits for, the oldest first: transactions with an id of their own. pg_locks shows them to
#: every role, pg_stat_activity only to those that may see others' sessions.
_WRITING_TRANSACTIONS: Final = """
    SELECT who FROM (
        SELECT a.xact_start AS since,
               format('pid %s (%s, %s, since %s)', l.pid, a.usename, coalesce(a.state, 'unknown'),
                      coalesce(a.xact_start::text, 'unknown')) AS who
          FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
           AND l.pid <> pg_backend_pid()
         UNION
        SELECT prepared, format('prepared transaction %s (%s, since %s)', gid, owner, prepared)
          FROM pg_catalog.pg_prepared_xacts) AS writing
     ORDER BY since LIMIT 10"""


def _position(payload: bytes) -> int:
    """The end of WAL that a payload tells."""
    if payload[0] == XLOGDATA:
        return int.from_bytes(payload[9:17], "big")
    return int.from_bytes(payload[1:9], "big")
