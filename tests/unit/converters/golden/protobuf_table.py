"""What make_protobuf.py gives to the original: records to write, and messages to read with the .proto texts they were written with."""

TAG, ENUM = "io.confluent.connect.protobuf.Tag", "io.confluent.connect.protobuf.Enum"
UNION, TYPE = "io.confluent.connect.protobuf.Union", "io.confluent.connect.protobuf.Type"
CONNECT = "org.apache.kafka.connect.data."


def field(kind, of=None, optional=False, **more):
    return {"type": kind, **({"field": of} if of else {}), "optional": optional, **more}


def struct(name, *fields, **more):
    return {"type": "struct", "optional": False, "fields": list(fields), **({"name": name} if name else {}), **more}


def inside(schema, name):
    return {**schema, "field": name}


def logical(kind, of=None, optional=False, **parameters):
    base = {"Decimal": "bytes", "Timestamp": "int64"}.get(kind, "int32")
    given = {"parameters": {k.replace("_", "."): v for k, v in parameters.items()}} if parameters else {}
    return {**field(base, of, optional), "name": CONNECT + kind, "version": 1, **given}


def enum(of, optional=False, **symbols):
    return field("string", of, optional, name="a.Mood", parameters={ENUM: "Mood", **{f"{ENUM}.{s}": str(n) for s, n in symbols.items()}})


NUMBERS = struct(
    "shop.public.t.Value",
    field("int8", "i8"), field("int16", "i16", True), field("int32", "i32"), field("int64", "i64", True), field("float", "f"),
    field("double", "d", True), field("boolean", "b"), field("string", "s", True), field("bytes", "x", True),
)  # fmt: skip
KINDS = struct(
    "a.T",
    *(
        field("int64" if "64" in kind or kind in ("uint32", "fixed32") else "int32", f"f_{kind}", True, parameters={TYPE: kind})
        for kind in ("int32", "sint32", "sfixed32", "uint32", "fixed32", "int64", "uint64", "sint64", "fixed64", "sfixed64")
    ),
)
TIMES = struct("a.T", logical("Date", "d", True), logical("Time", "t", True), logical("Timestamp", "ts", True))
DECIMALS = struct(
    "a.T", logical("Decimal", "n", True, scale="2", connect_decimal_precision="10"), logical("Decimal", "m", True, scale="0"),
)  # fmt: skip
MOODS = struct("a.T", enum("e", SAD=0, OK=5, ODD=-3), enum("again", True, SAD=0, OK=5, ODD=-3), field("int32", "n"))
ROW = struct("shop.public.t.Value", field("int32", "id"), field("string", "t", True))
ENVELOPE = struct(
    "shop.public.t.Envelope", inside({**ROW, "optional": True}, "before"), inside({**ROW, "optional": True}, "after"),
    inside(struct("io.debezium.connector.postgresql.Source", field("string", "table"), field("int64", "lsn", True)), "source"),
    field("string", "op"), field("int64", "ts_ms", True),
)  # fmt: skip
LISTS = struct(
    "a.T",
    field("array", "n", True, items=field("int64")), field("array", "s", items=field("string", None, True)),
    field("array", "d", True, items=logical("Decimal", None, True, scale="1")), field("array", "r", True, items=ROW),
    field("array", "b", True, items=field("boolean")), field("array", "f", True, items=field("double")),
)  # fmt: skip
MAPS = struct(
    "a.T",
    field("map", "m", True, keys=field("string"), values=field("string", None, True)),
    field("map", "n", name="x.two_words", keys=field("int32"), values=ROW),
    field("map", "o", True, name="CamelCase", keys=field("int64"), values=logical("Date", None, True)),
)  # fmt: skip
ONEOF = struct(
    "a.T", field("int32", "k"),
    inside(
        struct(
            f"{UNION}.u", field("int32", "i", True, parameters={TAG: "20"}), field("string", "s", True, parameters={TAG: "3"}),
            inside({**ROW, "optional": True, "parameters": {TAG: "9"}}, "r"), optional=True,
        ),
        "u_0",
    ),
    field("string", "z", parameters={TAG: "12"}),
)  # fmt: skip
DEFAULTS = struct("a.T", field("string", "d", True, default="x"), field("int32", "i", True, default=3), field("int32", "r", default=7))
NAMELESS = struct(None, inside(struct(None, field("int32", "x")), "a"), inside(struct(None, field("int32", "y"), optional=True), "b"))
NESTED = struct(
    "a.b.T",
    inside(struct("n.A", inside(struct("n.B", field("int32", "x")), "b"), field("string", "z")), "a"),
    inside(struct("n.B", field("int32", "x")), "b2"), inside(struct("n.B", field("int32", "x")), "B"),
    field("int32", "last", parameters={TAG: "100"}),
)  # fmt: skip
BAD_NAMES = struct("shop-1.1st.T-x", field("int32", "a-b"), field("string", "1st"), field("string", "_u"), field("string", "ä b"), field("int32", "~*"))
SCALE = struct("io.debezium.data.VariableScaleDecimal", field("int32", "scale"), field("bytes", "value"), optional=True)
VARIABLE = struct("a.T", inside(SCALE, "n"), field("array", "ns", True, items=SCALE))
SINGLE = [field(k) for k in ("int8", "int16", "int32", "int64", "float", "double", "boolean", "string", "bytes")]

OPTIONAL, WRAPPER = {"optional.for.nullables": "true"}, {"wrapper.for.nullables": "true"}
SCRUB, ENHANCED = {"scrub.invalid.names": "true"}, {"enhanced.protobuf.schema.support": "true"}
RAW = {"wrapper.for.raw.primitives": "false"}
BOTH = {**OPTIONAL, **WRAPPER}

ROW_1, ROW_0 = {"id": 1, "t": "ä€😀"}, {"id": 0, "t": None}

#: Options, schema, values: each is written by itself, all with the schema's one text.
WRITTEN = [
    *((options, NUMBERS, [
        {"i8": 1, "i16": 2, "i32": 3, "i64": 4, "f": 1.5, "d": 2.5, "b": True, "s": "x", "x": "AAE="},
        {"i8": -1, "i16": -300, "i32": -2147483648, "i64": -9223372036854775808, "f": -0.1, "d": 1e300, "b": False, "s": "", "x": ""},
        {"i8": 0, "i16": 0, "i32": 0, "i64": 0, "f": 0.0, "d": 0.0, "b": False, "s": "y" * 200, "x": None},
        {"i8": 127, "i16": None, "i32": 2147483647, "i64": None, "f": 3.4e38, "d": None, "b": True, "s": None, "x": None},
    ]) for options in ({}, OPTIONAL, WRAPPER, BOTH, ENHANCED)),
    *((options, KINDS, [
        {f["field"]: n for f in KINDS["fields"]} for n in (0, 1, 300, 2147483647)
    ] + [{f["field"]: (4294967295 if f["field"] in ("f_uint32", "f_fixed32") else -1) for f in KINDS["fields"]}, dict.fromkeys(f["field"] for f in KINDS["fields"])])
      for options in ({}, OPTIONAL, WRAPPER)),
    *((options, TIMES, [
        {"d": 0, "t": 0, "ts": 0}, {"d": 19723, "t": 86399999, "ts": 1704067200123}, {"d": -1, "t": 1, "ts": -1},
        {"d": -141427, "t": 3600000, "ts": -62135596800000}, {"d": -141428, "t": 86400000, "ts": 253402300799999},
        {"d": -719162, "t": None, "ts": None}, {"d": 2932896, "t": 59000, "ts": 1}, {"d": 5000000, "t": None, "ts": None},
        {"d": None, "t": -1, "ts": None}, {"d": None, "t": 86400001, "ts": None}, {"d": None, "t": None, "ts": 253402300800000},
    ]) for options in ({}, OPTIONAL, WRAPPER)),
    *((options, DECIMALS, [
        {"n": "AJY=", "m": "AA=="}, {"n": "/w==", "m": "gA=="}, {"n": "AIA=", "m": None}, {"n": None, "m": "B1vNFQ=="},
        {"n": "AfjLAFbFhvz3dTc=", "m": "/jYz"},
    ]) for options in ({}, OPTIONAL)),
    *((options, MOODS, [{"e": "OK", "again": "SAD", "n": 1}, {"e": "SAD", "again": None, "n": 0}, {"e": "ODD", "again": "ODD", "n": 2}])
      for options in ({}, OPTIONAL, ENHANCED)),
    *((options, ENVELOPE, [
        {"before": None, "after": ROW_1, "source": {"table": "t", "lsn": 5}, "op": "c", "ts_ms": 1},
        {"before": ROW_1, "after": ROW_0, "source": {"table": "t", "lsn": None}, "op": "u", "ts_ms": None},
        {"before": ROW_0, "after": None, "source": {"table": "", "lsn": 0}, "op": "d", "ts_ms": 0},
    ]) for options in ({}, OPTIONAL, WRAPPER, ENHANCED)),
    *((options, LISTS, [
        {"n": [1, 0, -1, 300], "s": ["x", ""], "d": ["Dw==", "AA=="], "r": [ROW_1, ROW_0], "b": [True, False], "f": [0.5, 0.0]},
        {"n": None, "s": [], "d": [], "r": None, "b": [], "f": None},
        {"n": None, "s": [None], "d": None, "r": None, "b": None, "f": None},
    ]) for options in ({}, OPTIONAL, WRAPPER)),
    *((options, MAPS, [
        {"m": {"a": "b"}, "n": [[1, ROW_1]], "o": [[0, 19723]]}, {"m": {"": None}, "n": [[0, ROW_0]], "o": [[5, None]]},
        {"m": None, "n": [], "o": None},
    ]) for options in ({}, OPTIONAL, WRAPPER, ENHANCED)),
    *((options, ONEOF, [
        {"k": 1, "u_0": {"i": 0, "s": None, "r": None}, "z": "z"}, {"k": 1, "u_0": {"i": None, "s": "", "r": None}, "z": ""},
        {"k": 0, "u_0": {"i": None, "s": None, "r": ROW_1}, "z": "z"}, {"k": 1, "u_0": None, "z": "z"},
        {"k": 1, "u_0": {"i": None, "s": None, "r": None}, "z": "z"},
    ]) for options in ({}, ENHANCED, WRAPPER)),
    ({}, DEFAULTS, [{"d": None, "i": None, "r": 7}, {"d": "", "i": 0, "r": 0}, {"d": "x", "i": 3, "r": 1}]),
    ({}, NAMELESS, [{"a": {"x": 1}, "b": None}, {"a": {"x": 0}, "b": {"y": 2}}]),
    ({}, NESTED, [{"a": {"b": {"x": 1}, "z": "q"}, "b2": {"x": 0}, "B": {"x": 3}, "last": 5}]),
    (SCRUB, BAD_NAMES, [{"a-b": 1, "1st": "x", "_u": "y", "ä b": "q", "~*": 7}]),
    ({}, BAD_NAMES, [{"a-b": 1, "1st": "x", "_u": "y", "ä b": "q", "~*": 7}]),
    ({}, VARIABLE, [{"n": {"scale": 1, "value": "Dw=="}, "ns": [{"scale": 0, "value": "AA=="}]}, {"n": None, "ns": None}]),
    ({}, struct("a.T"), [{}]),
    ({}, struct("a.T", field("array", "a", items=field("array", items=field("int32")))), [{"a": [[1]]}]),
    ({}, field("array", items=field("int32")), [[1]]),
    ({}, struct("a.T", field("int32", "a", parameters={TAG: "5"}), field("int32", "b", parameters={TAG: "5"})), [{"a": 1, "b": 2}]),
    *(({}, s, [v, z]) for s, v, z in zip(SINGLE, (5, -5, 300, 1 << 40, 1.5, 2.5, True, "x", "AAE="), (0, 0, 0, 0, 0.0, 0.0, False, "", ""), strict=True)),
    (RAW, SINGLE[2], [5]),
]  # fmt: skip

PROTO3 = """
// of another's hand
syntax = "proto3";
package some.pack;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/type/date.proto";
import 'confluent/meta.proto';
option java_package = "x.y";
/* enums outside */
enum Color { option allow_alias = true; RED = 0; ROT = 0; BLUE = 0x10; }
message First { string a = 1; }
message Second {
  reserved 50 to 60, 70; reserved "gone";
  message Inner { message Deep { bool b = 1; } optional sint64 s = 2; repeated .some.pack.Second.Inner.Deep deep = 3; }
  enum Size { SMALL = 0; LARGE = 1; }
  Inner inner = 1;
  map<string, int32> counts = 2; map<int64, Inner> inners = 0x3;
  Color color = 4; Size size = 5; repeated Size sizes = 6;
  oneof choice { string name = 7; First first = 8; Color hue = 9; }
  google.protobuf.Timestamp at = 10; google.type.Date day = 11;
  google.protobuf.Int64Value maybe = 12; repeated google.protobuf.StringValue many = 13;
  int32 tiny = 14 [(confluent.field_meta) = { doc: "d", params: [{key: "connect.type", value: "int8"}, {key: "x", value: "y"}] }];
  int32 tiny2 = 15 [(confluent.field_meta).params = {key: "connect.type", value: "int16"}, deprecated = true];
  repeated double packed = 16; repeated uint32 unpacked = 17 [packed = false]; bytes raw = 18 [json_name = "RAW"];
  fixed64 fixed = 19; uint64 big = 20; optional string maybe_text = 21;
}
service Nothing { rpc Do (First) returns (stream Second); }
"""
PROTO2 = """
message Old {
  required int32 r = 1; optional int32 o = 2 [default = -5]; optional string s = 3 [default = "a\\"b"]; repeated float f = 4 [packed = true];
  optional Kind k = 5 [default = B]; enum Kind { A = 1; B = 2; } optional bytes b = 6; optional bool t = 7 [default = true];
  optional Sub sub = 8; message Sub { optional double d = 1 [default = 1.5]; } extensions 100 to 199;
}
"""
OUTER = 'syntax = "proto3"; package o; import "inner.proto"; message Outer { i.Inner inner = 1; repeated i.Other more = 2; }'
INNER = 'syntax = "proto3"; package i; import "deepest.proto"; message Inner { Deepest d = 1; int32 n = 2; } message Other { string o = 1; }'
DEEPEST = 'syntax = "proto3"; package i; message Deepest { string s = 1; }'
RECURSIVE = 'syntax = "proto3"; message Tree { Tree left = 1; int32 n = 2; }'
GROUP = "message G { optional group Inner = 1 { optional int32 x = 1; } }"
REFERENCES = [("deepest.proto", DEEPEST, []), ("inner.proto", INNER, ["deepest.proto"])]

#: Options, text, references, messages (indexes and body) in hex.
READ = [
    *((options, PROTO3, [], [
        "000a0178", "0202", "0202" "0a021005", "0202" "0a0610031a020801", "0202" "12050a01611005" "12050a01611006" "12030a0162",
        "0202" "1a06080112021004", "0202" "2010" "2801" "3203000102", "0202" "3a0161" "42030a0161", "0202" "4810", "0202" "4863",
        "0202" "2063", "0202" "3a0161" "42030a0162", "0202" "52060880e2cfaa06" "5a0708e80f1001180f", "0202" "52080801108094ebdc03",
        "0202" "6200" "6a030a0178" "6a00", "0202" "62020805", "0202" "7080ffffffffffffffff01" "78ffffffffffffffffff01",
        "0202" "820110" "000000000000e03f" "0000000000000000", "0202" "8801ffffffff0f" "880105", "0202" "8a01020105",
        "0202" "92010200ff", "0202" "99010000000000000080", "0202" "a001ffffffffffffffffff01", "0202" "aa0100", "0202" "aa010161",
        "0202" "c80305", "040200" "1003", "06020000" "0801", "0206", "0601", "0a", "",
    ]) for options in ({}, ENHANCED, OPTIONAL, WRAPPER, RAW)),
    *((options, PROTO2, [], [
        "00" "0801", "00" "0801" "1000" "1a00" "22080000803f00000000" "2801" "3200" "3800" "4200", "00", "00" "0801" "2807",
        "00" "0801" "4209090000000000000000",
    ]) for options in ({}, OPTIONAL)),
    ({}, OUTER, REFERENCES, ["00" "0a050a030a0178" "12030a0179", "00"]),
    ({}, RECURSIVE, [], ["00" "1001"]), ({}, GROUP, [], ["00" "0b08010c"]),
    ({}, 'syntax = "proto3"; message A { string s = 1; repeated string r = 2; }', [], ["00" "0a01ff", "00" "0a05", "00" "0a", "00" "ff", "00" "0801", "00" "12ffffffff0f"]),
]  # fmt: skip
