"""One case for both engines: a database, what happens in it, and a configuration.

It is plain data that can be made smaller (see `shrink`): statements refer to columns by name and are
rendered only for the columns that are still there.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from kinds import PREPARE


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
    #: It is divided by hash into so many; 0 = it is not.
    partitions: int = 0
    #: It has a column that the server computes, which the stream leaves out.
    generated: bool = False
    comment: bool = False


@dataclass
class Change:
    """What happens: insert and update (`values`), delete, truncate, sql (`text`), and, alone in a step, down and up.

    `row` is the number of the row, its column `rn`. Between down and up neither engine runs.
    """

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
        out += _table_sql(t)
    out += [sql for c in case.before if (sql := change_sql(case, c))]
    return out


def _table_sql(t: Table) -> list[str]:
    def those(names: list[str]) -> list[str]:
        return [n for n in names if any(c.name == n for c in t.columns)]

    name, key, unique = quoted(t.name), those(t.key), those(t.unique)
    columns = [f"{quoted(c.name)} {c.type}{' NOT NULL' if c.not_null else ''}{f' DEFAULT {c.default}' if c.default else ''}" for c in t.columns]
    if t.generated:
        columns.insert(0, "computed int GENERATED ALWAYS AS (rn * 2) STORED")
    if key:
        columns.append(f"PRIMARY KEY ({', '.join(map(quoted, key))})")
    by = f" PARTITION BY HASH ({quoted(key[0]) if key else 'rn'})" if t.partitions else ""
    out = [f"CREATE TABLE {name} (rn int, {', '.join(columns)}){by}"]
    leaves = [quoted(f"{t.name}_{n}") for n in range(t.partitions)]
    out += [f"CREATE TABLE {leaf} PARTITION OF {name} FOR VALUES WITH (MODULUS {t.partitions}, REMAINDER {n})" for n, leaf in enumerate(leaves)]
    if unique:
        out.append(f"CREATE UNIQUE INDEX {quoted('u_' + t.name)} ON {name} ({', '.join(map(quoted, unique))})")
    if t.identity == "INDEX" and unique:
        out.append(f"ALTER TABLE {name} REPLICA IDENTITY USING INDEX {quoted('u_' + t.name)}")
    elif t.identity in ("FULL", "NOTHING"):
        out += [f"ALTER TABLE {each} REPLICA IDENTITY {t.identity}" for each in (name, *leaves)]
    if t.comment:
        out += [f"COMMENT ON TABLE {name} IS 'a table''s \"comment\" ü'"]
        out += [f"COMMENT ON COLUMN {name}.{quoted(c.name)} IS 'about it'" for c in t.columns[:1]]
    return out


#: Texts of steps that are no SQL.
DOWN, UP = "-- both engines are stopped", "-- and started again"


def steps_sql(case: Case) -> list[str]:
    """Each text is one transaction, DDL alone, DOWN or UP."""
    return [";\n".join(parts) for step in case.steps if (parts := [sql for c in step if (sql := change_sql(case, c))])]


def change_sql(case: Case, change: Change) -> str:
    """Empty when nothing of it is left."""
    match change.kind:
        case "sql":
            return change.text
        case "down":
            return DOWN
        case "up":
            return UP
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
