"""RowReader of JsonConverter: the same rows as message by message, or nothing."""

import json
from pathlib import Path

import orjson
import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig

GOLDEN = Path(__file__).parents[2] / "differential" / "golden"


def converter(*, schemas):
    return JsonConverter(JsonConverterConfig.of(schemas_enable=schemas), is_key=False)


def captured(case):
    document = json.loads((GOLDEN / f"{case}.json").read_text())
    for topic, records in document["records"].items():
        texts = [r["value_raw"] for r in records]
        for key, schema in document["schemas_raw"].items():
            texts = [t if t is None else t.replace(f"\u00a7{key}\u00a7", schema) for t in texts]
        yield topic, [t.encode() for t in texts if t is not None]


@pytest.mark.parametrize("case", ["ri_full", "arr_scalars", "bin_base64", "domain_types"])
def test_captured_messages_give_the_rows_of_one_by_one(case):
    seen = 0
    for topic, messages in captured(case):
        one, many = converter(schemas=True), converter(schemas=True)
        for message in messages:
            schema, value = one.read(topic, message)
            rows = many.read_rows(topic, [message])
            if not isinstance(value, dict) or "op" not in value:
                continue
            assert rows is not None
            assert rows.row_schema == schema.field("after")
            assert repr((list(rows.ops), list(rows.rows))) == repr(([value["op"]], [value["after"]]))  # repr: NaN
            assert rows.source["table"] == value["source"]["table"]
            seen += 1
    assert seen


def envelope(n, table="a", op="c", after=...):
    source = {"db": "d", "schema": "public", "table": table, "lsn": n}
    return orjson.dumps({"before": None, "after": {"id": n} if after is ... else after, "source": source, "op": op})


def test_plain_envelopes_and_rows():
    c = converter(schemas=False)
    rows = c.read_rows("t", [envelope(1), envelope(2, op="d", after=None)])
    assert (rows.ops, rows.rows, rows.source["table"]) == (["c", "d"], [{"id": 1}, None], "a")
    rows = c.read_rows("t", [b'{"id":1}', b'{"id":2}'])
    assert (rows.ops, rows.rows) == (None, [{"id": 1}, {"id": 2}])
    assert c.read_many("t", [b'{"id":1}', b'{"id":2}']) == (None, [{"id": 1}, {"id": 2}])


@pytest.mark.parametrize("messages", [
    [envelope(1), envelope(2, table="b")], [envelope(1), b'{"id":2}'], [b'{"id":2}', envelope(1)], [envelope(1), b"{"],
    [b'{"a":[1', b"2]}"], [b'{"id":1}', b"5"], [envelope(1), b"null"],
], ids=["two tables", "a row among envelopes", "an envelope among rows", "malformed", "halves", "a number", "null"])  # fmt: skip
def test_what_is_not_alike_is_left_to_one_by_one(messages):
    assert converter(schemas=False).read_rows("t", messages) is None


def test_halves_of_a_value_are_no_values():
    assert converter(schemas=False).read_many("t", [b'{"a":[1', b"2]}"]) is None


@pytest.mark.parametrize("replace", [True, False])
def test_nulls_of_fields_with_a_default_are_read_alike(replace):
    def field(name, **more):
        return {"type": "string", "optional": True, "field": name, **more}

    row = {"type": "struct", "fields": [field("a", default="x"), field("b")], "optional": True}
    schema = {"type": "struct", "fields": [{**row, "field": "after"}, field("op"), {"type": "struct", "fields": [field("schema"), field("table"), field("name")], "field": "source"}]}
    payload = {"after": {"a": None, "b": None}, "op": "c", "source": {"schema": "s", "table": "t", "name": "p"}}
    message = orjson.dumps({"schema": schema, "payload": payload})
    settings = JsonConverterConfig.of(replace_null=replace)
    one, many = (JsonConverter(settings, is_key=False) for _ in range(2))
    expected = {"a": "x" if replace else None, "b": None}
    assert one.read("t", message)[1]["after"] == expected
    assert many.read_rows("t", [message, message]).rows == [expected, expected]
