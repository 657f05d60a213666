"""Which tables are read: as the database lists them, as the configuration chooses, and how tasks share them.

Source: the metadata of the PostgreSQL JDBC driver (getTables), whose order and kinds these are; TableMonitorThread and
JdbcSourceConnector of kafka-connect-jdbc 10.9.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import psycopg

from pycdc.errors import ServerError
from pycdc.postgres.session import translate
from pycdc.sources.jdbc.config import JdbcSourceConfig

#: relkind -> the driver's word.
_KINDS: Final = {"f": "FOREIGN TABLE", "m": "MATERIALIZED VIEW", "p": "PARTITIONED TABLE", "r": "TABLE", "v": "VIEW"}
_PART: Final = re.compile(r'"((?:[^"]|"")*)"|([^".,\s]+)')


class TableId(NamedTuple):
    """A table's name. The original calls it `schema.table`, and its topic by the last part alone."""

    schema: str
    table: str

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def quoted(self) -> str:
        return ".".join('"' + part.replace('"', '""') + '"' for part in self)


async def listed_tables(conn: psycopg.AsyncConnection, settings: JdbcSourceConfig) -> list[TableId]:
    """Those that the configuration chooses, in the driver's order. Raises PycdcError."""
    kinds = [kind for kind, word in _KINDS.items() if word in settings.table_types]
    try:
        cursor = await conn.execute(_TABLES, (kinds, settings.schema_pattern or "%", settings.catalog_pattern or "%"))
        found = [(kind, TableId(schema, table)) for kind, schema, table in await cursor.fetchall()]
    except psycopg.Error as error:
        raise translate(error, None, "cannot list the tables") from None
    found.sort(key=lambda entry: (_KINDS[entry[0]], entry[1]))
    return chosen([table for _kind, table in found], settings)


def chosen(tables: Iterable[TableId], settings: JdbcSourceConfig) -> list[TableId]:
    """Lists of exact names know a table by its whole name, quoted or not, or by its last part; patterns by the whole one."""
    if settings.include:
        return [t for t in tables if settings.include.matches(t.name) and not settings.exclude.matches(t.name)]
    if settings.whitelist:
        return [t for t in tables if _named(t, settings.whitelist)]
    return [t for t in tables if not _named(t, settings.blacklist)]


def _named(table: TableId, names: Sequence[str]) -> bool:
    return any(name in names for name in (table.name, table.quoted, table.table))


def must_differ(tables: Iterable[TableId], prefix: str) -> None:
    """Tables of the same name in several schemas would share a topic. Raises ServerError."""
    tables = list(tables)
    twice = sorted(name for name, count in Counter(t.table for t in tables).items() if count > 1)
    if twice:
        names = ", ".join(t.name for t in tables if t.table == twice[0])
        raise ServerError(
            f"several tables would go to the topic {prefix}{twice[0]}", cause=names,
            hint="name the tables with their schemas in table.whitelist, or set schema.pattern, and give each schema a connector of its own",
        )  # fmt: skip


def groups(tables: Sequence[TableId], tasks: int) -> list[list[TableId]]:
    """As even as can be, in order; the first ones are the larger. At least one group."""
    count = max(1, min(len(tables), tasks))
    size, larger = divmod(len(tables), count)
    starts = [i * size + min(i, larger) for i in range(count + 1)]
    return [list(tables[a:b]) for a, b in pairwise(starts)]


def written(tables: Iterable[TableId]) -> str:
    """As a task's configuration has them."""
    return ",".join(t.quoted for t in tables)


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
        parts.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
        if text[at : at + 1] != ".":
            return parts, at
        at += 1
    raise ValueError(f"is no list of tables at position {at}")


_TABLES: Final = """
    SELECT c.relkind::text, n.nspname::text, c.relname::text
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = ANY(%s) AND n.nspname LIKE %s AND pg_catalog.current_database() LIKE %s
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND n.nspname NOT LIKE 'pg\\_temp\\_%%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%%'"""
