"""Values and messages that go through Kafka's converters; make_connect.py says how they are written."""

import json

_DATA = "org.apache.kafka.connect.data."


def schema(kind, **more):
    return {"type": kind, "optional": False, **more}


def optional(kind, **more):
    return {"type": kind, "optional": True, **more}


def row(*fields, **more):
    return schema("struct", fields=[{**s, "field": name} for name, s in fields], **more)


def decimal(scale):
    return schema("bytes", name=_DATA + "Decimal", version=1, parameters={"scale": str(scale)})


def dates(kind, name):
    return schema(kind, name=_DATA + name, version=1)


def f32(text):
    return {"$float32": text}


def f64(text):
    return {"$float64": text}


ROW = row(
    ("id", schema("int64")), ("a-ü", optional("string")), ("d", optional("string", default="x")),
    ("n", optional("int32", default=7)), ("b", optional("bytes", default="AQI=")), ("f", optional("double", default=1.5)),
    name="r.Value", version=2, doc='says "r"',
)  # fmt: skip
NESTED = row(
    ("r", row(("x", optional("float")), ("l", optional("array", items=optional("string"))), name="In")),
    ("m", schema("map", keys=schema("string"), values=optional("int32"))), ("last", optional("boolean")),
)  # fmt: skip
TEXTS = [
    "", "plain", 'q"b\\s/', "\n\r\t\b\f\0\x1f\x7f", "ü€\u2028", "\U0001f600", "null", "true", "1", "\\u001f",
    "\u00a0 \ufeff", " lead", "{\"a\":1}", "[1,2]", "1970-01-01", "a:b,c",
]  # fmt: skip
INTEGERS = {"int8": (0, -128, 127), "int16": (-32768, 32767), "int32": (-2147483648, 5), "int64": (-9223372036854775808, 9223372036854775807)}
#: Java before 19 prints some floats with more digits than tell them apart (2.5E10 as 2.49999995E10); newer ones and pycdc do not.
FLOATS = ["0.0", "-0.0", "1.0", "100000.0", "1.0E7", "9999999.0", "0.001", "9.9E-4", "2.5E9", "1.0E-38", "3.4E38", "0.1", "NaN", "Infinity", "-Infinity"]
DOUBLES = ["5.0E-324", "1.7976931348623157E308", "2.25E10", "0.3333333333333333", "123456789.125"]
DECIMALS = [(2, "1.50"), (2, "-0.01"), (0, "12345678901234567890"), (2, "0.00"), (-2, "1.23E+4"), (10, "1E-10"), (3, "-99999999999.999"), (0, "0"), (20, "0E-20"), (2, "1.5")]

SOUND = [
    *[(schema(kind), n) for kind, numbers in INTEGERS.items() for n in numbers],
    *[(schema("float"), f32(t)) for t in FLOATS], *[(schema("double"), f64(t)) for t in [*FLOATS, *DOUBLES]],
    *[(schema("string"), t) for t in TEXTS], *[(schema("boolean"), b) for b in (True, False)],
    *[(schema("bytes"), {"$bytes": b}) for b in ("", "00", "ff00fe", "68656c6c6f")],
    *[(decimal(scale), {"$decimal": text}) for scale, text in DECIMALS],
    *[(dates("int32", "Date"), n) for n in (0, 1, -1, 19000, 20454, -141427, -141428, -719164, -719529, -800000)],
    *[(dates("int32", "Time"), n) for n in (0, 1, 43200000, 86399999)],
    *[(dates("int64", "Timestamp"), n) for n in (0, 1, 86400000, 86400001, 1700000000123, -1, 253402300799999)],
    (schema("int64", name="io.debezium.time.MicroTimestamp", version=1), 1700000000123456),
    (schema("array", items=schema("int32")), [1, 2, 3]), (schema("array", items=optional("string")), ["a", None, 'q"']),
    (schema("array", items=optional("string", default="z")), [None, "y"]), (schema("array", items=schema("int32")), []),
    (schema("array", items=schema("array", items=schema("double"))), [[f64("1.0")], []]),
    (schema("array", items=decimal(1)), [{"$decimal": "1.5"}]), (schema("array", items=dates("int32", "Date")), [19000]),
    (schema("map", keys=schema("string"), values=optional("string")), {"a": "b", 'k"': None}),
    (schema("map", keys=schema("int32"), values=schema("string")), {"$pairs": [[1, "a"], [-2, "b"]]}),
    (schema("map", keys=schema("int64"), values=schema("array", items=schema("bytes"))), {"$pairs": [[1, [{"$bytes": "00"}]]]}),
    (schema("map", keys=schema("boolean"), values=schema("double")), {"$pairs": [[True, f64("NaN")]]}),
    (schema("map", keys=schema("string"), values=schema("int32")), {}),
    (ROW, {"id": 1, "a-ü": "x", "d": "y", "n": 1, "b": {"$bytes": "ff"}, "f": f64("2.0")}), (ROW, {"id": 1}),
    ({**ROW, "optional": True}, None), (optional("int32"), None), (optional("int32", default=5), None), (optional("string"), None),
    (schema("int32", default=5), None), (schema("string", default="s", parameters={"b": "1", "a": "ü"}), "t"),
    (NESTED, {"r": {"x": f32("0.1"), "l": ["a", None]}, "m": {"k": 1, "n": None}, "last": True}),
    (NESTED, {"r": {}, "m": {}}),
]  # fmt: skip
PLAIN = [
    None, True, 5, -9223372036854775808, "t", 'q"\U0001f600\x1f', f64("1.0E16"), f64("1.0"), f64("NaN"), f32("0.1"),
    {"$bytes": "ff00"}, {"$decimal": "1.5"}, [], [1, "a", None, f64("0.5"), [True]], {"a": 1, "b": {"c": None}}, {"$pairs": [[1, "a"], [2, None]]},
    {"$pairs": [["k", 1], [2, "b"]]}, {"x": {"$bytes": "01"}, "f": f64("100000.0"), "ü": "ü"},
]  # fmt: skip
#: Values of another type than their schema's.
MISFITS = [
    (schema("int32"), "5"), (schema("int32"), True), (schema("int32"), f64("1.5")), (schema("int64"), {"$decimal": "1"}),
    (schema("string"), 5), (schema("string"), {"$bytes": "61"}), (schema("bytes"), "YQ=="), (schema("boolean"), 1), (schema("boolean"), "true"),
    (schema("double"), "1.0"), (schema("float"), "1.0"), (decimal(2), "1.50"), (decimal(2), 1), (decimal(1), {"$decimal": "1.55"}),
    (dates("int32", "Date"), "1970-01-01"), (schema("array", items=schema("int32")), 5), (schema("array", items=schema("int32")), [1, None]),
    (schema("array", items=schema("int32")), ["a"]), (schema("map", keys=schema("string"), values=schema("int32")), [1]),
    (schema("map", keys=schema("string"), values=schema("int32")), {"a": None}), (schema("int32"), None), (schema("string"), None),
    (ROW, None), (ROW, 5), (row(("id", schema("int32"))), {}),
]  # fmt: skip

VALUES = [{"schema": s, "value": v} for s, v in [*SOUND, *[(None, v) for v in PLAIN], *MISFITS]]


def message(s, payload):
    return raw(s, json.dumps(payload, ensure_ascii=False))


def raw(s, payload):
    return f'{{"schema":{json.dumps(s, ensure_ascii=False)},"payload":{payload}}}'


MESSAGES = [
    "", " ", "null", "{}", "{", "5", "-0", "1.5", "1e3", "12345678901234567890123", "0.1234567890123456789", '"text"', "[1,2.5,null,[]]", '{"a":{"b":[1]},"c":null}', "true", "tru",
    "text", "a,b", "[1,2,300]", '["a","b"]', '{"k":1,"l":2.5}', "[1,\"a\"]", "2020-02-30", "1970-01-02", "1970-01-02T03:04:05.678Z", "03:04:05.678Z", "+5", "1.50", "1e400", "null ", "\"q\"", "[", "]", "[null]", "{\"a\":[1]}",
    '{"schema":null,"payload":{"a":1}}', '{"schema":null,"payload":null}', '{"payload":1}', '{"schema":null,"payload":1,"more":2}', '{"schema":5,"payload":1}', '{"schema":{"type":"int33"},"payload":1}', '{"schema":{},"payload":1}',
    '{"payload":7,"schema":{"type":"int32"}}', ' { "schema" : {"type":"string","optional":true} , "payload" : "x" } ',
    *[message(schema(kind), n) for kind, numbers in INTEGERS.items() for n in numbers],
    *[message(schema(kind), n) for kind in ("float", "double") for n in (0, 1, 1.5, -2.5e9, 0.1, 1e-38)],
    message(schema("int32"), "x"), message(schema("int8"), 300), message(schema("int64"), 1.7), message(schema("string"), 5), message(schema("boolean"), 1), message(schema("double"), "NaN"),
    message(schema("bytes"), "AP8="), message(schema("bytes"), ""), message(schema("bytes"), "%%"), message(schema("bytes"), 5),
    message(decimal(2), "AJY="), message(decimal(2), 1.5), raw(decimal(2), "12345678901234567890.25"), raw(decimal(30), "0.123456789012345678901234567890"),
    message(decimal(2), True), message(decimal(0), 3),
    message(dates("int32", "Date"), 19000), message(dates("int32", "Time"), 5), message(dates("int64", "Timestamp"), 1700000000123), message(dates("int32", "Date"), "x"),
    message(ROW, {"id": 1}), message(ROW, {"id": 1, "d": None, "n": None, "b": None, "f": None}), message(ROW, {"id": None}), message(ROW, {}), message(ROW, {"id": 1, "unknown": 2}),
    message(ROW, None), message({**ROW, "optional": True}, None), message(ROW, [1]), message(optional("int32", default=5), None), message(schema("int32"), None),
    message(row(("r", {**ROW, "optional": True}), ("l", optional("array", items=optional("int32", default=1)))), {"r": {"id": 3}, "l": [None, 2]}),
    message(NESTED, {"r": {"x": 0.5, "l": ["a", None]}, "m": {"k": 1, "n": None}, "last": None}),
    message(schema("map", keys=schema("int32"), values=optional("double")), [[1, 1], [2, None]]), message(schema("map", keys=schema("int32"), values=schema("double")), {"1": 1}),
    message(schema("map", keys=schema("int32"), values=schema("double")), [[1, 1, 1]]), message(schema("array", items=decimal(1)), ["Dw==", 2.5]), message(schema("array"), []),
    message(schema("struct"), {}), message(schema("struct", fields=[{"type": "int32"}]), {}), message(schema("int32", parameters={"a": 5}), 1), message(schema("int32", name=5, version="x", doc=7), 1), message({"type": "string"}, "required"),
]  # fmt: skip
RAW = ["ff", "c328", "fffe", "feff0061", "00", "6100"]

_JSON = "org.apache.kafka.connect.json.JsonConverter"
_STRING = "org.apache.kafka.connect.storage.StringConverter"
CONVERTERS = [
    (_JSON, {}), (_JSON, {"schemas.enable": "false"}), (_JSON, {"decimal.format": "numeric"}), (_JSON, {"replace.null.with.default": "false"}),
    (_JSON, {"schemas.enable": "FALSE", "decimal.format": "NUMERIC", "replace.null.with.default": "false", "schemas.cache.size": "0"}),
    (_STRING, {}), (_STRING, {"converter.encoding": "ISO-8859-1"}), (_STRING, {"converter.encoding": "US-ASCII"}), (_STRING, {"converter.encoding": "UTF-16"}),
    (_STRING, {"converter.encoding": "UTF-16LE"}), (_STRING, {"converter.encoding": "utf8"}), (_STRING, {"converter.encoding": "windows-1252"}), (_STRING, {"converter.encoding": "UTF-32"}),
    ("org.apache.kafka.connect.converters.ByteArrayConverter", {}), ("org.apache.kafka.connect.storage.SimpleHeaderConverter", {}),
]  # fmt: skip
