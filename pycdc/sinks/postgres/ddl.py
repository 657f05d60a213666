"""The target's tables: what they are, and how a missing one is made from a Connect schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import psycopg
from psycopg import sql

from pycdc.model.schema import Schema
from pycdc.sinks.postgres.types import column_types


class Target(msgspec.Struct, frozen=True):
    """A table of the target: its columns' types (internal names) and modifiers, and its primary key.

    `identities` are the columns GENERATED ALWAYS AS IDENTITY.
    """

    schema: str
    name: str
    types: dict[str, str]
    typmods: dict[str, int]
    primary_key: tuple[str, ...]
    identities: frozenset[str] = frozenset()

    def column(self, field: str) -> str:
        """The column of a record's field: by its own name, else by the only one that differs in case."""
        if field in self.types:
            return field
        folded = field.lower()
        found = [c for c in self.types if c.lower() == folded]
        return found[0] if len(found) == 1 else field

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def create_statement(schema: str, name: str, row: Schema, types: Mapping[str, str], key: Sequence[str], *, fold: bool = False) -> sql.Composed:
    """CREATE TABLE for rows of `row`, its columns of `types`; the key's are NOT NULL. `fold`: names of lower case."""

    def named(field: str) -> sql.Identifier:
        return sql.Identifier(field.lower() if fold else field)

    columns = [
        sql.SQL("{} {}{}").format(
            named(f.name), sql.SQL(types[f.name]), sql.SQL(" NOT NULL" if f.name in key or not f.schema.optional else "")
        )
        for f in row.fields
    ]
    if key:
        columns.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(named, key))))
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(sql.Identifier(schema, name), sql.SQL(", ").join(columns))


async def choose_types(conn: psycopg.AsyncConnection, schemas: Mapping[str, Schema]) -> dict[str, str]:
    """The type of each new column: the best one that this server has."""
    offers = {field: column_types(schema) for field, schema in schemas.items()}
    asked = sorted({t for types in offers.values() for t in types[:-1]})
    rows = await (await conn.execute("SELECT t, to_regtype(t) IS NOT NULL FROM unnest(%s::text[]) AS t", [asked])).fetchall() if asked else []
    known = {t for t, there in rows if there}
    return {field: next((t for t in types[:-1] if t in known), types[-1]) for field, types in offers.items()}


async def load(conn: psycopg.AsyncConnection, schema: str, name: str) -> Target | None:
    """The table as the catalog has it; None when it is missing."""
    rows = await (
        await conn.execute(
            """
            SELECT a.attname, t.typname, a.atttypmod, a.attidentity = 'a',
                   (SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i
                     WHERE i.indrelid = a.attrelid AND i.indisprimary)
              FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_type t ON t.oid = a.atttypid
             WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0
               AND NOT a.attisdropped AND a.attgenerated = ''
             ORDER BY a.attnum
            """,
            [schema, name],
        )
    ).fetchall()
    if not rows:
        return None
    key = sorted((place, column) for column, *_, place in rows if place is not None)
    return Target(
        schema, name, {r[0]: r[1] for r in rows}, {r[0]: r[2] for r in rows}, tuple(c for _, c in key), frozenset(r[0] for r in rows if r[3])
    )
