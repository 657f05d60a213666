"""Kafka's converters: ours write and read as the original classes do, by tables that golden/make_connect.py made with them."""

import json
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from pycdc.converters.json_schema import parse_schema
from pycdc.errors import RecordError
from pycdc.model.javatext import double_text, float_text
from pycdc.model.schema import Schema
from pycdc.model.simple_date_format import DATES, milliseconds
from pycdc.plugins import registry

#: A payload that does not fit its schema: the original makes 0, false or null of it, or the number cut to the type's bits.
#: Here it is refused or passed on as it stands, for the sink to refuse. A required null inside a struct passes as well.
MISFITS = (
    '"int32", "optional": false},"payload":"x"', '"payload":300', '"payload":1.7', '"string", "optional": false},"payload":5', '"boolean", "optional": false},"payload":1',
    '"double", "optional": false},"payload":"NaN"', '"bytes", "optional": false},"payload":5', '"version": 1},"payload":"x"', '"payload":{"id": null}', '"payload":{}',
    "12345678901234567890123", "1e400",
)  # fmt: skip


@cache
def table():
    return json.loads((Path(__file__).parent / "golden/connect.json").read_text())


def converters():
    return [
        pytest.param(spec, id=" ".join([spec["class"].rpartition(".")[2], *map("=".join, spec["options"].items())]))
        for spec in table()["converters"]
    ]


def made(spec):
    plugin = registry.load(registry.CONVERTER, spec["class"])
    settings = plugin.config.parse(spec["options"], faults := [])
    assert not faults
    return plugin(settings, is_key=False)


def value_of(v):
    """What make_connect.py marks, as it stands here: structs and maps are dicts, times numbers."""
    if isinstance(v, list):
        return [value_of(x) for x in v]
    if not isinstance(v, dict):
        return v
    match next(iter(v), None):
        case "$bytes":
            return bytes.fromhex(v["$bytes"])
        case "$decimal":
            return Decimal(v["$decimal"])
        case "$float32" | "$float64" as kind:
            return float(v[kind])
        case "$pairs":
            return {value_of(k): value_of(x) for k, x in v["$pairs"]}
    return {k: value_of(x) for k, x in v.items()}


def written(converter, schema, value):
    out = []
    try:
        return b"".join(out).hex() if converter.write("t", schema, value, out) else "null"
    except RecordError:
        return "refused"


def written_on_purpose(v, ours, theirs):
    if theirs == "refused":
        # we pad a Decimal with zeros to its schema's scale, and a required null is its default whatever the settings
        return v["value"] == {"$decimal": "1.5"} or (v["value"] is None and "default" in v["schema"])
    # characters that the character set lacks
    return ours == "refused" and b"?" in bytes.fromhex(theirs)


@pytest.mark.parametrize("spec", converters())
def test_written(spec):
    converter = made(spec)
    different = []
    for v, result in zip(table()["values"], spec["written"], strict=True):
        schema = None if v["schema"] is None else parse_schema(v["schema"])
        ours, theirs = written(converter, schema, value_of(v["value"])), table()["results"][result].partition(" ")[0]
        if ours != theirs and not written_on_purpose(v, ours, theirs):
            different.append((v, ours, theirs))
    assert not different, f"{len(different)} differ, the first:\n{different[0]}"


def shown(schema, value):
    """As Connect.java shows values."""
    if value is None or isinstance(value, bool | str):
        return value
    if schema is not None and schema.name in DATES:
        return {"$ms": milliseconds(schema, value)}
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, float):
        single = schema is not None and schema.type == "float32"
        return {"$float32": float_text(value)} if single else {"$float64": double_text(value)}
    if isinstance(value, int):
        return value
    if isinstance(value, list):
        return [shown(schema and schema.items, v) for v in value]
    if schema is not None and schema.type == "struct":
        return {f.name: shown(f.schema, value.get(f.name)) for f in schema.fields}
    pairs = [[shown(schema and schema.keys, k), shown(schema and schema.values, v)] for k, v in value.items()]
    return {"$pairs": sorted(pairs, key=lambda p: str(p[0]))}


def read(converter, message):
    try:
        schema, value = converter.read("t", message)
    except RecordError:
        return "refused"
    return schema, shown(schema, value)


def schema_of(node):
    """parse_schema, but for lists and maps of nulls, whose elements have no schema."""
    if node is None:
        return None
    if node["type"] in ("array", "map"):
        inner = {k: schema_of(node.get(k)) for k in ("items", "keys", "values")}
        return Schema(type=node["type"], optional=node["optional"], **inner)
    return parse_schema(node)


def loose(v):
    """Floats of either width are alike, where no schema tells the width."""
    if isinstance(v, list):
        return [loose(x) for x in v]
    if isinstance(v, dict):
        return {"$float32": float_text(float(v["$float64"]))} if "$float64" in v else {k: loose(x) for k, x in v.items()}
    return v


def read_on_purpose(spec, message, ours, theirs):
    if spec["class"].endswith("StringConverter"):
        # bytes that are no text in the character set: the original reads what is left
        return ours == "refused" and "\ufffd" in theirs[1]
    if spec["class"].endswith("SimpleHeaderConverter"):
        return "refused" not in (ours, theirs) and ours[0] == theirs[0] and loose(ours[1]) == loose(theirs[1])
    return message.decode().rstrip("}").endswith(tuple(m.rstrip("}") for m in MISFITS))


@pytest.mark.parametrize("spec", converters())
def test_read(spec):
    converter = made(spec)
    different = []
    for text, result in zip(table()["messages"], spec["read"], strict=True):
        message, theirs = bytes.fromhex(text), table()["results"][result]
        theirs = "refused" if isinstance(theirs, str) else (schema_of(theirs["schema"]), theirs["value"])
        ours = read(converter, message)
        if ours != theirs and not read_on_purpose(spec, message, ours, theirs):
            different.append((message, ours, theirs))
    assert not different, f"{len(different)} differ, the first:\n{different[0]}"


def test_refusals_tell_no_values():
    spec = next(s for s in table()["converters"] if s["options"] == {"converter.encoding": "US-ASCII"})
    with pytest.raises(RecordError) as refused:
        made(spec).write("t", None, "pa\u00df", [])
    with pytest.raises(RecordError) as unread:
        made(spec).read("t", b"pa\xc3")
    for error in (refused.value, unread.value):
        assert "US-ASCII" in str(error)
        assert not {"\u00df", "\\xdf", "xc3", "pa"} & set(str(error).replace("'", " ").split())
