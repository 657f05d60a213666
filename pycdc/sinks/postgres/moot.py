"""Properties of the JDBC sink connectors that are accepted and have no effect here, each with the reason."""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, Property, text

_JAVA = "it names a Java class, or tunes Java"
_BATCHES = "batches grow with what Kafka has, up to 10000 records or 8 MiB"
_OTHER = "it is of another database"
_LATER = "it is not available in this release"


def _moot(name: str, why: str) -> Property[str | None]:
    return Property[str | None](name, text(), ignored=why, importance="LOW")


class MootConfluent(ConfigDef):
    """Base of Confluent's and Aiven's definitions."""

    attempts = _moot("connection.attempts", "see max.retries")
    attempts_backoff = _moot("connection.backoff.ms", "see retry.backoff.ms")
    credentials = _moot("jdbc.credentials.provider.class", _JAVA)
    dialect = _moot("dialect.name", "the URL says it")
    batch = _moot("batch.size", _BATCHES)
    table_types = _moot("table.types", "tables and partitioned tables are targets")
    replace_null = _moot("replace.null.with.default", "see value.converter.replace.null.with.default")
    date_zone = _moot("date.timezone", "dates have no zone")
    calendar = _moot("date.calendar.system", "dates are of the proleptic Gregorian calendar")
    string_column = _moot("string.output.value.column.name", _LATER)
    holdlock = _moot("mssql.use.merge.holdlock", _OTHER)
    sensitive = _moot("trim.sensitive.log", "values of rows are never logged")


class MootAiven(ConfigDef):
    """Base of Aiven's definition."""


class MootDebezium(ConfigDef):
    """Base of Debezium's definition."""

    provider = _moot("connection.provider", _JAVA)
    pool_least = _moot("connection.pool.min_size", "a task has one connection")
    pool_most = _moot("connection.pool.max_size", "a task has one connection")
    pool_step = _moot("connection.pool.acquire_increment", "a task has one connection")
    pool_timeout = _moot("connection.pool.timeout", "a task has one connection")
    restart = _moot("connection.restart.on.errors", "a lost connection is always made again, see flush.max.retries")
    collection_table = _moot("collection.table.format", _LATER)
    column_naming = _moot("column.naming.strategy", _JAVA)
    time_zone = _moot("use.time.zone", "moments reach PostgreSQL as they are, those without zone in UTC")
    batch = _moot("batch.size", _BATCHES)
    reduction = _moot("use.reduction.buffer", "batches are always reduced by key")
    unnest = _moot("dialect.postgres.unnest.insert.enabled", "rows go by COPY")
    postgis = _moot("dialect.postgres.postgis.schema", "types are found in the catalog")
    identity_insert = _moot("dialect.sqlserver.identity.insert", _OTHER)
    starrocks_catalog = _moot("dialect.starrocks.catalog.name", _OTHER)
    keyed_batches = _moot("keyed.message.batch.mode", "batches are always reduced by key")
    sces = _moot("internal.enable.sces", _JAVA)
    cloud_events = _moot("cloud.events.schema.name.pattern", _LATER)
