"""AvroConverter: texts and bytes that the captures do not show, registered schemas, and what is asked of a registry."""

import asyncio
import json
import struct
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycdc.converters.avro.declare import declare
from pycdc.converters.avro.names import scrubbed, split
from pycdc.converters.avro.types import parse, text_of
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL, INT32, INT64, OPTIONAL_STRING, STRING, Field, Schema
from pycdc.model.schema import struct as struct_of
from pycdc.model.template import Form, Leaf, NeedsValue, Reader
from pycdc.plugins.contracts import NotReady, when_ready

sys.path.insert(0, str(Path(__file__).parent))
from avro_registry import Memory, converter


def written(subject, schema, value, topic="t"):
    """The message; None when it is null."""
    out = []
    return b"".join(out) if asyncio.run(when_ready(subject.write, topic, schema, value, out)) else None


def text(schema, **options):
    return text_of(declare(schema, converter(Memory(), **options).settings))


# ---- any schema, any value

INTEGERS = {n: st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)}
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = {
    **{f"int{n}": strategy for n, strategy in INTEGERS.items()},
    "float32": st.floats(width=32, allow_nan=False), "float64": st.floats(allow_nan=False), "boolean": st.booleans(),
    "string": CHARACTERS, "bytes": st.binary(max_size=5),
}  # fmt: skip
DECIMALS = st.integers(-(10**20), 10**20).map(lambda n: Decimal(n).scaleb(-2))


@st.composite
def leaves(draw):
    optional, default = draw(st.booleans()), draw(st.booleans())
    if draw(st.integers(0, 4)) == 0:
        schema, values = Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", "2"),)), DECIMALS
    else:
        kind = draw(st.sampled_from(sorted(VALUES)))
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
        inner = [(f"f{i}", draw(shapes(depth=depth - 1))) for i in range(draw(st.integers(0, 3)))]
        schema = struct_of([(n, s) for n, (s, _) in inner], optional=draw(st.booleans()), version=2)
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


def named(schema, path="R"):
    """Every record of Avro's with a name of its own: two different ones of one name are refused."""
    changes = {side: named(inner, f"{path}_{side}") for side in ("items", "values") if (inner := getattr(schema, side)) is not None}
    if schema.keys is INT64:
        changes["name"] = f"a.{path}"
    if schema.type == "struct":
        changes["name"] = f"a.{path}"
        changes["fields"] = tuple(Field(f.name, named(f.schema, f"{path}_{f.name}")) for f in schema.fields)
    return schema.replace(**changes)


def expected(schema, value):
    """The value that comes back: a field's null is its default."""
    if value is None:
        return None
    if schema.type == "struct":
        return {
            f.name: expected(f.schema, f.schema.default if value[f.name] is None and f.schema.has_default else value[f.name])
            for f in schema.fields
        }
    if schema.type == "array":
        return [expected(schema.items, v) for v in value]
    if schema.type == "map":
        return {k: expected(schema.values, v) for k, v in value.items()}
    return value


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_schemas_and_values_come_back(data):
    schema, values = data.draw(shapes())
    schema, value = named(schema), data.draw(values)
    memory = Memory()
    subject = converter(memory)
    message = written(subject, schema, value)
    if message is None:
        assert value is None
        return
    back_schema, back = subject.read("t", message)
    assert back_schema == schema
    assert repr(back) == repr(expected(schema, value))
    assert text_of(parse(memory.texts[1])) == memory.texts[1]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_many_messages_at_once_give_what_one_by_one_gives(data):
    schema, values = data.draw(shapes())
    schema, subject = named(schema), converter(Memory())
    messages = [m for v in data.draw(st.lists(values, min_size=1, max_size=5)) if (m := written(subject, schema, v)) is not None]
    if not messages:
        return
    singly = [subject.read("t", m)[1] for m in messages]
    common, many = subject.read_many("t", messages)
    assert common == schema
    assert repr(many) == repr(singly)
    cut = data.draw(st.integers(0, len(messages) - 1))
    broken = [m[:-1] if i == cut else m for i, m in enumerate(messages)]
    if len(messages[cut]) > 5 and schema.type != "bytes":
        assert subject.read_many("t", broken) is None
    assert subject.read_many("t", [*messages, b"\x00\x00\x00\x00\x63"]) is None, "another schema"


# ---- texts


def test_second_use_of_a_record_is_its_name_and_differences_there_are_lost():
    point = struct_of([("x", INT32)], name="g.P")
    table = struct_of(
        [("a", point.replace(optional=True)), ("b", point.replace(doc="other")), ("c", Schema(type="array", items=point))], name="s.T"
    )
    assert text(table) == (
        '{"type":"record","name":"T","namespace":"s","fields":[{"name":"a","type":["null",{"type":"record","name":"P",'
        '"namespace":"g","fields":[{"name":"x","type":"int"}],"connect.name":"g.P"}],"default":null},{"name":"b","type":"g.P"},'
        '{"name":"c","type":{"type":"array","items":"g.P"}}],"connect.name":"s.T"}'
    )


def test_two_records_of_one_name_and_different_fields_are_refused():
    table = struct_of([("a", struct_of([("x", INT32)], name="g.P")), ("b", struct_of([("y", INT32)], name="g.P"))], name="s.T")
    with pytest.raises(RecordError, match="one name"):
        text(table)


def test_structs_without_name_are_numbered_and_equal_ones_are_one():
    inner = struct_of([("x", INT32)])
    fields = [f["type"] for f in json.loads(text(struct_of([("a", inner), ("b", inner), ("c", struct_of([]))])))["fields"]]
    assert [f if isinstance(f, str) else f["name"] for f in fields] == ["ConnectDefault2", "ConnectDefault2", "ConnectDefault3"]


def test_a_record_named_like_a_type_of_avros_is_referred_to_in_full():
    word = struct_of([], name="n.int")
    fields = json.loads(text(struct_of([("a", word), ("b", word)], name="n.R")))["fields"]
    assert fields[1]["type"] == "n.int"


def test_bytes_defaults_are_latin_1_and_a_real_has_two_texts():
    fields = struct_of(
        [("b", Schema(type="bytes", default=b"\x00\x96\xff\"")), ("r", Schema(type="float32", default=struct.unpack("<f", struct.pack("<f", 0.1))[0]))],
        name="R",
    )  # fmt: skip
    assert text(fields, connect_meta_data="true") == (
        '{"type":"record","name":"R","fields":[{"name":"b","type":{"type":"bytes","connect.default":"\\u0000\x96ÿ\\""},'
        '"default":"\\u0000\x96ÿ\\""},{"name":"r","type":{"type":"float","connect.default":0.1},'
        '"default":0.10000000149011612}],"connect.name":"R"}'
    )


def test_enums_are_avros_only_with_enhanced_support():
    names = "io.confluent.connect.avro.Enum"
    enum = Schema(type="string", name="a.E", parameters=((names, "a.E"), (f"{names}.x", "x"), (f"{names}.y", "y")))
    assert json.loads(text(enum))["type"] == "string"
    made = json.loads(text(enum, enhanced_avro_schema_support="true"))
    assert (made["type"], made["name"], made["namespace"], made["symbols"]) == ("enum", "E", "a", ["x", "y"])
    subject = converter(Memory(), enhanced_avro_schema_support="true")
    message = written(subject, enum, "y")
    assert message[5:] == b"\x02"
    assert subject.read("t", message)[1] == "y"
    with pytest.raises(RecordError, match="no symbol"):
        written(subject, enum, "z")


def test_fixed_goes_without_length():
    fixed = Schema(type="bytes", name="a.F", parameters=(("connect.fixed.size", "2"),))
    subject = converter(Memory())
    record = struct_of([("f", fixed)], name="R")
    assert written(subject, record, {"f": b"ab"})[5:] == b"ab"
    with pytest.raises(RecordError, match="length"):
        written(subject, record, {"f": b"abc"})


def test_a_decimal_of_fixed_length_comes_and_goes():
    fixed = {"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2}
    subject = converter(Memory({1: json.dumps({"type": "record", "name": "R", "fields": [{"name": "d", "type": fixed}]})}))
    schema, value = subject.read("t", b"\0\0\0\0\1\xff\xff\xff\x9c")
    assert (schema.field("d").name, value) == (DECIMAL, {"d": Decimal("-1.00")})
    assert written(subject, schema, value)[5:] == b"\xff\xff\xff\x9c"


@pytest.mark.parametrize(
    ("name", "clean"), [("a", "a"), ("a-b", "a_b"), ("1st", "x1st"), ("a b", "a_b"), ("ä", "_C3_A4"), ("a~b", "a_7Eb"), ("", "")]
)
def test_scrubbing(name, clean):
    assert scrubbed(name) == clean


def test_splitting_drops_empty_parts_at_the_end_as_java_does():
    assert split("a.b.c", scrub=False) == ("a.b", "c")
    assert split("a.b.", scrub=False) == ("a", "b")
    assert split("x", scrub=True) == (None, "x")


def test_a_name_that_avro_forbids_is_refused_with_what_to_set():
    with pytest.raises(RecordError, match="field name") as error:
        text(struct_of([("a-b", INT32)], name="R"))
    assert "field.name.adjustment.mode=avro" in error.value.hint
    assert '"name":"a_b"' in text(struct_of([("a-b", INT32)], name="R"), scrub_invalid_names="true")


# ---- bytes


def test_a_fields_null_is_its_default_and_an_items_null_is_null():
    defaulted = Schema(type="string", optional=True, default="d")
    subject = converter(Memory())
    assert written(subject, struct_of([("a", defaulted)], name="R"), {"a": None})[5:] == b"\x00\x02d"
    assert written(subject, Schema(type="array", items=defaulted), [None])[5:] == b"\x02\x02\x00"


def test_a_whole_message_of_bytes_has_no_length_unless_it_may_be_null():
    subject = converter(Memory())
    raw = Schema(type="bytes")
    message = written(subject, raw, b"abc")
    assert message[5:] == b"abc"
    assert subject.read("t", message) == (raw, b"abc")
    assert written(subject, raw.replace(optional=True), b"abc")[5:] == b"\x02\x06abc"


def test_nulls_are_null_messages_and_a_required_one_is_refused():
    memory = Memory()
    subject = converter(memory)
    assert written(subject, None, None) is None
    assert written(subject, OPTIONAL_STRING, None) is None
    assert memory.asked == []
    with pytest.raises(RecordError, match="required"):
        written(subject, STRING, None)
    with pytest.raises(RecordError, match="field b of s.T"):
        written(subject, struct_of([("a", OPTIONAL_STRING), ("b", STRING)], name="s.T"), {"a": None, "b": None})


def test_unions_of_several_types_come_back():
    texts = {1: json.dumps({"type": "record", "name": "R", "namespace": "n", "fields": [
        {"name": "u", "type": ["null", "string", "long", {"type": "record", "name": "A", "fields": [{"name": "x", "type": "int"}]},
                               {"type": "record", "name": "B", "fields": [{"name": "x", "type": "int"}]}]}]})}  # fmt: skip
    memory = Memory(texts)
    subject = converter(memory)
    for body, field, value in ((b"\x02\x02s", "string", "s"), (b"\x04\x0a", "long", 5), (b"\x08\x04", "B", {"x": 2})):
        schema, read = subject.read("t", b"\0\0\0\0\1" + body)
        assert {k: v for k, v in read["u"].items() if v is not None} == {field: value}
        assert written(subject, schema, read)[5:] == body
    assert subject.read("t", b"\0\0\0\0\1\x00")[1] == {"u": None}


def test_a_foreign_schema_gives_connects_types():
    memory = Memory({1: json.dumps({"type": "record", "name": "R", "doc": "all", "fields": [
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 5},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["x"]}}]})})  # fmt: skip
    schema, value = converter(memory).read("t", b"\0\0\0\0\1\x04\x01\x00\x06\x00")
    assert value == {"d": Decimal("2.56"), "t": 3, "e": "x"}
    assert schema.field("d") == Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", "2"), ("connect.decimal.precision", "9")))
    assert schema.field("t").name == "org.apache.kafka.connect.data.Timestamp"
    assert schema.field("t").default == 5
    assert schema.field("e").type == "string"


def test_a_schema_that_holds_itself_is_refused():
    node = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}
    with pytest.raises(RecordError, match="holds itself"):
        converter(Memory({1: json.dumps(node)})).read("t", b"\0\0\0\0\1\0")


# ---- what is asked of the registry


def test_an_id_is_asked_for_once_and_nothing_is_written_before():
    memory = Memory()
    subject, out = converter(memory), []
    with pytest.raises(NotReady):
        subject.write("t", STRING, "x", out)
    assert out == []
    for _ in range(3):
        assert written(subject, STRING, "x") == b"\0\0\0\0\1\x02x"
    assert memory.asked == [("t-value", '"string"')]
    assert written(subject, STRING, "x", topic="other")[:5] == b"\0\0\0\0\1"
    assert memory.asked[1:] == [("other-value", '"string"')]


def test_reading_asks_for_the_text_of_an_unknown_id():
    memory = Memory()
    subject = converter(memory, is_key=True)
    with pytest.raises(NotReady) as waiting:
        subject.read("t", b"\0\0\0\0\7\x02x")
    asyncio.run(waiting.value.fetch())
    assert subject.read("t", b"\0\0\0\0\7\x02x") == (STRING, "x")
    assert memory.asked == [(7, "t-key")]


def test_subject_strategies():
    record = struct_of([], name="a.R")
    for strategy, subject_name in (("RecordNameStrategy", "a.R"), ("TopicRecordNameStrategy", "t-a.R"), ("TopicNameStrategy", "t-value")):
        memory = Memory()
        options = {"value_subject_name_strategy": f"io.confluent.kafka.serializers.subject.{strategy}"}
        written(converter(memory, **options), record, {})
        assert memory.asked[0][0] == subject_name
    with pytest.raises(RecordError, match="no record"):
        written(converter(Memory(), value_subject_name_strategy="RecordNameStrategy"), STRING, "x")


OURS = struct_of([("a", INT32), ("b", OPTIONAL_STRING)], name="n.R")


def registered(fields):
    return json.dumps({"type": "record", "name": "R", "namespace": "n", "fields": fields})


def test_a_registered_schema_is_written_with_its_own_union_order():
    memory = Memory()
    memory.latest["t-value"] = registered([{"name": "a", "type": "int"}, {"name": "b", "type": ["string", "null"]}])
    subject = converter(memory, auto_register_schemas="false", use_latest_version="true")
    message = written(subject, OURS, {"a": 1, "b": "x"})
    assert message[5:] == b"\x02\x00\x02x"
    assert subject.read("t", message)[1] == {"a": 1, "b": "x"}


@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "a", "type": "int"}],
        [{"name": "b", "type": ["null", "string"]}, {"name": "a", "type": "int"}],
        [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"]}, {"name": "c", "type": ["null", "int"], "default": None}],
        [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "int"]}],
    ],
)  # fmt: skip
def test_a_registered_schema_with_other_fields_is_refused(fields):
    """AvroConverter writes by position: it would lose or exchange values here."""
    memory = Memory()
    memory.latest["t-value"] = registered(fields)
    with pytest.raises(RecordError, match="the Avro schema"):
        written(converter(memory), OURS, {"a": 1, "b": "x"})


# ---- templates


def test_a_whole_message_that_may_be_null_takes_the_readable_path():
    reader = Reader(read=int, form=Form.DIGITS)
    with pytest.raises(NeedsValue):
        converter(Memory()).write("t", Schema(type="int32", optional=True), Leaf(0, reader), [])


@given(st.lists(INTEGERS[64], min_size=1, max_size=30).map(lambda n: n * 5), st.booleans())
def test_a_column_of_numbers_is_its_numbers(numbers, optional):
    subject, out = converter(Memory()), []
    schema = Schema(type="struct", name="R", fields=(Field("n", Schema(type="int64", optional=optional)),))
    written(subject, schema, {"n": 1})
    subject.write("t", schema, {"n": Leaf(0, Reader(read=int, form=Form.DIGITS))}, out)
    head, cell = out[0], out[-1]
    column = list(cell.encode_column([b"%d" % n for n in numbers]))
    assert column == [cell.encode(b"%d" % n) for n in numbers]
    messages = [head + b"".join(out[1:-1]) + body for body in column]
    assert [subject.read("t", m)[1]["n"] for m in messages] == numbers
    assert [row["n"] for row in subject.read_rows("t", messages).rows] == numbers
