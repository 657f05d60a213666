"""Each mode of the JDBC source over a real MariaDB: what comes, in which order, and which position is stored."""

import asyncio
import sys
import time

import pytest
from polls_of_tables import count, has, run, until

from pycdc.errors import PycdcError

#: They read INNODB_TRX, which only one should do at a time.
pytestmark = pytest.mark.xdist_group("mysql")

ORDERS = "CREATE TABLE t_orders (id int AUTO_INCREMENT PRIMARY KEY, num varchar(100))"


async def test_incrementing_reads_each_row_once_and_goes_on_behind_it(mysql, mysql_db, mysql_polls):
    mysql.execute(f"{ORDERS}; INSERT INTO t_orders (num) SELECT CONCAT('n', seq) FROM seq_1_to_1200")
    p = mysql_polls()
    await p.until(lambda q: len(q.records) >= 1200 and q.offset("t_orders") == {"incrementing": 1200})
    assert p.ids() == list(range(1, 1201))
    # as the original stores it: the database is the catalog, in Java's order of members
    assert [list(partition) for partition in p.offsets] == [[("protocol", "1"), ("table", f"{mysql_db.dbname}.t_orders")]]
    first = p.records[0]
    assert (first.topic, first.key, first.key_schema, first.value) == (f"{p.prefix}t_orders", None, None, {"id": 1, "num": "n1"})
    assert first.value_schema.name == "t_orders"
    assert [(f.name, f.schema.type, f.schema.optional) for f in first.value_schema.fields] == [("id", "int32", False), ("num", "string", True)]
    mysql.execute("INSERT INTO t_orders (num) VALUES ('more')")
    await p.until(count(1201))
    assert p.records[1200].value["num"] == "more"


async def test_a_column_added_between_polls_gives_a_new_schema(mysql, mysql_polls):
    mysql.execute(f"{ORDERS}; INSERT INTO t_orders (num) VALUES ('a')")
    p = mysql_polls()
    async with p.open() as go_on:
        await go_on(count(1))
        await run(mysql, "ALTER TABLE t_orders ADD dt date; INSERT INTO t_orders (num, dt) VALUES ('b', '1970-01-11')")
        await go_on(count(2))
        await run(mysql, "ALTER TABLE t_orders DROP num; INSERT INTO t_orders VALUES ()")
        await go_on(count(3))
        await run(mysql, "ALTER TABLE t_orders MODIFY dt datetime(3); INSERT INTO t_orders (dt) VALUES ('1970-01-01 00:00:01.5')")
        await go_on(count(4))
    assert [r.value for r in p.records] == [
        {"id": 1, "num": "a"}, {"id": 2, "num": "b", "dt": 10}, {"id": 3, "dt": None}, {"id": 4, "dt": 1500},
    ]  # fmt: skip
    assert p.records[1].value_schema.field("dt").name == "org.apache.kafka.connect.data.Date"
    assert p.records[3].value_schema.field("dt").name == "org.apache.kafka.connect.data.Timestamp"


async def test_bulk_reads_everything_at_each_poll_and_stores_nothing(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int, x text); INSERT INTO t VALUES (2, 'b'), (1, NULL)")
    p = mysql_polls(mode="bulk")
    await p.until(count(4))
    assert sorted(p.ids()[:2]) == sorted(p.ids()[2:4]) == [1, 2]
    assert p.offsets == {}


async def test_timestamp_reads_changes_and_moves_only_past_whole_timestamps(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int, at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (at))")
    mysql.execute("INSERT INTO t SELECT seq, '2026-01-01 00:00:00.123456' + INTERVAL seq DIV 100 SECOND FROM seq_0_to_1499")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at")
    await p.until(lambda q: q.offset("t") is not None and q.offset("t")["timestamp"] % 100_000 == 14_123)
    assert sorted(p.ids()) == list(range(1500))
    assert p.offset("t") == {"timestamp": 1767225614123, "timestamp_nanos": 123456000}
    # after 500 rows five timestamps are seen, of which the last may go on in the next batch
    assert p.history[0]["timestamp"] == 1767225603123
    mysql.execute("UPDATE t SET at = now(6) WHERE id = 7")
    await p.until(count(1501))
    assert p.ids()[1500:] == [7]


async def test_timestamp_and_incrementing_reads_ties_by_number(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int NOT NULL, at datetime NOT NULL); INSERT INTO t SELECT seq, '2026-01-01' FROM seq_1_to_1100")
    p = mysql_polls(mode="timestamp+incrementing", timestamp__column__name="at", incrementing__column__name="ID", db__timezone="Europe/Berlin")
    await p.until(count(1100))
    assert p.ids() == list(range(1, 1101))
    assert p.history[0] == {"incrementing": 500, "timestamp": 1767222000000, "timestamp_nanos": 0}
    assert p.offset("t")["incrementing"] == 1100


async def test_a_column_of_whole_seconds_waits_for_its_second(mysql, mysql_polls):
    """Rows go on being written with a second that has begun: none of it is read before it has ended."""
    mysql.execute("CREATE TABLE t (id int, at datetime NOT NULL DEFAULT now())")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at")
    async with p.open(limit=40) as go_on:
        for i in range(1, 41):
            await run(mysql, f"INSERT INTO t (id) VALUES ({i})")
            await asyncio.sleep(0.05)  # over two seconds, so that some begin in the middle
        await go_on(count(40))
    assert sorted(p.ids()) == list(range(1, 41))


async def test_timestamps_of_two_columns_and_where_to_begin(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int, changed datetime NULL, made datetime NOT NULL)")
    mysql.execute("INSERT INTO t VALUES (1, NULL, '2020-01-01'), (2, '2021-01-01', '2020-01-01'), (3, NULL, '2022-01-01')")
    p = mysql_polls(mode="timestamp", timestamp__column__name="changed,made", timestamp__initial=1593561600000)
    await p.until(count(2))
    assert p.ids() == [2, 3]


async def test_a_start_at_this_moment(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int, at timestamp(6) NOT NULL DEFAULT now(6)); INSERT INTO t (id, at) VALUES (1, now(6) - INTERVAL 1 SECOND)")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at", timestamp__initial=-1)
    async with p.open() as go_on:
        await until(lambda: p.progress.captured)
        for i in range(2, 9):
            await run(mysql, f"INSERT INTO t (id) VALUES ({i})")
        await go_on(lambda q: 8 in q.ids())
    assert 1 not in p.ids()


async def test_a_clock_that_went_back_is_told(mysql, mysql_db, mysql_polls, capsys):
    mysql.execute("CREATE TABLE t (id int, at datetime NOT NULL DEFAULT now()); INSERT INTO t (id) VALUES (1)")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at")
    p.offsets[(("protocol", "1"), ("table", f"{mysql_db.dbname}.t"))] = {"timestamp": 4_000_000_000_000}
    async with p.open():
        await until(lambda: "the server's clock is behind the position" in capsys.readouterr().out)
    assert p.records == []


async def test_null_in_a_tracking_column_is_told(mysql, mysql_polls, capsys):
    mysql.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (NULL)")
    await mysql_polls(incrementing__column__name="id", validate__non__null="false").until(has(1))
    assert "NULL in a tracking column are never read" in capsys.readouterr().out


async def test_rows_younger_than_the_delay_wait(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int, at timestamp NOT NULL); INSERT INTO t VALUES (1, now() - INTERVAL 1 HOUR), (2, now() - INTERVAL 1 MINUTE)")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at", timestamp__delay__interval__ms=600_000)
    async with p.open() as go_on:
        await go_on(count(1))
        await run(mysql, "UPDATE t SET at = now() - INTERVAL 20 MINUTE WHERE id = 2")
        await go_on(count(2))
    assert p.ids() == [1, 2]


async def test_a_query_goes_to_the_topic_of_the_prefix(mysql, mysql_polls):
    mysql.execute("CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, x int); CREATE TABLE b (x int, name text)")
    mysql.execute("INSERT INTO a (x) VALUES (1), (2); INSERT INTO b VALUES (1, 'one'), (2, 'two')")
    p = mysql_polls(query="SELECT a.id, b.name FROM a JOIN b USING (x)", incrementing__column__name="id")
    await p.until(count(2))
    assert [(r.topic, r.value) for r in p.records] == [(p.prefix, {"id": 1, "name": "one"}), (p.prefix, {"id": 2, "name": "two"})]
    assert p.records[0].value_schema.name is None
    assert p.offsets == {(("query", "query"),): {"incrementing": 2}}
    mysql.execute("INSERT INTO a (x) VALUES (2)")
    await p.until(count(3))
    assert p.ids() == [1, 2, 3]


async def test_a_suffix_limits_each_poll(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_25")
    p = mysql_polls(query__suffix="LIMIT 10")
    await p.until(count(25))
    assert p.ids() == list(range(1, 26))
    assert [o["incrementing"] for o in p.history] == [10, 20, 25]


async def test_views_are_read_when_asked_for(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int NOT NULL, n decimal(5,2)); CREATE VIEW v AS SELECT id, n FROM t; INSERT INTO t VALUES (1, 1.5), (2, NULL)")
    p = mysql_polls(table__types="VIEW", incrementing__column__name="id")
    await p.until(count(2))
    assert [(r.topic.removeprefix(p.prefix), r.value["id"]) for r in p.records] == [("v", 1), ("v", 2)]


async def test_tables_that_come_while_it_runs_are_read(mysql, mysql_polls):
    mysql.execute("CREATE TABLE a (id serial); INSERT INTO a VALUES ()")
    p = mysql_polls(table__blacklist="out")
    async with p.open() as go_on:
        await go_on(count(1))
        await run(mysql, "CREATE TABLE b (id serial); CREATE TABLE `out` (id serial); INSERT INTO b VALUES (); INSERT INTO `out` VALUES ()")
        await go_on(count(2))
        await run(mysql, "DROP TABLE b; INSERT INTO a VALUES ()")
        await go_on(count(3))
    assert [r.topic.removeprefix(p.prefix) for r in p.records] == ["a", "b", "a"]


async def test_a_lost_connection_is_made_again(mysql, mysql_db, mysql_polls):
    mysql.execute("CREATE TABLE t (id serial); INSERT INTO t VALUES ()")
    p = mysql_polls()
    async with p.open() as go_on:
        await go_on(count(1))
        others = mysql.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{mysql_db.dbname}' AND id <> CONNECTION_ID()")
        for (thread,) in others:
            await run(mysql, f"KILL {thread}")
        mysql.execute("INSERT INTO t VALUES ()")
        await go_on(count(2))
    assert p.ids() == [1, 2]
    assert p.progress.reconnects


async def test_a_server_that_is_killed_loses_nothing(private_mariadb, names, mysql_session):
    db = private_mariadb
    with mysql_session(db, "mysql") as sql:
        sql.execute("CREATE DATABASE d; CREATE TABLE d.t (id int AUTO_INCREMENT PRIMARY KEY); INSERT INTO d.t SELECT seq FROM seq_1_to_1000")
    p = mysql_session.polls(db, "d", names)
    async with p.open(limit=60) as go_on:
        await go_on(count(1000))
        await asyncio.to_thread(db.kill)
        await asyncio.to_thread(db.start)
        with mysql_session(db, "d") as sql:
            sql.execute("INSERT INTO t VALUES ()")
        await go_on(lambda q: len(set(q.ids())) == 1001)
    assert p.progress.reconnects


# ---- stopping, and memory


async def test_a_source_is_closed_while_the_server_thinks(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    p = mysql_polls(mode="bulk", query="SELECT SLEEP(60) AS x FROM t")
    async with p.open() as _:
        await until(lambda: mysql.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(60)%'") == ((1,),))
        began = time.monotonic()
    assert time.monotonic() - began < 10


async def test_rows_are_streamed(mysql, mysql_polls):
    """A reader that is left in the middle of a large result has taken no more of it than it was asked for."""
    mysql.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, x text); INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_60000")
    source = mysql_polls().source()
    seen = []

    async def load(partition):
        return None

    async def settle():
        pass

    from pycdc.plugins.contracts import Progress, SourceContext

    await source.open(SourceContext("test", "0", load, None, settle, progress=Progress()))
    while len(seen) < 1000:
        batch = await source.read()
        for piece in batch.runs:
            assert sum(len(row[1]) for row in piece.rows) < 2 << 20
            assert sys.getsizeof(piece.rows) < 1 << 20
            seen += [int(row[0]) for row in piece.rows]
    assert seen == list(range(1, len(seen) + 1))
    began = time.monotonic()
    await source.close()
    assert time.monotonic() - began < 10


# ---- positions of the original


@pytest.mark.parametrize("form", ["new", "old"])
async def test_positions_of_the_original_are_gone_on_from(form, mysql, mysql_db, mysql_polls):
    mysql.execute("CREATE TABLE t (id serial); INSERT INTO t SELECT seq FROM seq_1_to_5")
    p = mysql_polls()
    places = {"new": {"protocol": "1", "table": f"{mysql_db.dbname}.t"}, "old": {"table": "t"}}
    p.offsets[tuple(places[form].items())] = {"incrementing": 3}
    await p.until(count(2))
    assert p.ids() == [4, 5]
    assert p.offsets[tuple(places["new"].items())]["incrementing"] == 5


async def test_a_timestamp_of_the_original_is_exact(mysql, mysql_db, mysql_polls):
    mysql.execute("CREATE TABLE t (id int, at datetime(6) NOT NULL)")
    mysql.execute("INSERT INTO t VALUES (1, '2026-01-01 00:00:00.123456'), (2, '2026-01-01 00:00:00.123457')")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at")
    p.offsets[(("protocol", "1"), ("table", f"{mysql_db.dbname}.t"))] = {"timestamp": 1767225600123, "timestamp_nanos": 123456000}
    await p.until(count(1))
    assert p.ids() == [2]


# ---- zones


@pytest.mark.parametrize(("zone", "moment"), [("UTC", 1782864000000), ("Europe/Berlin", 1782856800000)])
async def test_timestamps_are_those_of_the_original_whatever_the_zone(zone, moment, mysql, mysql_polls, capsys):
    """The server is in UTC: in another db.timezone the original shifts a TIMESTAMP, and stores such positions."""
    mysql.execute("CREATE TABLE t (id int, at timestamp NOT NULL, plain datetime NOT NULL); INSERT INTO t VALUES (1, '2026-07-01', '2026-07-01')")
    p = mysql_polls(mode="timestamp", timestamp__column__name="at", db__timezone=zone)
    async with p.open() as go_on:
        await go_on(count(1))
        # now() in the same clock: nothing waits for hours, nothing is passed by
        await run(mysql, "INSERT INTO t VALUES (2, now() - INTERVAL 1 SECOND, now())")
        await go_on(count(2))
    assert (p.records[0].value["at"], p.records[0].value["plain"]) == (moment, moment)
    assert ("another zone than db.timezone" in capsys.readouterr().out) is (zone != "UTC")


async def test_the_session_takes_the_zone_of_the_url(mysql, mysql_db, mysql_polls, capsys):
    mysql.execute("CREATE TABLE t (id int, at timestamp NOT NULL); INSERT INTO t VALUES (1, '2026-07-01')")
    address = f"jdbc:mysql://{mysql_db.host}:{mysql_db.port}/{mysql_db.dbname}"
    p = mysql_polls(mode="bulk", **{"connection.url": f"{address}?connectionTimeZone=%2B02:00&forceConnectionTimeZoneToSession=true"})
    await p.until(count(1))
    assert p.records[0].value["at"] == 1782864000000 + 7200_000
    assert "another zone than db.timezone" in capsys.readouterr().out


async def test_moments_are_exact_where_the_zones_are_one(mysql, mysql_polls, capsys):
    mysql.execute("CREATE TABLE t (id int, at timestamp(6) NOT NULL, plain datetime NOT NULL); INSERT INTO t VALUES (1, '2026-07-01', '2026-07-01')")
    here = {"connection.sessionVariables": "time_zone='+02:00'", "db.timezone": "Etc/GMT-2"}
    p = mysql_polls(mode="timestamp", timestamp__column__name="at", **here)
    async with p.open() as go_on:
        await go_on(count(1))
        await run(mysql, "INSERT INTO t VALUES (2, now(6), now())")
        await go_on(count(2))
    assert (p.records[0].value["at"], p.records[0].value["plain"]) == (1782864000000, 1782864000000 - 7200_000)
    assert p.history[0]["timestamp"] == 1782864000000
    assert "another zone" not in capsys.readouterr().out


# ---- bad input


@pytest.mark.parametrize(
    ("table", "config", "words"),
    [
        ("(id int NOT NULL)", {}, ["no column of the table grows", "incrementing.column.name", "AUTO_INCREMENT"]),
        ("(id int NOT NULL)", {"incrementing__column__name": "nr"}, ["the column nr is not there", "columns: id", "table.blacklist"]),
        ("(id int)", {"incrementing__column__name": "id"}, ["may be NULL", "validate.non.null", "ALTER TABLE `", "MODIFY `id` int NOT NULL"]),
        ("(id text NOT NULL)", {"incrementing__column__name": "id"}, ["no whole number", "it is text", "BIGINT"]),
        ("(id decimal(5,2) NOT NULL)", {"incrementing__column__name": "id"}, ["no whole number", "it is decimal"]),
        ("(id int, at date NOT NULL)", {"mode": "timestamp", "timestamp__column__name": "at"}, ["no timestamp", "it is date", "DATETIME"]),
        ("(id int, at datetime(3))", {"mode": "timestamp", "timestamp__column__name": "at"}, ["may be NULL", "MODIFY `at` datetime(3) NOT NULL"]),
        ("(id int, at timestamp NOT NULL, b datetime NOT NULL)", {"mode": "timestamp", "timestamp__column__name": "at,b"}, ["of two types"]),
    ],
)
async def test_a_column_that_guards_nothing_is_told(table, config, words, mysql, mysql_polls):
    mysql.execute(f"CREATE TABLE t {table}")
    with pytest.raises(PycdcError) as caught:
        await mysql_polls(**config).until(lambda _: False)
    assert not [w for w in words if w not in str(caught.value)], str(caught.value)


async def test_two_tables_of_one_name_are_told(mysql, mysql_db, mysql_polls):
    mysql.execute(f"CREATE TABLE t (id serial); CREATE DATABASE `{mysql_db.dbname}_2`; CREATE TABLE `{mysql_db.dbname}_2`.t (id serial)")
    try:
        with pytest.raises(PycdcError, match=r"several tables would go to the topic .*_t") as caught:
            await mysql_polls(**{"catalog.pattern": f"{mysql_db.dbname}%"}).until(lambda _: False)
        assert "catalog.pattern" in str(caught.value)
        mysql.execute("INSERT INTO t VALUES ()")
        await mysql_polls(table__whitelist=f"{mysql_db.dbname}.t", **{"catalog.pattern": ""}).until(count(1))
        await mysql_polls(table__whitelist=f"`{mysql_db.dbname}`.`t`", **{"catalog.pattern": ""}).until(count(1))
        await mysql_polls(**{"catalog.pattern": "", "connection.nullDatabaseMeansCurrent": "true"}).until(count(1))
    finally:
        mysql.execute(f"DROP DATABASE `{mysql_db.dbname}_2`")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"connection.user": "nobody", "connection.password": "wrong"}, ["cannot connect to MySQL", "Access denied for user 'nobody'", "ALTER USER 'nobody'@'%'"]),
        ({"connection.url": "jdbc:mariadb://127.0.0.1:1/d", "connection.attempts": "1"}, ["cannot connect to MySQL", "127.0.0.1:1/d", "Connection refused"]),
        ({"query": "SELECT 1 AS x, 2 AS x", "mode": "bulk"}, ["Duplicate column name 'x'", "SELECT a.id AS"]),
        ({"query": "SELECT nope FROM nowhere", "mode": "bulk"}, ["nowhere"]),
    ],
)
async def test_what_the_server_refuses_is_told(change, words, mysql, mysql_polls):
    p = mysql_polls(**change)
    with pytest.raises(PycdcError) as caught:
        await p.until(lambda _: False)
    assert not [w for w in words if w not in str(caught.value)], str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_without_a_driver_the_command_that_brings_it_is_told(mysql_polls, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(PycdcError) as caught:
        await mysql_polls().until(lambda _: False)
    assert "the driver of MySQL is not installed" in str(caught.value)
    assert "pip install pymysql" in str(caught.value)


async def test_a_table_without_privilege_is_told(mysql, mysql_db, mysql_polls, mysql_user):
    mysql.execute("CREATE TABLE t (id serial)")
    user = mysql_user(f"GRANT SELECT (id) ON `{mysql_db.dbname}`.t")
    mysql.execute("ALTER TABLE t ADD secret int")
    with pytest.raises(PycdcError) as caught:
        await mysql_polls(**user).until(lambda _: False)
    assert f"GRANT SELECT ON database.* TO '{user['connection.user']}'@'%'" in str(caught.value)


async def test_names_without_quotes(mysql, mysql_polls):
    mysql.execute("CREATE TABLE t (id serial, `order` int); INSERT INTO t VALUES ()")
    p = mysql_polls(quote__sql__identifiers="never")
    await p.until(has(1))


async def test_without_tables_it_waits_for_one(mysql, mysql_polls, capsys):
    p = mysql_polls(table__whitelist="t")
    async with p.open() as go_on:
        await until(lambda: p.progress.phase != "starting")
        await run(mysql, "CREATE TABLE t (id serial); INSERT INTO t VALUES ()")
        await go_on(count(1))
    assert "no table is chosen" in capsys.readouterr().out
