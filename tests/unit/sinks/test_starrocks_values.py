"""What StarRocks is given for a value, by the column's type."""

import datetime
from base64 import b64encode
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.model.schema import DECIMAL, Schema
from pycdc.sinks.lines import UNWRITABLE, Unwritable
from pycdc.sinks.starrocks.types import column_type, parse_type
from pycdc.sinks.starrocks.values import converted, zero
from pycdc.sinks.units import Units
from pycdc.testing.starrocks.types import SqlType

MICROS = Schema(type="int64", name="io.debezium.time.MicroTimestamp")


def one(value, kind, schema=None, units=None):
    return converted([value], schema, parse_type(kind), units or Units("adaptive"))[0]


@pytest.mark.parametrize(("kind", "base", "length", "precision", "scale"), [
    ("bigint(20)", "BIGINT", 0, 0, 0), ("varchar(64)", "VARCHAR", 64, 0, 0), ("STRING", "VARCHAR", 0, 0, 0), ("decimal(12, 2)", "DECIMAL", 0, 12, 2),
    ("decimal128(38,9)", "DECIMAL", 0, 38, 9), ("varbinary", "VARBINARY", 0, 0, 0), ("boolean", "BOOLEAN", 0, 0, 0), ("tinyint(1)", "TINYINT", 0, 0, 0),
])  # fmt: skip
def test_types_are_read_as_the_catalog_shows_them(kind, base, length, precision, scale):
    found = parse_type(kind)
    assert (found.base, found.length, found.precision, found.scale) == (base, length, precision, scale)


def test_an_arrays_type_has_its_items():
    assert parse_type("array<decimal(10, 2)>").items.scale == 2
    assert parse_type("array<array<int(11)>>").items.items.base == "INT"


@pytest.mark.parametrize(("text", "want"), [
    ("2024-05-06T07:08:09Z", "2024-05-06 07:08:09"), ("2024-05-06T07:08:09.120Z", "2024-05-06 07:08:09.120000"),
    ("2024-05-06 07:08:09", "2024-05-06 07:08:09"), ("2024-05-06T01:08:09.5+02:00", "2024-05-05 23:08:09.500000"),
    ("2024-12-31T23:30:00-01:00", "2025-01-01 00:30:00"), ("2024-05-06T07:08:09.123456789Z", "2024-05-06 07:08:09.123456"),
    ("2024-05-06T07:08:09+00:00", "2024-05-06 07:08:09"), ("2024-05-06", "2024-05-06 00:00:00"), ("0900-01-01T00:00:00+01:00", "0899-12-31 23:00:00"),
])  # fmt: skip
def test_moments_are_told_in_utc(text, want):
    assert one(text, "datetime") == want


@pytest.mark.parametrize("text", [
    "2024-05-06T07:08Z", "2024-05-06T24:00:00Z", "2024-05-06T07:60:00Z", "+12024-05-06T07:08:09Z", "-0044-03-15T12:00:00Z", "infinity", "1700000000",
    "20240506", "0001-01-01T00:00:00+01:00", "2024-05-06 07:08:09 Europe/Berlin",
])  # fmt: skip
def test_a_moment_that_starrocks_would_read_wrongly_is_none(text):
    with pytest.raises(Unwritable):
        one(text, "datetime")


@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_microseconds_arrive_as_the_moment_they_are(moment):
    us = (moment - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(microseconds=1)
    stored = SqlType("DATETIME").from_text(one(us, "datetime", MICROS))
    assert datetime.datetime.fromisoformat(stored).replace(tzinfo=datetime.UTC) == moment


@pytest.mark.parametrize(("name", "value", "want"), [
    ("io.debezium.time.Timestamp", 1_500, "1970-01-01 00:00:01.500000"), ("io.debezium.time.NanoTimestamp", 1_234_567_891, "1970-01-01 00:00:01.234567"),
    ("org.apache.kafka.connect.data.Timestamp", -1, "1969-12-31 23:59:59.999000"), ("io.debezium.time.Date", 1, "1970-01-02 00:00:00"),
])  # fmt: skip
def test_numbers_have_their_schemas_units(name, value, want):
    assert one(value, "datetime", Schema(type="int64", name=name)) == want


def test_a_date_takes_no_time_of_day():
    assert one(86_400_000_000, "date", MICROS) == "1970-01-02"
    assert one("2024-02-29T00:00:00Z", "date") == "2024-02-29"
    for value, schema in ((1, MICROS), ("2024-02-29T00:00:01Z", None)):
        with pytest.raises(Unwritable, match="time of day"):
            one(value, "date", schema)


@pytest.mark.parametrize(("name", "value", "want"), [
    ("io.debezium.time.MicroTime", 3_661_000_001, "01:01:01.000001"), ("io.debezium.time.Time", 1000, "00:00:01"),
    ("io.debezium.time.Date", 0, "1970-01-01"), ("io.debezium.time.MicroTimestamp", 0, "1970-01-01 00:00:00"),
])  # fmt: skip
def test_texts_of_times_are_readable(name, value, want):
    assert one(value, "varchar(40)", Schema(type="int64", name=name)) == want


def test_a_number_stays_one_where_the_column_is_a_number():
    assert one(3_661_000_001, "bigint", Schema(type="int64", name="io.debezium.time.MicroTime")) == 3_661_000_001


# ---- numbers


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**10), max_value=10**10))
def test_decimals_arrive_exactly(number):
    scale = Schema(type="bytes", name=DECIMAL, parameters=(("scale", "4"),))
    unscaled = int(number.scaleb(4))
    length = max(1, (unscaled.bit_length() + 8) // 8)
    coded = b64encode(unscaled.to_bytes(length, "big", signed=True)).decode()
    for value, schema in ((number, scale), (str(number), Schema(type="string")), (coded, None)):
        assert SqlType("DECIMAL(20,4)").from_text(one(value, "decimal(20,4)", schema)) == number


@pytest.mark.parametrize("value", [Decimal("1.005"), Decimal("NaN"), "1e3", Decimal(1000), float("inf"), 1000])
def test_a_decimal_that_does_not_fit_is_none(value):
    with pytest.raises(UNWRITABLE):
        one(value, "decimal(5,2)", Schema(type="string"))


def test_trailing_zeros_are_no_digits():
    assert one(Decimal("1.5000"), "decimal(5,2)", Schema(type="bytes", name=DECIMAL, parameters=(("scale", "4"),))) == "1.5000"


@pytest.mark.parametrize(("value", "want"), [(True, 1), ("12", 12), (3.0, 3), (Decimal("4.0"), 4)])
def test_whole_numbers_of_any_kind_are_taken(value, want):
    found = one(value, "int")
    assert (found, type(found)) == (want, int), "StarRocks refuses booleans in numeric columns"


@pytest.mark.parametrize("value", [1.5, Decimal("1.5"), "1.5", "x", None, 2**31])
def test_what_is_no_whole_number_is_none(value):
    with pytest.raises(UNWRITABLE):
        one(value, "int")


def test_largeint_goes_as_text_because_json_readers_stop_at_64_bits():
    assert one(2**127 - 1, "largeint") == str(2**127 - 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "NaN", "-Infinity"])
def test_no_nan_and_no_infinity_is_sent(value):
    with pytest.raises(Unwritable):
        one(value, "double")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_arrive_exactly(number):
    sent = orjson.dumps(one(number, "double")).decode()
    assert SqlType("DOUBLE").from_text(sent) == number


# ---- texts and documents


def test_lengths_are_bytes():
    assert one("é" * 5, "varchar(10)") == "é" * 5
    with pytest.raises(Unwritable, match="12 bytes, the column takes 10"):
        one("é" * 6, "varchar(10)")
    with pytest.raises(Unwritable, match="3 bytes"):
        one(b"abc", "varbinary(2)")


@pytest.mark.parametrize(("value", "want"), [
    ("[1]", "[1]"), ({"a": b"\x00", "b": [None, True]}, '{"a":"AA==","b":[null,true]}'), ([1.5, "é"], '[1.5,"é"]'), (Decimal("1.10"), '"1.10"'), (5, "5"),
])  # fmt: skip
def test_documents_are_texts_of_json(value, want):
    assert one(value, "json") == want


@pytest.mark.parametrize("value", ["{", "NaN", {"a": float("nan")}, "plain words"])
def test_what_is_no_document_is_none(value):
    with pytest.raises(UNWRITABLE):
        one(value, "json")


def test_arrays_convert_their_items():
    assert one([1, None, "3"], "array<int(11)>") == [1, None, 3]
    assert one([0, None], "array<date>", Schema(type="array", items=Schema(type="int32", name="io.debezium.time.Date"))) == ["1970-01-01", None]
    for value in ("{1,2}", {"a": 1}):
        with pytest.raises(Unwritable):
            one(value, "array<int(11)>")


@pytest.mark.parametrize(("mode", "number", "want"), [
    ("adaptive", 1_700_000_000_123, "2023-11-14 22:13:20.123000"), ("adaptive", 1_700_000_000_123_456, "2023-11-14 22:13:20.123456"),
    ("connect", 1_700_000_000_123, "2023-11-14 22:13:20.123000"), ("microseconds", 1_000_000, "1970-01-01 00:00:01"),
    ("nanoseconds", 1_700_000_000_123_456_789, "2023-11-14 22:13:20.123456"),
])  # fmt: skip
def test_a_moment_without_schema_is_of_the_unit_of_the_sources_mode(mode, number, want):
    assert one(number, "datetime", units=Units(mode)) == want


def test_numbers_without_schema_stand_beside_texts():
    mixed = converted(["2024-01-02T03:04:05Z", 1_700_000_000_123_456], None, parse_type("datetime"), Units("adaptive"))
    assert mixed == ["2024-01-02 03:04:05", "2023-11-14 22:13:20.123456"]


def test_bits_are_written_out():
    assert one(b"\x05\x01", "varchar(20)", Schema(type="bytes", name="io.debezium.data.Bits", parameters=(("length", "10"),))) == "0100000101"


@pytest.mark.parametrize("kind", [
    "varchar(5)", "int", "largeint", "double", "decimal(5,2)", "date", "datetime", "boolean", "json", "array<int(11)>", "varbinary",
])  # fmt: skip
def test_the_filling_of_a_deleted_row_is_one_that_the_column_takes(kind):
    filling = one(zero(parse_type(kind)), kind)
    text = filling if isinstance(filling, str) else orjson.dumps(filling).decode()
    assert SqlType(kind).from_text(text) is not None


# ---- tables that are made


@pytest.mark.parametrize(("schema", "key", "want"), [
    (Schema(type="string"), False, "VARCHAR(1048576)"), (Schema(type="string"), True, "VARCHAR(128)"), (Schema(type="float64"), True, "VARCHAR(128)"),
    (Schema(type="int16"), True, "SMALLINT"), (Schema(type="int64", name="io.debezium.time.MicroTimestamp"), False, "DATETIME"),
    (Schema(type="bytes", name=DECIMAL, parameters=(("scale", "2"), ("connect.decimal.precision", "10"))), False, "DECIMAL(10,2)"),
    (Schema(type="bytes", name=DECIMAL, parameters=(("scale", "2"),)), False, "VARCHAR(1048576)"),
    (Schema(type="bytes", name=DECIMAL, parameters=(("scale", "2"), ("connect.decimal.precision", "50"))), False, "VARCHAR(1048576)"),
    (Schema(type="array", items=Schema(type="int32")), False, "ARRAY<INT>"), (Schema(type="array", items=Schema(type="bytes")), False, "JSON"),
    (Schema(type="map"), False, "JSON"), (Schema(type="int64", name="io.debezium.time.MicroDuration"), False, "BIGINT"),
])  # fmt: skip
def test_columns_are_made_as_the_values_need_them(schema, key, want):
    assert column_type(schema, key=key) == want
    SqlType(want)
