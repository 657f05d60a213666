"""What a signal asks for: its JSON -> a request. Malformed ones raise SignalError and change nothing.

Source: Debezium's documentation, "Sending signals to a Debezium connector"; the captures of area `signals`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pycdc.errors import PycdcError
from pycdc.model.javahash import map_order
from pycdc.model.javaregex import compile_java
from pycdc.plugins.contracts import Signal

EXECUTE: Final = "execute-snapshot"
STOP: Final = "stop-snapshot"
PAUSE: Final = "pause-snapshot"
RESUME: Final = "resume-snapshot"
LOG: Final = "log"
OPEN: Final = "snapshot-window-open"
CLOSE: Final = "snapshot-window-close"
#: What a user may send.
KNOWN: Final = (EXECUTE, STOP, PAUSE, RESUME, LOG)

INCREMENTAL, BLOCKING = "INCREMENTAL", "BLOCKING"


class SignalError(PycdcError):
    """A signal cannot be carried out."""


class SnapshotRequest(msgspec.Struct, frozen=True):
    """`collections` are Java patterns over schema.table; `conditions` pairs of a pattern and its filter."""

    id: str
    blocking: bool
    collections: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...] = ()
    surrogate_key: str | None = None

    def condition(self, table: str) -> str | None:
        """A WHERE condition for an incremental snapshot, a whole SELECT for a blocking one."""
        for pattern, text in self.conditions:
            if compile_java(pattern, ignore_case=True).fullmatch(table):
                return text
        return None


def expand(patterns: tuple[str, ...], tables: list[str]) -> list[str]:
    """The tables that match, each once, in the order of the patterns. A pattern without match stands for itself.

    The matches of one pattern come in the order of the Java map that Debezium keeps tables in: consumers see it.
    """
    found: dict[str, None] = {}
    ordered = map_order(tables)
    for pattern in patterns:
        matching = [t for t in ordered if compile_java(pattern).fullmatch(t)]
        found.update(dict.fromkeys(matching or [pattern]))
    return list(found)


def snapshot_request(signal: Signal) -> SnapshotRequest:
    """Of an `execute-snapshot` signal. Raises SignalError."""
    data = _data(signal)
    collections = _collections(signal, data)
    if not collections:
        raise _error(signal, "data-collections is missing or empty")
    surrogate = data.get("surrogate-key")
    request = SnapshotRequest(
        signal.id, _kind(signal, data) == BLOCKING, collections, _conditions(signal, data, collections),
        surrogate if isinstance(surrogate, str) and surrogate.strip() else None,
    )  # fmt: skip
    for pattern in (*request.collections, *(p for p, _ in request.conditions)):
        try:
            compile_java(pattern)
        except ValueError as error:
            raise _error(signal, f"the pattern {pattern!r} {error}") from None
    return request


def stopped_collections(signal: Signal) -> tuple[str, ...]:
    """Of a `stop-snapshot` signal; empty = all. Raises SignalError."""
    data = _data(signal)
    if _kind(signal, data) == BLOCKING:
        raise _error(signal, "a blocking snapshot cannot be stopped")
    return _collections(signal, data)


def log_message(signal: Signal) -> str:
    """Of a `log` signal: `{}` in it stands for the position. Raises SignalError."""
    message = _data(signal).get("message")
    if not isinstance(message, str) or not message:
        raise _error(signal, "message is missing or empty")
    return message


def _data(signal: Signal) -> dict[str, Any]:
    if not (signal.data or "").strip():
        return {}
    try:
        data = msgspec.json.decode(signal.data or "")
    except msgspec.DecodeError as error:
        raise _error(signal, f"data is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise _error(signal, "data is not a JSON object")
    return data


def _kind(signal: Signal, data: dict[str, Any]) -> str:
    kind = str(data.get("type") or INCREMENTAL).upper()
    if kind not in (INCREMENTAL, BLOCKING):
        raise _error(signal, f"the type {data.get('type')!r} is neither incremental nor blocking")
    return kind


def _collections(signal: Signal, data: dict[str, Any]) -> tuple[str, ...]:
    listed = data.get("data-collections") or []
    if not isinstance(listed, list) or not all(isinstance(c, str) for c in listed):
        raise _error(signal, "data-collections is not a list of strings")
    return tuple(c.strip() for c in listed)


def _conditions(signal: Signal, data: dict[str, Any], collections: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    old = data.get("additional-condition")  # before 2.3: one text for every table
    if isinstance(old, str) and old.strip():
        return tuple((c, old) for c in collections)
    listed = data.get("additional-conditions") or []
    try:
        conditions = tuple((c["data-collection"], c["filter"]) for c in listed)
    except (TypeError, KeyError, AttributeError):
        conditions = ((None, None),)
    if not all(isinstance(c, str) and isinstance(f, str) for c, f in conditions):
        raise _error(signal, "additional-conditions is not a list of objects with data-collection and filter")
    return conditions


def _error(signal: Signal, cause: str) -> SignalError:
    return SignalError(
        f"signal {signal.id!r} of type {signal.type!r} is ignored", cause=cause,
        hint='an example of data: {"data-collections": ["public.orders"], "type": "incremental"}',
    )  # fmt: skip
