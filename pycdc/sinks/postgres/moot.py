"""Properties of the JDBC sink connectors that are accepted and have no effect here, each with the reason."""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, moot

_JAVA = "it names a Java class, or tunes Java"
_BATCHES = "batches grow with what Kafka has, up to 10000 records or 8 MiB"
_OTHER = "it is of another database"
_LATER = "it is not available in this release"


class MootConfluent(ConfigDef):
    """Base of Confluent's and Aiven's definitions."""

    attempts = moot("connection.attempts", "see max.retries")
    attempts_backoff = moot("connection.backoff.ms", "see retry.backoff.ms")
    credentials = moot("jdbc.credentials.provider.class", _JAVA)
    dialect = moot("dialect.name", "the URL says it")
    batch = moot("batch.size", _BATCHES)
    table_types = moot("table.types", "tables and partitioned tables are targets")
    replace_null = moot("replace.null.with.default", "see value.converter.replace.null.with.default")
    date_zone = moot("date.timezone", "dates have no zone")
    calendar = moot("date.calendar.system", "dates are of the proleptic Gregorian calendar")
    string_column = moot("string.output.value.column.name", _LATER)
    holdlock = moot("mssql.use.merge.holdlock", _OTHER)
    sensitive = moot("trim.sensitive.log", "values of rows are never logged")


class MootDebezium(ConfigDef):
    """Base of Debezium's definition."""

    provider = moot("connection.provider", _JAVA)
    pool_least = moot("connection.pool.min_size", "a task has one connection")
    pool_most = moot("connection.pool.max_size", "a task has one connection")
    pool_step = moot("connection.pool.acquire_increment", "a task has one connection")
    pool_timeout = moot("connection.pool.timeout", "a task has one connection")
    restart = moot("connection.restart.on.errors", "a lost connection is always made again, see flush.max.retries")
    collection_table = moot("collection.table.format", _LATER)
    column_naming = moot("column.naming.strategy", _JAVA)
    time_zone = moot("use.time.zone", "moments reach PostgreSQL as they are, those without zone in UTC")
    older_time_zone = moot("database.time_zone", "moments reach PostgreSQL as they are, those without zone in UTC")
    batch = moot("batch.size", _BATCHES)
    reduction = moot("use.reduction.buffer", "batches are always reduced by key")
    unnest = moot("dialect.postgres.unnest.insert.enabled", "rows go by COPY")
    postgis = moot("dialect.postgres.postgis.schema", "types are found in the catalog")
    identity_insert = moot("dialect.sqlserver.identity.insert", _OTHER)
    starrocks_catalog = moot("dialect.starrocks.catalog.name", _OTHER)
    keyed_batches = moot("keyed.message.batch.mode", "batches are always reduced by key")
    sces = moot("internal.enable.sces", _JAVA)
    cloud_events = moot("cloud.events.schema.name.pattern", _LATER)
