"""JsonSchemaConverter against a real registry: Apicurio under its Confluent-compatible address."""

import json
import urllib.request
from decimal import Decimal

import pytest

from pycdc.converters.jsonschema import JsonSchemaConverter, JsonSchemaConverterConfig
from pycdc.errors import RecordError, RegistryError
from pycdc.model.schema import DECIMAL, INT32, OPTIONAL_STRING, STRING, Schema, struct
from pycdc.plugins.contracts import when_ready


def converter(server, **options):
    config = JsonSchemaConverterConfig.parse({"schema.registry.url": server, **options}, faults := [])
    assert not faults
    return JsonSchemaConverter(config, is_key=False)


async def written(subject, topic, schema, value):
    out = []
    await when_ready(subject.write, topic, schema, value, out)
    return b"".join(out)


async def read(subject, topic, data):
    return await when_ready(subject.read, topic, data)


AMOUNT = Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", "2"),), optional=True)
ONE = struct([("id", INT32), ("t", STRING), ("amount", AMOUNT)], name="s.Row", version=1)
TWO = struct([*((f.name, f.schema) for f in ONE.fields), ("more", OPTIONAL_STRING)], name="s.Row", version=1)
BAD = struct([("id", INT32), ("t", INT32)], name="s.Row", version=1)
ROW = {"id": 1, "t": "ä😀", "amount": Decimal("12345678901234567890.12")}


def call(server, method, path, body=None):
    request = urllib.request.Request(
        f"{server}{path}", None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.timeout(200)
async def test_what_one_converter_writes_another_reads(schema_registry):
    for schema, value in ((ONE, ROW), (TWO, {**ROW, "more": None})):
        message = await written(converter(schema_registry), "js1", schema, value)
        assert await read(converter(schema_registry), "js1", message) == (schema, value)
    assert call(schema_registry, "GET", "/subjects/js1-value/versions") == [1, 2]
    kept = call(schema_registry, "GET", "/subjects/js1-value/versions/2")
    assert (kept["schemaType"], json.loads(kept["schema"])["title"]) == ("JSON", "s.Row")
    again = await written(converter(schema_registry), "js1", TWO, {**ROW, "more": None})
    assert again == message, "the same text is the same id"


async def test_an_incompatible_schema_is_refused_with_the_command_that_allows_it(schema_registry):
    await written(converter(schema_registry), "js2", ONE, ROW)
    call(schema_registry, "PUT", "/config/js2-value", {"compatibility": "BACKWARD"})
    with pytest.raises(RegistryError, match="incompatible") as refused:
        await written(converter(schema_registry), "js2", BAD, {"id": 1, "t": 2})
    assert refused.value.what.endswith("last one: field t was string, is integer; field amount is gone (level BACKWARD)")
    assert f"pycdc registry level js2-value --set NONE --url {schema_registry}" in refused.value.hint
    call(schema_registry, "PUT", "/config/js2-value", {"compatibility": "NONE"})
    assert await written(converter(schema_registry), "js2", BAD, {"id": 1, "t": 2})


async def test_a_new_column_is_compatible_where_objects_are_closed(schema_registry):
    for topic, options, compatible in (("js6", {}, False), ("js7", {"object.additional.properties": "false"}, True)):
        await written(converter(schema_registry, **options), topic, ONE, ROW)
        call(schema_registry, "PUT", f"/config/{topic}-value", {"compatibility": "BACKWARD"})
        if compatible:
            assert await written(converter(schema_registry, **options), topic, TWO, {**ROW, "more": "x"})
        else:
            with pytest.raises(RegistryError, match="incompatible") as refused:
                await written(converter(schema_registry, **options), topic, TWO, {**ROW, "more": "x"})
            assert "object.additional.properties=false" in refused.value.hint


async def test_references_are_followed_both_ways(schema_registry):
    inner = '{"type":"object","title":"Part","properties":{"p":{"type":"integer","connect.type":"int32","maximum":9}}}'
    call(schema_registry, "POST", "/subjects/part.json/versions", {"schema": inner, "schemaType": "JSON"})
    outer = '{"type":"object","title":"Whole","properties":{"a":{"$ref":"part.json"}}}'
    references = [{"name": "part.json", "subject": "part.json", "version": 1}]
    call(schema_registry, "POST", "/subjects/js3-value/versions", {"schema": outer, "schemaType": "JSON", "references": references})
    latest = {"auto.register.schemas": "false", "use.latest.version": "true", "json.fail.invalid.schema": "true"}
    ours = struct([("a", struct([("p", INT32)], name="Part"))], name="Whole")
    message = await written(converter(schema_registry, **latest), "js3", ours, {"a": {"p": 9}})
    assert message[5:] == b'{"a":{"p":9}}'
    assert await read(converter(schema_registry, **latest), "js3", message) == (ours, {"a": {"p": 9}})
    with pytest.raises(RecordError, match="does not fit") as refused:
        await written(converter(schema_registry, **latest), "js3", ours, {"a": {"p": 10}})
    assert refused.value.cause == "$.a.p: maximum 9"
    with pytest.raises(RecordError, match="does not have the record's fields"):
        await written(converter(schema_registry, **latest), "js3", struct([("z", INT32)], name="Whole"), {"z": 1})


async def test_a_schema_of_another_kind_and_an_unknown_id_are_told(schema_registry):
    avro = '{"type":"record","name":"Row","fields":[{"name":"id","type":"int"}]}'
    made = call(schema_registry, "POST", "/subjects/js4-value/versions", {"schema": avro})
    with pytest.raises(RegistryError, match="cannot be used") as refused:
        await read(converter(schema_registry), "js4", b"\0" + made["id"].to_bytes(4, "big") + b"{}")
    assert refused.value.cause == "it is AVRO, not JSON"
    with pytest.raises(RegistryError, match="does not know the schema"):
        await read(converter(schema_registry), "js4", b"\0\x00\x0f\x42\x3f{}")
    with pytest.raises(RegistryError, match="no such subject"):
        await written(converter(schema_registry, **{"auto.register.schemas": "false"}), "js5", ONE, ROW)
