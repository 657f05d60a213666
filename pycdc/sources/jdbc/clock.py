"""Up to which moment rows may be read by a timestamp, without passing by transactions that will still write older ones.

A row's timestamp is mostly its transaction's beginning: as long as one is at work, what is younger than it waits. One that
has written nothing yet counts only for as long as late rows are looked for anyway, so that a long report holds up nothing.
Source: PostgreSQL docs, "pg_stat_activity".
"""

from __future__ import annotations

from typing import Final

import msgspec
import psycopg


class Now(msgspec.Struct, frozen=True):
    """Moments in microseconds since 1970."""

    now_us: int
    #: Beginning of the oldest transaction that has written, and of the oldest of all; None: there is none.
    writer_us: int | None
    any_us: int | None
    #: Whether other roles' transactions can be seen.
    sees_all: bool
    standby: bool

    def until(self, *, delay_us: int, window_us: int) -> int:
        """Rows from here on wait for a later poll; `window_us` 0: for nobody."""
        until = self.now_us - delay_us
        if window_us:
            if self.writer_us is not None:
                until = min(until, self.writer_us)
            if self.any_us is not None:
                until = min(until, max(self.any_us, self.now_us - window_us))
        return until


async def server_now(conn: psycopg.AsyncConnection) -> Now:
    """To be asked before the snapshot of a poll is taken: who ends between the two is in the snapshot.

    Raises psycopg.Error.
    """
    row = await (await conn.execute(_NOW)).fetchone()
    assert row is not None
    return Now(*row)


# now() is the statement's beginning: earlier than the look at the sessions
_NOW: Final = """
    SELECT (extract(epoch FROM now()) * 1000000)::int8,
           (extract(epoch FROM min(xact_start) FILTER (WHERE backend_xid IS NOT NULL)) * 1000000)::int8,
           (extract(epoch FROM min(xact_start)) * 1000000)::int8,
           pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), pg_catalog.pg_is_in_recovery()
      FROM pg_catalog.pg_stat_activity
     WHERE pid <> pg_catalog.pg_backend_pid() AND datname = pg_catalog.current_database()
       AND backend_type IS DISTINCT FROM 'autovacuum worker' AND backend_type IS DISTINCT FROM 'walsender'
       AND application_name IS DISTINCT FROM pg_catalog.current_setting('application_name')"""
