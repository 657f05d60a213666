"""The ProtobufConverter against a real registry: Apicurio under its Confluent-compatible address."""

import json
import urllib.request
from decimal import Decimal

import pytest

from pycdc.converters.protobuf import ProtobufConverter, ProtobufConverterConfig
from pycdc.errors import RegistryError
from pycdc.model.schema import DECIMAL, INT32, OPTIONAL_STRING, STRING, Schema, struct
from pycdc.plugins.contracts import when_ready
from pycdc.registry import RegistryConfig, SchemaRegistry

DATE = Schema(type="int32", name="org.apache.kafka.connect.data.Date", version=1, optional=True)
AMOUNT = Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", "2"), ("connect.decimal.precision", "10")), optional=True)
ONE = struct([("id", INT32), ("t", STRING)], name="shop.Row")
TWO = struct([("id", INT32), ("t", STRING), ("more", OPTIONAL_STRING), ("day", DATE), ("amount", AMOUNT)], name="shop.Row")


def converter(server, **options):
    given = {"schema.registry.url": server, **{k.replace("_", "."): v for k, v in options.items()}}
    config = ProtobufConverterConfig.parse(given, faults := [])
    assert not faults
    return ProtobufConverter(config, is_key=False)


async def written(subject, topic, schema, value):
    out = []
    await when_ready(subject.write, topic, schema, value, out)
    return b"".join(out)


async def read(subject, topic, data):
    return await when_ready(subject.read, topic, data)


def call(server, method, path, body=None):
    request = urllib.request.Request(
        f"{server}{path}", None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.timeout(200)
async def test_what_one_converter_writes_another_reads(schema_registry):
    two = {"id": 2, "t": "x", "more": None, "day": 19723, "amount": Decimal("12.50")}
    for schema, value in ((ONE, {"id": 1, "t": "ä"}), (TWO, two)):
        message = await written(converter(schema_registry, optional_for_nullables="true"), "pb-first", schema, value)
        found, back = await read(converter(schema_registry, optional_for_nullables="true"), "pb-first", message)
        assert back == value
        assert [(f.name, f.schema.type, f.schema.optional) for f in found.fields] == [(f.name, f.schema.type, f.schema.optional) for f in schema.fields]
    assert call(schema_registry, "GET", "/subjects/pb-first-value/versions") == [1, 2]
    assert call(schema_registry, "GET", "/subjects/pb-first-value/versions/1")["schemaType"] == "PROTOBUF"


async def test_a_topic_prefix_with_a_dash_is_a_package(schema_registry):
    schema = struct([("id", INT32)], name="pg-x.public.t.Value")
    message = await written(converter(schema_registry), "pb-dash", schema, {"id": 1})
    assert (await read(converter(schema_registry), "pb-dash", message))[1] == {"id": 1}


async def test_a_value_alone_is_a_wrapper(schema_registry):
    message = await written(converter(schema_registry), "pb-second", STRING, "x")
    assert message[5:] == b"\x02\x0e\x0a\x01x"
    assert await read(converter(schema_registry), "pb-second", message) == (STRING, "x")


async def test_texts_that_refer_to_others_are_read(schema_registry):
    inner = 'syntax = "proto3"; package i; message Inner { string s = 1; }'
    outer = 'syntax = "proto3"; package o; import "inner.proto"; message Other { } message Outer { i.Inner inner = 1; map<string, int32> n = 2; }'
    call(schema_registry, "POST", "/subjects/inner.proto/versions", {"schemaType": "PROTOBUF", "schema": inner})
    references = [{"name": "inner.proto", "subject": "inner.proto", "version": 1}]
    id_ = call(schema_registry, "POST", "/subjects/pb-third-value/versions", {"schemaType": "PROTOBUF", "schema": outer, "references": references})["id"]
    message = b"\0" + id_.to_bytes(4, "big") + b"\x02\x02" + b"\x0a\x03\x0a\x01x" + b"\x12\x05\x0a\x01k\x10\x05"
    schema, value = await read(converter(schema_registry), "pb-third", message)
    assert schema.name == "Outer"
    assert value == {"inner": {"s": "x"}, "n": {"k": 5}}


async def test_the_latest_version_is_written_with(schema_registry):
    by_hand = 'syntax = "proto3"; package shop; message First { } message Row { string t = 2; int32 id = 1; bool extra = 3; }'
    call(schema_registry, "POST", "/subjects/pb-fourth-value/versions", {"schemaType": "PROTOBUF", "schema": by_hand})
    latest = {"auto_register_schemas": "false", "use_latest_version": "true"}
    message = await written(converter(schema_registry, **latest), "pb-fourth", ONE, {"id": 1, "t": "x"})
    assert message[5:] == b"\x02\x02\x08\x01\x12\x01x"
    assert (await read(converter(schema_registry), "pb-fourth", message))[1] == {"t": "x", "id": 1, "extra": False}


async def test_without_registering_only_known_schemas_are_written(schema_registry):
    lookup = {"auto_register_schemas": "false"}
    with pytest.raises(RegistryError, match="no such subject"):
        await written(converter(schema_registry, **lookup), "pb-fifth", ONE, {"id": 1, "t": "x"})
    registered = await written(converter(schema_registry), "pb-fifth", ONE, {"id": 1, "t": "x"})
    assert await written(converter(schema_registry, **lookup), "pb-fifth", ONE, {"id": 1, "t": "x"}) == registered


async def test_a_schema_of_another_kind_and_an_unknown_id_are_told(schema_registry):
    registry = SchemaRegistry(RegistryConfig.parse({"schema.registry.url": schema_registry}, []))
    await registry.fetch_written("pb-sixth-value", '"string"')
    id_ = registry.written("pb-sixth-value", '"string"').id
    with pytest.raises(RegistryError, match="cannot be used") as error:
        await read(converter(schema_registry), "pb-sixth", b"\0" + id_.to_bytes(4, "big") + b"\0")
    assert "AVRO, not PROTOBUF" in error.value.cause
    with pytest.raises(RegistryError, match="does not know the schema"):
        await read(converter(schema_registry), "pb-sixth", b"\0\0\x0f\x42\x3f\0")


BAD = struct([("id", INT32), ("t", INT32)], name="shop.Row")


async def test_an_incompatible_schema_is_refused_with_the_command_that_allows_it(schema_registry):
    await written(converter(schema_registry), "pb-seventh", ONE, {"id": 1, "t": "x"})
    call(schema_registry, "PUT", "/config/pb-seventh-value", {"compatibility": "BACKWARD"})
    with pytest.raises(RegistryError, match="incompatible") as error:
        await written(converter(schema_registry), "pb-seventh", BAD, {"id": 1, "t": 2})
    assert error.value.what.endswith("last one: field Row.t was string = 2, is int32 = 2 (level BACKWARD)"), "the registry says no more than Row"
    assert f"pycdc registry level pb-seventh-value --set NONE --url {schema_registry}" in error.value.hint
    call(schema_registry, "PUT", "/config/pb-seventh-value", {"compatibility": "NONE"})
    assert await written(converter(schema_registry), "pb-seventh", BAD, {"id": 1, "t": 2})
