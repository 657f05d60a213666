"""connection.url: which product it means, and where that is."""

from __future__ import annotations

from typing import Final

import msgspec

from pycdc.mysql import url as mysql
from pycdc.postgres import jdbc_url as postgresql

FORMS: Final = "jdbc:postgresql://..., jdbc:mysql://..., jdbc:mariadb://..."


class DatabaseUrl(msgspec.Struct, frozen=True):
    """Of PostgreSQL, or of MySQL and MariaDB."""

    address: postgresql.Address | mysql.Address

    @property
    def postgresql(self) -> postgresql.Address:
        assert isinstance(self.address, postgresql.Address)
        return self.address

    @property
    def mysql(self) -> mysql.Address:
        assert isinstance(self.address, mysql.Address)
        return self.address


def database_url(value: str) -> DatabaseUrl:
    """Raises ValueError."""
    value = value.strip()
    if value.startswith("jdbc:postgresql:"):
        return DatabaseUrl(postgresql.jdbc_url(value))
    if value.startswith(("jdbc:mysql:", "jdbc:mariadb:")):
        return DatabaseUrl(mysql.jdbc_url(value))
    raise ValueError("must be jdbc:postgresql://HOST:PORT/DATABASE, jdbc:mysql://HOST:PORT/DATABASE or jdbc:mariadb://HOST:PORT/DATABASE")
