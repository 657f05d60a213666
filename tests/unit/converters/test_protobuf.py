"""ProtobufConverter: any schema and value, what the captures do not show, registered schemas, and broken messages."""

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from pycdc.converters.protobuf import ProtobufConverterConfig
from pycdc.converters.protobuf.declare import (
    COMMON_UNION,
    DATE,
    ENUM,
    TAG,
    TIME,
    TIMESTAMP,
    TYPE,
    declare,
    map_entry,
    scrubbed,
)
from pycdc.converters.protobuf.encoding import calendar_day, day_number
from pycdc.converters.protobuf.parse import Parsed
from pycdc.converters.protobuf.types import text_of
from pycdc.converters.protobuf.understand import map_name
from pycdc.errors import RecordError
from pycdc.model.schema import (
    BYTES,
    DECIMAL,
    INT32,
    INT64,
    OPTIONAL_INT32,
    OPTIONAL_STRING,
    STRING,
    Field,
    Schema,
    struct,
)
from pycdc.model.template import Form, Leaf, NeedsValue, Reader
from pycdc.plugins.contracts import Cell, Framed, NotReady

sys.path.insert(0, str(Path(__file__).parent))
from protobuf_registry import Files, converter, message, pieces

HEAD = b"\0\0\0\0\1"
OPTIONAL = {"optional.for.nullables": "true"}


def text(schema, options=()):
    return text_of(declare(schema, converter(Files(), options).settings))


def read(text_, data, options=(), files=()):
    return converter(Files({1: text_}, files), options).read("t", HEAD + data)


# ---- any schema, any value

CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = {n: st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)}
VALUES = {
    **{f"int{n}": strategy for n, strategy in INTEGERS.items()},
    "float32": st.floats(width=32, allow_nan=False), "float64": st.floats(allow_nan=False), "boolean": st.booleans(),
    "string": CHARACTERS, "bytes": st.binary(max_size=5),
}  # fmt: skip
LOGICAL = {
    DATE: ("int32", st.integers(-719_162, 2_932_896)), TIME: ("int32", st.integers(0, 86_399_999)),
    TIMESTAMP: ("int64", st.integers(-62_135_596_800_000, 253_402_300_799_999)),
    DECIMAL: ("bytes", st.integers(-(10**40), 10**40).map(lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -2)))),
}  # fmt: skip
UNSIGNED = {
    "uint32": st.integers(0, 2**32 - 1), "fixed32": st.integers(0, 2**32 - 1), "uint64": INTEGERS[64], "fixed64": INTEGERS[64],
    "sint64": INTEGERS[64], "sfixed64": INTEGERS[64],
}  # fmt: skip


@st.composite
def leaves(draw):
    kind = draw(st.integers(0, 5))
    if kind == 0:
        name = draw(st.sampled_from(sorted(LOGICAL)))
        parameters = (("scale", "2"),) if name == DECIMAL else ()
        return Schema(type=LOGICAL[name][0], name=name, version=1, parameters=parameters), LOGICAL[name][1]
    if kind == 1:
        own = draw(st.sampled_from(sorted(UNSIGNED)))
        return Schema(type="int64", parameters=((TYPE, own),)), UNSIGNED[own]
    if kind == 2:
        values = {"SAD": 0, "OK": 5, "ODD": -1}
        symbols = tuple((f"{ENUM}.{s}", str(n)) for s, n in values.items())
        return Schema(type="string", name="Mood", parameters=((ENUM, "Mood"), *symbols)), st.sampled_from(sorted(values))
    own = draw(st.sampled_from(sorted(VALUES)))
    return Schema(type=own), VALUES[own]


@st.composite
def shapes(draw, path, depth=2):
    """A schema and a strategy for its values. Types are named by where they are: one name is one type."""
    kind = draw(st.integers(0, 5)) if depth else 9
    if kind == 0:
        schema, values = draw(structs(path, depth - 1))
    elif kind == 1:
        items, values = draw(leaves() if draw(st.booleans()) else structs(path + "a", depth - 1))
        schema, values = Schema(type="array", items=items), st.lists(values, max_size=3)
    elif kind == 2:
        items, values = draw(leaves())
        keys = draw(st.sampled_from(["string", "int32", "int64", "boolean"]))
        schema = Schema(type="map", name=f"M{path}", keys=Schema(type=keys), values=items)
        values = st.dictionaries(VALUES[keys], values, max_size=3)
    else:
        schema, values = draw(leaves())
    optional = draw(st.booleans())
    return schema.replace(optional=optional), (st.none() | values if optional else values)


@st.composite
def structs(draw, path="", depth=2):
    inner = [(f"f{i}", draw(shapes(f"{path}{i}", depth))) for i in range(draw(st.integers(0, 4)))]
    schema = struct([(n, s) for n, (s, _) in inner], name=f"s.T{path}")
    return schema, st.fixed_dictionaries({n: v for n, (_, v) in inner})


def as_read(schema, value):
    """With optional.for.nullables only lists and maps come back as empty instead of null."""
    if value is None:
        return [] if schema.type == "array" else {} if schema.type == "map" else None
    if schema.type == "struct":
        return {f.name: as_read(f.schema, value[f.name]) for f in schema.fields}
    if schema.type == "array":
        return [as_read(schema.items, v) for v in value]
    return value


def same_types(ours, theirs):
    """But for names without their namespace, and the numbers of fields."""
    if ours.name not in LOGICAL:
        ours = ours.replace(name=None)
    assert ours.type == theirs.type
    assert (ours.optional or ours.type in ("array", "map", "struct") or ours.name in LOGICAL or ours.parameter(ENUM)) or not theirs.optional
    if ours.name in LOGICAL:
        assert (ours.name, ours.version, ours.parameter("scale")) == (theirs.name, theirs.version, theirs.parameter("scale"))
    if ours.type == "struct":
        assert [f.name for f in ours.fields] == [f.name for f in theirs.fields]
        for a, b in zip(ours.fields, theirs.fields, strict=True):
            same_types(a.schema, b.schema)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_values_come_back_and_googles_library_writes_the_same_bytes(data):
    schema, values = data.draw(structs())
    memory = Files()
    subject = converter(memory, OPTIONAL)
    drawn = data.draw(st.lists(values, min_size=1, max_size=4))
    messages = [message(subject, memory, schema, v) for v in drawn]
    wanted = [as_read(schema, v) for v in drawn]
    read_, singly = zip(*(subject.read("t", m) for m in messages), strict=True)
    assert repr(list(singly)) == repr(wanted)
    same_types(schema, read_[0])
    assert repr(subject.read_many("t", messages)) == repr((read_[0], wanted))
    assert repr(list(subject.read_rows("t", messages).rows)) == repr(wanted)
    google = GetMessageClass(Parsed(memory.texts[1], {}).descriptor([0]))
    for m in messages:
        assert google.FromString(m[6:]).SerializeToString() == m[6:]


@given(st.integers(-3_000_000, 30_000_000))
def test_days_come_back(days):
    year, month, day = calendar_day(days)
    assert day_number(year, month, day) == days
    assert calendar_day(days - 1) < (year, month, day) < calendar_day(days + 1)


@pytest.mark.parametrize("day", [(2023, 2, 29), (2023, 0, 1), (2023, 13, 1), (2023, 1, 0), (0, 0, 0), (1582, 10, 10)])
def test_a_day_of_no_calendar_is_refused(day):
    with pytest.raises(ValueError, match="no calendar"):
        day_number(*day)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=20))
def test_any_bytes_are_a_message_or_an_error_of_ours(data):
    subject = MESSY[0]
    try:
        schema, _ = subject.read("t", HEAD + data)
    except RecordError:
        assert subject.read_many("t", [HEAD + data]) is None or not data
    else:
        assert subject.read_many("t", [HEAD + data]) is not None
        assert schema.type == "struct"


MESSY = [
    converter(Files({1: 'syntax = "proto3"; message A { string s = 1; repeated A2 r = 2; sint64 n = 3; message A2 { bytes b = 1; } }'}))
]

# ---- writing


def test_names_of_entries_and_of_maps():
    assert [map_entry(n) for n in ("my_map", "ConnectDefault1", "FOO", "a1_b2")] == ["MyMapEntry", "ConnectDefault1Entry", "FOOEntry", "A1B2Entry"]
    assert [map_name(n) for n in ("MyMapEntry", "a.b.XMapEntry", "FOOEntry", "Other")] == ["my_map", "a.b.x_map", "f_o_o", "other"]


@pytest.mark.parametrize(("name", "clean"), [("a-b", "a_b"), ("1st", "x1st"), ("_u", "x_u"), ("ä b", "_C3_A4_b"), ("ok_1", "ok_1"), ("", ""), ("a*~", "a__7E")])
def test_scrubbing(name, clean):
    assert scrubbed(name) == clean


def test_a_name_that_protobuf_forbids_is_refused_with_what_to_set():
    schema = struct([("a-b", INT32)], name="T")
    with pytest.raises(RecordError, match="is none for Protobuf") as error:
        text(schema)
    assert "scrub.invalid.names=true" in error.value.hint
    assert "int32 a_b = 1;" in text(schema, {"scrub.invalid.names": "true"})


@pytest.mark.parametrize("name", ["pg-x.public.t.Row", "1st.2nd.Row", "a..b.Row", "package.message.Row", "_a._b.Row"])
def test_packages_that_confluents_parser_takes_are_written_and_read(name):
    schema = struct([("id", INT32), ("r", struct([("q", INT32)], name="x-y.R", optional=True))], name=name)
    for options in ({}, {"enhanced.protobuf.schema.support": "true"}):
        memory = Files()
        subject = converter(memory, options)
        data = message(subject, memory, schema, {"id": 5, "r": {"q": 1}})
        assert f"package {name.removesuffix('.Row')};" in memory.texts[1]
        found, value = subject.read("t", data)
        assert value == {"id": 5, "r": {"q": 1}}
        assert [found.name, found.fields[1].schema.name] == ([name, f"{name}.R"] if options else ["Row", "R"])
        latest = Files()
        latest.latest["t-value"] = memory.texts[1].replace("message Row", "message First {}\n\nmessage Row")
        assert message(converter(latest, LATEST), latest, schema, {"id": 5, "r": None}) == HEAD + b"\x02\x02\x08\x05"


@pytest.mark.parametrize("name", ["my db.public.Row", "ü.Row", "a.b$c.Row", "a;b.Row", "a.Row-x", "a.1Row"])
def test_a_name_that_no_registry_takes_is_refused_with_what_to_set(name):
    for schema in (struct([("id", INT32)], name=name), struct([("r", struct([], name=name.rpartition(".")[2] + "-"))], name="a.T")):
        with pytest.raises(RecordError, match="name is none for Protobuf") as error:
            text(schema)
        assert "scrub.invalid.names=true" in error.value.hint
        assert text(schema, {"scrub.invalid.names": "true"})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([("a", Schema(type="array", items=Schema(type="array", items=INT32)))], "no arrays in arrays"),
        ([("a", Schema(type="array", items=Schema(type="map", keys=STRING, values=INT32)))], "no maps in arrays"),
        ([("a", INT32.replace(parameters=((TAG, "2"),))), ("b", INT32.replace(parameters=((TAG, "2"),)))], "two fields of a message have one number"),
        ([("a", INT32.replace(parameters=((TAG, "0"),)))], "number is none for Protobuf"),
        ([("a", INT32.replace(parameters=((TYPE, "int128"),)))], "type that Protobuf has not got"),
        ([("S", INT32), ("x", struct([], name="n.S"))], "two parts of a message have one name"),
        ([("x", struct([("a", INT32)], name="n.S")), ("y", struct([("b", INT32)], name="m.S"))], "two different types of a message have one name"),
        ([("x", struct([("a", INT32)], name="n.S")), ("y", struct([("a", STRING)], name="m.S"))], "two different types of a message have one name"),
    ],
)  # fmt: skip
def test_what_protobuf_has_no_form_for_is_refused(fields, told):
    schema = struct(fields, name="T")
    with pytest.raises(RecordError, match=told):
        message(converter(Files()), Files(), schema, {})


def test_values_without_form_are_refused():
    for schema, value, told in (
        (Schema(type="array", items=OPTIONAL_STRING), ["x", None], "no nulls in arrays"),
        (INT64.replace(parameters=((TYPE, "uint32"),)), 2**32, "does not fit"),
        (INT32, None, "required field is null"),
        (Schema(type="string", name="E", parameters=((ENUM, "E"), (f"{ENUM}.A", "0"))), "B", "no symbol"),
        (Schema(type="int32", name=DATE), -800_000, "before the year 1"),
        (Schema(type="int64", name=TIMESTAMP), 2**62, "no form in Protobuf"),
        (Schema(type="int32", name=TIME), -1, "not of one day"),
    ):
        memory = Files()
        with pytest.raises(RecordError, match=told):
            message(converter(memory), memory, struct([("f", schema)], name="T"), {"f": value})


def test_nulls_are_null_messages_and_a_required_one_is_refused():
    memory = Files()
    subject = converter(memory)
    assert message(subject, memory, None, None) is None
    assert message(subject, memory, OPTIONAL_STRING, None) is None
    assert subject.read("t", None) == (None, None)
    with pytest.raises(RecordError, match="required value is null"):
        message(subject, memory, STRING, None)
    with pytest.raises(RecordError, match="needs a schema"):
        message(subject, memory, None, "x")


def test_a_value_alone_is_a_wrapper_and_a_logical_one_is_refused():
    memory = Files()
    subject = converter(memory)
    assert message(subject, memory, STRING, "x") == HEAD + b"\x02\x0e\x0a\x01x"
    assert subject.read("t", HEAD + b"\x02\x0e\x0a\x01x") == (STRING, "x")
    assert message(subject, memory, BYTES, b"") == HEAD + b"\x02\x10"
    with pytest.raises(RecordError, match="no message of such a value alone"):
        message(subject, memory, Schema(type="bytes", name=DECIMAL, parameters=(("scale", "0"),)), Decimal(1))


def test_a_null_of_a_field_with_a_default_is_the_default_unless_that_is_ignored():
    schema = struct([("d", STRING.replace(optional=True, default="x"))], name="T")
    for options, body in (({}, b"\x0a\x01x"), ({"ignore.default.for.nullables": "true"}, b"")):
        memory = Files()
        assert message(converter(memory, options), memory, schema, {"d": None}) == HEAD + b"\0" + body


def test_common_names_of_unions():
    union = struct(
        [("i", OPTIONAL_INT32.replace(parameters=((TAG, "2"),))), ("s", OPTIONAL_STRING.replace(parameters=((TAG, "3"),)))],
        optional=True, parameters=((COMMON_UNION, "u"),),
    )  # fmt: skip
    schema, memory, options = struct([("u_0", union)], name="T"), Files(), {"generalized.sum.type.support": "true"}
    subject = converter(memory, options)
    data = message(subject, memory, schema, {"u_0": {"i": None, "s": "x"}})
    found, value = subject.read("t", data)
    assert value == {"u_0": {"i": None, "s": "x"}}
    assert (found.fields[0].schema.name, found.fields[0].schema.parameters) == ("u", ((COMMON_UNION, "u"),))


# ---- templates


def test_a_message_that_may_be_null_takes_the_readable_path():
    with pytest.raises(NeedsValue):
        converter(Files()).write("t", OPTIONAL_STRING, Leaf(0, Reader(read=bytes.decode, form=Form.TEXT)), [])


def test_a_leaf_in_a_list_or_a_oneof_takes_the_readable_path():
    leaf = Leaf(0, Reader(read=int, form=Form.DIGITS))
    union = struct([("i", OPTIONAL_INT32.replace(parameters=((TAG, "2"),)))], name="io.confluent.connect.protobuf.Union.u", optional=True)
    rows = Schema(type="array", items=struct([("x", INT32)], name="R"))
    for schema, value in ((Schema(type="array", items=INT32), [leaf]), (rows, [{"x": leaf}]), (union, {"i": leaf}), (Schema(type="map", keys=STRING, values=INT32), {"k": leaf})):
        memory = Files()
        with pytest.raises(NeedsValue):
            message(converter(memory), memory, struct([("f", schema)], name="T"), {"f": value})


def test_what_holds_leaves_is_framed():
    schema = struct([("row", struct([("id", INT64)], name="Row")), ("same", struct([("id", INT64)], name="Same"))], name="T")
    memory = Files()
    subject = converter(memory)
    written = pieces(subject, memory, schema, {"row": {"id": Leaf(0, Reader(read=int, form=Form.DIGITS))}, "same": {"id": 5}})
    _head, framed, rest = written
    assert isinstance(framed, Framed)
    assert isinstance(framed.pieces[0], Cell)
    assert framed.frame([framed.pieces[0].encode(b"300")])[0] + rest == b"\x0a\x03\x08\xac\x02\x12\x02\x08\x05"


@given(st.lists(INTEGERS[64], min_size=1, max_size=30).map(lambda n: n * 5), st.booleans())
def test_a_column_of_numbers_is_its_numbers(numbers, optional):
    memory, schema = Files(), struct([("n", INT64.replace(optional=optional))], name="T")
    subject = converter(memory, OPTIONAL)
    head, cell = pieces(subject, memory, schema, {"n": Leaf(0, Reader(read=int, form=Form.DIGITS))})
    column = list(cell.encode_column([b"%d" % n for n in numbers]))
    assert column == [cell.encode(b"%d" % n) for n in numbers]
    assert [row["n"] for row in PLAIN[optional].read_rows("t", [head + body for body in column]).rows] == numbers


@given(st.lists(st.integers(-(10**110), 10**110) | st.integers(-300, 300), min_size=1), st.integers(-3, 40))
def test_a_column_of_decimals_is_what_each_is(numbers, scale):
    schema = struct([("n", Schema(type="bytes", name=DECIMAL, parameters=(("scale", str(scale)),)))], name="T")
    memory = Files()
    subject = converter(memory)
    leaf = Leaf(0, Reader(read=lambda t: Decimal(int(t)).scaleb(-scale), unscaled=int))
    head, cell = pieces(subject, memory, schema, {"n": leaf})
    column = list(cell.encode_column([b"%d" % n for n in numbers]))
    assert column == [cell.encode(b"%d" % n) for n in numbers]
    values = [Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -scale)) for n in numbers]
    assert [head + body for body in column] == [message(subject, memory, schema, {"n": v}) for v in values]


PLAIN = {
    optional: converter(Files({1: f'syntax = "proto3"; message T {{ {"optional " * optional}int64 n = 1; }}'})) for optional in (False, True)
}


# ---- reading

UNION = 'syntax = "proto3"; message T { int32 k = 1; oneof u { int32 i = 2; string s = 3; } Mood m = 4; enum Mood { SAD = 0; OK = 5; } In n = 6; message In { int32 x = 1; } }'


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, {"u_0": {"i": None, "s": "x"}, "k": 1, "m": "OK", "n": None}),
        ({"int.for.enums": "true"}, {"u_0": {"i": None, "s": "x"}, "k": 1, "m": 5, "n": None}),
        ({"generate.index.for.unions": "false"}, {"u": {"i": None, "s": "x"}, "k": 1, "m": "OK", "n": None}),
        ({"flatten.unions": "true"}, {"i": None, "s": "x", "k": 1, "m": "OK", "n": None}),
        ({"generate.struct.for.nulls": "true"}, {"u_0": {"i": None, "s": "x"}, "k": 1, "m": "OK", "n": {"x": 0}}),
    ],
)  # fmt: skip
def test_options_of_reading(options, value):
    schema, found = read(UNION, bytes.fromhex("00 0801 1a0178 2005"), options)
    assert found == value
    assert [f.name for f in schema.fields] == list(value)


def test_an_int_for_an_enum_is_written_as_the_enum():
    memory, options = Files({1: UNION}), {"int.for.enums": "true"}
    data = HEAD + bytes.fromhex("00 0801 1a0178 2005")
    schema, value = converter(memory, options).read("t", data)
    own = Files()
    assert message(converter(own, options), own, schema, value)[6:] == data[6:]
    assert "Mood m = 4;" in own.texts[1]


def test_nulls_in_maps_are_what_their_type_is_without_a_value():
    maps = [("n", INT32), ("d", Schema(type="int32", name=DATE)), ("r", struct([("x", INT32)], name="R"))]
    schema = struct([(n, Schema(type="map", name=n, keys=STRING, values=s.replace(optional=True))) for n, s in maps], name="T")
    memory = Files()
    subject = converter(memory)
    data = message(subject, memory, schema, {n: {"k": None} for n, _ in maps})
    assert subject.read("t", data)[1] == {"n": {"k": 0}, "d": {"k": None}, "r": {"k": {"x": 0}}}


def test_generated_structs_leave_logical_types_null():
    text_ = 'syntax = "proto3"; import "google/type/date.proto"; import "confluent/type/decimal.proto"; message A { google.type.Date d = 1; confluent.type.Decimal n = 2; In i = 3; message In { google.type.Date d = 1; } }'
    assert read(text_, b"\0", {"generate.struct.for.nulls": "true"})[1] == {"d": None, "n": None, "i": {"d": None}}


def test_a_decimal_keeps_its_digits_whatever_precision_it_tells():
    text_ = 'syntax = "proto3"; import "confluent/type/decimal.proto"; message A { confluent.type.Decimal n = 1; }'
    assert read(text_, b"\0\x0a\x08\x0a\x02\x30\x39\x10\x02\x18\x02")[1] == {"n": Decimal("123.45")}


def test_known_types_are_not_registered():
    ProtobufConverterConfig.parse({"schema.registry.url": "http://r:1", "skip.known.types": "false"}, faults := [])
    assert [f.key for f in faults] == ["skip.known.types"]


def test_a_required_field_that_is_missing_is_told_wherever_it_is():
    text_ = "message A { repeated C c = 1; message C { required int32 n = 1; } }"
    with pytest.raises(RecordError, match="required field is missing"):
        read(text_, b"\0\x0a\x00")
    assert read(text_, b"\0\x0a\x02\x08\x01")[1] == {"c": [{"n": 1}]}


def test_proto2_nulls():
    old = "message O { optional int32 n = 1 [default = 7]; }"
    assert read(old, b"\0")[1] == {"n": None}
    assert read(old, b"\0", {"optional.for.proto2": "false"})[1] == {"n": 7}


@pytest.mark.parametrize(
    ("text_", "told"),
    [
        ("message", "malformed.*\n.*line 1"), ('syntax = "proto3"; message A { int32 a = 1 }', "malformed.*\n.*line 1"),
        ("message A { optional Missing m = 1; }", "Protobuf schema is wrong.*\n.*Missing"),
        ('edition = "2023"; message A { }', "not of proto2 or proto3"), ('syntax = "proto3"; import "x/y.proto"; message A { }', "no reference to.*\n.*x/y.proto"),
        ('syntax = "proto3"; message A { int32 a = 1; int32 b = 1; }', "Protobuf schema is wrong"),
        ('syntax = "proto3"; message A { A a = 1; }', "holds itself"), ('syntax = "proto3"; message A { int32 a = 99999999999; }', "wrong|malformed"),
        ('{"type": "string"}', "malformed"), ("", "not what its schema says"),
    ],
)  # fmt: skip
def test_texts_that_cannot_be_read_are_told(text_, told):
    with pytest.raises(RecordError, match=told):
        read(text_, b"\0")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{}", "not Protobuf with a schema id"), (b"\1\0\0\0\1\0", "not Protobuf with a schema id"), (b"\0\0\0", "not Protobuf with a schema id"),
        (HEAD, "which message"), (HEAD + b"\x02", "which message"), (HEAD + b"\x02\x0a", "type that the schema has not got"),
        (HEAD + b"\x01", "which message"), (HEAD + b"\x02\xff\xff\xff\xff\xff\xff", "which message"),
        (HEAD + b"\0\x0a\x05x", "not what its schema says"), (HEAD + b"\0\x0a\x01\xff", "not what its schema says"),
        (HEAD + b"\0\xff", "not what its schema says"), (HEAD + b"\0\x12\x00", "no calendar"),
    ],
)  # fmt: skip
def test_broken_messages_are_told(data, told):
    subject = converter(Files({1: 'syntax = "proto3"; import "google/type/date.proto"; message A { string s = 1; google.type.Date d = 2; }'}))
    with pytest.raises(RecordError, match=told) as error:
        subject.read("topic", data)
    assert error.value.where == "topic"
    assert subject.read_many("topic", [data]) is None
    assert subject.read_rows("topic", [data]) is None


def test_messages_of_several_tables_or_types_are_read_one_by_one():
    envelope = 'syntax = "proto3"; message E { R after = 1; S source = 2; string op = 3; message R { int32 id = 1; } message S { string schema = 1; string table = 2; } } message F { int32 n = 1; }'
    subject = converter(Files({1: envelope}))
    one, two = (HEAD + b"\0\x0a\x02\x08\x01\x12\x06\x0a\x01s\x12\x01" + t + b"\x1a\x01c" for t in (b"t", b"u"))
    rows = subject.read_rows("t", [one, one])
    assert (rows.ops, rows.rows, rows.source) == (["c", "c"], [{"id": 1}] * 2, {"schema": "s", "table": "t"})
    assert rows.row_schema.fields == (Field("id", OPTIONAL_INT32.replace(parameters=((TAG, "1"),))),)
    assert subject.read_rows("t", [one, two]) is None
    assert subject.read_rows("t", [one, HEAD + b"\x02\x02\x08\x01"]) is None
    assert subject.read_rows("t", [HEAD + b"\x02\x02\x08\x01"]).rows == [{"n": 1}]


# ---- what is asked of the registry

ROW = struct([("id", INT32), ("t", OPTIONAL_STRING)], name="s.Row")


def test_an_id_is_asked_for_once_and_nothing_is_written_before():
    memory = Files()
    subject, out = converter(memory), []
    with pytest.raises(NotReady):
        subject.write("t", ROW, {"id": 1, "t": "x"}, out)
    assert out == []
    for _ in range(3):
        assert message(subject, memory, ROW, {"id": 1, "t": "x"}) == HEAD + b"\0\x08\x01\x12\x01x"
    assert memory.asked == [("t-value", text(ROW))]


def test_reading_asks_for_the_text_of_an_unknown_id():
    memory = Files()
    subject = converter(memory, is_key=True)
    for ask in (subject.read, lambda t, d: subject.read_rows(t, [d])):
        with pytest.raises(NotReady) as waiting:
            ask("t", b"\0\0\0\0\7\0\x08\x01")
    memory.fetch_text = lambda id_, subject_: asyncio.sleep(0, memory.asked.append((id_, subject_)))
    asyncio.run(waiting.value.fetch())
    assert memory.asked == [(7, "t-key")]


def test_subject_strategies():
    for strategy, schema, value, subject_name in (
        ("RecordNameStrategy", ROW, {"id": 1, "t": None}, "s.Row"), ("TopicRecordNameStrategy", ROW, {"id": 1, "t": None}, "t-s.Row"),
        ("TopicNameStrategy", ROW, {"id": 1, "t": None}, "t-value"), ("RecordNameStrategy", STRING, "x", "google.protobuf.StringValue"),
    ):  # fmt: skip
        memory = Files()
        options = {"value.subject.name.strategy": f"io.confluent.kafka.serializers.subject.{strategy}"}
        message(converter(memory, options), memory, schema, value)
        assert memory.asked[0][0] == subject_name


LATEST = {"auto.register.schemas": "false", "use.latest.version": "true"}


def test_a_registered_schema_is_written_with_its_own_indexes():
    memory = Files()
    memory.latest["t-value"] = 'syntax = "proto3"; package s; message Other { } message Row { string more = 9; string t = 2; int32 id = 1; }'
    subject = converter(memory, LATEST)
    data = message(subject, memory, ROW, {"id": 1, "t": "x"})
    assert data == HEAD + b"\x02\x02\x08\x01\x12\x01x"
    assert subject.read("t", data)[1] == {"more": "", "t": "x", "id": 1}


@pytest.mark.parametrize(
    "fields", ["int32 id = 1;", "int32 id = 2; string t = 1;", "int32 id = 1; bytes t = 2;", "int32 id = 1; repeated string t = 2;", "int64 id = 1; string t = 2;"]
)
def test_a_registered_schema_with_other_fields_is_refused(fields):
    """The original writes by the record's own numbers and types: readers would see other values."""
    memory = Files()
    memory.latest["t-value"] = f'syntax = "proto3"; package s; message Row {{ {fields} }}'
    with pytest.raises(RecordError, match="the Protobuf schema does not take"):
        message(converter(memory, LATEST), memory, ROW, {"id": 1, "t": "x"})


def test_a_registered_schema_without_the_message_is_refused():
    memory = Files()
    memory.latest["t-value"] = 'syntax = "proto3"; message Row { int32 id = 1; string t = 2; }'
    with pytest.raises(RecordError, match="no message of that name"):
        message(converter(memory, LATEST), memory, ROW, {"id": 1, "t": "x"})


def test_known_files_need_no_reference():
    files = ("confluent/meta", "google/type/money", "google/type/interval", "google/protobuf/any", "google/protobuf/descriptor", "google/type/datetime")
    text_ = 'syntax = "proto3";' + "".join(f'import "{f}.proto";' for f in files) + (
        "message A { google.type.Money m = 1; google.type.Interval i = 2; google.protobuf.Any a = 3; google.type.DateTime d = 4; }"
    )  # fmt: skip
    assert read(text_, b"\0\x0a\x05\x0a\x03EUR")[1] == {"m": {"currency_code": "EUR", "units": 0, "nanos": 0}, "i": None, "a": None, "d": None}


def test_writing_goes_without_googles_library_and_the_parser():
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from protobuf_registry import Files, converter, message
from pycdc.model.schema import INT32, struct
memory = Files()
message(converter(memory), memory, struct([("id", INT32)], name="T"), {"id": 1})
print([m for m in ("google.protobuf", "antlr4", "proto_schema_parser") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
