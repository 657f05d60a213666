"""Properties of ClickHouse's own sink connector that are accepted and have no effect here, each with the reason."""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, moot

_ROWS = "rows go as TSV, which the columns' types are checked for"
_BATCHES = "batches grow with what Kafka has, up to 10000 records or 8 MiB"
_STATE = "positions are kept in the table pycdc_positions"


class MootClickHouse(ConfigDef):
    """Base of the definition."""

    insert_timeout = moot("clickhouseClientInsertTimeoutMs", "see timeoutSeconds")
    keeper_path = moot("zkPath", _STATE)
    keeper_database = moot("zkDatabase", _STATE)
    mismatch = moot("tolerateStateMismatch", "reading always goes on where the table pycdc_positions says")
    insert_format = moot("insertFormat", _ROWS)
    custom_format = moot("customInsertFormat", _ROWS)
    bypass_binary = moot("bypassRowBinary", _ROWS)
    bypass_schema = moot("bypassSchemaValidation", "a record that does not fit its table is always told")
    bypass_cleanup = moot("bypassFieldCleanup", _ROWS)
    date_formats = moot("dateTimeFormats", "texts are read as ISO 8601 and what date_time_input_format=best_effort reads")
    merge_partitions = moot("ignorePartitionsWhenBatching", "partitions share a block, but for exactlyOnce=true, where each has its own")
    buffer_count = moot("bufferCount", _BATCHES)
    buffer_time = moot("bufferFlushTime", _BATCHES)
    envelopes = moot("debeziumCDCEnabled", "Debezium's envelopes are known when they are seen")
    client_version = moot("clientVersion", "it chooses between Java clients")
    inserted_offsets = moot("reportInsertedOffsets", "only positions of written records are ever committed")
