"""The StarRocks sink against the protocol fake: the real Sink interface, real HTTP and MySQL over loopback."""

import asyncio
from decimal import Decimal
from random import Random

import orjson
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from pycdc.config.layers import Layered
from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import BadRow, ConnectionLost, PycdcError, SinkError, TargetSchemaError
from pycdc.kafka.topics import NewTopic, create_topic
from pycdc.model.change import Changes
from pycdc.model.record import Header, Record
from pycdc.model.schema import DECIMAL, Schema, struct
from pycdc.plugins.contracts import SinkContext
from pycdc.plugins.join import load_sink, load_source
from pycdc.runtime.direct import run_direct
from pycdc.runtime.sink_task import run_sink
from pycdc.sinks.starrocks import load
from pycdc.sinks.starrocks.client import Client, Server
from pycdc.testing.starrocks import Settings, StarRocks

PASSWORD = "s3cret-of-the-fake"
TABLE = (
    "CREATE TABLE d.t (id BIGINT NOT NULL, name VARCHAR(20), score INT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)"
)
INT64 = Schema(type="int64")
OPTIONAL = Schema(type="string", optional=True)


pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def starrocks():
    with StarRocks(Settings(password=PASSWORD)) as server:
        server.sql("CREATE DATABASE d")
        yield server


@pytest.fixture
def table(starrocks):
    starrocks.sql(TABLE)
    return starrocks


def config(server, **more):
    return {
        "name": "sr", "connector.class": "com.starrocks.connector.kafka.StarRocksSinkConnector", "topics": "t", "bootstrap.servers": "x:1",
        "starrocks.http.url": server.http, "starrocks.query.port": str(server.query_port), "starrocks.database.name": "d",
        "starrocks.username": "root", "starrocks.password": PASSWORD, "bufferflush.intervalms": "0", **more,
    }  # fmt: skip


class Opened:
    """A sink, open while the block runs. `topic`: the id of the topics' incarnation; `tolerant`: errors.tolerance=all."""

    def __init__(self, server, topic="", tolerant=False, **more):
        self.sink = load_sink(Layered.of(config(server, **more))).make_sink()
        self.topic, self.tolerant = topic, tolerant

    async def __aenter__(self):
        async def topic_id(_topic):
            return self.topic

        await self.sink.open(SinkContext("sr", "0", topic_id, self.tolerant))
        return self.sink

    async def __aexit__(self, *_):
        await self.sink.close()


async def put(sink, *records, position=None):
    sink.put(records)
    await sink.flush(position)


def event(offset, row, *, op="c", table="t", key=None, headers=(), schema=None, key_schema=None):
    value = {"op": op, "after": None if op in "dt" else row, "source": {"table": table}}
    key = None if op == "t" else key or {"id": row["id"]}
    return Record(
        topic=f"x.public.{table}", partition=0, offset=offset, key=key, key_schema=key_schema, value=value, value_schema=schema,
        headers=headers,
    )  # fmt: skip


def deleted(offset, id_, table="t"):
    return event(offset, {"id": id_}, op="d", table=table)


def partial(offset, row, *unavailable, table="t"):
    return event(offset, row | dict.fromkeys(unavailable), op="u", table=table, headers=(Header("pycdc.unavailable", None, ",".join(unavailable)),))


def row(id_, name="n", score=1):
    return {"id": id_, "name": name, "score": score}


# ---- rows


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_inserts_updates_and_deletes_leave_what_the_source_has(table, form):
    async with Opened(table, **{"sink.properties.format": form}) as sink:
        await put(sink, *(event(i, row(i, f"n{i}", i)) for i in range(100)))
        await put(
            sink, event(100, row(1, "changed"), op="u"), deleted(101, 2), event(102, row(3)), deleted(103, 3), deleted(104, 4),
            event(105, row(4, "again", None)), event(106, row(200, None, None), op="r"),
        )  # fmt: skip
        want = {i: row(i, f"n{i}", i) for i in range(100) if i not in (2, 3)}
        want |= {1: row(1, "changed"), 4: row(4, "again", None), 200: row(200, None, None)}
        assert table.rows("d", "t") == [want[i] for i in sorted(want)]
        assert table.loads("d", "t") == 2
        written = sink.written["t"]
        assert (written.upserts, written.deletes) == (103, 2)


async def test_tombstones_delete_and_unwrapped_records_are_rows(table):
    async with Opened(table) as sink:
        records = [Record(topic="t", partition=0, offset=i, key={"id": i}, value=row(i)) for i in range(3)]
        await put(sink, *records, Record(topic="t", partition=0, offset=3, key={"id": 1}, value=None))
        assert [r["id"] for r in table.rows("d", "t")] == [0, 2]


async def test_only_deletes_need_no_row_though_other_columns_are_not_null(starrocks):
    starrocks.sql(
        "CREATE TABLE d.t (id BIGINT NOT NULL, v VARCHAR(5) NOT NULL, at DATETIME NOT NULL, n DECIMAL(5,2) NOT NULL, b BOOLEAN NOT NULL, "
        "j JSON NOT NULL, x VARBINARY NOT NULL, d INT NOT NULL DEFAULT '5') PRIMARY KEY (id) DISTRIBUTED BY HASH (id)"
    )
    full = {"id": 1, "v": "v", "at": 0, "n": "1.50", "b": True, "j": "{}", "x": b"x", "d": 1}
    async with Opened(starrocks) as sink:
        await put(sink, event(0, full), event(1, {**full, "id": 2}))
        await put(sink, deleted(2, 1))
        await put(sink, deleted(3, 2), event(4, {**full, "id": 3}))
        assert [r["id"] for r in starrocks.rows("d", "t")] == [3]


async def test_deletes_can_be_left_out(table):
    async with Opened(table, **{"delete.enabled": "false"}) as sink:
        await put(sink, event(0, row(1)), deleted(1, 1))
        await put(sink, deleted(2, 1))
        assert [r["id"] for r in table.rows("d", "t")] == [1]


async def test_rows_known_in_part_keep_their_other_columns(table):
    async with Opened(table) as sink:
        await put(sink, event(0, row(1, "toasted", 1)), event(1, row(2, "whole", 2)), event(2, row(3, "left", 3)))
        await put(
            sink, partial(3, {"id": 1, "score": 10}, "name"), partial(4, {"id": 2, "name": "new"}, "score"), event(5, row(3, "x", 30)),
            partial(6, {"id": 3, "score": 31}, "name"),
        )  # fmt: skip
        assert table.rows("d", "t") == [row(1, "toasted", 10), row(2, "new", 2), row(3, "x", 31)]
        assert table.loads("d", "t") == 1 + 3


async def test_columns_that_only_the_table_has_get_their_default_or_stay(starrocks):
    for more, want in (({}, "new"), ({"sink.properties.partial_update": "true"}, "kept")):
        starrocks.sql("DROP TABLE IF EXISTS d.t")
        starrocks.sql("CREATE TABLE d.t (id BIGINT NOT NULL, own VARCHAR(9) DEFAULT 'new', v INT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
        async with Opened(starrocks, **more) as sink:
            await put(sink, event(0, {"id": 1, "own": "kept", "v": 1}), event(1, {"id": 2, "own": "kept", "v": 2}))
            await put(sink, event(2, {"id": 1, "v": 10}), deleted(3, 2))
        assert starrocks.rows("d", "t") == [{"id": 1, "own": want, "v": 10}]


async def test_a_truncate_empties_the_table_when_asked_for(table):
    for enabled, left in (("true", [2]), ("false", [1, 2])):
        table.sql("TRUNCATE TABLE d.t")
        async with Opened(table, **{"truncate.enabled": enabled}) as sink:
            await put(sink, event(0, row(1)))
            await put(sink, event(1, {}, op="t"), event(2, row(2)))
        assert [r["id"] for r in table.rows("d", "t")] == left
        table.sql("DROP TABLE d.t")
        table.sql(TABLE)


async def test_a_table_without_key_is_appended_to_and_refuses_the_rest(starrocks):
    starrocks.sql("CREATE TABLE d.t (id BIGINT, name VARCHAR(20), score INT) DUPLICATE KEY (id) DISTRIBUTED BY HASH (id)")
    async with Opened(starrocks) as sink:
        await put(sink, event(0, row(1)))
        await put(sink, event(1, row(1)))
        assert [r["id"] for r in starrocks.rows("d", "t")] == [1, 1]
        with pytest.raises(SinkError, match=r"partition 0, offset 3.*(?s:.*)PRIMARY KEY"):
            await put(sink, event(2, row(2)), deleted(3, 1))
    async with Opened(starrocks, **{"truncate.enabled": "true"}) as sink:
        await put(sink, event(4, row(4)), event(5, row(4)), event(6, {}, op="t"), event(7, row(7)), event(8, row(7, "u"), op="u"))
        assert sorted((r["id"], r["name"]) for r in starrocks.rows("d", "t")) == [(7, "n"), (7, "u")]


async def test_names_are_matched_without_case(starrocks):
    starrocks.sql("CREATE TABLE d.t (Id BIGINT NOT NULL, NAME VARCHAR(20), score INT) PRIMARY KEY (Id) DISTRIBUTED BY HASH (Id)")
    async with Opened(starrocks) as sink:
        await put(sink, event(0, row(1)), event(1, row(2)))
        await put(sink, deleted(2, 1))
        assert starrocks.rows("d", "t") == [{"Id": 2, "NAME": "n", "score": 1}]


async def test_marks_of_starrocks_own_transform_and_of_unwrap_are_followed(table):
    def plain(offset, values, **marks):
        return Record(topic="t", partition=0, offset=offset, key={"id": values["id"]}, value=values | marks)

    async with Opened(table) as sink:
        await put(sink, *(plain(i, row(i), __op=0, __deleted="false") for i in range(5)))
        await put(
            sink, plain(5, row(0), __op=1), plain(6, row(1, "u"), __op=0, __deleted="true"), plain(7, row(2), __deleted="true"),
            plain(8, row(4), __op=1, __deleted="true"),
        )  # fmt: skip
        assert table.rows("d", "t") == [row(1, "u"), row(3)]
        table.sql("ALTER TABLE d.t ADD COLUMN __deleted VARCHAR(5)")
    async with Opened(table) as sink:  # with a column of that name the table keeps deleted rows, as its owner wants it
        await put(sink, plain(9, row(3), __deleted="true"))
        assert table.rows("d", "t")[-1] == {**row(3), "__deleted": "true"}


async def test_records_without_key_are_reduced_by_the_tables(table):
    async with Opened(table) as sink:
        records = [Record(topic="t", partition=0, offset=i, value=row(1, f"n{i}")) for i in range(3)]
        await put(sink, *records)
        assert table.rows("d", "t") == [row(1, "n2")]


async def test_topics_are_mapped_to_tables(table):
    table.sql("CREATE TABLE d.other (id BIGINT NOT NULL, name VARCHAR(20), score INT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    async with Opened(table, **{"starrocks.topic2table.map": "a:b.topic:other"}) as sink:
        await put(sink, Record(topic="a:b.topic", partition=0, offset=0, key={"id": 1}, value=row(1)), event(0, row(2)))
        assert ([r["id"] for r in table.rows("d", "other")], [r["id"] for r in table.rows("d", "t")]) == ([1], [2])


async def test_a_large_write_is_split_and_nothing_is_lost(table):
    async with Opened(table, **{"bufferflush.maxbytes": "65536"}) as sink:
        await put(sink, *(event(i, row(i, "x" * 20, i)) for i in range(5000)))
        assert [r["id"] for r in table.rows("d", "t")] == list(range(5000))
        assert table.loads("d", "t") > 1


@pytest.mark.parametrize("how", ["gzip", "zstd", "lz4_frame"])
@pytest.mark.parametrize("form", ["json", "csv"])
async def test_bodies_may_be_compressed(table, form, how):
    async with Opened(table, **{"sink.properties.format": form, "sink.properties.compression": how}) as sink:
        await put(sink, *(event(i, row(i, "the same text", i)) for i in range(2000)))
        assert len(table.rows("d", "t")) == 2000
        assert table.told()["bytes"] < 20_000


# ---- types


COLUMNS = (
    "id BIGINT NOT NULL, b BOOLEAN, ti TINYINT, i INT, li LARGEINT, f FLOAT, dbl DOUBLE, n DECIMAL(20,5), v VARCHAR(40), d DATE, "
    "ts DATETIME, j JSON, ai ARRAY<INT>, `at` ARRAY<VARCHAR(20)>, bin VARBINARY"
)
AWKWARD = "tab\there, \"quoted\", new\nline, back\\slash"


def optional(type_, name=None, **more):
    return Schema(type=type_, optional=True, name=name, **more)


TYPED = struct([
    ("id", INT64), ("b", optional("boolean")), ("ti", optional("int8")), ("i", optional("int32")), ("li", optional("string")),
    ("f", optional("float32")), ("dbl", optional("float64")),
    ("n", optional("bytes", DECIMAL, parameters=(("scale", "5"), ("connect.decimal.precision", "20")))), ("v", optional("string")),
    ("d", optional("int32", "io.debezium.time.Date")), ("ts", optional("int64", "io.debezium.time.MicroTimestamp")),
    ("j", optional("string", "io.debezium.data.Json")), ("ai", optional("array", items=optional("int32"))),
    ("at", optional("array", items=optional("string"))), ("bin", optional("bytes")),
])  # fmt: skip
VALUES = {
    "id": 1, "b": False, "ti": -128, "i": 2**31 - 1, "li": str(2**127 - 1), "f": 0.5, "dbl": 0.1 + 0.2, "n": Decimal("123456789012345.12345"),
    "v": AWKWARD, "d": -719162, "ts": 1_700_000_000_123_456, "j": '{"k": [1, null, "é\\t"]}', "ai": [1, None, -3], "at": ["a\"b", "c\td", "e\nf"],
    "bin": bytes(range(256)),
}  # fmt: skip
STORED = {
    "id": 1, "b": False, "ti": -128, "i": 2**31 - 1, "li": 2**127 - 1, "f": 0.5, "dbl": 0.1 + 0.2, "n": Decimal("123456789012345.12345"),
    "v": AWKWARD, "d": "0001-01-01", "ts": "2023-11-14 22:13:20.123456", "j": '{"k": [1, null, "é\\t"]}', "ai": [1, None, -3],
    "at": ["a\"b", "c\td", "e\nf"], "bin": bytes(range(256)),
}  # fmt: skip


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_types_arrive_exactly(starrocks, form):
    starrocks.sql(f"CREATE TABLE d.t ({COLUMNS}) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    nulls = {**dict.fromkeys(VALUES), "id": 2}
    schema = struct([("op", Schema(type="string")), ("after", TYPED)])
    async with Opened(starrocks, **{"sink.properties.format": form}) as sink:
        await put(sink, event(0, VALUES, schema=schema), event(1, nulls, schema=schema), event(2, {**nulls, "id": 3, "v": ""}, schema=schema))
    assert starrocks.rows("d", "t") == [STORED, nulls, {**nulls, "id": 3, "v": ""}]


async def test_schemaless_values_are_read_by_the_columns_types(starrocks):
    starrocks.sql(f"CREATE TABLE d.t ({COLUMNS}) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    plain = {
        "id": 1, "b": True, "ti": 1, "i": "42", "li": -(2**100), "f": 1, "dbl": 2, "n": "/0k=", "v": {"a": [1.5]}, "d": 19000,
        "ts": "2024-05-06T07:08:09.5+02:00", "j": {"k": [1]}, "ai": [], "at": None, "bin": "AAEC",
    }  # fmt: skip
    zoned = {**dict.fromkeys(plain), "id": 2, "ts": 1_700_000_000_000_000, "d": "2024-02-29", "n": {"scale": 2, "value": "/0k="}}
    async with Opened(starrocks) as sink:
        await put(sink, event(0, plain), event(1, zoned))
    first, second = starrocks.rows("d", "t")
    assert first == {
        "id": 1, "b": True, "ti": 1, "i": 42, "li": -(2**100), "f": 1.0, "dbl": 2.0, "n": Decimal("-0.00183"), "v": '{"a":[1.5]}', "d": "2022-01-08",
        "ts": "2024-05-06 05:08:09.500000", "j": '{"k": [1]}', "ai": [], "at": None, "bin": b"\x00\x01\x02",
    }  # fmt: skip
    assert (second["ts"], second["d"], second["n"]) == ("2023-11-14 22:13:20", "2024-02-29", Decimal("-1.83000"))


BAD = [
    ("ti", 128), ("i", 2**31), ("li", 2**127), ("f", float("nan")), ("dbl", float("inf")), ("n", "1.123456"), ("n", "1234567890123456.0"), ("v", "é" * 21),
    ("d", 2_932_897), ("ts", "infinity"), ("ts", 253_402_300_800_000_000), ("ts", "2024-01-01T25:00:00Z"), ("j", "{no"), ("ai", 5), ("i", "x"),
    ("b", 2), ("bin", "no base64"), ("at", ["x" * 21]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), BAD)
async def test_a_value_that_the_column_cannot_hold_is_named_and_not_changed(starrocks, column, value):
    starrocks.sql(f"CREATE TABLE d.t ({COLUMNS}) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    good = {"id": 1, **dict.fromkeys(VALUES.keys() - {"id"})}
    async with Opened(starrocks) as sink:
        with pytest.raises(BadRow) as caught:
            await put(sink, event(5, good), event(6, {**good, "id": 2, column: value}))
        assert f"column {column} of t" in str(caught.value)
        assert "partition 0, offset 6" in str(caught.value)
        assert starrocks.rows("d", "t") == []


async def test_a_null_for_a_not_null_column_is_named(starrocks):
    starrocks.sql("CREATE TABLE d.t (id BIGINT NOT NULL, v INT NOT NULL) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    async with Opened(starrocks) as sink:
        with pytest.raises(BadRow, match=r"column v of t \[.*offset 1\](?s:.*)MODIFY COLUMN `v` int NULL"):
            await put(sink, event(0, {"id": 1, "v": 1}), event(1, {"id": 2, "v": None}))


async def test_csv_refuses_the_text_that_means_null(table):
    async with Opened(table, **{"sink.properties.format": "csv"}) as sink:
        with pytest.raises(BadRow, match="format=json"):
            await put(sink, event(0, row(1, "\\N")))
    async with Opened(table) as sink:
        await put(sink, event(0, row(1, "\\N")))
        assert table.rows("d", "t") == [row(1, "\\N")]


# ---- rows at fault that are tolerated


def left_out(sink):
    told = sorted((r.offset, str(r.error)) for r in sink.refused)
    sink.refused.clear()
    return [offset for offset, _ in told], "\n".join(text for _, text in told)


@pytest.mark.parametrize("together", ["false", "true"])
@pytest.mark.parametrize("model", ["PRIMARY", "DUPLICATE"])
async def test_rows_at_fault_are_left_out_and_told_and_all_others_are_there(starrocks, model, together):
    for name in ("t", "u"):
        starrocks.sql(TABLE.replace("PRIMARY", model).replace("d.t", f"d.{name}"))
    records = [event(i, row(i, f"n{i}", i)) for i in range(30)]
    records[3] = event(3, row(3, "x" * 21))
    records[17] = event(17, {**row(17), "score": 2**31})
    records[18] = event(18, {**row(18), "score": "no number", "name": "y" * 21})
    records.append(event(40, row(1), table="u"))
    async with Opened(starrocks, tolerant=True, **{"sink.transaction.multi-table.enabled": together}) as sink:
        await put(sink, *records)
        offsets, told = left_out(sink)
        assert offsets == [3, 17, 18]
        assert "column name" in told
        assert "column score" in told
        assert "no number" not in told
        assert [r["id"] for r in starrocks.rows("d", "t")] == [i for i in range(30) if i not in (3, 17, 18)]
        assert [r["id"] for r in starrocks.rows("d", "u")] == [1]
        assert (starrocks.loads("d", "t"), starrocks.loads("d", "u")) == (1, 1)
        assert {t: w.upserts for t, w in sink.written.items()} == {"t": 27, "u": 1}
        await put(sink, event(50, row(50)))
        assert left_out(sink) == ([], "")


async def test_the_version_before_a_bad_one_is_written(table):
    async with Opened(table, tolerant=True) as sink:
        await put(
            sink, event(0, row(1, "good")), event(1, row(1, "x" * 21)), event(2, row(2)), event(3, row(2, "x" * 22)), deleted(4, 2),
            event(5, row(3, "x" * 23)), event(6, row(3, "better")),
        )  # fmt: skip
        assert left_out(sink)[0] == [1]  # what a later change of its row covers is never looked at
        assert table.rows("d", "t") == [row(1, "good"), row(3, "better")]


async def test_rows_that_starrocks_refuses_are_left_out_too(table):
    async with Opened(table, tolerant=True) as sink:
        await put(sink, event(0, row(0)))
        table.sql("ALTER TABLE d.t MODIFY COLUMN name VARCHAR(3) NULL")  # which the sink does not know
        await put(sink, *(event(i, row(i, "long" if i in (5, 9) else "ok")) for i in range(1, 12)))
        offsets, told = left_out(sink)
        assert offsets == [5, 9]
        assert "column name" in told
        assert [r["id"] for r in table.rows("d", "t")] == [i for i in range(12) if i not in (5, 9)]


async def test_a_record_that_is_no_row_is_left_out_alone(table):
    async with Opened(table, tolerant=True) as sink:
        await put(sink, event(0, row(1)), Record(topic="t", partition=0, offset=1, value="a,b,c"), event(2, row(2)))
        assert left_out(sink)[0] == [1]
        assert [r["id"] for r in table.rows("d", "t")] == [1, 2]


# ---- rows that StarRocks itself refuses


async def test_a_row_that_starrocks_refuses_is_found_and_its_values_are_not_told(starrocks):
    starrocks.sql("CREATE TABLE d.t (k VARCHAR(200) NOT NULL, day DATE) PRIMARY KEY (k) DISTRIBUTED BY HASH (k)")
    secret = "1988-13-77"
    records = [event(i, {"k": f"k{i}", "day": "2024-01-01"}, key={"k": f"k{i}"}) for i in range(40)]
    records[23] = event(23, {"k": "k23", "day": secret}, key={"k": "k23"})
    async with Opened(starrocks) as sink:
        with pytest.raises(BadRow) as caught:
            await put(sink, *records)
        told = str(caught.value)
        assert "partition 0, offset 23, column day" in told
        assert secret not in told
        assert starrocks.rows("d", "t") == []
        with pytest.raises(BadRow, match=r"offset 50(?s:.*)primary key size exceed"):
            await put(sink, event(49, {"k": "k", "day": None}, key={"k": "k"}), event(50, {"k": "x" * 129, "day": None}, key={"k": "x" * 129}))
        assert not [s for s in starrocks.labels("d").values() if s not in ("ABORTED", "VISIBLE")]


# ---- tables


EVENT = struct([
    ("op", Schema(type="string")),
    ("after", struct([
        ("name", OPTIONAL), ("id", INT64), ("code", Schema(type="string")), ("amount", optional("bytes", DECIMAL, parameters=(("scale", "2"), ("connect.decimal.precision", "10")))),
        ("any", optional("struct", "io.debezium.data.VariableScaleDecimal")), ("at", optional("string", "io.debezium.time.ZonedTimestamp")),
        ("day", optional("int32", "io.debezium.time.Date")), ("tags", optional("array", items=OPTIONAL)), ("doc", optional("string", "io.debezium.data.Json")),
        ("raw", optional("bytes")), ("t", optional("int64", "io.debezium.time.MicroTime")), ("ok", optional("boolean")),
    ])),
])  # fmt: skip
KEY = struct([("code", Schema(type="string")), ("id", INT64)])
MADE = {
    "name": "n", "id": 1, "code": "c", "amount": Decimal("1.50"), "any": {"scale": 3, "value": b"\x01\x00"}, "at": "2024-05-06T07:08:09.123456Z", "day": 1,
    "tags": ["a", None], "doc": "[1]", "raw": b"\xff", "t": 3_661_000_001, "ok": True,
}  # fmt: skip


async def test_a_missing_table_is_made_from_the_records_schema(starrocks):
    more = {"schema.evolution": "basic", "table.create.properties.replication_num": "1", "table.create.num-buckets": "3"}
    record = event(0, MADE, table="made", schema=EVENT, key={"code": "c", "id": 1}, key_schema=KEY)
    async with Opened(starrocks, **more) as sink:
        await put(sink, record)
        assert starrocks.rows("d", "made") == [{
            "code": "c", "id": 1, "name": "n", "amount": Decimal("1.50"), "any": "0.256", "at": "2024-05-06 07:08:09.123456", "day": "1970-01-02",
            "tags": ["a", None], "doc": "[1]", "raw": b"\xff", "t": "01:01:01.000001", "ok": True,
        }]  # fmt: skip
    made = starrocks.sql("SHOW CREATE TABLE made", "d")[0][1]
    assert "PRIMARY KEY(`code`, `id`)" in made
    assert "BUCKETS 3" in made
    assert '"replication_num" = "1"' in made
    assert [r[0] for r in starrocks.sql("DESC made", "d") if r[2] == "NO"] == ["code", "id"]
    types = {r[0]: r[1] for r in starrocks.sql("DESC made", "d")}
    assert (types["code"], types["amount"], types["at"], types["doc"], types["raw"], types["tags"]) == (
        "varchar(128)", "decimal(10, 2)", "datetime", "json", "varbinary", "array<varchar(1048576)>"
    )  # fmt: skip


async def test_a_table_that_cannot_be_made_says_what_to_do(starrocks):
    record = event(0, MADE, table="made", schema=EVENT, key={"code": "c", "id": 1}, key_schema=KEY)
    async with Opened(starrocks) as sink:
        with pytest.raises(TargetSchemaError, match=r"no table made(?s:.*)schema.evolution=basic"):
            await put(sink, record)
    with StarRocks(Settings(password=PASSWORD, backends=1)) as alone:
        alone.sql("CREATE DATABASE d")
        async with Opened(alone, **{"schema.evolution": "basic"}) as sink:
            with pytest.raises(TargetSchemaError, match=r"table.create.properties.replication_num"):
                await put(sink, record)
    async with Opened(starrocks, **{"schema.evolution": "basic"}) as sink:
        with pytest.raises(TargetSchemaError, match=r"no key(?s:.*)message.key.columns"):
            await put(sink, record.replace(key=None, key_schema=None))


def evolved(offset, id_, extra=True):
    fields = [("id", INT64), ("name", OPTIONAL)] + ([("more", optional("int32")), ("since", optional("int32", "io.debezium.time.Date"))] if extra else [])
    schema = struct([("op", Schema(type="string")), ("after", struct(fields))])
    values = {"id": id_, "name": "n"} | ({"more": 5, "since": 0} if extra else {})
    return event(offset, values, schema=schema, key_schema=struct([("id", INT64)]))


@pytest.mark.parametrize("delay", [0, 150])
async def test_new_columns_are_added_while_rows_flow(delay):
    """StarRocks changes a schema behind the statement: with a delay the sink has to wait for it."""
    with StarRocks(Settings(password=PASSWORD, alter_delay_ms=delay)) as server:
        server.sql("CREATE DATABASE d")
        server.sql("CREATE TABLE d.t (id BIGINT NOT NULL, name VARCHAR(9)) PRIMARY KEY (id) DISTRIBUTED BY HASH (id) PROPERTIES ('fast_schema_evolution'='false')")
        async with Opened(server, **{"schema.evolution": "basic"}) as sink:
            await put(sink, evolved(0, 1, extra=False))
            await put(sink, evolved(1, 2, extra=False), evolved(2, 3), evolved(3, 4))
            await put(sink, evolved(4, 5))
        new = {"name": "n", "more": 5, "since": "1970-01-01"}
        old = {"name": "n", "more": None, "since": None}
        assert server.rows("d", "t") == [{"id": 1, **old}, {"id": 2, **old}, {"id": 3, **new}, {"id": 4, **new}, {"id": 5, **new}]


async def test_a_column_that_another_member_has_added_meanwhile_is_no_fault(table):
    async with Opened(table, **{"schema.evolution": "basic"}) as sink:
        await put(sink, evolved(0, 1, extra=False))
        table.sql("ALTER TABLE d.t ADD COLUMN more INT NULL")
        await put(sink, evolved(1, 2))
        assert table.rows("d", "t")[1]["more"] == 5


async def test_a_column_too_many_is_told_without_evolution(table):
    async with Opened(table) as sink:
        with pytest.raises(TargetSchemaError, match=r"lacks more, since(?s:.*)ADD COLUMN `more`"):
            await put(sink, evolved(0, 1))


async def test_columns_that_the_source_widens_are_widened_where_tables_are_made(starrocks):
    def widened(offset, kinds, values):
        schema = struct([("id", INT64), *((n, optional(*k) if isinstance(k, tuple) else k) for n, k in kinds.items())])
        return event(offset, {"id": offset, **values}, schema=struct([("op", Schema(type="string")), ("after", schema)]))

    def decimal(precision, scale):
        return optional("bytes", DECIMAL, parameters=(("scale", str(scale)), ("connect.decimal.precision", str(precision))))

    old = widened(0, {"i": ("int16",), "f": ("float32",), "n": decimal(6, 2)}, {"i": 1, "f": 0.5, "n": Decimal("1234.56")})
    new = widened(1, {"i": ("int64",), "f": ("float64",), "n": decimal(7, 5)}, {"i": 2**40, "f": 0.1 + 0.2, "n": Decimal("12.34567")})
    async with Opened(starrocks, **{"schema.evolution": "basic"}) as sink:
        await put(sink, old)
        await put(sink, event(2, {**old.value["after"], "id": 2}, schema=old.value_schema), new)  # rows of both kinds in one write
        first = (1, 0.5, Decimal("1234.56"))
        assert [(r["i"], r["f"], r["n"]) for r in starrocks.rows("d", "t")] == [first, (2**40, 0.1 + 0.2, Decimal("12.34567")), first]
        await put(sink, old)  # nothing is made narrower
        # four digits before the point, five behind it
        assert [r[1].lower() for r in starrocks.sql("DESC t", "d")][1:] == ["bigint", "double", "decimal(9, 5)"]
    starrocks.sql("DROP TABLE d.t")
    starrocks.sql("CREATE TABLE d.t (id BIGINT NOT NULL, i SMALLINT, f FLOAT, n DECIMAL(6,2)) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    async with Opened(starrocks) as sink:
        with pytest.raises(BadRow, match=r"column i of t.*offset 1"):
            await put(sink, new)


async def test_a_table_that_was_changed_behind_the_sinks_back_is_looked_at_again(table):
    async with Opened(table) as sink:
        await put(sink, event(0, row(1)))
        table.sql("ALTER TABLE d.t ADD COLUMN late INT NULL")
        await put(sink, event(1, {**row(2), "late": 7}))
        table.sql("DROP TABLE d.t")
        table.sql("CREATE TABLE d.t (id BIGINT NOT NULL, score INT, name VARCHAR(30), late INT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
        await put(sink, event(2, {**row(3), "late": 8}))
        assert table.rows("d", "t") == [{**row(3), "late": 8}]


async def test_a_table_that_somebody_drops_is_made_again_where_tables_are_made(table):
    async with Opened(table, **{"schema.evolution": "basic"}) as sink:
        await put(sink, evolved(0, 1))
        table.sql("DROP TABLE d.t")
        await put(sink, evolved(1, 2))
        assert table.rows("d", "t") == [{"id": 2, "name": "n", "more": 5, "since": "1970-01-01"}]
    async with Opened(table) as sink:
        await put(sink, evolved(2, 3))
        table.sql("DROP TABLE d.t")
        with pytest.raises(TargetSchemaError, match="no table t"):
            await put(sink, evolved(3, 4))


# ---- faults: nothing lost, nothing doubled


async def settled(table, **more):
    """Three flushes of ten rows each; what is left in the table."""
    async with Opened(table, **more) as sink:
        for batch in range(3):
            await put(sink, *(event(batch * 10 + i, row(i, f"n{batch}", i)) for i in range(10)))
        return table.rows("d", "t")


WANT = [row(i, "n2", i) for i in range(10)]
FAULTS = [
    ("conn_reset_before_commit", {}, 3), ("conn_reset_after_commit", {}, 3), ("conn_reset_before_commit", {"leave_prepare": True}, 3),
    ("slow", {"delay_ms": 50}, 3), ("503", {"at": "fe"}, 3), ("503", {"at": "be"}, 3), ("too_many_versions", {}, 3),
    ("txn_limit", {}, 3), ("be_down", {}, 3), ("label_exists_running", {}, 3), ("fail", {"message": "rpc failed, please try again"}, 3),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "details", "loads"), FAULTS, ids=[f"{k}{i}" for i, (k, _, _) in enumerate(FAULTS)])
@pytest.mark.parametrize("model", ["PRIMARY", "DUPLICATE"])
async def test_a_fault_neither_loses_nor_doubles_rows(starrocks, monkeypatch, kind, details, loads, model):
    monkeypatch.setattr(load, "CANCEL_AFTER", 0.1)
    starrocks.sql(TABLE.replace("PRIMARY", model))
    for skip in (0, 1):  # the first load, and then the third: faults count down one after another
        starrocks.fault(kind, skip=skip, **details)
    left = await settled(starrocks)
    assert starrocks.fired[kind] == 2
    if model == "PRIMARY":
        assert left == WANT
    else:  # a load too many or too few would show
        assert sorted((r["name"], r["id"]) for r in left) == [(f"n{b}", i) for b in range(3) for i in range(10)]
    assert starrocks.loads("d", "t") == loads


async def test_publish_timeout_is_committed(starrocks):
    starrocks.sql(TABLE.replace("PRIMARY", "DUPLICATE"))
    starrocks.fault("publish_timeout", visible_after_ms=0.001)
    async with Opened(starrocks, **{"sink.maxretries": "0"}) as sink:
        await put(sink, event(0, row(1)))
        assert [r["id"] for r in starrocks.rows("d", "t")] == [1]
        assert starrocks.told()["stream_loads"] == 1


async def test_a_lost_answer_is_asked_about_before_anything_is_sent_again(table):
    table.fault("conn_reset_after_commit")
    async with Opened(table) as sink:
        await put(sink, event(0, row(1)))
        assert sink.retries == 1
    assert table.rows("d", "t") == [row(1)]
    assert table.told()["stream_loads"] == 1


async def test_a_load_that_hangs_behind_a_dead_be_is_cancelled(table, monkeypatch):
    monkeypatch.setattr(load, "CANCEL_AFTER", 0.05)
    table.fault("conn_reset_before_commit", leave_prepare=True)
    async with Opened(table) as sink:
        await put(sink, event(0, row(1)))
    assert table.rows("d", "t") == [row(1)]
    assert sorted((t.state, t.reason) for t in table.cluster.txns.values()) == [("ABORTED", "user cancel"), ("VISIBLE", "")]


async def test_a_fault_that_stays_ends_the_write_and_can_be_taken_up_again(table):
    table.fault("503", times=100)
    async with Opened(table) as sink:
        with pytest.raises(PycdcError) as caught:
            await put(sink, event(0, row(1)))
        assert caught.value.retriable
        assert "503" in str(caught.value)
        assert table.fired["503"] == 4  # sink.maxretries is 3
    assert table.rows("d", "t") == []


async def test_too_many_versions_make_writes_rarer(table):
    table.fault("too_many_versions", times=2)
    async with Opened(table) as sink:
        before = sink._pace.distance
        await put(sink, event(0, row(1)))
        slowed = sink._pace.distance
        assert slowed > before
        sink._pace._last = float("-inf")  # this test has no time to wait
        await put(sink, event(1, row(2)))
        assert before < sink._pace.distance < slowed
        assert [r["id"] for r in table.rows("d", "t")] == [1, 2]


async def test_an_fe_that_is_gone_is_passed_over(table):
    urls = f"127.0.0.1:{table.cluster.dead_port},{table.http}"
    async with Opened(table, **{"starrocks.http.url": urls}) as sink:
        await put(sink, event(0, row(1)))
        assert [r["id"] for r in table.rows("d", "t")] == [1]


async def test_an_old_fe_that_repeats_credentials_in_its_redirect_is_understood():
    with StarRocks(Settings(password=PASSWORD, be_host=f"root:{PASSWORD}@127.0.0.1")) as server:
        server.sql("CREATE DATABASE d")
        server.sql(TABLE)
        async with Opened(server) as sink:
            await put(sink, event(0, row(1)))
            server.fault("be_down", times=9)
            with pytest.raises(ConnectionLost) as caught:
                await put(sink, event(1, row(2)))
            assert PASSWORD not in str(caught.value)
        assert server.rows("d", "t") == [row(1)]


async def test_a_cluster_that_cannot_be_reached_is_told(table):
    with pytest.raises(ConnectionLost, match=r"starrocks.query.port"):
        async with Opened(table, **{"starrocks.query.port": str(table.cluster.dead_port), "sink.maxretries": "0"}):
            pass


async def test_a_wrong_login_is_told_without_the_password(table):
    with pytest.raises(SinkError, match=r"denies access(?s:.*)starrocks.password") as caught:
        async with Opened(table, **{"starrocks.password": "another-secret"}):
            pass
    assert "another-secret" not in str(caught.value)
    async with Opened(table) as sink:
        sink._client = sink._loader._client = Client(Server(sink.settings.http_urls, "root", "wrong-secret", 1.0))
        with pytest.raises(SinkError, match="refuses the login") as caught:
            await put(sink, event(0, row(1)))
        assert "wrong-secret" not in str(caught.value)


# ---- labels: a process that is killed and comes back


@pytest.mark.parametrize("model", ["PRIMARY", "DUPLICATE"])
async def test_the_same_records_after_a_kill_are_not_doubled(starrocks, model):
    """The first process is killed between its commit in StarRocks and its commit in Kafka."""
    starrocks.sql(TABLE.replace("PRIMARY", model))
    records = [event(i, row(i)) for i in range(10)]
    for _ in range(2):
        async with Opened(starrocks, topic="one") as sink:
            await put(sink, *records)
    assert starrocks.rows("d", "t") == [row(i) for i in range(10)]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_the_same_records_while_the_killed_ones_load_still_runs_wait_for_it(starrocks, cancelled):
    starrocks.sql(TABLE.replace("PRIMARY", "DUPLICATE"))
    starrocks.fault("slow", delay_ms=400)
    async with Opened(starrocks, topic="one") as killed, Opened(starrocks, topic="one") as successor:
        killed.put([event(0, row(1))])
        write = asyncio.ensure_future(killed.flush())
        async with asyncio.timeout(10):
            while not starrocks.fired.get("slow"):  # noqa: ASYNC110 - the server's state has no event
                await asyncio.sleep(0.01)
        if cancelled:
            write.cancel()
        await put(successor, event(0, row(1)))
        await asyncio.gather(write, return_exceptions=cancelled)
    assert starrocks.rows("d", "t") == [row(1)]


async def test_records_that_are_loaded_anew_into_an_emptied_table_are_there(table):
    """Offsets were reset knowingly: a label of three days ago must not keep the rows out."""
    for _ in range(2):
        async with Opened(table, topic="one", **{"sink.maxretries": "0"}) as sink:  # a label that is taken is no failure
            await put(sink, *(event(i, row(i)) for i in range(10)))
        assert len(table.rows("d", "t")) == 10
        table.sql("TRUNCATE TABLE d.t")


async def test_a_topic_that_was_made_anew_makes_new_labels(starrocks):
    starrocks.sql(TABLE.replace("PRIMARY", "DUPLICATE"))
    for incarnation in ("first", "second"):
        async with Opened(starrocks, topic=incarnation) as sink:
            await put(sink, event(0, row(1)))
    assert starrocks.rows("d", "t") == [row(1), row(1)]


async def test_labels_tell_connector_table_and_offsets(table):
    async with Opened(table) as sink:
        await put(sink, *(event(i, row(i)) for i in range(7, 10)))
    (label,) = table.labels("d")
    assert label.startswith("pycdc_sr_t_0_7_9_")


# ---- several tables, and positions


async def test_tables_of_a_write_appear_together_or_not_at_all(table):
    table.sql(TABLE.replace("d.t", "d.u"))
    more = {"sink.transaction.multi-table.enabled": "true"}
    async with Opened(table, **more) as sink:
        both = [event(0, row(1)), event(0, row(2), table="u"), deleted(1, 9)]
        await put(sink, *both)
        assert ([r["id"] for r in table.rows("d", "t")], [r["id"] for r in table.rows("d", "u")]) == ([1], [2])
        table.fault("fail", message="rpc failed")
        await put(sink, event(2, row(3)), event(2, row(4), table="u"))
        assert (len(table.rows("d", "t")), len(table.rows("d", "u"))) == (2, 2)
        table.fault("fail", message="rpc failed", times=10)
        with pytest.raises(SinkError, match="rpc failed"):
            await put(sink, event(3, row(5)), event(3, row(6), table="u"))
        assert (len(table.rows("d", "t")), len(table.rows("d", "u"))) == (2, 2)


@pytest.mark.parametrize(("kind", "loads"), [
    ("conn_reset_before_commit", 4), ("conn_reset_after_commit", 2), ("publish_timeout", 2), ("too_many_versions", 4), ("503", 2), ("be_down", 2),
])  # fmt: skip
@pytest.mark.parametrize("model", ["PRIMARY", "DUPLICATE"])
async def test_a_fault_in_a_transaction_of_tables_neither_loses_nor_doubles(starrocks, kind, loads, model):
    for name in ("t", "u"):
        starrocks.sql(TABLE.replace("PRIMARY", model).replace("d.t", f"d.{name}"))
    starrocks.fault(kind, visible_after_ms=0.001)
    async with Opened(starrocks, **{"sink.transaction.multi-table.enabled": "true"}) as sink:
        await put(sink, event(0, row(1)), event(0, row(2), table="u"))
    assert starrocks.fired == {kind: 1}
    assert starrocks.told()["txn_loads"] == loads
    assert ([r["id"] for r in starrocks.rows("d", "t")], [r["id"] for r in starrocks.rows("d", "u")]) == ([1], [2])


async def test_rows_known_in_part_go_with_a_transaction_too_and_bad_rows_are_named(table):
    async with Opened(table, **{"sink.transaction.multi-table.enabled": "true"}) as sink:
        await put(sink, event(0, row(1, "kept", 1)))
        await put(sink, partial(1, {"id": 1, "score": 5}, "name"), event(2, row(2)))
        assert table.rows("d", "t") == [row(1, "kept", 5), row(2)]
        table.sql("ALTER TABLE d.t ADD COLUMN day DATE NULL")
        with pytest.raises(BadRow, match="offset 4, column day"):
            await put(sink, event(3, {**row(3), "day": None}), event(4, {**row(4), "day": "2024-99-01"}))
        assert len(table.rows("d", "t")) == 2


@pytest.mark.parametrize("together", ["true", "false"])
async def test_the_position_is_found_again(table, together):
    more = {
        "table.create.properties.replication_num": "1", "sink.transaction.multi-table.enabled": together,
        "sink.properties.merge_condition": "score",  # is said of the user's tables only
    }  # fmt: skip
    async with Opened(table, **more) as sink:
        assert await sink.load_position() is None
        await put(sink, event(0, row(1)), position={"lsn": 5})
        await put(sink, position={"lsn": 6, "snapshot": "INITIAL"})
    async with Opened(table, **more) as sink:
        assert await sink.load_position() == {"lsn": 6, "snapshot": "INITIAL"}
    assert [r["id"] for r in table.rows("d", "t")] == [1]


# ---- what a user configures


def test_wrong_values_are_told_at_once_and_moot_ones_warn(starrocks):
    wrong = config(starrocks, **{
        "starrocks.http.url": "http://fe:8030/path", "starrocks.topic2table.map": "t", "sink.properties.format": "avro", "sink.maxretries": "-2",
    })  # fmt: skip
    with pytest.raises(PycdcError) as caught:
        load_sink(Layered.of(wrong))
    told = str(caught.value)
    assert all(name in told for name in ("starrocks.http.url", "starrocks.topic2table.map", "sink.properties.format", "sink.maxretries"))
    with pytest.raises(PycdcError, match=r"sink.properties.columns.*mapped by column name"):
        load_sink(Layered.of(config(starrocks, **{"sink.properties.columns": "a,b"})))
    plan = load_sink(Layered.of(config(starrocks, **{
        "sink.properties.strip_outer_array": "true", "sink.properties.strict_mode": "false", "sink.properties.merge_conditon": "ts",
        "bufferflush.intervalms": "60000", "starrocks.htp.url": "x",
    })))  # fmt: skip
    warnings = "\n".join(plan.warnings)
    assert "strip_outer_array" not in warnings
    assert "sink.properties.strict_mode has no effect" in warnings
    assert "did you mean sink.properties.merge_condition?" in warnings
    assert "bufferflush.intervalms=60000 acts as 10000" in warnings
    assert "did you mean starrocks.http.url?" in warnings
    assert PASSWORD not in warnings + told


async def test_headers_of_the_user_go_with_every_load(table):
    async with Opened(table, **{"sink.properties.merge_condition": "score"}) as sink:
        await put(sink, event(0, row(1, "newer", 5)))
        await put(sink, event(1, row(1, "older", 4)))
        assert table.rows("d", "t") == [row(1, "newer", 5)]


async def test_messages_as_kafka_has_them(table):
    """The way in columns: the converter reads envelopes, and the sink gets rows without records."""
    read = JsonConverter(JsonConverterConfig.of(schemas_enable=False), is_key=False)
    values = [orjson.dumps({"before": None, "after": row(i), "source": {"schema": "public", "table": "t", "txId": 1}, "op": "c"}) for i in range(3)]
    keys = [orjson.dumps({"id": i}) for i in range(3)]
    rows, many = read.read_rows("x", values), read.read_many("x", keys)
    async with Opened(table) as sink:
        assert sink.takes_changes
        sink.put_changes(Changes("x", rows.source, many[0], rows.row_schema, many[1], rows.rows, 0, [0, 1, 2]))
        await sink.flush()
    assert table.rows("d", "t") == [row(i) for i in range(3)]


# ---- from a real broker


async def settled_at(read, want, limit=40):
    """Wait until `read()` gives `want()`."""
    async with asyncio.timeout(limit):
        while read() != want():  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(0.05)


async def new_topic(kafka, name, partitions):
    await create_topic({"bootstrap.servers": kafka}, NewTopic(name, partitions, 1, {}))


async def produced(kafka, topic, changes):
    """Change events as a source writes them; a key stays in its partition."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for op, id_, values in changes:
            value = {"before": None, "after": values, "source": {"schema": "public", "table": "t", "txId": 1}, "op": op}
            await producer.send(topic, orjson.dumps(value), orjson.dumps({"id": id_}), partition=id_ % 2)
        await producer.flush()
    finally:
        await producer.stop()


def history(seed, count):
    """Changes of a hundred rows, and the rows that they leave."""
    random, left, changes = Random(seed), {}, []
    for n in range(count):
        id_ = random.randrange(100)
        if id_ in left and random.random() < 0.2:
            del left[id_]
            changes.append(("d", id_, None))
        else:
            changes.append(("u" if id_ in left else "c", id_, row(id_, f"n{n}", n)))
            left[id_] = changes[-1][2]
    return changes, [left[i] for i in sorted(left)]


async def test_topics_of_a_real_broker_arrive_through_faults_and_an_outage(kafka, names, table):
    seed = 20240229
    changes, left = history(seed, 4000)
    await new_topic(kafka, names.prefix, 2)
    given = config(table, **{
        "name": names.base, "topics": names.prefix, "bootstrap.servers": kafka, "starrocks.topic2table.map": f"{names.prefix}:t",
        "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    })  # fmt: skip

    def start():
        stop = asyncio.Event()
        return stop, asyncio.ensure_future(run_sink(load_sink(Layered.of(given)), http=None, stop=stop))

    for kind in ("conn_reset_after_commit", "conn_reset_before_commit", "publish_timeout", "too_many_versions"):
        table.fault(kind, skip=1)
    await produced(kafka, names.prefix, changes[:2000])
    stop, running = start()
    try:
        await settled_at(lambda: [r["id"] for r in table.rows("d", "t")] != [], lambda: True)
        table.fault("503", times=10_000)
        await produced(kafka, names.prefix, changes[2000:3000])
        with pytest.raises(PycdcError, match="503"):
            await running
        await produced(kafka, names.prefix, changes[3000:])
        table.cluster.faults.coming.clear()
        stop, running = start()
        await settled_at(lambda: table.rows("d", "t"), lambda: left)
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)
    assert table.rows("d", "t") == left, f"seed {seed}"


# ---- from a real PostgreSQL


async def test_pycdc_run_keeps_the_copy_equal_through_an_outage_and_a_new_column(postgres_db, names, starrocks):
    source = {
        "name": "source", "connector.class": "postgres", "topic.prefix": names.prefix, "database.hostname": postgres_db.host,
        "database.port": str(postgres_db.port), "database.user": postgres_db.user, "database.dbname": postgres_db.dbname, "slot.name": names.slot,
        "publication.name": names.publication, "skipped.operations": "none",
    }  # fmt: skip
    sink = config(starrocks, **{"schema.evolution": "basic", "truncate.enabled": "true", "sink.maxretries": "1"})

    def start():
        stop = asyncio.Event()
        plans = load_source(Layered.of(source), direct=True), load_sink(Layered.of(sink), direct=True)
        return stop, asyncio.ensure_future(run_direct(*plans, http=None, stop=stop))

    columns = "id, v, n, d, at, z, j, tags"

    def original(more=""):
        moment = "to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')"
        times = ", ".join(map(moment.format, ("at", "z AT TIME ZONE 'UTC'")))
        shown = f"SELECT id, v, n, d::text, {times}, j, tags{more} FROM a ORDER BY id"
        with psycopg.connect(postgres_db.dsn) as conn:
            return [tuple(r) for r in conn.execute(shown).fetchall()]

    def copy(more=""):
        if not starrocks.sql("SHOW TABLES LIKE 'a'", "d"):
            return None
        rows = starrocks.rows("d", "a")
        names = [c.strip() for c in (columns + more).split(",")]
        return [tuple(orjson.loads(r[c]) if c == "j" and r[c] is not None else r.get(c) for c in names) for r in rows]

    with psycopg.connect(postgres_db.dsn, autocommit=True) as db:
        db.execute(
            "CREATE TABLE a (id int PRIMARY KEY, v text, n numeric(12,3), d date, at timestamp, z timestamptz, j jsonb, tags text[]); "
            "ALTER TABLE a ALTER v SET STORAGE EXTERNAL"
        )
        insert = (
            "INSERT INTO a SELECT g, repeat('é', 5000) || g, g / 7.0, date '2024-01-01' + g, '2024-02-29 12:00:00.123456', "
            "'2024-02-29 23:00:00.5-03', '{\"k\": [1, null]}', array['a\"b', null] FROM generate_series(%s::int, %s::int) g"
        )
        db.execute(insert, [1, 50])
        stop, running = start()
        try:
            await settled_at(copy, original)
            db.execute(insert, [51, 60])
            db.execute("UPDATE a SET n = n + 1 WHERE id BETWEEN 1 AND 20")  # v is not in the WAL then
            db.execute("DELETE FROM a WHERE id BETWEEN 15 AND 25; UPDATE a SET id = 1000, v = 'moved' WHERE id = 30")
            await settled_at(copy, original)
            starrocks.fault("503", times=10_000)
            db.execute("UPDATE a SET v = 'short' WHERE id = 5; DELETE FROM a WHERE id = 6")
            with pytest.raises(PycdcError, match="503"):
                await running
            db.execute("ALTER TABLE a ADD COLUMN late int")
            db.execute("UPDATE a SET late = id WHERE id < 10")
            starrocks.cluster.faults.coming.clear()
            stop, running = start()
            await settled_at(lambda: copy(", late"), lambda: original(", late"))
            db.execute("TRUNCATE a")
            db.execute("INSERT INTO a(id, v) VALUES (1, 'after')")
            await settled_at(copy, original)
        finally:
            stop.set()
            await asyncio.gather(running, return_exceptions=True)
    assert original() == [(1, "after", None, None, None, None, None, None)]
