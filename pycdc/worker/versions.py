"""Versions that REST tells: of a class that imitates an original, the original's."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from pycdc.errors import ConfigError
from pycdc.worker.classes import connector_class

KAFKA = "4.1.1"
_DEBEZIUM = "3.6.3.Final"
_DEBEZIUM_JDBC = "3.6.0.Final"


@cache
def own_version() -> str:
    """Of this release."""
    try:
        return version("pycdc")
    except PackageNotFoundError:
        return "0"


def version_of_class(name: str) -> str:
    """By the class's full name."""
    if name.startswith("io.debezium.connector.jdbc."):
        return _DEBEZIUM_JDBC
    if name.startswith("io.debezium."):
        return _DEBEZIUM
    if name.startswith("org.apache.kafka."):
        return KAFKA
    return own_version()


def version_of(name: str | None) -> str | None:
    """Of a connector's class as it is written in its configuration; None for one that is not known."""
    try:
        return version_of_class(connector_class(name or "").name)
    except ConfigError:
        return None
