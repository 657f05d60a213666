"""The plan's proof with JSON Schema: both orders give the same bytes, which are the JsonConverter's behind the id."""

import asyncio
import json
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from test_both_orders import flat, system, tables

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.jsonschema import JsonSchemaConverter, JsonSchemaConverterConfig
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings, TableEvents
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.plan import Encoder
from pycdc.plugins.contracts import Run, when_ready

sys.path.insert(0, str(Path(__file__).parents[1] / "converters"))
from avro_registry import Memory


def encoder(make):
    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    return Encoder(make(is_key=True), make(is_key=False), header, unrepresentable=lambda *_: None)


def registered(memory, options):
    config = JsonSchemaConverterConfig.parse({"schema.registry.url": "http://registry:8081", **options}, [])
    return lambda *, is_key: JsonSchemaConverter(config, is_key=is_key, schemas=memory)


def plain(options):
    config = JsonConverterConfig.parse({"schemas.enable": "false", **options}, [])
    return lambda *, is_key: JsonConverter(config, is_key=is_key)


def encode(subject, run):
    return asyncio.run(when_ready(subject.encode, run))


@settings(max_examples=300, deadline=None)
@given(tables(), st.sampled_from(["BASE64", "NUMERIC"]), st.sampled_from(["insert", "read", "key_change"]))
def test_both_orders_agree_and_the_jsonconverter_with_them(drawn, decimals, kind):
    table, rows, types = drawn
    events = TableEvents(
        table,
        EventSettings(prefix="p", database="d", topics=Topics(TopicSettings(prefix="p")), columns=ColumnRules(types)),
    )
    templates = events.key_change("K", frozenset()) if kind == "key_change" else getattr(events, kind)()
    old = [(b"5", *([None] * (len(table.columns) - 1)))] if kind == "key_change" else [()]
    run = Run(templates, [(*row, *old[0], *system(i)) for i, row in enumerate(rows)], "s.t", -1)
    memory, options = Memory(), {"decimal.format": decimals}
    subject = encoder(registered(memory, options))
    together = flat(encode(subject, run))
    assert (subject.outcome.plans, subject.outcome.mismatches) == (len(templates), 0)
    readable = encoder(registered(memory, options))
    readable._compile = lambda _template: None
    assert together == flat(encode(readable, run))
    assert len(memory.asked) == len(set(memory.asked)) <= 2
    fits(together, memory)
    same = flat(encode(encoder(plain(options)), run))
    assert [(k[5:], None if v is None else v[5:]) for _, _, k, v, *_ in together] == [(k, v) for _, _, k, v, *_ in same]


def fits(records, memory):
    """Every message fits the schema that was registered for it."""
    checks = {i: Draft7Validator(json.loads(t)) for i, t in memory.texts.items()}
    for _topic, _partition, key, value, *_ in records:
        for data in (key, value):
            if data is not None:
                payload = json.loads(data[5:])
                said = checks[int.from_bytes(data[1:5], "big")]
                # numbers that JSON has none for are texts in Jackson
                assert _holds_no_number(payload) or not list(said.iter_errors(payload))


def _holds_no_number(node):
    if isinstance(node, dict):
        return any(map(_holds_no_number, node.values()))
    return node in ("NaN", "Infinity", "-Infinity")
