"""Which class a connector's configuration means: a source or a sink, its version, and how the original's tasks are called."""

from __future__ import annotations

from typing import Final

from pycdc.errors import ConfigError, Fault
from pycdc.worker.requests import RequestError
from pycdc.worker.validation import plugins
from pycdc.worker.validation.plugins import Plugin

SOURCE: Final = "source"
SINK: Final = "sink"

#: Where the original's name for a task is not its connector's with "Task" behind it.
_TASKS: Final = {
    "com.clickhouse.kafka.connect.ClickHouseSinkConnector": "com.clickhouse.kafka.connect.sink.ClickHouseSinkTask",
    "com.starrocks.connector.kafka.StarRocksSinkConnector": "com.starrocks.connector.kafka.StarRocksSinkTask",
    "io.confluent.connect.jdbc.JdbcSourceConnector": "io.confluent.connect.jdbc.source.JdbcSourceTask",
    "io.confluent.connect.jdbc.JdbcSinkConnector": "io.confluent.connect.jdbc.sink.JdbcSinkTask",
    "io.aiven.connect.jdbc.JdbcSinkConnector": "io.aiven.connect.jdbc.sink.JdbcSinkTask",
}


def connector_class(name: str) -> Plugin:
    """Raises ConfigError for a class that is not there."""
    try:
        return plugins.connector(name)
    except RequestError as error:
        raise ConfigError("The connector's class is not known.", faults=(Fault("connector.class", error.message, name),)) from None


def task_class(plugin: Plugin) -> str:
    return _TASKS.get(plugin.name, f"{plugin.name}Task")


def kind_of(name: str | None) -> str:
    """source, sink, or unknown."""
    try:
        return connector_class(name or "").type
    except ConfigError:
        return "unknown"


def version_of(name: str | None) -> str | None:
    """Of a connector's class as it is written in its configuration; None for one that is not known."""
    try:
        return connector_class(name or "").version
    except ConfigError:
        return None
