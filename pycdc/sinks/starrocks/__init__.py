"""The StarRocks sink, under the name of StarRocks' own Kafka Connect sink."""

from pycdc.sinks.starrocks.sink import StarRocksSink

__all__ = ["StarRocksSink"]
