"""The PostgreSQL types as Debezium shows them: `table.py` is the table, one line a type.

`resolve` turns a column of the catalog into schema and readers; the rules of column.mask, column.truncate
and source-type propagation are applied on top.
"""

from __future__ import annotations

from pycdc.debezium.types.entry import ResolvedColumn, TypeSettings
from pycdc.debezium.types.masks import hashed, masked, truncated, with_source_type
from pycdc.debezium.types.table import resolve

__all__ = ["ResolvedColumn", "TypeSettings", "hashed", "masked", "resolve", "truncated", "with_source_type"]
