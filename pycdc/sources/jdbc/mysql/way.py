"""What EXPLAIN says, in words.

Source: MySQL Reference Manual, "EXPLAIN Output Format".
"""

from __future__ import annotations

from collections.abc import Sequence

from pycdc.sources.jdbc.dialect import Row


def way_of(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Of EXPLAIN's columns and rows: which index serves."""
    steps = [{name.lower(): (value or b"").decode() for name, value in zip(names, row, strict=True)} for row in rows]
    # a small table is read whole although an index could serve: what counts is whether there is one
    if any(s["type"] == "ALL" and not s["possible_keys"] and not s["table"].startswith("<") for s in steps):
        return "no index serves: each poll reads the whole table"
    chosen = [s["key"] for s in steps if s["key"]]
    possible = [s["possible_keys"] for s in steps if not s["key"] and s["possible_keys"]]
    sorts = any("filesort" in s["extra"] for s in steps if s["key"] or not s["possible_keys"])
    indexes = ", ".join(dict.fromkeys(chosen + possible)) or "none"
    return f"index {indexes}{' once the table has grown' if possible and not chosen else ''}{', and sorts' if sorts else ''}"
