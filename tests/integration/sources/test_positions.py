"""Where the source begins, resumes and stops: the rules of docs/guarantees.md on a real server."""

import asyncio
import json
import time

import psycopg
import pytest

from pycdc.errors import SlotLost
from pycdc.model.lsn import parse_lsn


def count(n):
    return lambda reader: len(reader.events) >= n


def confirmed(sql, slot):
    row = sql.execute("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone()
    return parse_lsn(row[0])


async def test_a_snapshot_and_the_stream_behind_it_give_each_row_once(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3)")
    r = reader()
    await r.until(count(3))
    sql.execute("INSERT INTO a VALUES (4); DELETE FROM a WHERE id = 1")
    await r.until(count(5))
    assert r.ops() == [("r", 1), ("r", 2), ("r", 3), ("c", 4), ("d", 1)]


async def test_the_first_offset_says_that_the_snapshot_has_begun(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader()
    await r.until(count(1))
    first = r.offsets[0]
    assert (first["snapshot"], first["snapshot_completed"]) == ("INITIAL", False)
    assert json.loads(first["pycdc_snapshot"])["tables"] == []


async def test_an_unfinished_snapshot_goes_on_with_the_other_tables_and_misses_no_delete(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    sql.execute("INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (7)")
    r = reader()
    await r.until(lambda r: r.offset is not None and "public.a" in json.loads(r.offset.get("pycdc_snapshot", '{"tables":[]}'))["tables"])
    assert ("r", 1) in r.ops("a")
    seen = len(r.events)
    sql.execute("DELETE FROM a WHERE id = 1; INSERT INTO b VALUES (8)")
    await r.until(lambda r: ("r", 8) in r.ops("b"))
    later = [(op, t) for op, t, _, _ in r.events[seen:]]
    assert ("d", "a") in later, "the row was published, so its delete must be"
    assert ("r", "a") not in later, "a finished table is not read again"
    assert ("r", 7) in r.ops("b")


async def test_a_slot_made_by_someone_else_is_used_and_snapshotted(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    sql.execute(f"CREATE PUBLICATION {names.publication} FOR ALL TABLES")
    sql.execute("INSERT INTO a VALUES (1)")
    sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [names.slot])
    sql.execute("INSERT INTO a VALUES (2); DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (3)")
    r = reader()
    await r.until(lambda r: ("r", 3) in r.ops())
    assert r.ops() == [("c", 2), ("d", 2), ("c", 3), ("r", 1), ("r", 3)]


async def test_no_data_begins_at_the_slot_and_reads_no_row(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader(**{"snapshot.mode": "no_data"})
    await r.until(lambda r: sql.execute("SELECT count(*) FROM pg_replication_slots WHERE active AND database = current_database()").fetchone()[0])
    sql.execute("INSERT INTO a VALUES (2)")
    await r.until(count(1))
    assert r.ops() == [("c", 2)]


async def test_an_idle_database_moves_the_slot_and_never_leaves_the_offset_behind_it(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE noise (id serial); INSERT INTO a VALUES (1)")
    r = reader(**{"table.include.list": "public.a", "publication.autocreate.mode": "filtered"})
    await r.until(count(1))
    before = confirmed(sql, names.slot)
    sql.execute("INSERT INTO noise SELECT FROM generate_series(1, 1000)")
    target = parse_lsn(sql.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])
    await r.until(lambda r: r.offset.get("lsn_proc", 0) >= target and confirmed(sql, names.slot) >= target)
    assert confirmed(sql, names.slot) > before
    assert r.offset["lsn"] == r.offset["lsn_proc"] >= confirmed(sql, names.slot)
    sql.execute("INSERT INTO a VALUES (2)")
    await r.until(count(2))
    assert r.ops() == [("r", 1), ("c", 2)]


async def test_a_slot_that_is_gone_stops_with_what_was_lost_and_when_needed_reads_again(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader()
    await r.until(lambda r: r.offset is not None and r.offset.get("snapshot_completed"))
    sql.execute("SELECT pg_drop_replication_slot(%s)", [names.slot])
    with pytest.raises(SlotLost, match=names.slot):
        await r.until(count(99))
    again = reader(**{"snapshot.mode": "when_needed"})
    again.offset = r.offset
    await again.until(count(1))
    assert again.ops() == [("r", 1)]


async def test_a_slot_ahead_of_the_offset_is_a_loss(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader()
    await r.until(lambda r: r.offset is not None and r.offset.get("snapshot_completed"))
    sql.execute("INSERT INTO a VALUES (2)")
    sql.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [names.slot])
    with pytest.raises(SlotLost, match="older than the replication slot"):
        await r.until(count(99))


async def test_an_offset_that_debezium_left_inside_a_transaction_repeats_it_whole(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    r = reader()
    await r.until(lambda r: r.offset is not None and r.offset.get("snapshot_completed"))
    sql.execute("INSERT INTO a VALUES (1)")
    await r.until(count(1))
    commit = r.offset["lsn_commit"]
    with sql.transaction():
        sql.execute("INSERT INTO a VALUES (2)")
        inside = parse_lsn(sql.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])
        sql.execute("INSERT INTO a VALUES (3)")
    r.offset = {"lsn": inside, "lsn_proc": inside, "lsn_commit": commit, "messageType": "INSERT", "txId": 1, "ts_usec": 1}
    await r.until(count(3))
    assert r.ops() == [("c", 1), ("c", 2), ("c", 3)]


async def test_a_cut_connection_is_made_again_and_nothing_is_missing(sql, reader, postgres_db):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    cut = (
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
        "WHERE database = current_database() AND active"
    )
    cuts = 0

    def write_and_cut():
        nonlocal cuts
        with psycopg.connect(postgres_db.dsn, autocommit=True) as other:
            end = time.monotonic() + 20
            while not other.execute(cut.replace("pg_terminate_backend", "")).fetchall() and time.monotonic() < end:
                time.sleep(0.02)  # there is nothing to cut before it streams
            for i in range(1, 301):
                other.execute("INSERT INTO a VALUES (%s)", [i])
                if i % 60 == 0:
                    cuts += len(other.execute(cut).fetchall())

    r = reader()
    writing = asyncio.get_running_loop().run_in_executor(None, write_and_cut)
    await r.until(lambda r: {i for _, i in r.ops()} >= set(range(1, 301)))
    await writing
    assert cuts > 0
    order = [i for op, i in r.ops() if op == "c"]
    assert list(dict.fromkeys(order)) == sorted(set(order)), "first occurrences in order"


async def test_initial_only_reads_makes_no_slot_and_ends(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2)")
    r = reader(**{"snapshot.mode": "initial_only"})
    await r.until(lambda _: False)
    assert r.ops() == [("r", 1), ("r", 2)]
    assert sql.execute("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", [names.slot]).fetchone()[0] == 0
    assert r.offset["snapshot_completed"] is True
    await r.until(lambda _: False)
    assert len(r.events) == 2
