"""Cases for Debezium's transforms: change events of one table, and what is none, through each with its options."""

from kafka_table import TIMESTAMP, b64, env, field, struct

P = "io.debezium.transforms."
NUMERIC = {"name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": {"scale": "2"}}
LOGICAL = {n: {"name": f"io.debezium.time.{n}", "version": 1} for n in ("ZonedTimestamp", "ZonedTime", "MicroTimestamp", "NanoTimestamp", "Timestamp", "Date", "MicroTime")}
ROW = struct(
    field("id", "int32", False), field("s", "string", default="dft"), field("n", "int32", default=7), field("dest", "string"),
    field("big", "int64"), field("i16", "int16"), field("ok", "boolean"), field("f", "float"), field("d", "double"), field("raw", "bytes"),
    field("dec", "bytes", **NUMERIC), {"type": "array", "items": {"type": "string", "optional": True}, "optional": True, "field": "list"},
    field("zt", "string", **LOGICAL["ZonedTimestamp"]), field("us", "int64", **LOGICAL["MicroTimestamp"]), field("ns", "int64", **LOGICAL["NanoTimestamp"]),
    field("ms", "int64", **LOGICAL["Timestamp"]), field("day", "int32", **LOGICAL["Date"]), field("cts", "int64", **TIMESTAMP), field("must", "string", False),
    optional=True, name="srv.public.t.Value",
)  # fmt: skip
SOURCE = struct(
    field("version", "string", False), field("ts_ms", "int64", False), field("ts_us", "int64"), field("db", "string", False), field("schema", "string", False),
    field("table", "string", False), field("lsn", "int64"), field("txId", "int64"), field("snapshot", "string", default="false"), field("sequence", "string"),
    name="io.debezium.connector.postgresql.Source", version=1,
)  # fmt: skip
BLOCK = struct(field("id", "string", False), field("total_order", "int64", False), field("data_collection_order", "int64", False), name="event.block", version=1, optional=True)


def envelope(row=ROW, name="srv.public.t"):
    return struct({**row, "field": "before"}, {**row, "field": "after"}, {**SOURCE, "field": "source"}, {**BLOCK, "field": "transaction"},
                  field("op", "string", False), field("ts_ms", "int64"), field("ts_us", "int64"), name=f"{name}.Envelope", version=2)  # fmt: skip


A = {"id": 1, "s": "a", "n": 4, "dest": "topic.one", "big": 5_000_000_000, "i16": -7, "ok": True, "f": 1.5, "d": -2.25, "raw": b64(b"\x00\xffab"), "dec": b64(b"\x30\x39"),
     "list": ["x", None, "é"], "zt": "2020-07-01T12:00:00.500000Z", "us": 1_593_604_800_500_001, "ns": -1, "ms": 1_583_632_800_000, "day": 18_000, "cts": 1_604_210_400_000, "must": "m"}  # fmt: skip
B = {**dict.fromkeys(A), "id": 2, "must": "q"}
C = {**A, "s": "ü😀", "dec": b64(b"\xff\x38"), "d": 0.1, "zt": "1900-01-01T00:00:00Z", "us": -62_135_596_800_000_001, "dest": " ", "raw": b64(b""), "must": "0123456789abcdeé" * 3}
D = {**A, "zt": "2021-03-14T02:30:00-05:00", "ms": 1_615_689_000_000, "us": 1_636_250_400_000_000, "cts": 0, "id": -5, "must": "", "big": -1}
E = {**A, "zt": "+292278994-08-16T23:00:00+01:30", "us": 9_223_372_000_000_000_000, "ns": 2**62, "list": []}
SRC = {"version": "3.6.3.Final", "ts_ms": 1_700_000_000_123, "ts_us": 1_700_000_000_123_456, "db": "d", "schema": "public", "table": "t", "lsn": 24_023_128, "txId": 555, "snapshot": None, "sequence": '[null,"1"]'}
TX = {"id": "555:1", "total_order": 3, "data_collection_order": 2}
KEY = env(struct(field("id", "int32", False), field("k", "string", default="kd"), name="srv.public.t.Key"), {"id": 1, "k": None})


def event(op, before, after, *, row=ROW, tx=TX, topic="srv.public.t", key=KEY, **more):
    value = {"before": before, "after": after, "source": SRC, "transaction": tx, "op": op, "ts_ms": 1_700_000_000_999, "ts_us": 1_700_000_000_999_000}
    return {"topic": topic, "key": key, "value": env(envelope(row), value), **more}


TOMB = {"topic": "srv.public.t", "key": KEY, "value": None}
HEARTBEAT = {"topic": "__hb.srv", "key": env(struct(field("serverName", "string", False), name="k"), {"serverName": "srv"}), "value": env(struct(field("ts_ms", "int64", False), name="io.debezium.connector.common.Heartbeat"), {"ts_ms": 5})}
PLAIN = {"topic": "x", "key": None, "value": env(None, {"a": 1})}
NO_KEY = event("c", None, A, key=None)
EVENTS = [event("c", None, A), event("r", None, B, tx=None), event("u", A, C), event("u", None, D), event("u", B, E), event("d", A, None), event("d", B, None), event("t", None, None), TOMB, HEARTBEAT, PLAIN, NO_KEY]
HEADER = {"headers": [{"key": "dropme", "value": env({"type": "array", "items": {"type": "string", "optional": False}, "optional": False}, ["s", "must", "k", "id"])},
                      {"key": "origin", "value": env({"type": "int32", "optional": False}, 42)}, {"key": "who", "value": env({"type": "string", "optional": True}, None)}]}  # fmt: skip
HEADED = [{**e, **HEADER} for e in (EVENTS[0], EVENTS[4], EVENTS[5], TOMB)]
CASES = []


def add(name, config, records):
    for record in records:
        CASES.append({"class": P + name, "config": config, "record": record})


UNWRAP = "ExtractNewRecordState"
for mode in ("tombstone", "drop", "delete-to-tombstone", "rewrite", "rewrite-with-tombstone"):
    for more in ({}, {"add.fields": "op,table,source.lsn:position,ts_ms,source.ts_ms,transaction.id,total_order,nothere,source.snapshot", "add.headers": "op,source.schema,txId,id,sequence:seq"},
                 {"replace.null.with.default": "false", "add.fields": "op:kind", "add.fields.prefix": "", "add.headers": "op,ts_us", "add.headers.prefix": "h."}):
        add(UNWRAP, {"delete.tombstone.handling.mode": mode, **more}, EVENTS)
    for drop in ({"drop.fields.header.name": "dropme"}, {"drop.fields.header.name": "dropme", "drop.fields.keep.schema.compatible": "false", "drop.fields.from.key": "true"},
                 {"drop.fields.header.name": "nope"}, {"drop.fields.header.name": "dropme", "drop.fields.from.key": "true"}):
        # without a value Debezium asks the missing schema for its fields and fails
        add(UNWRAP, {"delete.tombstone.handling.mode": mode, **drop}, HEADED[:3] if mode != "delete-to-tombstone" else HEADED[:2])
add(UNWRAP, {"route.by.field": "dest"}, EVENTS)
add(UNWRAP, {"route.by.field": "dest", "delete.tombstone.handling.mode": "rewrite"}, EVENTS)
add(UNWRAP, {"route.by.field": "n"}, EVENTS[:2])
add(UNWRAP, {"route.by.field": "nope"}, EVENTS[:2])
for config in ({"header.changed.name": "Changed", "header.unchanged.name": "Same"}, {"header.changed.name": "Changed"}, {}):
    add("ExtractChangedRecordState", config, [e for e in EVENTS if e is not TOMB])
for fields in ("origin_no,who", "source.origin_no,who", "after.o,source.w", "fresh.o,fresh.w", "id,source.lsn"):
    for operation in ("move", "copy"):
        add("HeaderToValue", {"headers": "origin,who", "fields": fields, "operation": operation}, [HEADED[0], HEADED[1], TOMB, EVENTS[0]])
for config in ({"headers": "a,b", "fields": "a", "operation": "move"}, {"headers": "a", "fields": "a", "operation": "swap"}, {"headers": "a", "fields": "a"}):
    add("HeaderToValue", config, EVENTS[:1])
REGEX = {"topic.regex": r"(.*)\.t", "topic.replacement": "$1.all"}
for more in ({}, {"key.enforce.uniqueness": "false"}, {"key.field.name": "shard", "key.field.regex": r"srv\.(.*)", "key.field.replacement": "s-$1"},
             {"key.field.regex": "no(.*)", "key.field.replacement": "$1"}, {"key.field.regex": "x"}, {"topic.replacement": "a-b/ c", "schema.name.adjustment.mode": "avro"},
             {"topic.regex": "nomatch"}, {"topic.regex": "("}):
    add("ByLogicalTableRouter", {**REGEX, **more}, [e for e in EVENTS if e is not PLAIN])
ROUTE = "partitions.PartitionRouting"
# bytes are left out: here they are a byte[], which Java hashes by its address, in a connector a ByteBuffer
for function in ("java", "murmur"):
    for fields in ("change.id", "change.s", "after.big", "change.i16", "change.ok", "change.f", "change.d", "change.dec", "change.list", "change.zt", "change.cts",
                   "source.table, change.n", "change.s,change.id,op", "change.nope", "change.must", "ts_ms", "op"):
        add(ROUTE, {"partition.payload.fields": fields, "partition.topic.num": "101", "partition.hash.function": function},
            [EVENTS[0], EVENTS[2], EVENTS[3], *EVENTS[5:10]] if "after" not in fields else EVENTS[:5])
for config in ({"partition.topic.num": "3"}, {"partition.payload.fields": "op"}, {"partition.payload.fields": "op", "partition.topic.num": "0"}):
    add(ROUTE, config, EVENTS[:1])
for zone in ("America/New_York", "+05:30", "-00:30", "Europe/Berlin", "Asia/Kathmandu", "UTC"):
    add("TimezoneConverter", {"converted.timezone": zone}, EVENTS)
for rules in ("source:t", "source:t:us", "topic:srv.public.t", "topic:srv.public.t:ms", "t:zt", "srv.public.t:zt", "source:other", "source:t:after.us", "source:t:source.ts_ms", "source:t:us,t:ms"):
    for kind in ("include.list", "exclude.list"):
        add("TimezoneConverter", {"converted.timezone": "America/New_York", kind: rules}, [EVENTS[0], EVENTS[2]])
for zone in ("Mars/Olympus", "+5", ""):
    add("TimezoneConverter", {"converted.timezone": zone}, EVENTS[:1])
add("TimezoneConverter", {"converted.timezone": "UTC", "include.list": "source:t", "exclude.list": "source:t"}, EVENTS[:1])

BOX = struct(
    field("id", "string", False), field("aggregatetype", "string", False), field("aggregateid", "string", False), field("type", "string", False), field("payload", "string"),
    field("made", "int64", **LOGICAL["MicroTimestamp"]), field("ver", "int32"), field("part", "int32"), field("tenant", "string", default="none"), field("day", "int32", **LOGICAL["Date"]),
    optional=True, name="srv.public.outbox.Value",
)  # fmt: skip


def box(payload, **more):
    row = {"id": "e1", "aggregatetype": "Order", "aggregateid": "o1", "type": "Made", "payload": payload, "made": 1_612_325_106_789_000, "ver": 3, "part": 2, "tenant": None, "day": 1, **more}
    return event("c", None, row, row=BOX, topic="srv.public.outbox")


BOXES = [box('{"a": 1}'), box(None), box(" "), box("text", made=None, part=None, ver=None), *EVENTS[8:11], event("u", None, box("x")["value"]["payload"]["after"], row=BOX), event("d", box("x")["value"]["payload"]["after"], None, row=BOX)]
ROUTER = "outbox.EventRouter"
for config in (
    {}, {"route.tombstone.on.empty.payload": "true"}, {"table.field.event.key": "tenant"}, {"table.field.event.timestamp": "made"}, {"table.field.event.timestamp": "day"},
    {"table.fields.additional.placement": "type:header,tenant:header:who"}, {"table.fields.additional.placement": "type:envelope:kind,tenant:envelope,part:partition"},
    {"table.fields.additional.placement": "type:envelope", "table.field.event.schema.version": "ver"}, {"table.fields.additional.placement": "nope:header"},
    {"table.fields.additional.placement": "nope:header,type:envelope,gone:envelope", "table.field.additional.missing": "ignore"}, {"table.fields.additional.placement": "type"},
    {"table.fields.additional.placement": "tenant:partition"}, {"route.topic.regex": "(.*)der", "route.topic.replacement": "ev.$1"}, {"route.topic.regex": "zz"}, {"route.by.field": "nope"},
    {"route.by.field": "part"}, {"table.field.event.payload": "nope"}, {"table.field.event.id": "nope"}, {"table.op.invalid.behavior": "fatal"}, {"table.op.invalid.behavior": "bad"},
):
    add(ROUTER, config, BOXES)
BEYOND = '{"x":123456789012345678901234567890}'  # beside others Debezium keeps the text under the struct's schema and fails
PAYLOADS = (
    '{"a":1,"b":"x","c":true,"d":1.5,"e":null,"f":{"g":[1,2],"h":[]}}', '{"big":12345678901,"arr":["x",null],"objs":[{"a":1},{"a":2,"b":3}]}', "just text", "{}", "", " {}",
    '{"1st":1,"sp ace":2,"nest":{"x":{"y":{}}}}', '{"n":[1,5000000000]}', '{"n":[1,1.5]}', '{"n":[[1],[2]]}', '{"n":[[{"a":1}]]}', '{"n":[null]}', '{"n":[null,{"a":1},null]}',
    '{"a":{"b":{"c":[{"d":null},{"d":4}]}}}', '{"a":1} x', '{"a":', '{"a":NaN}', '{"a":1,"a":2}', BEYOND, '{"o":[{"a":null},{"a":"t"}]}',
    '{"e":1e400,"f":1E2,"g":-0,"h":-0.0}', '{"é":"ü😀"}', '{"o":[{"a":1,"b":2},{"a":1,"b":2}]}', '{"t":[true,false,null]}',
)  # fmt: skip
for nulls in ("ignore", "optional_bytes"):
    for placed in ({}, {"table.fields.additional.placement": "type:envelope"}):
        add(ROUTER, {"table.expand.json.payload": "true", "table.json.payload.null.behavior": nulls, **placed}, [box(p) for p in PAYLOADS if not placed or p != BEYOND])
