"""dialect.Dialect for PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pycdc.postgres.jdbc_url import Address, connection_of
from pycdc.postgres.session import ConnectionSettings, quote_literal, quote_name
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.dialect import Moments, ResultColumn
from pycdc.sources.jdbc.postgresql import types
from pycdc.sources.jdbc.postgresql.late import LateRows
from pycdc.sources.jdbc.postgresql.session import ColumnFacts, PostgresSession
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import ValueSettings, WallClock, literal, literal_in, utc_us, wall_us
from pycdc.sources.jdbc.types import ColumnType

_WHOLE: Final = ("int2", "int4", "int8", "oid")


class PostgreSql:
    """dialect.Dialect."""

    whole_types = "smallint, integer, bigint or numeric(n)"
    moment_types = "timestamp or timestamptz"

    def quote(self, name: str) -> str:
        return quote_name(name)

    def bare(self, table: str) -> str:
        return table.lower()

    def places(self, table: TableId, settings: JdbcSourceConfig) -> list[str]:
        """Releases with a newer driver put the database before it."""
        return [table.name, f"{settings.url.postgresql.dbname}.{table.name}"]

    def column_type(self, column: ResultColumn, values: ValueSettings) -> ColumnType | None:
        facts = column.facts
        assert isinstance(facts, ColumnFacts)
        return types.column_type(column.type_name, facts.type_schema, facts.type_kind, facts.typmod, values)

    def as_text(self, column: str) -> str:
        return f"{column}::text"

    def required(self, table: TableId, column: ResultColumn) -> str:
        return f"ALTER TABLE {table.quoted(quote_name)} ALTER COLUMN {quote_name(column.name)} SET NOT NULL"

    def is_whole(self, column: ResultColumn) -> bool:
        assert isinstance(column.facts, ColumnFacts)
        typmod = column.facts.typmod
        return column.type_name in _WHOLE or (column.type_name == "numeric" and typmod >= 4 and not (typmod - 4) & 0x7FF)

    def moments(self, column: ResultColumn, values: ValueSettings) -> Moments | None:
        if column.type_name == "timestamptz":
            return Moments(utc_us, lambda us: quote_literal(literal(us)))
        if column.type_name != "timestamp":
            return None
        clock = WallClock(values.zone)

        def read(text: bytes) -> int:
            wall = wall_us(text)
            return wall - clock.offset(wall)

        return Moments(read, lambda us: quote_literal(literal_in(clock, us)))

    def late(self, source: TableId | str, settings: JdbcSourceConfig) -> LateRows:
        return LateRows(source, settings)

    def warnings(self, settings: JdbcSourceConfig) -> Iterator[str]:
        return iter(())

    def connection(self, settings: JdbcSourceConfig, application: str) -> ConnectionSettings:
        url = settings.url.postgresql
        merged = Address(url.host, url.port, url.dbname, {**settings.driver, **url.parameters})
        # a policy hides rows from the role that reads, as it does from the original
        return connection_of(merged, settings.user, settings.login_password, application, options={"row_security": "on"})

    async def connect(self, settings: JdbcSourceConfig, application: str) -> PostgresSession:
        return await PostgresSession.open(self.connection(settings, application))
