"""Every type of MySQL as MariaDB sends it, in the forms that the original's drivers give it, and through the plan that encodes it by column."""

import base64
import json
from decimal import Decimal

import pytest
from polls_of_tables import count

from pycdc.config.layers import Layered
from pycdc.errors import PycdcError
from pycdc.plan import Encoder
from pycdc.plugins.contracts import Run
from pycdc.plugins.join import load_source

TABLE = """
    CREATE TABLE v (id int AUTO_INCREMENT PRIMARY KEY, flag tinyint(1), flag_u tinyint(1) unsigned, i1 tinyint, u1 tinyint unsigned, i2 smallint,
      u2 smallint unsigned, i3 mediumint, u3 mediumint unsigned, i4 int, u4 int unsigned, i8 bigint, u8 bigint unsigned, f4 float, f8 double,
      n decimal(8,2), whole decimal(9,0), nu decimal(8,2) unsigned, big decimal(65,30), bit1 bit, bit7 bit(7), d date, tm time, tm6 time(6), dt datetime,
      dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL, y year, c char(3), vc varchar(10), tt tinytext, t text, mt mediumtext, lt longtext,
      b binary(3), vb varbinary(10), tb tinyblob, bl blob, mb mediumblob, lb longblob, e enum('ok','sad'), s set('a','b','c'), j json,
      must timestamp NOT NULL DEFAULT '2026-01-01 00:00:00') CHARACTER SET latin1"""
ROW = r"""
    INSERT INTO v VALUES (1, 1, 200, -2, 255, -3, 65535, -4, 16777215, -5, 4294967295, -9223372036854775808, 9223372036854775807, 1.5, -0.1,
      -12.30, -123456789, 12.30, 12345678901234567890.123456789012345678901234567890, b'1', b'1010101', '1970-01-11', '00:00:01', '23:59:59.999999',
      '1970-01-01 00:00:01', '1970-01-01 00:00:01.999999', '1970-01-02 00:00:00', '1970-01-02 00:00:00.5', 2026, 'a', 'b', 'tiny', 't\\\t\n"é', 'm', 'l',
      x'00ff', x'00ff', x'01', x'00ff5c27', x'02', x'03', 'sad', 'a,c', '{"a": 1}', '2026-01-01 00:00:00')"""
DATES = {"must": 1767225600000}


async def values_of(mysql, mysql_polls, **config):
    mysql.execute(TABLE)
    mysql.execute(ROW)
    mysql.execute("INSERT INTO v (id) VALUES (2)")
    p = mysql_polls(**config)
    await p.until(count(2))
    return p


async def test_values(mysql, mysql_polls):
    p = await values_of(mysql, mysql_polls)
    value, empty = p.records[0].value, p.records[1].value
    assert value == {
        "id": 1, "flag": 1, "flag_u": 200, "i1": -2, "u1": 255, "i2": -3, "u2": 65535, "i3": -4, "u3": 16777215, "i4": -5, "u4": 4294967295,
        "i8": -9223372036854775808, "u8": 9223372036854775807, "f4": 1.5, "f8": -0.1, "n": Decimal("-12.30"), "whole": Decimal(-123456789), "nu": Decimal("12.30"),
        "big": Decimal("12345678901234567890.123456789012345678901234567890"), "bit1": 1, "bit7": 85, "d": 10, "tm": 1000, "tm6": 86399999, "dt": 1000, "dt6": 1999,
        "ts": 86400000, "ts6": 86400500, "y": 20454, "c": "a", "vc": "b", "tt": "tiny", "t": 't\\\t\n"é', "mt": "m", "lt": "l", "b": b"\x00\xff\x00", "vb": b"\x00\xff",
        "tb": b"\x01", "bl": b"\x00\xff\x5c\x27", "mb": b"\x02", "lb": b"\x03", "e": "sad", "s": "a,c", "j": '{"a": 1}', **DATES,
    }  # fmt: skip
    assert {k: v for k, v in empty.items() if v is not None} == {"id": 2, **DATES}
    kinds = {f.name: (f.schema.type, (f.schema.name or "").rpartition(".")[2]) for f in p.records[0].value_schema.fields}
    assert {k: kinds[k] for k in ("flag", "flag_u", "i1", "u1", "u2", "u3", "u4", "u8", "f4", "f8", "bit1", "bit7")} == {
        "flag": ("int8", ""), "flag_u": ("int16", ""), "i1": ("int8", ""), "u1": ("int16", ""), "u2": ("int32", ""), "u3": ("int64", ""), "u4": ("int64", ""),
        "u8": ("int64", ""), "f4": ("float32", ""), "f8": ("float64", ""), "bit1": ("int8", ""), "bit7": ("int8", ""),
    }  # fmt: skip
    assert {k: kinds[k][1] for k in ("n", "d", "tm6", "dt", "ts", "y")} == {"n": "Decimal", "d": "Date", "tm6": "Time", "dt": "Timestamp", "ts": "Timestamp", "y": "Date"}
    schema = p.records[0].value_schema
    assert {n: dict(schema.field(n).parameters)["connect.decimal.precision"] for n in ("n", "whole", "nu", "big")} == {"n": "8", "whole": "9", "nu": "8", "big": "65"}
    assert [f.name for f in schema.fields if not f.schema.optional] == ["id", "must"]


@pytest.mark.parametrize("mapping", ["none", "precision_only", "best_fit", "best_fit_eager_double"])
async def test_decimals_stay_decimals_whatever_the_mapping(mapping, mysql, mysql_polls):
    """MySQL's drivers say DECIMAL, and the original maps what is called NUMERIC."""
    p = await values_of(mysql, mysql_polls, numeric__mapping=mapping)
    assert [p.records[0].value_schema.field(n).name.rpartition(".")[2] for n in ("n", "whole", "nu", "big")] == ["Decimal"] * 4


async def test_the_plan_and_the_readable_path_agree(mysql, mysql_polls):
    p = mysql_polls()
    plan = load_source(Layered.of({"name": "x", "connector.class": "jdbc-source", "bootstrap.servers": "x:1", "offset.storage.topic": "o", **p.config}))
    encoder = Encoder(plan.key_converter, plan.value_converter, plan.header_converter)
    encoded, taken = [], p.take

    def take(batch):
        taken(batch)
        for run in batch.runs:
            encoded.extend(encoder.encode(Run(run.templates, run.rows, run.where)))

    p.take = take
    mysql.execute(TABLE)
    mysql.execute(ROW)
    mysql.execute("INSERT INTO v (id) VALUES (2)")
    await p.until(count(2))
    assert (encoder.outcome.plans, encoder.outcome.readable_rows, encoder.outcome.mismatches) == (1, 0, 0)
    (records,) = encoded
    first = json.loads(records.values[0])
    assert first["payload"]["n"] == base64.b64encode((-1230).to_bytes(2, "big", signed=True)).decode()
    assert first["payload"]["bl"] == base64.b64encode(b"\x00\xff\x5c\x27").decode()
    assert json.loads(records.values[1])["payload"]["ts"] is None


async def test_a_value_larger_than_a_packet(mysql, mysql_polls):
    """Packets of MySQL's protocol end at 16 MB."""
    mysql.execute("CREATE TABLE t (id serial, x longtext, y int); INSERT INTO t VALUES (1, REPEAT('x', 17000000), 5), (2, 'y', 6)")
    p = mysql_polls()
    await p.until(count(2))
    assert (len(p.records[0].value["x"]), p.records[0].value["y"], p.records[1].value["x"]) == (17_000_000, 5, "y")


# ---- what the URL says of types


async def one(mysql, mysql_polls, columns, values, url="mysql", parameters="", **config):
    mysql.execute(f"CREATE TABLE one ({columns}); SET sql_mode = ''; INSERT INTO one VALUES ({values})")
    p = mysql_polls(mode="bulk", **config)
    p.config["connection.url"] = p.config["connection.url"].replace("jdbc:mysql:", f"jdbc:{url}:") + parameters
    await p.until(count(1))
    return p.records[0]


@pytest.mark.parametrize(
    ("url", "parameters", "kind", "value"),
    [
        ("mysql", "", "int8", 1),
        ("mysql", "?transformedBitIsBoolean=true", "boolean", True),
        ("mysql", "?tinyInt1isBit=false", "int8", 1),
        ("mariadb", "", "boolean", True),
        ("mariadb", "?transformedBitIsBoolean=false", "int8", 1),
    ],
)
async def test_tinyint_of_one(url, parameters, kind, value, mysql, mysql_polls):
    record = await one(mysql, mysql_polls, "x tinyint(1)", "1", url, parameters)
    assert (record.value_schema.field("x").type, record.value["x"]) == (kind, value)


async def test_parameters_stand_in_the_configuration_too(mysql, mysql_polls):
    record = await one(mysql, mysql_polls, "x tinyint(1)", "1", **{"connection.transformedBitIsBoolean": "true"})
    assert record.value["x"] is True


@pytest.mark.parametrize(("parameters", "kind", "value"), [("", "int32", 20454), ("?yearIsDateType=false", "int32", 2026)])
async def test_years(parameters, kind, value, mysql, mysql_polls):
    record = await one(mysql, mysql_polls, "x year", "2026", parameters=parameters)
    assert (record.value_schema.field("x").type, record.value["x"]) == (kind, value)


@pytest.mark.parametrize(
    ("url", "parameters", "value"),
    [
        ("mysql", "?zeroDateTimeBehavior=CONVERT_TO_NULL", None),
        ("mysql", "?zeroDateTimeBehavior=convertToNull", None),
        ("mysql", "?zeroDateTimeBehavior=round", -62135769600000),
        ("mariadb", "", None),
    ],
)
async def test_zero_dates(url, parameters, value, mysql, mysql_polls):
    record = await one(mysql, mysql_polls, "x datetime, y date", "0, 0", url, parameters)
    assert record.value["x"] == value
    assert (record.value["y"] is None) is (value is None)


@pytest.mark.parametrize(("columns", "values"), [
    ("x datetime", "0"), ("x date", "'2026-00-10'"), ("x time", "'100:00:00'"), ("x time", "'-01:00:00'"), ("x bigint unsigned", "18446744073709551615"), ("x bit(8)", "b'11111111'"),
])  # fmt: skip
async def test_values_without_form_are_refused(columns, values, mysql, mysql_polls):
    with pytest.raises((PycdcError, ValueError)):
        await one(mysql, mysql_polls, columns, values)


async def test_tls_that_the_server_lacks_is_told(mysql, mysql_polls):
    p = mysql_polls()
    p.config["connection.url"] += "?sslMode=REQUIRED"
    with pytest.raises(PycdcError) as caught:
        await p.until(lambda _: False)
    assert "sslMode" in str(caught.value)
