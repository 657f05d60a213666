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


def converter(options):
    faults = []
    settings = CloudEventsConverterConfig.parse(options, faults)
    assert not faults
    return CloudEventsConverter(settings, is_key=False)


def event(number):
    return JsonConverter(JsonConverterConfig.of(), is_key=False).read("t", TABLE["messages"][number].encode())


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda c: f"{c['message']} {'+'.join(c['options']) or 'default'}")
def test_equals_the_original(case):
    schema, value = event(case["message"])
    out = []
    written = converter(case["options"]).write("t", schema, value, out)
    assert (b"".join(out).decode() if written else None) == case["result"]


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


def test_metadata_from_headers_are_refused():
    faults = []
    CloudEventsConverterConfig.parse({"metadata.source": "header"}, faults)
    assert [f.key for f in faults] == ["metadata.source"]
