"""Which dialect a configuration means; each is loaded when it is needed first."""

from __future__ import annotations

from pycdc.postgres.jdbc_url import Address
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Dialect


def dialect_of(settings: JdbcSourceConfig) -> Dialect:
    if isinstance(settings.url.address, Address):
        from pycdc.sources.jdbc.postgresql.dialect import PostgreSql

        return PostgreSql()
    from pycdc.sources.jdbc.mysql.dialect import MySql

    return MySql.of(settings)
