"""GET /connector-plugins and what each plugin can be told, against the captures."""

from urllib.parse import parse_qs

import pytest
from rest_equal import Step, differences, steps

from pycdc.plugins import registry
from pycdc.worker.requests import RequestError
from pycdc.worker.validation import plugins

#: Transforms that the original has and pycdc has not (docs/differences.md): what is not there is not listed.
NOT_THERE = {
    "io.debezium.connector.jdbc.transforms.CollectionNameTransformation", "io.debezium.connector.jdbc.transforms.FieldNameTransformation",
    "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent",
    "io.debezium.connector.postgresql.transforms.timescaledb.TimescaleDb",
    *(f"io.debezium.transforms.{name}" for name in (
        "EnforceRecordSize", "ExtractSchemaToNewRecord", "GeometryFormatTransformer", "SchemaChangeEventFilter", "SwapGeometryCoordinates",
        "VectorToJsonConverter", "openlineage.OpenLineage", "tracing.ActivateTracingSpan",
    )),
}  # fmt: skip
CALLS = [*steps("cluster/plugins"), *steps("single/plugins")]
LISTS = [s for s in CALLS if s.path == "/connector-plugins"]
KEYS = [s for s in CALLS if s.path.endswith("/config")]


@pytest.mark.parametrize("step", LISTS, ids=repr)
def test_list_has_what_the_original_lists(step: Step) -> None:
    ours = plugins.listed(connectors_only=step.query in ("", "connectorsOnly=true"))
    theirs = {(p["class"], p["type"]) for p in step.answer if p["class"].startswith(("io.debezium.", "org.apache.kafka.connect."))}
    beside = {p for p in theirs if ".file." in p[0] or ".mirror." in p[0] or p[0] in NOT_THERE}
    assert theirs - beside <= {(p["class"], p["type"]) for p in ours}
    versions = {(p["class"], p["type"], p.get("version")) for p in step.answer}
    assert all((p["class"], p["type"], p["version"]) in versions for p in ours if (p["class"], p["type"]) in theirs)


def test_list_is_ordered_by_kind() -> None:
    kinds = [p["type"] for p in plugins.listed(connectors_only=False)]
    assert list(dict.fromkeys(kinds)) == ["sink", "source", "transformation", "predicate", "converter", "header_converter"]
    assert kinds == sorted(kinds, key=list(dict.fromkeys(kinds)).index)


def test_list_has_no_short_names() -> None:
    assert "postgres" not in {p["class"] for p in plugins.listed(connectors_only=False)}


def test_avro_is_a_converter_that_tells_its_registrys_keys() -> None:
    name = "io.confluent.connect.avro.AvroConverter"
    assert (name, "converter") in {(p["class"], p["type"]) for p in plugins.listed(connectors_only=False)}
    keys = {key["name"]: key for key in plugins.definition(name)}
    assert keys["schema.registry.url"]["required"]
    assert {"auto.register.schemas", "connect.meta.data", "basic.auth.user.info", "value.subject.name.strategy"} <= keys.keys()
    assert keys["basic.auth.user.info"]["type"] == "PASSWORD"


def test_json_with_a_registry_is_another_converter_than_json() -> None:
    name = "io.confluent.connect.json.JsonSchemaConverter"
    assert (name, "converter") in {(p["class"], p["type"]) for p in plugins.listed(connectors_only=False)}
    keys = {key["name"]: key for key in plugins.definition(name)}
    assert keys["schema.registry.url"]["required"]
    assert {"object.additional.properties", "json.fail.invalid.schema", "decimal.format", "use.latest.version"} <= keys.keys()
    assert "schemas.enable" not in keys


def test_protobuf_is_a_converter_that_tells_its_registrys_keys_and_its_own() -> None:
    name = "io.confluent.connect.protobuf.ProtobufConverter"
    assert (name, "converter") in {(p["class"], p["type"]) for p in plugins.listed(connectors_only=False)}
    keys = {key["name"]: key for key in plugins.definition(name)}
    assert keys["schema.registry.url"]["required"]
    assert {"auto.register.schemas", "optional.for.nullables", "wrapper.for.nullables", "scrub.invalid.names", "flatten.unions"} <= keys.keys()
    assert keys["generate.index.for.unions"]["default_value"] == "true"


def answer(step: Step) -> tuple[int, object]:
    name = step.path.split("/")[2]
    try:
        return 200, plugins.definition(name, parse_qs(step.query).get("version", [None])[0])
    except RequestError as error:
        return error.status, {"error_code": error.status, "message": error.message}


@pytest.mark.parametrize("step", KEYS, ids=repr)
def test_keys_are_the_originals(step: Step) -> None:
    assert not differences(step, *answer(step))


@pytest.mark.parametrize("name", [p["class"] for p in plugins.listed(connectors_only=False)])
def test_every_listed_plugin_tells_its_keys(name: str) -> None:
    for key in plugins.definition(name):
        assert key["name"]
        assert key["documentation"], f"{name} {key['name']}"
        assert key["type"] in ("BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD")
        assert not (key["required"] and key["default_value"] is not None)


@pytest.mark.parametrize(("written", "full"), [
    ("io.debezium.connector.postgresql.PostgresConnector", "io.debezium.connector.postgresql.PostgresConnector"),
    ("PostgresConnector", "io.debezium.connector.postgresql.PostgresConnector"),
    ("Postgres", "io.debezium.connector.postgresql.PostgresConnector"),
    ("postgres", "io.debezium.connector.postgresql.PostgresConnector"),
    ("jdbc-sink", "io.debezium.connector.jdbc.JdbcSinkConnector"),
    ("ClickHouseSink", "com.clickhouse.kafka.connect.ClickHouseSinkConnector"),
])  # fmt: skip
def test_connector_by_each_of_its_names(written: str, full: str) -> None:
    found = plugins.connector(written)
    assert (found.name, found.type) == (full, "source" if "postgresql" in full else "sink")


@pytest.mark.parametrize("name", ["", "nope", "PostgresConnectors", "postgresconnector", "org.apache.kafka.connect.json.JsonConverter"])
def test_unknown_connector_names_those_there_are(name: str) -> None:
    with pytest.raises(RequestError, match=f"which name matches {name}, available connectors are: .*PostgresConnector") as caught:
        plugins.connector(name)
    assert caught.value.status == 400


@pytest.mark.parametrize("plugin", plugins.all_of(), ids=str)
def test_what_is_found_by_a_short_name_runs_by_it(plugin: plugins.Plugin) -> None:
    last = plugin.name.rpartition(".")[2]
    for short in (last, last.removesuffix("Connector"), last.removesuffix("Converter"), last.removesuffix("HeaderConverter")):
        found = plugins.of_kind(short, plugin.type) == plugin
        if found and not short.startswith("JdbcSink"):  # three sinks share it, see below
            assert registry.canonical(plugin.kind, short) == plugin.name


def test_name_that_three_sinks_share_is_no_connector() -> None:
    with pytest.raises(RequestError, match="write the full name"):
        plugins.connector("JdbcSinkConnector")


@pytest.mark.parametrize("name", ["ByteArrayConverter", "Filter", "InsertField", "java.lang.String"])
def test_name_without_one_plugin_is_unknown(name: str) -> None:
    with pytest.raises(RequestError, match="Unknown plugin") as caught:
        plugins.definition(name)
    assert caught.value.status == 404
