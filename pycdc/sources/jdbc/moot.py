"""Properties of Confluent's JDBC source that are accepted and have no effect here, each with the reason."""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, moot

_JAVA = "it names a Java class, or tunes Java"
_STREAMED = "rows are streamed, and memory is bounded by bytes"


class MootProperties(ConfigDef):
    """Base of the connector's definition."""

    credentials = moot("jdbc.credentials.provider.class", _JAVA)
    dialect = moot("dialect.name", "the URL says it")
    buffer_size = moot("max.buffer.size", _STREAMED)
    linger = moot("poll.linger.ms", _STREAMED)
    startup_limit = moot("table.monitoring.startup.polling.limit.ms", "tables are listed before the tasks start")
    shutdown_limit = moot("engine.shutdown.timeout.seconds", "a stop takes at most 8 s")
    isolation = moot("transaction.isolation.mode", "each poll reads one snapshot, REPEATABLE READ")
