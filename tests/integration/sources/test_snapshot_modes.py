"""Snapshots by several readers, and snapshot.mode=configuration_based, on a real server."""

import threading
from collections import Counter

import psycopg
import pytest

from pycdc.sources.postgres.snapshot import _ranges

THREADS = {"snapshot.max.threads": "3"}


def markers(reader):
    return Counter(s for s in reader.snapshots if s != "true")


@pytest.mark.parametrize("more", [{}, {"snapshot.max.threads.multiplier": "2"}, {"legacy.snapshot.max.threads": "true"}, {"snapshot.mode": "initial_only"}],
                         ids=["ranges", "more ranges", "tables only", "without a slot"])  # fmt: skip
async def test_several_readers_give_each_row_once_as_of_one_point(more, sql, reader, postgres_db):
    # more than 16 MB, so that the table is read in ranges; every transaction moves an amount between two rows
    sql.execute("CREATE TABLE big (id int PRIMARY KEY, v int, pad text)")
    sql.execute("INSERT INTO big SELECT g, 100, repeat('x', 900) FROM generate_series(1, 20000) g")
    sql.execute("CREATE TABLE empty_first (id int PRIMARY KEY); CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1), (2)")
    sql.execute("ALTER TABLE empty_first RENAME TO a_empty")
    stop = threading.Event()

    def move():
        with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
            n = 0
            while not stop.is_set():
                n += 1
                a, b = (n * 7919) % 20000 + 1, (n * 104729) % 20000 + 1
                if a != b:
                    conn.execute("UPDATE big SET v = v + CASE id WHEN %s THEN 1 ELSE -1 END WHERE id IN (%s, %s)", [a, a, b])

    writing = threading.Thread(target=move)
    writing.start()
    try:
        r = reader(**THREADS, **more)
        await r.until(lambda r: r.offset is not None and r.offset.get("snapshot_completed"), limit=60)
    finally:
        stop.set()
        writing.join()
    read = [e for e in r.events if e[0] == "r"]
    assert Counter(after["id"] for _, t, _, after in read if t == "big") == Counter(range(1, 20001))
    assert sum(after["v"] for _, t, _, after in read if t == "big") == 2_000_000, "all readers saw the same moment"
    assert sorted(after["id"] for _, t, _, after in read if t == "small") == [1, 2]
    p = r.progress
    assert (p.by_table, p.tables, p.tables_done) == ({"public.big": 20000, "public.small": 2, "public.a_empty": 0}, 3, 3)
    assert all(total == done for total, done in p.chunks.values())
    assert set(p.chunks) == (set() if "legacy.snapshot.max.threads" in more else {"public.big"})
    seen = markers(r)
    assert seen["last"] == 1
    assert seen["first"] + seen["first_in_data_collection"] == 2
    assert seen["last"] + seen["last_in_data_collection"] == 2


def test_ranges_cover_the_table_and_what_it_grows_by():
    assert _ranges(100, 4) == [""]
    assert _ranges(100_000, 1) == [""]
    assert _ranges(9000, 3) == [
        " WHERE ctid < '(3000,0)'", " WHERE ctid >= '(3000,0)' AND ctid < '(6000,0)'", " WHERE ctid >= '(6000,0)'",
    ]  # fmt: skip
    assert len(_ranges(2048, 50)) == 2, "no range of less than 8 MB"


BASED = {"snapshot.mode": "configuration_based"}
DATA = "snapshot.mode.configuration.based.snapshot.data"
STREAM = "snapshot.mode.configuration.based.start.stream"
ON_ERROR = "snapshot.mode.configuration.based.snapshot.on.data.error"


async def test_configuration_based_without_a_word_does_nothing(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader(**BASED)
    await r.until(lambda _: False)
    assert r.ops() == []


async def test_configuration_based_data_is_read_at_every_start(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader(**BASED, **{DATA: "true"})
    await r.until(lambda _: False)
    assert r.ops() == [("r", 1)]
    await r.until(lambda _: False)
    assert r.ops() == [("r", 1), ("r", 1)]
    assert sql.execute("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()").fetchone() == (0,)


async def test_configuration_based_stream_only(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader(**BASED, **{STREAM: "true"})
    await r.until(lambda r: r.offset is not None)
    sql.execute("INSERT INTO a VALUES (2)")
    await r.until(lambda r: r.ops())
    assert r.ops() == [("c", 2)]


async def test_configuration_based_reads_anew_when_the_slot_is_gone(sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    r = reader(**BASED, **{STREAM: "true", ON_ERROR: "true"})
    await r.until(lambda r: r.offset is not None)
    sql.execute("SELECT pg_drop_replication_slot(%s)", [names.slot])
    await r.until(lambda r: r.ops())
    assert r.ops() == [("r", 1)]
