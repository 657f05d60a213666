"""ReselectColumnsPostProcessor on a real server: what a change does not carry is read from the table."""

import pytest

from pycdc.errors import ServerError
from pycdc.sources.postgres.config import PostgresSourceConfig

RESELECT = {
    "post.processors": "again",
    "again.type": "io.debezium.processors.reselect.ReselectColumnsPostProcessor",
    "again.reselect.columns.include.list": r"public\.t:(big|note)",
}
#: 9 kB that do not compress.
LONG = "(SELECT string_agg(md5((i * 7)::text), '') FROM generate_series(1, 280) i)"
PLACEHOLDER = "__debezium_unavailable_value"


def count(n):
    return lambda reader: len(reader.events) >= n


async def after_an_update(sql, reader, **config):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, big text, other text, note text, n int)")
    sql.execute(f"INSERT INTO t SELECT g, {LONG}, {LONG}, NULL, 0 FROM generate_series(1, 3) g")
    r = reader(**{"snapshot.mode": "no_data"}, **RESELECT, **config)
    await r.until(lambda r: r.offset is not None)
    sql.execute("UPDATE t SET n = 1")
    sql.execute("UPDATE t SET note = 'later' WHERE id = 2")
    sql.execute("DELETE FROM t WHERE id = 3")
    await r.until(count(5))
    return [e[3] for e in r.events if e[0] == "u"]


async def test_what_is_unavailable_and_null_is_read_from_the_row_as_it_is_now(sql, reader):
    rows = await after_an_update(sql, reader)
    big = sql.execute(f"SELECT {LONG}").fetchone()[0]
    assert [(r["id"], r["big"] == big, r["other"] == PLACEHOLDER, r["note"]) for r in rows] == [
        (1, True, True, None),
        (2, True, True, "later"),
        (3, False, True, None),  # it is gone: the placeholder stays
        (2, True, True, "later"),
    ]


async def test_only_what_was_asked_for(sql, reader):
    rows = await after_an_update(sql, reader, **{"again.reselect.null.values": "false", "again.reselect.unavailable.values": "false"})
    assert [(r["big"], r["note"]) for r in rows] == [(PLACEHOLDER, None)] * 3 + [(PLACEHOLDER, "later")]


async def test_a_row_that_is_gone_stops_the_stream_when_asked(sql, reader):
    with pytest.raises(ServerError, match="cannot be re-selected"):
        await after_an_update(sql, reader, **{"again.reselect.error.handling.mode": "fail", "errors.max.retries": "0"})


async def test_a_key_change_and_keys_of_several_columns(sql, reader):
    sql.execute("CREATE TABLE t (a int, b text, big text, note text, PRIMARY KEY (b, a))")
    sql.execute(f"INSERT INTO t VALUES (1, 'it''s', {LONG}, NULL), (2, 'x', {LONG}, 'n')")
    r = reader(**{"snapshot.mode": "no_data"}, **RESELECT)
    await r.until(lambda r: r.offset is not None)
    sql.execute("UPDATE t SET a = a + 10")
    await r.until(count(4))
    assert [(op, len(after["big"]) if after else None) for op, _, _, after in r.events] == [("d", None), ("c", 8960), ("d", None), ("c", 8960)]


def test_a_wrong_post_processor_is_told_with_every_fault():
    base = {"topic.prefix": "p", "database.hostname": "h", "database.user": "u", "database.dbname": "d"}
    faults = []
    PostgresSourceConfig.parse(base | {"post.processors": "a,b", "a.type": "com.acme.Mine", "b.type": RESELECT["again.type"]}, faults)
    assert [f.key for f in faults] == ["a.type", "b.type"]
    faults = []
    PostgresSourceConfig.parse(base | RESELECT | {"again.reselect.null.values": "perhaps", "again.resel": "x"}, faults)
    assert [f.key for f in faults] == ["again.reselect.null.values", "again.resel"]
