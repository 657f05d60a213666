"""Connectors of a worker that is alone, from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pycdc.config.files import read_file
from pycdc.errors import ConfigError, Fault


def connectors(paths: Iterable[str | Path]) -> list[dict[str, str]]:
    """Each file's flat configuration. Raises ConfigError with every fault."""
    found: list[dict[str, str]] = []
    faults: list[Fault] = []
    names: dict[str, str] = {}
    for path in paths:
        try:
            config = read_file(path)
        except ConfigError as error:
            faults.extend(error.faults)
            continue
        name = config.get("name", "")
        if not name:
            faults.append(Fault("name", "is required", origin=str(path)))
        elif name in names:
            faults.append(Fault("name", f"is the name of the connector in {names[name]}, too", name, str(path)))
        names[name] = str(path)
        found.append(config)
    if faults:
        raise ConfigError("The configuration cannot be read.", faults=tuple(faults))
    return found
