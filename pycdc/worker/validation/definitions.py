"""The keys of a class as a form shows them: an original's own facts where there is one, else what its ConfigDef says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pycdc.config.definition import ConfigDef, Property
from pycdc.config.worker import ConnectorConfig, SinkConnectorConfig, SourceConnectorConfig, WorkerConfig
from pycdc.plugins.join import config_of
from pycdc.worker.validation.forms import Fact, described, facts

POSTGRES: Final = "io.debezium.connector.postgresql.PostgresConnector"
JDBC_SINK: Final = "io.debezium.connector.jdbc.JdbcSinkConnector"
JDBC_SOURCE: Final = "io.confluent.connect.jdbc.JdbcSourceConnector"
#: Originals whose own facts are kept.
TABLES: Final[Mapping[str, str]] = {
    POSTGRES: "debezium_postgres",
    JDBC_SINK: "debezium_jdbc",
    JDBC_SOURCE: "jdbc_source",
    "io.debezium.transforms.ExtractNewRecordState": "extract_new_record_state",
    "org.apache.kafka.connect.json.JsonConverter": "json_converter",
    "org.apache.kafka.connect.transforms.RegexRouter": "regex_router",
    "org.apache.kafka.connect.transforms.predicates.TopicNameMatches": "topic_name_matches",
}
#: Connectors whose original checks by its facts alone; of any other our ConfigDef's faults are told as well.
CHECKED_BY_FACTS: Final = frozenset({POSTGRES, JDBC_SINK})
_SIDES: Final = {"source": SourceConnectorConfig, "sink": SinkConnectorConfig}


def of(plugin: type[Any], name: str, kind: str) -> tuple[Fact, ...]:
    """The keys of the class `plugin`, which `name` names; `kind` is Connect's word for what it is."""
    definition: type[ConfigDef] = config_of(plugin, name) if kind in _SIDES else plugin.config
    if name in TABLES:
        return described(facts(TABLES[name]), _docs(definition))
    return tuple(_fact(p) for p in definition.properties())


def framework(kind: str, defaults: Mapping[str, str | None]) -> tuple[Fact, ...]:
    """Connect's own keys of a source or a sink; `defaults` are those that the worker gives."""
    keys = described((*facts("common"), *facts(kind)), _docs(WorkerConfig) | _docs(ConnectorConfig) | _docs(_SIDES[kind]))
    return tuple(msgspec.structs.replace(f, default=defaults[f.name]) if f.name in defaults else f for f in keys)


def _docs(definition: type[ConfigDef]) -> dict[str, str]:
    return {name: _doc(p) for p in definition.properties() for name in (*p.old_names, p.name)}


def _doc(p: Property[Any]) -> str:
    return f"{p.doc} No effect: {p.ignored}.".strip() if p.ignored else p.doc


def _fact(p: Property[Any]) -> Fact:
    """`required` of ours is presence, which Kafka's ConfigDef checks too."""
    return Fact(
        name=p.name, local=p.name, type=p.kind.connect_type, default=default_text(p.default), required=p.required,
        importance=p.importance, group=p.group or None, choices=p.kind.choices, doc=_doc(p),
    )  # fmt: skip


def default_text(value: object) -> str | None:
    """A parsed default as a text; None where it has none that a user could write."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value))
    if isinstance(value, str | int | float):
        return str(value)
    return "" if value is not None and not value else None
