"""The publication that decides which changes the server sends.

`ensure_publication` does what publication.autocreate.mode asks for: creates, for `filtered` also aligns, and
otherwise only looks. A publication is never dropped or recreated, because decoding sees it as of each change
and a gap in its life is a gap in the stream; for the same reason it must exist before the slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
import psycopg

from pycdc.errors import ServerError
from pycdc.postgres.catalog import TableName
from pycdc.postgres.session import ConnectionSettings, quote_literal, quote_name, translate

Mode: TypeAlias = Literal["all_tables", "filtered", "disabled", "no_tables"]


class PublicationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`publishes` holds insert, update, delete, truncate. `tables` are those listed by name, by OID."""

    name: str
    all_tables: bool
    publishes: frozenset[str]
    via_partition_root: bool = False
    tables: frozenset[int] = frozenset()
    #: FOR TABLES IN SCHEMA, from 15 on.
    schemas: tuple[str, ...] = ()


async def publication_info(conn: psycopg.AsyncConnection, name: str) -> PublicationInfo | None:
    """The publication of that name in this database, or None."""
    try:
        # As JSON, because columns and catalogs differ by version (pubviaroot from 13 on).
        cursor = await conn.execute(
            """SELECT to_jsonb(p), ARRAY(SELECT prrelid::int8 FROM pg_catalog.pg_publication_rel WHERE prpubid = p.oid)
                 FROM pg_catalog.pg_publication p WHERE pubname = %s""",
            (name,),
        )
        found = await cursor.fetchone()
        if found is None:
            return None
        row, tables = found
        schemas: tuple[str, ...] = ()
        if conn.info.server_version >= 150000:
            cursor = await conn.execute(
                """SELECT n.nspname::text FROM pg_catalog.pg_publication_namespace s
                     JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid
                     JOIN pg_catalog.pg_publication p ON p.oid = s.pnpubid
                    WHERE p.pubname = %s ORDER BY 1""",
                (name,),
            )
            schemas = tuple(r[0] for r in await cursor.fetchall())
    except psycopg.Error as error:
        raise translate(error, None, f"cannot look at the publication {name!r}") from None
    return PublicationInfo(
        name=name,
        all_tables=row["puballtables"],
        publishes=frozenset(word for word in ("insert", "update", "delete", "truncate") if row[f"pub{word}"]),
        via_partition_root=row.get("pubviaroot", False),
        tables=frozenset(tables),
        schemas=schemas,
    )


#: A partition is published with its root, and a root by any of its partitions.
_UNPUBLISHED = """
    WITH published AS (SELECT relid FROM pg_catalog.pg_get_publication_tables(%s))
    SELECT t.oid FROM unnest(%s::oid[]) AS t(oid) WHERE NOT EXISTS (
        SELECT 1 FROM published p WHERE p.relid = t.oid OR p.relid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(t.oid))
            OR t.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(p.relid)))"""


async def unpublished(conn: psycopg.AsyncConnection, info: PublicationInfo, tables: Sequence[TableName]) -> list[TableName]:
    """Those of `tables` whose changes the publication does not send."""
    if info.all_tables:
        return []
    try:
        cursor = await conn.execute(_UNPUBLISHED, (info.name, [t.oid for t in tables]))
        found = {row[0] for row in await cursor.fetchall()}
    except psycopg.Error as error:
        raise translate(error, None, f"cannot look at the publication {info.name!r}") from None
    return [t for t in tables if t.oid in found]


def add_tables_statement(name: str, tables: Sequence[TableName]) -> str:
    """The SQL that makes the publication send them too."""
    return f"ALTER PUBLICATION {quote_name(name)} ADD TABLE {_listed(tables)}"


async def ensure_publication(
    conn: psycopg.AsyncConnection,
    name: str,
    mode: Mode,
    tables: Sequence[TableName] = (),
    *,
    publish: Sequence[str] = (),
    via_partition_root: bool = False,
    settings: ConnectionSettings | None = None,
) -> PublicationInfo:
    """The publication as it stands afterwards. `conn` must be in autocommit.

    `tables` matter to `filtered` only. `publish` (empty = all operations) and `via_partition_root` are used
    when it is created; an existing one keeps its own. Raises ServerError with the SQL that mends it.
    """
    info = await publication_info(conn, name)
    if info is None:
        create = _create_statement(name, mode, tables, publish, via_partition_root)
        await _require_creatable(conn, name, mode, tables, create)
        return await _create(conn, name, create, settings)
    if mode == "filtered":
        return await _align(conn, info, tables, settings)
    return info


def _create_statement(
    name: str, mode: Mode, tables: Sequence[TableName], publish: Sequence[str], via_partition_root: bool
) -> str:
    target = {"no_tables": "", "filtered": f" FOR TABLE {_listed(tables)}"}.get(mode, " FOR ALL TABLES")
    options = []
    if publish:
        options.append(f"publish = {quote_literal(', '.join(publish))}")
    if via_partition_root:
        options.append("publish_via_partition_root = true")
    return f"CREATE PUBLICATION {quote_name(name)}{target}" + (f" WITH ({', '.join(options)})" if options else "")


def _listed(tables: Sequence[TableName]) -> str:
    return ", ".join(f"{quote_name(t.schema)}.{quote_name(t.name)}" for t in tables)


async def _require_creatable(
    conn: psycopg.AsyncConnection, name: str, mode: Mode, tables: Sequence[TableName], create: str
) -> None:
    if mode == "disabled":
        raise ServerError(
            f"the publication {name!r} does not exist",
            cause="publication.autocreate.mode is disabled",
            hint=f"{create}; or set publication.autocreate.mode=filtered",
        )
    if mode == "filtered":
        _require_tables(name, tables)
    try:
        row = await (await conn.execute("SELECT pg_catalog.pg_is_in_recovery()")).fetchone()
    except psycopg.Error as error:
        raise translate(error, None, f"cannot create the publication {name!r}") from None
    if row is not None and row[0]:
        raise ServerError(
            f"the publication {name!r} does not exist",
            cause="this server is a standby, where none can be created",
            hint=f"on the primary: {create}",
        )


def _require_tables(name: str, tables: Sequence[TableName]) -> None:
    if not tables:
        raise ServerError(
            f"no table matches the filters, so the publication {name!r} would be empty",
            hint="check table.include.list and schema.include.list (regular expressions over schema.table)",
        )


async def _create(
    conn: psycopg.AsyncConnection, name: str, create: str, settings: ConnectionSettings | None
) -> PublicationInfo:
    await _run(conn, create, settings, f"cannot create the publication {name!r}")
    info = await publication_info(conn, name)
    if info is None:
        raise ServerError(f"the publication {name!r} was dropped as soon as it was created", retriable=True)
    return info


async def _align(
    conn: psycopg.AsyncConnection,
    info: PublicationInfo,
    tables: Sequence[TableName],
    settings: ConnectionSettings | None,
) -> PublicationInfo:
    """SET TABLE when the list differs: row filters and column lists of an equal one stay as they are."""
    if info.all_tables:
        raise ServerError(
            f"the publication {info.name!r} is FOR ALL TABLES and cannot be filtered",
            cause="publication.autocreate.mode is filtered",
            hint="set publication.autocreate.mode=all_tables, or another publication.name",
        )
    _require_tables(info.name, tables)
    if info.tables == {t.oid for t in tables} and not info.schemas:
        return info
    alter = f"ALTER PUBLICATION {quote_name(info.name)} SET TABLE {_listed(tables)}"
    await _run(conn, alter, settings, f"cannot set the tables of the publication {info.name!r}")
    return await publication_info(conn, info.name) or info


async def _run(conn: psycopg.AsyncConnection, statement: str, settings: ConnectionSettings | None, what: str) -> None:
    try:
        await conn.execute(statement.encode())
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        return  # another process made it in between; the caller reads what stands
    except psycopg.Error as error:
        failure = translate(error, settings, what)
        failure.hint = (
            f"{failure.hint}; the statement was: {statement}" if failure.hint else f"as its owner: {statement}"
        )
        raise failure from None
