"""json.indent.output: compact JSON as Jackson's DefaultPrettyPrinter shows it. Members have lines of their own, items have not."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^"{}\[\],:]+')


def pretty(compact: bytes) -> bytes:
    """`compact` has no white space between its parts."""
    out: list[bytes] = []
    #: What is open around the place, innermost last.
    around: list[bytes] = []
    before = b""
    for token in _TOKEN.findall(compact):
        if token in b"}]":
            around.pop()
            empty = before in (b"{", b"[")
            out.append(b" " if empty or token == b"]" else _line(around))
        elif before == b"{" or (before == b"," and around[-1] == b"{"):
            out.append(_line(around))
        elif before in (b"[", b","):
            out.append(b" ")
        out.append(b" : " if token == b":" else token)
        if token in b"{[":
            around.append(token)
        before = token
    return b"".join(out)


def _line(around: list[bytes]) -> bytes:
    """Arrays indent nothing."""
    return b"\n" + b"  " * around.count(b"{")
