"""Rows of MySQL that are committed behind others of greater numbers or later timestamps: lost without the look back, found with it."""

import asyncio
import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest
from polls_of_tables import count, has, run, until

from pycdc.servers.mariadb import MariaDb

#: They read INNODB_TRX, which only one should do at a time.
pytestmark = pytest.mark.xdist_group("mysql")

ORDERS = "CREATE TABLE t_orders (id int AUTO_INCREMENT PRIMARY KEY, num varchar(100))"


def insert(sql, *names):
    for name in names:
        sql.execute(f"INSERT INTO t_orders (num) VALUES ('{name}')")


async def commit(sql):
    await asyncio.to_thread(sql.commit)


async def test_without_looking_back_a_late_row_is_lost(mysql, another_mysql, mysql_polls):
    mysql.execute(ORDERS)
    insert(another_mysql, "late")
    insert(mysql, "early")
    p = mysql_polls(late__commit__lookback__ids=0)
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another_mysql)
        insert(mysql, "next")
        await go_on(has(2, 3))
    assert p.offset("t_orders") == {"incrementing": 3}


async def test_a_late_row_is_found(mysql, another_mysql, mysql_polls):
    mysql.execute(ORDERS)
    insert(another_mysql, "late")
    insert(mysql, "early")
    p = mysql_polls()
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another_mysql)
        await go_on(has(1, 2))
        insert(mysql, "next")
        await go_on(has(1, 2, 3))
    assert p.ids() == [2, 1, 3]


async def test_a_late_row_is_found_after_a_restart(mysql, another_mysql, mysql_polls):
    mysql.execute(ORDERS)
    insert(another_mysql, "late")
    insert(mysql, "early")
    p = mysql_polls()
    await p.until(has(2))
    another_mysql.commit()
    # the position alone tells what was seen
    await p.until(lambda q: has(1, 2)(q) and q.history[-1]["pycdc_snapshot"] == "missing:")
    insert(mysql, "next")
    await p.until(has(1, 2, 3))


async def test_what_was_undone_is_not_waited_for(mysql, another_mysql, mysql_polls):
    mysql.execute(ORDERS)
    insert(mysql, "a")
    insert(another_mysql, "b", "c")
    insert(mysql, "d")
    another_mysql.connection.rollback()
    p = mysql_polls()
    await p.until(has(1, 4))
    insert(mysql, "e")
    await p.until(has(1, 4, 5))
    # changed rows are not late ones
    mysql.execute("UPDATE t_orders SET num = CONCAT(num, '!')")
    insert(mysql, "f")
    await p.until(has(1, 4, 5, 6))


async def test_rows_below_the_window_are_not_looked_for(mysql, another_mysql, mysql_polls):
    mysql.execute(ORDERS)
    insert(another_mysql, "late")
    insert(mysql, *"abcdefgh")
    p = mysql_polls(late__commit__lookback__ids=5)
    async with p.open() as go_on:
        await go_on(count(8))
        await commit(another_mysql)
        insert(mysql, "next")
        await go_on(count(9))
    assert 1 not in p.ids()


async def test_among_many_numbers_that_never_came(mysql, another_mysql, mysql_polls):
    """Every second number is missing for good, as on servers that write side by side."""
    mysql.execute(f"{ORDERS}; INSERT INTO t_orders (id) SELECT 2 * seq FROM seq_1_to_2000")
    another_mysql.execute("INSERT INTO t_orders (id) VALUES (3001), (1)")
    p = mysql_polls()
    async with p.open() as go_on:
        await go_on(count(2000))
        await commit(another_mysql)
        await go_on(count(2002))
        assert sorted(p.ids()[2000:]) == [1, 3001]
    await p.until(lambda q: q.offset("t_orders") is not None)
    assert len(p.records) == 2002


# ---- timestamps

STAMPED = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, at {} NOT NULL DEFAULT now{}, KEY (at))"
BY_TIME = {"mode": "timestamp", "timestamp__column__name": "at"}
BY_BOTH = {"mode": "timestamp+incrementing", "timestamp__column__name": "at", "incrementing__column__name": "id"}
modes = pytest.mark.parametrize("mode", [BY_TIME, BY_BOTH], ids=["timestamp", "both"])


@modes
async def test_without_holding_back_a_row_of_an_older_moment_is_lost(mode, mysql, another_mysql, mysql_polls):
    mysql.execute(STAMPED.format("timestamp(6)", "(6)"))
    another_mysql.execute("INSERT INTO t VALUES ()")
    mysql.execute("INSERT INTO t VALUES ()")
    p = mysql_polls(**mode, late__commit__lookback__ms=0)
    async with p.open() as go_on:
        await go_on(has(2))
        await commit(another_mysql)
        mysql.execute("INSERT INTO t VALUES ()")
        await go_on(has(2, 3))


@modes
@pytest.mark.parametrize(("kind", "now"), [("timestamp(6)", "(6)"), ("datetime", "()")])
async def test_rows_wait_for_those_who_may_write_older_ones(mode, kind, now, mysql, another_mysql, mysql_polls):
    mysql.execute(STAMPED.format(kind, now))
    another_mysql.execute("INSERT INTO t VALUES ()")
    mysql.execute("INSERT INTO t VALUES ()")
    p = mysql_polls(**mode)
    async with p.open() as go_on:
        await until(lambda: p.progress.phase == "streaming")
        await asyncio.sleep(1.2)  # polls go on, and give nothing
        assert p.records == []
        await commit(another_mysql)
        await go_on(has(1, 2))
        mysql.execute("INSERT INTO t VALUES ()")
        await go_on(has(1, 2, 3))
    assert sorted(p.ids()[:2]) == [1, 2]


async def test_a_statement_at_work_counts_from_its_beginning(mysql, another_mysql, mysql_polls):
    """Its rows have the moment at which it began, and before its first row it is no transaction yet."""
    mysql.execute(STAMPED.format("timestamp(6)", "(6)"))
    another_mysql.connection.autocommit(True)
    slow = asyncio.create_task(asyncio.to_thread(another_mysql.execute, "INSERT INTO t (id) SELECT 100 + SLEEP(2)"))
    await until(lambda: mysql.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT%SLEEP(2)%' AND command = 'Query'") == ((1,),))
    p = mysql_polls(**BY_TIME)
    async with p.open() as go_on:
        await until(lambda: p.progress.phase == "streaming")
        while not slow.done():
            await run(mysql, "INSERT INTO t (id) SELECT MAX(id) + 1 FROM (SELECT 0 AS id UNION SELECT id FROM t WHERE id < 100) AS x")
            await asyncio.sleep(0.1)
        await slow
        await go_on(lambda q: 100 in q.ids())
        wanted = {i for (i,) in mysql.execute("SELECT id FROM t")}
        await go_on(lambda q: set(q.ids()) == wanted)
    assert len(p.ids()) == len(wanted)


async def test_one_that_has_written_nothing_holds_up_for_the_window_at_most(mysql, another_mysql, mysql_polls):
    mysql.execute(STAMPED.format("timestamp(6)", "(6)"))
    another_mysql.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    mysql.execute("INSERT INTO t VALUES ()")
    began = time.monotonic()
    p = mysql_polls(**BY_TIME, late__commit__lookback__ms=1500)
    await p.until(has(1))
    assert time.monotonic() - began > 1


async def test_who_can_only_read_holds_up_nobody(mysql, another_mysql, mysql_db, mysql_session, mysql_polls):
    """Reports, and other polls of pycdc's own."""
    mysql.execute(STAMPED.format("timestamp(6)", "(6)"))
    mysql.execute("INSERT INTO t VALUES ()")
    another_mysql.execute("START TRANSACTION READ ONLY; SELECT * FROM t")
    with mysql_session(mysql_db, mysql_db.dbname) as report:
        slow = asyncio.create_task(asyncio.to_thread(report.execute, "SELECT id, SLEEP(30) FROM t"))
        await until(lambda: mysql.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT id, SLEEP%'") == ((1,),))
        await mysql_polls(**BY_TIME).until(has(1), limit=15)
        assert not slow.done()
        mysql.execute(f"KILL QUERY {report.connection.thread_id()}")
        await asyncio.gather(slow, return_exceptions=True)


async def test_without_the_privilege_the_grant_is_told(mysql, mysql_db, mysql_user, mysql_polls, capsys):
    mysql.execute(STAMPED.format("timestamp(6)", "(6)"))
    mysql.execute("INSERT INTO t VALUES ()")
    user = mysql_user(f"GRANT SELECT ON `{mysql_db.dbname}`.*")
    await mysql_polls(**BY_TIME, **user).until(has(1))
    told = capsys.readouterr().out
    assert "other clients' transactions cannot be seen" in told
    assert f"GRANT PROCESS ON *.* TO '{user['connection.user']}'@'%'" in told
    mysql.execute(f"GRANT PROCESS ON *.* TO '{user['connection.user']}'@'%'")
    await mysql_polls(**BY_TIME, **user).until(has(1))
    assert "cannot be seen" not in capsys.readouterr().out


async def test_where_others_keep_the_list_from_being_renewed_rows_wait(private_mariadb, names, mysql_session, capsys):
    """On a server of its own: everybody's rows wait."""
    db = private_mariadb
    ended = threading.Event()

    def ask():
        with mysql_session(db, "mysql") as sql, contextlib.suppress(Exception):
            while not ended.is_set():
                sql.execute("SELECT COUNT(*) FROM information_schema.innodb_trx")

    with mysql_session(db, "mysql") as sql:
        sql.execute(f"CREATE DATABASE d; USE d; {STAMPED.format('timestamp(6)', '(6)')}")
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            p = mysql_session.polls(db, "d", names, **BY_TIME)
            async with p.open(limit=40) as go_on:
                sql.execute("INSERT INTO t VALUES ()")
                await until(lambda: "others read INNODB_TRX all the time" in capsys.readouterr().out, limit=30)
                ended.set()
                await go_on(has(1))
        finally:
            ended.set()
            asking.join()


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
async def test_rows_wait_whatever_the_zone_of_the_server_is(zone, names, monkeypatch, mysql_session):
    """INNODB_TRX shows times of the server's system, whatever the session's zone."""
    monkeypatch.setenv("TZ", zone)
    server = MariaDb(Path(tempfile.mkdtemp(prefix="pycdc-zone-")) / "db", settings={"default-time-zone": "SYSTEM"})
    server.folder.parent.chmod(0o755)
    server.start()
    monkeypatch.delenv("TZ")
    try:
        with mysql_session(server, "mysql") as sql, contextlib.ExitStack() as ends:
            sql.execute(f"CREATE DATABASE d; {STAMPED.format('timestamp(6)', '(6)').replace('TABLE t', 'TABLE d.t')}")
            late = ends.enter_context(mysql_session(server, "d"))
            late.connection.autocommit(False)
            late.execute("INSERT INTO t VALUES ()")
            sql.execute("INSERT INTO d.t VALUES ()")
            p = mysql_session.polls(server, "d", names, **BY_TIME, db__timezone=zone)
            async with p.open() as go_on:
                await until(lambda: p.progress.phase == "streaming")
                await asyncio.sleep(0.5)
                assert p.records == []
                await commit(late)
                await go_on(has(1, 2))
            assert abs(p.records[0].value["at"] / 1000 - time.time()) < 60
    finally:
        server.remove()
        shutil.rmtree(server.folder.parent, ignore_errors=True)


async def test_a_replica_is_told(private_mariadb, names, mysql_session, capsys):
    """Its applier runs, whether the primary answers or not."""
    with mysql_session(private_mariadb, "mysql") as sql:
        sql.execute("SET GLOBAL server_id = 7; CREATE DATABASE d; CREATE TABLE d.t (id int, at timestamp NOT NULL)")
        sql.execute("INSERT INTO d.t VALUES (1, '2026-01-01'); CHANGE MASTER TO master_host = '127.0.0.1', master_port = 1, master_user = 'x'; START SLAVE")
    await mysql_session.polls(private_mariadb, "d", names, **BY_TIME).until(has(1))
    assert "this is a replica" in capsys.readouterr().out
