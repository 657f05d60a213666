"""Types of PostgreSQL in Kafka Connect's own forms."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from pycdc.sources.jdbc.postgresql.types import column_type
from pycdc.sources.jdbc.times import (
    ValueSettings,
    WallClock,
    date,
    time,
    timestamp,
    timestamptz,
    timetz,
    utc_us,
    wall_us,
)


def typmod(precision, scale=0):
    return (precision << 16 | scale & 0x7FF) + 4


NONE = -1


@pytest.mark.parametrize(
    ("mapping", "modifier", "kind"),
    [
        ("none", typmod(4), "decimal"),
        ("none", typmod(8, 2), "decimal"),
        ("none", NONE, "decimal"),
        ("precision_only", typmod(2), "int8"),
        ("precision_only", typmod(4), "int16"),
        ("precision_only", typmod(9), "int32"),
        ("precision_only", typmod(18), "int64"),
        ("precision_only", typmod(19), "decimal"),
        ("precision_only", typmod(8, 2), "decimal"),
        ("precision_only", typmod(8, -2), "decimal"),
        ("best_fit", typmod(3), "int16"),
        ("best_fit", typmod(8, -2), "int32"),
        ("best_fit", typmod(8, 2), "float64"),
        ("best_fit", typmod(19, 2), "decimal"),
        ("best_fit", typmod(19), "decimal"),
        ("best_fit", NONE, "decimal"),
        ("best_fit_eager_double", typmod(19, 2), "float64"),
        ("best_fit_eager_double", typmod(19), "decimal"),
        ("best_fit_eager_double", typmod(5), "int32"),
        ("best_fit_eager_double", NONE, "float64"),
    ],
)
def test_numeric_mapping(mapping, modifier, kind):
    made = column_type("numeric", "pg_catalog", "b", modifier, ValueSettings(numeric=mapping))
    assert made is not None
    decimal = made.schema.name == "org.apache.kafka.connect.data.Decimal"
    assert ("decimal" if decimal else made.schema.type) == kind


def test_decimals_tell_scale_and_precision():
    made = column_type("numeric", "pg_catalog", "b", typmod(8, 2), ValueSettings())
    assert made is not None
    assert made.schema.parameters == (("scale", "2"), ("connect.decimal.precision", "8"))
    assert made.read(b"-12.30") == Decimal("-12.30")
    assert made.unscaled is not None
    assert made.unscaled(b"-12.30") == -1230
    free = column_type("numeric", "pg_catalog", "b", NONE, ValueSettings())
    assert free is not None
    assert free.schema.parameters == (("scale", "127"), ("connect.decimal.precision", "0"))
    value = free.read(b"12.12")
    assert value == Decimal("12.12")
    assert value.as_tuple().exponent == -127
    for bad in (b"NaN", b"Infinity"):
        with pytest.raises(ValueError, match="no number"):
            free.read(bad)


@pytest.mark.parametrize(("modifier", "text", "kind", "value"), [
    (1, b"1", "boolean", True), (8, b"11111111", "int8", -1), (3, b"101", "int8", 5), (9, b"000000001", "bytes", b"000000001"),
])  # fmt: skip
def test_bits(modifier, text, kind, value):
    made = column_type("bit", "pg_catalog", "b", modifier, ValueSettings())
    assert made is not None
    assert (made.schema.type, made.read(text)) == (kind, value)


@pytest.mark.parametrize("name", ["int4range", "inet", "interval", "point", "varbit", "tsvector", "_int4", "citext"])
def test_types_without_form_are_left_out(name):
    assert column_type(name, "pg_catalog", "b", -1, ValueSettings()) is None


def test_enums_are_text():
    made = column_type("mood", "public", "e", -1, ValueSettings())
    assert made is not None
    assert made.read(b"ok") == "ok"


# ---- dates and times

BERLIN = ValueSettings(zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(("settings", "text", "ms"), [
    (ValueSettings(), b"1970-01-01 00:00:01.999999", 1999), (ValueSettings(), b"1969-12-31 23:59:59.9999", -1),
    (BERLIN, b"2026-01-01 01:00:00", 1767225600000), (BERLIN, b"2026-07-01 02:00:00", 1782864000000),
    # set back at 3: the later of the two; set forward at 2: an hour on
    (BERLIN, b"2026-10-25 02:30:00", 1792891800000), (BERLIN, b"2026-03-29 02:30:00", 1774747800000),
    (ValueSettings(), b"infinity", 9223372036825200000), (ValueSettings(), b"-infinity", -9223372036832400000),
    (ValueSettings(), b"1500-03-01 00:00:00", -14825808000000), (ValueSettings(legacy=False), b"1500-03-01 00:00:00", -14826672000000),
])  # fmt: skip
def test_timestamps(settings, text, ms):
    assert timestamp(settings)[1](text) == ms


def test_timestamps_with_zone():
    schema, read = timestamptz(BERLIN)
    assert schema.name == "org.apache.kafka.connect.data.Timestamp"
    assert read(b"2026-01-01 00:00:00.123456+00") == 1767225600123
    assert read(b"infinity") == 9223372036825200000


@pytest.mark.parametrize(("granularity", "kind", "value"), [
    ("micros_long", "int64", 1767225600123456), ("micros_string", "string", "1767225600123456"),
    ("micros_iso_datetime_string", "string", "2026-01-01T01:00:00.123456"), ("nanos_long", "int64", 1767225600123456000),
    ("nanos_string", "string", "1767225600123456000"), ("nanos_iso_datetime_string", "string", "2026-01-01T01:00:00.123456000"),
])  # fmt: skip
def test_granularity(granularity, kind, value):
    schema, read = timestamptz(ValueSettings(granularity=granularity, zone=ZoneInfo("Europe/Berlin")))
    assert (schema.type, schema.name, read(b"2026-01-01 00:00:00.123456+00")) == (kind, None, value)
    with pytest.raises(ValueError, match="infinity"):
        read(b"infinity")


def test_dates_and_times():
    assert date(ValueSettings())[1](b"1970-01-11") == 10
    assert date(ValueSettings())[1](b"1500-03-01") - date(ValueSettings(legacy=False))[1](b"1500-03-01") == 10
    with pytest.raises(ValueError, match="date"):
        date(ValueSettings())[1](b"infinity")
    assert time(ValueSettings())[1](b"00:00:01.999999") == 1999
    assert time(ValueSettings())[1](b"24:00:00") == 86_400_000
    assert time(BERLIN)[1](b"00:30:00") == 84_600_000
    assert timetz(BERLIN)[1](b"00:30:00+02") == 81_000_000
    assert timetz(BERLIN)[1](b"23:30:00.5-02:30") == 7_200_500


def test_wall_clock_and_moments():
    clock = WallClock(ZoneInfo("Europe/Berlin"))
    assert utc_us(b"2026-01-01 00:00:00+00") == wall_us(b"2026-01-01 00:00:00") == 1767225600000000
    assert clock.shown(1767225600000000) == 1767229200000000
    assert wall_us(b"0001-01-01 00:00:00 BC") < wall_us(b"0001-01-01 00:00:00")
    assert wall_us(b"12345-01-01 00:00:00") > wall_us(b"9999-01-01 00:00:00")
