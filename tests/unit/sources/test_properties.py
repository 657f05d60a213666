"""Every property of Debezium's PostgreSQL connector, as its releases up to 3.6 have them, is known here."""

import pytest

from pycdc.config.layers import Layered
from pycdc.plugins.join import load_source
from pycdc.sources.postgres.config import PostgresSourceConfig

#: By the groups of Debezium's documentation; the last ones under the names that its source gives internal properties.
NAMES = ["topic.prefix", "database.hostname", "database.port", "database.user", "database.password", "database.dbname", "database.sslmode", "database.sslcert", "database.sslkey", "database.sslpassword", "database.sslrootcert", "database.sslfactory", "database.tcpKeepAlive", "database.initial.statements", "database.query.timeout.ms", "database.connection.factory.class", "driver.socketTimeout", "connection.validation.timeout.ms", "errors.max.retries", "retriable.restart.connector.wait.ms", "executor.shutdown.timeout.ms", "read.only", "guardrail.collections.max", "guardrail.collections.limit.action", "plugin.name", "slot.name", "slot.drop.on.stop", "slot.failover", "slot.stream.params", "slot.max.retries", "slot.retry.delay.ms", "offset.mismatch.strategy", "publication.name", "publication.autocreate.mode", "publish.via.partition.root", "replica.identity.autoset.values", "status.update.interval.ms", "lsn.flush.mode", "flush.lsn.source", "lsn.flush.timeout.ms", "lsn.flush.timeout.action", "xmin.fetch.interval.ms", "schema.include.list", "schema.exclude.list", "table.include.list", "table.exclude.list", "column.include.list", "column.exclude.list", "table.ignore.builtin", "message.key.columns", "message.prefix.include.list", "message.prefix.exclude.list", "skipped.operations", "skip.messages.without.change", "tombstones.on.delete", "heartbeat.interval.ms", "heartbeat.action.query", "topic.heartbeat.prefix", "provide.transaction.metadata", "topic.transaction", "transaction.metadata.factory", "include.schema.comments", "include.schema.changes", "decimal.handling.mode", "time.precision.mode", "hstore.handling.mode", "interval.handling.mode", "binary.handling.mode", "money.fraction.digits", "include.unknown.datatypes", "unavailable.value.placeholder", "schema.refresh.mode", "schema.name.adjustment.mode", "field.name.adjustment.mode", "column.truncate.to.10.chars", "column.mask.with.10.chars", "column.mask.hash.SHA-256.with.salt.s", "column.mask.hash.v2.SHA-256.with.salt.s", "column.propagate.source.type", "datatype.propagate.source.type", "converters", "post.processors", "sourceinfo.struct.maker", "event.processing.failure.handling.mode", "event.converting.failure.handling.mode", "extended.headers.enabled", "snapshot.mode", "snapshot.isolation.mode", "snapshot.locking.mode", "snapshot.lock.timeout.ms", "snapshot.query.mode", "snapshot.mode.custom.name", "snapshot.locking.mode.custom.name", "snapshot.query.mode.custom.name", "snapshot.mode.configuration.based.snapshot.data", "snapshot.mode.configuration.based.snapshot.schema", "snapshot.mode.configuration.based.start.stream", "snapshot.mode.configuration.based.snapshot.on.schema.error", "snapshot.mode.configuration.based.snapshot.on.data.error", "snapshot.include.collection.list", "snapshot.select.statement.overrides", "snapshot.select.statement.overrides.public.t", "snapshot.fetch.size", "snapshot.delay.ms", "streaming.delay.ms", "snapshot.max.threads", "snapshot.max.threads.multiplier", "snapshot.max.threads.multiplier.public.t", "legacy.snapshot.max.threads", "snapshot.tables.order.by.row.count", "incremental.snapshot.chunk.size", "incremental.snapshot.allow.schema.changes", "incremental.snapshot.watermarking.strategy", "signal.data.collection", "signal.enabled.channels", "signal.poll.interval.ms", "signal.kafka.topic", "signal.kafka.bootstrap.servers", "signal.kafka.groupId", "signal.kafka.poll.timeout.ms", "signal.consumer.security.protocol", "signal.file", "signal.emit.failure.max.retries", "signal.emit.failure.backoff.ms", "notification.enabled.channels", "notification.sink.topic.name", "topic.naming.strategy", "topic.regex", "topic.replacement", "topic.key.enforce.uniqueness", "topic.key.field.name", "topic.key.field.regex", "topic.key.field.replacement", "topic.delimiter", "topic.cache.size", "max.queue.size", "max.batch.size", "max.queue.size.in.bytes", "poll.interval.ms", "poll.dispatch.interval.ms", "queue.provider.type", "query.fetch.size", "custom.metric.tags", "statistics.metrics.enabled", "custom.sanitize.pattern", "openlineage.integration.enabled", "openlineage.integration.config.file.path", "internal.create.slot.command.timeout", "internal.slot.seek.to.known.offset.on.start", "internal.log.position.check.enable", "internal.offset.activity.monitor.interval.ms", "internal.snapshot.scan.all.columns.force", "internal.advanced.metrics.enable", "internal.custom.retriable.exception"]

OLD = ["database.server.name", "schema.whitelist", "schema.blacklist", "table.whitelist", "table.blacklist", "column.whitelist", "column.blacklist", "toasted.value.placeholder", "truncate.handling.mode", "sanitize.field.names", "source.struct.version", "transaction.topic", "heartbeat.topics.prefix", "slot.drop_on_stop"]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_declared(name):
    assert PostgresSourceConfig.reads(name)


@pytest.mark.parametrize("name", OLD)
def test_an_old_name_is_mapped_or_named_with_a_reason_and_never_unknown(name):
    values = {"truncate.handling.mode": "skip", "sanitize.field.names": "true", "slot.drop_on_stop": "true", "source.struct.version": "v2"}
    config = {
        "name": "c", "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "p", "database.hostname": "h",
        "database.user": "u", "database.dbname": "d", "bootstrap.servers": "b:9092", "offset.storage.topic": "o",
    }  # fmt: skip
    if name == "database.server.name":
        del config["topic.prefix"]
    plan = load_source(Layered.of(config | {name: values.get(name, "x")}))
    told = [w for w in plan.warnings if name in w]
    assert told
    assert not any("unknown" in w or "did you mean" in w for w in told)
