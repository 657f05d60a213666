"""Which tables, columns and message prefixes are captured.

Lists are Java patterns, separated by commas, matched in full and without case against `schema`,
`schema.table` and `schema.table.column` (Debezium's *.include.list and *.exclude.list).
"""

from __future__ import annotations

import re

import msgspec

from pycdc.model.javaregex import NameFilter

_BUILTIN = re.compile(r"^(pg_catalog|information_schema|pg_toast|pg_temp.*|pg_toast_temp.*)$")
_EMPTY = NameFilter([])


class Filters(msgspec.Struct, kw_only=True):
    """An empty include list means everything."""

    schema_include: NameFilter = _EMPTY
    schema_exclude: NameFilter = _EMPTY
    table_include: NameFilter = _EMPTY
    table_exclude: NameFilter = _EMPTY
    column_include: NameFilter = _EMPTY
    column_exclude: NameFilter = _EMPTY
    message_include: NameFilter = _EMPTY
    message_exclude: NameFilter = _EMPTY
    ignore_builtin: bool = True
    #: signal.data.collection, which is captured whatever the lists say.
    signal_table: str | None = None

    def table(self, schema: str, table: str) -> bool:
        """Whether changes of this table become events."""
        if self.signal_table is not None and f"{schema}.{table}" == self.signal_table:
            return True
        if self.ignore_builtin and (_BUILTIN.match(schema) or table == "spatial_ref_sys"):
            return False
        if self.schema_include and not self.schema_include.matches(schema):
            return False
        if self.schema_exclude and self.schema_exclude.matches(schema):
            return False
        name = f"{schema}.{table}"
        if self.table_include and not self.table_include.matches(name):
            return False
        return not (self.table_exclude and self.table_exclude.matches(name))

    def column(self, schema: str, table: str, column: str) -> bool:
        """Whether this column is in the row's schema; key columns stay in the key regardless."""
        name = f"{schema}.{table}.{column}"
        if self.column_include and not self.column_include.matches(name):
            return False
        return not (self.column_exclude and self.column_exclude.matches(name))

    def message(self, prefix: str) -> bool:
        """Whether a logical message of this prefix becomes an event."""
        if self.message_include and not self.message_include.matches(prefix):
            return False
        return not (self.message_exclude and self.message_exclude.matches(prefix))
