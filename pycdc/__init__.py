"""Change data capture from PostgreSQL: same connector JSON as Debezium, same bytes, one small process.

The library's names are loaded when they are first used, so that `import pycdc` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycdc.api import ChangeEvent, PostgresSource
    from pycdc.errors import ConfigError, PycdcError

__all__ = ["ChangeEvent", "ConfigError", "PostgresSource", "PycdcError", "__version__"]

__version__ = "0.1.0"

_HOMES = {
    "ChangeEvent": "pycdc.api", "PostgresSource": "pycdc.api", "ConfigError": "pycdc.errors", "PycdcError": "pycdc.errors",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pycdc' has no attribute {name!r}")
