"""Which tables are read: as the database lists them, as the configuration chooses, and how tasks share them.

Source: TableMonitorThread and JdbcSourceConnector of kafka-connect-jdbc 10.9.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from pycdc.errors import ServerError
from pycdc.sources.jdbc.config import JdbcSourceConfig

#: In either quotes, or without.
_PART: Final = re.compile(r'"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|([^"`.,\s]+)')


#: How a name is written in SQL.
Quote = Callable[[str], str]


class TableId(NamedTuple):
    """A table's name. The original calls it `schema.table`, and its topic by the last part alone. MySQL's schema is the database."""

    schema: str
    table: str

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    def quoted(self, quote: Quote) -> str:
        return ".".join(map(quote, self))


def chosen(tables: Iterable[TableId], settings: JdbcSourceConfig, quote: Quote) -> list[TableId]:
    """Lists of exact names know a table by its whole name, quoted or not, or by its last part; patterns by the whole one."""
    if settings.include:
        return [t for t in tables if settings.include.matches(t.name) and not settings.exclude.matches(t.name)]
    if settings.whitelist:
        return [t for t in tables if _named(t, settings.whitelist, quote)]
    return [t for t in tables if not _named(t, settings.blacklist, quote)]


def _named(table: TableId, names: Sequence[str], quote: Quote) -> bool:
    return any(name in names for name in (table.name, table.quoted(quote), table.table))


def must_differ(tables: Iterable[TableId], prefix: str) -> None:
    """Tables of the same name in several schemas would share a topic. Raises ServerError."""
    tables = list(tables)
    twice = sorted(name for name, count in Counter(t.table for t in tables).items() if count > 1)
    if twice:
        names = ", ".join(t.name for t in tables if t.table == twice[0])
        raise ServerError(
            f"several tables would go to the topic {prefix}{twice[0]}", cause=names,
            hint="name the tables with their schemas in table.whitelist, or set schema.pattern (MySQL: catalog.pattern), and give each a connector of its own",
        )  # fmt: skip


def groups(tables: Sequence[TableId], tasks: int) -> list[list[TableId]]:
    """As even as can be, in order; the first ones are the larger. At least one group."""
    count = max(1, min(len(tables), tasks))
    size, larger = divmod(len(tables), count)
    starts = [i * size + min(i, larger) for i in range(count + 1)]
    return [list(tables[a:b]) for a, b in pairwise(starts)]


def written(tables: Iterable[TableId], quote: Quote) -> str:
    """As a task's configuration has them."""
    return ",".join(t.quoted(quote) for t in tables)


def read_written(text: str) -> list[TableId]:
    """What `written` makes; also without quotes, and with a database before the schema. Raises ValueError."""
    tables, at = [], 0
    while at < len(text):
        parts, at = _identifier(text, at)
        if len(parts) < 2:
            raise ValueError(f"names a table without schema: {'.'.join(parts)}")
        tables.append(TableId(parts[-2], parts[-1]))
        at += text[at : at + 1] == ","
    return tables


def _identifier(text: str, at: int) -> tuple[list[str], int]:
    parts = []
    while match := _PART.match(text, at):
        double, back, bare = match.groups()
        parts.append(double.replace('""', '"') if double is not None else back.replace("``", "`") if back is not None else bare)
        at = match.end()
        if text[at : at + 1] != ".":
            return parts, at
        at += 1
    raise ValueError(f"is no list of tables at position {at}")

