"""Who is at work and since when: statements that run, and transactions of InnoDB, which may still write older timestamps.

Statements are looked at before transactions: one that ends between the two has left either its transaction, or its rows for the
snapshot. INNODB_TRX is a copy that the server makes at most every 0.1 s and never while others read theirs more often, so
the look finds itself in it, by a word in its own statement.

Source: MySQL Reference Manual, "InnoDB INFORMATION_SCHEMA Transaction and Locking Information", "Persistence and Consistency of
InnoDB Transaction and Locking Information"; "The INFORMATION_SCHEMA PROCESSLIST Table".
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from pycdc.errors import ServerError
from pycdc.mysql.diagnosis import NoRight
from pycdc.mysql.session import Session
from pycdc.sources.jdbc.clock import Now
from pycdc.sources.jdbc.dialect import Row
from pycdc.sources.jdbc.times import WallClock, wall_us

_SECOND: Final = 1_000_000
#: Seconds that the server's copy lives, and a little.
_COPY: Final = 0.11
#: So often a look is tried that finds no fresh copy.
_TRIES: Final = 10
#: Commands of threads that run no client's statement.
_IDLE: Final = "'Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID'"
#: And of those that apply a primary's.
_APPLIERS: Final = "'Connect', 'Slave_IO', 'Slave_SQL', 'Slave_worker', 'Query'"

_REPLICA: Final = (
    "this is a replica: rows come with the timestamps of the primary, whose transactions cannot be seen, so late ones are lost",
    "read from the primary, or set timestamp.delay.interval.ms to more than the replica may lag behind",
)


class _Transaction(NamedTuple):
    thread: int
    #: Seconds.
    age: int
    has_written: bool
    #: And can do nothing else: begun as READ ONLY, or a SELECT by itself.
    reads_only: bool


class Clock:
    """Of one session. `wall`: the zone that its clock is taken for; None: it is set to UTC."""

    def __init__(self, session: Session, wall: WallClock | None) -> None:
        self._session = session
        self._wall = wall
        self._words = itertools.count(1)
        self._now: Now | None = None
        self._looked_at = float("-inf")
        #: The moment of the last look that knew who was at work.
        self._knew_us = 0

    async def now(self) -> Now:
        """Raises PycdcError. One that is as old as the server's copy is given again: it is true for whoever reads later."""
        if self._now is None or time.monotonic() - self._looked_at > _COPY:
            self._looked_at = time.monotonic()
            self._now = await self._look()
        return self._now

    async def _look(self) -> Now:
        rows = await self._session.execute(_RUNNING)
        now_us = self._moment(rows[0][0] or b"")
        running = {int(row[1] or 0): int(row[2] or 0) + 1 for row in rows if row[1] is not None}
        notes = (_REPLICA,) if rows[0][3] != b"0" else ()
        try:
            transactions = await self._transactions()
        except NoRight:
            blind = (
                "other clients' transactions cannot be seen, so rows do not wait for them: those committed late are lost",
                f"GRANT PROCESS ON *.* TO '{self._session.settings.user}'@'%'",
            )
            return Now(now_us, None, None, (blind, *notes))
        if transactions is None:
            crowded = ("others read INNODB_TRX all the time, so that no news of it can be had: rows wait", "let them ask less than ten times a second")
            return Now(now_us, self._knew_us, None, (crowded, *notes))
        self._knew_us = now_us
        # ages are whole seconds, rounded down: one more is the earliest that it can have been
        may_write = [t for t in transactions if not t.reads_only]
        readers = {t.thread for t in transactions if t.reads_only}
        writers = [max(t.age + 1, running.get(t.thread, 0)) for t in may_write if t.has_written]
        everybody = [*(t.age + 1 for t in may_write), *(age for thread, age in running.items() if thread not in readers)]
        return Now(
            now_us, now_us - max(writers) * _SECOND if writers else None, now_us - max(everybody) * _SECOND if everybody else None, notes
        )  # fmt: skip

    def _moment(self, text: bytes) -> int:
        wall = wall_us(text)
        return wall if self._wall is None else wall - self._wall.offset(wall)

    async def _transactions(self) -> list[_Transaction] | None:
        """Those of others. None: there is no fresh copy. Raises NoRight."""
        # a transaction of our own, so that we are in it too
        await self._session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        try:
            for attempt in range(_TRIES):
                if attempt:
                    # ever longer and never in step with other readers, or each would keep the others from a fresh copy
                    await asyncio.sleep(_COPY * random.uniform(1, 2 + attempt))  # noqa: S311
                word = f"pycdc look {next(self._words)}"
                rows = await self._session.execute(f"/* {word} */ {_TRANSACTIONS}")
                if _is_fresh(rows, word):
                    return [_transaction(r) for r in rows if r[3] == b"0"]
        finally:
            if not self._session.closed:
                await self._session.execute("ROLLBACK")
        if not any(r[3] == b"1" for r in rows) and not await self._may_look():
            raise NoRight("the transactions cannot be seen")
        return None

    async def _may_look(self) -> bool:
        """MariaDB gives no rows, and no error, to who may not."""
        return any(b"PROCESS" in (row[0] or b"") or b"ALL PRIVILEGES ON *.*" in (row[0] or b"") for row in await self._session.execute("SHOW GRANTS"))


def _transaction(row: Row) -> _Transaction:
    thread, age, written, _, _, reads_only = row
    if age is None:
        raise ServerError(
            "the server does not tell since when a transaction is at work", cause="it cannot convert the session's time zone",
            hint="load its time zones: mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql, or mysql_tzinfo_to_sql",
        )  # fmt: skip
    return _Transaction(int(thread or 0), max(0, int(age)), written != b"0", reads_only == b"1")


def _is_fresh(rows: Sequence[Row], word: str) -> bool:
    return any(row[3] == b"1" and f"/* {word} */".encode() in (row[4] or b"") for row in rows)


# NOW() is the statement's beginning: earlier than the look at the others
_RUNNING: Final = f"""
    SELECT NOW(6), p.id, p.time, (SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'system user' AND command IN ({_APPLIERS}))
      FROM (SELECT 1) AS one LEFT JOIN information_schema.processlist p
        ON p.id <> CONNECTION_ID() AND p.command NOT IN ({_IDLE}) AND p.user <> 'system user'"""

# trx_started is shown in the zone of the server's system, whatever the session's
_TRANSACTIONS: Final = """
    SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, CONVERT_TZ(NOW(), @@session.time_zone, 'SYSTEM')),
           trx_rows_modified, trx_mysql_thread_id = CONNECTION_ID(), IF(trx_mysql_thread_id = CONNECTION_ID(), trx_query, NULL),
           trx_is_read_only OR trx_autocommit_non_locking
      FROM information_schema.innodb_trx"""
