"""A seed -> a database, what happens in it, and a configuration: one case for both engines.

A case is plain data that can be made smaller (see `shrink`): statements refer to columns by name and are
rendered only for the columns that are still there.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from random import Random

from kinds import BY_NAME, KINDS, PREPARE, TOASTED, Kind, long_literal  # noqa: F401


@dataclass
class Column:
    name: str
    type: str
    not_null: bool = False
    default: str = ""


@dataclass
class Table:
    name: str
    columns: list[Column]
    key: list[str]
    identity: str = "DEFAULT"
    unique: list[str] = field(default_factory=list)


@dataclass
class Change:
    """insert: values. update: values, for the rows whose `where` is set (number of the row). delete. sql: text."""

    kind: str
    table: str = ""
    values: dict[str, str] = field(default_factory=dict)
    row: int = 0
    text: str = ""


@dataclass
class Case:
    seed: int
    tables: list[Table]
    #: Rows that are there before the engines start, then transactions while they stream.
    before: list[Change]
    steps: list[list[Change]]
    config: dict[str, str]

    def copy(self) -> Case:
        return Case(
            self.seed, [dataclasses.replace(t, columns=list(t.columns), key=list(t.key), unique=list(t.unique)) for t in self.tables],
            [dataclasses.replace(c, values=dict(c.values)) for c in self.before],
            [[dataclasses.replace(c, values=dict(c.values)) for c in step] for step in self.steps], dict(self.config),
        )  # fmt: skip


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# ---- to SQL


def setup_sql(case: Case) -> list[str]:
    """What is there before the engines start."""
    out = [PREPARE]
    for t in case.tables:
        columns = [
            f"{quoted(c.name)} {c.type}{' NOT NULL' if c.not_null else ''}{f' DEFAULT {c.default}' if c.default else ''}" for c in t.columns
        ]
        key = [k for k in t.key if any(c.name == k for c in t.columns)]
        if key:
            columns.append(f"PRIMARY KEY ({', '.join(map(quoted, key))})")
        out.append(f"CREATE TABLE {quoted(t.name)} (rn int, {', '.join(columns)})")
        unique = [k for k in t.unique if any(c.name == k for c in t.columns)]
        if unique:
            out.append(f"CREATE UNIQUE INDEX {quoted('u_' + t.name)} ON {quoted(t.name)} ({', '.join(map(quoted, unique))})")
        if t.identity == "INDEX" and unique:
            out.append(f"ALTER TABLE {quoted(t.name)} REPLICA IDENTITY USING INDEX {quoted('u_' + t.name)}")
        elif t.identity in ("FULL", "NOTHING"):
            out.append(f"ALTER TABLE {quoted(t.name)} REPLICA IDENTITY {t.identity}")
    out += [sql for c in case.before if (sql := change_sql(case, c))]
    return out


def steps_sql(case: Case) -> list[str]:
    """Each text is one transaction, or DDL alone."""
    return [";\n".join(parts) for step in case.steps if (parts := [sql for c in step if (sql := change_sql(case, c))])]


def change_sql(case: Case, change: Change) -> str:
    """Empty when nothing of it is left."""
    if change.kind == "sql":
        return change.text
    table = next((t for t in case.tables if t.name == change.table), None)
    if table is None:
        return ""
    there = {c.name for c in table.columns}
    values = {k: v for k, v in change.values.items() if k in there}
    name = quoted(change.table)
    match change.kind:
        case "insert":
            names = ", ".join(["rn", *map(quoted, values)])
            return f"INSERT INTO {name} ({names}) VALUES ({', '.join([str(change.row), *values.values()])})"
        case "update":
            if not values:
                return ""
            return f"UPDATE {name} SET {', '.join(f'{quoted(k)} = {v}' for k, v in values.items())} WHERE rn = {change.row}"
        case "delete":
            return f"DELETE FROM {name} WHERE rn = {change.row}"
        case "truncate":
            return f"TRUNCATE {name}"
    raise ValueError(change.kind)


# ---- from a seed

#: A subtransaction that is undone.
_ROLLED_BACK = "DO $do$ BEGIN BEGIN DELETE FROM {table} WHERE rn = {row}; RAISE 'undone'; EXCEPTION WHEN raise_exception THEN NULL; END; END $do$"

_NAMES = ("a", "b", "Mixed Case", "dot.ted", "ünï", "a-b", "1st", "value", "order", "x_y", "tail")
_TABLES = ("t", "Big Table", "t-1", "täble", "a_b", "dots.in.it")


def generate(seed: int) -> Case:
    """Always the same case for the same seed."""
    rng = Random(seed)
    tables = [_table(rng, name) for name in rng.sample(_TABLES, rng.choice((1, 1, 1, 2)))]
    rows: dict[str, int] = {t.name: 0 for t in tables}
    before = [_insert(rng, t, rows) for t in tables for _ in range(rng.randint(0, 3))]
    steps = [[_change(rng, rng.choice(tables), rows) for _ in range(rng.choice((1, 1, 2, 3)))] for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.3:
        steps.insert(rng.randint(0, len(steps)), [_alter(rng, rng.choice(tables))])
        steps += [[_change(rng, rng.choice(tables), rows)] for _ in range(2)]
    return Case(seed, tables, before, steps, _config(rng, tables))


def _table(rng: Random, name: str) -> Table:
    columns: list[Column] = []
    for column in rng.sample(_NAMES, rng.randint(1, 7)):
        kind = rng.choice(KINDS)
        default = ""
        if rng.random() < 0.25:
            default = f"{literal(rng.choice(kind.literals))}::{kind.sql}"
        columns.append(Column(column, kind.sql, rng.random() < 0.3, default))
    keyed = [c.name for c in columns if BY_NAME[c.type].keyed]
    table = Table(name, columns, [])
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


def _alter(rng: Random, table: Table) -> Change:
    name = quoted(table.name)
    free = [c for c in table.columns if c.name not in (*table.key, *table.unique, "id")]
    added = rng.choice(KINDS)
    options = [
        f"ADD COLUMN added {added.sql}",
        f"ADD COLUMN added {added.sql} NOT NULL DEFAULT {literal(added.literals[0])}",
        "ADD COLUMN added int DEFAULT 5",
        "REPLICA IDENTITY FULL",
    ]
    if free:
        column = quoted(rng.choice(free).name)
        options += [f"DROP COLUMN {column}", f"RENAME COLUMN {column} TO renamed", f"ALTER COLUMN {column} TYPE text USING {column}::text",
                    f"ALTER COLUMN {column} DROP DEFAULT"]  # fmt: skip
    return Change("sql", text=f"ALTER TABLE {name} {rng.choice(options)}")


def _config(rng: Random, tables: list[Table]) -> dict[str, str]:
    """A handful of options at once; defaults otherwise."""
    first = tables[0]
    column = rng.choice(first.columns).name
    as_pattern = "".join(f"\\{ch}" if ch in "\\.[]{}()*+-?^$|" else ch for ch in f"public.{first.name}")
    choices = {
        "decimal.handling.mode": ("double", "string"),
        "time.precision.mode": ("adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"),
        "interval.handling.mode": ("string",),
        "hstore.handling.mode": ("map",),
        "binary.handling.mode": ("base64", "base64-url-safe", "hex"),
        "money.fraction.digits": ("4", "0"),
        "include.unknown.datatypes": ("true",),
        "tombstones.on.delete": ("false",),
        "skipped.operations": ("none", "u", "d,t"),
        "skip.messages.without.change": ("true",),
        "provide.transaction.metadata": ("true",),
        "schema.name.adjustment.mode": ("avro", "avro_unicode"),
        "field.name.adjustment.mode": ("avro", "avro_unicode"),
        "column.propagate.source.type": (".*",),
        "datatype.propagate.source.type": (r".*\.(numeric|varchar|int4)",),
        "include.schema.comments": ("true",),
        "unavailable.value.placeholder": ("__gone__",),
        "column.truncate.to.3.chars": (".*",),
        "column.mask.with.4.chars": (rf".*\.{column}" if column.isidentifier() else r".*\.a",),
        "column.exclude.list": (r"public\..*\.(b|value)",),
        "message.key.columns": (f"{as_pattern}:rn",),
        "snapshot.mode": ("no_data",),
        "extended.headers.enabled": ("false",),
        "topic.naming.strategy": ("io.debezium.schema.DefaultTopicNamingStrategy", "io.debezium.schema.SchemaUnicodeTopicNamingStrategy"),
        "value.converter.replace.null.with.default": ("false",),
        "value.converter.decimal.format": ("NUMERIC",),
        "publication.autocreate.mode": ("filtered",),
    }
    out = {name: rng.choice(values) for name, values in choices.items() if rng.random() < 0.1}
    if rng.random() < 0.5:
        out |= {"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"}
    if rng.random() < 0.15:
        out |= {
            "transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.u.delete.tombstone.handling.mode": rng.choice(("drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone")),
            "transforms.u.add.fields": rng.choice(("op", "op,table,before.rn:was", "db,source.schema")),
        }  # fmt: skip
    return out
