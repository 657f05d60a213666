"""The ClickHouse sink against the real engine, embedded (chDB): what a batch leaves, versions, partial rows, refusals."""

import datetime
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import BadRow, ConnectionLost, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.record import Header, Record
from pycdc.plugins.contracts import SinkContext

GOLDEN = Path(__file__).parents[2] / "differential" / "golden"
CREATES = {"auto.create": "true"}
UNAVAILABLE = "__debezium_unavailable_value"


def records(case, topic):
    """The captured messages of a topic, as a consumer would give them."""
    document = json.loads((GOLDEN / f"{case}.json").read_text())
    converter = JsonConverter(JsonConverterConfig.of(), is_key=False)

    def read(text):
        if text is None:
            return None, None
        full = re.sub("\u00a7(s\\d+)\u00a7", lambda m: document["schemas_raw"][m.group(1)], text)
        return converter.read(topic, full.encode())

    for offset, r in enumerate(document["records"][topic]):
        (key_schema, key), (schema, value) = read(r["key_raw"]), read(r["value_raw"])
        yield Record(topic=topic, partition=0, offset=offset, key_schema=key_schema, key=key, value_schema=schema, value=value)


def event(offset, op, row, *, key=None, topic="t", before=None, partition=0, headers=()):
    """An envelope without schemas."""
    value = {"op": op, "before": before, "after": None if op == "d" else row, "source": {"schema": "public", "table": topic}}
    return Record(topic=topic, partition=partition, offset=offset, key=key or {"id": row["id"]}, value=value, headers=headers)


def plain(offset, row, *, key=None, topic="t", partition=0):
    """An unwrapped record; row None is a tombstone."""
    return Record(topic=topic, partition=partition, offset=offset, key=key or {"id": row["id"]}, value=row)


async def put(sink, *given, position=None):
    sink.put(given)
    await sink.flush(position)


# ---- what a batch leaves


async def test_captured_events_leave_the_newest_rows_deletes_included(clickhouse):
    async with clickhouse.opened(**CREATES) as sink:
        await put(sink, *records("ri_full", "ri_full.public.full_t"))
        assert clickhouse.rows("SELECT * EXCEPT (_version, _is_deleted) FROM full_t FINAL") == []
        assert clickhouse.rows("SELECT count() > 0 FROM full_t") == [(1,)]


async def test_captured_values_arrive_exactly(clickhouse):
    async with clickhouse.opened(**CREATES) as sink:
        await put(sink, next(iter(records("ri_full", "ri_full.public.full_t"))))
    row = clickhouse.rows("SELECT id, a, n, j, _is_deleted, ts FROM full_t FINAL")[0]
    assert row[:5] == (1, "a", Decimal("1.00"), "{}", 0)
    assert row[5].replace(tzinfo=datetime.UTC) == datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


async def test_the_position_is_found_again(clickhouse):
    async with clickhouse.opened() as sink:
        assert await sink.load_position() is None
        await put(sink, position={"lsn": 5})
        await put(sink, position={"lsn": 6, "what": "it's"})
    async with clickhouse.opened() as sink:
        assert await sink.load_position() == {"lsn": 6, "what": "it's"}
        await put(sink, position={"lsn": 7})
        assert await sink.load_position() == {"lsn": 7}


TABLE = "CREATE TABLE t (id Int64, s String, n Nullable(Int32), _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id"


async def test_a_truncate_empties_the_table_and_what_follows_stays(clickhouse):
    clickhouse.command(TABLE)
    emptied = Record(topic="t", partition=0, offset=3, value={"op": "t", "source": {"table": "t"}})
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", {"id": 1, "s": "a", "n": 1}))
        await put(sink, event(2, "c", {"id": 2, "s": "b", "n": 1}), emptied, event(4, "c", {"id": 3, "s": "c", "n": 1}))
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(3,)]


async def test_many_tables_in_one_batch(clickhouse):
    async with clickhouse.opened() as sink:
        for n in range(6):
            clickhouse.command(TABLE.replace(" t ", f" t{n} "))
        await put(sink, *(event(i, "c", {"id": i, "s": "", "n": i}, topic=f"t{i % 6}") for i in range(60)))
        assert {table: (w.upserts, w.deletes) for table, w in sink.written.items()} == {f"t{n}": (10, 0) for n in range(6)}
    assert [clickhouse.rows(f"SELECT count() FROM t{n} FINAL") for n in range(6)] == [[(10,)]] * 6


# ---- which table


@pytest.mark.parametrize(
    ("topic", "options", "table"),
    [
        ("shop.public.t", {}, "t"),
        ("shop.public.t", {"topic2TableMap": "shop.public.t=other"}, "other"),
        ("shop.public.t", {"topic2TableMap": "x=y,shop.public.t={database}_b.far"}, "{database}_b.far"),
        ("{database}_b-far", {"enableDbTopicSplit": "true", "dbTopicSplitChar": "-"}, "{database}_b.far"),
        ("whole.name", {}, "`whole.name`"),
    ],
)
async def test_the_table_of_a_topic(clickhouse, topic, options, table):
    second = f"{clickhouse.database}_b"
    clickhouse.command(f"CREATE DATABASE {second}")
    try:
        for name in ("t", "other", "`whole.name`", f"{second}.far"):
            clickhouse.command(TABLE.replace(" t ", f" {name} "))
        filled = {k: v.format(database=clickhouse.database) for k, v in options.items()}
        async with clickhouse.opened(**filled) as sink:
            topic = topic.format(database=clickhouse.database)
            await put(sink, plain(1, {"id": 1, "s": "a", "n": 1}, topic=topic))
        assert clickhouse.rows(f"SELECT id FROM {table.format(database=clickhouse.database)}") == [(1,)]
    finally:
        clickhouse.command(f"DROP DATABASE {second}")


async def test_a_missing_table_is_told(clickhouse):
    async with clickhouse.opened() as sink:
        with pytest.raises(TargetSchemaError, match="auto.create"):
            await put(sink, event(1, "c", {"id": 1}, topic="nowhere"))


async def test_a_missing_table_is_passed_over_when_asked_for(clickhouse):
    clickhouse.command(TABLE)
    async with clickhouse.opened(suppressTableExistenceException="true") as sink:
        await put(sink, event(1, "c", {"id": 1}, topic="nowhere"), event(2, "c", {"id": 1, "s": "", "n": 1}))
    assert clickhouse.rows("SELECT id FROM t") == [(1,)]


async def test_a_server_that_is_not_there_is_told_without_the_password(clickhouse):
    sink = clickhouse.sink(**{"clickhouse.dsn": "", "hostname": "127.0.0.1", "port": "1", "password": "secret!"})
    with pytest.raises(ConnectionLost, match="127.0.0.1:1") as error:
        await sink.open(SinkContext("ch", "0"))
    assert "secret!" not in str(error.value)


# ---- versions (DESIGN rule 12)


async def test_a_topic_overtakes_older_versions_and_a_new_one_of_its_name_overtakes_it(clickhouse):
    clickhouse.command(TABLE)
    clickhouse.command("INSERT INTO t VALUES (1, 'older', 0, 1700000000000, 0)")
    for incarnation, value, offset in (("first", "a", 7), ("first", "b", 8), ("second", "c", 7), ("third", "d", 7)):
        async with clickhouse.opened(incarnation) as sink:
            await put(sink, event(offset, "u", {"id": 1, "s": value, "n": None}))
        assert clickhouse.rows("SELECT s FROM t FINAL WHERE id = 1") == [(value,)]


async def test_a_record_read_again_gets_its_version_again(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, _version UInt64, _is_deleted UInt8) ENGINE = MergeTree ORDER BY id")
    for _ in range(2):
        async with clickhouse.opened("one") as sink:
            await put(sink, event(3, "c", {"id": 1}), event(4, "c", {"id": 2}))
    assert clickhouse.rows("SELECT id, _version FROM t ORDER BY 1, 2") == [(1, 4), (1, 4), (2, 5), (2, 5)]


async def test_without_a_broker_the_position_is_the_version(clickhouse):
    first = next(iter(records("ri_full", "ri_full.public.full_t")))
    async with clickhouse.opened(**CREATES) as sink:
        await put(sink, first.replace(partition=None, offset=(5 << 64) | 2))
    assert clickhouse.rows("SELECT _version FROM full_t") == [((5 << 64) | 2,)]


async def test_without_a_broker_a_narrow_version_counts_on_from_the_newest(clickhouse):
    clickhouse.command(TABLE)
    clickhouse.command("INSERT INTO t VALUES (1, 'older', 0, 900, 0)")
    async with clickhouse.opened() as sink:
        await put(sink, event(5 << 64, "u", {"id": 1, "s": "new", "n": 1}, partition=None))
    assert clickhouse.rows("SELECT s, _version FROM t FINAL") == [("new", 901)]


# ---- rows known in part


async def test_rows_known_in_part_are_completed_from_the_target_in_one_query(clickhouse, monkeypatch):
    clickhouse.command(
        "CREATE TABLE t (id Int64, k String, s Nullable(String), a Array(Nullable(String)), d DateTime64(6, 'Europe/Berlin'), n Decimal(40, 3), "
        "e Enum8('a''b' = 1), _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY (id, k)"
    )
    odd = "tab\t nl\n \\N 'q' \u2028"
    # 00:30 UTC and 01:30 UTC are both 02:30 in Berlin on that day
    rows = [{"id": i, "k": odd, "s": odd if i else None, "a": [odd, None], "d": f"2024-10-27T0{i % 2}:30:00.000001Z", "n": "1234567890123456789012345.678",
             "e": "a'b"} for i in range(5)]  # fmt: skip
    async with clickhouse.opened() as sink:
        keys = [{"id": r["id"], "k": odd} for r in rows]
        await put(sink, *(event(i, "c", r, key=k) for i, (r, k) in enumerate(zip(rows, keys, strict=True))))
        before = clickhouse.rows("SELECT * EXCEPT (_version), toUnixTimestamp64Micro(d) FROM t FINAL ORDER BY id")
        asked = []
        texts = type(sink._sessions._idle[0]).texts
        monkeypatch.setattr(type(sink._sessions._idle[0]), "texts", lambda self, statement: asked.append(1) or texts(self, statement))
        await put(sink, *(
            event(10 + i, "u", {"id": r["id"], "k": odd, "s": UNAVAILABLE, "a": [UNAVAILABLE], "d": r["d"], "n": r["n"], "e": None}, key=k,
                  headers=(Header("pycdc.unavailable", None, "d,n,e"),))
            for i, (r, k) in enumerate(zip(rows, keys, strict=True))
        ))  # fmt: skip
    assert len(asked) == 1
    assert clickhouse.rows("SELECT * EXCEPT (_version), toUnixTimestamp64Micro(d) FROM t FINAL ORDER BY id") == before
    assert clickhouse.rows("SELECT count() FROM t") == [(10,)]


async def test_a_part_of_a_row_goes_over_what_the_batch_and_the_target_know(clickhouse):
    clickhouse.command(TABLE)
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", {"id": 1, "s": "kept", "n": 1}))
        await put(
            sink, event(2, "u", {"id": 1, "s": UNAVAILABLE, "n": 2}), event(3, "c", {"id": 2, "s": "new", "n": 3}),
            event(4, "u", {"id": 2, "s": UNAVAILABLE, "n": 4}), event(5, "u", {"id": 1, "s": UNAVAILABLE, "n": None}),
        )  # fmt: skip
    assert clickhouse.rows("SELECT id, s, n FROM t FINAL ORDER BY id") == [(1, "kept", None), (2, "new", 4)]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("engine", ["_version, _deleted", "_version"])
async def test_a_part_of_a_row_that_is_not_there_is_refused_with_what_mends_it(clickhouse, gone, engine):
    clickhouse.command(f"CREATE TABLE t (id Int64, s String, n Nullable(Int32), _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree({engine}) ORDER BY id")
    async with clickhouse.opened() as sink:
        if gone:
            await put(sink, event(1, "c", {"id": 1, "s": "a", "n": 1}))
            await put(sink, event(2, "d", {"id": 1}))
        with pytest.raises(BadRow, match="REPLICA IDENTITY FULL.*ReselectColumnsPostProcessor") as error:
            await put(sink, event(3, "u", {"id": 1, "s": UNAVAILABLE, "n": 2}))
    assert error.value.record == ("t", 0, 3)


# ---- rows at fault


GOOD = {"id": 1, "i": 1, "d": 1, "t": 1, "s": "", "n": "1.23", "e": "a"}
NARROW = (
    "CREATE TABLE t (id Int64, i Nullable(Int32), d Nullable(Date32), t Nullable(DateTime64(6)), s String, n Nullable(Decimal(12, 2)), "
    "e Nullable(Enum8('a' = 1)), _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id"
)


@pytest.mark.parametrize(
    ("column", "value"),
    [("i", 2**31), ("i", 1.5), ("d", -40_000), ("t", 10**18), ("t", 9223372036825200000), ("s", None), ("n", "1.234"), ("e", "unknown-secret")],
)
async def test_a_value_that_the_column_cannot_hold_is_named_and_not_clamped(clickhouse, column, value):
    clickhouse.command(NARROW)
    async with clickhouse.opened() as sink:
        with pytest.raises(BadRow, match="partition 0, offset 6") as error:
            await put(sink, event(5, "c", GOOD), event(6, "c", {**GOOD, "id": 2, column: value}), event(7, "c", {**GOOD, "id": 3}))
    assert "secret" not in str(error.value)
    assert clickhouse.rows("SELECT count() FROM t") == [(0,)]


async def test_rows_at_fault_are_left_out_and_the_others_written_in_their_order(clickhouse):
    clickhouse.command(NARROW)
    async with clickhouse.opened(tolerant=True) as sink:
        await put(
            sink, *(event(i, "c", {**GOOD, "id": i}) for i in range(40)), event(40, "u", {**GOOD, "id": 7, "e": "bad"}), event(41, "d", {"id": 8}),
            event(42, "c", {**GOOD, "id": 50, "i": 2**40}), event(43, "u", {**GOOD, "id": 9, "s": "last"}),
        )  # fmt: skip
        assert sorted((r.topic, r.partition, r.offset) for r in sink.refused) == [("t", 0, 40), ("t", 0, 42)]
    assert clickhouse.rows("SELECT count(), countIf(id = 7), countIf(id = 8), countIf(s = 'last') FROM t FINAL") == [(39, 1, 0, 1)]


async def test_what_was_written_before_a_row_was_refused_is_not_written_twice(clickhouse):
    """Two blocks, since the columns differ; the second one is refused by the server."""
    clickhouse.command("CREATE TABLE t (id Int64, e Enum8('a' = 1), more Nullable(Int32), _version UInt64) ENGINE = MergeTree ORDER BY id")
    async with clickhouse.opened(tolerant=True) as sink:
        await put(sink, plain(1, {"id": 1, "e": "a"}), plain(2, {"id": 2, "e": "a", "more": 1}), plain(3, {"id": 3, "e": "no", "more": 1}))
        assert [r.offset for r in sink.refused] == [3]
    assert clickhouse.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


async def test_changes_in_columns_are_taken_as_well(clickhouse):
    clickhouse.command(TABLE)
    async with clickhouse.opened() as sink:
        keys, rows = [{"id": 1}, {"id": 2}, {"id": 1}], [{"id": 1, "s": "a", "n": 1}, {"id": 2, "s": "b", "n": 2}, None]
        sink.put_changes(Changes("t", {}, None, None, keys, rows, 0, [1, 2, 3]))
        await sink.flush()
        assert (sink.written["t"].upserts, sink.written["t"].deletes) == (1, 1)
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(2,)]


@pytest.mark.parametrize("options", [{"clickhouseSettings": "async_insert=1,insert_deduplication_token=x"}, {}])
async def test_inserts_never_wait_in_the_servers_own_buffer(clickhouse, options):
    """async_insert is on by default since 26.2; a token of the user's would make all blocks but the first vanish."""
    clickhouse.command(TABLE + " SETTINGS non_replicated_deduplication_window = 100")
    async with clickhouse.opened(**options) as sink:
        for i in range(3):
            await put(sink, event(i, "c", {"id": i, "s": "", "n": 1}))
            assert clickhouse.rows("SELECT count() FROM t") == [(i + 1,)]
