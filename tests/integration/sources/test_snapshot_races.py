"""What others do to the database while a snapshot is prepared or under way: no change is lost, none goes back."""

import asyncio
import time

from pycdc.model.lsn import parse_lsn
from pycdc.postgres.replication import ReplicationConnection


def streamed(sql, slot):
    row = sql.execute(
        "SELECT sent_lsn FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE slot_name = %s", [slot]
    ).fetchone()
    return parse_lsn(row[0]) if row and row[0] else 0


async def test_a_change_behind_the_snapshots_point_is_not_published_before_its_older_row(sql, reader, names, monkeypatch):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY, v int); INSERT INTO a VALUES (1, 1)")
    sql.execute(f"CREATE PUBLICATION {names.publication} FOR ALL TABLES")
    sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
    r = reader()
    create = ReplicationConnection.create_slot

    async def slow(self, name, **options):
        """The change commits and is sent after the point is fixed and before we hear of the point."""
        created = await create(self, name, **options)
        sql.execute("UPDATE a SET v = 2")
        committed = parse_lsn(sql.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])
        end = time.monotonic() + 10
        while streamed(sql, names.slot) < committed and time.monotonic() < end:  # noqa: ASYNC110 - a server has no event
            await asyncio.sleep(0.01)
        for _ in range(50):  # turns in which a reader of the stream would have seen it
            await asyncio.sleep(0.002)
        return created

    monkeypatch.setattr(ReplicationConnection, "create_slot", slow)
    await r.until(lambda r: {"r", "u"} <= {op for op, *_ in r.events})
    assert [(op, after["v"]) for op, _, _, after in r.events] == [("r", 1), ("u", 2)]


async def test_a_table_rewritten_before_the_snapshot_came_to_it_is_read_all_the_same(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3000)")
    sql.execute("CREATE TABLE b (id int PRIMARY KEY, n int); INSERT INTO b SELECT g, g FROM generate_series(1, 10) g")
    r, altered = reader(), []

    def enough(r):
        if r.ops("a") and not altered:
            altered.append(sql.execute("ALTER TABLE b ALTER n TYPE bigint"))
        return r.offset is not None and r.offset.get("snapshot_completed")

    await r.until(enough)
    assert {i for op, i in r.ops("b") if op == "r"} == set(range(1, 11))


async def test_a_snapshot_on_a_new_slot_that_replaces_a_lost_one_can_be_killed_and_goes_on(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3000)")
    r = reader(**{"snapshot.mode": "always"})
    await r.until(lambda r: r.offset is not None and r.offset.get("snapshot_completed"))
    sql.execute("SELECT pg_drop_replication_slot(%s)", [names.slot])
    sql.execute("DELETE FROM a WHERE id > 2990")
    again = reader(**{"snapshot.mode": "always"})
    again.offset = r.offset
    await again.until(lambda r: len(r.events) > 0)
    assert again.offset["snapshot_completed"] is False, "stored before the first row"
    sql.execute("DELETE FROM a WHERE id = 1")
    await again.until(lambda r: ("d", 1) in r.ops() and r.offset.get("snapshot_completed"))


async def test_a_snapshot_that_debezium_left_unfinished_goes_on_from_the_slot(sql, reader, names):
    """Debezium's second attempt begins at a newer point than the slot; a row of the first was deleted in between."""
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2)")
    sql.execute(f"CREATE PUBLICATION {names.publication} FOR ALL TABLES")
    sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
    sql.execute("DELETE FROM a WHERE id = 1")
    lsn = parse_lsn(sql.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])
    r = reader()
    r.offset = {"lsn": lsn, "txId": 7, "ts_usec": 1, "snapshot": "INITIAL", "snapshot_completed": False}
    await r.until(lambda r: ("r", 2) in r.ops())
    assert r.ops() == [("d", 1), ("r", 2)]
