"""The condition that bounds a chunk."""

from pycdc.postgres.chunks import KeyColumn, _above

A, B = KeyColumn("a", nullable=False), KeyColumn("b", nullable=True)


def test_keys_that_are_never_null_are_compared_as_rows():
    assert _above([A, KeyColumn('B"x', nullable=False)], ["1", "it's"]) == """(ROW("a", "B""x") > ROW('1', 'it''s'))"""


def test_nulls_come_last():
    assert _above([B], ["1"]) == """(("b" > '1' OR "b" IS NULL))"""
    assert _above([B], [None]) == "(false)"
    assert _above([A, B], ["1", None]) == """("a" > '1')"""
    assert _above([B, A], [None, "2"]) == """("b" IS NULL AND "a" > '2')"""
    assert _above([A, B], ["1", "2"]) == """("a" > '1' OR "a" = '1' AND ("b" > '2' OR "b" IS NULL))"""
