"""The ClickHouse sink, under the name of ClickHouse's own Kafka Connect sink."""

from pycdc.sinks.clickhouse.sink import ClickHouseSink

__all__ = ["ClickHouseSink"]
