"""What the catalog says of one table beside its columns."""

from __future__ import annotations

from typing import Final

import msgspec
import psycopg

from pycdc.postgres.session import quote_name
from pycdc.sources.jdbc.tables import TableId


class TableFacts(msgspec.Struct, frozen=True):
    """`serial` is the first column that a sequence fills."""

    #: Its rows tell who wrote them: a table, whole or in partitions.
    has_xmin: bool = False
    serial: str | None = None


async def table_facts(conn: psycopg.AsyncConnection, table: TableId, *, quoted: bool = True) -> TableFacts:
    """Raises psycopg.Error."""
    name = f"{quote_name(table.schema)}.{quote_name(table.table)}" if quoted else f"{table.schema}.{table.table.lower()}"
    row = await (await conn.execute(_FACTS, (name,))).fetchone()
    return TableFacts() if row is None else TableFacts(row[0] in ("r", "p"), row[1])


_FACTS: Final = """
    SELECT c.relkind::text,
           (SELECT a.attname::text
              FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (a.attidentity <> '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%%nextval(%%')
             ORDER BY a.attnum LIMIT 1)
      FROM pg_catalog.pg_class c WHERE c.oid = %s::regclass"""
