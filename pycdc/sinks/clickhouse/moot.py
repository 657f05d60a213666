"""Properties of ClickHouse's own sink connector that are accepted and have no effect here, each with the reason."""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, Property, text

_ROWS = "rows go as TSV, which the columns' types are checked for"
_BATCHES = "batches grow with what Kafka has, up to 10000 records or 8 MiB"
_STATE = "positions are kept in the table pycdc_positions"


def _moot(name: str, why: str) -> Property[str | None]:
    return Property[str | None](name, text(), ignored=why, importance="LOW")


class MootClickHouse(ConfigDef):
    """Base of the definition."""

    insert_timeout = _moot("clickhouseClientInsertTimeoutMs", "see timeoutSeconds")
    keeper_path = _moot("zkPath", _STATE)
    keeper_database = _moot("zkDatabase", _STATE)
    mismatch = _moot("tolerateStateMismatch", "reading always goes on where the table pycdc_positions says")
    insert_format = _moot("insertFormat", _ROWS)
    custom_format = _moot("customInsertFormat", _ROWS)
    bypass_binary = _moot("bypassRowBinary", _ROWS)
    bypass_schema = _moot("bypassSchemaValidation", "a record that does not fit its table is always told")
    bypass_cleanup = _moot("bypassFieldCleanup", _ROWS)
    date_formats = _moot("dateTimeFormats", "texts are read as ISO 8601 and what date_time_input_format=best_effort reads")
    merge_partitions = _moot("ignorePartitionsWhenBatching", "partitions share a block, but for exactlyOnce=true, where each has its own")
    buffer_count = _moot("bufferCount", _BATCHES)
    buffer_time = _moot("bufferFlushTime", _BATCHES)
    envelopes = _moot("debeziumCDCEnabled", "Debezium's envelopes are known when they are seen")
    client_version = _moot("clientVersion", "it chooses between Java clients")
    inserted_offsets = _moot("reportInsertedOffsets", "only positions of written records are ever committed")
