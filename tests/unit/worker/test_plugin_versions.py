"""Ranges of versions, as Maven writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.worker.validation.versions import range_of


@pytest.mark.parametrize(("text", "shown", "holds"), [
    (None, "", True), ("latest", "", True), (" 3.6.3.Final ", "[3.6.3.Final,3.6.3.Final]", True), ("3.6.3", "[3.6.3,3.6.3]", True),
    ("[3.6.3.Final]", "[3.6.3.Final,3.6.3.Final]", True), ("[3,4)", "[3,4)", True), ("(3.6.3.Final,)", "(3.6.3.Final,)", False),
    ("[3.6.4,)", "[3.6.4,)", False), ("(,3.6.3.Final]", "(,3.6.3.Final]", True), ("(,3.6)", "(,3.6)", False), ("[1,2],[3.6.3-beta,4]", "[1,2],[3.6.3-beta,4]", True),
    ("9.9", "[9.9,9.9]", False), ("3.10", "[3.10,3.10]", False), ("[3.6.3.SP1,)", "[3.6.3.SP1,)", False), ("[3.6.3-rc1,3.6.3]", "[3.6.3-rc1,3.6.3]", True),
])  # fmt: skip
def test_range(text: str | None, shown: str, holds: bool) -> None:
    found = range_of(text)
    assert (str(found), found.holds("3.6.3.Final")) == (shown, holds)


@pytest.mark.parametrize("text", ["[", "]", "(1)", "[]", "[2,1]", "[1,2,3]", "x]", "[1,2]x", "1,2"])
def test_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid version specification: "):
        range_of(text)


@given(st.text(st.sampled_from("0123456789.[](),-betaFinal x"), max_size=12))
def test_any_text_is_a_range_or_none(text: str) -> None:
    try:
        found = range_of(text)
    except ValueError:
        return
    assert found.holds("1.0") in (True, False)
    assert str(range_of(str(found))) == str(found)
