"""What a database product has of its own: its names, its types, its clock, its snapshots, and what tells that a row is late.

Everything else of the JDBC source is the same for all. A `Dialect` has no state and no connection; a `Session` is one
connection. Both raise PycdcError only; `TableGone` is told apart, because a table may come back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pycdc.errors import ServerError
from pycdc.sources.jdbc.clock import Now
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.tables import TableId
from pycdc.sources.jdbc.times import ValueSettings
from pycdc.sources.jdbc.types import ColumnType

if TYPE_CHECKING:
    from pycdc.sources.jdbc.plans import Plan

Row = list[bytes | None]


class TableGone(ServerError):
    """The table is not there any more."""


class ResultColumn(msgspec.Struct, frozen=True):
    """A column of a result. `facts` is what its dialect knows besides; columns that differ in it make another template."""

    name: str
    type_name: str
    nullable: bool = True
    facts: Any = None


class Moments(msgspec.Struct, frozen=True):
    """How a tracking column tells moments, in microseconds since 1970."""

    read: Callable[[bytes], int]
    #: The SQL that means a moment, compared with the column.
    literal: Callable[[int], str]
    #: What of a moment the column keeps: 1 for microseconds, 1000000 for whole seconds.
    step_us: int = 1


class TableFacts(msgspec.Struct, frozen=True):
    """`serial` is the first column that grows by itself."""

    serial: str | None = None
    #: Whether rows of it that are committed late can be found.
    finds_late: bool = False


class Session(Protocol):
    """One connection in autocommit, UTF-8."""

    #: user@host:port/database, for messages.
    where: str

    async def close(self) -> None: ...

    async def tables(self, settings: JdbcSourceConfig) -> list[TableId]:
        """All that the patterns of catalog, schema and type choose, in the driver's order."""
        ...

    async def now(self) -> Now: ...

    async def begin(self, source: TableId | str) -> None:
        """A read-only transaction that sees one snapshot."""
        ...

    async def end(self) -> None:
        """The transaction, whatever became of it. Never raises."""
        ...

    async def columns(self, query: str, source: TableId | str) -> list[ResultColumn]:
        """Of the rows of `query`, which is not run. Nobody can alter them until the transaction ends."""
        ...

    async def facts(self, table: TableId, *, quoted: bool) -> TableFacts: ...

    def rows(self, query: str, *, batch_rows: int, what: str) -> AsyncGenerator[list[Row], None]:
        """Batches as they are asked for; nothing else may run before it has ended."""
        ...

    async def limit(self, milliseconds: int) -> None:
        """What a statement may take from now on."""
        ...

    async def way(self, query: str) -> str:
        """How the rows are found: which index serves, in words."""
        ...

    async def any(self, query: str) -> bool:
        """Whether it has a row."""
        ...


class Late(Protocol):
    """What one table remembers to find rows that are committed late. Its memory is a text beside the stored position."""

    async def look(self, session: Session, plan: Plan, position: Position, tell: Callable[..., None]) -> None:
        """At the snapshot of a poll, before any row is read. `tell` logs a sentence, once."""
        ...

    def query(self, plan: Plan, position: Position) -> str | None:
        """Those that may have come late at or below the position. None: there can be none, or nothing can tell."""
        ...

    def unseen(self, plan: Plan, rows: list[Row]) -> list[Row]:
        """Of them, those that have not been handed out."""
        ...

    def remember(self, plan: Plan, rows: list[Row]) -> None:
        """They are handed out."""
        ...

    def memory(self) -> str | None:
        """What is to be stored with the position of the row remembered last."""
        ...

    def settled(self, stored: str | None) -> bool:
        """Whether a restart from `stored` would read rows again that it would not from what is known now."""
        ...

    async def shown(self, session: Session, plan: Plan) -> str | None:
        """For those who want to know before: the query with a comment, or a comment that tells what is done. None: nothing."""
        ...


class Dialect(Protocol):
    """One database product."""

    #: For messages: what an incrementing column and a timestamp column may be.
    whole_types: str
    moment_types: str

    def quote(self, name: str) -> str: ...

    def bare(self, table: str) -> str:
        """A table's name without quotes."""
        ...

    def places(self, table: TableId, settings: JdbcSourceConfig) -> list[str]:
        """What a table is called in stored positions, the form that is stored first."""
        ...

    def column_type(self, column: ResultColumn, values: ValueSettings) -> ColumnType | None:
        """None: it has no form and is left out."""
        ...

    def as_text(self, column: str) -> str:
        """SQL that gives a column of any type as text."""
        ...

    def required(self, table: TableId, column: ResultColumn) -> str:
        """SQL that forbids NULL in a tracking column."""
        ...

    def is_whole(self, column: ResultColumn) -> bool: ...

    def moments(self, column: ResultColumn, values: ValueSettings) -> Moments | None:
        """None: it is no timestamp."""
        ...

    def late(self, source: TableId | str, settings: JdbcSourceConfig) -> Late: ...

    def warnings(self, settings: JdbcSourceConfig) -> Iterator[str]:
        """What of a configuration is without effect here."""
        ...

    async def connect(self, settings: JdbcSourceConfig, application: str) -> Session: ...
