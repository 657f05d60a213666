"""The JDBC source: tables that are polled."""

from pycdc.sources.jdbc.source import JdbcSource

__all__ = ["JdbcSource"]
