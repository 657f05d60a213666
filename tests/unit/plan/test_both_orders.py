"""The proof of the plan: transforms and converter on the template, then the row, or the row first: same bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings, TableEvents
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.debezium.types import TypeSettings
from pycdc.errors import RecordError
from pycdc.model.record import Header
from pycdc.model.schema import STRING
from pycdc.model.table import Column, Table, TypeInfo
from pycdc.plan import Chain, Encoder
from pycdc.plugins import registry
from pycdc.plugins.contracts import Link, Run

DIGITS = st.integers(-(2**31), 2**31 - 1).map(lambda n: b"%d" % n)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20).map(str.encode)
NUMERIC = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9).map(
    lambda d: format(d, "f").encode()
)
ANY_NUMERIC = st.one_of(NUMERIC, st.sampled_from([b"NaN", b"Infinity", b"0", b"-0.000001", b"1" + b"0" * 40]))
DATE = st.dates().map(lambda d: d.isoformat().encode())
MOMENT = st.datetimes().map(lambda d: d.isoformat(" ").encode())
SPECIAL = st.sampled_from([b"infinity", b"-infinity", b"0044-03-15 12:00:00 BC", b"294247-01-01 23:59:59.999999"])
FLOAT = st.floats(width=32).map(lambda f: {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(repr(f), repr(f)).encode())

#: PostgreSQL's name, oid, typmod, texts.
TYPES = [
    ("int4", 23, -1, DIGITS), ("int8", 20, -1, DIGITS), ("text", 25, -1, TEXT), ("varchar", 1043, 24, TEXT),
    ("numeric", 1700, (12 << 16 | 2) + 4, NUMERIC), ("numeric", 1700, -1, ANY_NUMERIC),
    ("float8", 701, -1, FLOAT), ("float4", 700, -1, FLOAT), ("bool", 16, -1, st.sampled_from([b"t", b"f"])),
    ("date", 1082, -1, DATE), ("timestamp", 1114, -1, MOMENT | SPECIAL), ("timestamp", 1114, 3, MOMENT),
    ("timestamptz", 1184, -1, st.one_of(MOMENT.map(lambda t: t + b"+00"), st.just(b"infinity"))),
    ("time", 1083, -1, st.times().map(lambda t: t.isoformat().encode())),
    ("uuid", 2950, -1, st.uuids().map(lambda u: str(u).encode())), ("jsonb", 3802, -1, st.just(b'{"a": "\\u001f \\"x\\""}')),
    ("bytea", 17, -1, st.binary(max_size=9).map(lambda b: b"\\x" + b.hex().encode())),
    ("interval", 1186, -1, st.sampled_from([b"1 day", b"-1 years -2 mons +3 days -04:05:06.78", b"00:00:00"])),
]  # fmt: skip
DEFAULTS = {"int4": ["7"], "int8": ["-1"], "text": ["'x'::text"], "bool": ["true"], "numeric": ["1.5"], "float8": ["0.5"]}


@st.composite
def tables(draw):
    picks = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=6))
    columns = [Column(name="id", type=TypeInfo(oid=20, name="int8"), nullable=False, identity=True)]
    texts = [DIGITS]
    for i, (name, oid, typmod, strategy) in enumerate(picks):
        default = draw(st.sampled_from([None, *DEFAULTS.get(name, [])]))
        columns.append(Column(name=f"c{i}", type=TypeInfo(oid=oid, name=name), typmod=typmod, default=default))
        texts.append(st.none() | strategy)
    rows = draw(st.lists(st.tuples(*texts), min_size=1, max_size=5))
    types = TypeSettings(
        decimal=draw(st.sampled_from(["precise", "double", "string"])),
        time=draw(st.sampled_from(["adaptive", "connect", "isostring", "microseconds"])),
        interval=draw(st.sampled_from(["numeric", "string"])),
        binary=draw(st.sampled_from(["bytes", "base64", "hex"])),
    )
    return Table(oid=1, schema="s", name="t", columns=tuple(columns), primary_key=("id",)), rows, types


def encoder(schemas, decimal_format, nulls, links=(), replace_null=True):
    def converter(is_key):
        config = JsonConverterConfig.of(schemas_enable=schemas, decimal_format=decimal_format, replace_null=replace_null)
        return JsonConverter(config, is_key=is_key)

    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    return Encoder(converter(True), converter(False), header, Chain(links), unrepresentable=lambda *_: nulls.append(1))


def system(n):
    lsn = b"%d" % (1000 + n)
    transaction = (b"77:%b" % lsn, b"1", b"2", b"3", b"4")
    now = (b"2", b"2000", b"2000000")
    return (lsn, b'[null,"%b"]' % lsn, b"1", b"1000", b"1000000", b"77", None, None, None, b"true", *now, *transaction)


def flat(encoded):
    return [
        (e.topic, e.partition, k, v, [tuple(h) for h in hs], t)
        for e in encoded
        for k, v, hs, t in zip(e.keys, e.values, e.headers, e.timestamps or [None] * len(e.values), strict=True)
    ]


@settings(max_examples=300, deadline=None)
@given(tables(), st.booleans(), st.sampled_from(["BASE64", "NUMERIC"]), st.sampled_from(["insert", "read", "key_change"]))
def test_both_orders_give_the_same_bytes(drawn, schemas, decimal_format, kind):
    table, rows, types = drawn
    events = TableEvents(
        table,
        EventSettings(
            prefix="p", database="d", topics=Topics(TopicSettings(prefix="p")), columns=ColumnRules(types),
            context_headers=(Header("h", STRING, "x"),),
        ),
    )  # fmt: skip
    templates = events.key_change("K", frozenset()) if kind == "key_change" else getattr(events, kind)()
    old = [(b"5", *([None] * (len(table.columns) - 1)))] if kind == "key_change" else [()]
    run = Run(templates, [(*row, *old[0], *system(i)) for i, row in enumerate(rows)], "s.t", -1)
    nulls = []
    subject = encoder(schemas, decimal_format, nulls)
    together = flat(subject.encode(run))
    assert subject.outcome.mismatches == 0
    readable = encoder(schemas, decimal_format, nulls)
    readable._compile = lambda _template: None
    assert together == flat(readable.encode(run))


KAFKA = "org.apache.kafka.connect.transforms."
#: Transforms that are traced, with options that fit the drawn tables; the first two make rows of envelopes.
TRACED = [
    ("ExtractField$Value", {"field": "after"}), ("ReplaceField$Value", {"renames": "id:key,c0:z"}),
    ("ReplaceField$Value", {"exclude": "c1,before", "replace.null.with.default": "false"}), ("MaskField$Value", {"fields": "c0,c2"}),
    ("MaskField$Value", {"fields": "c0", "replacement": "9"}), ("Cast$Value", {"spec": "c0:string,c1:int64,id:string"}),
    ("Cast$Value", {"spec": "id:int8,c0:float64", "replace.null.with.default": "false"}), ("Cast$Key", {"spec": "string"}),
    ("HeaderFrom$Value", {"fields": "c0", "headers": "h0", "operation": "copy"}),
    ("HeaderFrom$Value", {"fields": "c0,id", "headers": "h0,h1", "operation": "move"}), ("HoistField$Value", {"field": "row"}),
    ("InsertField$Value", {"topic.field": "tp", "static.field": "st!", "static.value": "v", "timestamp.field": "when"}),
    ("Flatten$Value", {"delimiter": "_"}), ("SetSchemaMetadata$Value", {"schema.name": "N", "schema.version": "4"}),
    ("ValueToKey", {"fields": "c0,id"}), ("ExtractField$Key", {"field": "id"}), ("ExtractField$Value", {"field": "c0"}),
    ("TimestampConverter$Value", {"field": "c0", "target.type": "string", "format": "yyyy-MM-dd HH:mm"}),
    ("TimestampConverter$Value", {"field": "c0", "target.type": "Timestamp", "unix.precision": "microseconds"}),
    ("InsertHeader", {"header": "x", "value.literal": "[1,2]"}), ("DropHeaders", {"headers": "h,h0"}),
    ("RegexRouter", {"regex": "p\\.(.*)", "replacement": "r.$1"}), ("Filter", {}),
]  # fmt: skip
DEBEZIUM = "io.debezium.transforms."
UNWRAP = DEBEZIUM + "ExtractNewRecordState"
CHANGES = [
    (UNWRAP, {}), (UNWRAP, {"delete.tombstone.handling.mode": "rewrite", "add.fields": "op,source.lsn,ts_ms", "add.headers": "table,txId"}),
    (UNWRAP, {"delete.tombstone.handling.mode": "rewrite-with-tombstone", "replace.null.with.default": "false", "add.headers": "op"}),
    (UNWRAP, {"delete.tombstone.handling.mode": "delete-to-tombstone"}), (UNWRAP, {"delete.tombstone.handling.mode": "drop", "route.by.field": "c0"}),
    (UNWRAP, {"drop.fields.header.name": "x", "drop.fields.from.key": "true"}),
    (DEBEZIUM + "ExtractChangedRecordState", {"header.changed.name": "ch", "header.unchanged.name": "same"}),
    (DEBEZIUM + "ByLogicalTableRouter", {"topic.regex": "(.*)t", "topic.replacement": "$1all"}),
    (DEBEZIUM + "HeaderToValue", {"headers": "h", "fields": "source.h", "operation": "move"}),
    (DEBEZIUM + "HeaderToValue", {"headers": "ch", "fields": "new.ch", "operation": "copy"}),
    (DEBEZIUM + "partitions.PartitionRouting", {"partition.payload.fields": "change.c0,source.table", "partition.topic.num": "9"}),
    (DEBEZIUM + "TimezoneConverter", {"converted.timezone": "America/New_York"}),
    (DEBEZIUM + "TimezoneConverter", {"converted.timezone": "+01:00", "include.list": "source:t:source.ts_ms,t:c0"}),
    (DEBEZIUM + "outbox.EventRouter", {
        "table.field.event.id": "id", "table.field.event.key": "id", "table.field.event.payload": "c0", "route.by.field": "c1",
        "table.fields.additional.placement": "c1:envelope"}),
    (DEBEZIUM + "Filter", {"condition": "value.op == 'u' || value.after?.id > 0"}),
    (DEBEZIUM + "ContentBasedRouter", {"topic.expression": "topic ==~ '.*t' && header.h ? valueSchema.name + '.x' : null"}),
    ("InsertHeader", {"header": "x", "value.literal": '["c0","id","c1"]'}), *TRACED,
]  # fmt: skip
PREDICATES = [("RecordIsTombstone", {}), ("TopicNameMatches", {"pattern": "p.*"}), ("HasHeaderKey", {"name": "h0"})]


#: Loaded here, because a module that is imported while an example is drawn may use `random`.
PLUGINS = {
    (kind, name): registry.load(kind, name)
    for kind, names in ((registry.TRANSFORM, {n if "." in n else KAFKA + n for n, _ in CHANGES}), (registry.PREDICATE, {n for n, _ in PREDICATES}))
    for name in names
}


def made(kind, name, config):
    plugin = PLUGINS[kind, name]
    settings = plugin.config.parse(config, faults := [])
    assert not faults
    return plugin(settings)


@st.composite
def chains(draw, traced):
    links = []
    for name, config in draw(st.lists(st.sampled_from(traced), max_size=4)):
        transform = made(registry.TRANSFORM, name if "." in name else KAFKA + name, config)
        assert transform.moves_only
        predicate = draw(st.none() | st.sampled_from(PREDICATES))
        test = None if predicate is None and name != "Filter" else made(registry.PREDICATE, *(predicate or PREDICATES[0])).test
        links.append(Link(transform, test, draw(st.booleans())))
    # of a tombstone most can make nothing: half of the time they do not meet one
    tombstone = made(registry.PREDICATE, *PREDICATES[0]).test
    return links if draw(st.booleans()) else [Link(made(registry.TRANSFORM, KAFKA + "Filter", {}), tombstone), *links]


def outcome(subject, run):
    try:
        return flat(subject.encode(run))
    except RecordError as error:
        return f"{error.what}: {error.cause}"


def rows_of(events, kind, rows):
    """Templates and full rows of one kind of change; what was before is the next row."""
    olds = [*rows[1:], rows[0]]
    match kind:
        case "insert" | "read":
            return getattr(events, kind)(), [(*row, *system(i)) for i, row in enumerate(rows)]
        case "update":
            return events.update("O", frozenset()), [(*n, *o, *system(i)) for i, (n, o) in enumerate(zip(rows, olds, strict=True))]
        case "key_change":
            old = [None] * (len(rows[0]) - 1)
            return events.key_change("K", frozenset()), [(*row, b"5", *old, *system(i)) for i, row in enumerate(rows)]
        case _:
            return events.delete("O"), [(*row, *system(i)) for i, row in enumerate(rows)]


@settings(max_examples=800, deadline=None)
@given(
    tables(), st.booleans(), st.booleans(), st.sampled_from(["insert", "read", "update", "key_change", "delete"]),
    chains(CHANGES), st.booleans(),
)  # fmt: skip
def test_both_orders_give_the_same_bytes_through_traced_transforms(drawn, schemas, replace_null, kind, links, unwrapped):
    table, rows, types = drawn
    events = TableEvents(
        table,
        EventSettings(
            prefix="p", database="d", topics=Topics(TopicSettings(prefix="p")), columns=ColumnRules(types),
            context_headers=(Header("h", STRING, "x"),),
        ),
    )  # fmt: skip
    templates, full = rows_of(events, kind, rows)
    run = Run(templates, full, "s.t", -1)
    if unwrapped:  # most chains begin so
        links = [Link(made(registry.TRANSFORM, *CHANGES[0])), *links]
    subject = encoder(schemas, "BASE64", nulls := [], links, replace_null)
    together = outcome(subject, run)
    assert subject.outcome.mismatches == 0
    readable = encoder(schemas, "BASE64", nulls, links, replace_null)
    readable._compile = lambda _template: None
    assert together == outcome(readable, run)


JSON = ("org.apache.kafka.connect.json.JsonConverter", {})
PLAIN_JSON = (JSON[0], {"schemas.enable": "false", "decimal.format": "NUMERIC", "replace.null.with.default": "false"})
STRING_CONVERTERS = [("org.apache.kafka.connect.storage.StringConverter", {"converter.encoding": e}) for e in ("UTF-8", "UTF-16")]
BYTES = ("org.apache.kafka.connect.converters.ByteArrayConverter", {})
PRIMITIVES = [(f"org.apache.kafka.connect.converters.{n}Converter", {}) for n in ("Short", "Integer", "Long", "Float", "Double", "Boolean")]
CLOUD_EVENTS = [("io.debezium.converters.CloudEventsConverter", config) for config in (
    {}, {"json.schemas.enable": "false", "json.decimal.format": "NUMERIC"}, {"extension.attributes.enable": "false"},
    {"metadata.source": "value,type:header"},
)]  # fmt: skip
SIMPLE = ("org.apache.kafka.connect.storage.SimpleHeaderConverter", {})
KEY_CONVERTERS = [JSON, PLAIN_JSON, *STRING_CONVERTERS, PRIMITIVES[2]]
CONVERTERS = [*CLOUD_EVENTS, *CLOUD_EVENTS, JSON, PLAIN_JSON, *STRING_CONVERTERS, BYTES, *PRIMITIVES]
HEADER_CONVERTERS = [SIMPLE, JSON, PLAIN_JSON, STRING_CONVERTERS[0]]
PLUGINS |= {(registry.CONVERTER, n): registry.load(registry.CONVERTER, n) for n, _ in (*KEY_CONVERTERS, *CONVERTERS, *HEADER_CONVERTERS)}


def converter(name, config, *, is_key=False):
    plugin = PLUGINS[registry.CONVERTER, name]
    parsed = plugin.config.parse(config, faults := [])
    assert not faults
    return plugin(parsed, is_key=is_key)


@st.composite
def converted(draw):
    """Links that leave one column, a row or the whole event, and converters of key and value that may take that."""
    key, value = draw(st.sampled_from(KEY_CONVERTERS)), draw(st.sampled_from(CONVERTERS))
    field = draw(st.sampled_from(["id", "id", "c0", "c1"]))
    extract = [(CHANGES[0][0], {}), (KAFKA + "ExtractField$Value", {"field": field})]
    headers = [(KAFKA + "HeaderFrom$Value", {"fields": "after,op", "headers": "row,type", "operation": "copy"})]
    zone = [(DEBEZIUM + "TimezoneConverter", {"converted.timezone": "+01:00", "include.list": "source:t:source.ts_ms,t:c0"})]
    single = value in PRIMITIVES or value == BYTES
    links = extract if single else draw(st.sampled_from([[], headers, zone, extract[:1], extract]))
    if key in PRIMITIVES or draw(st.booleans()):
        links = [(KAFKA + "ExtractField$Key", {"field": "id"}), *links]
    return [Link(made(registry.TRANSFORM, name, config)) for name, config in links], key, value


@settings(max_examples=800, deadline=None)
@given(
    tables(), st.sampled_from(["insert", "read", "update", "key_change", "delete"]), converted(),
    st.sampled_from(HEADER_CONVERTERS), st.booleans(),
)  # fmt: skip
def test_both_orders_give_the_same_bytes_by_every_converter(drawn, kind, chain, header, transactions):
    (table, rows, types), (links, key, value) = drawn, chain
    events = TableEvents(
        table,
        EventSettings(
            prefix='p"ü', database="d", topics=Topics(TopicSettings(prefix="p")), columns=ColumnRules(types),
            transaction_metadata=transactions,
        ),
    )  # fmt: skip
    templates, full = rows_of(events, kind, rows)
    run = Run(templates, full, "s.t", -1)

    def subject():
        return Encoder(
            converter(*key, is_key=True), converter(*value), converter(*header), Chain(links), unrepresentable=lambda *_: None
        )

    both, readable = subject(), subject()
    readable._compile = lambda _template: None
    assert outcome(both, run) == outcome(readable, run)
    assert both.outcome.mismatches == 0
