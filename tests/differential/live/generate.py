"""A seed -> a case: tables of any types, rows, transactions and DDL while they are streamed, a configuration."""

from __future__ import annotations

from random import Random

import options
from case import Case, Change, Column, Table, literal, quoted
from kinds import BY_NAME, KINDS, TOASTED, long_literal

#: A subtransaction that is undone.
_ROLLED_BACK = "DO $do$ BEGIN BEGIN DELETE FROM {table} WHERE rn = {row}; RAISE 'undone'; EXCEPTION WHEN raise_exception THEN NULL; END; END $do$"

_NAMES = ("a", "b", "Mixed Case", "dot.ted", "ünï", "a-b", "1st", "value", "order", "x_y", "tail")
_TABLES = ("t", "Big Table", "t-1", "täble", "a_b", "dots.in.it")


def generate(seed: int) -> Case:
    """Always the same case for the same seed."""
    rng = Random(seed)
    tables = [_table(rng, name) for name in rng.sample(_TABLES, rng.choice((1, 1, 1, 2, 3)))]
    rows: dict[str, int] = {t.name: 0 for t in tables}
    before = [_insert(rng, t, rows) for t in tables for _ in range(rng.randint(0, 3))]
    steps = [[_change(rng, rng.choice(tables), rows) for _ in range(rng.choice((1, 1, 2, 3)))] for _ in range(rng.randint(1, 6))]
    pause = rng.random() < 0.15
    if rng.random() < 0.3:
        place = rng.randint(0, len(steps))
        steps[place:place] = [[change] for change in _alter(rng, rng.choice(tables), renames=not pause)]
        steps += [[_change(rng, rng.choice(tables), rows)] for _ in range(2)]
    if pause:
        down = rng.randint(0, len(steps))
        up = rng.randint(down, len(steps))
        steps[down:down] = [[Change("down")]]
        steps[up + 1 : up + 1] = [[Change("up")]]
        steps += [[_change(rng, rng.choice(tables), rows)] for _ in range(2)]
    return Case(seed, tables, before, steps, options.choose(rng, tables))


def _table(rng: Random, name: str) -> Table:
    columns: list[Column] = []
    for column in rng.sample(_NAMES, rng.randint(1, 7)):
        kind = rng.choice(KINDS)
        default = ""
        if rng.random() < 0.25:
            default = f"{literal(rng.choice(kind.literals))}::{kind.sql}"
        columns.append(Column(column, kind.sql, rng.random() < 0.3, default))
    keyed = [c.name for c in columns if BY_NAME[c.type].keyed]
    table = Table(name, columns, [], generated=rng.random() < 0.08, comment=rng.random() < 0.15)
    if rng.random() < 0.75:
        if not keyed or rng.random() < 0.5:
            columns.insert(rng.randint(0, len(columns)), Column("id", rng.choice(("int", "bigint", "bigserial", "uuid", "text")), True))
            table.key = ["id"]
        else:
            table.key = rng.sample(keyed, rng.randint(1, min(3, len(keyed))))
    elif keyed and rng.random() < 0.5:
        table.unique = keyed[:1]
        for c in columns:
            if c.name in table.unique and rng.random() < 0.7:
                c.not_null = True
    if rng.random() < 0.12:
        # PostgreSQL wants the columns that divide a table in its key, and has no identity by index for the whole
        table.partitions, table.unique = rng.choice((1, 2)), []
    table.identity = rng.choice(("DEFAULT", "DEFAULT", "FULL", "FULL", "NOTHING", "INDEX"))
    if table.identity == "INDEX":
        if not table.unique or not all(c.not_null for c in columns if c.name in table.unique):
            table.identity = "FULL"
    elif table.identity == "NOTHING" or not table.key:
        # updates and deletes are refused by the server without an identity
        table.identity = "FULL" if rng.random() < 0.8 else table.identity
    return table


def _value(rng: Random, column: Column, row: int, *, key: bool) -> str:
    """An SQL expression. Keys take the row's number in, so that they differ."""
    if key or column.name == "id":
        match column.type:
            case "smallint" | "int" | "bigint" | "bigserial" | "numeric(10)":
                return str(row)
            case "uuid":
                return f"'00000000-0000-0000-0000-{row:012d}'"
            case "date":
                return f"'2024-01-01'::date + {row}"
            case "timestamp":
                return f"'2024-01-01'::timestamp + interval '{row} hours 1 microsecond'"
            case "text" | "varchar(20)":
                return literal(f"k{row} ü\"'")
            case "char(5)":
                return literal(f"k{row}")
            case _:
                return literal(BY_NAME[column.type].literals[row % len(BY_NAME[column.type].literals)])
    kind = BY_NAME[column.type]
    if not column.not_null and rng.random() < 0.2:
        return "NULL"
    if kind.sql in TOASTED and rng.random() < 0.15:
        return long_literal(kind.sql, rng) or "NULL"
    return literal(rng.choice(kind.literals))


def _insert(rng: Random, table: Table, rows: dict[str, int]) -> Change:
    rows[table.name] += 1
    row = rows[table.name]
    special = {*table.key, *table.unique}
    values = {
        c.name: _value(rng, c, row, key=c.name in special)
        for c in table.columns
        if c.name in special or c.name == "id" or not c.default or rng.random() < 0.6
    }
    return Change("insert", table.name, values, row)


def _change(rng: Random, table: Table, rows: dict[str, int]) -> Change:
    kind = rng.choice(("insert", "insert", "update", "update", "update", "delete", "key", "rare"))
    refused = table.identity == "NOTHING" or (table.identity == "DEFAULT" and not table.key)
    if kind == "insert" or refused or not rows[table.name]:
        return _insert(rng, table, rows)
    row = rng.randint(1, rows[table.name])
    special = {*table.key, *table.unique}
    if kind == "delete":
        return Change("delete", table.name, {}, row)
    if kind == "rare":
        return rng.choice((
            Change("truncate", table.name),
            Change("sql", text=f"SELECT pg_logical_emit_message(true, 'live', {literal(rng.choice(('', 'héllo', 'x' * 300)))})"),
            Change("sql", text=_ROLLED_BACK.format(table=quoted(table.name), row=row)),
        ))  # fmt: skip
    chosen = [c for c in table.columns if (c.name in special) == (kind == "key")]
    if not chosen:
        return _insert(rng, table, rows)
    picked = rng.sample(chosen, rng.randint(1, min(3, len(chosen))))
    if kind == "key":
        rows[table.name] += 1
        return Change("update", table.name, {c.name: _value(rng, c, 1000 + rows[table.name], key=True) for c in picked}, row)
    return Change("update", table.name, {c.name: _value(rng, c, row, key=False) for c in picked}, row)


def _alter(rng: Random, table: Table, *, renames: bool) -> list[Change]:
    """DDL, each alone: most of it one statement.

    Without `renames`: Debezium knows nothing of a table whose name is another when it reads of it (docs/differences.md).
    """
    name = quoted(table.name)
    free = [c for c in table.columns if c.name not in (*table.key, *table.unique, "id")]
    added = rng.choice(KINDS)
    options = [
        [f"ALTER TABLE {name} ADD COLUMN added {added.sql}"],
        [f"ALTER TABLE {name} ADD COLUMN added {added.sql} NOT NULL DEFAULT {literal(added.literals[0])}"],
        [f"ALTER TABLE {name} ADD COLUMN added int DEFAULT 5"],
        ["ALTER TYPE mood ADD VALUE 'new one'"],
        [f"CREATE TABLE later (id int PRIMARY KEY, v {added.sql})", f"INSERT INTO later VALUES (1, {literal(added.literals[-1])}), (2, NULL)"],
        [f"DROP TABLE {name}", f"CREATE TABLE {name} (rn int PRIMARY KEY, {quoted(table.columns[0].name)} text)"],
    ]
    if renames and all(not c.not_null or c.default for c in table.columns):
        options += [[f"ALTER TABLE {name} RENAME TO renamed", "INSERT INTO renamed (rn) VALUES (500)", f"ALTER TABLE renamed RENAME TO {name}"]]
    if not table.partitions:
        options += [[f"ALTER TABLE {name} REPLICA IDENTITY FULL"]]
        if table.key:
            options += [[f"ALTER TABLE {name} DROP CONSTRAINT {quoted(table.name + '_pkey')}, REPLICA IDENTITY FULL"]]
        else:
            options += [[f"ALTER TABLE {name} ADD COLUMN late bigserial PRIMARY KEY"]]
    if free:
        column = quoted(rng.choice(free).name)
        options += [
            [f"ALTER TABLE {name} DROP COLUMN {column}"], [f"ALTER TABLE {name} RENAME COLUMN {column} TO renamed"],
            [f"ALTER TABLE {name} ALTER COLUMN {column} TYPE text USING {column}::text"],
            [f"ALTER TABLE {name} ALTER COLUMN {column} DROP DEFAULT"], [f"ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL"],
            [f"ALTER TABLE {name} DROP COLUMN {column}", f"ALTER TABLE {name} ADD COLUMN {column} varchar(30) DEFAULT 'again'"],
        ]  # fmt: skip
    return [Change("sql", text=text) for text in rng.choice(options)]
