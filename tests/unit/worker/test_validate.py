"""Validation of a connector's configuration, against the captures; the connection is only tried in tests/integration."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_equal import Step, differences, steps

from pycdc.errors import ConfigError
from pycdc.sources.postgres import PostgresSource
from pycdc.worker.requests import RequestError
from pycdc.worker.validate import Worker, checked, errors_text, named, validate

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
