"""JsonConverter against every message of the captures: read, written again, the bytes are the same."""

import json
import re
from pathlib import Path

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.json_schema import parse_schema

GOLDEN = Path(__file__).parents[2] / "differential" / "golden"
CASES = sorted(GOLDEN.glob("*.json"))


def messages(document):
    """(key or value, its full text) of every message that has a schema."""
    for records in document["records"].values():
        for record in records:
            for part in ("key_raw", "value_raw"):
                text = record[part]
                if text is not None and "\u00a7" in text:
                    yield part.removesuffix("_raw"), re.sub("\u00a7(s\\d+)\u00a7", lambda m: document["schemas_raw"][m.group(1)], text)


def written(converter, schema, value):
    pieces = []
    assert converter.write("topic", schema, value, pieces)
    return b"".join(pieces)


def test_the_captures_are_there():
    assert len(CASES) > 100


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_every_captured_message_survives_reading_and_writing(path):
    document = json.loads(path.read_text())
    config = document["case"]["config"]
    converters = {
        part: JsonConverter(
            JsonConverterConfig.of(decimal_format=config.get(f"{part}.converter.decimal.format", "BASE64")), is_key=False
        )
        for part in ("key", "value")
    }
    for part, text in messages(document):
        converter = converters[part]
        schema, value = converter.read("topic", text.encode())
        assert written(converter, schema, value).decode() == text


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_every_captured_schema_is_written_byte_for_byte(path):
    document = json.loads(path.read_text())
    converter = JsonConverter(JsonConverterConfig.of(), is_key=False)
    for text in document["schemas_raw"].values():
        assert b"".join(converter._schema(parse_schema(json.loads(text)))).decode() == text
