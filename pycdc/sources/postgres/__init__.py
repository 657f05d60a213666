"""The PostgreSQL source."""

from pycdc.sources.postgres.source import PostgresSource

__all__ = ["PostgresSource"]
