"""What the parts of a connected source share: one Session per connection to the server, from connect to loss."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import psycopg

from pycdc.debezium.envelope import EventSettings
from pycdc.plugins.contracts import Offset, Progress, SourceContext
from pycdc.postgres.catalog import Catalog
from pycdc.postgres.replication import SystemIdentity
from pycdc.postgres.session import ConnectionSettings, connect
from pycdc.sources.postgres.config import PostgresSourceConfig
from pycdc.sources.postgres.notifier import Notifier


class Session:
    """`sql` is an ordinary connection in autocommit, for whoever is at work; snapshots and chunks have their own."""

    def __init__(
        self,
        settings: PostgresSourceConfig,
        events: EventSettings,
        connection: ConnectionSettings,
        context: SourceContext,
        notifier: Notifier,
        sql: psycopg.AsyncConnection,
        store: Callable[[Offset], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.events = events
        self.connection = connection
        self.context = context
        self.notifier = notifier
        self.sql = sql
        #: Labels of enums, as they were when the connection was made.
        self.labels: dict[int, list[str]] = {}
        self.catalog = Catalog(sql, self.labels)
        #: Makes an offset durable that no batch carries, behind everything that was handed out.
        self.store = store
        #: Known once the replication connection is made.
        self.identity: SystemIdentity | None = None

    @property
    def progress(self) -> Progress:
        return self.context.progress

    def captures(self, schema: str, table: str) -> bool:
        """Whether changes of this table become events."""
        return self.events.filters.table(schema, table)

    async def captured(self) -> list[str]:
        """The captured tables, as schema.table."""
        return [f"{t.schema}.{t.name}" for t in await self.catalog.tables() if self.captures(t.schema, t.name)]

    async def another(self) -> psycopg.AsyncConnection:
        """A further connection, prepared as the user asked (database.initial.statements)."""
        conn = await connect(self.connection)
        await self.prepare(conn)
        return conn

    async def prepare(self, conn: psycopg.AsyncConnection) -> None:
        """database.initial.statements: `;` separates, `;;` is a semicolon."""
        text = self.settings.initial_statements
        for statement in (text or "").replace(";;", "\0").split(";"):
            if statement.strip():
                await conn.execute(statement.replace("\0", ";").encode())
