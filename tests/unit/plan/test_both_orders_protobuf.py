"""The plan's proof with Protobuf: both orders give the same bytes, and Google's library reads the row's values from them."""

import asyncio
import math
import struct
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st
from test_both_orders import flat, system, tables

from pycdc.converters.protobuf.parse import Parsed
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.debezium.columns import ColumnRules
from pycdc.debezium.envelope import EventSettings, TableEvents
from pycdc.debezium.topics import Topics, TopicSettings
from pycdc.debezium.types import TypeSettings
from pycdc.errors import RecordError
from pycdc.model.schema import DECIMAL
from pycdc.model.table import Column, Table, TypeInfo
from pycdc.model.template import fill
from pycdc.plan import Encoder
from pycdc.plugins.contracts import Run, when_ready

sys.path.insert(0, str(Path(__file__).parents[1] / "converters"))
from protobuf_registry import Files, converter

OPTIONS = [{}, {"optional.for.nullables": "true"}, {"wrapper.for.nullables": "true"}, {"ignore.default.for.nullables": "true"}]


def encoder(memory, options, **more):
    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    return Encoder(
        converter(memory, options, is_key=True), converter(memory, options), header, unrepresentable=lambda *_: None, **more
    )


def encode(subject, run):
    return asyncio.run(when_ready(subject.encode, run))


def outcome(subject, run):
    try:
        return flat(encode(subject, run))
    except RecordError as error:  # a date or a timestamp that Protobuf has no form for
        return str(error)


def events_of(table, types):
    return TableEvents(
        table,
        EventSettings(prefix="p", database="d", topics=Topics(TopicSettings(prefix="p")), columns=ColumnRules(types)),
    )


@settings(max_examples=100, deadline=None)
@given(tables(), st.sampled_from(OPTIONS), st.sampled_from(["insert", "read", "key_change"]))
def test_both_orders_and_googles_library_agree(drawn, options, kind):
    table, rows, types = drawn
    events = events_of(table, types)
    templates = events.key_change("K", frozenset()) if kind == "key_change" else getattr(events, kind)()
    old = [(b"5", *([None] * (len(table.columns) - 1)))] if kind == "key_change" else [()]
    run = Run(templates, [(*row, *old[0], *system(i)) for i, row in enumerate(rows)], "s.t", -1)
    memory = Files()
    subject = encoder(memory, options)
    together = outcome(subject, run)
    assert subject.outcome.mismatches == 0
    readable = encoder(memory, options)
    readable._compile = lambda _template: None
    assert together == outcome(readable, run)
    if isinstance(together, list):
        assert subject.outcome.plans == len(templates)
        read_again(templates, run, together, memory)


def read_again(templates, run, records, memory):
    messages = {
        id_: GetMessageClass(Parsed(text, {}).descriptor([0])) for id_, text in memory.texts.items()
    }
    filled = [fill(t, row, lambda *_: None) for row in run.rows for t in templates]
    for record, (_topic, _partition, key, value, *_) in zip(filled, records, strict=True):
        for schema, wanted, data in ((record.key_schema, record.key, key), (record.value_schema, record.value, value)):
            if data is None:
                assert wanted is None
                continue
            message = messages[int.from_bytes(data[1:5], "big")].FromString(data[6:])
            assert message.SerializeToString() == data[6:]
            holds(message, schema, wanted)


def holds(message, schema, wanted):
    for f in schema.fields:
        value = wanted[f.name]
        if value is None and f.schema.has_default and not message.DESCRIPTOR.fields_by_name[f.name].has_presence:
            continue  # its default, or nothing where that is ignored
        found = getattr(message, f.name)
        if value is None:
            descriptor = message.DESCRIPTOR.fields_by_name[f.name]
            assert not found if not descriptor.has_presence else f.schema.has_default or not message.HasField(f.name)
        elif f.schema.type == "struct":
            assert message.HasField(f.name)
            holds(found, f.schema, value)
        elif f.schema.name == DECIMAL:
            assert Decimal(int.from_bytes(found.value, "big", signed=True)).scaleb(-found.scale) == value
            assert found.precision == len(str(abs(int.from_bytes(found.value, "big", signed=True))))
        elif not (f.schema.name or "").startswith("org.apache.kafka.connect.data."):
            if type(found).__name__.endswith("Value"):
                found = found.value
            if f.schema.type == "float32":
                value = struct.unpack("<f", struct.pack("<f", value))[0]
            assert found == value or (math.isnan(found) and math.isnan(value))


def test_an_envelope_is_compiled_although_its_lengths_depend_on_the_row():
    columns = tuple(Column(name=n, type=TypeInfo(oid=o, name=t), nullable=n != "id") for n, o, t in (("id", 20, "int8"), ("t", 25, "text")))
    table = Table(oid=1, schema="s", name="t", columns=columns, primary_key=("id",))
    run = Run(events_of(table, TypeSettings()).insert(), [(b"%d" % i, b"x" * i * 40, *system(i)) for i in range(9)], "s.t", -1)
    subject = encoder(Files(), {})
    assert len(flat(encode(subject, run))) == 9
    assert (subject.outcome.plans, subject.outcome.readable_rows, subject.outcome.mismatches) == (1, 0, 0)


@pytest.mark.parametrize("tolerated", [False, True])
def test_a_row_without_form_is_named_and_may_be_left_out(tolerated):
    columns = (
        Column(name="id", type=TypeInfo(oid=20, name="int8"), nullable=False), Column(name="d", type=TypeInfo(oid=1082, name="date")),
    )  # fmt: skip
    table = Table(oid=1, schema="s", name="t", columns=columns, primary_key=("id",))
    run = Run(
        events_of(table, TypeSettings(time="connect")).insert(),
        [(b"1", b"2024-01-01", *system(1)), (b"2", b"0044-03-15 BC", *system(2)), (b"3", None, *system(3))], "s.t", 2,
    )  # fmt: skip
    subject = encoder(Files(), {}, tolerate=lambda _: tolerated)
    if tolerated:
        assert len(flat(encode(subject, run))) == 2
        assert subject.outcome.refused == 1
    else:
        with pytest.raises(RecordError, match="before the year 1") as error:
            encode(subject, run)
        assert error.value.where == "s.t, LSN 1002"
