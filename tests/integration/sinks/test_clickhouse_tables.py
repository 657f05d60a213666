"""Tables as they are: engines, columns under whatever names, keys that do not fit; tables made and altered."""

import asyncio
from decimal import Decimal

import pytest

from pycdc.errors import BadRow, ConfigError, TargetSchemaError
from pycdc.model.record import Record
from pycdc.model.schema import DECIMAL, INT32, INT64, STRING, Schema, struct
from pycdc.plugins.contracts import SinkContext

MERGE, COLLAPSE = {"clickhouse.table.engine": "MergeTree"}, {"clickhouse.table.engine": "CollapsingMergeTree"}


def event(offset, op, row, *, key=None, before=None, topic="t", schema=None, key_schema=None, partition=0):
    value = {"op": op, "before": before, "after": None if op == "d" else row, "source": {"schema": "public", "table": topic}}
    envelope = None if schema is None else struct([("before", schema), ("after", schema), ("op", STRING)], name="t.Envelope")
    return Record(topic=topic, partition=partition, offset=offset, key={"id": row["id"]} if key is None else key or None, key_schema=key_schema,
                  value=value, value_schema=envelope)  # fmt: skip


def tombstone(offset, key, topic="t"):
    return Record(topic=topic, partition=0, offset=offset, key=key, value=None)


async def put(sink, *given):
    sink.put(given)
    await sink.flush()


ROW = {"id": 1, "s": "a"}


# ---- ReplacingMergeTree in all its forms


@pytest.mark.parametrize(
    ("columns", "engine", "alive"),
    [
        ("_version UInt64, _deleted UInt8 DEFAULT 0", "ReplacingMergeTree(_version)", "_deleted = 0"),
        ("_version UInt64, _deleted UInt8", "ReplacingMergeTree(_version, _deleted)", "1"),
        ("`odd, name` UInt128, `gone)` UInt8", "ReplacingMergeTree(`odd, name`, `gone)`)", "1"),
        ("ver UInt32, is_deleted Bool", "ReplacingMergeTree(ver)", "NOT is_deleted"),
        ("mark UInt8", "ReplacingMergeTree", "mark = 0"),
    ],
)
async def test_version_and_delete_mark_are_what_the_engine_says(clickhouse, columns, engine, alive):
    clickhouse.command(f"CREATE TABLE t (id Int64, s String, {columns}) ENGINE = {engine} ORDER BY id")
    async with clickhouse.opened(**{"clickhouse.deleted.column": "mark"}) as sink:
        await put(sink, event(1, "c", ROW), event(2, "c", {"id": 2, "s": "x"}))
        await put(sink, event(3, "u", {"id": 1, "s": "b"}), event(4, "d", {"id": 2}), tombstone(5, {"id": 2}))
        await put(sink, event(6, "c", {"id": 3, "s": "c"}))
    assert clickhouse.rows(f"SELECT id, s FROM t FINAL WHERE {alive} ORDER BY id") == [(1, "b"), (3, "c")]


async def test_a_table_that_cannot_hold_deletes_refuses_them_with_what_mends_it(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY id")
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", ROW))
        with pytest.raises(BadRow, match="ADD COLUMN _is_deleted UInt8") as error:
            await put(sink, event(2, "d", ROW))
    assert error.value.record == ("t", 0, 2)
    clickhouse.command("ALTER TABLE t ADD COLUMN _is_deleted UInt8")
    async with clickhouse.opened() as sink:
        await put(sink, event(2, "d", ROW))
    assert clickhouse.rows("SELECT _is_deleted FROM t FINAL") == [(1,)]


async def test_deletes_are_left_out_when_asked_for(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY id")
    async with clickhouse.opened(**{"clickhouse.deletes": "skip"}) as sink:
        await put(sink, event(1, "c", ROW), event(2, "d", ROW), tombstone(3, {"id": 1}))
        assert sink.written["t"].deletes == 0
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(1,)]


async def test_deletes_that_come_as_marked_rows_are_deletes(clickhouse):
    """ExtractNewRecordState with delete.tombstone.handling.mode=rewrite and add.fields."""
    clickhouse.command("CREATE TABLE t (id Int64, s String, _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")

    def row(offset, key, mark):
        value = {"id": key, "s": "", "__deleted": mark, "__op": "c", "__source_ts_ms": 1}
        return Record(topic="t", partition=0, offset=offset, key={"id": key}, value=value)

    async with clickhouse.opened() as sink:
        await put(sink, row(1, 1, "false"), row(2, 2, "false"))
        await put(sink, row(3, 1, "true"))
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(2,)]


async def test_a_version_of_the_records_own(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, ts UInt64, gone UInt8) ENGINE = ReplacingMergeTree(ts, gone) ORDER BY id")
    rows = [(1, 5, "new", "false"), (2, 5, "b", "false"), (1, 3, "old", "false"), (2, 6, "b", "true")]
    records = [Record(topic="t", partition=0, offset=n, key={"id": i}, value={"id": i, "s": s, "ts": ts, "__deleted": gone}) for n, (i, ts, s, gone) in enumerate(rows)]
    async with clickhouse.opened() as sink:
        with pytest.raises(TargetSchemaError, match="clickhouse.version.source=record"):
            await put(sink, records[0])
    async with clickhouse.opened(**{"clickhouse.version.source": "record"}) as sink:
        for record in records:
            await put(sink, record)
        with pytest.raises(BadRow, match="a record has no version"):
            await put(sink, tombstone(9, {"id": 1}))
        with pytest.raises(BadRow, match="has no field ts"):
            await put(sink, event(10, "c", ROW))
    assert clickhouse.rows("SELECT id, s FROM t FINAL") == [(1, "new")]


@pytest.mark.parametrize(
    ("order", "key", "told"),
    [
        ("(id, s)", {"id": 1}, "sorted by s, not only by the record's key"),
        ("(lower(s), id)", {"id": 1}, "sorted by s, not only"),
        ("id", {"id": 1, "s": "a"}, "not sorted by s of the record's key"),
        ("cityHash64(id)", {"id": 1}, "not sorted by id"),
        ("tuple()", {"id": 1}, "sorted by nothing"),
    ],
)
async def test_a_table_whose_order_is_not_the_key_is_refused_with_sql_that_mends_it(clickhouse, order, key, told):
    clickhouse.command(f"CREATE TABLE t (id Int64, s String, _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY {order}")
    async with clickhouse.opened() as sink:
        with pytest.raises(TargetSchemaError, match=told) as error:
            await put(sink, event(1, "c", ROW, key=key))
    for statement in error.value.hint.split("; or")[0].split("; "):
        clickhouse.command(statement)
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", ROW, key=key))
        await put(sink, event(2, "d", ROW, key=key))
    assert clickhouse.rows("SELECT * FROM t FINAL") == []


@pytest.mark.parametrize("order", ["(id, s)", "(s, id)", "(cityHash64(id), id, s)", "(id, s, lower(s))"])
async def test_an_order_of_the_keys_columns_is_taken(clickhouse, order):
    clickhouse.command(f"CREATE TABLE t (id Int64, s String, _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY {order}")
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", ROW, key=ROW), event(2, "d", ROW, key=ROW), event(3, "c", {"id": 2, "s": "b"}, key={"id": 2, "s": "b"}))
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(2,)]


async def test_rows_without_the_key_among_their_fields_get_it(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY id")
    async with clickhouse.opened() as sink:
        await put(sink, Record(topic="t", partition=0, offset=1, key={"id": 7}, value={"s": "a"}))
    assert clickhouse.rows("SELECT id, s FROM t") == [(7, "a")]


async def test_columns_that_nobody_can_write_are_left_alone(clickhouse):
    clickhouse.command(
        "CREATE TABLE t (id Int64, s String, up String MATERIALIZED upper(s), low String ALIAS lower(s), d String DEFAULT 'x', _version UInt64) "
        "ENGINE = ReplacingMergeTree(_version) ORDER BY id"
    )
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", ROW))
    assert clickhouse.rows("SELECT id, up, low, d FROM t") == [(1, "A", "a", "x")]


# ---- CollapsingMergeTree, MergeTree


COLLAPSING = "CREATE TABLE t (id Int64, s String, way Int8) ENGINE = CollapsingMergeTree(way) ORDER BY (id, s)"


async def test_a_collapsing_table_gets_the_old_row_and_the_new_one(clickhouse):
    clickhouse.command(COLLAPSING)
    async with clickhouse.opened(**COLLAPSE) as sink:
        assert not sink.takes_changes
        await put(sink, event(1, "r", {"id": 1, "s": "a"}), event(2, "c", {"id": 2, "s": "b"}), event(3, "u", {"id": 1, "s": "c"}, before={"id": 1, "s": "a"}))
        await put(sink, event(4, "d", {"id": 2, "s": "b"}, before={"id": 2, "s": "b"}), tombstone(5, {"id": 2}))
    assert clickhouse.rows("SELECT id, s, sum(way) FROM t GROUP BY id, s HAVING sum(way) > 0") == [(1, "c", 1)]
    assert clickhouse.rows("SELECT id, s FROM t FINAL") == [(1, "c")]
    assert clickhouse.rows("SELECT sum(way) FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (event(1, "u", ROW), "REPLICA IDENTITY FULL"),
        (event(1, "d", ROW), "REPLICA IDENTITY FULL"),
        (Record(topic="t", partition=0, offset=1, key={"id": 1}, value=ROW), "leave ExtractNewRecordState out"),
    ],
)
async def test_a_collapsing_table_needs_the_row_as_it_was(clickhouse, record, told):
    clickhouse.command(COLLAPSING)
    async with clickhouse.opened(**COLLAPSE) as sink:
        with pytest.raises(BadRow, match=told):
            await put(sink, record)


async def test_tables_that_keep_every_change_have_to_be_named(clickhouse):
    clickhouse.command(COLLAPSING)
    async with clickhouse.opened() as sink:
        with pytest.raises(TargetSchemaError, match="clickhouse.table.engine=CollapsingMergeTree"):
            await put(sink, event(1, "c", ROW))


async def test_versioned_collapsing_is_refused_with_what_takes_its_place(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, sign Int8, v UInt64) ENGINE = VersionedCollapsingMergeTree(sign, v) ORDER BY id")
    async with clickhouse.opened() as sink:
        with pytest.raises(TargetSchemaError, match="ReplacingMergeTree"):
            await put(sink, event(1, "c", ROW))


async def test_a_log_has_every_change_with_op_and_version(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, _op LowCardinality(String), _version UInt64) ENGINE = MergeTree ORDER BY _version")
    emptied = Record(topic="t", partition=0, offset=5, value={"op": "t", "source": {"table": "t"}})
    async with clickhouse.opened(**MERGE) as sink:
        await put(
            sink, event(1, "r", ROW), event(2, "c", {"id": 2, "s": "b"}), event(3, "u", {"id": 1, "s": "__debezium_unavailable_value"}, before=ROW),
            event(4, "d", {"id": 2}, before={"id": 2, "s": "b"}), tombstone(5, {"id": 2}), emptied, event(6, "d", {"id": 1}),
        )  # fmt: skip
        assert (sink.written["t"].upserts, sink.written["t"].deletes) == (3, 2)
    assert clickhouse.rows("SELECT id, s, _op, _version - min(_version) OVER () FROM t ORDER BY _version") == [
        (1, "a", "r", 0), (2, "b", "c", 1), (1, "a", "u", 2), (2, "b", "d", 3), (1, "", "d", 5)
    ]  # fmt: skip


async def test_a_log_without_a_place_for_deletes_refuses_them(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String) ENGINE = MergeTree ORDER BY id")
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", ROW), event(2, "u", ROW), Record(topic="t", partition=0, offset=3, key="text", value=ROW))
        with pytest.raises(BadRow, match="cannot hold deletes"):
            await put(sink, event(4, "d", ROW))
    assert clickhouse.rows("SELECT id FROM t") == [(1,)] * 3


async def test_a_view_behind_a_null_table_sees_every_change(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int64, s String, _is_deleted UInt8) ENGINE = Null")
    clickhouse.command("CREATE TABLE counted (n UInt64, gone UInt64) ENGINE = MergeTree ORDER BY tuple()")
    clickhouse.command("CREATE MATERIALIZED VIEW v TO counted AS SELECT count() AS n, sum(_is_deleted) AS gone FROM t")
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", ROW), event(2, "u", ROW), event(3, "d", ROW))
    assert clickhouse.rows("SELECT sum(n), sum(gone) FROM counted") == [(3, 1)]


# ---- made


def schema_of(**fields):
    return struct(list(fields.items()))


KEY = struct([("id", INT32)])
SMALL = schema_of(id=INT32, s=STRING.replace(optional=True))
CREATES = {"auto.create": "true", "auto.evolve": "true"}


def typed(offset, schema, row, **more):
    return event(offset, "c", row, schema=schema, key_schema=KEY, **more)


def shape(clickhouse, table="t"):
    full = clickhouse.rows(f"SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{table}'")[0][0]
    columns = clickhouse.rows(f"SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '{table}' ORDER BY position")
    return full.partition(" SETTINGS")[0], dict(columns)


@pytest.mark.parametrize(
    ("options", "engine", "own"),
    [
        ({}, "ReplacingMergeTree(_version, _is_deleted) ORDER BY (id)", {"_version": "UInt64", "_is_deleted": "UInt8"}),
        ({"clickhouse.version.column": "v", "clickhouse.deleted.column": "gone"}, "ReplacingMergeTree(v, gone) ORDER BY (id)", {"v": "UInt64", "gone": "UInt8"}),
        ({"clickhouse.table.partition.by": "id % 4", "clickhouse.table.order.by": "(cityHash64(id), id)"},
         "ReplacingMergeTree(_version, _is_deleted) PARTITION BY id % 4 ORDER BY (cityHash64(id), id)", {"_version": "UInt64", "_is_deleted": "UInt8"}),
        (MERGE, "MergeTree ORDER BY (id)", {"_version": "UInt64", "_op": "LowCardinality(String)"}),
        (COLLAPSE, "CollapsingMergeTree(_sign) ORDER BY (id)", {"_sign": "Int8"}),
    ],
)  # fmt: skip
async def test_a_table_is_made_as_asked_for(clickhouse, options, engine, own):
    async with clickhouse.opened(**CREATES, **options) as sink:
        await put(sink, typed(1, SMALL, ROW), typed(2, SMALL, {"id": 2, "s": None}))
        await put(sink, event(3, "d", ROW, before=ROW, schema=SMALL, key_schema=KEY))
    assert shape(clickhouse) == (engine, {"id": "Int32", "s": "Nullable(String)", **own})
    if "MergeTree" not in options.get("clickhouse.table.engine", "")[:9]:
        assert clickhouse.rows("SELECT id, s FROM t FINAL") == [(2, None)]


async def test_rows_without_key_are_all_kept(clickhouse):
    async with clickhouse.opened(**CREATES) as sink:
        await put(sink, *(typed(i, SMALL, ROW, key=()) for i in range(3)))
        with pytest.raises(BadRow, match="primary key"):
            await put(sink, event(4, "d", ROW, key=(), schema=SMALL))
    assert shape(clickhouse)[0] == "MergeTree ORDER BY tuple()"
    assert clickhouse.rows("SELECT id, s FROM t") == [(1, "a")] * 3


async def test_marked_rows_make_a_table_without_the_mark(clickhouse):
    row = schema_of(id=INT32, __deleted=STRING, __op=STRING)
    async with clickhouse.opened(**CREATES) as sink:
        for offset, (key, gone) in enumerate([(1, "false"), (2, "false"), (1, "true")]):
            value = {"id": key, "__deleted": gone, "__op": "c"}
            await put(sink, Record(topic="t", partition=0, offset=offset, key={"id": key}, key_schema=KEY, value=value, value_schema=row))
    assert shape(clickhouse)[1] == {"id": "Int32", "__op": "String", "_version": "UInt64", "_is_deleted": "UInt8"}
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(2,)]


async def test_settings_of_new_tables(clickhouse):
    async with clickhouse.opened(**CREATES, **{"clickhouse.table.settings": "index_granularity = 1024"}) as sink:
        await put(sink, typed(1, SMALL, ROW))
    assert clickhouse.rows("SELECT engine_full LIKE '%index_granularity = 1024%' FROM system.tables WHERE database = currentDatabase() AND name = 't'") == [(1,)]


async def test_deletes_do_not_make_a_table(clickhouse):
    async with clickhouse.opened(**CREATES) as sink:
        await put(sink, tombstone(1, {"id": 1}))
        await put(sink, typed(2, SMALL, ROW))
    assert clickhouse.rows("SELECT id FROM t FINAL") == [(1,)]


async def test_two_sinks_that_make_and_alter_the_same_table(clickhouse):
    wide = schema_of(id=INT32, s=STRING.replace(optional=True), more=INT64)
    sinks = [clickhouse.sink(**CREATES) for _ in range(2)]
    for sink in sinks:
        await sink.open(SinkContext("ch", "0"))
    try:
        await asyncio.gather(*(put(s, typed(n, SMALL, {"id": n, "s": "a"}, partition=n)) for n, s in enumerate(sinks)))
        await asyncio.gather(*(put(s, typed(9, wide, {"id": 2 + n, "s": "b", "more": n}, partition=n)) for n, s in enumerate(sinks)))
    finally:
        for sink in sinks:
            await sink.close()
    assert clickhouse.rows("SELECT id, s, more FROM t FINAL ORDER BY id") == [(0, "a", None), (1, "a", None), (2, "b", 0), (3, "b", 1)]


# ---- altered


def decimal(precision, scale):
    return Schema(type="bytes", name=DECIMAL, optional=True, parameters=(("scale", str(scale)), ("connect.decimal.precision", str(precision))))


async def test_columns_are_added_and_widened_while_rows_come(clickhouse):
    clickhouse.command(
        "CREATE TABLE t (id Int32, n Int16, d Nullable(Decimal(6, 2)), f Float32, s String, extra String DEFAULT 'e', _version UInt64) "
        "ENGINE = ReplacingMergeTree(_version) ORDER BY id"
    )
    first = schema_of(id=INT32, n=Schema(type="int16"), d=decimal(6, 2), f=Schema(type="float32"), s=STRING)
    then = schema_of(id=INT64, n=INT64, d=decimal(40, 4), f=Schema(type="float64"), s=STRING.replace(optional=True), more=Schema(type="array", items=INT32))
    async with clickhouse.opened(**CREATES) as sink:
        await put(sink, typed(1, first, {"id": 1, "n": 5, "d": Decimal("1.25"), "f": 1.5, "s": "a"}))
        await put(sink, typed(2, then, {"id": 2, "n": 2**40, "d": Decimal("123456789012345678901234567890123456.7891"), "f": 1e300, "s": None, "more": [1]}))
    kinds = shape(clickhouse)[1]
    assert (kinds["id"], kinds["n"], kinds["d"], kinds["f"], kinds["s"]) == ("Int32", "Int64", "Nullable(Decimal(40, 4))", "Float64", "Nullable(String)")
    assert (kinds["more"], kinds["extra"]) == ("Array(Int32)", "String")
    assert clickhouse.rows("SELECT * EXCEPT (_version, extra) FROM t FINAL ORDER BY id") == [
        (1, 5, Decimal("1.2500"), 1.5, "a", []), (2, 2**40, Decimal("123456789012345678901234567890123456.7891"), 1e300, None, [1]),
    ]  # fmt: skip


async def test_a_missing_column_is_told_with_the_statement_that_adds_it(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int32, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY id")
    async with clickhouse.opened() as sink:
        with pytest.raises(TargetSchemaError, match=r"ADD COLUMN IF NOT EXISTS `s` Nullable\(String\)") as error:
            await put(sink, typed(1, SMALL, ROW))
        clickhouse.command(error.value.hint.split("; or")[0])
        await put(sink, typed(1, SMALL, ROW))
    assert clickhouse.rows("SELECT id, s FROM t") == [(1, "a")]


async def test_a_table_that_was_altered_meanwhile_is_looked_at_again(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int32, old String, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY id")
    async with clickhouse.opened() as sink:
        await put(sink, event(1, "c", {"id": 1, "old": "a"}))
        clickhouse.command("ALTER TABLE t ADD COLUMN s String")
        await put(sink, event(2, "c", {"id": 2, "s": "b"}))
        clickhouse.command("DROP TABLE t")
        clickhouse.command("CREATE TABLE t (id Int32, s String, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY id")
        await put(sink, event(3, "c", {"id": 3, "s": "c"}))
    assert clickhouse.rows("SELECT id, s FROM t") == [(3, "c")]


async def test_a_null_in_the_key_is_refused_also_when_columns_may_change(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int32, s String, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY (id, s)")
    async with clickhouse.opened(**CREATES) as sink:
        with pytest.raises(BadRow, match="null cannot be written to column s"):
            await put(sink, event(1, "c", {"id": 1, "s": None}, key={"id": 1, "s": None}))


# ---- options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"clickhouse.table.engine": "SummingMergeTree"}, "must be ReplacingMergeTree"),
        ({"enableDbTopicSplit": "true"}, "dbTopicSplitChar"),
        ({"proxyType": "SOCKS"}, "HTTP proxies only"),
        ({"proxyType": "HTTP"}, "proxyHost"),
        ({"topic2TableMap": "a"}, "name=value"),
        ({"jdbcConnectionProperties": "?socket_timeout=soon"}, "milliseconds"),
        ({"time.precision.mode": "hours"}, "must be one of"),
    ],
)
def test_wrong_options_are_told(clickhouse, options, told):
    with pytest.raises(ConfigError, match=told):
        clickhouse.sink(**options)
