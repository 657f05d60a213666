"""Dates and times: usual texts against datetime, unusual ones against real captures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_columns import read, resolved

from pycdc.debezium.types.calendar import Cache, civil_from_days, days_from_civil

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _printed(moment: datetime) -> str:
    text = f"{moment:%H:%M:%S.%f}".rstrip("0").rstrip(".")
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02} {text}"


@given(st.datetimes(timezones=st.just(UTC)))
def test_timestamps_equal_datetimes_arithmetic(moment: datetime) -> None:
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    text = _printed(moment)
    assert read("timestamp", text) == micros
    assert read("timestamp(3)", text) == micros // 1000
    assert read("timestamp", text, time="connect") == micros // 1000
    zoned = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S.%f}Z"
    assert read("timestamptz", text + "+00") == zoned
    assert read("time", text[11:]) == micros % 86_400_000_000


@given(st.dates())
def test_dates_equal_datetimes_arithmetic(day: date) -> None:
    assert read("date", day.isoformat()) == day.toordinal() - date(1970, 1, 1).toordinal()


@given(st.integers(-2_500_000, 2_200_000_000))
def test_days_and_civil_dates_are_inverse(days: int) -> None:
    assert days_from_civil(*civil_from_days(days)) == days


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2, 1, 1)), st.integers(-15 * 60, 15 * 60))  # noqa: DTZ001
def test_other_zones_are_shifted_to_utc(moment: datetime, minutes: int) -> None:
    try:
        local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    offset = f"{sign}{hours:02}" + (f":{rest:02}" if rest else "")
    expected = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S.%f}Z"
    assert read("timestamptz", _printed(local) + offset) == expected
    assert read("timetz", _printed(local)[11:] + offset)[:8] == expected[11:19]


@pytest.mark.parametrize(
    ("text", "stream", "snapshot"),
    [
        ("4713-01-01 BC", -2440550, 1001860), ("5874897-12-31", 2145042905, 2145042905),
        ("infinity", -2147472692, -622191234), ("-infinity", -2147472691, -625821272), ("0001-01-01", -719162, -719162),
    ],
)  # fmt: skip
def test_snapshot_and_stream_read_dates_differently(text: str, stream: int, snapshot: int) -> None:
    column = resolved("date")
    assert column.reader.read(text.encode()) == stream
    assert column.snapshot_reader.read(text.encode()) == snapshot
    assert resolved("date[]").reader.read(b"{" + text.encode() + b"}") == [snapshot]


@pytest.mark.parametrize(
    ("declaration", "mode", "text", "value"),
    [
        ("timestamp", "adaptive", "4713-12-31 23:59:59.999999 BC", -210831897600000001),
        ("timestamp", "adaptive", "294247-01-01 23:59:59.999999", 9223371331199999999),
        ("timestamp", "adaptive", "-infinity", -9223372036832400000),
        ("timestamp(0)", "adaptive", "infinity", 9223372036825200),
        ("timestamp", "connect", "1969-12-31 23:59:59.999999", -1),
        ("timestamp", "nanoseconds", "2262-04-11 23:47:16.854775", 9223372036854775000),
        ("timestamp", "nanoseconds", "infinity", 9223372036854775807),
        ("timestamp", "isostring", "0044-03-15 12:00:00 BC", "-0043-03-15T12:00:00Z"),
        ("timestamp", "isostring", "20000-01-01 00:00:00", "+20000-01-01T00:00:00Z"),
        ("timestamptz", "adaptive", "0044-03-15 12:00:00+00 BC", "-0043-03-15T12:00:00.000000Z"),
        ("timestamptz(0)", "adaptive", "2016-11-04 11:51:30+00", "2016-11-04T11:51:30Z"),
        ("timestamptz(2)", "adaptive", "2016-11-04 11:51:30.1+00", "2016-11-04T11:51:30.10Z"),
        ("timestamptz", "adaptive", "-infinity", "-infinity"),
        ("time(3)", "adaptive", "24:00:00", 86_400_000),
        ("time", "nanoseconds", "24:00:00", 86_400_000_000_000),
        ("time", "isostring", "24:00:00", "00:00:00Z"),
        ("time", "connect", "13:51:30.123999", 49890123),
        ("timetz", "adaptive", "23:59:59.999999-15:59", "15:58:59.999999Z"),
        ("timetz", "adaptive", "24:00:00+05", "19:00:00Z"),
        ("date", "isostring", "0044-03-15 BC", "-0043-03-15Z"),
        ("time[]", "adaptive", "{11:51:30.123456,24:00:00}", [42690123000, 0]),
        ("timetz[]", "adaptive", "{11:51:02.75+02}", ["09:51:02Z"]),
    ],
)  # fmt: skip
def test_captured_values(declaration: str, mode: str, text: str, value: Any) -> None:
    assert read(declaration, text, time=mode) == value


@pytest.mark.parametrize("text", ["1677-09-21 00:12:44", "2262-04-11 23:47:16.854776", "0001-01-01 00:00:00"])
def test_nanoseconds_outside_64_bits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        read("timestamp", text, time="nanoseconds")


@pytest.mark.parametrize("text", ["", "2020-1-1", "2020-W01-1", "20200101", "today", "2020-02-30"])
def test_texts_that_are_no_dates_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read("date", text)


def test_the_cache_of_days_is_bounded() -> None:
    cache = Cache(len)
    cache.limit = 3
    assert [cache[b"x" * n] for n in range(10)] == list(range(10))
    assert len(cache) <= 3


@pytest.mark.parametrize(
    ("text", "micros", "iso"),
    [
        ("1 year 2 mons 3 days 04:05:06.78", 37091106780000, "P1Y2M3DT4H5M6.78S"),
        ("-1 years -2 mons +3 days -04:05:06.78", -36572706780000, "P-1Y-2M3DT-4H-5M-6.78S"),
        ("00:00:00", 0, "P0Y0M0DT0H0M0S"),
        ("1 mon -1 days +00:00:00.000001", 2543400000001, "P0Y1M-1DT0H0M0.000001S"),
        ("-00:00:00.5", -500000, "P0Y0M0DT0H0M-0.5S"),
        ("178000000 years", 9223372036854775807, "P178000000Y0M0DT0H0M0S"),
    ],
)
def test_intervals(text: str, micros: int, iso: str) -> None:
    assert read("interval", text) == micros
    assert read("interval", text, interval="string") == iso
