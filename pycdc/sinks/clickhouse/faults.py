"""Which of ClickHouse's errors are a row's own, which pass, and how they are told without the row's values."""

from __future__ import annotations

import re
from typing import Any, Final

from pycdc.errors import BadRow, ConnectionLost, PycdcError, SinkError, TargetSchemaError

#: Codes after which the same call may succeed (the connector's own list: busy, read-only for a while, too many parts ...).
_PASSING: Final = frozenset((3, 107, 159, 164, 202, 203, 209, 210, 225, 241, 242, 252, 285, 286, 319, 425, 517, 999))
#: The table is not what it was when it was looked at: NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE.
_CHANGED: Final = frozenset((16, 47, 60, 81))
_LOGIN: Final = frozenset((192, 193, 194, 497, 516))
_OF_A_ROW: Final = re.compile(
    r"CANNOT_PARSE|CANNOT_READ_ARRAY|CANNOT_INSERT_NULL|TYPE_MISMATCH|OUT_OF_BOUND|OUT_OF_RANGE|TOO_LARGE_STRING|UNKNOWN_ELEMENT_OF_ENUM|INCORRECT_DATA|"
    r"DECIMAL_OVERFLOW|VIOLATED_CONSTRAINT|CANNOT_CONVERT"
)
_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]{5,})\)")
#: What urllib3 puts before a reason: its own connection.
_CLIENT: Final = re.compile(r"^(<[^>]*>|\w+\([^)]*\)): ")
_ROW: Final = re.compile(r"at row (\d+)|\(row (\d+)")


def is_of_a_row(error: Exception) -> bool:
    """Whether the same write without some row would do."""
    return _code(error) not in _PASSING and any(map(_OF_A_ROW.search, _NAME.findall(str(error))))


def row_at_fault(error: Exception) -> int | None:
    """Its place in the block, where the server says it."""
    found = _ROW.search(str(error))
    return None if found is None else int(found[1]) - 1 if found[1] else int(found[2])


def bad_row(error: Exception, table: str) -> BadRow:
    """The error, its record still unknown. `original` has the server's own words, for the dead letter's header."""
    bad = BadRow(f"a row cannot be written to {table}", cause=_words(error, told=False), hint=f"compare the record with: SHOW CREATE TABLE {table}")
    bad.original = str(error).splitlines()[0]
    return bad


def translate(error: Exception, what: str, where: str, *, told: bool = True) -> PycdcError:
    """`told`: the statement holds no values of rows, so that the server's words may be repeated."""
    code, words = _code(error), _words(error, told=told)
    if code is None and not (isinstance(error, OSError) or type(error).__name__ == "OperationalError"):
        return SinkError(what, where=where, cause=words)
    if code is None:
        return ConnectionLost(what, where=where, cause=words, hint="check hostname, port (8123, or 8443 with ssl=true), username and password")
    if code in _CHANGED:
        return TargetSchemaError(what, where=where, cause=words)
    if code in _LOGIN:
        return SinkError(what, where=where, cause=words, hint="check username and password, and what SHOW GRANTS says")
    return SinkError(what, where=where, cause=words, retriable=code in _PASSING)


def _code(error: Exception) -> int | None:
    """ClickHouse's own code; None when the error is not the server's."""
    code: Any = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _words(error: Exception, *, told: bool) -> str:
    code = _code(error)
    if code is None:  # the way there failed: what the client says of it has the whole request's URL
        reason = getattr(error.__cause__, "reason", None) or error.__cause__ or error
        return (_CLIENT.sub("", str(reason)).splitlines() or [type(reason).__name__])[0][:300]
    if told:
        return (str(error).splitlines() or [type(error).__name__])[0][:300]
    return f"code {code} {', '.join(sorted(set(_NAME.findall(str(error)))))}".strip()
