"""Masks, hashes, truncation, propagated source types."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from typed_columns import column, resolved

from pycdc.debezium.types import hashed, masked, truncated, with_source_type
from pycdc.model.template import Form

SALT = "CzQMA0cB5K"


def test_a_mask_replaces_characters_only() -> None:
    text = masked(resolved("text", nullable=False, default="'clear'::text"), 5)
    assert (text.constant, text.schema.parameters, text.schema.default) == ("*****", (("masked", "true"),), "clear")
    number = masked(resolved("int4"), 5)
    assert (number.constant, number.schema.parameters) == (msgspec.UNSET, (("masked", "true"),))


@pytest.mark.parametrize(
    ("declaration", "text", "v2", "digest"),
    [
        ("text", "hello", False, "b4d39ab0d198fb4cac8b2f023da74f670bcaf192dcc79b5d6361b7ae6b2fafdf"),
        ("varchar(20)", "test", False, "8e68c68edbbac316dfe2"),
        ("bpchar(8)", "abc     ", False, "de88a017"),
        ("text", "日本", False, "60f2d4790b8f2469ecc1ab2537db5fcb697779245e85123a37c78264ce1e1990"),
        ("text", "hello", True, "c4bf2f9ebc99b7f64add45103e81eb4ca483649064e3e1398b21f41786360c7b"),
    ],
)
def test_hashes_equal_the_captures(declaration: str, text: str, v2: bool, digest: str) -> None:
    column_ = hashed(resolved(declaration), column(declaration), "sha256", SALT, v2=v2)
    assert column_.reader.form is Form.NONE
    assert column_.reader.read(text.encode()) == digest


def test_long_and_odd_strings_are_serialized_as_java_does() -> None:
    read = hashed(resolved("text"), column("text"), "md5", "", v2=False).reader.read
    # TC_LONGSTRING; NUL in two bytes; a character beyond 16 bits as two surrogates of three bytes each
    assert len({read(b"x" * 65535), read(b"x" * 65536), read("\U0001f600".encode()), read(b"a\0")}) == 4


def test_hashes_leave_other_types_alone() -> None:
    plain = resolved("uuid")
    column_ = hashed(plain, column("uuid"), "sha256", SALT, v2=False)
    assert column_.reader is plain.reader


def test_truncation_counts_utf16_and_bytes() -> None:
    text = truncated(resolved("text"), column("text"), 4)
    assert [text.reader.read(t.encode()) for t in ("abcdef", "é€𝄞𝄞", "abc𝄞", "a")] == ["abcd", "é€𝄞", "abc", "a"]
    assert text.schema.parameters == (("truncateLength", "4"),)
    assert text.unavailable == "__de"
    assert truncated(resolved("bytea"), column("bytea"), 2).reader.read(b"\\x010203") == b"\x01\x02"


def test_truncation_is_told_only_where_a_column_can_be_longer() -> None:
    assert truncated(resolved("varchar(4)"), column("varchar(4)"), 4).schema.parameters == ()
    number = truncated(resolved("int4"), column("int4"), 4)
    assert (number.schema.parameter("truncateLength"), number.reader.read(b"123456")) == ("4", 123456)


def _source(declaration: str, **attributes: Any) -> tuple[list[str], list[str]]:
    found = with_source_type(resolved(declaration, **attributes), column(declaration, **attributes))
    stream, snapshot = found.schema, found.snapshot_schema or found.schema
    names = ("type", "length", "scale")
    values = [[str(s.parameter(f"__debezium.source.column.{n}")) for n in names] for s in (stream, snapshot)]
    return values[0], values[1]


@pytest.mark.parametrize(
    ("declaration", "stream"),
    [
        ("varchar(10)", ["VARCHAR", "10", "0"]), ("text", ["TEXT", "2147483647", "0"]), ("numeric(7,2)", ["NUMERIC", "7", "2"]),
        ("timestamp(3)", ["TIMESTAMP", "26", "3"]), ("timestamptz", ["TIMESTAMPTZ", "35", "6"]), ("time(2)", ["TIME", "11", "2"]),
        ("timetz", ["TIMETZ", "21", "6"]), ("time(0)", ["TIME", "8", "0"]), ("time(1)", ["TIME", "11", "1"]),
        ("numeric(4,1)[]", ["_NUMERIC", "4", "1"]), ("int4[]", ["_INT4", "10", "0"]), ("bit(3)", ["BIT", "3", "0"]),
        ("interval(2)", ["INTERVAL", "49", "2"]), ("float8", ["FLOAT8", "17", "17"]), ("bool", ["BOOL", "1", "0"]),
    ],
)  # fmt: skip
def test_source_types(declaration: str, stream: list[str]) -> None:
    assert _source(declaration) == (stream, stream)


def test_source_types_of_the_snapshot_are_the_drivers() -> None:
    assert _source("numeric") == (["NUMERIC", "131089", "0"], ["NUMERIC", "0", "None"])
    assert _source("int4", default="nextval('s'::regclass)") == (["INT4", "10", "0"], ["SERIAL", "10", "0"])
