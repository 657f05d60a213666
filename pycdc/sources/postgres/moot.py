"""Properties of Debezium's PostgreSQL connector that are accepted and have no effect here, each with the reason.

Old configurations carry them; a warning names those that are given. What has an effect is in `config`.
"""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, moot

_JAVA = "it names a Java class, or tunes Java"
_ALWAYS = "what it asks for is always done"
_NEVER = "PostgreSQL gives no schema changes"


class MootProperties(ConfigDef):
    """Base of the connector's definition."""

    connection_factory = moot("database.connection.factory.class", _JAVA)
    validation_timeout = moot("connection.validation.timeout.ms", "every connection has a time limit")
    retriable_pattern = moot("internal.custom.retriable.exception", "what is tried again is decided by the kind of fault")
    shutdown_timeout = moot("executor.shutdown.timeout.ms", _JAVA)
    seek_to_known = moot("internal.slot.seek.to.known.offset.on.start", "see offset.mismatch.strategy")
    flush_timeout = moot("lsn.flush.timeout.ms", "a position is confirmed without waiting for an answer")
    flush_timeout_action = moot("lsn.flush.timeout.action", "a position is confirmed without waiting for an answer")
    position_check = moot("internal.log.position.check.enable", _ALWAYS)
    activity_monitor = moot("internal.offset.activity.monitor.interval.ms", "positions are stored every second at least")
    transaction_factory = moot("transaction.metadata.factory", _JAVA)
    struct_maker = moot("sourceinfo.struct.maker", _JAVA)
    struct_version = moot("source.struct.version", "the layout is that of today")
    schema_refresh = moot("schema.refresh.mode", "the stream itself tells each change of a table")
    schema_changes = moot("include.schema.changes", _NEVER)
    schema_comments = moot("include.schema.comments", "Debezium reads no comments from PostgreSQL")
    schema_history = moot("internal.snapshot.scan.all.columns.force", _NEVER)
    query_mode = moot("snapshot.query.mode", "see snapshot.select.statement.overrides")
    mode_name = moot("snapshot.mode.custom.name", _JAVA)
    locking_name = moot("snapshot.locking.mode.custom.name", _JAVA)
    query_name = moot("snapshot.query.mode.custom.name", _JAVA)
    snapshot_fetch = moot("snapshot.fetch.size", "rows are streamed by COPY")
    fetch_size = moot("query.fetch.size", _JAVA)
    incremental_schema_changes = moot(
        "incremental.snapshot.allow.schema.changes", "a chunk that a schema change crosses is always read again"
    )
    signal_poll_timeout = moot("signal.kafka.poll.timeout.ms", "the topic is waited for, not polled")
    signal_retries = moot("signal.emit.failure.max.retries", "a lost connection is always made again")
    signal_backoff = moot("signal.emit.failure.backoff.ms", "a lost connection is always made again")
    queue_size = moot("max.queue.size", "memory is bounded by bytes, see max.queue.size.in.bytes")
    batch_size = moot("max.batch.size", "batches are bounded by bytes")
    poll_interval = moot("poll.interval.ms", "the stream is waited for, not polled")
    dispatch_interval = moot("poll.dispatch.interval.ms", "the stream is waited for, not polled")
    queue_provider = moot("queue.provider.type", _JAVA)
    schema_storage = moot("memory.management.schemas.class", _JAVA)
    table_storage = moot("memory.management.tables.class", _JAVA)
    topic_cache = moot("topic.cache.size", _JAVA)
    statistics = moot("statistics.metrics.enabled", _ALWAYS)
    advanced_metrics = moot("internal.advanced.metrics.enable", _ALWAYS)
    sanitize = moot("custom.sanitize.pattern", "values of the configuration are never logged")
    openlineage = moot("openlineage.integration.enabled", "OpenLineage events are not sent")
