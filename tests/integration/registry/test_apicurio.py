"""The client and the AvroConverter against a real registry: Apicurio under its Confluent-compatible address."""

import json
import urllib.request

import pytest

from pycdc.converters.avro import AvroConverter, AvroConverterConfig
from pycdc.errors import RegistryError
from pycdc.model.schema import INT32, OPTIONAL_INT32, OPTIONAL_STRING, STRING, struct
from pycdc.plugins.contracts import when_ready
from pycdc.registry import RegistryConfig, SchemaRegistry


def converter(server, **options):
    config = AvroConverterConfig.parse({"schema.registry.url": server, **options}, faults := [])
    assert not faults
    return AvroConverter(config, is_key=False)


async def written(subject, topic, schema, value):
    out = []
    await when_ready(subject.write, topic, schema, value, out)
    return b"".join(out)


async def read(subject, topic, data):
    return await when_ready(subject.read, topic, data)


ONE = struct([("id", INT32), ("t", STRING)], name="s.Row")
TWO = struct([("id", INT32), ("t", STRING), ("more", OPTIONAL_STRING)], name="s.Row")
BAD = struct([("id", INT32), ("t", INT32)], name="s.Row")


def call(server, method, path, body=None):
    request = urllib.request.Request(
        f"{server}{path}", None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.timeout(200)
async def test_what_one_converter_writes_another_reads(schema_registry):
    for schema, value in ((ONE, {"id": 1, "t": "ä"}), (TWO, {"id": 2, "t": "x", "more": None})):
        message = await written(converter(schema_registry), "first", schema, value)
        assert await read(converter(schema_registry), "first", message) == (schema, value)
    assert call(schema_registry, "GET", "/subjects/first-value/versions") == [1, 2]


async def test_an_incompatible_schema_is_refused_with_the_command_that_allows_it(schema_registry):
    await written(converter(schema_registry), "second", ONE, {"id": 1, "t": "x"})
    call(schema_registry, "PUT", "/config/second-value", {"compatibility": "BACKWARD"})
    with pytest.raises(RegistryError, match="incompatible") as error:
        await written(converter(schema_registry), "second", BAD, {"id": 1, "t": 2})
    assert error.value.what.endswith("field t was string, is int (level BACKWARD)")
    assert f"pycdc registry level second-value --set NONE --url {schema_registry}" in error.value.hint
    assert not error.value.retriable
    call(schema_registry, "PUT", "/config/second-value", {"compatibility": "NONE"})
    assert await written(converter(schema_registry), "second", BAD, {"id": 1, "t": 2})


async def test_without_registering_only_known_schemas_are_written(schema_registry):
    lookup = {"auto.register.schemas": "false"}
    with pytest.raises(RegistryError, match="no such subject"):
        await written(converter(schema_registry, **lookup), "third", ONE, {"id": 1, "t": "x"})
    registered = await written(converter(schema_registry), "third", ONE, {"id": 1, "t": "x"})
    assert await written(converter(schema_registry, **lookup), "third", ONE, {"id": 1, "t": "x"}) == registered
    with pytest.raises(RegistryError, match="does not know the schema"):
        await written(converter(schema_registry, **lookup), "third", TWO, {"id": 1, "t": "x", "more": None})


async def test_the_latest_version_is_written_with(schema_registry):
    by_hand = '{"type":"record","name":"Row","namespace":"s","fields":[{"name":"id","type":"int"},{"name":"n","type":["int","null"]}]}'
    call(schema_registry, "POST", "/subjects/fourth-value/versions", {"schema": by_hand})
    latest = {"auto.register.schemas": "false", "use.latest.version": "true"}
    ours = struct([("id", INT32), ("n", OPTIONAL_INT32)], name="s.Row")
    message = await written(converter(schema_registry, **latest), "fourth", ours, {"id": 1, "n": None})
    assert message[5:] == b"\x02\x02"
    assert (await read(converter(schema_registry), "fourth", message))[1] == {"id": 1, "n": None}


async def test_an_unknown_id_and_an_invalid_schema_are_told(schema_registry):
    registry = SchemaRegistry(RegistryConfig.parse({"schema.registry.url": schema_registry}, []))
    with pytest.raises(RegistryError, match="does not know the schema") as error:
        await registry.fetch_text(999_999, "first-value")
    assert "40403" in error.value.cause
    with pytest.raises(RegistryError, match="does not accept the schema"):
        await registry.fetch_written("fifth-value", '{"type":"record","name":"a-b","fields":[]}')
