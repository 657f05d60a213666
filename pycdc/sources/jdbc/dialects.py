"""Which dialect a URL means; each is loaded when it is needed first."""

from __future__ import annotations

from pycdc.postgres.jdbc_url import Address
from pycdc.sources.jdbc.dialect import Dialect
from pycdc.sources.jdbc.urls import DatabaseUrl


def dialect_of(url: DatabaseUrl) -> Dialect:
    if isinstance(url.address, Address):
        from pycdc.sources.jdbc.postgresql.dialect import PostgreSql

        return PostgreSql()
    from pycdc.sources.jdbc.mysql.dialect import MySql

    return MySql(url.address)
