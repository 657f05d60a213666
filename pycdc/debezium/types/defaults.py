"""DEFAULT expressions as pg_get_expr prints them -> schema defaults, as Debezium derives them.

Only literals count: what stands in the first quotes, or the bare text. A call of a function gives the
type's placeholder. What does not parse, and any type without `Entry.default`, has no default.
"""

from __future__ import annotations

import re
from typing import Any

from pycdc.debezium.types.entry import Entry
from pycdc.model.schema import NO_DEFAULT

_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_CALL = re.compile(r"\(?[A-Za-z0-9_.]+\(.*\)")
_CLOCK = frozenset(("current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"))
_ENUM_LITERAL = re.compile(r"'(.*)'::[^']+", re.DOTALL)


def default_of(expression: str | None, entry: Entry, *, is_enum: bool = False) -> Any:
    """The default's value in `entry`'s schema, or NO_DEFAULT."""
    if expression is None or entry.default is None:
        return NO_DEFAULT
    if is_enum:
        match = _ENUM_LITERAL.fullmatch(expression)
        return NO_DEFAULT if match is None else match[1]
    literal = _literal(expression, entry.generated)
    if literal is None:
        return NO_DEFAULT
    try:
        return entry.default(literal)
    except (ValueError, ArithmeticError):
        return NO_DEFAULT


def _literal(expression: str, generated: str) -> str | None:
    if _CALL.match(expression) or expression.lower() in _CLOCK:
        return generated
    if "'" in expression:
        match = _QUOTED.search(expression)
        return None if match is None else match[1].replace("''", "'")
    return None if expression.startswith("NULL::") else expression.strip()
