"""The SQL of polls: the original's words, with the position written in."""

from zoneinfo import ZoneInfo

import pytest

from pycdc.sources.jdbc.dialect import ResultColumn
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.postgresql.dialect import PostgreSql
from pycdc.sources.jdbc.postgresql.late import late
from pycdc.sources.jdbc.statements import Names, Stamps
from pycdc.sources.jdbc.statements import Statements as Made
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import ValueSettings

TABLE = TableId("public", "t_orders")
#: 2026-01-01 00:00:00.5 UTC.
AT = 1_767_225_600_500_000
POSTGRESQL = PostgreSql()
QUOTED, BARE = Names(POSTGRESQL.quote, POSTGRESQL.quote), Names(str, POSTGRESQL.bare)


def stamps(*columns, kind="timestamptz"):
    moments = POSTGRESQL.moments(ResultColumn("at", kind), ValueSettings(zone=ZoneInfo("Europe/Berlin")))
    assert moments is not None
    return Stamps(columns, moments.literal)


def Statements(source, *, quoted=True, **more):
    return Made(source, QUOTED if quoted else BARE, **more)


def late_rows(statements, position, *, ids=0, window_us=0, number=False, stamp=False):
    return late(statements, position, has_number=number, has_stamp=stamp, ids=ids, window_us=window_us)


ZONED, PLAIN = stamps("at"), stamps("at", kind="timestamp")


def test_without_a_tracking_column_everything_is_read():
    assert Statements(TABLE).everything() == 'SELECT * FROM "public"."t_orders"'
    assert Statements(TABLE, suffix="LIMIT 5").new(Position(), 0) == 'SELECT * FROM "public"."t_orders" LIMIT 5'
    assert Statements("SELECT 1 AS x;", suffix="").everything() == "SELECT 1 AS x"


def test_numbers():
    s = Statements(TABLE, number="id", suffix=" LIMIT 5 ")
    assert s.new(Position(), 0) == 'SELECT * FROM "public"."t_orders" WHERE "id" > -1 ORDER BY "id" ASC LIMIT 5'
    assert s.new(Position(7), 0) == 'SELECT * FROM "public"."t_orders" WHERE "id" > 7 ORDER BY "id" ASC LIMIT 5'


def test_timestamps_stop_before_their_end():
    s = Statements(TABLE, stamps=ZONED)
    assert s.new(Position(stamp_us=AT), AT + 1) == (
        """SELECT * FROM "public"."t_orders" WHERE "at" > '2026-01-01 00:00:00.500000+00' AND "at" < '2026-01-01 00:00:00.500001+00' ORDER BY "at" ASC"""
    )


def test_timestamps_without_zone_are_wall_clock():
    s = Statements(TABLE, stamps=PLAIN)
    assert "> '2026-01-01 01:00:00.500000' AND" in s.new(Position(stamp_us=AT), AT + 1)
    assert "> '1970-01-01 01:00:00.000000' AND" in s.new(Position(), AT)


def test_several_timestamps_are_coalesced():
    s = Statements(TABLE, stamps=stamps("changed", "made"))
    assert s.new(Position(), 0).endswith('ORDER BY COALESCE("changed","made") ASC')


def test_timestamps_and_numbers():
    s = Statements(TABLE, number="id", stamps=ZONED)
    begin, end = "'2026-01-01 00:00:00.500000+00'", "'2026-01-01 00:00:01.500000+00'"
    assert s.new(Position(7, AT), AT + 1_000_000) == (
        f'SELECT * FROM "public"."t_orders" WHERE "at" < {end} AND (("at" = {begin} AND "id" > 7) OR "at" > {begin}) ORDER BY "at","id" ASC'
    )


def test_quotes():
    odd = TableId("My Schema", 'a"b')
    assert Statements(odd, number="Id").new(Position(), 0) == 'SELECT * FROM "My Schema"."a""b" WHERE "Id" > -1 ORDER BY "Id" ASC'
    assert Statements(TableId("s", "T"), number="Id", quoted=False).new(Position(), 0) == "SELECT * FROM s.t WHERE Id > -1 ORDER BY Id ASC"


def test_late_rows_are_those_that_the_snapshot_does_not_show():
    numbers = late_rows(Statements(TABLE, number="id", suffix="LIMIT 5"), Position(100, snapshot="730:740:731,733"), number=True, ids=10)
    assert numbers is not None
    assert '"id" > 90 AND "id" <= 100' in numbers
    assert numbers.endswith('>= 730 ORDER BY "id" ASC'), "a limit would cut off rows that no later poll looks for"
    stamps = late_rows(Statements(TABLE, stamps=ZONED), Position(stamp_us=AT, snapshot="730:740:731"), stamp=True, window_us=1_000_000)
    assert stamps is not None
    assert """"at" > '2025-12-31 23:59:59.500000+00' AND "at" <= '2026-01-01 00:00:00.500000+00'""" in stamps
    assert "NOT pg_catalog.txid_visible_in_snapshot(" in stamps
    both = late_rows(Statements(TABLE, number="id", stamps=ZONED), Position(7, AT, "730:740:731"), number=True, stamp=True, window_us=1_000_000)
    assert both is not None
    assert """("at" < '2026-01-01 00:00:00.500000+00' OR "id" <= 7)""" in both


@pytest.mark.parametrize(
    ("position", "columns"),
    [
        (Position(5), {"number": True}),  # the original's position knows no snapshot
        (Position(snapshot="3:3:"), {}),
        (Position(snapshot="3:3:"), {"number": True}),
        (Position(snapshot="3:3:"), {"stamp": True}),
    ],
)
def test_nothing_can_tell_what_is_late(position, columns):
    assert late_rows(Statements(TABLE, number="id", stamps=ZONED), position, ids=10, window_us=10, **columns) is None


def test_looking_back_can_be_turned_off():
    assert late_rows(Statements(TABLE, number="id"), Position(5, snapshot="3:3:"), number=True, window_us=10) is None
    assert late_rows(Statements(TABLE, stamps=ZONED), Position(stamp_us=5, snapshot="3:3:"), stamp=True, ids=10) is None
