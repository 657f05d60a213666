"""Every captured case of the original classes (golden/make.py) gives the same record here."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.converters.simple_header import SimpleHeaderConverter, SimpleHeaderConverterConfig
from pycdc.errors import RecordError
from pycdc.model.record import Header, Record
from pycdc.plugins import registry

GOLDEN = Path(__file__).parent / "golden"
CONVERTER = JsonConverter(JsonConverterConfig.of(replace_null=False), is_key=False)

HEADER = SimpleHeaderConverter(SimpleHeaderConverterConfig.of(), is_key=False)
#: A list or map whose elements have no common type has no schema for them, which JSON shows in no useful way.
UNTYPED = re.compile(r'"(items|keys|values)":null')


@cache
def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def classes(name):
    return sorted({case["class"] for case in golden(name)["cases"]})


def read(envelope):
    return CONVERTER.read("t", None if envelope is None else json.dumps(envelope).encode())


def record_of(r):
    key_schema, key = read(r["key"])
    value_schema, value = read(r["value"])
    headers = tuple(Header(h["key"], *read(h["value"])) for h in r.get("headers", ()))
    sink = {"offset": r["offset"]} if "offset" in r else {}
    return Record(
        topic=r["topic"], key_schema=key_schema, key=key, value_schema=value_schema, value=value, headers=headers,
        partition=r.get("partition"), timestamp=r.get("timestamp"), **sink,
    )  # fmt: skip


def written(schema, value):
    if schema is None and value is None:
        return None
    out = []
    try:
        CONVERTER.write("t", schema, value, out)
    except (RecordError, AssertionError):  # a list or map of nulls has no schema for its elements
        return "unwritable"
    return b"".join(out).decode()


def comparable(text):
    """The exact text under a schema; without one members have no order."""
    if isinstance(text, dict):
        return "unwritable"
    if text is not None and text.startswith('{"schema":null'):
        return json.loads(text)
    return "unwritable" if text is not None and UNTYPED.search(text) else text


def simple(header):
    out = []
    return b"".join(out).decode() if HEADER.write("t", header.schema, header.value, out) else None


def run(case, record):
    """What the class here makes of it, in the golden's form, texts comparable."""
    kind = registry.PREDICATE if ".predicates." in case["class"] else registry.TRANSFORM
    plugin = registry.load(kind, case["class"])
    faults = []
    settings = plugin.config.parse(case["config"], faults)
    if faults:
        return "refused"
    made = plugin(settings)
    try:
        if kind == registry.PREDICATE:
            return made.test(record)
        changed = made.apply(record)
    except RecordError:
        return "error"
    if changed is None:
        return None
    return {
        "topic": changed.topic, "partition": changed.partition, "timestamp": changed.timestamp,
        "key": comparable(written(changed.key_schema, changed.key)),
        "value": comparable(written(changed.value_schema, changed.value)),
        "headers": [h.key for h in changed.headers],
        **{f"header {n}": comparable(written(h.schema, h.value)) for n, h in enumerate(changed.headers)},
        **{f"header {n} as text": simple(h) for n, h in enumerate(changed.headers)},
    }  # fmt: skip


def expected(result, schemas):
    if result is None or "test" in result:
        return result and result["test"]
    for word in ("refused", "error"):
        if word in result:
            return word

    def text(short):
        return short if not isinstance(short, str) else comparable(re.sub(r"§(\d+)§", lambda m: schemas[int(m[1])], short, count=1))

    def side(short):
        return "unwritable" if isinstance(short, dict) else text(short)

    headers = result["headers"]
    return {
        **result, "key": side(result["key"]), "value": side(result["value"]), "headers": [h["key"] for h in headers],
        **{f"header {n}": side(h["value"]) for n, h in enumerate(headers)},
        **{f"header {n} as text": h["simple"] for n, h in enumerate(headers)},
    }  # fmt: skip


def same(ours, theirs):
    """What Connect could not write may differ: there a value that its schema has no room for is kept."""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return ours == theirs
    return ours.keys() == theirs.keys() and all(theirs[k] in ("unwritable", ours[k]) for k in ours)


def differences(name, class_name):
    held = golden(name)
    for case in held["cases"]:
        if case["class"] == class_name:
            record = record_of(held["records"][case["record"]])
            ours, theirs = run(case, record), expected(case["result"], held["schemas"])
            if not same(ours, theirs):
                yield case["config"], case["record"], ours, theirs, case["result"]


@pytest.mark.parametrize("class_name", classes("kafka"))
def test_kafkas_transforms_do_as_the_original(class_name):
    found = list(differences("kafka", class_name))
    assert not found, f"{len(found)} differ, the first:\n" + "\n".join(map(str, found[0]))


@pytest.mark.parametrize("class_name", classes("debezium"))
def test_debeziums_transforms_do_as_the_original(class_name):
    found = list(differences("debezium", class_name))
    assert not found, f"{len(found)} differ, the first:\n" + "\n".join(map(str, found[0]))
