"""Bodies of the REST API's requests, as Kafka Connect reads them: JSON whose plain values become texts the Java way.

What cannot be read is the client's fault and 400, where the original has 500 with its parser's text.

Source: Kafka Connect's CreateConnectorRequest and Jackson's coercions; captures of 4.1.1 (create_values, bodies).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec

from pycdc.model.javatext import double_text
from pycdc.worker.configs import Target
from pycdc.worker.validation.kafkatypes import BLANKS

_STATES: Final = {"RUNNING": Target.STARTED, "PAUSED": Target.PAUSED, "STOPPED": Target.STOPPED}
_OF_CREATE: Final = ("name", "config", "initial_state")

#: A configuration as it came; None: the key is there without a value.
Config = dict[str, str | None]


class RequestError(Exception):
    """An answer that is an error: HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Create(msgspec.Struct, frozen=True):
    """POST /connectors. `name` is trimmed, "" without one; `target` None: nothing was wished."""

    name: str
    config: Config
    target: Target | None


class PartitionOffset(msgspec.Struct, frozen=True):
    """One entry of an offsets request; `offset` None: to be forgotten."""

    partition: dict[str, Any] | None
    offset: dict[str, Any] | None


def create_of(body: bytes) -> Create:
    """Raises RequestError."""
    found = _object(body)
    unknown = [k for k in found if k not in _OF_CREATE]
    if unknown:
        raise _bad(f"unknown member {unknown[0]!r}; known are: {', '.join(_OF_CREATE)}")
    state = found.get("initial_state")
    if state is not None and (not isinstance(state, str) or state.upper() not in _STATES):
        raise _bad(f"initial_state is {_shown(state)}; it must be one of {', '.join(_STATES)}")
    name = _text(found.get("name"), "name")
    config = found.get("config")
    if not isinstance(config, dict):
        raise _bad("the body has no object `config`")
    return Create((name or "").strip(BLANKS), _texts(config), _STATES[state.upper()] if state is not None else None)


def config_of(body: bytes) -> Config:
    """PUT of a configuration, and validate. Raises RequestError."""
    return _texts(_object(body))


def patched(config: Mapping[str, str | None], patch: Config) -> Config:
    """PATCH of a configuration: a null takes a key away."""
    merged = {**config, **patch}
    return {k: v for k, v in merged.items() if k not in patch or v is not None}


def offsets_of(body: bytes) -> list[PartitionOffset]:
    """PATCH of offsets. Raises RequestError; what each connector wants of its partitions is not looked at."""
    found = _object(body)
    entries = found.get("offsets")
    if entries is None or entries == []:
        raise _bad("Partitions / offsets need to be provided for an alter offsets request")
    if not isinstance(entries, list):
        raise _bad("`offsets` is no list")
    return [_entry(e) for e in entries]


def _entry(entry: Any) -> PartitionOffset:
    if not isinstance(entry, dict):
        raise _bad(f"an entry of `offsets` is {_shown(entry)}, no object")
    for member in ("partition", "offset"):
        value = entry.get(member)
        if value is not None and not isinstance(value, dict):
            raise _bad(f"`{member}` of an entry of `offsets` is {_shown(value)}, no object")
    return PartitionOffset(entry.get("partition"), entry.get("offset"))


def level_of(body: bytes) -> str:
    """PUT of a logger's level. Raises RequestError."""
    level = _text(_object(body).get("level"), "level")
    if level is None:
        raise _bad("Desired 'level' parameter was not specified in request.")
    return level


# ---- JSON


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _bad(f"the body is no JSON: {error.msg}, line {error.lineno}, column {error.colno}") from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _bad(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _bad(f"the body is {_shown(found)}, no object")
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _texts(config: dict[str, Any]) -> Config:
    return {key: _text(value, key) for key, value in config.items()}


def _text(value: Any, key: str) -> str | None:
    """As Jackson coerces: numbers as Java prints them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, int):
        return str(value)
    raise _bad(f"the value of {key!r} is {_shown(value)}; configurations have texts, numbers and booleans")


def _shown(value: Any) -> str:
    """Its kind: values are never repeated."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _bad(message: str) -> RequestError:
    return RequestError(400, message)
