"""DEFAULT expressions, as pg_get_expr prints them, to schema defaults."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from typed_columns import resolved

from pycdc.model.schema import NO_DEFAULT


@pytest.mark.parametrize(
    ("declaration", "expression", "default"),
    [
        ("int4", "'-5'::integer", -5), ("int4", "nextval('t_id_seq'::regclass)", 0), ("int4", "(1 + 2)", NO_DEFAULT),
        ("int2", "40000", NO_DEFAULT), ("int8", "'9223372036854775807'::bigint", 9223372036854775807),
        ("float4", "1.5", 1.5), ("bool", "true", True), ("bool", "is_on()", False),
        ("numeric(6,2)", "12.3", Decimal("12.30")), ("numeric(6,2)", "12.345", NO_DEFAULT), ("numeric", "1.5", NO_DEFAULT),
        ("numeric(6,2)", "NULL::numeric", NO_DEFAULT),
        ("text", "'it''s'::text", "it's"), ("text", "lower('X'::text)", ""), ("bpchar(4)", "'x'::bpchar", "x"),
        ("text", "('a'::text || 'b'::text)", "a"), ("json", "'{\"b\": 1}'::json", '{"b": 1}'), ("jsonb", "f()", "{}"),
        ("uuid", "gen_random_uuid()", "00000000-0000-0000-0000-000000000000"),
        ("date", "'2021-02-03'::date", 18661), ("date", "CURRENT_DATE", 0), ("date", "now()", 0),
        ("date", "'-infinity'::date", -170999002), ("date", "('now'::text)::date", NO_DEFAULT),
        ("time", "'01:02:03.5'::time without time zone", 3723500000), ("time", "'24:00:00'::time", 86399999999),
        ("timestamp", "'infinity'::timestamp without time zone", -9223372036853775810),
        ("timestamp(3)", "'infinity'::timestamp without time zone", NO_DEFAULT),
        ("timestamptz", "'2021-02-03 04:05:06+03'::timestamp with time zone", "2021-02-03T01:05:06.000000Z"),
        ("timestamptz", "now()", "1970-01-01T00:00:00.000000Z"),
        ("timestamptz", "'infinity'::timestamp with time zone", NO_DEFAULT),
        ("interval", "'1 day'::interval", 86_400_000_000), ("bit(3)", "B'101'::\"bit\"", b"\x05"),
        ("bit(1)", "B'1'::\"bit\"", True), ("mood", "'sad'::mood", "sad"), ("mood", "f()", NO_DEFAULT),
        ("bytea", "'\\x01'::bytea", NO_DEFAULT), ("money", "9.99", NO_DEFAULT), ("timetz", "'10:00:00+02'::timetz", NO_DEFAULT),
        ("hstore", "'a=>1'::hstore", NO_DEFAULT), ("text[]", "'{a}'::text[]", NO_DEFAULT), ("citext", "'a'::citext", NO_DEFAULT),
        ("oid", "5", NO_DEFAULT), ("name", "'a'::name", NO_DEFAULT),
    ],
)  # fmt: skip
def test_schema_default(declaration: str, expression: str, default: Any) -> None:
    column = resolved(declaration, default=expression, nullable=False)
    assert column.schema.default == default
    if default is not NO_DEFAULT:
        assert column.fallback == default


def test_defaults_take_the_form_of_their_mode() -> None:
    assert resolved("numeric(6,2)", {"decimal": "string"}, default="3.5").schema.default == "3.50"
    assert resolved("numeric", {"decimal": "double"}, default="100").schema.default == 100.0
    stamp = "'1999-12-31 23:59:59.5'::timestamp without time zone"
    assert resolved("timestamp", {"time": "isostring"}, default=stamp).schema.default == "1999-12-31T23:59:59.5Z"
    assert resolved("timestamp", {"time": "nanoseconds"}, default=stamp).schema.default == 946684799500000000


@pytest.mark.parametrize(
    ("declaration", "settings", "fallback"),
    [
        ("timestamptz", {}, "1970-01-01T00:00:00Z"), ("numeric(4,1)", {}, Decimal("0.0")),
        ("numeric(4,1)", {"decimal": "string"}, "0.0"), ("numeric", {}, {"scale": 0, "value": b"\0"}),
        ("money", {"decimal": "string"}, "0.00"), ("interval", {"interval": "string"}, "P0Y0M0DT0H0M0S"),
        ("hstore", {}, "{}"), ("hstore", {"hstore": "map"}, {}), ("json", {}, ""), ("date", {"time": "isostring"}, "1970-01-01Z"),
        ("bytea", {"binary": "hex"}, ""), ("int4[]", {}, []),
    ],
)  # fmt: skip
def test_fallbacks_of_columns_without_default(declaration: str, settings: dict[str, Any], fallback: Any) -> None:
    assert resolved(declaration, settings, nullable=False).fallback == fallback
