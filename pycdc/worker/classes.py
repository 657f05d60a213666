"""Which class a connector's configuration means: a source or a sink, and how the original's tasks are called."""

from __future__ import annotations

from typing import Final

import msgspec

from pycdc.errors import ConfigError, Fault
from pycdc.plugins import registry

#: Where the original's name for a task is not its connector's with "Task" behind it.
_TASKS: Final = {
    "com.clickhouse.kafka.connect.ClickHouseSinkConnector": "com.clickhouse.kafka.connect.sink.ClickHouseSinkTask",
    "com.starrocks.connector.kafka.StarRocksSinkConnector": "com.starrocks.connector.kafka.StarRocksSinkTask",
    "io.confluent.connect.jdbc.JdbcSinkConnector": "io.confluent.connect.jdbc.sink.JdbcSinkTask",
    "io.confluent.connect.jdbc.JdbcSourceConnector": "io.confluent.connect.jdbc.source.JdbcSourceTask",
    "io.aiven.connect.jdbc.JdbcSinkConnector": "io.aiven.connect.jdbc.sink.JdbcSinkTask",
}


class ConnectorClass(msgspec.Struct, frozen=True):
    """`kind`: source or sink."""

    name: str
    kind: str

    @property
    def task_class(self) -> str:
        return _TASKS.get(self.name, f"{self.name}Task")


def connector_class(name: str) -> ConnectorClass:
    """Raises ConfigError for a class that is not there."""
    for kind in (registry.SOURCE, registry.SINK):
        full = _canonical(kind, name)
        if full in registry.available(kind):
            return ConnectorClass(full, kind)
    for kind in (registry.SOURCE, registry.SINK):
        try:
            registry.load(kind, name)
        except registry.UnknownClass:
            continue
        return ConnectorClass(_canonical(kind, name), kind)
    listed = ", ".join(n for kind in (registry.SINK, registry.SOURCE) for n in registry.available(kind))
    raise ConfigError("The connector's class is not known.", faults=(Fault("connector.class", f"is none of: {listed}", name),))


def kind_of(name: str | None) -> str:
    """source, sink, or unknown."""
    try:
        return connector_class(name or "").kind
    except ConfigError:
        return "unknown"


def _canonical(kind: str, name: str) -> str:
    """A short name may also leave out `Connector`, as Connect's plugin aliases."""
    for text in (name, f"{name}Connector"):
        try:
            full = registry.canonical(kind, text)
        except registry.UnknownClass:
            continue
        if full in registry.TABLE[kind]:
            return full
    return name
