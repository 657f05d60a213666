"""The form of the JDBC source: the original's types, groups and order, and what hangs on the mode."""

import asyncio

import pytest

from pycdc.plugins import registry
from pycdc.worker.validation import configdef, definitions, plugins
from pycdc.worker.validation.validate import Worker, checked

NAME = definitions.JDBC_SOURCE
FORM = {d["name"]: d for d in plugins.definition(NAME)}
CONFIG = {"name": "one", "connector.class": NAME, "connection.url": "jdbc:postgresql://h/d", "topic.prefix": "p_", "mode": "bulk"}


def own(**given: str) -> dict[str, configdef.Entry]:
    facts = definitions.of(registry.load("source", NAME), NAME, "source")
    return configdef.entries(facts, {**CONFIG, **{k.replace("__", "."): v for k, v in given.items()}})


def errors(config: dict[str, str]) -> dict[str, list[str]]:
    return {e.name: e.errors for e in asyncio.run(checked(config, Worker.of({}))).entries if e.errors}


@pytest.mark.parametrize(
    ("key", "kind", "default", "group", "order"),
    [
        ("connection.url", "STRING", "", "Database", 1),
        ("connection.password", "PASSWORD", None, "Database", 3),
        ("connection.attempts", "INT", "3", "Database", 5),
        ("connection.backoff.ms", "LONG", "10000", "Database", 6),
        ("table.whitelist", "LIST", "", "Database", 7),
        ("mode", "STRING", "", "Mode", 1),
        ("timestamp.initial", "LONG", None, "Mode", 6),
        ("query.retry.attempts", "INT", "-1", "Mode", 13),
        ("poll.interval.ms", "INT", "5000", "Connector", 2),
        ("table.poll.interval.ms", "LONG", "60000", "Connector", 6),
        ("topic.prefix", "STRING", "", "Connector", 7),
    ],
)
def test_keys_are_told_as_the_original_tells_them(key: str, kind: str, default: str | None, group: str, order: int) -> None:
    told = FORM[key]
    assert (told["type"], told["default_value"], told["group"], told["order"], told["required"]) == (kind, default, group, order, False)


def test_every_key_that_is_read_is_in_the_form_and_explained() -> None:
    read = {p.name for p in registry.load("source", NAME).config.properties()}
    assert read - FORM.keys() == {"engine.shutdown.timeout.seconds"}, "which has no effect here, and is not in the original's form"
    assert all(FORM[key]["documentation"] for key in read & FORM.keys())
    assert FORM["connection.url"]["dependents"] == ["table.whitelist", "table.blacklist"]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("bulk", set()),
        ("incrementing", {"incrementing.column.name", "validate.non.null"}),
        ("timestamp", {"timestamp.column.name", "timestamp.initial", "validate.non.null"}),
        ("timestamp+incrementing", {"incrementing.column.name", "timestamp.column.name", "timestamp.initial", "validate.non.null"}),
    ],
)
def test_a_mode_shows_the_keys_that_it_reads(mode: str, shown: set[str]) -> None:
    entries = own(mode=mode)
    asked = ("incrementing.column.name", "timestamp.column.name", "timestamp.initial", "validate.non.null")
    assert {key for key in asked if entries[key].visible} == shown
    assert not entries["query.masked"].visible
    assert entries["query"].visible


def test_numbers_are_held_to_their_types() -> None:
    found = own(poll__interval__ms=str(2**31), table__poll__interval__ms=str(2**31), connection__attempts="0")
    assert found["poll.interval.ms"].errors == [f"Invalid value {2**31} for configuration poll.interval.ms: Not a number of type INT"]
    assert not found["table.poll.interval.ms"].errors
    assert found["connection.attempts"].errors == ["Invalid value 0 for configuration connection.attempts: Value must be at least 1"]


def test_what_is_missing_is_told_once_each_at_its_key() -> None:
    found = errors({"name": "one", "connector.class": NAME})
    assert found.keys() == {"connection.url", "topic.prefix", "mode"}
    assert all(len(told) == 1 for told in found.values())


def test_a_wrong_mode_is_told_in_the_originals_words() -> None:
    found = errors({**CONFIG, "mode": "sometimes"})
    assert found == {"mode": ["Invalid value sometimes for configuration mode: String must be one of: , bulk, timestamp, incrementing, timestamp+incrementing"]}


def test_what_only_we_find_is_told_besides() -> None:
    found = errors({**CONFIG, "mode": "timestamp", "query": "SELECT 1", "table.whitelist": "a"})
    assert found.keys() == {"table.whitelist", "timestamp.column.name"}
