"""Numbers as Java 19 and later print them."""

import pytest

from pycdc.model.javahash import map_order
from pycdc.model.javatext import double_text, float_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.5, "1.5"), (1e10, "1.0E10"), (1e7, "1.0E7"), (9999999.0, "9999999.0"), (1e-3, "0.001"), (1e-4, "1.0E-4"),
        (5e-324, "4.9E-324"), (1e-323, "9.9E-324"), (1.5e-323, "1.5E-323"), (2e-323, "2.0E-323"), (2.2250738585072014e-308, "2.2250738585072014E-308"),
        (1e23, "1.0E23"), (float("nan"), "NaN"), (float("-inf"), "-Infinity"),
    ],
)  # fmt: skip
def test_doubles(value, text):
    assert double_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.4e-45, "1.4E-45"), (2.8e-45, "2.8E-45"), (1.1754944e-38, "1.1754944E-38"), (0.1, "0.1"), (16777217.0, "1.6777216E7"), (3.4028235e38, "3.4028235E38")],
)
def test_floats(value, text):
    assert float_text(value) == text


def test_the_order_of_javas_maps():
    assert map_order(["public.c_one", "public.c_two", "public.sig"]) == ["public.c_two", "public.c_one", "public.sig"]
