"""SQL of the PostgreSQL sink: from a stage, a temporary table of the same columns, into the target.

Rows are taken in the order of their keys, so that several writers lock them in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString

from psycopg import sql

from pycdc.sinks.postgres.ddl import Target


def insert(target: Target, stage: sql.Identifier, columns: Sequence[str], key: Sequence[str], *, upserts: bool) -> sql.Composed:
    """Rows into the target; with `upserts` over those of the same key."""
    override = sql.SQL(" OVERRIDING SYSTEM VALUE") if any(c in target.identities for c in columns) else sql.SQL("")
    statement = sql.SQL("INSERT INTO {} ({}){} SELECT {} FROM {}").format(
        target.identifier, _names(columns), override, _names(columns), stage
    )
    if not key:
        return statement
    statement += sql.SQL(" ORDER BY {}").format(_names(key))
    if not upserts:
        return statement
    # a column GENERATED ALWAYS AS IDENTITY takes a value in an insert, never in an update
    others = [c for c in columns if c not in key and c not in target.identities]
    action = sql.SQL("UPDATE SET {}").format(_each("{0} = EXCLUDED.{0}", others, ", ")) if others else sql.SQL("NOTHING")
    return statement + sql.SQL(" ON CONFLICT ({}) DO {}").format(_names(key), action)


def update(target: Target, stage: sql.Identifier, columns: Sequence[str], key: Sequence[str]) -> sql.Composed:
    """Rows that are there get the columns that are no key."""
    sets = _each("{0} = s.{0}", (c for c in columns if c not in key and c not in target.identities), ", ")
    return sql.SQL("UPDATE {} AS t SET {} FROM {} AS s WHERE {}").format(target.identifier, sets, stage, _same(key))


def delete(target: Target, stage: sql.Identifier, key: Sequence[str]) -> sql.Composed:
    """The rows whose keys the stage has."""
    return sql.SQL("DELETE FROM {} AS t USING {} AS s WHERE {}").format(target.identifier, stage, _same(key))


def truncate(target: Target) -> sql.Composed:
    return sql.SQL("TRUNCATE {}").format(target.identifier)


def create_stage(target: Target, name: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("CREATE TEMP TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WHERE false").format(
        sql.Identifier(name), _names(columns), target.identifier
    )


def copy_into(stage: sql.Identifier, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(stage, _names(columns))


def alter(target: Target, added: Mapping[str, str], wider: Mapping[str, str]) -> sql.Composed:
    """Columns added and columns of another type. The types are SQL."""
    parts = [sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(c), sql.SQL(t)) for c, t in added.items()]
    parts += [sql.SQL("ALTER COLUMN {} TYPE {}").format(sql.Identifier(c), sql.SQL(t)) for c, t in wider.items()]
    return sql.SQL("ALTER TABLE {} {}").format(target.identifier, sql.SQL(", ").join(parts))


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _each(form: LiteralString, columns: Iterable[str], between: LiteralString) -> sql.Composed:
    return sql.SQL(between).join(sql.SQL(form).format(sql.Identifier(c)) for c in columns)


def _same(key: Sequence[str]) -> sql.Composed:
    return _each("t.{0} = s.{0}", key, " AND ")
