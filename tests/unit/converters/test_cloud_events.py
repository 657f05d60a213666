"""CloudEvents equal those of Debezium's own converter, by a table that golden/make_cloud_events.py made with it."""

import json
from pathlib import Path

import pytest

from pycdc.converters.cloud_events import CloudEventsConverter, CloudEventsConverterConfig
from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import RecordError
from pycdc.model.template import Form, Leaf, Reader, fill_value
from pycdc.plugins.contracts import Cell

TABLE = json.loads((Path(__file__).parent / "golden/cloud_events.json").read_text())


#: An insert with transaction metadata.
CREATE = next(i for i, m in enumerate(TABLE["messages"]) if '"transaction":{' in m and '"op":"c"' in m)


def made(options):
    """The converter, or None when its options are refused."""
    settings = CloudEventsConverterConfig.parse(options, faults := [])
    return None if faults else CloudEventsConverter(settings, is_key=False)


def converter(options):
    subject = made(options)
    assert subject is not None
    return subject


def event(number):
    return JsonConverter(JsonConverterConfig.of(), is_key=False).read("t", TABLE["messages"][number].encode())


def written(case):
    subject = converter(case["options"])
    headers = [(name, None if value is None else value.encode()) for name, value in TABLE["headers"][case["headers"]]]
    assert subject.reads_headers or "traceparent" not in case["options"].get("metadata.source", "")
    try:
        return b"".join(out).decode() if subject.write_with_headers("t", headers, *event(case["message"]), out := []) else None
    except RecordError:
        return "refused"


def expected(case):
    result = TABLE["results"][case["result"]]
    return "refused" if result is not None and result.startswith("refused") else result


def ids(case):
    return f"{case['message']} {case['headers']} {' '.join(map('='.join, case['options'].items())) or 'default'}"


@pytest.mark.parametrize("case", [c for c in TABLE["cases"] if c["options"].get("metadata.source") != "value"], ids=ids)
def test_equals_the_original(case):
    if made(case["options"]) is None:  # options of which it makes no event either
        assert expected(case) in ("refused", None)
    else:
        assert written(case) == expected(case)


def test_an_id_and_a_type_that_nothing_says_are_generated():
    """The original refuses every change with such a `metadata.source`."""
    said = {"metadata.source": "value,id:generate,type:generate"}
    for options in ({"metadata.source": "value"}, {"metadata.source": "value,type:generate"}):
        case = {"options": options, "message": CREATE, "headers": 0}
        assert written(case) == written({**case, "options": said}) != "refused"


def test_a_template_gives_the_same_bytes_as_its_rows():
    schema, value = event(CREATE)
    row = []

    def leaf(part):
        if isinstance(part, dict):
            return {k: leaf(v) for k, v in part.items()}
        row.append(None if part is None else str(part).encode())
        text = isinstance(part, str) or part is None
        return Leaf(len(row) - 1, Reader(bytes.decode if text else int, Form.TEXT if text else Form.DIGITS))

    constants = {k: value["source"][k] for k in ("connector", "name", "version")}
    template = value | {"source": leaf(value["source"]) | constants, "transaction": leaf(value["transaction"])}
    for options in ({}, {"json.schemas.enable": "false"}):
        pieces, plain = [], []
        assert converter(options).write("t", schema, template, pieces)
        assert converter(options).write("t", schema, fill_value(template, row), plain)
        assert any(isinstance(p, Cell) for p in pieces)
        filled = b"".join(
            p if isinstance(p, bytes) else (p.null if row[p.column] is None else (p.encode or bytes)(row[p.column])) for p in pieces
        )
        assert filled == b"".join(plain)


def test_read_back_is_a_map_with_its_data():
    schema, value = event(CREATE)
    for options in ({}, {"json.schemas.enable": "false"}):
        out = []
        assert converter(options).write("t", schema, value, out)
        none, read = converter(options).read("t", b"".join(out))
        assert none is None
        assert read["specversion"] == "1.0"
        assert set(read["data"]) == {"before", "after"}


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"id": "1"}'])
def test_what_is_no_cloud_event_is_refused(data):
    with pytest.raises(RecordError):
        converter({}).read("t", data)


@pytest.mark.parametrize("options", [{"serializer.type": "avro"}, {"data.serializer.type": "avro"}])
def test_avro_is_refused(options):
    CloudEventsConverterConfig.parse(options, faults := [])
    assert [f.key for f in faults] == list(options)
    assert "avro is not available" in str(faults[0])


def test_a_trace_needs_its_header():
    CloudEventsConverterConfig.parse({"opentelemetry.tracing.attributes.enable": "true", "metadata.source": "value"}, faults := [])
    assert [f.key for f in faults] == ["metadata.source"]


def test_decimals_are_read_with_all_their_digits():
    """As numbers they must not pass through a float."""
    schema = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": {"scale": "20"}}
    data = b'{"schema":%b,"payload":1.12345678901234567890}' % json.dumps(schema).encode()
    event = converter({}).read("t", b'{"id":"1","source":"s","specversion":"1.0","type":"t","data":%b}' % data)[1]
    assert str(event["data"]) == "1.12345678901234567890"
