"""Cases for Kafka's own transforms: each class over the same few records, with options that matter."""

from base64 import b64encode


def field(name, kind, optional=True, /, **more):
    return {"type": kind, "optional": optional, **more, "field": name}


def struct(*fields, **more):
    return {"type": "struct", "fields": list(fields), "optional": False, **more}


def b64(data):
    return b64encode(data).decode()


DECIMAL = {"name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": {"scale": "2"}}
DATE = {"name": "org.apache.kafka.connect.data.Date", "version": 1}
TIME = {"name": "org.apache.kafka.connect.data.Time", "version": 1}
TIMESTAMP = {"name": "org.apache.kafka.connect.data.Timestamp", "version": 1}

INNER = struct(field("a", "int32"), field("b", "string", False), optional=True, name="Inner")
ROW = struct(
    field("id", "int32", False), field("i8", "int8"), field("i16", "int16"), field("big", "int64"),
    field("f", "float"), field("d", "double"), field("ok", "boolean"), field("s", "string", default="dft"),
    field("n", "int32", default=7), field("raw", "bytes"), field("dec", "bytes", **DECIMAL), field("day", "int32", **DATE),
    field("t", "int32", **TIME), field("ts", "int64", **TIMESTAMP), {"type": "array", "items": {"type": "int32", "optional": True}, "optional": True, "field": "list"},
    {**INNER, "field": "inner"}, name="my.Row", version=3, doc="a row", parameters={"p": "q"},
)
FULL = {
    "id": 1, "i8": -5, "i16": 300, "big": 5_000_000_000, "f": 1.5, "d": -2.75, "ok": True, "s": "12", "n": 4, "raw": b64(b"\x01\xff"),
    "dec": b64((12345).to_bytes(2, "big")), "day": 18_000, "t": 3_723_004, "ts": 1_577_934_245_678, "list": [1, None], "inner": {"a": 3, "b": "x"},
}
NULLS = {**dict.fromkeys(FULL), "id": 2}
ODD = {**FULL, "i8": 127, "i16": -32768, "big": -(2**63), "f": 3.4e38, "d": 1e300, "ok": False, "s": " 1.5e3 ", "dec": b64(b"\xff"), "ts": -1, "day": -1, "t": 0}
TEXT = {**FULL, "s": "NaN"}
TRUE = {**FULL, "s": "TRUE", "d": 0.0, "f": 0.1}
PLAIN = {"id": 1, "s": "12", "x": None, "d": 1.5, "ok": True, "inner": {"a": 1, "deep": {"z": [1, {"q": 2}]}}, "list": [1, 2]}


def env(schema, payload):
    return {"schema": schema, "payload": payload}


KEY = env(struct(field("id", "int32", False), field("k", "string", default="kd"), name="K"), {"id": 1, "k": None})


def rec(value, key=KEY, **more):
    return {"topic": "srv.public.t", "key": key, "value": value, **more}


FULL_R, NULLS_R, ODD_R, TEXT_R, TRUE_R = (rec(env(ROW, p)) for p in (FULL, NULLS, ODD, TEXT, TRUE))
PLAIN_R = rec(env(None, PLAIN), env(None, {"id": 9}))
TOMB = rec(None)
NULL_WITH_SCHEMA = rec(env({**ROW, "optional": True}, None))
HEADED = rec(env(ROW, FULL), headers=[
    {"key": "h1", "value": env({"type": "string", "optional": False}, "x")}, {"key": "h2", "value": None},
    {"key": "h1", "value": env({"type": "int32", "optional": True}, 5)}])
SINK = rec(env(ROW, FULL), partition=2, timestamp=1_600_000_000_123, offset=42)
STAMPED = rec(env(ROW, FULL), timestamp=1_600_000_000_123)
PRIMITIVE = [rec(env({"type": t, "optional": o, **more}, v), env({"type": t, "optional": o, **more}, v)) for t, o, v, more in (
    ("int32", False, 300, {}), ("int64", True, None, {}), ("string", False, "77", {}), ("double", False, 2.5, {}),
    ("boolean", False, True, {}), ("bytes", False, b64(b"abc"), {}), ("int64", False, 1_577_934_245_678, TIMESTAMP))]

ALL = [FULL_R, NULLS_R, ODD_R, TEXT_R, TRUE_R, PLAIN_R, TOMB, NULL_WITH_SCHEMA, HEADED, SINK]
CASES = []


def add(name, config, records, sides=("$Value",)):
    for side in sides:
        for record in records:
            CASES.append({"class": f"org.apache.kafka.connect.transforms.{name}{side}", "config": config, "record": record})


BOTH = ("$Key", "$Value")
for kind in ("int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string"):
    for name in ("id", "i8", "i16", "big", "f", "d", "ok", "s", "n", "raw", "dec", "day", "t", "ts", "list", "inner"):
        if (name, kind) == ("ts", "float32"):
            continue  # Float.toString gives more digits than needed before Java 19
        add("Cast", {"spec": f"{name}:{kind}"}, [FULL_R, NULLS_R, ODD_R, TEXT_R, TRUE_R])
    add("Cast", {"spec": f"s:{kind}, x:{kind},nothere:{kind}"}, [PLAIN_R])
    add("Cast", {"spec": kind}, PRIMITIVE, BOTH)
add("Cast", {"spec": "n:string,s:string", "replace.null.with.default": "false"}, [NULLS_R, FULL_R])
for spec in ("", "a", "a:b:c", "int32,a:int8", "a:decimal", "a:INT32"):
    add("Cast", {"spec": spec}, [FULL_R])
for text in ("+7", "-0", "1_0", " 1", "0x10", "1f", "1.5D", "-Infinity", ".5", "5.", "1e400", "", "١"):
    for kind in ("int32", "float32", "float64"):
        add("Cast", {"spec": kind}, [rec(env({"type": "string", "optional": False}, text))])
for number in (1e10, 3e9, 100000.0, 1e-5, 33554432.0, -1e20, 300.7, 0.001, 9999999.0):
    for kind in ("int8", "int16", "int32", "int64", "float32", "string"):
        add("Cast", {"spec": kind}, [rec(env({"type": t, "optional": False}, number)) for t in ("double", "float")])

add("ExtractField", {"field": "id"}, ALL, BOTH)
add("ExtractField", {"field": "n"}, [FULL_R, NULLS_R])
add("ExtractField", {"field": "n", "replace.null.with.default": "false"}, [FULL_R, NULLS_R])
add("ExtractField", {"field": "inner"}, ALL)
for path in ("inner.a", "inner.nope", "nope.a", "id.a", "`inner`.b", "inner.deep.z", "inner.", ".a"):
    for syntax in ("V1", "V2"):
        add("ExtractField", {"field": path, "field.syntax.version": syntax}, [FULL_R, NULLS_R, PLAIN_R, NULL_WITH_SCHEMA])
DOTTED = env(None, {"a.b": {"c`d": 1, "e`.f": 2, "": 3, "x`y": {"z": 4}}, "a": {"b": 5}})
for path in ("`a.b`.c`d", "`a.b`.`c`d`", "`a.b`.`e\\`.f`", "`a.b`.", "a.b", "`a.b", "`a.b`x", "`a.b`.x`y.z", "`a.b`.`x`y`.z", "`a.b\\`"):
    add("ExtractField", {"field": path, "field.syntax.version": "V2"}, [rec(DOTTED)])

NESTED = struct(
    field("x", "int32", False),
    {**struct(field("y", "string", False), {**struct(field("z", "int64", False, default=3), optional=False), "field": "deep"}, optional=True), "field": "in"},
    {"type": "array", "items": {"type": "string", "optional": False}, "optional": False, "field": "arr"}, name="N", version=1, optional=True,
)
MAPPED = struct({"type": "map", "keys": {"type": "string", "optional": False}, "values": {"type": "int32", "optional": False}, "optional": True, "field": "m"})
FLAT = [rec(env(NESTED, p)) for p in ({"x": 1, "in": {"y": "a", "deep": {"z": 4}}, "arr": []}, {"x": 1, "in": None, "arr": ["q"]})]
for config in ({}, {"delimiter": "_"}, {"delimiter": ""}):
    add("Flatten", config, [*FLAT, *ALL, rec(env(MAPPED, {"m": {"a": 1}}))])
add("Flatten", {}, [FULL_R, PLAIN_R], ("$Key",))

add("HeaderFrom", {"fields": "s,n", "headers": "hs,hn", "operation": "move"}, ALL)
add("HeaderFrom", {"fields": "s,n", "headers": "hs,hn", "operation": "copy"}, ALL)
add("HeaderFrom", {"fields": "k", "headers": "hk", "operation": "move", "replace.null.with.default": "false"}, [FULL_R], ("$Key",))
add("HeaderFrom", {"fields": "k", "headers": "hk", "operation": "copy"}, [FULL_R], ("$Key",))
add("HeaderFrom", {"fields": "nope", "headers": "h", "operation": "copy"}, [FULL_R, PLAIN_R])
add("HeaderFrom", {"fields": "a,b", "headers": "h", "operation": "copy"}, [FULL_R])
add("HeaderFrom", {"fields": "a", "headers": "h", "operation": "swap"}, [FULL_R])
add("HoistField", {"field": "row"}, ALL, BOTH)
add("InsertField", {"topic.field": "tp!", "static.field": "st", "static.value": "v"}, ALL, BOTH)
add("InsertField", {"partition.field": "p", "offset.field": "o!", "timestamp.field": "tsx?"}, [SINK, STAMPED, PLAIN_R])
add("InsertField", {"timestamp.field": "tsx", "partition.field": "p"}, [SINK, STAMPED, FULL_R])
add("InsertField", {"topic.field": "id"}, [FULL_R, PLAIN_R])
add("InsertField", {"topic.field": "tp", "replace.null.with.default": "false"}, [NULLS_R])
add("InsertField", {}, [FULL_R])
add("InsertField", {"static.field": "x"}, [FULL_R])
for name in ("id", "i8", "i16", "big", "f", "d", "ok", "s", "n", "raw", "dec", "day", "ts", "list", "inner"):
    for config in ({}, {"replacement": "42"}, {"replacement": "4.7"}, {"replacement": "nan"}, {"replacement": "300"}):
        add("MaskField", {"fields": name, **config}, [FULL_R, NULLS_R])
add("MaskField", {"fields": "s,nope,x,list"}, [PLAIN_R, TOMB, NULL_WITH_SCHEMA])
add("MaskField", {"fields": "k", "replacement": "z"}, [FULL_R], ("$Key",))
add("MaskField", {"fields": ""}, [FULL_R])
add("ReplaceField", {"exclude": "inner,list,s", "renames": "id:key,n:count"}, ALL)
add("ReplaceField", {"include": "id, n"}, ALL)
add("ReplaceField", {"include": "id,n", "exclude": "n", "replace.null.with.default": "false"}, [FULL_R, NULLS_R])
add("ReplaceField", {"renames": "k:kk"}, [FULL_R], ("$Key",))
add("ReplaceField", {"renames": "k"}, [FULL_R])
# Of a primitive's schema the original asks for fields and fails.
add("SetSchemaMetadata", {"schema.name": "new.Name"}, ALL, BOTH)
add("SetSchemaMetadata", {"schema.version": "9"}, [FULL_R, NULLS_R])
add("SetSchemaMetadata", {}, [FULL_R])
add("ValueToKey", {"fields": "s,id"}, ALL, ("",))
add("ValueToKey", {"fields": "s", "replace.null.with.default": "false"}, [NULLS_R], ("",))
add("ValueToKey", {"fields": "nope"}, [FULL_R, PLAIN_R], ("",))
add("DropHeaders", {"headers": "h1"}, [HEADED, FULL_R], ("",))
add("DropHeaders", {"headers": ""}, [HEADED], ("",))
add("Filter", {}, [FULL_R, TOMB], ("",))
add("RegexRouter", {"regex": r"([^.]*)\.([^.]*)\.(.*)", "replacement": "lake.$3"}, [FULL_R], ("",))
add("TimestampRouter", {}, [SINK, STAMPED, FULL_R], ("",))
for pattern in ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "yy/M/d h:m:s a", "EEE, d MMM yyyy HH:mm:ss Z", "EEEE MMMM kk K D u G", "''yyyy''", "XXX z zzzz",
                "SSSSSS", "yyyyy", "y"):
    stamps = (1_600_000_000_123, 0, -1, -12_219_292_800_000, -12_219_292_800_001, -62_135_596_800_000 - 86_400_000 * 400, 253_402_300_800_000)
    add("TimestampRouter", {"topic.format": "${timestamp}_${topic}_${timestamp}", "timestamp.format": pattern},
        [rec(env(ROW, FULL), timestamp=s) for s in stamps], ("",))

for literal in (
    "null", "true", "false", " true ", "truex", "true}", "1", "-1", "+5", "127", "128", "40000", "3000000000", "99999999999999999999", "1.5", "1.0", "1e3", "1e-3",
    "1e30", "1e300", "1e400", "0.1", "1,2", "12:34", "2020-01-02", "2020-13-45", "12:34:56.789Z", "2020-01-02T03:04:05.678Z", "12\\:34\\:56.789Z", "text", "a:b", "\"q\"",
    "", " ", "  x ", " 5 ", "[]", "[1,2]", "[1,300]", "[1,2.5]", "[1,\"x\"]", "[\"secret\",\"n\"]", "[1,]", "[1", "[,]", "[null,1]", "[true,false]", "[[1],[2,300]]", "{}", "{\"a\":1}",
    "{\"a\":1,\"b\":null}", "{1:2,3:4}", "{\"a\":1,\"b\":\"x\"}", "{a:1}", "{\"a\"}", "[\" x \"]", "[\"2020-01-02\"]", "é", "[1e30,1]", "-", "1x", "2020-01-02x", "[ 1 , 2 ]",
    "NaN", "{\"a\":[1,2]}", "[{\"a\":1}]", "\\\"x", "007", "1_000", "[3.5,1e300]",
):
    add("InsertHeader", {"header": "h", "value.literal": literal}, [HEADED], ("",))

FORMAT = "yyyy-MM-dd HH:mm:ss.SSS"
TIMES = struct(field("s", "string"), field("u", "int64", default=5), field("day", "int32", **DATE), field("t", "int32", **TIME), field("ts", "int64", **TIMESTAMP), field("x", "int32"), name="Times")
STAMPS = [rec(env(TIMES, p)) for p in (
    {"s": "2020-01-02 03:04:05.678", "u": 1_577_934_245_678, "day": 18_000, "t": 3_723_004, "ts": 1_577_934_245_678, "x": 1},
    dict.fromkeys(("s", "u", "day", "t", "ts", "x")),
    {"s": "1500-02-29 00:00:00.000 and more", "u": -1, "day": -1, "t": 0, "ts": -14_831_769_600_000, "x": 0},
    {"s": "2020-13-01 25:61:61.1", "u": 2**62, "day": 3_000_000, "t": 86_399_999, "ts": 253_402_300_800_000, "x": 0},
    {"s": "nonsense", "u": 0, "day": 0, "t": 0, "ts": 0, "x": 0})]
for target in ("string", "unix", "Date", "Time", "Timestamp"):
    for name in ("s", "u", "day", "t", "ts", "x", "nope"):
        add("TimestampConverter", {"field": name, "target.type": target, "format": FORMAT}, [*STAMPS, TOMB, rec(env({**TIMES, "optional": True}, None))])
    for precision in ("seconds", "microseconds", "nanoseconds"):
        for name in ("u", "ts"):
            add("TimestampConverter", {"field": name, "target.type": target, "format": FORMAT, "unix.precision": precision}, STAMPS)
    add("TimestampConverter", {"target.type": target, "format": "yyyy"}, [PRIMITIVE[1], PRIMITIVE[2], PRIMITIVE[6], PRIMITIVE[0]], BOTH)
add("TimestampConverter", {"field": "u", "target.type": "unix", "replace.null.with.default": "false"}, STAMPS)
add("TimestampConverter", {"field": "s", "target.type": "unix"}, STAMPS[:1])
add("TimestampConverter", {"field": "s", "target.type": "string"}, STAMPS[:1])
add("TimestampConverter", {"field": "s", "target.type": "moon"}, STAMPS[:1])
add("TimestampConverter", {"field": "s", "target.type": "unix", "format": FORMAT}, [rec(env(None, {"s": t})) for t in ("2021-05-06 07:08:09.010", 5, None, True)])
for pattern, text in (("yyyyMMddHHmmss", "20210506070809"), ("d MMM yyyy h:mm a", "6 may 2021 12:05 PM"), ("yyyy-DDD", "2021-100"), ("EEE dd.MM.yyyy", "Thu 06.05.2021"),
                      ("yyyy-MM-dd'T'HH:mm:ssXXX", "2021-05-06T07:08:09+02:00"), ("yyyy-MM-dd HH:mm Z", "2021-05-06 07:08 -0130"), ("yyyy G", "44 BC"), ("yyyy-MM-dd", "-5-01-01"),
                      ("HH:mm z", "10:00 UTC"), ("yyyy-MM-dd kk", "2021-05-06 24"), ("yyyy-MM-dd K a", "2021-05-06 0 PM"), ("yyyy/M/d", "2021/  5/6"), ("yyyy-MM-dd", "2021-05"), ("SSS", "5"),
                      ("dd/MM/yyyy", "31/02/2021"), ("yyyyMMdd", "2021 0506"), ("HHmm", "0705x")):
    add("TimestampConverter", {"field": "s", "target.type": "unix", "format": pattern}, [rec(env(None, {"s": text}))])

P = "org.apache.kafka.connect.transforms.predicates."
for name, config in (("HasHeaderKey", {"name": "h1"}), ("HasHeaderKey", {"name": "zz"}), ("HasHeaderKey", {"name": ""}), ("RecordIsTombstone", {}),
                     ("TopicNameMatches", {"pattern": r"srv\..*"}), ("TopicNameMatches", {"pattern": "public"}), ("TopicNameMatches", {"pattern": "("})):
    for record in (HEADED, FULL_R, TOMB, NULL_WITH_SCHEMA):
        CASES.append({"class": P + name, "config": config, "record": record})
