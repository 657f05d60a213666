"""Which tables are chosen, and how tasks share them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.errors import ServerError
from pycdc.model.javaregex import NameFilter
from pycdc.mysql.session import quote_name as backticks
from pycdc.postgres.session import quote_name
from pycdc.sources.jdbc.config import JdbcSourceConfig
from pycdc.sources.jdbc.mappings import ColumnMappings
from pycdc.sources.jdbc.postgresql.dialect import PostgreSql
from pycdc.sources.jdbc.tables import TableId, chosen, groups, must_differ, read_written, written

A, B, C = TableId("public", "a"), TableId("public", "b"), TableId("s", "c")


@pytest.mark.parametrize(
    ("config", "tables"),
    [
        ({}, [A, B, C]),
        ({"whitelist": ("a", "s.c")}, [A, C]),
        ({"whitelist": ('"public"."b"',)}, [B]),
        ({"whitelist": ("A",)}, []),
        ({"blacklist": ("b", "public.a")}, [C]),
        ({"include": NameFilter([r"public\..*"])}, [A, B]),
        ({"include": NameFilter([r".*\.[bc]"]), "exclude": NameFilter([r"s\..*"])}, [B]),
    ],
)
def test_lists(config, tables):
    assert chosen([A, B, C], JdbcSourceConfig.of(**config), quote_name) == tables


def test_tables_of_one_name_would_share_a_topic():
    must_differ([A, B, C], "p_")
    with pytest.raises(ServerError, match=r"p_a") as told:
        must_differ([A, TableId("s", "a")], "p_")
    assert told.value.cause == "public.a, s.a"


@pytest.mark.parametrize(
    ("count", "tasks", "sizes"), [(0, 3, [0]), (1, 3, [1]), (3, 1, [3]), (3, 2, [2, 1]), (7, 3, [3, 2, 2]), (4, 4, [1, 1, 1, 1])]
)
def test_tasks_share_them_evenly_and_in_order(count, tasks, sizes):
    tables = [TableId("s", f"t{i}") for i in range(count)]
    made = groups(tables, tasks)
    assert [len(g) for g in made] == sizes
    assert [t for g in made for t in g] == tables


@pytest.mark.parametrize("quote", [quote_name, backticks])
@given(st.lists(st.builds(TableId, st.text(min_size=1), st.text(min_size=1))))
def test_what_a_task_is_given_is_read(quote, tables):
    assert read_written(written(tables, quote)) == tables


def test_what_others_write_is_read():
    assert read_written("public.a,s.c") == [A, C]
    assert read_written('"shop"."public"."a"') == [A]
    for wrong in ("a", '"a', "public.a,,s.c"):
        with pytest.raises(ValueError, match="table"):
            read_written(wrong)


def test_columns_by_table():
    one = ColumnMappings.one(r"public\.a:id, .*\.b:nr")
    assert (one.columns("public.a"), one.columns("s.b"), one.columns("s.c")) == (("id",), ("nr",), ())
    several = ColumnMappings.several(r"public\.a:[at|made], .*:[at]")
    assert (several.columns("public.a"), several.columns("s.b")) == (("at", "made"), ("at",))
    for make, wrong in ((ColumnMappings.one, "id"), (ColumnMappings.several, "a:at"), (ColumnMappings.several, "a:[]")):
        with pytest.raises(ValueError, match="pattern"):
            make(wrong)


def faults(**config):
    found = []
    base = {"connection.url": "jdbc:postgresql://h/d", "topic.prefix": "p", "mode": "incrementing"}
    settings = JdbcSourceConfig.parse({**base, **{k.replace("__", "."): v for k, v in config.items()}}, found)
    return settings, [f.key for f in found]


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ({}, []),
        ({"mode": "hourly"}, ["mode"]),
        ({"mode": "timestamp"}, ["timestamp.column.name"]),
        ({"query": "SELECT 1"}, ["incrementing.column.name"]),
        ({"mode": "bulk", "query": "SELECT 1", "table__whitelist": "a"}, ["table.whitelist"]),
        ({"table__whitelist": "a", "table__blacklist": "b"}, ["table.blacklist"]),
        ({"table__whitelist": "a", "table__include__list": "b"}, ["table.include.list"]),
        ({"table__exclude__list": "b"}, ["table.exclude.list"]),
        ({"topic__prefix": "a b"}, ["topic.prefix"]),
        ({"db__timezone": "Mars"}, ["db.timezone"]),
        ({"incrementing__column__mapping": "x"}, ["incrementing.column.mapping"]),
        ({"connection__url": "jdbc:oracle://h/d"}, ["connection.url"]),
    ],
)
def test_configurations(config, keys):
    assert faults(**config)[1] == keys


def test_the_old_word_for_precision():
    assert faults(numeric__precision__mapping="true")[0].numeric == "precision_only"
    assert faults(numeric__precision__mapping="true", numeric__mapping="none")[0].numeric == "none"


def test_parameters_of_the_driver():
    settings, _ = faults(**{"connection.sslmode": "require", "connection.user": "u", "connection.currentSchema": "s"})
    made = PostgreSql().connection(settings, "x")
    assert (made.sslmode, made.user, made.options["search_path"], made.options["row_security"]) == ("require", "u", "s", "on")
