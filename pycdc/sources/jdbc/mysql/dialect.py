"""dialect.Dialect for MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pycdc.errors import PycdcError
from pycdc.mysql.session import ConnectionSettings, quote_literal, quote_name
from pycdc.mysql.url import Address, connections_of, java_stores, moot_zones, only_of, with_parameters
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Moments, ResultColumn
from pycdc.sources.jdbc.mysql import types
from pycdc.sources.jdbc.mysql.late import LateRows
from pycdc.sources.jdbc.mysql.session import MySqlSession
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import ValueSettings, WallClock, literal_in, literal_utc, wall_us
from pycdc.sources.jdbc.types import ColumnType

#: What a column without fraction keeps.
_SECOND: Final = 1_000_000


class MySql:
    """dialect.Dialect."""

    whole_types = "TINYINT to BIGINT, or DECIMAL(n)"
    moment_types = "TIMESTAMP or DATETIME"

    def __init__(self, address: Address) -> None:
        """`address` with the driver's parameters that stand in the configuration."""
        self._address = address
        self._driver = types.Driver.of(address)

    @classmethod
    def of(cls, settings: JdbcSourceConfig) -> MySql:
        return cls(with_parameters(settings.url.mysql, settings.driver))

    def quote(self, name: str) -> str:
        return quote_name(name)

    def bare(self, table: str) -> str:
        return table

    def places(self, table: TableId, settings: JdbcSourceConfig) -> list[str]:
        """The database is the original's catalog; there are no schemas."""
        return [table.name]

    def column_type(self, column: ResultColumn, values: ValueSettings) -> ColumnType | None:
        assert isinstance(column.facts, types.ColumnFacts)
        return types.column_type(column.type_name, column.facts, self._driver, values)

    def as_text(self, column: str) -> str:
        return f"CAST({quote_name(column)} AS CHAR)"

    def required(self, table: TableId, column: ResultColumn) -> str:
        """MODIFY takes the whole definition, of which the protocol does not tell all."""
        assert isinstance(column.facts, types.ColumnFacts)
        kind = types.declared(column.type_name, column.facts)
        return f"ALTER TABLE {table.quoted(quote_name)} MODIFY {quote_name(column.name)} {kind} NOT NULL, with the DEFAULT that it has"

    def is_whole(self, column: ResultColumn) -> bool:
        assert isinstance(column.facts, types.ColumnFacts)
        return types.is_whole(column.type_name, column.facts)

    def moments(self, column: ResultColumn, values: ValueSettings) -> Moments | None:
        if column.type_name not in ("timestamp", "datetime"):
            return None
        facts = column.facts
        assert isinstance(facts, types.ColumnFacts)
        step = _SECOND // 10**facts.decimals
        if facts.utc:
            return Moments(wall_us, lambda us: quote_literal(literal_utc(us)), step)
        clock = WallClock(values.zone)

        def read(text: bytes) -> int:
            wall = wall_us(text)
            return wall - clock.offset(wall)

        return Moments(read, lambda us: quote_literal(literal_in(clock, us)), step)

    def late(self, source: TableId | str, settings: JdbcSourceConfig) -> LateRows:
        return LateRows(source, settings)

    # ---- connections

    def warnings(self, settings: JdbcSourceConfig) -> Iterator[str]:
        url, p = self._address, type(settings)
        for name in url.unknown:
            yield f"connection.url: the parameter {name} has no effect"
        for name in moot_zones(url):
            yield f"connection.url: {name} has no effect on what is read: db.timezone tells the zone"
        for name in java_stores(url):
            yield f"connection.url: {name} is a keystore of Java's, which cannot be read: name PEM files in serverSslCert and clientCertificateKeyStoreUrl"
        if settings.schema_pattern:
            yield f"{p.schema_pattern.name} has no effect with MySQL, whose databases are catalogs: {p.catalog_pattern.name}"
        if settings.numeric != "none":
            yield f"{p.numeric_mapping.name} has no effect with MySQL, as with the original: DECIMAL stays Decimal"

    def connections(self, settings: JdbcSourceConfig, application: str) -> list[ConnectionSettings]:
        return connections_of(self._address, settings.user, settings.login_password, application)

    async def connect(self, settings: JdbcSourceConfig, application: str) -> MySqlSession:
        last = PycdcError("connection.url names no host")
        for connection in self.connections(settings, application):
            try:
                return await MySqlSession.open(connection, self._driver, settings.zone, only=only_of(self._address))
            except PycdcError as error:
                last = error
                if not error.retriable:
                    break  # another host has the same users
        raise last
