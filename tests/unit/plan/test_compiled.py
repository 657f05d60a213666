"""The column-wise format against plain substitution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.plan.compiled import Format
from pycdc.plugins.contracts import Cell

TEXTS = st.binary(max_size=12)


def upper(text):
    return text.upper()


def reference(pieces, row):
    out = b""
    for p in pieces:
        if isinstance(p, bytes):
            out += p
        elif row[p.column] is None:
            out += p.null
        else:
            out += row[p.column] if p.encode is None else p.encode(row[p.column])
    return out


@given(
    literals=st.lists(st.binary(max_size=6), min_size=4, max_size=4),
    rows=st.lists(st.tuples(TEXTS | st.none(), TEXTS, TEXTS | st.none()), min_size=1, max_size=8),
)
def test_a_run_is_encoded_as_each_row_alone(literals, rows):
    pieces = [
        literals[0], Cell(0, None, b"null"), literals[1], Cell(1, upper, None, lambda column: [c.upper() for c in column]),
        literals[2], Cell(2, upper, b"0"), literals[3],
    ]  # fmt: skip
    assert Format(pieces).encode(list(zip(*rows, strict=True)), len(rows)) == [reference(pieces, r) for r in rows]


def test_a_null_where_none_is_allowed_is_refused():
    with pytest.raises(TypeError):
        Format([Cell(0, None, None)]).encode([(b"1", None)], 2)


def test_pieces_without_cells_are_one_literal():
    assert Format([b"100 ", b"%"]).encode([], 3) == [b"100 %"] * 3
