"""Every captured message of Confluent's ProtobufConverter, read and written again: the same schema text, the same bytes.

A capture holds Protobuf, not Connect's records, which come from reading it: names of structs and the numbers of fields are
those that were written.
"""

import base64

import avro_cases
import pytest

from pycdc.converters.protobuf import ProtobufConverter, ProtobufConverterConfig
from pycdc.registry import Written

CASES = [(name, side) for name in ("pb_types", "pb_unwrap_optional") for side in ("key", "value")]


class Captured:
    """The registry of one capture: its ids, and what was asked to be registered under the one of the message at hand."""

    def __init__(self, capture):
        self.texts = {int(i): capture["schemas"][names[0]]["text"] for i, names in capture["registry"]["ids"].items()}
        self.current = 0
        self.asked = ""

    def text(self, id_):
        return self.texts.get(id_)

    def referred(self, _id):
        return {}

    def written(self, _subject, text):
        self.asked = text
        return Written(self.current, text)


@pytest.mark.parametrize(("name", "side"), CASES)
def test_captured_messages_are_written_again(name, side):
    capture = avro_cases.golden(name)
    registry, prefix = Captured(capture), f"{side}.converter."
    options = {k.removeprefix(prefix): v for k, v in capture["case"]["config"].items() if k.startswith(prefix)}
    settings = ProtobufConverterConfig.parse({**options, "schema.registry.url": "http://registry"}, faults := [])
    assert not faults
    converter = ProtobufConverter(settings, is_key=side == "key", schemas=registry)
    for topic, records in capture["records"].items():
        data = [base64.b64decode(r[f"{side}_b64"]) for r in records if r[f"{side}_b64"] is not None]
        for message in data:
            schema, value = converter.read(topic, message)
            registry.current = int.from_bytes(message[1:5], "big")
            package = topic  # which a text tells, but not the schema that is read from it
            assert converter.write(topic, schema.replace(name=f"{package}.{schema.name}"), value, out := [])
            assert b"".join(out) == message
            assert registry.asked == registry.texts[registry.current]
        assert list(converter.read_many(topic, data)[1]) == [converter.read(topic, m)[1] for m in data]
        rows = converter.read_rows(topic, data)
        if rows.ops is not None:
            values = [converter.read(topic, m)[1] for m in data]
            assert (list(rows.ops), list(rows.rows)) == ([v["op"] for v in values], [v["after"] for v in values])
            assert rows.source == values[0]["source"]
