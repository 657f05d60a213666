"""Every type of PostgreSQL that has a form, as the server prints it, through the plan that encodes it by column."""

import base64
import json

from polls_of_tables import count

from pycdc.config.layers import Layered
from pycdc.plan import Encoder
from pycdc.plugins.contracts import Run
from pycdc.plugins.join import load_source

TABLE = """
    CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
    CREATE TABLE v (id serial PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, m money, n numeric(8,2), big numeric(20),
      free numeric, c char(3), vc varchar(10), t text, nm name, j json, jb jsonb, u uuid, x xml, ba bytea, d date, tm time, tz timetz,
      ts timestamp, tsz timestamptz, bit1 bit, bit3 bit(3), bit9 bit(9), e mood, dom positive, arr int[], iv interval, ip inet)"""
ROW = """
    INSERT INTO v VALUES (1, true, -2, 3, 9223372036854775807, 7, 1.5, -0.1, '-1234.5', -12.30, 12345678901234567890, 12.12, 'a', 'b', E't\\\\\\t\\n"é',
      'n', '{"a": 1}', '{"a": 1}', '00000000-0000-0000-0000-000000000001', '<a/>', '\\x00ff', '1970-01-11', '00:00:01.5', '00:00:01+01',
      '1970-01-01 00:00:01.5', '1970-01-01 00:00:01.5+00', '1', '101', '000000001', 'sad', 5, '{1}', '1 day', '::1')"""


async def test_values(sql, polls):
    sql.execute(TABLE)
    sql.execute(ROW)
    sql.execute("INSERT INTO v (id, dom) VALUES (2, 1)")
    p = polls()
    await p.until(count(2))
    value, empty = p.records[0].value, p.records[1].value
    free = value.pop("free")
    assert (str(free.normalize()), free.as_tuple().exponent) == ("12.12", -127)
    assert {k: str(value.pop(k)) for k in ("n", "big")} == {"n": "-12.30", "big": "12345678901234567890"}
    assert value == {
        "id": 1, "b": True, "i2": -2, "i4": 3, "i8": 9223372036854775807, "o": 7, "f4": 1.5, "f8": -0.1, "m": -1234.5,
        "c": "a  ", "vc": "b", "t": 't\\\t\n"é', "nm": "n", "j": '{"a": 1}', "jb": '{"a": 1}', "u": "00000000-0000-0000-0000-000000000001",
        "x": "<a/>", "ba": b"\x00\xff", "d": 10, "tm": 1500, "tz": 82801000, "ts": 1500, "tsz": 1500, "bit1": True, "bit3": 5, "bit9": b"000000001",
        "e": "sad", "dom": 5,
    }  # fmt: skip
    assert {k for k, v in empty.items() if v is not None} == {"id", "dom"}
    schema = p.records[0].value_schema
    assert not [f.name for f in schema.fields if f.name in ("arr", "iv", "ip")], "types without form are left out"
    assert [f.name for f in schema.fields if not f.schema.optional] == ["id", "dom"]


async def test_the_plan_and_the_readable_path_agree(sql, polls, names):
    """In JSON, with schemas: all rows but those of the odd values are encoded by column."""
    sql.execute(TABLE)
    sql.execute(ROW)
    sql.execute("INSERT INTO v (id, dom) VALUES (2, 1)")
    p = polls()
    plan = load_source(Layered.of({"name": "x", "connector.class": "jdbc-source", "bootstrap.servers": "x:1", "offset.storage.topic": "o", **p.config}))
    encoder = Encoder(plan.key_converter, plan.value_converter, plan.header_converter)
    encoded, taken = [], p.take

    def take(batch):
        taken(batch)
        for run in batch.runs:
            encoded.extend(encoder.encode(Run(run.templates, run.rows, run.where)))

    p.take = take
    await p.until(count(2))
    assert (encoder.outcome.plans, encoder.outcome.readable_rows, encoder.outcome.mismatches) == (1, 0, 0)
    (records,) = encoded
    assert records.topic == f"{p.prefix}v"
    assert records.keys == [None, None]
    first = json.loads(records.values[0])
    assert first["schema"]["name"] == "v"
    assert first["payload"]["n"] == base64.b64encode((-1230).to_bytes(2, "big", signed=True)).decode()
    assert json.loads(records.values[1])["payload"]["ts"] is None
