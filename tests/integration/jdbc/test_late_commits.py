"""Rows that are committed behind others of greater numbers or later timestamps: lost without the look back, found with it."""

import asyncio

import psycopg
import pytest
from polls_of_tables import Polls, count, has, run

from pycdc.servers.postgres import binaries
from pycdc.servers.process import run as server_command
from pycdc.servers.process import unprivileged
from pycdc.testing.plugin import Database

ORDERS = "CREATE TABLE t_orders (id serial PRIMARY KEY, num varchar(100))"


def inserts(conn, *names):
    for name in names:
        conn.execute("INSERT INTO t_orders (num) VALUES (%s)", [name])


async def commit(conn):
    await asyncio.to_thread(conn.commit)


async def test_without_looking_back_a_late_row_is_lost(sql, another, polls):
    sql.execute(ORDERS)
    inserts(another, "late")
    inserts(sql, "early")
    p = polls(late__commit__lookback__ids=0)
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another)
        inserts(sql, "next")
        await go_on(has(2, 3))


async def test_a_late_row_is_found(sql, another, polls):
    sql.execute(ORDERS)
    inserts(another, "late")
    inserts(sql, "early")
    p = polls()
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another)
        await go_on(has(1, 2))
        inserts(sql, "next")
        await go_on(has(1, 2, 3))
    assert p.ids() == [2, 1, 3]
    assert p.offset("t_orders") == {"incrementing": 3}


async def test_rows_of_savepoints_are_found(sql, another, polls):
    """A snapshot lists transactions, not their parts: those look as if they had ended before it."""
    sql.execute(ORDERS)
    inserts(another, "late")
    for name in ("a", "b"):
        with another.transaction():
            inserts(another, name)
    inserts(sql, "early")
    p = polls()
    async with p.open() as go_on:
        await go_on(has(4))
        inserts(sql, "next")
        await go_on(has(4, 5))
        await commit(another)
        await go_on(has(1, 2, 3, 4, 5))


async def test_a_late_row_is_found_after_a_restart(sql, another, polls):
    sql.execute(ORDERS)
    inserts(another, "late")
    inserts(sql, "early")
    p = polls()
    await p.until(has(2))
    another.commit()
    # the position alone tells what was seen
    await p.until(lambda q: 1 in q.ids())


async def test_a_quiet_restart_reads_nothing_twice(private_postgres, names):
    """On a server of its own: a snapshot tells of everybody who is at work in the cluster."""
    db = Database("127.0.0.1", private_postgres.port, "postgres", "postgres")
    with psycopg.connect(db.dsn, autocommit=True) as sql:
        sql.execute(ORDERS)
        inserts(sql, *"abc")
        p = Polls(db, names)
        await p.until(has(1, 2, 3))
        inserts(sql, "d")
        await p.until(has(1, 2, 3, 4))


async def test_changed_rows_are_not_late_ones(sql, another, polls):
    sql.execute(ORDERS)
    inserts(sql, *"abc")
    another.execute("INSERT INTO t_orders (num) VALUES ('open')")
    p = polls()
    async with p.open() as go_on:
        await go_on(has(1, 2, 3))
        await run(sql, "UPDATE t_orders SET num = num || '!'")
        inserts(sql, "next")
        await go_on(has(1, 2, 3, 5))
        await commit(another)
        await go_on(has(1, 2, 3, 4, 5))


async def test_rows_below_the_window_are_not_looked_for(sql, another, polls):
    sql.execute(ORDERS)
    inserts(another, "late")
    inserts(sql, *"abcdefgh")
    p = polls(late__commit__lookback__ids=5)
    async with p.open() as go_on:
        await go_on(count(8))
        await commit(another)
        inserts(sql, "next")
        await go_on(count(9))
    assert 1 not in p.ids()


# ---- timestamps

STAMPED = "CREATE TABLE t (id int, at timestamptz NOT NULL DEFAULT now()); CREATE INDEX ON t (at)"
BY_TIME = {"mode": "timestamp", "timestamp__column__name": "at"}


@pytest.mark.parametrize("mode", [BY_TIME, {**BY_TIME, "mode": "timestamp+incrementing", "incrementing__column__name": "id", "validate__non__null": "false"}])
async def test_rows_wait_for_transactions_that_began_before_them(mode, sql, another, polls):
    sql.execute(STAMPED)
    sql.execute("INSERT INTO t VALUES (0)")
    another.execute("INSERT INTO t VALUES (1)")
    sql.execute("INSERT INTO t VALUES (2)")
    p = polls(**mode)
    async with p.open() as go_on:
        await go_on(has(0))
        await asyncio.sleep(0.3)
        assert p.ids() == [0]
        await commit(another)
        await go_on(has(0, 1, 2))
    assert p.ids() == [0, 1, 2]


async def test_without_waiting_a_late_timestamp_is_lost(sql, another, polls):
    sql.execute(STAMPED)
    another.execute("INSERT INTO t VALUES (1)")
    sql.execute("INSERT INTO t VALUES (2)")
    p = polls(**BY_TIME, late__commit__lookback__ms=0)
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another)
        sql.execute("INSERT INTO t VALUES (3)")
        await go_on(has(2, 3))


@pytest.mark.parametrize("mode", [BY_TIME, {**BY_TIME, "mode": "timestamp+incrementing", "incrementing__column__name": "id", "validate__non__null": "false"}])
async def test_timestamps_of_the_clients_own_are_found_behind_the_position(mode, sql, polls):
    sql.execute(STAMPED)
    sql.execute("INSERT INTO t VALUES (1, now() - interval '10 s')")
    p = polls(**mode)
    async with p.open() as go_on:
        await go_on(has(1))
        sql.execute("INSERT INTO t VALUES (2, now() - interval '20 s'), (3, now() - interval '200 s')")
        await go_on(has(1, 2))
        sql.execute("INSERT INTO t VALUES (4, now() - interval '5 s')")
        await go_on(has(1, 2, 4))


async def test_a_long_report_holds_rows_back_no_longer_than_the_window(sql, another, polls):
    sql.execute(STAMPED)
    another.execute("SELECT count(*) FROM t")
    sql.execute("INSERT INTO t VALUES (1)")
    p = polls(**BY_TIME, late__commit__lookback__ms=700)
    await p.until(has(1))


async def test_a_role_that_sees_no_other_transactions_is_told(sql, postgres_db, another, names, capsys):
    sql.execute(STAMPED)
    sql.execute(f"CREATE ROLE {names.base} LOGIN; GRANT SELECT ON t TO {names.base}")
    try:
        another.execute("INSERT INTO t VALUES (1)")
        sql.execute("INSERT INTO t VALUES (2)")
        p = Polls(postgres_db._replace(user=names.base), names, **BY_TIME)
        async with p.open() as go_on:
            await go_on(has(2))
            await commit(another)
            await go_on(has(1, 2))  # behind the position
        assert f'GRANT pg_monitor TO "{names.base}"' in capsys.readouterr().out
    finally:
        sql.execute(f"REVOKE ALL ON t FROM {names.base}; DROP ROLE {names.base}")


# ---- numbers of transactions beyond 32 bits


async def test_transactions_of_a_later_epoch(private_postgres, names):
    private_postgres.stop()
    server_command([binaries() / "pg_resetwal", "-e", "7", "-D", private_postgres.data], user=unprivileged())
    private_postgres.start()
    db = Database("127.0.0.1", private_postgres.port, "postgres", "postgres")
    with psycopg.connect(db.dsn, autocommit=True) as sql, psycopg.connect(db.dsn) as another:
        assert sql.execute("SELECT txid_current() >> 32").fetchone() == (7,)
        sql.execute(ORDERS)
        inserts(sql, "first")
        inserts(another, "late")
        inserts(sql, "early")
        p = Polls(db, names)
        async with p.open() as go_on:
            await go_on(has(1, 3))
            await commit(another)
            await go_on(has(1, 2, 3))
        assert p.offset("t_orders") == {"incrementing": 3}


async def test_a_restart_reads_nothing_again_once_those_at_work_have_ended(sql, another, polls):
    sql.execute(ORDERS)
    another.execute("CREATE TABLE other (id int)")
    inserts(sql, *"abc")
    p = polls(table__whitelist="t_orders")
    async with p.open() as go_on:
        await go_on(has(1, 2, 3))
        await commit(another)
        before = len(p.history)
        await go_on(lambda q: len(q.history) > before)
    inserts(sql, "d")
    await p.until(has(1, 2, 3, 4))


async def test_a_late_row_of_a_partition_is_found(sql, another, polls):
    sql.execute("CREATE TABLE p (id serial) PARTITION BY HASH (id); CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0)")
    sql.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
    another.execute("INSERT INTO p DEFAULT VALUES")
    sql.execute("INSERT INTO p DEFAULT VALUES")
    p = polls(table__types="PARTITIONED TABLE")
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another)
        await go_on(has(1, 2))
