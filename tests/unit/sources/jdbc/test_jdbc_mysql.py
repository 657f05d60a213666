"""MySQL's dialect without a server: types by what the protocol tells, SQL, warnings, and what EXPLAIN means."""

from zoneinfo import ZoneInfo

import pytest

from pycdc.errors import Fault
from pycdc.mysql.wire import BINARY_COLLATION, NOT_NULL, UNSIGNED, Field
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import ResultColumn
from pycdc.sources.jdbc.dialects import dialect_of
from pycdc.sources.jdbc.mysql import types
from pycdc.sources.jdbc.mysql.dialect import MySql
from pycdc.sources.jdbc.mysql.way import way_of
from pycdc.sources.jdbc.offsets import partitions
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import ValueSettings


def settings(url="jdbc:mysql://h/shop", **config):
    found: list[Fault] = []
    given = {"connection.url": url, "topic.prefix": "p", "mode": "bulk", **{k.replace("__", "."): v for k, v in config.items()}}
    made = JdbcSourceConfig.parse(given, found)
    assert not found
    return made


def made(field, driver=None):
    return types.column_type(types.type_name(field), types.facts_of(field, utc=True), driver or types.Driver(), ValueSettings())


def field(code, *, length=0, flags=0, decimals=0, collation=45):
    return Field("x", code, collation, length, flags, decimals)


@pytest.mark.parametrize(
    ("column", "name", "kind"),
    [
        (field(1, length=4), "tinyint", "int8"),
        (field(1, length=3, flags=UNSIGNED), "tinyint", "int16"),
        (field(3, flags=NOT_NULL), "int", "int32"),
        (field(8, flags=UNSIGNED), "bigint", "int64"),
        (field(16, length=1), "bit", "int8"),
        (field(13, flags=UNSIGNED), "year", "int32"),
        (field(245, collation=BINARY_COLLATION), "json", "string"),
        (field(252), "text", "string"),
        (field(252, collation=BINARY_COLLATION), "blob", "bytes"),
        (field(254, collation=BINARY_COLLATION), "binary", "bytes"),
        (field(255, collation=BINARY_COLLATION), "geometry", "bytes"),
    ],
)
def test_types(column, name, kind):
    assert types.type_name(column) == name
    form = made(column)
    assert form is not None
    assert form.schema.type == kind


def test_a_type_that_nobody_knows_has_no_form():
    assert made(field(200)) is None


def test_numbers_that_do_not_fit_are_refused():
    for column, text in ((field(8, flags=UNSIGNED), b"9223372036854775808"), (field(16, length=8), b"\xff")):
        form = made(column)
        assert form is not None
        with pytest.raises(ValueError, match="does not fit"):
            form.read(text)


@pytest.mark.parametrize(("text", "driver", "value"), [
    (b"0", types.Driver(bit_is_boolean=True), False), (b"1", types.Driver(bit_is_boolean=True), True), (b"-1", types.Driver(bit_is_boolean=True), True),
    (b"-2", types.Driver(bit_is_boolean=True), False), (b"2", types.Driver(bit_is_boolean=True), True), (b"-2", types.Driver(), -2),
])  # fmt: skip
def test_tinyint_of_one(text, driver, value):
    form = made(field(1, length=1), driver)
    assert form is not None
    assert form.read(text) is value or form.read(text) == value
    assert type(form.read(text)) is type(value)


def test_years_of_two_digits():
    form = made(field(13))
    assert form is not None
    assert [form.read(y) for y in (b"1970", b"70", b"69", b"0000", b"2155")] == [0, 0, 36160, 10957, 67570]


def test_moments():
    dialect, berlin = MySql.of(settings()), ValueSettings(zone=ZoneInfo("Europe/Berlin"))
    shown = ResultColumn("at", "timestamp", False, types.facts_of(field(7, decimals=6), utc=True))
    wall = ResultColumn("at", "datetime", False, types.facts_of(field(12), utc=True))
    moments, clock = dialect.moments(shown, berlin), dialect.moments(wall, berlin)
    assert moments is not None
    assert clock is not None
    at = 1_767_225_600_500_000
    assert (moments.literal(at), moments.read(b"2026-01-01 00:00:00.500000"), moments.step_us) == ("'2026-01-01 00:00:00.500000'", at, 1)
    assert (clock.literal(at), clock.read(b"2026-01-01 01:00:00"), clock.step_us) == ("'2026-01-01 01:00:00.500000'", at - 500_000, 1_000_000)
    assert dialect.moments(ResultColumn("at", "date", False, None), berlin) is None


def test_positions_have_the_database_as_catalog():
    dialect = dialect_of(settings())
    assert partitions(TableId("shop", "t"), dialect.places(TableId("shop", "t"), settings())) == [{"protocol": "1", "table": "shop.t"}, {"table": "t"}]


@pytest.mark.parametrize(
    ("url", "config", "words"),
    [
        ("jdbc:mysql://h/d", {}, []),
        ("jdbc:mysql://h/d?useUnicode=true&useSSL=true&tinyInt1isBit=false", {}, []),
        ("jdbc:mysql://h/d?nonsense=1", {}, ["the parameter nonsense has no effect"]),
        ("jdbc:mysql://h/d", {"connection.nonsense": "1"}, ["the parameter nonsense has no effect"]),
        ("jdbc:mysql://h/d?serverTimezone=UTC", {}, ["serverTimezone has no effect on what is read: db.timezone tells the zone"]),
        ("jdbc:mysql://h/d?trustCertificateKeyStoreUrl=file:/ca.jks", {}, ["trustCertificateKeyStoreUrl is a keystore of Java's, which cannot be read: name PEM files"]),
        ("jdbc:mysql://h/d", {"schema.pattern": "d"}, ["schema.pattern has no effect with MySQL, whose databases are catalogs: catalog.pattern"]),
        ("jdbc:mysql://h/d", {"numeric.mapping": "best_fit"}, ["numeric.mapping has no effect with MySQL"]),
    ],
)
def test_what_has_no_effect_is_told(url, config, words):
    told = list(settings(url, **config).warnings())
    assert len(told) == len(words)
    assert all(word in line for word, line in zip(words, told, strict=True)), told


NAMES = ["id", "select_type", "table", "type", "possible_keys", "key", "key_len", "ref", "rows", "Extra"]


@pytest.mark.parametrize(
    ("steps", "way"),
    [
        ([("t", "range", "PRIMARY", "PRIMARY", "Using where")], "index PRIMARY"),
        ([("t", "ALL", None, None, "Using where; Using filesort")], "no index serves: each poll reads the whole table"),
        ([("t", "ALL", "by_time", None, "Using where; Using filesort")], "index by_time once the table has grown"),
        ([("t", "range", "by_time", "by_time", "Using index condition; Using filesort")], "index by_time, and sorts"),
        ([("<derived2>", "ALL", None, None, "Using where"), ("t", "range", "PRIMARY", "PRIMARY", "")], "index PRIMARY"),
        ([(None, None, None, None, "Impossible WHERE")], "index none"),
    ],
)
def test_what_explain_means(steps, way):
    rows = [[b"1", b"SIMPLE", *(None if v is None else v.encode() for v in s[:4]), None, None, b"3", s[4].encode()] for s in steps]
    assert way_of(NAMES, rows) == way
