"""Which of PostgreSQL's errors are a row's own, and how they are told without its values."""

from __future__ import annotations

from typing import Final

import psycopg

from pycdc.errors import BadRow

#: Classes of SQLSTATE (PostgreSQL docs, Appendix A): cardinality, data, integrity, view's check option, limits, PL/pgSQL's RAISE.
_OF_A_ROW: Final = ("21", "22", "23", "44", "54", "P0")
#: Their texts name constraints and columns; those of the other classes may hold the value.
_WITHOUT_VALUES: Final = ("21", "23", "44")


def is_of_a_row(error: psycopg.Error) -> bool:
    """Whether the same write without some row would do."""
    return (error.sqlstate or "").startswith(_OF_A_ROW)


def bad_row(error: psycopg.Error, table: str) -> BadRow:
    """The error, its record still unknown. `original` has the server's own words, for the dead letter's header."""
    state, diagnosis = error.sqlstate or "", error.diag
    words = diagnosis.message_primary or ""
    told = words if state.startswith(_WITHOUT_VALUES) else type(error).__name__
    column = f", column {diagnosis.column_name}" if diagnosis.column_name else ""
    bad = BadRow(f"a row cannot be written to {table}{column}", cause=f"{state} {told}".strip())
    bad.original = f"ERROR: {words}"
    return bad
