"""Lines of COPY's text format."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pycdc.postgres.copy import split_line

_LETTERS = {0x08: b"\\b", 0x09: b"\\t", 0x0A: b"\\n", 0x0B: b"\\v", 0x0C: b"\\f", 0x0D: b"\\r", 0x5C: b"\\\\"}


def escaped(value: bytes | None) -> bytes:
    """As the server's CopyAttributeOutText writes it."""
    return b"\\N" if value is None else b"".join(_LETTERS.get(c, bytes((c,))) for c in value)


awkward = st.lists(
    st.sampled_from([b"\\", b"N", b"\t", b"\n", b"\r", b"\v", b"\f", b"\b", b"x", b"\xc3\xa4", b"."])
).map(b"".join)


@given(st.lists(st.one_of(st.none(), awkward, st.binary(max_size=8)), min_size=1, max_size=8))
def test_any_values_come_back(values: list[bytes | None]) -> None:
    assert split_line(b"\t".join(map(escaped, values))) == values


def test_a_backslash_and_an_n_are_not_null() -> None:
    assert split_line(b"\\N\t\\\\N\tN\t\t\\n") == [None, b"\\N", b"N", b"", b"\n"]
