"""Each mode of the JDBC source over a real server: what comes, in which order, and which position is stored."""

import pytest
from polls_of_tables import count, has, run, until

from pycdc.errors import PycdcError


async def test_incrementing_reads_each_row_once_and_goes_on_behind_it(sql, polls):
    sql.execute("CREATE TABLE t_orders (id serial PRIMARY KEY, num varchar(100))")
    sql.execute("INSERT INTO t_orders (num) SELECT 'n' || g FROM generate_series(1, 1200) g")
    p = polls()
    await p.until(count(1200))
    assert p.ids() == list(range(1, 1201))
    assert p.offset("t_orders") == {"incrementing": 1200}
    first = p.records[0]
    assert (first.topic, first.key, first.key_schema, first.value) == (f"{p.prefix}t_orders", None, None, {"id": 1, "num": "n1"})
    assert first.value_schema.name == "t_orders"
    assert [(f.name, f.schema.type, f.schema.optional) for f in first.value_schema.fields] == [("id", "int32", False), ("num", "string", True)]
    sql.execute("INSERT INTO t_orders (num) VALUES ('more')")
    # rows may come again that were written while another transaction of the cluster, of any test, was at work
    await p.until(lambda q: 1201 in q.ids())
    assert p.offset("t_orders") == {"incrementing": 1201}


async def test_a_column_added_between_polls_gives_a_new_schema(sql, polls):
    sql.execute("CREATE TABLE t_orders (id serial PRIMARY KEY, num varchar(100)); INSERT INTO t_orders (num) VALUES ('a')")
    p = polls()
    async with p.open() as go_on:
        await go_on(count(1))
        await run(sql, "ALTER TABLE t_orders ADD dt date; INSERT INTO t_orders (num, dt) VALUES ('b', '1970-01-11')")
        await go_on(count(2))
        await run(sql, "ALTER TABLE t_orders DROP num; INSERT INTO t_orders DEFAULT VALUES")
        await go_on(count(3))
        await run(sql, "ALTER TABLE t_orders ALTER dt TYPE timestamp; INSERT INTO t_orders (dt) VALUES ('1970-01-01 00:00:01.5')")
        await go_on(count(4))
    assert [r.value for r in p.records] == [
        {"id": 1, "num": "a"}, {"id": 2, "num": "b", "dt": 10}, {"id": 3, "dt": None}, {"id": 4, "dt": 1500},
    ]  # fmt: skip
    assert p.records[1].value_schema.field("dt").name == "org.apache.kafka.connect.data.Date"
    assert p.records[3].value_schema.field("dt").name == "org.apache.kafka.connect.data.Timestamp"


async def test_bulk_reads_everything_at_each_poll_and_stores_nothing(sql, polls):
    sql.execute("CREATE TABLE t (id int, x text); INSERT INTO t VALUES (2, 'b'), (1, NULL)")
    p = polls(mode="bulk")
    await p.until(count(4))
    assert p.ids()[:4] == [2, 1, 2, 1]
    assert p.offsets == {}


async def test_timestamp_reads_changes_and_moves_only_past_whole_timestamps(sql, polls):
    sql.execute("CREATE TABLE t (id int, at timestamptz NOT NULL)")
    sql.execute("INSERT INTO t SELECT g, '2026-01-01 00:00:00.123456Z'::timestamptz + (g / 100) * interval '1 s' FROM generate_series(0, 1499) g")
    p = polls(mode="timestamp", timestamp__column__name="at")
    await p.until(lambda q: q.offset("t") is not None and q.offset("t")["timestamp"] % 100_000 == 14_123)
    assert sorted(p.ids()) == list(range(1500))
    assert p.offset("t") == {"timestamp": 1767225614123, "timestamp_nanos": 123456000}
    # after 500 rows five timestamps are seen, of which the last may go on in the next batch
    assert p.history[0]["timestamp"] == 1767225603123
    sql.execute("UPDATE t SET at = now() - interval '1 s' WHERE id = 7")
    await p.until(count(1501))
    assert p.ids()[1500:] == [7]


async def test_timestamp_and_incrementing_reads_ties_by_number(sql, polls):
    sql.execute("CREATE TABLE t (id int NOT NULL, at timestamp NOT NULL)")
    sql.execute("INSERT INTO t SELECT g, '2026-01-01' FROM generate_series(1, 1100) g")
    p = polls(mode="timestamp+incrementing", timestamp__column__name="at", incrementing__column__name="ID", db__timezone="Europe/Berlin")
    await p.until(count(1100))
    assert p.ids() == list(range(1, 1101))
    assert {**p.history[0], "pycdc_snapshot": ""} == {"incrementing": 500, "timestamp": 1767222000000, "timestamp_nanos": 0, "pycdc_snapshot": ""}
    assert p.offset("t")["incrementing"] == 1100


async def test_timestamps_of_two_columns_and_where_to_begin(sql, polls):
    sql.execute("CREATE TABLE t (id int, changed timestamptz, made timestamptz NOT NULL)")
    sql.execute("INSERT INTO t VALUES (1, NULL, '2020-01-01Z'), (2, '2021-01-01Z', '2020-01-01Z'), (3, NULL, '2022-01-01Z')")
    p = polls(mode="timestamp", timestamp__column__name="changed,made", timestamp__initial=1593561600000)
    await p.until(count(2))
    assert p.ids() == [2, 3]


async def test_a_start_at_this_moment(sql, polls):
    sql.execute("CREATE TABLE t (id int, at timestamptz NOT NULL DEFAULT clock_timestamp()); INSERT INTO t VALUES (1)")
    p = polls(mode="timestamp", timestamp__column__name="at", timestamp__initial=-1)
    async with p.open() as go_on:
        await until(lambda: p.progress.captured)
        for i in range(2, 9):
            await run(sql, f"INSERT INTO t VALUES ({i})")
        await go_on(lambda q: 8 in q.ids())
    assert 1 not in p.ids()


async def test_a_clock_that_went_back_is_told(sql, polls, capsys):
    sql.execute("CREATE TABLE t (id int, at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1)")
    p = polls(mode="timestamp", timestamp__column__name="at")
    p.offsets[(("protocol", "1"), ("table", "public.t"))] = {"timestamp": 4_000_000_000_000}
    async with p.open():
        await until(lambda: "the server's clock is behind the position" in capsys.readouterr().out)
    assert p.records == []


@pytest.mark.parametrize("mode", ["timestamp", "timestamp+incrementing"])
async def test_rows_of_a_clock_that_went_back_are_found_behind_the_position(mode, sql, polls):
    """As long as it went back by less than is looked back by."""
    sql.execute("CREATE TABLE t (id serial, at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1, now() - interval '5 s')")
    p = polls(mode=mode, timestamp__column__name="at")
    await p.until(count(1))
    ((place, stored),) = p.offsets.items()
    p.offsets[place] = {**stored, "timestamp": stored["timestamp"] + 35_000}  # read when the clock was half a minute ahead
    async with p.open() as go_on:
        await run(sql, "INSERT INTO t VALUES (2), (3)")
        await go_on(count(3))
        await run(sql, "INSERT INTO t VALUES (4)")
        await go_on(count(4))
    assert p.ids() == [1, 2, 3, 4]


async def test_null_in_a_tracking_column_is_told(sql, polls, capsys):
    sql.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (NULL)")
    await polls(incrementing__column__name="id", validate__non__null="false").until(has(1))
    assert "NULL in a tracking column are never read" in capsys.readouterr().out


async def test_rows_younger_than_the_delay_wait(sql, polls):
    sql.execute("CREATE TABLE t (id int, at timestamptz NOT NULL); INSERT INTO t VALUES (1, now() - interval '1 hour'), (2, now() - interval '1 min')")
    p = polls(mode="timestamp", timestamp__column__name="at", timestamp__delay__interval__ms=600_000)
    async with p.open() as go_on:
        await go_on(count(1))
        await run(sql, "UPDATE t SET at = now() - interval '20 min' WHERE id = 2")
        await go_on(count(2))
    assert p.ids() == [1, 2]


async def test_a_query_goes_to_the_topic_of_the_prefix(sql, polls):
    sql.execute("CREATE TABLE a (id serial PRIMARY KEY, x int); CREATE TABLE b (x int, name text)")
    sql.execute("INSERT INTO a (x) VALUES (1), (2); INSERT INTO b VALUES (1, 'one'), (2, 'two')")
    p = polls(query="SELECT a.id, b.name FROM a JOIN b USING (x)", incrementing__column__name="id")
    await p.until(count(2))
    assert [(r.topic, r.value) for r in p.records] == [(p.prefix, {"id": 1, "name": "one"}), (p.prefix, {"id": 2, "name": "two"})]
    assert p.records[0].value_schema.name is None
    assert {p: {k: v for k, v in o.items() if k != "pycdc_snapshot"} for p, o in p.offsets.items()} == {(("query", "query"),): {"incrementing": 2}}
    sql.execute("INSERT INTO a (x) VALUES (2)")
    await p.until(count(3))
    assert p.ids() == [1, 2, 3]


async def test_a_suffix_limits_each_poll(sql, polls):
    sql.execute("CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t SELECT FROM generate_series(1, 25)")
    p = polls(query__suffix="LIMIT 10")
    await p.until(count(25))
    assert p.ids() == list(range(1, 26))
    assert [o["incrementing"] for o in p.history] == [10, 20, 25]


async def test_views_and_partitioned_tables_are_read_when_asked_for(sql, polls):
    sql.execute("CREATE TABLE t (id int NOT NULL, n numeric(5,2)) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    sql.execute("CREATE VIEW v AS SELECT id, n FROM t; INSERT INTO t VALUES (1, 1.5), (2, NULL)")
    p = polls(table__types="PARTITIONED TABLE,VIEW", incrementing__column__name="id", validate__non__null="false")
    await p.until(count(4))
    assert sorted((r.topic.removeprefix(p.prefix), r.value["id"]) for r in p.records) == [("t", 1), ("t", 2), ("v", 1), ("v", 2)]


async def test_tables_that_come_while_it_runs_are_read(sql, polls):
    sql.execute("CREATE TABLE a (id serial); INSERT INTO a DEFAULT VALUES")
    p = polls(table__blacklist="out")
    async with p.open() as go_on:
        await go_on(count(1))
        await run(sql, "CREATE TABLE b (id serial); CREATE TABLE out (id serial); INSERT INTO b DEFAULT VALUES; INSERT INTO out DEFAULT VALUES")
        await go_on(count(2))
        await run(sql, "DROP TABLE b; INSERT INTO a DEFAULT VALUES")
        await go_on(count(3))
    assert [r.topic.removeprefix(p.prefix) for r in p.records] == ["a", "b", "a"]


async def test_a_lost_connection_is_made_again(sql, polls):
    sql.execute("CREATE TABLE t (id serial); INSERT INTO t DEFAULT VALUES")
    p = polls()
    async with p.open() as go_on:
        await go_on(count(1))
        await run(sql, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pycdc test' AND datname = current_database()")
        sql.execute("INSERT INTO t DEFAULT VALUES")
        await go_on(count(2))
    assert p.ids() == [1, 2]
    assert p.progress.reconnects


# ---- positions of the original


@pytest.mark.parametrize("partition", ["new", "long", "old"])
async def test_positions_of_the_original_are_gone_on_from(partition, postgres_db, sql, polls):
    sql.execute("CREATE TABLE t (id serial); INSERT INTO t SELECT FROM generate_series(1, 5)")
    p = polls()
    places = {"new": {"protocol": "1", "table": "public.t"}, "long": {"protocol": "1", "table": f"{postgres_db.dbname}.public.t"}, "old": {"table": "t"}}
    p.offsets[tuple(places[partition].items())] = {"incrementing": 3}
    await p.until(count(2))
    assert p.ids() == [4, 5]
    stored = places["new" if partition == "old" else partition]
    assert p.offsets[tuple(stored.items())]["incrementing"] == 5


async def test_a_timestamp_of_the_original_is_exact(sql, polls):
    sql.execute("CREATE TABLE t (id int, at timestamp NOT NULL)")
    sql.execute("INSERT INTO t VALUES (1, '2026-01-01 00:00:00.123456'), (2, '2026-01-01 00:00:00.123457')")
    p = polls(mode="timestamp", timestamp__column__name="at")
    p.offsets[(("protocol", "1"), ("table", "public.t"))] = {"timestamp": 1767225600123, "timestamp_nanos": 123456000}
    await p.until(count(1))
    assert p.ids() == [2]


async def test_without_a_position_all_is_read_again(sql, polls):
    sql.execute("CREATE TABLE t (id serial); INSERT INTO t SELECT FROM generate_series(1, 3)")
    p = polls()
    await p.until(count(3))
    p.offsets.clear()
    await p.until(count(6))
    assert p.ids() == [1, 2, 3, 1, 2, 3]


# ---- bad input


@pytest.mark.parametrize(
    ("table", "config", "words"),
    [
        ("(id int NOT NULL)", {}, ["no column of the table grows", "public.t", "incrementing.column.name"]),
        ("(id int NOT NULL)", {"incrementing__column__name": "nr"}, ["the column nr is not there", "columns: id"]),
        ("(id int)", {"incrementing__column__name": "id"}, ["may be NULL", "validate.non.null", 'ALTER TABLE "public"."t" ALTER COLUMN "id" SET NOT NULL']),
        ("(id text NOT NULL)", {"incrementing__column__name": "id"}, ["no whole number", "it is text"]),
        ("(id numeric NOT NULL)", {"incrementing__column__name": "id"}, ["no whole number", "it is numeric"]),
        ("(id int, at date NOT NULL)", {"mode": "timestamp", "timestamp__column__name": "at"}, ["no timestamp", "it is date"]),
        ("(id int, at timestamp)", {"mode": "timestamp", "timestamp__column__name": "at"}, ["may be NULL"]),
        ("(id int, at timestamp, b timestamptz NOT NULL)", {"mode": "timestamp", "timestamp__column__name": "at,b"}, ["of two types"]),
    ],
)
async def test_a_column_that_guards_nothing_is_told(table, config, words, sql, polls):
    sql.execute(f"CREATE TABLE t {table}")
    with pytest.raises(PycdcError) as caught:
        await polls(**config).until(lambda _: False)
    assert not [w for w in words if w not in str(caught.value)], str(caught.value)


async def test_two_tables_of_one_name_are_told(sql, polls):
    sql.execute("CREATE SCHEMA s; CREATE TABLE s.t (id serial); CREATE TABLE t (id serial)")
    with pytest.raises(PycdcError, match=r"several tables would go to the topic .*_t"):
        await polls().until(lambda _: False)
    sql.execute("INSERT INTO s.t DEFAULT VALUES")
    p = polls(table__whitelist="s.t")
    await p.until(count(1))
    assert p.offsets.keys() == {(("protocol", "1"), ("table", "s.t"))}


async def test_names_without_quotes(sql, polls):
    sql.execute('CREATE TABLE t (id serial, "order" int); INSERT INTO t DEFAULT VALUES')
    p = polls(quote__sql__identifiers="never")
    await p.until(has(1))


async def test_without_tables_it_waits_for_one(sql, polls, capsys):
    p = polls(table__whitelist="t")
    async with p.open() as go_on:
        await until(lambda: p.progress.phase != "starting")
        await run(sql, "CREATE TABLE t (id serial)")
        await run(sql, "INSERT INTO t DEFAULT VALUES")
        await go_on(count(1))
    assert "no table is chosen" in capsys.readouterr().out
