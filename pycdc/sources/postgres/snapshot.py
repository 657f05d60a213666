"""Reading the tables of one exported snapshot, as batches of rows.

Every reader imports the same snapshot, so what it sees is the state at exactly one LSN. A row is held back
until the next one shows, because the last row of a table and of the whole snapshot carry their own markers;
an offset that calls a table finished leaves with the batch that holds its last row.
Memory: one COPY chunk.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import psycopg

from pycdc.debezium.envelope import EventSettings, TableEvents, Templates
from pycdc.debezium.notifications import IN_PROGRESS, SUCCEEDED, TABLE_SCAN_COMPLETED
from pycdc.debezium.offsets import OffsetWriter
from pycdc.debezium.source import sequence_text
from pycdc.errors import SnapshotError
from pycdc.model.table import Table
from pycdc.plugins.contracts import Batch, Progress, Run
from pycdc.postgres.copy import copy_rows
from pycdc.postgres.session import quote_name
from pycdc.sources.postgres.notifier import Notifier

#: As many rows as are encoded by column while their texts are in the processor's cache (measured).
_ROWS = 500

Row = list[bytes | None]


class Snapshot:
    """One pass over `tables` at one point of the WAL."""

    def __init__(
        self,
        conn: psycopg.AsyncConnection,
        tables: Sequence[Table],
        settings: EventSettings,
        offsets: OffsetWriter,
        progress: Progress,
        notifier: Notifier,
        *,
        lsn: int,
        last_commit: int | None = None,
        xid: int,
        ts_us: int,
        overrides: Callable[[Table], str | None] = lambda _table: None,
    ) -> None:
        self._conn = conn
        self._tables = tables
        self._settings = settings
        self._offsets = offsets
        self._progress = progress
        self._notify = notifier
        self._lsn = lsn
        self._overrides = overrides
        point = b"%d" % lsn
        self._system: tuple[bytes | None, ...] = (
            point, sequence_text(last_commit, lsn), b"%d" % (ts_us // 1000), b"%d" % ts_us, b"%d" % (ts_us * 1000),
            b"%d" % xid, None, None, None,
        )  # fmt: skip
        self._held: Row | None = None
        self._held_run: tuple[Templates, str, int] | None = None
        self._any = False
        self._begun = False

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """All rows in batches; each finished table's offset comes with its last row, the end's with the last batch.

        Raises SnapshotError and ConnectionLost.
        """
        self._progress.phase = "snapshot"
        self._progress.tables = len(self._tables)
        self._progress.tables_done = 0
        finished: str | None = None
        listed = ",".join(t.id for t in self._tables)
        for table in self._tables:
            self._notify.initial(IN_PROGRESS, data_collections=listed, current_collection_in_progress=table.id)
            events = TableEvents(table, self._settings)
            run_of = (events.read(), table.id, events.row_base)
            self._progress.table, self._progress.rows = table.id, 0
            self._progress.rows_expected = await self._estimate(table)
            first_of_table = True
            await self._must_be_whole(table)
            async with aclosing(copy_rows(self._conn, self._query(table), batch_rows=_ROWS)) as pieces:
                async for rows in pieces:
                    batch = Batch([])
                    if finished is not None:
                        self._flush_held(batch, b"last_in_data_collection")
                        self._finish(finished, batch)
                        finished = None
                    self._progress.rows += len(rows)
                    self._progress.rows_total += len(rows)
                    self._fill(batch, run_of, rows, first_of_table=first_of_table)
                    first_of_table = False
                    yield batch
            self._progress.tables_done += 1
            self._notify.initial(
                TABLE_SCAN_COMPLETED, data_collections=listed, scanned_collection=table.id,
                total_rows_scanned=str(self._progress.rows), status=SUCCEEDED,
            )  # fmt: skip
            if first_of_table and self._held is not None and finished is not None:
                # an empty table: its being finished may be told together with the table before it
                self._note(table.id)
            elif first_of_table:
                self._any = True  # an empty first table takes the marker `first` with it
                self._note(table.id)
            else:
                finished = table.id
        last = Batch([])
        if self._held is not None:
            self._flush_held(last, b"last")
        last.offset = self._offsets.snapshot_end(self._lsn)
        yield last

    def _fill(self, batch: Batch, run_of: tuple[Templates, str, int], rows: list[Row], *, first_of_table: bool) -> None:
        """Put the rows into the batch but for the last one, which is held; mark the first."""
        now = time.time_ns()
        clock = (b"%d" % (now // 1_000_000), b"%d" % (now // 1000), b"%d" % now)
        middle = (*self._system, b"true", *clock)
        held, self._held = self._held, None
        run = Run(run_of[0], [], run_of[1], run_of[2])
        marker = b"first_in_data_collection" if self._any else b"first"
        for row in rows:
            row += middle
        if first_of_table:
            rows[0][-4] = marker
            self._any = True
        if held is not None:
            rows.insert(0, held)
        self._held = rows.pop()
        self._held_run = run_of
        run.rows = rows  # type: ignore[assignment]
        if rows:
            if not self._begun:  # before whatever commits at the snapshot's point; LSNs of records are multiples of 8
                batch.begins = [(0, 0, self._lsn - 1)]
                self._begun = True
            batch.runs.append(run)
        batch.size += 512 * len(rows)  # an estimate: the byte budget that counts is the encoded one

    def _flush_held(self, batch: Batch, marker: bytes) -> None:
        assert self._held is not None
        assert self._held_run is not None
        # a table of one row is marked by what is rarer: first beats nothing, last beats everything
        if marker == b"last" or self._held[-4] != b"first":
            self._held[-4] = marker
        templates, where, column = self._held_run
        if not self._begun:
            batch.begins = [(0, 0, self._lsn - 1)]
            self._begun = True
        batch.runs.append(Run(templates, [self._held], where, column))
        self._held = None

    def _note(self, table: str) -> None:
        if self._offsets.snapshot is not None:
            self._offsets.snapshot.tables.append(table)

    def _finish(self, table: str, batch: Batch) -> None:
        """The table's last row is in this batch; what follows of the batch belongs to the next one's rows."""
        self._note(table)
        if self._offsets.snapshot is not None:
            batch.offset = self._offsets.at(self._lsn)

    def _query(self, table: Table) -> str:
        """Columns in the table's order; those that are not captured are not read."""
        filters = self._settings.filters
        columns = ", ".join(
            quote_name(c.name) if filters.column(table.schema, table.name, c.name) else "NULL" for c in table.columns
        )
        override = self._overrides(table)
        if override is not None:
            return f"SELECT {columns} FROM ({override.strip().rstrip(';')}) AS pycdc_override"
        return f"SELECT {columns} FROM {quote_name(table.schema)}.{quote_name(table.name)}"

    async def _must_be_whole(self, table: Table) -> None:
        """A table that was rewritten (ALTER TABLE ... TYPE) after the snapshot's point looks empty to it, and the stream
        does not tell its rows: PostgreSQL docs, "Caveats" of MVCC. The lock holds until the transaction's end.

        Raises SnapshotError (retriable: a new snapshot of the unfinished tables sees the rows).
        """
        # not LOCK TABLE, which asks for more than the right to read some columns
        await self._conn.execute(f"SELECT 1 FROM {quote_name(table.schema)}.{quote_name(table.name)} LIMIT 0".encode())
        # pg_class is read at the snapshot's point, the function looks at the file of now
        rewritten = await (await self._conn.execute(_REWRITTEN, [table.oid])).fetchone()
        if rewritten is not None:
            raise SnapshotError(
                "a table was rewritten before the snapshot came to it", where=table.id,
                cause=f"{rewritten[0]}: ALTER TABLE, TRUNCATE, CLUSTER or VACUUM FULL during the snapshot",
                hint="nothing is lost: the tables that are not finished are read again", retriable=True,
            )  # fmt: skip

    async def _estimate(self, table: Table) -> int:
        cursor = await self._conn.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s", [table.oid])
        row = await cursor.fetchone()
        return max(int(row[0]), 0) if row else 0


#: The table, or a partition or child of it, whose file is not the one of the snapshot's moment.
_REWRITTEN = """
    WITH RECURSIVE family(oid) AS (
        SELECT %s::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid)
    SELECT c.oid::regclass::text FROM family JOIN pg_catalog.pg_class c USING (oid)
     WHERE c.relfilenode <> 0 AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid) LIMIT 1"""


async def snapshot_facts(conn: psycopg.AsyncConnection) -> tuple[int, int]:
    """Xid and clock (us) to put on the snapshot's rows; inside the snapshot's transaction."""
    row = await (
        await conn.execute(
            "SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE txid_current() END, "
            "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
        )
    ).fetchone()
    if row is None:
        raise SnapshotError(cause="the server gave no row")
    return int(row[0]) & 0xFFFFFFFF, int(row[1])


