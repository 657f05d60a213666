"""Which tables, columns and keys."""

import pytest

from pycdc.debezium.filters import Filters
from pycdc.debezium.keys import KeyRules
from pycdc.model.javaregex import NameFilter, compile_java, replacement, split_list
from pycdc.model.table import Column, Index, Table, TypeInfo

INT = TypeInfo(oid=23, name="int4")


def table(name="nk", columns=("x", "y", "z"), **more):
    return Table(oid=1, schema="public", name=name, columns=tuple(Column(name=c, type=INT) for c in columns), **more)


def listed(text):
    return NameFilter(split_list(text))


def test_tables_match_in_full_and_without_case():
    filters = Filters(table_include=listed(r" inv\.keep[0-9] , inv.none "))
    assert filters.table("inv", "keep1")
    assert filters.table("inv", "KEEP3")
    assert not filters.table("inv", "keep10")
    assert not filters.table("public", "keep1")


def test_system_tables_are_left_out():
    assert not Filters().table("pg_catalog", "pg_class")
    assert not Filters().table("pg_temp_3", "t")
    assert Filters(ignore_builtin=False).table("pg_catalog", "pg_class")


def test_columns_and_message_prefixes():
    filters = Filters(column_exclude=listed("public.e1.SECRET"), message_include=listed("yes_.*"))
    assert not filters.column("public", "e1", "secret")
    assert filters.column("public", "e1", "pub")
    assert filters.message("yes_1")
    assert not filters.message("no")


def test_a_comma_in_a_pattern_is_escaped():
    assert split_list(r"a\,b, c ,,") == ["a,b", "c"]


@pytest.mark.parametrize(
    ("known", "columns"),
    [
        (table(primary_key=("z", "x")), ("z", "x")),
        (table(unique_indexes=(Index(name="a", columns=("y",)), Index(name="b", columns=("x",)))), ("y",)),
        (table(), ()),
    ],
)
def test_the_key_is_the_primary_key_or_the_first_unique_index(known, columns):
    assert KeyRules([]).columns(known) == columns


def test_configured_keys_win_in_their_own_order_unless_a_column_is_missing():
    rules = KeyRules.parse("public.nk:y,x;(.*).other:a,id")
    assert rules.columns(table()) == ("y", "x")
    assert rules.columns(table("other", ("id", "b"), primary_key=("id",))) == ("id",)


def test_a_malformed_key_rule_is_named():
    with pytest.raises(ValueError, match="'public.nk'"):
        KeyRules.parse("public.nk")


def test_java_replacements_and_classes():
    assert replacement(r"$1-${name}\$")(compile_java("(a)(?<name>b)").fullmatch("ab")) == "a-b$"
    assert compile_java(r"\p{Alpha}+").fullmatch("abc")
    with pytest.raises(ValueError, match="no valid regular expression"):
        compile_java("(")
