"""What the encoder does with the records of one row when transforms drop, route or stamp some of them."""

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.errors import RecordError
from pycdc.model.record import Header, Record
from pycdc.model.schema import INT64, STRING, struct
from pycdc.model.template import Form, Leaf, Reader
from pycdc.plan import Chain, Encoder
from pycdc.plugins.contracts import Link, Run

SCHEMA = struct([("id", INT64), ("op", STRING)])
ID = Leaf(0, Reader(int, Form.DIGITS, column_name="id"))
CHANGE = Record(topic="t", value_schema=SCHEMA, value={"id": ID, "op": "d"})
TOMBSTONE = Record(topic="t")


class Step:
    """A transform out of a function."""

    moves_only = True

    def __init__(self, apply):
        self.apply = apply


def encode(apply, templates, rows):
    def converter(is_key):
        return JsonConverter(JsonConverterConfig.of(schemas_enable=False), is_key=is_key)

    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    encoder = Encoder(converter(True), converter(False), header, Chain([Link(Step(apply))]))
    return encoder.encode(Run(templates, rows)), encoder.outcome


def test_a_record_that_is_dropped_for_every_row_leaves_the_other_in_one_piece():
    found, outcome = encode(lambda r: None if r.value is None else r, (CHANGE, TOMBSTONE), [(b"1",), (b"2",), (b"3",)])
    assert [list(e.values) for e in found] == [[b'{"id":1,"op":"d"}', b'{"id":2,"op":"d"}', b'{"id":3,"op":"d"}']]
    assert (outcome.dropped, outcome.readable_rows) == (3, 0)


def test_all_records_dropped_is_nothing():
    assert encode(lambda _: None, (CHANGE, TOMBSTONE), [(b"1",)])[0] == []


def test_records_of_two_topics_keep_the_order_of_their_rows():
    found, _ = encode(lambda r: r.replace(topic="u") if r.value is None else r, (CHANGE, TOMBSTONE), [(b"1",), (b"2",)])
    assert [(e.topic, len(e.values)) for e in found] == [("t", 1), ("u", 1), ("t", 1), ("u", 1)]


def test_times_of_neighbours_stay_with_their_records():
    found, outcome = encode(lambda r: r.replace(timestamp=int(r.value["id"]) * 10), (CHANGE,), [(b"1",), (b"2",)])
    assert [(list(e.values), e.timestamps) for e in found] == [([b'{"id":1,"op":"d"}', b'{"id":2,"op":"d"}'], [10, 20])]
    assert outcome.readable_rows == 2


def test_a_time_that_needs_no_row_is_not_lost_by_a_plan():
    found, _ = encode(lambda r: r.replace(timestamp=7), (CHANGE,), [(b"1",), (b"2",)])
    assert [e.timestamps for e in found] == [[7, 7]]


def fails_for_two(record):
    if record.value["id"] == 2:
        raise KeyError("a row's value")
    return record.replace(timestamp=None)


def tolerant(errors):
    def converter(is_key):
        return JsonConverter(JsonConverterConfig.of(schemas_enable=False), is_key=is_key)

    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    step = Step(fails_for_two)
    step.moves_only = False
    chain = Chain([Link(step)])
    return Encoder(converter(True), converter(False), header, chain, tolerate=lambda e: errors.append(e) or True)


def test_a_transform_that_raises_is_named_with_the_row_and_without_its_values():
    encoder = tolerant([])
    encoder.tolerate = lambda _: False
    with pytest.raises(RecordError) as error:
        encoder.encode(Run((CHANGE,), [(b"1", b"77"), (b"2", b"78")], "public.t", 1))
    assert error.value.where == "public.t, LSN 78"
    assert "Step" in error.value.what
    assert error.value.cause == "KeyError"


def test_a_tolerated_record_is_left_out_and_counted():
    errors = []
    encoder = tolerant(errors)
    found = encoder.encode(Run((CHANGE,), [(b"1", b"77"), (b"2", b"78"), (b"3", b"79")], "public.t", 1))
    assert [list(e.values) for e in found] == [[b'{"id":1,"op":"d"}', b'{"id":3,"op":"d"}']]
    assert [e.where for e in errors] == ["public.t, LSN 78"]
    assert encoder.outcome.refused == 1


class Labelled(JsonConverter):
    """A converter that writes the headers into its message."""

    reads_headers = True

    def write_with_headers(self, topic, headers, schema, value, out):
        out += [repr(headers).encode(), b" "]
        return self.write(topic, schema, value, out)


@pytest.mark.parametrize("reads", [True, False])
def test_a_converter_that_wants_headers_gets_them_as_they_are_written(reads):
    config = JsonConverterConfig.of(schemas_enable=False)
    value = Labelled(config, is_key=False)
    value.reads_headers = reads
    header = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
    encoder = Encoder(JsonConverter(config, is_key=True), value, header)
    change = CHANGE.replace(headers=(Header("h", INT64, ID), Header("h", STRING, "x")))
    (found,) = encoder.encode(Run((change,), [(b"1",)]))
    plain = b'{"id":1,"op":"d"}'
    assert found.values == [b"[('h', b'1'), ('h', b'x')] " + plain if reads else plain]
    assert found.headers == [[("h", b"1"), ("h", b"x")]]
    assert encoder.outcome.readable_rows == int(reads)
