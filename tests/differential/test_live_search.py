"""The generator and the shrinker of `make differential-live`, without the engines: same seed, same case; a planted
difference is found in a large case and made small."""

import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent / "live"))

from case import Case, Change, Column, Table, change_sql, setup_sql, steps_sql
from generate import generate
from kinds import KINDS, PREPARE
from shrink import shrink


def test_the_same_seed_gives_the_same_case():
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def test_generated_cases_are_valid_but_for_a_few(postgres_db):
    """Keys may repeat and a dropped column may still be written to; all else the server takes."""
    refused = []
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute(PREPARE)
        for seed in range(150):
            case = generate(seed)
            sql.execute("DROP SCHEMA IF EXISTS one CASCADE; CREATE SCHEMA one; SET search_path = one, public")
            try:
                for statement in [*setup_sql(case)[1:], *steps_sql(case)]:
                    sql.execute(statement.encode())
            except psycopg.Error as error:
                refused.append(str(error).splitlines()[0])
    assert len(refused) < 25, refused
    assert not [r for r in refused if "syntax" in r or "invalid" in r], refused


def test_every_literal_is_one_of_its_type(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute(PREPARE)
        for kind in KINDS:
            for text in kind.literals:
                sql.execute(f"SELECT '{text.replace(chr(39), chr(39) * 2)}'::{kind.sql}".encode())


def planted(option, column_type):
    """A fault that shows when that option is given and a row with a column of that type is updated."""

    def differs(case):
        columns = {(t.name, c.name) for t in case.tables for c in t.columns if c.type == column_type}
        updates = [c for step in case.steps for c in step if c.kind == "update" and change_sql(case, c)]
        return option in case.config and any((c.table, name) in columns for c in updates for name in c.values)

    return differs


def large_case():
    columns = [Column("id", "int", True), Column("a", "text", default="'x'"), Column("b", "uuid", True), Column("c", "date"), Column("d", "json")]
    tables = [Table("t", columns, ["id"], "FULL"), Table("u", list(columns), ["id"])]
    row = {"id": "1", "a": "'a'", "b": "gen_random_uuid()", "c": "'2020-01-01'", "d": "'{}'"}
    before = [Change("insert", t, dict(row), n) for t in ("t", "u") for n in range(3)]
    steps = [[Change("insert", "t", dict(row), 7), Change("update", "u", {"a": "'b'", "c": "NULL"}, 1)], [Change("delete", "t", {}, 2)],
             [Change("update", "t", {"a": "'z'", "d": "'[]'", "c": "'2021-01-01'"}, 1), Change("truncate", "u")]]  # fmt: skip
    return Case(1, tables, before, steps, {"decimal.handling.mode": "string", "tombstones.on.delete": "false", "x": "y"})


def test_a_planted_difference_is_made_as_small_as_it_can_be():
    differs = planted("tombstones.on.delete", "json")
    case = large_case()
    assert differs(case)
    small = shrink(case, differs, tries=300)
    assert differs(small)
    assert small.config == {"tombstones.on.delete": "false"}
    assert [(t.name, [c.name for c in t.columns]) for t in small.tables] == [("t", ["d"])]
    assert small.before == []
    assert [[(c.kind, list(c.values)) for c in step] for step in small.steps] == [[("update", ["d"])]]


def test_a_limit_of_tries_is_kept():
    tried = []
    shrink(large_case(), lambda c: tried.append(c) or False, tries=5)
    assert len(tried) <= 6


@pytest.mark.parametrize("seed", range(3))
def test_statements_forget_columns_that_were_left_out(seed):
    case = generate(seed)
    for table in case.tables:
        del table.columns[1:]
    names = {c.name for t in case.tables for c in t.columns}
    for change in [*case.before, *(c for s in case.steps for c in s)]:
        rendered = change_sql(case, change)
        if change.kind == "insert" and rendered:
            shown = rendered.split(" VALUES ")[0]
            assert all(f'"{n}"' not in shown for n in change.values if n not in names and n != change.table)
