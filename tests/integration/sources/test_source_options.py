"""Options of the source that only a server can show: each test would fail if the option did nothing."""

import pytest

from pycdc.errors import ServerError, SlotLost
from pycdc.model.lsn import parse_lsn


def count(n):
    return lambda reader: len(reader.events) >= n


def identity(sql, table):
    return sql.execute("SELECT relreplident FROM pg_class WHERE oid = %s::regclass", [table]).fetchone()[0]


async def test_replica_identities_are_set_at_the_start(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int NOT NULL)")
    sql.execute("CREATE UNIQUE INDEX c_id ON c (id)")
    r = reader(**{"replica.identity.autoset.values": r"public\.[a]:FULL,public.B:nothing,public.c:INDEX c_id"})
    await r.until(lambda r: r.offset is not None)
    assert [identity(sql, t) for t in "abc"] == ["f", "n", "i"]


async def test_an_identity_that_cannot_be_set_is_told_and_the_stream_goes_on(sql, reader, capsys):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    r = reader(**{"replica.identity.autoset.values": "public.a:INDEX no_such_index"})
    await r.until(lambda r: r.offset is not None)
    sql.execute("INSERT INTO a VALUES (1)")
    await r.until(count(1))
    assert 'ALTER TABLE "public"."a" REPLICA IDENTITY USING INDEX "no_such_index"' in capsys.readouterr().out


async def behind_the_slot(sql, r, slot):
    """An offset that is older than the slot: someone else has confirmed what came since."""
    await r.until(lambda r: r.offset is not None and r.offset.get("lsn_proc"))
    old = dict(r.offset)
    sql.execute("INSERT INTO a VALUES (10)")
    sql.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_insert_lsn())", [slot])
    r.offset = old


@pytest.mark.parametrize("strategy", ["no_validation", "trust_offset"])
async def test_a_slot_ahead_of_the_offset_is_an_error(strategy, sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    r = reader(**{"snapshot.mode": "no_data", "offset.mismatch.strategy": strategy})
    await behind_the_slot(sql, r, names.slot)
    with pytest.raises(SlotLost, match="older than the replication slot"):
        await r.until(count(1))


@pytest.mark.parametrize("strategy", ["trust_slot", "trust_greater_lsn"])
async def test_who_trusts_the_slot_goes_on_from_it_and_is_told(strategy, sql, reader, names, capsys):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    r = reader(**{"snapshot.mode": "no_data", "offset.mismatch.strategy": strategy})
    await behind_the_slot(sql, r, names.slot)
    sql.execute("INSERT INTO a VALUES (11)")
    await r.until(count(1))
    assert r.ops() == [("c", 11)]
    assert "what lies between is not delivered" in capsys.readouterr().out


async def test_trust_slot_reads_again_what_the_offset_has_passed(sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    r = reader(**{"snapshot.mode": "no_data", "offset.mismatch.strategy": "trust_slot", "lsn.flush.mode": "manual"})
    await r.until(lambda r: r.offset is not None)
    sql.execute("INSERT INTO a VALUES (1)")
    await r.until(count(1))
    await r.until(count(2))
    assert r.ops() == [("c", 1), ("c", 1)]


async def test_manual_flush_confirms_nothing(sql, reader, names):
    def confirmed():
        query = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s"
        return parse_lsn(sql.execute(query, [names.slot]).fetchone()[0])

    sql.execute("CREATE TABLE a (id int PRIMARY KEY)")
    r = reader(**{"snapshot.mode": "no_data", "flush.lsn.source": "false"})
    await r.until(lambda r: r.offset is not None)
    before = confirmed()
    for i in range(3):
        sql.execute("INSERT INTO a VALUES (%s)", [i])
        await r.until(count(i + 1))
    assert confirmed() == before


async def test_too_many_tables_fail_or_are_told(sql, reader, capsys):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    limit = {"guardrail.collections.max": "1"}
    with pytest.raises(ServerError, match="2 tables would be captured"):
        await reader(**limit, **{"guardrail.collections.limit.action": "fail"}).until(count(1))
    await reader(**limit).until(lambda r: r.offset is not None)
    assert "more tables are captured than guardrail.collections.max" in capsys.readouterr().out


@pytest.mark.parametrize(("order", "expected"), [("ascending", ["b", "a"]), ("descending", ["a", "b"]), ("disabled", ["a", "b"])])
async def test_tables_are_read_in_the_order_that_was_asked(order, expected, sql, reader):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 50); ANALYZE a")
    sql.execute("CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 5); ANALYZE b")
    r = reader(**{"snapshot.tables.order.by.row.count": order})
    await r.until(count(55))
    assert list(dict.fromkeys(t for _, t, _, _ in r.events)) == expected


@pytest.mark.parametrize(("skipped", "expected"), [("d", ["c"]), ("c", ["d"]), ("u", ["d", "c"]), ("c,d", [])])
async def test_a_key_change_is_a_delete_and_a_create_to_skipped_operations(skipped, expected, sql, reader, names):
    sql.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE z (id int PRIMARY KEY)")
    sql.execute(f"CREATE PUBLICATION {names.publication} FOR ALL TABLES")  # one that sends everything
    sql.execute("INSERT INTO a VALUES (1)")
    r = reader(**{"snapshot.mode": "no_data", "skipped.operations": skipped})
    await r.until(lambda r: r.offset is not None)
    sql.execute("UPDATE a SET id = 2; UPDATE a SET id = 2; SELECT pg_logical_emit_message(true, 'end', '')")
    await r.until(lambda r: "m" in [e[0] for e in r.messages])
    assert [op for op, table, _, _ in r.events if table == "a"] == [*expected, *([] if "u" in skipped else ["u"])]


async def test_the_catalog_has_the_time_that_was_given(reader, capsys):
    r = reader(**{"snapshot.mode": "no_data", "database.query.timeout.ms": "30", "heartbeat.interval.ms": "10",
                  "heartbeat.action.query": "SELECT pg_sleep(20)"})  # fmt: skip
    await r.until(lambda _: "statement timeout" in capsys.readouterr().out)
