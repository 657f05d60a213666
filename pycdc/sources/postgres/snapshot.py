"""Reading the tables of one exported snapshot, as batches of rows.

Every reader imports the same snapshot, so what it sees is the state at exactly one LSN. A row is held back
until the next one shows, because the last row of a table and of the whole snapshot carry their own markers;
an offset that calls a table finished leaves with the batch that holds its last row. The unit of resume is the
table: ranges of blocks only spread it over readers (rule 8). Memory: a few COPY chunks per reader.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import psycopg

from pycdc.debezium.envelope import EventSettings, TableEvents
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

#: A table of fewer blocks is read by one reader: splitting it costs more than it gains.
_SPLIT_BLOCKS = 2048
#: TID range scans came with version 14; before, each range would read the whole table.
_TID_RANGES = 140000


class _Reading:
    """One table's way through the snapshot."""

    def __init__(self, table: Table, settings: EventSettings, parts: int) -> None:
        self.table = table
        events = TableEvents(table, settings)
        self.run_of = (events.read(), table.id, events.row_base)
        #: Parts of the table, and those that are not read to their end yet.
        self.parts = self.left = parts
        self.rows = 0
        #: By the planner's estimate.
        self.expected = 0
        #: The newest row, held back because the last one has a marker of its own.
        self.held: Row | None = None


#: Rows of a table; None = one of its parts is read to the end.
_Piece = tuple[_Reading, list[Row] | None]


class Snapshot:
    """One pass over `tables` at one point of the WAL, by one reader or several that see the same."""

    def __init__(
        self,
        readers: Sequence[psycopg.AsyncConnection],
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
        parts_per_table: int = 1,
        overrides: Callable[[Table], str | None] = lambda _table: None,
    ) -> None:
        self._readers = readers
        self._tables = tables
        self._settings = settings
        self._offsets = offsets
        self._progress = progress
        self._notify = notifier
        self._lsn = lsn
        self._parts_per_table = parts_per_table
        self._overrides = overrides
        point = b"%d" % lsn
        self._system: tuple[bytes | None, ...] = (
            point, sequence_text(last_commit, lsn), b"%d" % (ts_us // 1000), b"%d" % ts_us, b"%d" % (ts_us * 1000),
            b"%d" % xid, None, None, None,
        )  # fmt: skip
        self._listed = ",".join(t.id for t in tables)
        #: The table that was read to its end last: its held row is the snapshot's last one, unless more rows come.
        self._ended: _Reading | None = None
        self._any = False
        self._begun = False

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """All rows in batches; each finished table's offset comes with its last row, the end's with the last batch.

        Raises SnapshotError and ConnectionLost.
        """
        progress = self._progress
        progress.phase = "snapshot"
        progress.tables, progress.tables_done = len(self._tables), 0
        progress.by_table, progress.chunks = dict.fromkeys((t.id for t in self._tables), 0), {}
        pieces = self._one_by_one() if len(self._readers) == 1 else self._side_by_side()
        async with aclosing(pieces) as read:
            async for reading, rows in read:
                if rows is None:
                    reading.left -= 1
                    if reading.parts > 1:
                        progress.chunks[reading.table.id] = (reading.parts, reading.parts - reading.left)
                    if not reading.left:
                        batch = self._table_ended(reading)
                        if batch.runs:
                            yield batch
                    continue
                batch = Batch([])
                self._settle_ended(batch)
                progress.table, progress.rows = reading.table.id, reading.rows + len(rows)
                progress.rows_expected = reading.expected
                progress.rows_total += len(rows)
                progress.by_table[reading.table.id] = progress.rows
                self._fill(batch, reading, rows)
                yield batch
        last = Batch([])
        if self._ended is not None:
            self._flush_held(last, self._ended, b"last")
        last.offset = self._offsets.snapshot_end(self._lsn)
        yield last

    # ---- readers

    async def _one_by_one(self) -> AsyncGenerator[_Piece, None]:
        """The tables in order."""
        for table in self._tables:
            reading = self._begin(table, 1)
            async with aclosing(self._part(self._readers[0], reading, "")) as pieces:
                async for piece in pieces:
                    yield piece

    async def _side_by_side(self) -> AsyncGenerator[_Piece, None]:
        """Each reader takes the next part, of this table or of the next."""
        parts = deque((table, ranges, where) for table, ranges in await self._split() for where in ranges)
        readings: dict[int, _Reading] = {}
        found: asyncio.Queue[_Piece | Exception | None] = asyncio.Queue(2 * len(self._readers))

        async def read(conn: psycopg.AsyncConnection) -> None:
            try:
                while parts:
                    table, ranges, where = parts.popleft()
                    reading = readings.get(table.oid) or readings.setdefault(table.oid, self._begin(table, len(ranges)))
                    async with aclosing(self._part(conn, reading, where)) as pieces:
                        async for piece in pieces:
                            await found.put(piece)
            except Exception as error:  # it is the consumer's, which ends the others
                await found.put(error)
            await found.put(None)

        tasks = [asyncio.ensure_future(read(conn)) for conn in self._readers]
        try:
            for _ in tasks:
                while (piece := await found.get()) is not None:
                    if isinstance(piece, Exception):
                        raise piece
                    yield piece
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _split(self) -> list[tuple[Table, list[str]]]:
        """Each table's parts: ranges of blocks for a large one, else the whole."""
        conn = self._readers[0]
        cursor = await conn.execute(_BLOCKS, [[t.oid for t in self._tables]])
        blocks: dict[int, int] = dict(await cursor.fetchall())
        can = conn.info.server_version >= _TID_RANGES and self._parts_per_table > 1
        return [
            (t, _ranges(blocks.get(t.oid, 0), self._parts_per_table) if can and self._overrides(t) is None else [""])
            for t in self._tables
        ]

    def _begin(self, table: Table, parts: int) -> _Reading:
        self._notify.initial(IN_PROGRESS, data_collections=self._listed, current_collection_in_progress=table.id)
        return _Reading(table, self._settings, parts)

    async def _part(self, conn: psycopg.AsyncConnection, reading: _Reading, where: str) -> AsyncGenerator[_Piece, None]:
        """Rows of one part, and at its end None."""
        await self._must_be_whole(conn, reading.table)
        reading.expected = await self._estimate(conn, reading.table)
        async with aclosing(copy_rows(conn, self._query(reading.table) + where, batch_rows=_ROWS)) as pieces:
            async for rows in pieces:
                yield reading, rows
        yield reading, None

    # ---- rows into batches

    def _fill(self, batch: Batch, reading: _Reading, rows: list[Row]) -> None:
        """Put the rows into the batch but for the last one, which is held; mark the first."""
        now = time.time_ns()
        clock = (b"%d" % (now // 1_000_000), b"%d" % (now // 1000), b"%d" % now)
        middle = (*self._system, b"true", *clock)
        for row in rows:
            row += middle
        if not reading.rows:
            rows[0][-4] = b"first_in_data_collection" if self._any else b"first"
            self._any = True
        reading.rows += len(rows)
        if reading.held is not None:
            rows.insert(0, reading.held)
        reading.held = rows.pop()
        if rows:
            self._append(batch, reading, rows)
        batch.size += 512 * len(rows)  # an estimate: the byte budget that counts is the encoded one

    def _append(self, batch: Batch, reading: _Reading, rows: list[Row]) -> None:
        if not self._begun:  # before whatever commits at the snapshot's point; LSNs of records are multiples of 8
            batch.begins = [(0, 0, self._lsn - 1)]
            self._begun = True
        templates, where, column = reading.run_of
        batch.runs.append(Run(templates, rows, where, column))  # type: ignore[arg-type]

    def _flush_held(self, batch: Batch, reading: _Reading, marker: bytes) -> None:
        row = reading.held
        assert row is not None
        # a table of one row is marked by what is rarer: first beats nothing, last beats everything
        if marker == b"last" or row[-4] != b"first":
            row[-4] = marker
        reading.held = None
        self._append(batch, reading, [row])

    def _settle_ended(self, batch: Batch) -> None:
        """More rows come, so the table that ended last is not the snapshot's last one: it is finished with this row."""
        ended, self._ended = self._ended, None
        if ended is not None:
            self._flush_held(batch, ended, b"last_in_data_collection")
            self._note(ended.table.id)
            if self._offsets.snapshot is not None:
                batch.offset = self._offsets.at(self._lsn)

    def _table_ended(self, reading: _Reading) -> Batch:
        """All parts of the table are read. The batch has rows only when another table ended before."""
        batch = Batch([])
        self._progress.tables_done += 1
        self._notify.initial(
            TABLE_SCAN_COMPLETED, data_collections=self._listed, scanned_collection=reading.table.id,
            total_rows_scanned=str(reading.rows), status=SUCCEEDED,
        )  # fmt: skip
        if reading.held is None:
            self._any = True  # an empty first table takes the marker `first` with it
            self._note(reading.table.id)  # told with whatever offset comes next
        else:
            self._settle_ended(batch)
            self._ended = reading
        return batch

    def _note(self, table: str) -> None:
        if self._offsets.snapshot is not None:
            self._offsets.snapshot.tables.append(table)

    def _query(self, table: Table) -> str:
        """Columns in the table's order. Those that are not captured are not read, not even for the key (it then has
        their types' defaults, as Debezium's has), except where the user's own statement reads them.
        """
        filters = self._settings.filters
        override = self._overrides(table)
        columns = ", ".join(
            quote_name(c.name) if override is not None or filters.column(table.schema, table.name, c.name) else "NULL" for c in table.columns
        )
        rows = f"{quote_name(table.schema)}.{quote_name(table.name)}"
        if override is not None:
            rows = f"({override.strip().rstrip(';')}) AS pycdc_override"
        return f"SELECT {columns} FROM {rows}"

    async def _must_be_whole(self, conn: psycopg.AsyncConnection, table: Table) -> None:
        """A table that was rewritten (ALTER TABLE ... TYPE) after the snapshot's point looks empty to it, and the stream
        does not tell its rows: PostgreSQL docs, "Caveats" of MVCC. The lock holds until the transaction's end.

        Raises SnapshotError (retriable: a new snapshot of the unfinished tables sees the rows).
        """
        # not LOCK TABLE, which asks for more than the right to read some columns
        await conn.execute(f"SELECT 1 FROM {quote_name(table.schema)}.{quote_name(table.name)} LIMIT 0".encode())
        # pg_class is read at the snapshot's point, the function looks at the file of now
        rewritten = await (await conn.execute(_REWRITTEN, [table.oid])).fetchone()
        if rewritten is not None:
            raise SnapshotError(
                "a table was rewritten before the snapshot came to it", where=table.id,
                cause=f"{rewritten[0]}: ALTER TABLE, TRUNCATE, CLUSTER or VACUUM FULL during the snapshot",
                hint="nothing is lost: the tables that are not finished are read again", retriable=True,
            )  # fmt: skip

    async def _estimate(self, conn: psycopg.AsyncConnection, table: Table) -> int:
        cursor = await conn.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s", [table.oid])
        row = await cursor.fetchone()
        return max(int(row[0]), 0) if row else 0


_BLOCKS = """
    SELECT oid::int8, pg_catalog.pg_relation_size(oid) / current_setting('block_size')::int8
      FROM pg_catalog.pg_class WHERE oid = ANY(%s::oid[]) AND relkind = 'r'"""

#: The table, or a partition or child of it, whose file is not the one of the snapshot's moment.
_REWRITTEN = """
    WITH RECURSIVE family(oid) AS (
        SELECT %s::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid)
    SELECT c.oid::regclass::text FROM family JOIN pg_catalog.pg_class c USING (oid)
     WHERE c.relfilenode <> 0 AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid) LIMIT 1"""


def _ranges(blocks: int, parts: int) -> list[str]:
    """WHERE clauses over ctid that together are the table, also what it grew by since it was measured."""
    parts = min(parts, blocks // (_SPLIT_BLOCKS // 2))
    if blocks < _SPLIT_BLOCKS or parts < 2:
        return [""]
    borders = [blocks * n // parts for n in range(1, parts)]
    lows = ["", *(f"ctid >= '({b},0)'" for b in borders)]
    highs = [*(f"ctid < '({b},0)'" for b in borders), ""]
    return [" WHERE " + " AND ".join(filter(None, pair)) for pair in zip(lows, highs, strict=True)]


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


