"""The ClickHouse sink against the real engine, embedded (chDB)."""

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("chdb")

from pycdc.config.layers import Layered
from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.record import Record
from pycdc.plugins.contracts import SinkContext
from pycdc.plugins.join import load_sink

GOLDEN = Path(__file__).parents[2] / "differential" / "golden"


def records(case, topic):
    """The captured messages of a topic, as a consumer would give them."""
    import re

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chdb")


def make(folder, **more):
    config = {
        "name": "ch", "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": "t",
        "bootstrap.servers": "x:1", "clickhouse.dsn": f"chdb://{folder}/data", "auto.create": "true", **more,
    }  # fmt: skip
    return load_sink(Layered.of(config)).make_sink()


async def put(sink, *given, position=None):
    sink.put(given)
    await sink.flush(position)


async def test_captured_events_leave_the_newest_rows_deletes_included(folder):
    sink = make(folder)
    await sink.open(SinkContext("ch", "0"))
    try:
        await put(sink, *records("ri_full", "ri_full.public.full_t"))
        rows = sink._client.query("SELECT * EXCEPT (_version, _is_deleted) FROM full_t FINAL").result_rows
        assert rows == []
        assert sink._client.query("SELECT count() FROM full_t").result_rows[0][0] > 0
    finally:
        await sink.close()


async def test_types_arrive_exactly(folder):
    sink = make(folder)
    await sink.open(SinkContext("ch", "0"))
    try:
        first = next(iter(records("ri_full", "ri_full.public.full_t")))
        typed = first.replace(topic="x.public.typed", value={**first.value, "source": {**first.value["source"], "table": "typed"}})
        await put(sink, typed)
        row = sink._client.query("SELECT id, a, n, ts, j, _is_deleted FROM typed FINAL").result_rows[0]
        moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        assert (row[0], row[1], row[2], row[4], row[5]) == (1, "a", Decimal("1.00"), "{}", 0)
        assert row[3].replace(tzinfo=datetime.UTC) == moment
    finally:
        await sink.close()


async def test_the_position_is_found_again(folder):
    sink = make(folder)
    await sink.open(SinkContext("ch", "0"))
    try:
        await sink.load_position()
        await put(sink, position={"lsn": 5})
        await put(sink, position={"lsn": 6})
        assert await sink.load_position() == {"lsn": 6}
    finally:
        await sink.close()


async def test_an_update_without_all_columns_is_refused_with_what_mends_it(folder):
    sink = make(folder)
    value = {"op": "u", "after": {"id": 1, "v": "__debezium_unavailable_value"}, "source": {"schema": "public", "table": "t"}}
    with pytest.raises(BadRow, match="REPLICA IDENTITY FULL"):
        sink.put([Record(topic="t", partition=0, offset=1, key={"id": 1}, value=value)])


async def test_a_missing_table_is_told(folder):
    sink = make(folder, **{"auto.create": "false"})
    await sink.open(SinkContext("ch", "0"))
    try:
        value = {"op": "c", "after": {"id": 1}, "source": {"table": "nowhere"}}
        with pytest.raises(TargetSchemaError, match="auto.create"):
            await put(sink, Record(topic="t", partition=0, offset=1, key={"id": 1}, value=value))
    finally:
        await sink.close()


# ---- versions (DESIGN rule 12) and values


def created(offset, row, *, partition=0, topic="v", schema=None):
    value = {"op": "c", "after": row, "source": {"table": topic}}
    return Record(topic=topic, partition=partition, offset=offset, key={"id": row["id"]}, value=value, value_schema=schema)


async def opened(folder, incarnation=""):
    async def topic_id(_topic):
        return incarnation

    sink = make(folder)
    await sink.open(SinkContext("ch", "0", topic_id))
    return sink


async def test_a_topic_overtakes_older_versions_and_a_new_one_of_its_name_overtakes_it(folder):
    for incarnation, value in (("first", "a"), ("first", "b"), ("second", "c"), ("third", "d")):
        sink = await opened(folder, incarnation)
        try:
            if value == "a":
                sink._client.command(
                    "CREATE TABLE v (id Int64, s String, _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id"
                )
                sink._client.command("INSERT INTO v VALUES (1, 'older', 1700000000000, 0)")
            offset = 8 if value == "b" else 7
            await put(sink, created(offset, {"id": 1, "s": value}))
            assert sink._client.query("SELECT s FROM v FINAL WHERE id = 1").result_rows == [(value,)]
        finally:
            await sink.close()


async def test_a_record_read_again_gets_its_version_again(folder):
    for _ in range(2):
        sink = await opened(folder, "one")
        try:
            if not sink._describe("again"):
                sink._client.command(
                    "CREATE TABLE again (id Int64, _version UInt64, _is_deleted UInt8) ENGINE = MergeTree ORDER BY id"
                )
            await put(sink, created(3, {"id": 1}, topic="again"), created(4, {"id": 2}, topic="again"))
            rows = sink._client.query("SELECT id, _version FROM again ORDER BY 1, 2").result_rows
        finally:
            await sink.close()
    assert rows == [(1, 4), (1, 4), (2, 5), (2, 5)]


async def test_schemaless_values_are_read_by_the_columns_types(folder):
    sink = await opened(folder)
    try:
        sink._client.command(
            "CREATE TABLE plain (id Int64, n Nullable(Decimal(12, 2)), d Nullable(Date32), t Nullable(DateTime64(6, 'Europe/Berlin')), "
            "z Nullable(DateTime64(6, 'UTC')), b Nullable(Bool), a Array(Nullable(Int32)), s LowCardinality(String), j Nullable(String), "
            "ts Array(String), _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id"
        )
        row = {
            "id": 1, "n": "/0k=", "d": 19000, "t": 1_700_000_000_123_456, "z": "2024-05-06T07:08:09.5Z", "b": False, "a": [1, None, 3],
            "s": "tab\there\\N 'q' \n", "j": {"k": [1]}, "ts": ["a'b", "c\\d\te"],
        }  # fmt: skip
        await put(sink, created(0, row, topic="plain"), created(1, {**dict.fromkeys(row), "id": 2, "a": [], "s": "", "ts": []}, topic="plain"))
        got = sink._client.query("SELECT * EXCEPT (_version, _is_deleted), toUnixTimestamp64Micro(t) FROM plain FINAL ORDER BY id").result_rows
        assert got[0][:3] == (1, Decimal("-1.83"), datetime.date(2022, 1, 8))
        assert (got[0][5], got[0][6], got[0][7], got[0][8], got[0][9]) == (False, [1, None, 3], row["s"], '{"k":[1]}', row["ts"])
        assert got[0][4].isoformat()[:23] == "2024-05-06T07:08:09.500"
        assert got[0][10] == 1_700_000_000_123_456
        assert got[1][:6] == (2, None, None, None, None, None)
    finally:
        await sink.close()


@pytest.mark.parametrize(
    ("column", "value"), [("i", 2**31), ("d", -40_000), ("t", 10**18), ("s", None), ("n", "1.234"), ("e", "unknown")]
)
async def test_a_value_that_the_column_cannot_hold_is_named_and_not_clamped(folder, column, value):
    sink = await opened(folder)
    try:
        sink._client.command(
            "CREATE TABLE IF NOT EXISTS narrow (id Int64, i Nullable(Int32), d Nullable(Date32), t Nullable(DateTime64(6)), s String, "
            "n Nullable(Decimal(12, 2)), e Nullable(Enum8('a' = 1)), _version UInt64, _is_deleted UInt8) "
            "ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id"
        )
        good = {"id": 1, "i": 1, "d": 1, "t": 1, "s": "", "n": "1.23", "e": "a"}
        with pytest.raises(BadRow, match="partition 0, offset 6"):
            await put(sink, created(5, good, topic="narrow"), created(6, {**good, "id": 2, column: value}, topic="narrow"))
    finally:
        await sink.close()


async def test_without_a_broker_the_position_is_the_version(folder):
    sink = await opened(folder)
    try:
        schema = next(iter(records("ri_full", "ri_full.public.full_t"))).value_schema
        first = next(iter(records("ri_full", "ri_full.public.full_t")))
        event = {**first.value, "source": {**first.value["source"], "table": "direct"}}
        await put(sink, first.replace(topic="x.public.direct", value=event, value_schema=schema, partition=None, offset=(5 << 64) | 2))
        assert sink._client.query("SELECT _version FROM direct").result_rows == [((5 << 64) | 2,)]
    finally:
        await sink.close()
