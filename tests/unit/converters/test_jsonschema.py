"""JsonSchemaConverter: what the captures do not show. Any schema and value comes back, and each bad message has its error."""

import asyncio
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycdc.converters.jsonschema import JsonSchemaConverter, JsonSchemaConverterConfig
from pycdc.converters.jsonschema.declare import declare
from pycdc.converters.jsonschema.pretty import pretty
from pycdc.errors import RecordError
from pycdc.model.javahash import hash_map, hash_map_copy
from pycdc.model.schema import DECIMAL, INT32, INT64, OPTIONAL_INT32, OPTIONAL_STRING, STRING, Schema
from pycdc.model.schema import struct as struct_of
from pycdc.model.template import Form, Leaf, NeedsValue, Reader
from pycdc.plugins.contracts import NotReady, when_ready

sys.path.insert(0, str(Path(__file__).parent))
from avro_registry import Memory


class References(Memory):
    """Texts that the schemas refer to, by name."""

    names: dict[str, str] = {}  # noqa: RUF012 - set per test, never changed

    def referred(self, id_):
        return self.names

    async def fetch_text(self, id_, subject):
        self.asked.append((id_, subject))
        self.texts[id_] = '{"type":"string"}'


def converter(memory, *, is_key=False, **options):
    """With these options, names as in the configuration with dots as underscores."""
    raw = {"schema.registry.url": "http://registry:8081", **{k.replace("_", "."): v for k, v in options.items()}}
    config = JsonSchemaConverterConfig.parse(raw, faults := [])
    assert not faults
    return JsonSchemaConverter(config, is_key=is_key, schemas=memory)


def written(subject, schema, value, topic="t"):
    """The message; None when it is null."""
    out = []
    return b"".join(out) if asyncio.run(when_ready(subject.write, topic, schema, value, out)) else None


def reading(schema, **options):
    """A converter that knows a registered schema by the id 1."""
    return converter(References({1: json.dumps(schema)}), **options)


def message(payload, id_=1):
    return b"\0" + id_.to_bytes(4, "big") + (payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def obj(**properties):
    return {"type": "object", "properties": properties}


# ---- any schema, any value

INTEGERS = {n: st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)}
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = {
    **{f"int{n}": strategy for n, strategy in INTEGERS.items()},
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda f: float(f"{f:.6g}")),
    "float64": st.floats(allow_nan=False, allow_infinity=False), "boolean": st.booleans(),
    "string": CHARACTERS, "bytes": st.binary(max_size=5),
}  # fmt: skip
DECIMALS = st.integers(-(10**30), 10**30).map(lambda n: Decimal(f"{n}E-2"))


@st.composite
def leaves(draw):
    optional, default = draw(st.booleans()), draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        schema, values = Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", "2"),)), DECIMALS
    else:
        kind = draw(st.sampled_from(sorted(set(VALUES) - {"float32"})))
        named = draw(st.booleans())
        schema = Schema(type=kind, name="io.debezium.data.X" if named else None, version=1 if named else None)
        values = VALUES[kind]
    schema = schema.replace(optional=optional, doc=draw(st.sampled_from([None, 'a "doc"'])))
    return schema.replace(default=draw(values)) if default else schema, values


@st.composite
def shapes(draw, depth=2):
    """A schema and a strategy for its values."""
    if depth == 0 or draw(st.booleans()):
        schema, values = draw(leaves())
    elif draw(st.booleans()):
        inner = [(draw(CHARACTERS) + str(i), draw(shapes(depth=depth - 1))) for i in range(draw(st.integers(0, 5)))]
        schema = struct_of([(n, s) for n, (s, _) in inner], optional=draw(st.booleans()), version=2, name="a.R")
        values = st.fixed_dictionaries({n: v for n, (_, v) in inner})
    else:
        item, values = draw(shapes(depth=depth - 1))
        if draw(st.booleans()):
            schema, values = Schema(type="array", items=item, optional=draw(st.booleans())), st.lists(values, max_size=3)
        else:
            keys = draw(st.sampled_from([STRING, INT64]))
            schema = Schema(type="map", keys=keys, values=item, optional=draw(st.booleans()))
            values = st.dictionaries(VALUES["string" if keys is STRING else "int64"], values, max_size=3)
    return schema, (st.none() | values if schema.optional else values)


def expected(schema, value):
    """The value that comes back: a null is its schema's default."""
    if value is None:
        return schema.default if schema.has_default else None
    if schema.type == "struct":
        return {f.name: expected(f.schema, value[f.name]) for f in schema.fields}
    if schema.type == "array":
        return [expected(schema.items, v) for v in value]
    if schema.type == "map":
        return {k: expected(schema.values, v) for k, v in value.items()}
    return value


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(["BASE64", "NUMERIC"]))
def test_schemas_and_values_come_back(data, decimals):
    schema, values = data.draw(shapes())
    many = data.draw(st.lists(values, min_size=1, max_size=4))
    subject = converter(Memory(), decimal_format=decimals)
    messages = [written(subject, schema, v) for v in many]
    other = converter(subject._schemas, decimal_format=decimals)
    for m, v in zip(messages, many, strict=True):
        assert m is not None, "what may be null is JSON's null"
        assert other.read("t", m) == (schema, expected(schema, v))
    read = other.read_many("t", messages)
    if read is not None:
        assert (read[0], list(read[1])) == (schema, [expected(schema, v) for v in many])
    assert read is not None or decimals == "NUMERIC" or any(m[5:] == b"null" for m in messages)
    assert other.read_many("t", [*messages, message(b"1", 99)]) is None, "another schema"


def test_what_a_row_needs_is_read_of_envelopes():
    row = struct_of([("id", INT64), ("n", Schema(type="bytes", name=DECIMAL, parameters=(("scale", "1"),)))], optional=True)
    schema = struct_of(
        [("before", row), ("after", row), ("source", struct_of([("schema", STRING), ("table", STRING)])), ("op", STRING)], name="E"
    )
    subject = converter(Memory())
    value = {"before": None, "after": {"id": 1, "n": Decimal("1.5")}, "source": {"schema": "s", "table": "t"}, "op": "c"}
    messages = [written(subject, schema, v) for v in (value, {**value, "op": "d", "before": value["after"], "after": None})]
    rows = subject.read_rows("t", messages)
    assert (list(rows.ops), list(rows.rows), rows.row_schema, rows.source["table"]) == (["c", "d"], [value["after"], None], row, "t")


# ---- writing


def test_a_required_field_that_is_null_is_left_out_and_elsewhere_a_null():
    inner = struct_of([("x", INT32), ("y", OPTIONAL_INT32)])
    schema = struct_of([("a", INT32), ("b", Schema(type="array", items=INT32)), ("s", inner)], name="n.T")
    made = written(converter(Memory()), schema, {"a": None, "b": [1, None], "s": {"x": None, "y": None}})
    assert made[5:] == b'{"b":[1,null],"s":{"y":null}}'
    assert written(converter(Memory()), INT32, None) is None


def test_a_leaf_is_a_cell_of_the_jsonconverters():
    def digits(column):
        return Leaf(column, Reader(int, Form.DIGITS, column_name="c"))

    schema = struct_of([("a", INT32), ("b", OPTIONAL_INT32)], name="n.T")
    out = []
    assert asyncio.run(when_ready(converter(Memory()).write, "t", schema, {"a": digits(0), "b": digits(1)}, out))
    assert [p if isinstance(p, bytes) else (p.column, p.encode, p.null) for p in out] == [
        b"\0\0\0\0\1", b"{", b'"a":', (0, None, None), b',"b":', (1, None, b"null"), b"}"
    ]  # fmt: skip
    memory = Memory()
    with pytest.raises(NeedsValue):
        asyncio.run(when_ready(converter(memory, json_fail_invalid_schema="true").write, "t", schema, {"a": digits(0), "b": None}, []))


def test_a_value_of_another_type_is_refused_without_its_text():
    with pytest.raises(RecordError, match="another type") as refused:
        written(converter(Memory()), struct_of([("a", INT32)], name="n.T"), {"a": "secret"})
    assert "secret" not in str(refused.value)


def test_a_default_that_json_has_no_number_for_is_refused():
    with pytest.raises(RecordError, match="no form in JSON Schema"):
        written(converter(Memory()), Schema(type="float64", default=float("nan")), 1.0)


ROW = struct_of([("id", INT32), ("t", STRING)], name="s.Row")


@pytest.mark.parametrize(("there", "cause"), [
    (obj(id={"type": "integer", "connect.type": "int32"}), "it has no field t"),
    (obj(id={"type": "string"}, t={"type": "string"}), "id is string, not int32"),
    ({"type": "integer"}, "the value is int64, not struct"),
])  # fmt: skip
def test_the_latest_schema_must_have_the_records_fields_unless_it_need_not(there, cause):
    def latest(**options):
        memory = References()
        memory.latest["t-value"] = json.dumps(there)
        return converter(memory, auto_register_schemas="false", use_latest_version="true", **options)

    with pytest.raises(RecordError, match="does not have the record's fields") as refused:
        written(latest(), ROW, {"id": 1, "t": "x"})
    assert refused.value.cause == f"schema 1: {cause}"
    assert "latest.compatibility.strict=false" in refused.value.hint
    assert written(latest(latest_compatibility_strict="false"), ROW, {"id": 1, "t": "x"}) == b'\0\0\0\0\1{"id":1,"t":"x"}'


def test_the_latest_schema_may_have_more_fields_and_another_order():
    memory = References()
    more = obj(z={"type": "string"}, t={"type": ["string", "null"]}, id={"type": "integer", "connect.type": "int32"})
    memory.latest["t-value"] = json.dumps(more)
    subject = converter(memory, auto_register_schemas="false", use_latest_version="true")
    assert written(subject, ROW, {"id": 1, "t": "x"})[5:] == b'{"id":1,"t":"x"}'


def test_invalid_values_are_refused_when_that_is_asked_for():
    memory = References()
    memory.latest["t-value"] = json.dumps(obj(id={"type": "integer", "connect.type": "int32", "minimum": 5}, t={"type": "string"}))
    subject = converter(memory, auto_register_schemas="false", use_latest_version="true", json_fail_invalid_schema="true")
    assert written(subject, ROW, {"id": 5, "t": "x"})
    with pytest.raises(RecordError, match="does not fit its schema") as refused:
        written(subject, ROW, {"id": 4, "t": "x"})
    assert (refused.value.where, refused.value.cause) == ("t", "$.id: minimum 5")


# ---- reading


@pytest.mark.parametrize(("data", "what"), [
    (b"", "not JSON with a schema id"), (b"\0\0\0", "not JSON with a schema id"), (b"\1\0\0\0\1{}", "not JSON with a schema id"),
    (b'{"a":1}', "not JSON with a schema id"), (message(b"{"), "is not JSON"), (message(b""), "is not JSON"),
    (message(b"\xff"), "is not JSON"), (message([1]), "not what its schema says"), (message({"b": "?"}), "not what its schema says"),
    (message({"a": None}), "required field is null"), (message({"m": 5}), "not what its schema says"),
])  # fmt: skip
def test_bad_messages_are_told_apart(data, what):
    fields = obj(
        a={"type": "integer"}, b={"type": "string", "connect.type": "bytes"},
        m={"type": "array", "connect.type": "map", "items": obj(key={"type": "integer"}, value={"type": "integer"})},
    )  # fmt: skip
    with pytest.raises(RecordError, match=what) as refused:
        reading(fields).read("topic", data)
    assert refused.value.where == "topic"
    assert refused.value.cause


@pytest.mark.parametrize("text", ["{", "5", '{"type":"nonsense"}', '{"type":"object","properties":[]}',
                                  '{"$ref":"#/nowhere"}', '{"enum":1}', '{"$id":"http://e/x","$ref":"http://["}',
                                  '{"items":' * 5000 + "{}" + "}" * 5000])
def test_malformed_schemas_are_told(text):
    with pytest.raises(RecordError, match="malformed"):
        converter(References({1: text})).read("t", message({}))


def test_an_id_is_asked_for_once():
    memory = References()
    subject = converter(memory)
    with pytest.raises(NotReady):
        subject.read("t", message(b'"x"', 7))
    assert asyncio.run(when_ready(subject.read, "t", message(b'"x"', 7))) == (STRING, "x")
    assert subject.read("t", message(b'"y"', 7)) == (STRING, "y")
    assert memory.asked == [(7, "t-value")]


def test_a_reference_that_the_registry_does_not_name_is_told():
    for options in ({}, {"json_fail_invalid_schema": "true"}):
        with pytest.raises(RecordError, match="refers to one that the registry does not name") as refused:
            reading(obj(a={"$ref": "other.json"}), **options).read("t", message({"a": 1}))
        assert "other.json" in refused.value.cause


def test_payloads_are_held_against_references_too():
    subject = reading({"$id": "http://e/root.json", **obj(a={"$ref": "other.json#/definitions/p"})}, json_fail_invalid_schema="true")
    subject._schemas.names = {"other.json": json.dumps({"definitions": {"p": {"type": "integer", "maximum": 3}}})}
    assert subject.read("t", message({"a": 3}))[1] == {"a": 3}
    with pytest.raises(RecordError) as refused:
        subject.read("t", message({"a": 41111}))
    assert refused.value.cause == "$.a: maximum 3"
    assert "41111" not in str(refused.value)
    assert subject.read_many("t", [message({"a": 3})]) is None, "each is to be looked at"


@pytest.mark.parametrize(("rule", "payload"), [
    ({"type": "string", "format": "ipv4"}, "1.2.3"), ({"type": "string", "pattern": "^a"}, "b"), ({"enum": ["x"]}, "y"), ({"const": 1}, 2),
    ({"type": ["integer", "null"]}, "z"), ({"oneOf": [{"type": "null"}, {"type": "integer", "minimum": 3}]}, 2),
    ({"type": "object", "properties": {"p": {"type": "integer"}}, "additionalProperties": False}, {"q": 1}),
    ({"type": "object", "properties": {"p": {"type": "integer"}}, "required": ["p"]}, {}),
])  # fmt: skip
def test_rules_are_held(rule, payload):
    with pytest.raises(RecordError, match="does not fit its schema") as refused:
        reading(obj(a=rule), json_fail_invalid_schema="true").read("t", message({"a": payload}))
    assert refused.value.cause.startswith("$.a")


def test_numbers_arrive_exact():
    number = {"title": DECIMAL, "connect.type": "bytes", "connect.parameters": {"scale": "3"}}
    fields = obj(a={"type": "number", **number}, b={"type": "integer"}, c={"type": "string", **number}, d={"type": "number"})
    data = message(b'{"a":12345678901234567890123456789.125,"b":9223372036854775807,"c":"AJY=","d":0.1}')
    wanted = {"a": Decimal("12345678901234567890123456789.125"), "b": 2**63 - 1, "c": Decimal("0.150"), "d": 0.1}
    assert reading(fields).read("t", data)[1] == wanted


def test_fields_without_an_index_lose_none():
    fields = obj(a={"type": "integer", "connect.index": 1}, b={"type": "integer"}, c={"type": "integer"})
    schema, value = reading(fields).read("t", message({"a": 1, "b": 2, "c": 3}))
    assert sorted(f.name for f in schema.fields) == ["a", "b", "c"]
    assert value == {"a": 1, "b": 2, "c": 3}


def test_a_text_is_the_number_that_json_has_none_for():
    value = reading(obj(a={"type": "number"}, b={"type": "number"})).read("t", message({"a": "NaN", "b": "-Infinity"}))[1]
    assert repr(value) == "{'a': nan, 'b': -inf}"


def test_a_definition_is_found_under_both_words():
    assert reading({**obj(a={"$ref": "#/$defs/x"}), "definitions": {"x": {"type": "integer"}}}).read("t", message({"a": 3}))[1] == {"a": 3}


def test_another_order_missing_and_unknown_properties():
    fields = {**obj(a={"type": "integer"}, b={"type": "string", "default": "d"}, c={"type": ["null", "integer"]})}
    subject = reading(fields)
    assert subject.read("t", message({"c": 1, "zz": [2], "a": 5}))[1] == {"a": 5, "b": "d", "c": 1}
    assert subject.read_many("t", [message({"c": 1, "zz": [2], "a": 5}), message({"a": 6})])[1] == [
        {"a": 5, "b": "d", "c": 1}, {"a": 6, "b": "d", "c": None}
    ]  # fmt: skip


JSONS = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda s: st.lists(s, max_size=3) | st.dictionaries(
    st.sampled_from(["type", "properties", "items", "oneOf", "allOf", "$ref", "enum", "required", "additionalProperties", "connect.type",
                     "connect.index", "connect.parameters", "default", "title", "const", "$id", "a"]), s, max_size=4), max_leaves=12)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.one_of(JSONS, JSONS.map(lambda s: obj(a=s))), JSONS)
def test_no_schema_and_no_message_raises_anything_else(schema, payload):
    subject = reading(schema)
    try:
        subject.read("t", message(payload))
        subject.read_many("t", [message(payload)])
        subject.read_rows("t", [message(payload)])
    except RecordError as error:
        assert error.what


# ---- texts


def test_maps_are_in_the_order_of_a_hashmap():
    names = [f"column_{i}" for i in range(40)]
    assert hash_map(reversed(names)) != list(reversed(names))
    assert set(hash_map(names)) == set(names)
    assert hash_map(["AaAa", "BBBB", "AaBB", "BBAa"]) == ["AaAa", "BBBB", "AaBB", "BBAa"], "one place: as they were put in"
    nine = ["".join("BB" if n >> bit & 1 else "Aa" for bit in range(4)) for n in range(9)]
    assert hash_map([*nine, "x"]) == hash_map([*nine, "x"], 32), "a place with nine makes a small table grow"
    assert hash_map_copy(["c", "b", "a"]) == ["a", "b", "c"]


def test_a_text_is_made_once_and_a_schema_of_equal_content_has_the_same():
    memory = Memory()
    subject = converter(memory)
    for n in range(3):
        written(subject, struct_of([("id", INT32), ("t", OPTIONAL_STRING)], name="s.Row"), {"id": n, "t": None})
    assert len(memory.asked) == 1


def test_an_added_column_is_another_text():
    settings_ = converter(Memory()).settings
    before = json.loads(declare(ROW, settings_))
    after = json.loads(declare(struct_of([*((f.name, f.schema) for f in ROW.fields), ("n", OPTIONAL_INT32)], name="s.Row"), settings_))
    assert after["properties"].pop("n") == {"connect.index": 2, "oneOf": [{"type": "null"}, {"type": "integer", "connect.type": "int32"}]}
    assert before == after


def test_the_library_that_validates_is_loaded_only_for_that():
    code = (
        "import sys; from pycdc.converters.jsonschema import JsonSchemaConverter, JsonSchemaConverterConfig as C\n"
        "JsonSchemaConverter(C.parse({'schema.registry.url': 'http://r:1'}, []), is_key=False)\n"
        "assert not {'jsonschema', 'referencing', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_indented_message_needs_the_row():
    leaf = Leaf(0, Reader(int, Form.DIGITS, column_name="id"))
    with pytest.raises(NeedsValue):
        written(converter(Memory(), json_indent_output="true"), struct_of([("id", INT32)], name="s.R"), {"id": leaf})


@given(JSONS)
def test_an_indented_message_says_the_same(payload):
    compact = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    assert json.loads(pretty(compact)) == payload
    assert pretty(compact).count(b"\n") >= compact.count(b'":')
