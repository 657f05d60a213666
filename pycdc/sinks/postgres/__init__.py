"""The PostgreSQL sink, under the names of the Confluent and Debezium JDBC sink connectors."""

from pycdc.sinks.postgres.sink import PostgresSink

__all__ = ["PostgresSink"]
