"""Log sequence numbers of PostgreSQL's WAL.

An LSN is an int everywhere inside pycdc; its text form `16/B374D848` exists only in SQL and in messages
(PostgreSQL docs, "pg_lsn Type").
"""

from __future__ import annotations


def parse_lsn(text: str) -> int:
    """`"16/B374D848"` -> int. Raises ValueError when the text is not an LSN."""
    high, slash, low = text.partition("/")
    if not slash:
        raise ValueError(f"not an LSN: {text!r}")
    return (int(high, 16) << 32) | int(low, 16)


def format_lsn(lsn: int) -> str:
    """The text form of `lsn`, e.g. `"16/B374D848"`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
