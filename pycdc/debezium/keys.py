"""Which columns make a table's record key.

message.key.columns wins, in its own order, for what of it the table has; then the primary key in its definition's order; then the first
unique index that has no expression (partial ones and nullable columns count too: the captures show it).
"""

from __future__ import annotations

import regex

from pycdc.model.javaregex import compile_java
from pycdc.model.table import Table


class KeyRules:
    """message.key.columns: `table:column,column;...`. Table and column make one pattern, over schema.table.column."""

    def __init__(self, rules: list[regex.Pattern[str]]) -> None:
        self._rules = rules

    @classmethod
    def parse(cls, text: str) -> KeyRules:
        """Raises ValueError that names the malformed rule."""
        rules = []
        for rule in text.split(";"):
            if not rule.strip():
                continue
            table, colon, columns = rule.strip().partition(":")
            names = [c.strip() for c in columns.split(",")]
            if not colon or not table.strip() or not all(names) or ":" in columns:
                raise ValueError(f"rule {rule.strip()!r} is not of the form table:column,column")
            rules += [compile_java(f"{table.strip()}.{name}", ignore_case=True) for name in names]
        return cls(rules)

    def columns(self, table: Table) -> tuple[str, ...]:
        """Names of the key's columns in order; empty when the table has no key."""
        chosen = [c.name for rule in self._rules for c in table.columns if rule.fullmatch(f"{table.id}.{c.name}")]
        if chosen:
            return tuple(dict.fromkeys(chosen))
        if table.primary_key:
            return table.primary_key
        return table.unique_indexes[0].columns if table.unique_indexes else ()
