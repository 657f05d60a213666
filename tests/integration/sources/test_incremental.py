"""Incremental and blocking snapshots beside a stream that changes the same rows, on a real server."""

import asyncio
import json
import random

import psycopg
import pytest

from pycdc.plugins.contracts import Signal

SIGNALS = "CREATE TABLE signals (id text PRIMARY KEY, type text NOT NULL, data text)"
WITH_TABLE = {"signal.data.collection": "public.signals"}
WITHOUT = {"read.only": "true"}


def asked(sql, tables="public.t", **more):
    data = {"data-collections": tables.split(","), **more}
    sql.execute("INSERT INTO signals VALUES (gen_random_uuid()::text, 'execute-snapshot', %s)", [json.dumps(data)])


def execute(tables="public.t", identity="s", **more):
    return Signal(identity, "execute-snapshot", json.dumps({"data-collections": tables.split(","), **more}))


def folded(reader, table="t"):
    """What a consumer that keeps the newest value per key ends up with."""
    state = {}
    for op, name, key, after in reader.events:
        if name == table:
            if op == "d":
                state.pop(tuple(key.values()), None)
            elif after is not None:
                state[tuple(key.values())] = after
    return state


def reads(reader, table="t"):
    return [after["id"] for op, name, _, after in reader.events if op == "r" and name == table]


def over(reader):
    return reader.offset is not None and "pycdc_incremental_snapshot" not in reader.offset


def done(count):
    return lambda r: len(set(reads(r))) >= count and over(r)


async def load(dsn, stop, seed):
    """Changes of every kind on a few hundred rows, also of their keys, in transactions that overlap."""
    rng = random.Random(seed)

    async def writer(number):
        async with await psycopg.AsyncConnection.connect(dsn) as conn:
            while not stop.is_set():
                for _ in range(rng.randint(1, 4)):
                    i = rng.randint(1, 400) * 3 + number  # each writer has its own rows: no deadlocks
                    match rng.randint(0, 9):
                        case 0 | 1 | 2:
                            await conn.execute("INSERT INTO t VALUES (%s, 'new') ON CONFLICT (id) DO UPDATE SET v = t.v || 'x'", [i])
                        case 3 | 4:
                            await conn.execute("DELETE FROM t WHERE id = %s", [i])
                        case 5:
                            await conn.execute("UPDATE t SET id = id + 6000 WHERE id = %s AND NOT EXISTS (SELECT FROM t WHERE id = %s)", [i, i + 6000])
                        case _:
                            await conn.execute("UPDATE t SET v = md5(random()::text) WHERE id = %s", [i])
                if rng.random() < 0.1:
                    await conn.rollback()
                else:
                    await conn.commit()

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(writer(number))


@pytest.mark.parametrize(
    "config",
    [WITH_TABLE, WITH_TABLE | {"incremental.snapshot.watermarking.strategy": "insert_delete"}, WITHOUT],
    ids=["insert_insert", "insert_delete", "read only"],
)
async def test_a_table_read_under_load_ends_up_equal(config, sql, reader, postgres_db):
    sql.execute(SIGNALS)
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'old' FROM generate_series(1, 1200) g")
    r = reader(**{"snapshot.mode": "no_data", "incremental.snapshot.chunk.size": "20"}, **config)
    stop = asyncio.Event()
    writing = asyncio.ensure_future(load(postgres_db.dsn, stop, seed := random.randrange(1 << 30)))
    print("seed", seed)
    await r.until(lambda r: len(r.events) > 50)  # changes flow
    if config is WITHOUT:
        r.signals.append(execute())
    else:
        asked(sql)
    await r.until(lambda r: len(reads(r)) > 500)
    await r.until(done(500), limit=60)
    stop.set()
    await writing
    sql.execute("INSERT INTO t VALUES (999999, 'end')")
    await r.until(lambda r: (999999,) in folded(r))
    assert folded(r) == {(i,): {"id": i, "v": v} for i, v in sql.execute("SELECT id, v FROM t").fetchall()}


async def test_a_restart_in_the_middle_goes_on_behind_the_last_chunk(sql, reader):
    sql.execute(SIGNALS)
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'old' FROM generate_series(1, 300) g")
    r = reader(**{"snapshot.mode": "no_data", "incremental.snapshot.chunk.size": "10"}, **WITH_TABLE)
    await r.until(lambda r: r.offset is not None)
    asked(sql)
    await r.until(lambda r: len(reads(r)) >= 100 and "pycdc_incremental_snapshot" in r.offset)
    before = reads(r)
    await r.until(done(300))
    assert sorted(set(reads(r))) == list(range(1, 301))
    assert len(reads(r)) <= 300 + 10, "at most one chunk comes twice"
    assert min(reads(r)[len(before):]) > 80, "it did not begin again"


async def test_what_debezium_left_is_gone_on_with(sql, reader):
    sql.execute(SIGNALS)
    sql.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 30)")
    r = reader(**{"snapshot.mode": "no_data"}, **WITH_TABLE)
    await r.until(lambda r: r.offset is not None and r.offset.get("lsn_proc"))
    r.offset |= {
        "incremental_snapshot_primary_key": "aced000570", "incremental_snapshot_maximum_key": "aced000570",
        "incremental_snapshot_collections": json.dumps([{"incremental_snapshot_collections_id": "public.t"}]),
        "incremental_snapshot_correlation_id": "theirs",
    }  # fmt: skip
    await r.until(done(30))
    assert sorted(reads(r)) == list(range(1, 31))


async def test_pause_resume_and_stop(sql, reader):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)")
    sql.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT generate_series(1, 100)")
    notes = {"notification.enabled.channels": "sink", "notification.sink.topic.name": "notes"}
    r = reader(**{"snapshot.mode": "no_data", "incremental.snapshot.chunk.size": "5"}, **WITHOUT, **notes)
    r.signals.append(execute("public.t,public.u"))
    await r.until(lambda r: len(reads(r)) >= 10)
    r.signals.append(Signal("p", "pause-snapshot", '{"type": "incremental"}'))
    await r.until(lambda r: "PAUSED" in r.kinds())
    so_far = len(reads(r))
    p = r.progress
    assert (p.incremental, p.tables, p.tables_done, p.phase) == ("paused", 2, 0, "streaming")
    assert 10 <= p.by_table["public.t"] < 100
    for i in range(3):  # the stream goes on
        sql.execute("INSERT INTO u VALUES (%s)", [1000 + i])
        await r.until(lambda r, i=i: ("c", 1000 + i) in r.ops("u"))
    assert len(reads(r)) <= so_far + 5, "at most the chunk under way came"
    r.signals.append(Signal("s", "stop-snapshot", '{"data-collections": ["public.u"], "type": "incremental"}'))
    r.signals.append(Signal("r", "resume-snapshot", '{"type": "incremental"}'))
    await r.until(done(100))
    assert reads(r, "u") == []
    assert (p.incremental, p.ended, p.tables_done, p.by_table["public.t"]) == ("", "completed", 2, 100)
    assert p.paused_for > 0
    assert r.kinds()[-1] == "COMPLETED"
    assert {"STARTED", "PAUSED", "RESUMED", "ABORTED", "IN_PROGRESS", "TABLE_SCAN_COMPLETED"} <= set(r.kinds())


async def test_tables_without_key_take_a_surrogate_key_and_others_are_told(sql, reader):
    sql.execute("CREATE TABLE t (id int, n int); ALTER TABLE t REPLICA IDENTITY FULL")
    sql.execute("INSERT INTO t SELECT g, g FROM generate_series(1, 25) g; INSERT INTO t VALUES (26, NULL), (27, NULL)")
    r = reader(**{"snapshot.mode": "no_data", "incremental.snapshot.chunk.size": "10"}, **WITHOUT,
               **{"notification.enabled.channels": "sink", "notification.sink.topic.name": "notes"})  # fmt: skip
    r.signals.append(execute("public.t,public.nowhere"))
    await r.until(lambda r: r.kinds()[-1:] == ["COMPLETED"] and not r.signals)
    assert [n["additional_data"].get("status") for n in r.notes if n["type"] == "TABLE_SCAN_COMPLETED"] == ["NO_PRIMARY_KEY", "UNKNOWN_SCHEMA"]
    r.signals.append(execute("public.t", **{"surrogate-key": "n"}))
    await r.until(lambda r: len(reads(r)) >= 26)
    assert sorted(reads(r)) == [*range(1, 28)] or len(reads(r)) == 27


async def test_a_condition_chooses_the_rows_and_a_wrong_one_ends_the_table_only(sql, reader):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, color text); INSERT INTO t VALUES (1, 'blue'), (2, 'red'), (3, 'blue')")
    r = reader(**{"snapshot.mode": "no_data"}, **WITHOUT, **{"notification.enabled.channels": "sink", "notification.sink.topic.name": "notes"})
    r.signals.append(execute(**{"additional-conditions": [{"data-collection": "public.t", "filter": "no_such_column = 1"}]}))
    await r.until(lambda r: r.kinds()[-1:] == ["COMPLETED"] and not r.signals)
    assert r.notes[-2]["additional_data"]["status"] == "SQL_EXCEPTION"
    r.signals.append(execute(identity="again", **{"additional-conditions": [{"data-collection": "public.t", "filter": "color = 'blue'"}]}))
    await r.until(lambda r: len(reads(r)) == 2 and r.kinds()[-1:] == ["COMPLETED"])
    assert reads(r) == [1, 3]


async def test_a_blocking_snapshot_reads_what_was_asked_and_the_stream_goes_on(sql, reader):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    sql.execute("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (7)")
    r = reader(**{"snapshot.mode": "no_data"})
    await r.until(lambda r: r.offset is not None)
    sql.execute("INSERT INTO t VALUES (3, 'c')")
    r.signals.append(execute(type="blocking", **{"additional-conditions": [{"data-collection": "public.t", "filter": "SELECT * FROM t WHERE id <> 2"}]}))
    await r.until(lambda r: len(reads(r)) == 2)
    sql.execute("UPDATE t SET v = 'd' WHERE id = 1")
    await r.until(lambda r: ("u", 1) in r.ops())
    assert r.ops("t") == [("c", 3), ("r", 1), ("r", 3), ("u", 1)]
    assert reads(r, "u") == []
    assert "snapshot" not in r.offset


async def test_a_blocking_snapshot_that_is_cut_goes_on_after_the_restart(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    sql.execute("INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)")
    r = reader(**{"snapshot.mode": "no_data"})
    await r.until(lambda r: r.offset is not None)
    r.signals.append(execute("public.a,public.b", type="blocking"))
    await r.until(lambda r: r.offset.get("snapshot") == "BLOCKING")
    await r.until(lambda r: reads(r, "a") and reads(r, "b") and "snapshot" not in r.offset)
    assert set(reads(r, "a")) == set(reads(r, "b")) == {1}


async def test_signals_that_are_wrong_are_told_and_change_nothing(sql, reader, capsys):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    r = reader(**{"snapshot.mode": "no_data"})
    await r.until(lambda r: r.offset is not None)
    r.signals += [
        Signal("1", "nonsense", "{}"), Signal("2", "execute-snapshot", "not json"), Signal("3", "execute-snapshot", "{}"),
        Signal("4", "execute-snapshot", '{"data-collections": ["("]}'), Signal("5", "execute-snapshot", '{"data-collections": [7]}'),
        Signal("6", "log", '{"message": "at {}"}'), Signal("7", "stop-snapshot", None), Signal("8", "log", "{}"),
    ]  # fmt: skip
    sql.execute("INSERT INTO t VALUES (2)")
    await r.until(lambda r: ("c", 2) in r.ops() and not r.signals)
    said = capsys.readouterr().out
    for part in ("nonsense", "data is not JSON", "data-collections is missing", "is no valid regular expression", "not a list of strings", "lsn_commit", "message is missing"):
        assert part in said
    assert reads(r) == []
