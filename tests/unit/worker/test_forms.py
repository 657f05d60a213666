"""The tables of the originals' keys rest on our definitions: nothing is shown that nobody reads."""

import re

import pytest

from pycdc.config.definition import ConfigDef
from pycdc.config.worker import SinkConnectorConfig, SourceConnectorConfig, WorkerConfig
from pycdc.plugins import registry
from pycdc.plugins.join import config_of
from pycdc.worker.validation import definitions, plugins
from pycdc.worker.validation.configdef import entries
from pycdc.worker.validation.form import Entry, Form, errors_text
from pycdc.worker.validation.forms import facts

#: Read by nobody: the worker itself tells a converter whether it writes keys or values.
TOLD_BY_THE_WORKER = {"converter.type"}
CLIENTS = ("producer", "consumer", "admin", "security")


def readers(name: str) -> list[type[ConfigDef]]:
    kind = next(p.kind for p in plugins.all_of() if p.name == name)
    return [config_of(registry.load(kind, name), name)]


TABLES = [
    *((table, readers(name)) for name, table in definitions.TABLES.items()),
    ("common", [SourceConnectorConfig, SinkConnectorConfig, WorkerConfig]), ("source", [SourceConnectorConfig]), ("sink", [SinkConnectorConfig]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "read_by"), TABLES, ids=[t for t, _ in TABLES])
def test_every_key_is_read(table: str, read_by: list[type[ConfigDef]]) -> None:
    for fact in facts(table):
        assert fact.name in TOLD_BY_THE_WORKER or any(reads(definition, fact.name) for definition in read_by), fact.name


def reads(definition: type[ConfigDef], key: str) -> bool:
    """Debezium's `column.mask.with.(d+).chars` stands for a family of keys."""
    return definition.reads(key.replace("(d+)", "5"))


@pytest.mark.parametrize("table", [*(t for t, _ in TABLES), *CLIENTS])
def test_every_line_is_whole(table: str) -> None:
    names = [f.name for f in facts(table)]
    assert len(names) == len(set(names))
    for fact in facts(table):
        assert fact.type in ("BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD")
        assert fact.importance in ("HIGH", "MEDIUM", "LOW")
        assert fact.width in ("NONE", "SHORT", "MEDIUM", "LONG")
        assert len(fact.label) < 46, "a label is no sentence"


@pytest.mark.parametrize("table", [*(t for t, _ in TABLES), *CLIENTS])
def test_defaults_are_right(table: str) -> None:
    wrong = [e.errors for e in entries([f for f in facts(table) if not f.required], {}).values() if e.errors]
    assert not wrong


def test_errors_are_counted_and_listed() -> None:
    form = Form("X", [], [Entry(fact=None, name="a", errors=["one", "two"]), Entry(fact=None, name="b"), Entry(fact=None, name="c", errors=["three"])])
    assert errors_text(form) == (
        "Connector configuration is invalid and contains the following 3 error(s):\none\ntwo\nthree\n"
        "You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"
    )
    assert errors_text(Form("X", [], [Entry(fact=None, name="b")])) is None


def test_no_password_has_a_default() -> None:
    for table in (*(t for t, _ in TABLES), *CLIENTS):
        assert all(f.default is None for f in facts(table) if re.search("password|PASSWORD", f.type))
