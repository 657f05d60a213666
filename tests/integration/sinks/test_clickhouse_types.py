"""Every type there and back: what a schema's value, or a schemaless one, becomes in a column of ClickHouse."""

from decimal import Decimal

import pytest

from pycdc.errors import BadRow
from pycdc.model.record import Record
from pycdc.model.schema import DECIMAL, INT32, INT64, STRING, Schema, struct

KEY = struct([("id", INT32)])


def of(kind, name=None, **more):
    return Schema(type=kind, name=name, **more)


def decimal(scale, precision=None):
    more = () if precision is None else (("connect.decimal.precision", str(precision)),)
    return of("bytes", DECIMAL, parameters=(("scale", str(scale)), *more))


async def written(clickhouse, sink, table, kind, values, schema=None):
    """The column's texts after the values were written into a new table."""
    clickhouse.command(f"CREATE TABLE {table} (id Int32, v {kind}, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY id")
    row = None if schema is None else struct([("id", INT32), ("v", schema.replace(optional=None in values))])
    sink.put([Record(topic=table, partition=0, offset=i, key={"id": i}, value={"id": i, "v": v}, value_schema=row) for i, v in enumerate(values)])
    await sink.flush()
    return [r[0] for r in clickhouse.rows(f"SELECT toString(v) FROM {table} ORDER BY id")]


# ---- numbers, texts, identifiers


ROUND_TRIPS = [
    *((f"Int{b}", INT64 if b < 128 else None, [-(2 ** (b - 1)), 2 ** (b - 1) - 1], None) for b in (8, 16, 32, 64, 128, 256)),
    *((f"UInt{b}", None, [0, 2**b - 1], None) for b in (8, 16, 32, 64, 128, 256)),
    ("Int32", None, [7.0, "8", True], ["7", "8", "1"]),
    ("Nullable(Int32)", INT32, [1, None], ["1", None]),
    ("Decimal(9, 2)", decimal(2, 9), [Decimal("-1234567.89"), Decimal(0)], ["-1234567.89", "0"]),
    ("Decimal(38, 10)", decimal(10, 38), [Decimal("1234567890123456789012345678.0123456789")], None),
    ("Decimal(76, 38)", decimal(38, 76), [Decimal("12345678901234567890123456789012345678.00000000000000000000000000000000000001")], None),
    ("Decimal(12, 2)", None, ["/0k=", "1.5", 2.25, 3], ["-1.83", "1.5", "2.25", "3"]),
    ("Decimal(12, 2)", None, [{"scale": 1, "value": "Cw=="}], ["1.1"]),
    ("Decimal(30, 5)", of("struct", "io.debezium.data.VariableScaleDecimal"), [{"scale": 3, "value": b"\x04\xd2"}], ["1.234"]),
    ("String", of("struct", "io.debezium.data.VariableScaleDecimal"), [{"scale": 3, "value": b"\x04\xd2"}], ["1.234"]),
    ("Float64", of("float64"), [1e300, -0.1, float("inf"), float("nan")], ["1e300", "-0.1", "inf", "nan"]),
    ("Float32", of("float32"), [1.5, float("-inf")], ["1.5", "-inf"]),
    ("Bool", of("boolean"), [True, False], ["true", "false"]),
    ("Bool", None, [1, 0, "true", "false"], ["true", "false", "true", "false"]),
    ("String", STRING, ["", "tab\t nl\n cr\r \\N 'q' \"d\" \u2028 \U0001f600"], None),
    ("LowCardinality(String)", STRING, ["a", "a"], None),
    ("LowCardinality(Nullable(String))", STRING, ["a", None], None),
    ("FixedString(4)", STRING, ["abcd", "ab"], ["abcd", "ab"]),
    ("UUID", of("string", "io.debezium.data.Uuid"), ["61f0c404-5cb3-11e7-907b-a6006ad3dba0"], None),
    ("IPv4", STRING, ["1.2.3.4"], None),
    ("IPv6", STRING, ["2001:db8::1", "::ffff:1.2.3.4"], None),
    ("Enum8('a' = 1, 'b''c' = 2)", of("string", "io.debezium.data.Enum"), ["a", "b'c"], None),
    ("Enum16('x' = 1000)", None, ["x"], None),
    ("String", of("bytes"), [b"\x00\xff"], ["00ff"]),
    ("String", None, [{"a": [1, None]}, [1], 1.5, True], ['{"a":[1,null]}', "[1]", "1.5", "true"]),
    ("JSON", of("string", "io.debezium.data.Json"), ['{"a": {"b": "tab\\t"}}'], ['{"a":{"b":"tab\\t"}}']),
    ("JSON", None, [{"a": 1}], ['{"a":1}']),
    ("Array(Int32)", of("array", items=INT32), [[1, 2], []], ["[1,2]", "[]"]),
    ("Array(Nullable(String))", of("array", items=STRING.replace(optional=True)), [["a'b", None, "c\\d\te"]], ["['a\\'b',NULL,'c\\\\d\\te']"]),
    ("Array(Array(Decimal(10, 2)))", None, [[["1.25"], []]], ["[[1.25],[]]"]),
    ("Array(DateTime64(3, 'UTC'))", of("array", items=of("int64", "io.debezium.time.MicroTimestamp")), [[1_700_000_000_123_456]], ["['2023-11-14 22:13:20.123']"]),
    ("Array(Int32)", of("array", items=INT32), [None], ["[]"]),
    ("Map(String, Nullable(String))", of("map", keys=STRING, values=STRING.replace(optional=True)), [{"k'": "v\t", "n": None}, {}], ["{'k\\'':'v\\t','n':NULL}", "{}"]),
    ("Map(String, Array(UInt8))", None, [{"a": [1, 2]}], ["{'a':[1,2]}"]),
    ("Map(Int32, Decimal(5, 1))", of("map", keys=INT32, values=decimal(1, 5)), [{1: Decimal("2.5")}], ["{1:2.5}"]),
    ("Tuple(a Int32, b Nullable(String))", None, [{"b": None, "a": 1}, [2, "x"]], ["(1,NULL)", "(2,'x')"]),
    ("Point", of("struct", "io.debezium.data.geometry.Point"), [{"x": 1.5, "y": -2.5, "wkb": None, "srid": None}], ["(1.5,-2.5)"]),
]  # fmt: skip


async def test_round_trips(clickhouse):
    async with clickhouse.opened() as sink:
        for n, (kind, schema, values, texts) in enumerate(ROUND_TRIPS):
            due = texts or [v if v is None else str(v) for v in values]
            assert (kind, await written(clickhouse, sink, f"t{n}", kind, values, schema)) == (kind, due)


REFUSED = [
    *((f"Int{b}", None, 2 ** (b - 1)) for b in (8, 16, 32, 64, 128, 256)), ("UInt8", None, -1), ("Int32", None, "x"), ("Int32", None, Decimal("1.5")),
    ("Decimal(6, 2)", decimal(3), Decimal("1.234")), ("Decimal(6, 2)", None, "12345.67"), ("Array(Decimal(6, 2))", None, ["1.234"]),
    ("Float32", of("float64"), 1e300), ("Bool", None, "maybe"), ("FixedString(2)", STRING, "abc"), ("UUID", STRING, "no"), ("IPv4", STRING, "1.2.3.4/8"),
    ("IPv6", STRING, "x"), ("Enum8('a' = 1)", STRING, "b"), ("JSON", None, [1]), ("Map(String, String)", None, {"a": None}), ("Array(Int8)", None, [1000]),
    ("Tuple(Int8, Int8)", None, [1]), ("Date", INT32, -1), ("Date32", INT32, 200_000), ("DateTime", of("int64", "io.debezium.time.Timestamp"), 2**32 * 1000),
    ("DateTime64(9)", of("int64", "io.debezium.time.MicroTimestamp"), 9_300_000_000_000_000), ("DateTime64(6)", None, "infinity"),
    ("DateTime64(3)", None, 9_223_372_036_825_200), ("DateTime64(6)", None, 9_223_372_036_825_200_000), ("Time64(6)", None, 90_000_000_000),
]  # fmt: skip


async def test_what_a_column_cannot_hold_is_refused(clickhouse):
    async with clickhouse.opened() as sink:
        for n, (kind, schema, value) in enumerate(REFUSED):
            with pytest.raises(BadRow, match="offset 0"):
                await written(clickhouse, sink, f"t{n}", kind, [value], schema)
                pytest.fail(f"{kind} took {value!r}")
            assert clickhouse.rows(f"SELECT count() FROM t{n}") == [(0,)], kind


# ---- days, moments, times of day


#: 2024-02-29 13:14:15.123456
US = 1_709_212_455_123_456
PREFIX = "io.debezium.time."


MOMENTS = [
    (f"{PREFIX}Timestamp", US // 1000, 3), ("org.apache.kafka.connect.data.Timestamp", US // 1000, 3), (f"{PREFIX}MicroTimestamp", US, 6),
    (f"{PREFIX}NanoTimestamp", US * 1000 + 789, 9), (f"{PREFIX}ZonedTimestamp", "2024-02-29T13:14:15.123456Z", 6), (None, "2024-02-29T14:14:15.123456+01:00", 6),
]  # fmt: skip


@pytest.mark.parametrize("zone", ["", ", 'UTC'", ", 'Asia/Tokyo'"])
async def test_moments_of_every_unit_into_every_precision(clickhouse, zone):
    async with clickhouse.opened() as sink:
        for precision in (0, 3, 6, 9):
            for n, (name, value, digits) in enumerate(MOMENTS):
                schema = None if name is None else of("string" if isinstance(value, str) else "int64", name)
                await written(clickhouse, sink, f"t{precision}_{n}", f"DateTime64({precision}{zone})", [value], schema)
                due = US * 1000 + (789 if digits == 9 else 0)
                kept = 10 ** (9 - min(precision, digits))
                found = clickhouse.rows(f"SELECT toUnixTimestamp64Nano(toDateTime64(v, 9, 'UTC')) FROM t{precision}_{n}")
                assert (precision, name, found) == (precision, name, [(due // kept * kept,)])


@pytest.mark.parametrize(
    ("kind", "mode", "values", "due"),
    [
        # PostgreSQL's own timestamp is of microseconds, timestamp(3) of milliseconds; both may go into a column of three digits
        ("DateTime64(3, 'UTC')", "adaptive", [US, 86_400_000_000], ["2024-02-29 13:14:15.123", "1970-01-02 00:00:00.000"]),
        ("DateTime64(3, 'UTC')", "adaptive", [US // 1000, -1], ["2024-02-29 13:14:15.123", "1969-12-31 23:59:59.999"]),
        ("DateTime64(6, 'UTC')", "adaptive", [US, -1], ["2024-02-29 13:14:15.123456", "1969-12-31 23:59:59.999999"]),
        ("DateTime('UTC')", "adaptive", [US, 0], ["2024-02-29 13:14:15", "1970-01-01 00:00:00"]),
        ("DateTime64(6, 'UTC')", "connect", [US // 1000], ["2024-02-29 13:14:15.123000"]),
        ("DateTime64(3, 'UTC')", "microseconds", [86_400_000_000], ["1970-01-02 00:00:00.000"]),
        ("DateTime64(9, 'UTC')", "nanoseconds", [US * 1000 + 1], ["2024-02-29 13:14:15.123456001"]),
        ("Date32", "adaptive", [0, -25_567, 120_529], ["1970-01-01", "1900-01-01", "2299-12-31"]),
        ("Date", "adaptive", [0, 65_535], ["1970-01-01", "2149-06-06"]),
        ("Date32", "isostring", ["2024-02-29"], ["2024-02-29"]),
        ("Time64(6)", "adaptive", [47_655_123_456, 0], ["13:14:15.123456", "00:00:00.000000"]),
        ("Time64(3)", "adaptive", [47_655_123], ["13:14:15.123"]),
        ("Time64(3)", "adaptive_time_microseconds", [47_655_123_000, 1000], ["13:14:15.123", "00:00:00.001"]),
        ("Time", "connect", [47_655_000, 86_400_000], ["13:14:15", "24:00:00"]),
    ],
)  # fmt: skip
async def test_numbers_without_schema_have_the_units_of_the_sources_mode(clickhouse, kind, mode, values, due):
    async with clickhouse.opened(**{"time.precision.mode": mode}) as sink:
        assert await written(clickhouse, sink, "t", kind, values) == due


async def test_a_unit_once_seen_stays(clickhouse):
    clickhouse.command("CREATE TABLE t (id Int32, v DateTime64(3, 'UTC'), _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY id")
    async with clickhouse.opened() as sink:
        for i, value in enumerate((US, 86_400_000_000)):
            sink.put([Record(topic="t", partition=0, offset=i, key={"id": i}, value={"id": i, "v": value})])
            await sink.flush()
    assert clickhouse.rows("SELECT toString(v) FROM t ORDER BY id") == [("2024-02-29 13:14:15.123",), ("1970-01-02 00:00:00.000",)]


TEMPORAL = [
    ("Date32", of("int32", f"{PREFIX}Date"), 19_782, "2024-02-29"), ("Date", of("int32", "org.apache.kafka.connect.data.Date"), 19_782, "2024-02-29"),
    ("Time64(6)", of("int64", f"{PREFIX}MicroTime"), 47_655_123_456, "13:14:15.123456"), ("Time", of("int32", f"{PREFIX}Time"), 47_655_123, "13:14:15"),
    ("Time64(9)", of("int64", f"{PREFIX}NanoTime"), 47_655_123_456_789, "13:14:15.123456789"), ("Int64", of("int64", f"{PREFIX}MicroTime"), 5, "5"),
    ("String", of("string", f"{PREFIX}ZonedTime"), "13:14:15Z", "13:14:15Z"), ("Int64", of("int64", f"{PREFIX}MicroDuration"), -5, "-5"),
    # what the schema does not name is the column's own number, as ClickHouse itself reads it
    ("DateTime64(3, 'UTC')", INT64, US // 1000, "2024-02-29 13:14:15.123"), ("DateTime('UTC')", INT64, US // 1_000_000, "2024-02-29 13:14:15"),
]  # fmt: skip


async def test_temporal_schemas(clickhouse):
    async with clickhouse.opened() as sink:
        for n, (kind, schema, value, due) in enumerate(TEMPORAL):
            assert (kind, await written(clickhouse, sink, f"t{n}", kind, [value], schema)) == (kind, [due])


# ---- columns that are made


MADE = [
    (of("int16"), 1, "Int16", "1"), (of("float64", optional=True), 0.5, "Nullable(Float64)", "0.5"), (of("boolean"), True, "Bool", "true"),
    (decimal(2, 8), Decimal("1.25"), "Decimal(8, 2)", "1.25"), (decimal(4), Decimal("1.25"), "Decimal(38, 4)", "1.25"),
    (decimal(50, 100), Decimal("0.5"), "String", "0.5"), (of("struct", "io.debezium.data.VariableScaleDecimal"), {"scale": 1, "value": b"\x0f"}, "String", "1.5"),
    (of("int32", f"{PREFIX}Date"), 0, "Date32", "1970-01-01"), (of("int64", f"{PREFIX}Timestamp"), 1, "DateTime64(3, 'UTC')", "1970-01-01 00:00:00.001"),
    (of("int64", f"{PREFIX}MicroTimestamp"), US, "DateTime64(6, 'UTC')", "2024-02-29 13:14:15.123456"),
    (of("int64", f"{PREFIX}NanoTimestamp"), 1, "DateTime64(9, 'UTC')", "1970-01-01 00:00:00.000000001"),
    (of("string", f"{PREFIX}ZonedTimestamp"), "2024-02-29T13:14:15Z", "DateTime64(6, 'UTC')", "2024-02-29 13:14:15.000000"),
    (of("string", "io.debezium.data.Uuid", optional=True), "61f0c404-5cb3-11e7-907b-a6006ad3dba0", "Nullable(UUID)", "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
    (of("string", "io.debezium.data.Enum", optional=True), "a", "LowCardinality(Nullable(String))", "a"),
    (of("string", "io.debezium.data.Json"), "[1]", "String", "[1]"), (of("bytes"), b"\x01", "String", "01"),
    (of("array", items=STRING.replace(optional=True), optional=True), ["a", None], "Array(Nullable(String))", "['a',NULL]"),
    (of("map", keys=STRING, values=STRING.replace(optional=True)), {"a": "b"}, "Map(String, Nullable(String))", "{'a':'b'}"),
    (struct([("x", INT32)]), {"x": 1}, "String", '{"x":1}'),
]  # fmt: skip


async def test_columns_made_of_schemas(clickhouse):
    async with clickhouse.opened(**{"auto.create": "true"}) as sink:
        for n, (schema, value, kind, text) in enumerate(MADE):
            row = struct([("id", INT32), ("v", schema)])
            sink.put([Record(topic=f"t{n}", partition=0, offset=1, key={"id": 1}, key_schema=KEY, value={"id": 1, "v": value}, value_schema=row)])
            await sink.flush()
            assert clickhouse.rows(f"SELECT toTypeName(v), toString(v) FROM t{n} FINAL") == [(kind, text)]


async def test_structs_become_json_when_asked_for(clickhouse):
    row = struct([("id", INT32), ("v", struct([("x", INT32), ("y", STRING)]))])
    async with clickhouse.opened(**{"auto.create": "true", "auto.evolve.struct.to.json": "true"}) as sink:
        sink.put([Record(topic="t", partition=0, offset=1, key={"id": 1}, key_schema=KEY, value={"id": 1, "v": {"x": 1, "y": "a\tb"}}, value_schema=row)])
        await sink.flush()
    assert clickhouse.rows("SELECT v.x, v.y FROM t") == [(1, "a\tb")]
