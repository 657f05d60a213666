"""The proof of the plan: transforms and converter on the template, then the row, or the row first: same bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings, TableEvents
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.debezium.types import TypeSettings
from pycdc.model.record import Header
from pycdc.model.schema import STRING
from pycdc.model.table import Column, Table, TypeInfo
from pycdc.plan import Encoder
from pycdc.plugins.contracts import Run

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


@st.composite
def tables(draw):
    picks = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=6))
    columns = [Column(name="id", type=TypeInfo(oid=20, name="int8"), nullable=False, identity=True)]
    texts = [DIGITS]
    for i, (name, oid, typmod, strategy) in enumerate(picks):
        columns.append(Column(name=f"c{i}", type=TypeInfo(oid=oid, name=name), typmod=typmod))
        texts.append(st.none() | strategy)
    rows = draw(st.lists(st.tuples(*texts), min_size=1, max_size=5))
    types = TypeSettings(
        decimal=draw(st.sampled_from(["precise", "double", "string"])),
        time=draw(st.sampled_from(["adaptive", "connect", "isostring", "microseconds"])),
        interval=draw(st.sampled_from(["numeric", "string"])),
        binary=draw(st.sampled_from(["bytes", "base64", "hex"])),
    )
    return Table(oid=1, schema="s", name="t", columns=tuple(columns), primary_key=("id",)), rows, types


def encoder(schemas, decimal_format, nulls):
    def converter(is_key):
        return JsonConverter(JsonConverterConfig.of(schemas_enable=schemas, decimal_format=decimal_format), is_key=is_key)

    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    return Encoder(converter(True), converter(False), header, unrepresentable=lambda *_: nulls.append(1))


def system(n):
    lsn = b"%d" % (1000 + n)
    return (lsn, b'[null,"%b"]' % lsn, b"1", b"1000", b"1000000", b"77", None, None, None, b"true", b"2", b"2000", b"2000000")


def flat(encoded):
    return [
        (e.topic, k, v, [tuple(h) for h in hs]) for e in encoded for k, v, hs in zip(e.keys, e.values, e.headers, strict=True)
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
