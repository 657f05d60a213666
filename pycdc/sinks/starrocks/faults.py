"""What StarRocks answers to a load -> an error whose class says what to do about it.

Texts are looked at here and nowhere else. No error tells a value: of StarRocks' own messages, which quote rows, only
the reason and the column are kept.

Source: fe FrontendServiceImpl, DatabaseTransactionMgr; be stream_load, delta_writer, json_scanner, csv_scanner,
tablet_sink; the permanent errors of StarRocks' Stream Load SDK.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pycdc.errors import ConnectionLost, PycdcError, SinkError, TargetSchemaError


class Busy(SinkError):
    """StarRocks cannot take a load just now: it wants fewer or later ones."""

    retriable = True


class LabelTaken(SinkError):
    """The label has been used."""


class RowsRefused(SinkError):
    """StarRocks refuses rows of a load: some of their values do not fit."""

    def __init__(self, what: str = "", *, column: str = "", **more: Any) -> None:
        super().__init__(what, **more)
        #: The column that the server names first; empty when it names none.
        self.column = column


class Outdated(TargetSchemaError):
    """The table is not what it was when it was looked at."""


_BUSY: Final = (
    "too many versions", "running txns on db", "http concurrent limit", "reached timeout", "timeout by txn manager", "memory", "in processing",
)  # fmt: skip
_REFUSED: Final = ("too many filtered rows", "primary key size exceed", "data quality error", "failed to iterate", "illegal json")
_OUTDATED: Final = (
    "unknown table", "unknown database", "has no default value", "is not in table", "cannot be resolved", "unknown column",
    "only primary key table support partial update", "merge condition column",
)  # fmt: skip
_DENIED: Final = ("access denied", "no valid basic authorization", "need auth")
_HINTS: Final = {
    "too many versions": "load less often: raise bufferflush.intervalms; look at compaction with: SHOW PROC '/compactions'",
    "running txns on db": "ADMIN SET FRONTEND CONFIG ('max_running_txn_num_per_db' = '2000'), or load less often: bufferflush.intervalms",
}

#: Reasons in the error log, with the column that each names; what stands around them are values.
_REASONS: Final = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"NULL value in non-nullable column '([^']+)'", "a null for a NOT NULL column"),
        (r"Value length is beyond the capacity\. column=([^,]+), capacity=\d+", "it is longer than the column"),
        (r"Numeric type is required\. column=([^.\s]+)", "the column takes numbers"),
        (r"Value is overflow\. column=([^,]+), value", "out of the column's range"),
        (r"Unable to cast string value to \w+\. value=.*, column=([^.\s]+)", "the column takes numbers"),
        (r"Failed to parse value as array, column=([^.\s]+)", "it is no array"),
        (r"is out of range\. The type of '([^']+)' is", "it is not of the column's type, or out of its range"),
        (r"The field \(name = ([^,]+), pos = \d+\) is out of range\. Type", "it is not of the column's type, or out of its range"),
        (r"Target column count: (\d+) doesn't match", "the row has another number of columns"),
    )
)
#: Where a message of StarRocks begins to quote the data.
_QUOTED: Final = re.compile(r"(?i)(,? ?\bvalue(?:: |=| ')|\. ?row:|\bsrc line:|input_str:).*", re.DOTALL)


def fault_of(answer: dict[str, Any], table: str, log: str = "") -> PycdcError:
    """The error behind an answer that is no success. `answer`: names in lower case; `log`: what ErrorURL gave."""
    status, message = str(answer.get("status", "")), str(answer.get("message") or answer.get("msg") or "")
    words = message.lower()
    told = without_values(message)
    if status.lower().replace("_", " ") == "label already exists" or "has already been used" in words:
        return LabelTaken(f"a label is taken in {table}", cause=told)
    if "commit timeout" in status.lower() or "publish timeout" in words:
        return ConnectionLost(f"nobody knows yet whether a load into {table} is committed", cause=told)
    what = f"StarRocks refuses a load into {table}"
    if any(w in words for w in _REFUSED):
        reason, column = reason_of(log)
        return RowsRefused(what, column=column, cause=f"{told}: {reason}" if reason else told)
    if any(w in words for w in _DENIED):
        return SinkError(what, cause=told, hint="check starrocks.username and starrocks.password; GRANT INSERT ON the tables to the user")
    busy = next((w for w in _BUSY if w in words), None)
    if busy is not None:
        return Busy(f"StarRocks cannot take a load into {table} just now", cause=told, hint=_HINTS.get(busy, ""))
    if any(w in words for w in _OUTDATED):
        return Outdated(what, cause=told, hint=f"compare the records with: DESC `{table}`")
    # StarRocks' own clients try everything again that they do not know better of
    return SinkError(what, cause=f"{status}: {told}" if told else status, retriable=True)


def of_status(status: int, url: str) -> PycdcError:
    """An HTTP answer that is neither a result nor a redirect."""
    if status == 401:
        return SinkError("StarRocks refuses the login", where=url, hint="check starrocks.username and starrocks.password")
    if status in (429, 502, 503, 504):
        return Busy(where=url, cause=f"HTTP {status}")
    if status in (404, 405):
        return SinkError("no StarRocks answers", where=url, cause=f"HTTP {status}", hint="starrocks.http.url takes the FE's http_port (8030)")
    return ConnectionLost("StarRocks does not answer as it should", where=url, cause=f"HTTP {status}")


def reason_of(log: str) -> tuple[str, str]:
    """Reason and column of the first line that is understood; texts that are not are not repeated: they hold rows."""
    for line in log.splitlines():
        for pattern, reason in _REASONS:
            m = pattern.search(line)
            if m is not None:
                return reason, "" if m[1].isdigit() else m[1].strip("`")
    return "", ""


def without_values(message: str) -> str:
    """The first line of a message of StarRocks, cut where it begins to quote."""
    first = message.strip().splitlines()[0] if message.strip() else ""
    return _QUOTED.sub("", first)[:300]
