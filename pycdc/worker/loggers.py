"""Log levels while the worker runs, as /admin/loggers shows and sets them.

Users set levels by the original's names: those of Debezium and Kafka reach our modules that do the same work.

Source: Kafka Connect's Loggers; KIP-495, KIP-976; captures of 4.1.1.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from pycdc.telemetry import log
from pycdc.worker.requests import RequestError

_ROOT: Final = "root"
_LEVELS: Final = {
    "ALL": 1, "TRACE": logging.DEBUG, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL, "OFF": logging.CRITICAL,
}  # fmt: skip
#: The original's names -> the modules that do that work here.
_OURS: Final = {
    "io.debezium": ("pycdc.sources.postgres", "pycdc.postgres", "pycdc.debezium", "pycdc.transforms"),
    "io.debezium.connector.jdbc": ("pycdc.sinks.postgres",),
    "org.apache.kafka.connect": ("pycdc.worker", "pycdc.runtime", "pycdc.converters"),
    "org.apache.kafka.clients": ("pycdc.kafka",),
}
_SHOWN: Final = (_ROOT, *_OURS, "pycdc")


class Loggers:
    """Of this process."""

    def __init__(self, level: str = "INFO") -> None:
        self._levels: dict[str, str] = dict.fromkeys(_SHOWN, level.upper())
        self._modified: dict[str, int] = {}

    def listed(self) -> dict[str, dict[str, Any]]:
        return {name: self._shown(name) for name in sorted(self._levels)}

    def one(self, name: str) -> dict[str, Any]:
        """Raises RequestError."""
        if name not in self._levels:
            raise RequestError(404, f"Logger {name} not found.")
        return self._shown(name)

    def _shown(self, name: str) -> dict[str, Any]:
        return {"level": self._levels[name], "last_modified": self._modified.get(name)}

    @staticmethod
    def level_named(text: str) -> str:
        """Raises RequestError for one that is none."""
        if text.upper() not in _LEVELS:
            raise RequestError(404, f"invalid log level '{text}'.")
        return text.upper()

    def set_level(self, name: str, level: str) -> list[str]:
        """Of the logger and those below it; those whose level changes. A new name makes a logger."""
        known = {n: held for n, held in self._levels.items() if name in (_ROOT, n) or n.startswith(f"{name}.")}
        known.setdefault(name, "")
        changed = sorted(n for n, held in known.items() if held != level)
        for each in changed:
            self._levels[each], self._modified[each] = level, time.time_ns() // 1_000_000
            for module in _modules(each):
                log.set_level(module, _LEVELS[level])
        return changed


def _modules(name: str) -> tuple[str, ...]:
    if name == _ROOT:
        return (log.ROOT,)
    return _OURS.get(name, (name,))
