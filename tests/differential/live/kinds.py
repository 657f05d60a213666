"""PostgreSQL types for generated tables, each with literals worth trying. A literal is text in quotes, or NULL.

Left out are what docs/differences.md or the captures name as broken in Debezium itself: `name` columns, domains
over enums, refcursor, arrays of several dimensions, negative numeric scales. Floats that Java before 19 prints with
a digit too many (JDK-4511638) are left out as well.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import NamedTuple


class Kind(NamedTuple):
    """`sql` is the column's type; `keyed`: may be part of a primary key in both engines."""

    sql: str
    literals: tuple[str, ...]
    keyed: bool = False


#: Made in every generated database before its tables.
PREPARE = """
CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS ltree;
CREATE EXTENSION IF NOT EXISTS isn;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy', 'it''s "odd"');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN posint AS int CHECK (VALUE > 0); CREATE DOMAIN short AS varchar(5); CREATE DOMAIN price AS numeric(8,2);
CREATE DOMAIN posposint AS posint;
"""

_INTS2 = ("0", "1", "-1", "32767", "-32768")
_INTS4 = ("0", "7", "-1", "2147483647", "-2147483648")
_INTS8 = ("0", "42", "-1", "9223372036854775807", "-9223372036854775808")
_FLOATS = ("0", "-0", "1.5", "0.1", "1e10", "1e-7", "3.4028235e38", "NaN", "Infinity", "-Infinity", "100000", "1234567.9", "16777217")
_DOUBLES = (*_FLOATS, "1.7976931348623157e308", "5e-324", "9007199254740993", "0.30000000000000004", "123456789012345680")
_NUMERICS = ("0", "1.50", "-0.001", "123456789012345678901234567890.123456789", "NaN", "1e-10", "99999", "-5", "1000000")
_SCALED = ("0", "1.5", "-1.25", "999.99", "-999.99", "0.01")
_TEXTS = ("", "a", "plain words", "ünï ☃ 😀", "tab\tquote\"back\\slash", "new\nline", "null", "{}", "  spaces  ", "\u0001\u001f", "</script>&é")
_DATES = ("2024-02-29", "1970-01-01", "1969-12-31", "0001-01-01", "9999-12-31", "0044-03-15 BC", "infinity", "-infinity", "1582-10-10", "5874897-12-31")
_TIMES = ("00:00:00", "23:59:59.999999", "24:00:00", "12:34:56.7", "08:00:00.000001")
_STAMPS = ("2024-02-29 12:34:56.789012", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "infinity", "-infinity", "0001-01-01 00:00:00",
           "9999-12-31 23:59:59", "2024-06-01 00:00:00.1", "1900-01-01 00:00:00", "294276-12-31 23:59:59.999999", "0044-03-15 10:00:00 BC")  # fmt: skip
_ZONED = (*tuple(f"{s}+00" if "infinity" not in s and "BC" not in s else s for s in _STAMPS), "2024-03-10 02:30:00-05", "2024-02-29 00:00:00+14")
_INTERVALS = ("0", "1 year 2 mons 3 days 04:05:06.789", "-1 mons +3 days -00:00:01.5", "25:00:00", "1000 years", "-00:00:00.000001", "1 day")
_UUIDS = ("123e4567-e89b-12d3-a456-426614174000", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF")
_JSONS = ("{}", "[]", "null", '"text"', "1.50", '{"a": [1, 2.0, null, {"b": "ü\\u0001"}]}', " { \"a\" : 1 , \"a\" : 2 } ")
_BYTES = ("", "\\x00", "\\xdeadbeef", "\\x0102030405060708090a0b0c0d0e0f")

SCALARS = (
    Kind("smallint", _INTS2, True), Kind("int", _INTS4, True), Kind("bigint", _INTS8, True),
    Kind("real", _FLOATS), Kind("double precision", _DOUBLES), Kind("numeric", _NUMERICS), Kind("numeric(5,2)", (*_SCALED, "NaN")),
    Kind("numeric(38,10)", ("0", "1.0000000001", "-12345678901234567890.5")), Kind("numeric(10)", ("0", "-7", "9999999999"), True),
    Kind("numeric(3,3)", ("0", "0.999", "-0.001")), Kind("money", ("0", "1.5", "-12.34", "92233720368547758.07", "1000000")),
    Kind("boolean", ("t", "f"), True), Kind("text", _TEXTS, True), Kind("varchar", _TEXTS), Kind("varchar(20)", _TEXTS, True),
    Kind("char(5)", ("", "a", "abcde", "é ☃"), True), Kind("char", ("a", "")), Kind('"char"', ("a", "")), Kind("citext", ("", "MiXed", "é")),
    Kind("bytea", _BYTES), Kind("bit", ("0", "1")), Kind("bit(8)", ("00000000", "10110001", "11111111")), Kind("bit(70)", ("1" * 70, "0" * 70)),
    Kind("bit varying(5)", ("1", "01101")), Kind("bit varying", ("1", "0110", "1" * 33)), Kind("uuid", _UUIDS, True),
    Kind("json", _JSONS), Kind("jsonb", tuple(j for j in _JSONS)), Kind("xml", ("<a/>", "<a>é</a>", "text")),
    Kind("date", _DATES, True), Kind("time", _TIMES), Kind("time(0)", _TIMES), Kind("time(3)", _TIMES),
    Kind("timetz", ("00:00:00+00", "23:59:59.999999-05", "24:00:00+00", "12:00:00+05:30")), Kind("timetz(3)", ("12:34:56.7891+02",)),
    Kind("timestamp", _STAMPS, True), Kind("timestamp(0)", _STAMPS), Kind("timestamp(3)", _STAMPS), Kind("timestamptz", _ZONED), Kind("timestamptz(3)", _ZONED),
    Kind("interval", _INTERVALS), Kind("inet", ("10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32")), Kind("cidr", ("10.0.0.0/8", "2001:db8::/32")),
    Kind("macaddr", ("08:00:2b:01:02:03",)), Kind("macaddr8", ("08:00:2b:01:02:03:04:05",)),
    Kind("int4range", ("empty", "[1,5)", "(,10]", "(,)")), Kind("int8range", ("[1,9223372036854775806]",)), Kind("numrange", ("[1.5,2.50)", "empty")),
    Kind("daterange", ("[2024-01-01,2024-02-01)", "empty")), Kind("tsrange", ("[2024-01-01 00:00,2024-01-02 12:30)",)),
    Kind("tstzrange", ("[2024-01-01 00:00+02,2024-01-02 12:30+02)",)), Kind("point", ("(1,2)", "(-1.5,1e10)", "(0,0)")),
    Kind("ltree", ("", "a.b.c")), Kind("hstore", ("", '"a"=>"1"', '"a"=>NULL,"ü"=>"x y"')), Kind("isbn", ("978-0-393-04002-9",)),
    Kind("oid", ("0", "4294967295")), Kind("mood", ("sad", "ok", "very happy", "it's \"odd\""), True), Kind("posint", ("1", "2147483647")),
    Kind("posposint", ("5",)), Kind("short", ("", "abcde", "é")), Kind("price", ("0", "1.5", "-999999.99")), Kind("tsvector", ("a fat cat", "")),
    Kind("pair", ('(1,"x y")', "(,)")), Kind("box", ("(2,2),(0,0)",)), Kind("circle", ("<(1,2),3>",)), Kind("line", ("{1,2,3}",)),
    Kind("pg_lsn", ("0/0", "16/B374D848")), Kind("int4multirange", ("{[1,2),[5,7)}", "{}")),
)  # fmt: skip

_ELEMENTS = (
    "smallint", "int", "bigint", "real", "double precision", "numeric(5,2)", "numeric", "boolean", "text", "varchar(20)", "char(5)", "uuid",
    "date", "time", "timestamp", "timestamptz", "timetz", "json", "jsonb", "inet", "cidr", "macaddr", "int4range", "bytea", "mood", "posint",
    "interval", "citext", "ltree", "oid", "money", "bit(8)", "point", "xml", "hstore",
)  # fmt: skip


def _array(kind: Kind) -> Kind:
    def element(literal: str) -> str:
        escaped = literal.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    # a NaN in numeric[] as strings makes the whole array null in Debezium
    each = [element(lit) for lit in kind.literals if not (kind.sql.startswith("numeric") and lit == "NaN")]
    # ltree[] with a null, and with more than one element in the stream, breaks in Debezium
    null = () if kind.sql == "ltree" else ("{NULL}", "{" + each[0] + ",NULL}")
    pairs = () if kind.sql == "ltree" else tuple("{" + ",".join(pair) + "}" for pair in itertools.pairwise(each))
    return Kind(f"{kind.sql}[]", ("{}", *null, *("{" + e + "}" for e in each), *pairs))


KINDS = SCALARS + tuple(_array(k) for k in SCALARS if k.sql in _ELEMENTS)
BY_NAME = {k.sql: k for k in KINDS}

#: Types whose long values are kept out of the row, so that an update that leaves them alone does not send them.
TOASTED = ("text", "varchar", "jsonb", "bytea", "xml", "text[]", "hstore")


def long_literal(sql: str, rng: Random) -> str | None:
    """A value of 9 kB that does not compress, as an SQL expression; None for types that have none."""
    seed = rng.randrange(1 << 20)
    words = f"(SELECT string_agg(md5((i * {seed})::text), '') FROM generate_series(1, 280) i)"
    match sql:
        case "text" | "varchar":
            return words
        case "bytea":
            return f"convert_to({words}, 'UTF8')"
        case "jsonb":
            return f"jsonb_build_object('a', {words})"
        case "xml":
            return f"{words}::xml"
        case "text[]":
            return f"ARRAY[{words}]"
        case "hstore":
            return f"hstore('a', {words})"
    return None
