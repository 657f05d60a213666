"""ProtobufConverter against what the original wrote and read (golden/make_protobuf.py)."""

import json
from pathlib import Path

import pytest
from protobuf_registry import Files, converter, message

from pycdc.converters.json import JsonConverter
from pycdc.errors import RecordError

import golden.protobuf_table as table  # isort: skip

GOLDEN = json.loads((Path(__file__).parent / "golden" / "protobuf.json").read_text())
RESULTS = GOLDEN["results"]
JSON = JsonConverter(JsonConverter.config.parse({"schemas.enable": "true"}, []), is_key=False)
HEAD = b"\x00\x00\x00\x00\x01"

WRITTEN = [
    (options, schema, value, made)
    for (options, schema, value), made in zip(
        ((o, s, v) for o, s, values in table.WRITTEN for v in values), GOLDEN["written"], strict=True
    )
]
READ = [
    (options, text, references, bytes.fromhex(data), made)
    for (options, text, references, data), made in zip(
        ((o, t, r, d) for o, t, r, messages in table.READ for d in messages), GOLDEN["read"], strict=True
    )
]


def as_json(schema, value):
    out = []
    JSON.write("t", schema, value, out)
    return json.loads(b"".join(out))


def read_as(schema, value, made):
    shown = as_json(schema, value)
    expected = RESULTS[made[0]]
    expected.pop("version", None)  # of the subject, which the original asks the registry for
    for field in expected.get("fields", ()):
        for kind in (field, field.get("items", {})):
            if kind.get("name") == "VariableScaleDecimal":  # sinks know it by its whole name
                kind["name"] = "io.debezium.data.VariableScaleDecimal"
        # in an array of a type met before the original leaves that field's number
        if field.get("items", {}).get("type") == "struct":
            field["items"].pop("parameters", None)
    assert shown == {"schema": expected, "payload": RESULTS[made[1]]}


@pytest.mark.parametrize(("options", "schema", "value", "made"), WRITTEN, ids=map(str, range(len(WRITTEN))))
def test_the_originals_text_and_bytes_are_written(options, schema, value, made):
    memory = Files()
    record = JSON.read("t", json.dumps({"schema": schema, "payload": value}).encode())
    if made == "refused":
        with pytest.raises(RecordError):
            message(converter(memory, options), memory, *record)
        return
    text, data, read = made
    assert message(converter(memory, options), memory, *record) == HEAD + bytes.fromhex(data)
    assert memory.texts == {1: RESULTS[text]}
    if isinstance(read, list):
        read_as(*converter(memory, options).read("t", HEAD + bytes.fromhex(data)), read)


@pytest.mark.parametrize(("options", "text", "references", "data", "made"), READ, ids=map(str, range(len(READ))))
def test_messages_of_other_hands_are_read_as_the_original_reads_them(options, text, references, data, made):
    subject = converter(Files({1: text}, {name: t for name, t, _ in references}), options)
    if text in (table.GROUP, table.RECURSIVE):  # the original leaves the group out, and reads trees until its stack is full
        with pytest.raises(RecordError, match="group|holds itself"):
            subject.read("t", HEAD + data)
    elif isinstance(made, list):
        read_as(*subject.read("t", HEAD + data), made)
    elif made == "refused" and not is_oneof_without_null(options, text, data):
        with pytest.raises(RecordError):
            subject.read("t", HEAD + data)
    else:
        assert subject.read("t", HEAD + data)[0].type == "struct"


def is_oneof_without_null(options, text, data):
    """With these options the original takes the other fields of a oneof, which are null, for required ones."""
    return options in (table.OPTIONAL, table.WRAPPER) and text == table.PROTO3 and data[2:3] in (b"\x3a", b"\x48")
