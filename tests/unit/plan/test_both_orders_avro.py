"""The plan's proof with Avro: both orders give the same bytes, and fastavro reads the row's values from them."""

import asyncio
import io
import json
import sys
from pathlib import Path

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st
from test_both_orders import flat, system, tables

from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.declare import declare
from pycdc.converters.avro.types import text_of
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings, TableEvents
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.model.schema import DECIMAL
from pycdc.model.template import fill
from pycdc.plan import Encoder
from pycdc.plugins.contracts import Run, when_ready

sys.path.insert(0, str(Path(__file__).parents[1] / "converters"))
from avro_registry import Memory, converter


def encoder(memory, options):
    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    return Encoder(
        converter(memory, is_key=True, **options), converter(memory, **options), header, unrepresentable=lambda *_: None
    )


def encode(subject, run):
    return asyncio.run(when_ready(subject.encode, run))


def as_avro(schema, value):
    """The value as fastavro gives it for a schema without logical types: nulls of fields are their defaults."""
    if value is None:
        return None
    if schema.type == "struct":
        return {
            f.name: as_avro(f.schema, value.get(f.name) if value.get(f.name) is not None or not f.schema.has_default else f.schema.default)
            for f in schema.fields
        }
    if schema.type == "array":
        return [as_avro(schema.items, v) for v in value]
    if schema.name == DECIMAL:
        n = int(value.scaleb(int(schema.parameter("scale"))))
        return n.to_bytes((n if n >= 0 else ~n).bit_length() // 8 + 1, "big", signed=True)
    return value


def without_logical_types(node):
    if isinstance(node, dict):
        return {k: without_logical_types(v) for k, v in node.items() if k != "logicalType"}
    return [without_logical_types(n) for n in node] if isinstance(node, list) else node


@settings(max_examples=300, deadline=None)
@given(tables(), st.sampled_from(["true", "false"]), st.sampled_from(["insert", "read", "key_change"]))
def test_both_orders_and_fastavro_agree(drawn, meta, kind):
    table, rows, types = drawn
    events = TableEvents(
        table,
        EventSettings(prefix="p", database="d", topics=Topics(TopicSettings(prefix="p")), columns=ColumnRules(types)),
    )
    templates = events.key_change("K", frozenset()) if kind == "key_change" else getattr(events, kind)()
    old = [(b"5", *([None] * (len(table.columns) - 1)))] if kind == "key_change" else [()]
    run = Run(templates, [(*row, *old[0], *system(i)) for i, row in enumerate(rows)], "s.t", -1)
    memory, options = Memory(), {"connect_meta_data": meta}
    subject = encoder(memory, options)
    together = flat(encode(subject, run))
    assert (subject.outcome.plans, subject.outcome.mismatches) == (len(templates), 0)
    readable = encoder(memory, options)
    readable._compile = lambda _template: None
    assert together == flat(encode(readable, run))
    assert len(memory.asked) == len(set(memory.asked)) <= 2
    decoded(templates, run, together, options)


def decoded(templates, run, records, options):
    flags = []
    config = AvroConverterConfig.parse(
        {"schema.registry.url": "http://r", **{k.replace("_", "."): v for k, v in options.items()}}, flags
    )
    filled = [fill(t, row, lambda *_: None) for row in run.rows for t in templates]
    for record, (_topic, _partition, key, value, *_) in zip(filled, records, strict=True):
        for schema, wanted, data in ((record.key_schema, record.key, key), (record.value_schema, record.value, value)):
            if data is None:
                assert wanted is None
                continue
            parsed = fastavro.parse_schema(without_logical_types(json.loads(text_of(declare(schema, config)))))
            stream = io.BytesIO(data[5:])
            read = fastavro.schemaless_reader(stream, parsed)
            assert stream.tell() == len(data) - 5
            assert repr(read) == repr(as_avro_with_floats(schema, wanted))


def as_avro_with_floats(schema, wanted):
    """float32 columns lose what they cannot hold, NaN compares by its text."""
    import struct

    def narrowed(s, v):
        if isinstance(v, dict) and s.type == "struct":
            return {f.name: narrowed(f.schema, v[f.name]) for f in s.fields}
        return struct.unpack("<f", struct.pack("<f", v))[0] if s.type == "float32" and v is not None else v

    return narrowed(schema, as_avro(schema, wanted))
