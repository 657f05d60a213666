"""What became of a replication slot, and whether the stream may go on from it.

`slot_info` reads the server's row, `require_usable` and `require_covers` judge it: what is lost is an error
that says so, never a silent restart elsewhere. Creation belongs to `replication`; a slot is dropped only by
`drop_slot`, which only an explicit wish of the user calls.
"""

from __future__ import annotations

import msgspec
import psycopg
import structlog
from psycopg.rows import dict_row

from pycdc.errors import SlotBusy, SlotError, SlotLost
from pycdc.model.lsn import format_lsn, parse_lsn
from pycdc.postgres.session import ConnectionSettings, connect, quote_literal, translate

log = structlog.get_logger(__name__)

_NEW_SNAPSHOT = "a new snapshot is needed: snapshot.mode=when_needed takes it by itself"


class SlotInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A row of pg_replication_slots (PostgreSQL docs); columns that the server is too old for are None or False.

    `lost` says why the slot can never be read again, empty while it can.
    """

    name: str
    plugin: str | None
    database: str | None
    temporary: bool
    active_pid: int | None
    restart_lsn: int | None
    confirmed_flush_lsn: int | None
    wal_status: str | None = None
    #: Bytes of WAL that may still be written before the slot is in danger; None = no limit, or unknown.
    safe_wal_size: int | None = None
    two_phase: bool = False
    failover: bool = False
    lost: str = ""


async def slot_info(conn: psycopg.AsyncConnection, name: str) -> SlotInfo | None:
    """The slot of that name in the whole cluster, or None."""
    try:
        async with conn.cursor(row_factory=dict_row) as cursor:
            # All columns, because each version has more of them.
            await cursor.execute("SELECT * FROM pg_catalog.pg_replication_slots WHERE slot_name = %s", (name,))
            row = await cursor.fetchone()
    except psycopg.Error as error:
        raise translate(error, None, f"cannot look at the replication slot {name!r}") from None
    if row is None:
        return None
    return SlotInfo(
        name=name,
        plugin=row["plugin"],
        database=row["database"],
        temporary=row["temporary"],
        active_pid=row["active_pid"],
        restart_lsn=_lsn(row["restart_lsn"]),
        confirmed_flush_lsn=_lsn(row["confirmed_flush_lsn"]),
        wal_status=row.get("wal_status"),
        safe_wal_size=row.get("safe_wal_size"),
        two_phase=bool(row.get("two_phase")),
        failover=bool(row.get("failover")),
        lost=_lost(row),
    )


def _lsn(text: str | None) -> int | None:
    return None if text is None else parse_lsn(text)


def _lost(row: dict[str, object]) -> str:
    reason = row.get("invalidation_reason")
    if reason:  # from 17 on
        return f"invalidated: {reason}"
    if row.get("wal_status") == "lost":
        return "its WAL was removed because it exceeded max_slot_wal_keep_size"
    if row.get("conflicting"):  # 16, on a standby
        return "invalidated by a conflict with recovery"
    return ""


def require_usable(info: SlotInfo | None, name: str, dbname: str) -> SlotInfo:
    """`info` when the stream can be read from it. Raises SlotLost, SlotError or SlotBusy (retriable)."""
    if info is None:
        raise SlotLost(
            f"the replication slot {name!r} does not exist",
            cause="it was dropped, or the server is another one; changes since the stored offset cannot be had",
            hint=_NEW_SNAPSHOT,
        )
    drop = f"SELECT pg_drop_replication_slot({quote_literal(name)})"
    if info.plugin != "pgoutput":
        raise SlotError(
            f"the replication slot {name!r} uses {info.plugin or 'physical replication'}, not pgoutput",
            hint=f"set another slot.name, or, when no one needs it: {drop}",
        )
    if info.database != dbname:
        raise SlotError(
            f"the replication slot {name!r} belongs to database {info.database!r}, not {dbname!r}",
            hint="set another slot.name: slots are named per cluster, and bound to a database",
        )
    if info.lost:
        confirmed = "" if info.confirmed_flush_lsn is None else f" after {format_lsn(info.confirmed_flush_lsn)}"
        raise SlotLost(
            f"the replication slot {name!r} cannot be read any more",
            cause=f"{info.lost}; the changes{confirmed} are gone",
            hint=f"{drop}; then {_NEW_SNAPSHOT}",
        )
    if info.active_pid is not None:
        raise SlotBusy(
            f"the replication slot {name!r} is held by another process",
            cause=f"PID {info.active_pid} reads from it",
            hint=f"stop the other reader, or: SELECT pg_terminate_backend({info.active_pid})",
        )
    return info


def require_covers(info: SlotInfo, lsn: int) -> None:
    """Raise SlotLost when the slot has already let go of changes after `lsn`, the stored offset."""
    confirmed = info.confirmed_flush_lsn
    if confirmed is not None and lsn < confirmed:
        raise SlotLost(
            f"the stored offset is older than the replication slot {info.name!r}",
            cause=f"the changes between {format_lsn(lsn)} (offset) and {format_lsn(confirmed)} (slot) were confirmed "
            "by another reader, or the slot was recreated",
            hint=_NEW_SNAPSHOT,
        )


async def drop_slot(conn: psycopg.AsyncConnection, name: str) -> None:
    """Drop it. Raises SlotBusy while someone reads from it; one that does not exist is no error."""
    try:
        await conn.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
            (name,),
        )
    except psycopg.errors.UndefinedObject:
        return  # dropped by someone else in between
    except psycopg.Error as error:
        raise translate(error, None, f"cannot drop the replication slot {name!r}") from None


async def end_former_reader(settings: ConnectionSettings, name: str) -> bool:
    """End the connection that reads from the slot when it is one of ours, left behind by a worker that is dead or asleep.

    Ours is what calls itself as we do: another name is somebody else's, and waited for. Call it only as the slot's owner.
    """
    async with await connect(settings) as conn:
        try:
            cursor = await conn.execute(
                "SELECT a.pid, a.application_name FROM pg_catalog.pg_replication_slots s JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid "
                "WHERE s.slot_name = %s",
                (name,),
            )
            row = await cursor.fetchone()
            if row is None:
                return False
            pid, reader = row
            if reader != settings.application_name:
                log.warning(
                    "the slot is read by somebody else, who is waited for: the server ends a dead one after wal_sender_timeout", slot=name,
                    pid=pid, application_name=reader,
                )  # fmt: skip
                return False
            await conn.execute("SELECT pg_catalog.pg_terminate_backend(%s)", (pid,))
        except psycopg.Error as error:
            log.warning("the slot's former reader could not be ended", slot=name, cause=str(error).strip())
            return False
    log.info("the slot's former reader was ended: this worker has the connector now", slot=name, pid=pid)
    return True
