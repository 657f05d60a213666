"""JsonSchemaConverter against jsonschema_captures.json: texts, subjects and messages that the original wrote, and what it read.

Captured from the published source of JsonSchemaConverter 7.9.6 with everit-json-schema 1.14.6, on Java 17.
"""

import asyncio
import json
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.jsonschema import JsonSchemaConverter, JsonSchemaConverterConfig
from pycdc.errors import RecordError
from pycdc.plugins.contracts import when_ready

sys.path.insert(0, str(Path(__file__).parent))
from avro_registry import Memory

CAPTURES = json.loads((Path(__file__).parent / "jsonschema_captures.json").read_text())
#: Connect's own form of records, in which the captures give and take them.
FEED = JsonConverter(JsonConverterConfig.of(schemas_enable=True, replace_null=False), is_key=False)
#: The id that a second use of a referred schema gets: pycdc's schemas are values, which need none.
ID = "io.confluent.connect.json.Id"


class References(Memory):
    """The schemas in front of the last one are those that it refers to."""

    def referred(self, id_):
        return self.names


def converter(case, memory):
    faults = []
    settings = JsonSchemaConverterConfig.parse({"schema.registry.url": "http://registry:8081", **case["options"]}, faults)
    assert not faults
    return JsonSchemaConverter(settings, is_key=case.get("is_key", False), schemas=memory)


def cases(part):
    return [pytest.param(c, id=c["name"]) for c in CAPTURES[part]]


def feed(record):
    return FEED.read("t", json.dumps(record).encode())


def shown(schema, value):
    out = []
    FEED.write("t", schema, value, out)
    return json.loads(b"".join(out))


def without_registry_version(back, case):
    """The original asks for the version under which a schema is registered and shows it where none is said; always 1 here."""
    if back["schema"] is not None and "connect.version" not in json.loads(case):
        back["schema"].pop("version", None)
    return back


def without_ids(node):
    if isinstance(node, dict):
        return {k: left for k, v in node.items() if k != ID and ((left := without_ids(v)) or k != "parameters")}
    return [without_ids(n) for n in node] if isinstance(node, list) else node


@pytest.mark.parametrize("case", cases("written"))
def test_written_as_captured(case):
    memory, out = Memory(), []
    subject = converter(case, memory)
    schema, value = feed(case["record"])
    if "error" in case["result"]:
        with pytest.raises(RecordError):
            asyncio.run(when_ready(subject.write, "t", schema, value, out))
        return
    message = b"".join(out) if asyncio.run(when_ready(subject.write, "t", schema, value, out)) else None
    wanted = case["result"]["message"]
    assert message == (None if wanted is None else b64decode(wanted))
    assert list(memory.ids) == [(s["subject"], s["schema"]) for s in case["result"]["subjects"]]
    if message is not None:
        back = shown(*subject.read("t", message))
        text = memory.texts[1]
        assert without_registry_version(back, text) == without_registry_version(case["result"]["back"], text)


@pytest.mark.parametrize("case", cases("read"))
def test_read_as_captured(case):
    texts = {n: r["schema"] for n, r in enumerate(case["registered"], 1)}
    memory = References(texts)
    memory.names = {r["subject"]: r["schema"] for r in case["registered"][:-1]}
    subject, message = converter(case, memory), b64decode(case["message"])
    if "back_error" in case["result"] or "error" in case["result"]:
        with pytest.raises(RecordError) as refused:
            subject.read("t", message)
        assert refused.value.cause
        assert subject.settings.fail_invalid or len(texts) > 1 or _nothing_of_many(subject, message)
        return
    read = subject.read("t", message)
    wanted = without_ids(without_registry_version(case["result"]["back"], texts[len(texts)]))
    assert without_registry_version(shown(*read), texts[len(texts)]) == wanted
    many = subject.read_many("t", [message, message])
    assert many is None or (many[0], list(many[1])) == (read[0], [read[1]] * 2)


def _nothing_of_many(subject, message):
    try:
        return subject.read_many("t", [message, message]) is None
    except RecordError:
        return True  # the schema itself is refused
