"""Logs: readable lines on a terminal, JSON lines otherwise, always on standard error.

Modules log through `structlog.get_logger()`; `configure` is called once by whoever starts the process, and
`bind` puts connector and task on every later line of the running context. Records of the standard library's
logging (aiokafka, asyncio) come out in the same form, from WARNING on. A field whose name says that it holds
a secret is hidden; rows' values are never handed in above debug.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

Format = Literal["auto", "json", "text"]

LEVELS: Final = ("debug", "info", "warning", "error")

_SECRET = re.compile(r"passw|secret|token|jaas|credential|private.?key", re.IGNORECASE)
_HIDDEN = "[hidden]"


def configure(fmt: Format = "auto", level: str = "info", stream: TextIO | None = None) -> bool:
    """Set up both logging systems; returns whether lines are JSON."""
    out = sys.stderr if stream is None else stream
    as_json = fmt == "json" or (fmt == "auto" and not out.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            _of_its_logger,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            *(_json_tail() if as_json else _text_tail(colors=out.isatty())),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: _Named(out, names[0] if names else ""),
        cache_logger_on_first_use=False,  # loggers are made at import, before this call, and tests call it again
    )
    _levels.clear()
    _levels[ROOT] = number
    global _format  # noqa: PLW0603  # logging is one for the whole process, as its levels are
    _format = "json" if as_json else "text"
    _route_standard_logging(max(number, logging.WARNING))
    return as_json


#: The level that counts where no nearer one is set.
ROOT: Final = ""
#: By beginning of a logger's name.
_levels: Final[dict[str, int]] = {ROOT: logging.INFO}


def set_level(name: str, number: int) -> None:
    """For the logger of that name (a module or package; ROOT: all) and those below it that have none of their own."""
    _levels[name] = number
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(min(_levels.values())))


#: As `configure` has decided it.
_format: Format = "auto"


def as_configured() -> tuple[str, str]:
    """Format and level of this process, for one that it starts."""
    return _format, {v: k for k, v in _NUMBERS.items()}.get(_levels[ROOT], "info")


def level_of(name: str) -> int:
    """What counts for a logger."""
    while name and name not in _levels:
        name = name.rpartition(".")[0]
    return _levels[name]


class _Named(structlog.PrintLogger):
    """Knows whose it is."""

    def __init__(self, file: TextIO, name: str) -> None:
        super().__init__(file)
        self.name = name


def _of_its_logger(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Lines below their own logger's level go no further; the class of all loggers stops only what none wants."""
    if len(_levels) > 1 and isinstance(logger, _Named) and _NUMBERS.get(method, logging.CRITICAL) < level_of(logger.name):
        raise structlog.DropEvent
    return event


_NUMBERS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def bind(**fields: str) -> None:
    """Fields for every later line of this context and the tasks it starts, e.g. connector and task."""
    structlog.contextvars.bind_contextvars(**fields)


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever a field named like a secret holds, it is not shown."""
    for name in event:
        if _SECRET.search(name):
            event[name] = _HIDDEN
    return event


def _json_tail() -> list[Any]:
    import orjson

    def dumps(event: object, default: Any) -> str:
        return orjson.dumps(event, default=default).decode()

    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=dumps)]


def _text_tail(*, colors: bool) -> list[Any]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]


class _Routed(logging.Handler):
    """Hands the standard library's records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            # The trace of a library's logged exception may quote bytes of a record: type only.
            fields["exception"] = record.exc_info[0].__name__
        try:
            structlog.get_logger().log(record.levelno, record.getMessage(), **fields)
        except Exception:
            self.handleError(record)


def _route_standard_logging(level: int) -> None:
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Routed)]:
        root.removeHandler(handler)
    root.addHandler(_Routed())
    root.setLevel(level)
