"""Which columns make a table's record key.

message.key.columns wins, in its own order; then the primary key in its definition's order; then the first
unique index that has no expression (partial ones and nullable columns count too: the captures show it).
"""

from __future__ import annotations

import regex

from pycdc.model.javaregex import compile_java
from pycdc.model.table import Table


class KeyRules:
    """message.key.columns: `schema.table:col1,col2;...`, the table a pattern."""

    def __init__(self, rules: list[tuple[regex.Pattern[str], tuple[str, ...]]]) -> None:
        self._rules = rules

    @classmethod
    def parse(cls, text: str) -> KeyRules:
        """Raises ValueError that names the malformed rule."""
        rules = []
        for rule in text.split(";"):
            if not rule.strip():
                continue
            table, colon, columns = rule.strip().rpartition(":")
            names = tuple(c.strip() for c in columns.split(",") if c.strip())
            if not colon or not table or not names:
                raise ValueError(f"rule {rule.strip()!r} is not of the form table:column,column")
            rules.append((compile_java(table.strip(), ignore_case=True), names))
        return cls(rules)

    def columns(self, table: Table) -> tuple[str, ...]:
        """Names of the key's columns in order; empty when the table has no key."""
        for pattern, names in self._rules:
            if pattern.fullmatch(table.id) and all(table.column(n) is not None for n in names):
                return names
        if table.primary_key:
            return table.primary_key
        return table.unique_indexes[0].columns if table.unique_indexes else ()
