"""Validation of a connector's configuration, against the captures; the connection is only tried in tests/integration."""

import asyncio
import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint, version

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_equal import Step, differences, steps

from pycdc.config.definition import ConfigDef, Property, integer, password, text
from pycdc.errors import ConfigError, Fault, ServerError
from pycdc.sources.postgres import PostgresSource
from pycdc.worker.requests import RequestError
from pycdc.worker.validation import plugins
from pycdc.worker.validation.validate import Worker, checked, errors_text, named, validate

JSON = {"key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter"}
WORKER = Worker.of({**JSON, "group.id": "connect"})
STRICT = Worker.of({**JSON, "connector.client.config.override.policy": "None", "exactly.once.source.support": "enabled"})
VALUES = {"N": "cap1", "DB": "cap", "PG_DB": "cap", "PG_HOST": "127.0.0.1", "PG_PORT": "5432", "KAFKA": "127.0.0.1:9092", "PLUGINS": "/plugins"}
POSTGRES = {
    "name": "one", "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": "h", "database.user": "u",
    "database.password": "secret", "database.dbname": "d", "topic.prefix": "p", "plugin.name": "pgoutput",
}  # fmt: skip
CLICKHOUSE = {"name": "two", "connector.class": "ClickHouseSink", "topics": "a", "hostname": "h", "database": "d"}


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers at the captures' address, and knows the role and the database that they have."""

    async def check_connection(settings, faults) -> Mapping[str, str]:
        there = settings.hostname in ("127.0.0.1", "h") and settings.port != 1 and settings.user != "nobody" and settings.dbname != "nosuchdb"
        good = there and not any(f.key.startswith("database.") for f in faults)
        return {} if good else {"database.hostname": "Error while validating connector config: no"}

    monkeypatch.setattr(PostgresSource, "check_connection", staticmethod(check_connection))


def validated(requested: str, config: Mapping[str, str | None], worker: Worker = WORKER):
    return asyncio.run(validate(requested, config, worker))


def validate_step(step: Step, worker: Worker) -> tuple[int, object]:
    try:
        return 200, validated(step.path.split("/")[2], step.body, worker).body()
    except RequestError as error:
        return error.status, {"error_code": error.status, "message": error.message}


def create_step(step: Step, worker: Worker) -> tuple[int, object]:
    """POST or PUT, as far as the configuration decides: 201 when it is right."""
    name, config = (step.body["name"], step.body["config"]) if step.method == "POST" else (step.path.split("/")[2], step.body)
    try:
        text = errors_text(asyncio.run(checked(named(name, config), worker)))
    except RequestError as error:
        return error.status, {"error_code": error.status, "message": error.message}
    return (201, step.answer) if text is None else (400, {"error_code": 400, "message": text})


def are_forms(group: str) -> list[Step]:
    return [s for s in steps(group, **VALUES) if s.path.endswith("/validate") and isinstance(s.body, dict)]


def are_creations(group: str) -> list[Step]:
    return [s for s in steps(group, **VALUES) if s.method in ("POST", "PUT") and s.path.startswith("/connectors") and s.body and s.status in (201, 400)]


@pytest.mark.parametrize("step", [*are_forms("cluster/validate"), *are_forms("single/validate")], ids=repr)
def test_form_is_the_originals(step: Step) -> None:
    assert not differences(step, *validate_step(step, WORKER))


@pytest.mark.parametrize("step", are_forms("cluster/worker_strict"), ids=repr)
def test_form_of_a_strict_worker_is_the_originals(step: Step) -> None:
    assert not differences(step, *validate_step(step, STRICT))


@pytest.mark.parametrize("step", are_creations("cluster/create_refused"), ids=repr)
def test_creation_is_refused_as_by_the_original(step: Step) -> None:
    assert not differences(step, *create_step(step, WORKER))


@pytest.mark.parametrize("step", are_creations("cluster/worker_strict"), ids=repr)
def test_creation_is_refused_as_by_a_strict_worker(step: Step) -> None:
    assert not differences(step, *create_step(step, STRICT))


def errors(form) -> dict[str, list[str]]:
    return {e.name: e.errors for e in form.entries if e.errors}


def shown(form, key: str) -> str | None:
    return next(e.value for e in form.entries if e.name == key)


# ---- what is not in the captures


def test_reference_is_shown_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_NAME", "hunter2")
    form = validated("JdbcSinkConnector", {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "name": "${env:SECRET_NAME}", "topics": "${env:SECRET_NAME}",
        "batch.size": "${env:SECRET_NAME}", "connection.password": "${env:SECRET_NAME}",
    })  # fmt: skip
    assert shown(form, "topics") == "${env:SECRET_NAME}"
    assert shown(form, "connection.password") == "[hidden]"
    assert errors(form) == {"batch.size": ["Invalid value ${env:SECRET_NAME} for configuration batch.size: Not a number of type INT"]}
    assert "hunter2" not in json.dumps(form.body())


def test_short_secret_is_not_told_by_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_NAME", "0")
    form = validated("Postgres", {**POSTGRES, "connector.class": "Postgres", "tasks.max": "${env:SHORT_NAME}"})
    assert errors(form) == {"tasks.max": ["Invalid value ${env:SHORT_NAME} for configuration tasks.max: it refers to a value that is not allowed here"]}


def test_value_of_a_provider_is_what_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOW_MANY", "3")
    assert not errors(validated("PostgresConnector", {**POSTGRES, "tasks.max": "${env:HOW_MANY}"}))


@pytest.mark.parametrize("changes", [
    {"connector.class": "${env:SECRET_NAME}"}, {"producer.override.linger.ms": "${env:SECRET_NAME}"},
])  # fmt: skip
def test_refusal_does_not_tell_a_reference(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    monkeypatch.setenv("SECRET_NAME", "hunter2")
    with pytest.raises(RequestError, match=r"\$\{env:SECRET_NAME\}") as caught:
        asyncio.run(checked({**POSTGRES, **changes}, WORKER))
    assert "hunter2" not in caught.value.message


def test_class_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASS_NAME", "PostgresConnector")
    form = validated("${env:CLASS_NAME}", {**POSTGRES, "connector.class": "${env:CLASS_NAME}"})
    assert not errors(form)
    assert (form.name, shown(form, "connector.class")) == ("${env:CLASS_NAME}", "${env:CLASS_NAME}")


def test_names_of_older_releases_are_taken() -> None:
    old = {k: v for k, v in POSTGRES.items() if k != "topic.prefix"} | {"database.server.name": "p", "snapshot.mode": "never"}
    assert not errors(asyncio.run(checked(old, WORKER)))


def test_validation_tells_what_a_task_would_fail_with() -> None:
    config = {**POSTGRES, "plugin.name": "decoderbufs"}
    assert list(errors(validated("PostgresConnector", config))) == ["plugin.name"]
    assert not errors(asyncio.run(checked(config, WORKER)))  # the original makes such a connector


def test_validation_knows_predicates_by_their_names() -> None:
    config = {**POSTGRES, "transforms": "r", "transforms.r.type": "RegexRouter", "transforms.r.regex": "a", "transforms.r.replacement": "b",
              "transforms.r.predicate": "gone"}  # fmt: skip
    assert errors(validated("PostgresConnector", config)) == {
        "transforms.r.predicate": ["Invalid value gone for configuration transforms.r.predicate: names no predicate (predicates lists: none)"]
    }


def test_short_names_of_classes_are_shown_whole() -> None:
    form = validated("PostgresConnector", {**POSTGRES, "transforms": "r", "transforms.r.type": "RegexRouter", "value.converter": "StringConverter"})
    assert shown(form, "transforms.r.type") == "org.apache.kafka.connect.transforms.RegexRouter"
    assert shown(form, "value.converter") == "org.apache.kafka.connect.storage.StringConverter"


def test_class_of_another_kind_is_refused() -> None:
    form = validated("PostgresConnector", {**POSTGRES, "key.converter": "RegexRouter", "transforms": "t", "transforms.t.type": "JsonConverter"})
    assert errors(form) == {
        "key.converter": ["Class class org.apache.kafka.connect.transforms.RegexRouter does not implement the Converter interface"],
        "transforms.t.type": ["Class class org.apache.kafka.connect.json.JsonConverter does not implement the Transformation interface"],
    }


def test_negation_needs_a_predicate() -> None:
    form = validated("PostgresConnector", {**POSTGRES, "transforms": "t", "transforms.t.type": "DropHeaders", "transforms.t.negate": "true"})
    assert errors(form)["transforms.t.type"] == [
        "Config 'transforms.t.negate' was provided but there is no config 'transforms.t.predicate' defining a predicate to be negated."
    ]


def test_class_without_an_originals_facts_has_its_own() -> None:
    form = validated("ClickHouseSink", CLICKHOUSE)
    assert not errors(form)
    keys = [e.name for e in form.entries]
    assert keys[0] == "name"
    assert keys.index("topics") < keys.index("hostname")


def test_faults_of_its_own_definition_stand_at_their_keys() -> None:
    form = asyncio.run(checked({**CLICKHOUSE, "port": "many"}, WORKER))
    assert list(errors(form)) == ["port"]


def test_version_of_another_release() -> None:
    form = validated("PostgresConnector", {**POSTGRES, "connector.plugin.version": "9.9", "value.converter": "JsonConverter", "value.converter.plugin.version": "["})
    assert list(errors(form)) == ["connector.plugin.version", "value.converter.plugin.version"]


@pytest.mark.parametrize(("policy", "refused"), [
    ("All", []), ("None", ["linger.ms", "sasl.mechanism"]), ("Principal", ["linger.ms"]), ("Allowlist", ["sasl.mechanism"]),
    ("org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy", ["linger.ms"]),
])  # fmt: skip
def test_override_policy(policy: str, refused: list[str]) -> None:
    worker = Worker.of({"connector.client.config.override.policy": policy, "connector.client.config.override.allowlist": "linger.ms,acks"})
    form = validated("PostgresConnector", {**POSTGRES, "producer.override.linger.ms": "5", "producer.override.sasl.mechanism": "PLAIN"}, worker)
    short = policy.rpartition(".")[2].removesuffix("ConnectorClientConfigOverridePolicy")
    assert errors(form) == {
        f"producer.override.{k}": [f"The '{short}' policy does not allow '{k}' to be overridden in the connector configuration."] for k in refused
    }


def test_unknown_policy_is_told() -> None:
    with pytest.raises(ConfigError):
        Worker.of({"connector.client.config.override.policy": "Some"})


def test_override_of_a_wrong_type_is_refused() -> None:
    with pytest.raises(RequestError, match="Invalid value lots for configuration max.poll.records: Not a number of type INT"):
        validated("ClickHouseSink", {**CLICKHOUSE, "consumer.override.max.poll.records": "lots"})


def test_overrides_of_passwords_are_hidden_and_unknown_ones_have_no_definition() -> None:
    form = validated("PostgresConnector", {**POSTGRES, "producer.override.sasl.jaas.config": "x", "producer.override.no.such": "y", "producer.overrides": "z"})
    found = {e.name: (e.value, e.fact is None) for e in form.entries if e.name.startswith("producer.")}
    assert found == {"producer.override.sasl.jaas.config": ("[hidden]", False), "producer.override.no.such": ("y", True)}


@pytest.mark.parametrize(("extra", "roles"), [
    ({}, ["producer"]), ({"topic.creation.default.partitions": "1"}, ["producer", "admin"]),
    ({"offsets.storage.topic": "o"}, ["producer", "consumer", "admin"]),
])  # fmt: skip
def test_overrides_of_clients_that_the_connector_has(extra: dict[str, str], roles: list[str]) -> None:
    config = {**POSTGRES, **extra, **{f"{role}.override.client.id": "c" for role in ("producer", "consumer", "admin")}}
    form = validated("PostgresConnector", config)
    assert [e.name.split(".")[0] for e in form.entries if ".override." in e.name] == roles


def test_group_of_the_worker_is_not_a_sinks() -> None:
    worker = Worker.of({"group.id": "connect-two"})
    assert list(errors(asyncio.run(checked(CLICKHOUSE, worker)))) == ["name"]
    assert not errors(asyncio.run(checked({**CLICKHOUSE, "consumer.override.group.id": "g"}, worker)))


def test_key_without_a_value_that_nobody_knows() -> None:
    form = validated("PostgresConnector", {**POSTGRES, "no.such.key": None})
    assert (form.entries[0].name, form.entries[0].fact) == ("no.such.key", None)
    assert errors(form) == {"no.such.key": ["Null value can not be supplied as the configuration value."]}


@pytest.mark.parametrize(("given", "why"), [("a", "doesn't match connector name in the URL"), (" one", "doesn't match connector name in the URL")])
def test_name_of_another_connector(given: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        named("one", {"name": given})


def test_name_is_added() -> None:
    assert named("one", {"name": None, "a": "b"}) == {"name": "one", "a": "b"}
    assert errors(asyncio.run(checked(named("", {**POSTGRES, "name": None}), WORKER))) == {
        "name": ["Invalid value  for configuration name: String may not be empty"]
    }


def test_control_characters_of_a_name_are_told() -> None:
    form = asyncio.run(checked({**POSTGRES, "name": "a\n2\x7f"}, WORKER))
    assert errors(form) == {
        "name": ["Invalid value a\n2\x7f for configuration name: String may not contain control sequences but had the following ASCII chars: 10, 127"]
    }


# ---- a class of someone else's


class TheirConfig(ConfigDef):
    place = Property[str]("place", text(), required=True, doc="Where.", group="Theirs")
    secret = Property[str | None]("secret", password(), doc="Key of the place.")
    size = Property[int]("size", integer(1), default=7, doc="How much.")

    def check(self, faults):
        if self.place == "nowhere":
            faults.append(Fault("place.*", "is no place"))


class TheirSource:
    config = TheirConfig

    @classmethod
    async def check_connection(cls, settings, faults):
        if settings.place == "far":
            raise ServerError("It is too far", hint="go")
        return {"size": "is too large"} if settings.size > 100 else {}

    async def read(self): ...


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch):
    point = EntryPoint("example.Their", f"{__name__}:TheirSource", "pycdc.connectors")
    monkeypatch.setattr("pycdc.plugins.registry.entry_points", lambda group: [point] if group == point.group else [])
    plugins.all_of.cache_clear()
    yield {"name": "three", "connector.class": "example.Their", "place": "here", "secret": "s"}
    plugins.all_of.cache_clear()


def test_their_class_is_listed_by_what_it_is(theirs) -> None:
    listed = [p for p in plugins.listed(connectors_only=True) if p["class"] == "example.Their"]
    assert listed == [{"class": "example.Their", "type": "source", "version": version("pycdc")}]
    assert plugins.definition("example.Their")[0] == {
        "name": "place", "type": "STRING", "required": True, "default_value": None, "importance": "MEDIUM", "documentation": "Where.",
        "group": "Theirs", "width": "NONE", "display_name": "place", "dependents": [], "order": -1,
    }  # fmt: skip


def test_their_form(theirs) -> None:
    form = validated("Their", theirs)
    assert not errors(form)
    assert form.groups[-1] == "Theirs"
    assert [shown(form, key) for key in ("place", "secret", "size")] == ["here", "[hidden]", "7"]


@pytest.mark.parametrize(("changes", "where", "why"), [
    ({"size": "101"}, "size", "is too large"), ({"place": "far"}, "connector.class", "It is too far hint: go"),
    ({"place": "nowhere"}, "connector.class", "place.* is no place"), ({"size": "0"}, "size", "Invalid value 0 for configuration size: must be at least 1"),
    ({"place": None}, "place", 'Missing required configuration "place" which has no default value.'),
])  # fmt: skip
def test_their_faults(theirs, changes: dict[str, str | None], where: str, why: str) -> None:
    assert errors(asyncio.run(checked({k: v for k, v in (theirs | changes).items() if v is not None}, WORKER))) == {where: [why]}


def test_class_by_its_place_in_python() -> None:
    config = {"name": "four", "connector.class": f"{__name__}:TheirSource", "place": "here"}
    assert not errors(asyncio.run(checked(config, WORKER)))
    form = asyncio.run(checked({**POSTGRES, "value.converter": "os:path", "key.converter": "pycdc.converters.json:JsonConverter"}, WORKER))
    assert errors(form) == {"value.converter": ["Invalid value os:path for configuration value.converter: Class os:path could not be found."]}


# ---- whatever is sent


KEYS = st.sampled_from([
    *POSTGRES, "tasks.max", "transforms", "predicates", "transforms.a.type", "transforms.a.negate", "transforms.a.predicate", "predicates.a.type",
    "predicates.a.pattern", "transforms.a.regex", "transforms.a.spec", "transforms.a.plugin.version", "key.converter", "value.converter",
    "header.converter", "key.converter.plugin.version", "value.converter.schemas.enable", "value.converter.delegate.converter.type",
    "producer.override.acks", "producer.override.linger.ms", "consumer.override.group.id", "consumer.override.max.poll.records", "topics",
    "topics.regex", "errors.deadletterqueue.topic.name", "errors.deadletterqueue.topic.replication.factor", "exactly.once.support",
    "transaction.boundary", "transaction.boundary.interval.ms", "offsets.storage.topic", "connector.plugin.version", "table.include.list",
    "table.exclude.list", "message.key.columns", "max.queue.size", "max.batch.size", "skipped.operations", "custom.metric.tags", "snapshot.mode",
    "replica.identity.autoset.values", "converters", "post.processors", "column.mask.with.5.chars", "connection.url", "insert.mode", "config.providers",
    "jdbcConnectionProperties", "starrocks.http.url", "starrocks.load.url", "hostname", "port", "topic.creation.groups", "a.type",
])  # fmt: skip
TEXTS = st.one_of(
    st.none(), st.text(max_size=12),
    st.sampled_from([
        "a", "a,a", "0", "-1", "1", "true", "maybe", "(", "[", "[1,2", "1_0", "٣", "9" * 500, "1e3", "none", "${env:HOME}", "${file:/nope:x}", "${", "java.lang.String",
        "RegexRouter", "JsonConverter", "StringConverter", "CloudEventsConverter", "ByteArrayConverter", "TopicNameMatches", "Cast$Key", "Filter", "x:y", "os:path", "pycdc.sources.postgres:PostgresSource",
        "jdbc:postgresql://h:1/d", "jdbc:postgresql://[/d", "http://h:x/", "\x00", "\ud800",
    ]),
)  # fmt: skip
CLASSES = st.sampled_from([
    None, "", "nope", "PostgresConnector", "io.debezium.connector.jdbc.JdbcSinkConnector", "io.confluent.connect.jdbc.JdbcSinkConnector",
    "io.aiven.connect.jdbc.JdbcSinkConnector", "ClickHouseSink", "starrocks", "JdbcSinkConnector", "os:path", "${env:HOME}",
])  # fmt: skip


@given(CLASSES, st.dictionaries(st.one_of(KEYS, st.text(max_size=8)), TEXTS, max_size=14))
@settings(max_examples=400, deadline=None)
def test_any_texts_are_answered_or_refused(cls: str | None, config: dict[str, str | None]) -> None:
    try:
        form = validated(cls or "Postgres", {**config, "connector.class": cls})
    except RequestError as error:
        assert error.status == 400
        return
    assert form.error_count == sum(len(e) for e in errors(form).values())
    assert (errors_text(form) is None) == (form.error_count == 0)
    json.dumps(form.body())
