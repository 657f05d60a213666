"""Texts, bytes, hstore, points, arrays, unknown types: values and placeholders."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_columns import MOOD, column, read, resolved

from pycdc.debezium.types import TypeSettings, resolve
from pycdc.debezium.types.arrays import elements
from pycdc.debezium.types.binary import java_double
from pycdc.debezium.types.structured import pairs
from pycdc.model.schema import Schema
from pycdc.model.table import Column, TypeInfo
from pycdc.model.template import Form


@pytest.mark.parametrize("name", ["text", "varchar(3)", "bpchar(3)", "char", "name", "citext", "json", "jsonb", "xml",
                                  "uuid", "inet", "cidr", "macaddr8", "daterange", "ltree", "tsvector", "mood"])  # fmt: skip
def test_texts_pass_as_they_are(name: str) -> None:
    column = resolved(name)
    assert column.reader.form is Form.TEXT
    assert column.reader.read("é ".encode()) == "é "
    assert (column.fallback, column.unavailable) == ("", "__debezium_unavailable_value")


@pytest.mark.parametrize(
    ("mode", "value", "unavailable"),
    [
        ("bytes", b"\xfb\xff", b"N/A"),
        ("base64", "+/8=", None),
        ("base64-url-safe", "-_8=", None),
        ("hex", "fbff", "N/A"),
    ],
)
def test_bytea(mode: str, value: Any, unavailable: Any) -> None:
    column = resolved("bytea", {"binary": mode, "unavailable_placeholder": "N/A"})
    assert column.reader.read(b"\\xfbff") == value
    assert column.unavailable == unavailable
    assert column.unavailable_unmarked is (unavailable is None)


def test_bytea_in_escape_format_is_refused() -> None:
    with pytest.raises(ValueError, match="hex"):
        read("bytea", "abc")


def test_a_placeholder_may_be_raw_bytes() -> None:
    settings = {"unavailable_placeholder": "hex:ff41"}
    assert resolved("bytea", settings).unavailable == b"\xffA"
    assert resolved("int4[]", settings).unavailable == [-1, 65]
    assert resolved("text", settings).unavailable == "\ufffdA"


def test_what_cannot_be_null_gets_its_fallback_and_is_marked() -> None:
    nullable, required = resolved("float8[]"), resolved("float8[]", nullable=False)
    assert (nullable.unavailable, nullable.unavailable_unmarked) == (None, True)
    assert (required.unavailable, required.unavailable_unmarked) == ([], True)
    assert resolved("text", nullable=False).unavailable_unmarked is False


# ---- arrays


@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0")))))
def test_quoted_arrays_are_read_back(values: list[str | None]) -> None:
    quoted = ["NULL" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values]
    assert read("text[]", "{" + ",".join(quoted) + "}") == values


@given(st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))), st.booleans())
def test_integer_arrays_are_read_back(values: list[int | None], bounds: bool) -> None:
    text = "{" + ",".join("NULL" if v is None else str(v) for v in values) + "}"
    assert read("int4[]", f"[5:9]={text}" if bounds else text) == values


def test_inner_arrays_are_texts_or_null() -> None:
    assert elements(b'{{1,2},{"a}",NULL}}') == [[b"{1,2}"], [b'{"a}",NULL}']]
    assert read("text[]", "{{a,b},{c,NULL}}") == ["{a,b}", "{c,NULL}"]
    assert read("int4[]", "{{1,2},{3,4}}") == [None, None]


def test_arrays_of_enums_hold_no_null() -> None:
    column = resolved("mood[]")
    assert column.schema.items is not None
    assert (column.schema.items.optional, column.schema.items.parameter("allowed")) == (False, "sad,ok")
    assert column.reader.read(b"{sad,ok}") == ["sad", "ok"]
    with pytest.raises(ValueError, match="NULL"):
        column.reader.read(b"{sad,NULL}")


def test_bit_arrays_have_a_schema_and_no_value() -> None:
    column = resolved("bit(1)[]", nullable=False)
    assert (column.schema.type, column.schema.optional, column.always_null) == ("boolean", True, True)


@pytest.mark.parametrize("name", ["money", "interval", "xml", "point", "name", "varbit"])
def test_some_arrays_are_always_left_out(name: str) -> None:
    assert resolve(column(f"{name}[]"), TypeSettings(include_unknown=True)) is None


# ---- hstore


def test_hstore_is_in_the_order_of_a_java_hash_map() -> None:
    text = b'"nl"=>"\n", "\xc3\xa9"=>"x", "q\\"uote"=>"back\\\\slash, comma => arrow"'
    assert list(pairs(text)) == ['q"uote', "é", "nl"]
    assert list(pairs(b'"nul"=>"NULL", "num"=>"5", "empty"=>""')) == ["nul", "num", "empty"]


_HSTORE = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.dictionaries(_HSTORE, st.one_of(st.none(), _HSTORE), max_size=40))
def test_hstores_are_read_back(values: dict[str, str | None]) -> None:
    def quoted(text: str | None) -> str:
        return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = ", ".join(f"{quoted(k)}=>{quoted(v)}" for k, v in values.items())
    assert read("hstore", text, hstore="map") == values
    assert json.loads(read("hstore", text)) == values


def test_hstore_json_escapes_controls_in_capitals() -> None:
    assert read("hstore", '"a"=>"\x1f\\\\u001f"') == '{"a":"\\u001F\\\\u001f"}'


# ---- structures


def test_points_carry_wkb() -> None:
    value = read("point", "(1e+300,-0)")
    assert (value["x"], str(value["y"]), value["srid"]) == (1e300, "-0.0", None)
    assert value["wkb"].hex() == "01010000009c7500883ce4377e0000000000000080"


def test_postgis_keeps_its_ewkb() -> None:
    with_srid = "0101000020E6100000000000000000F03F0000000000000040"
    assert read("geometry", with_srid) == {"wkb": bytes.fromhex(with_srid), "srid": 4326}


def test_vectors() -> None:
    assert read("vector", "[1,2.5]") == [1.0, 2.5]
    assert read("sparsevec", "{1:0.5,3:2}/5") == {"dimensions": 5, "vector": {1: 0.5, 3: 2.0}}


# ---- domains and unknown types


def _domain(base: TypeInfo, typmod: int = -1) -> TypeInfo:
    return TypeInfo(oid=5, name="dom", schema="public", kind="d", base=base, base_typmod=typmod)


def test_domains_are_their_base_without_default() -> None:
    inner = _domain(TypeInfo(oid=1700, name="numeric"), (8 << 16 | 3) + 4)
    found = resolve(Column(name="c", type=_domain(inner), default="1.5", nullable=False), TypeSettings())
    assert found is not None
    assert (found.schema.parameter("scale"), found.schema.has_default) == ("3", False)
    over_enum = resolve(Column(name="c", type=_domain(MOOD)), TypeSettings())
    assert over_enum is not None
    assert over_enum.schema.name == "io.debezium.data.Enum"


def test_unknown_types_appear_only_when_asked_for() -> None:
    composite = Column(name="c", type=TypeInfo(oid=5, name="comp", schema="public", kind="c", category="C"))
    assert resolve(composite, TypeSettings()) is None
    found = resolve(composite, TypeSettings(include_unknown=True, binary="hex"))
    assert found is not None
    assert (found.schema, found.reader.read(b"(1)")) == (Schema(type="string", optional=True), "283129")


def test_a_users_type_named_like_a_built_in_one_is_unknown() -> None:
    assert resolve(Column(name="c", type=TypeInfo(oid=70000, name="int4", schema="mine")), TypeSettings()) is None


def test_geometric_types_are_printed_as_the_driver_does() -> None:
    assert read("circle", "<(1,2),3>", include_unknown=True) == b"<(1.0,2.0),3.0>"
    assert read("box[]", "{(2,2),(0,0);(1,1),(0,0)}", include_unknown=True) == [
        b"(2.0,2.0),(0.0,0.0)",
        b"(1.0,1.0),(0.0,0.0)",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (1e7, "1.0E7"), (0.001, "0.001"), (0.0001, "1.0E-4"), (1.5e300, "1.5E300"), (-0.0, "-0.0"),
     (float("nan"), "NaN"), (float("-inf"), "-Infinity"), (12345678.9, "1.23456789E7")],
)  # fmt: skip
def test_java_doubles(value: float, text: str) -> None:
    assert java_double(value) == text
