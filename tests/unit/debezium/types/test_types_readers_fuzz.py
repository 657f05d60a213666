"""Whatever the bytes, a reader gives a value or raises ValueError: callers turn that into a named error."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typed_columns import resolved

from pycdc.debezium.types.table import BUILTIN, EXTENSIONS

_MODES: list[dict[str, Any]] = [
    {},
    {"decimal": "string", "time": "isostring", "interval": "string", "hstore": "map", "binary": "base64"},
    {"decimal": "double", "time": "nanoseconds", "binary": "hex"},
    {"time": "connect", "binary": "base64-url-safe"},
]
_SINGLE = [(*BUILTIN, *EXTENSIONS), ("numeric(6,2)", "numeric(4,-2)", "time(3)", "timestamp(0)", "bit(4)", "varbit(9)")]
_READERS = [
    reader.read
    for mode in _MODES
    for names in _SINGLE
    for name in names
    for resolution in [
        resolved(name, mode),
        *([resolved(f"{name}[]", mode)] if name in ("int4", "text", "date") else []),
    ]
    for reader in (resolution.reader, resolution.snapshot_reader)
]
_TEXT = st.one_of(
    st.binary(max_size=40),
    st.text('0123456789-+:. {}"\\,()[]/=>NULBCinfatyex$', max_size=40).map(str.encode),
    st.from_regex(rb"\d{4}-\d\d-\d\d \d\d:\d\d:(\d\d(\.\d{1,6})?|inf|nan)([+-]\d\d)?( BC)?", fullmatch=True),
    st.from_regex(rb"\d\d:\d\d:(\d\d|inf|1e9|nan)([+-]\d\d)?", fullmatch=True),
)


@given(_TEXT)
@example(b"")
@example(b"2020-01-01 00:00:inf")
@example(b"12:00:inf")
def test_only_value_errors(text: bytes) -> None:
    for read in _READERS:
        with contextlib.suppress(ValueError):
            read(text)


def test_every_type_of_the_table_is_fuzzed() -> None:
    assert len(_READERS) >= 2 * len(_MODES) * (len(BUILTIN) + len(EXTENSIONS))


@pytest.mark.parametrize("text", [b"{", b"{1", b'{"a', b'{"a"b}', b"{{1}", b"{a}}", b"[1:2]", b"x"])
def test_broken_arrays_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="array"):
        resolved("text[]").reader.read(text)
