"""integers, floats, numeric in its three modes, money, booleans and bit strings."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_columns import read, resolved

from pycdc.model.template import Form


def test_integers_pass_as_digits() -> None:
    for name, kind in (("int2", "int16"), ("int4", "int32"), ("int8", "int64"), ("oid", "int64")):
        column = resolved(name)
        assert (column.schema.type, column.reader.form) == (kind, Form.DIGITS)
        assert column.reader.read(b"-7") == -7


@pytest.mark.parametrize(("text", "value"), [("1.10", "1.10"), ("-0.01", "-0.01"), ("99999.99", "99999.99")])
def test_precise_numeric_has_the_columns_scale(text: str, value: str) -> None:
    column = resolved("numeric(7,2)")
    assert str(column.reader.read(text.encode())) == value
    assert column.reader.unscaled is not None
    assert column.reader.unscaled(text.encode()) == int(Decimal(value) * 100)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1", "1.1", "1.123"])
def test_precise_numeric_refuses_what_its_scale_cannot_hold(text: str) -> None:
    column = resolved("numeric(7,2)")
    assert column.reader.unscaled is not None
    with pytest.raises(ValueError, match="2 decimals"):
        column.reader.unscaled(text.encode())


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_unscaled_and_value_are_one_number(number: Decimal) -> None:
    reader = resolved("numeric(38,3)").reader
    text = f"{number:f}".encode()
    assert reader.unscaled is not None
    assert reader.read(text) == number
    assert Fraction(reader.unscaled(text), 1000) == Fraction(number)


def test_a_negative_scale_is_kept() -> None:
    column = resolved("numeric(5,-2)")
    assert column.schema.parameter("scale") == "-2"
    assert column.reader.unscaled is not None
    assert column.reader.unscaled(b"-12300") == -123
    assert column.reader.read(b"12300") == Decimal(12300)


@pytest.mark.parametrize(
    ("text", "scale", "value"),
    [("22.2200", 2, b"\x08\xae"), ("100000", 0, b"\x01\x86\xa0"), ("-0.5", 1, b"\xfb"), ("0.00", 0, b"\0"), ("128", 0, b"\0\x80")],
)  # fmt: skip
def test_numeric_without_precision_drops_trailing_zeros(text: str, scale: int, value: bytes) -> None:
    assert read("numeric", text) == {"scale": scale, "value": value}


def test_the_longest_numeric_is_read() -> None:
    digits = "7" * 131_072
    assert int.from_bytes(read("numeric", digits)["value"], "big") % 10**9 == 777_777_777
    assert resolved("numeric(1000,0)").reader.unscaled(b"9" * 1000) == 10**1000 - 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mode", "text", "value"),
    [
        ("string", "1.10", "1.10"), ("string", "NaN", "NAN"), ("string", "-Infinity", "NEGATIVE_INFINITY"),
        ("double", "1.10", 1.1), ("double", "Infinity", float("inf")),
    ],
)  # fmt: skip
def test_other_decimal_modes(mode: str, text: str, value: Any) -> None:
    assert read("numeric(7,2)", text, decimal=mode) == value


@pytest.mark.parametrize(
    ("text", "value"), [("$1,234.11", "1234.11"), ("-$1,234.11", "-1234.11"), ("($0.01)", "-0.01"), ("5.00", "5.00")]
)
def test_money(text: str, value: str) -> None:
    assert read("money", text) == Decimal(value)
    assert read("money", text, decimal="string") == value
    assert (
        str(read("money", text, money_fraction_digits=1))
        == f"{Decimal(value).quantize(Decimal('0.1'), 'ROUND_HALF_UP')}"
    )


def test_money_of_another_locale_is_refused() -> None:
    with pytest.raises(ValueError, match="money"):
        read("money", "1.234,11 €")


def test_bit_strings_are_little_endian_and_short() -> None:
    assert read("bit(2)", "11") == b"\x03"
    assert read("varbit", "000000110000001000000001") == b"\x01\x02\x03"
    assert read("varbit", "0000") == b""
    assert read("bit(9)", "100000000") == b"\x00\x01"
    assert (read("bit(1)", "1"), read("varbit(1)", "0")) == (True, False)


def test_an_empty_varbit_of_one_bit_has_no_value() -> None:
    with pytest.raises(ValueError, match="int"):
        read("varbit(1)", "")


def test_booleans() -> None:
    assert (read("bool", "t"), read("bool", "f")) == (True, False)
    with pytest.raises(ValueError, match="neither"):
        read("bool", "true")
