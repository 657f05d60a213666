"""The configurations of a connector's tasks: a sink has as many as it may, a source one, unless its class divides the work.

Such a class is asked beside the leader's other work, for it asks a server; it is asked again from time to time, and what it
says differently reconfigures the tasks. While the server cannot be reached, tasks stay as they are; the first one of a new
connector then starts undivided, and tells what is wrong in its own status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from pycdc.errors import ConfigError, Fault, PycdcError
from pycdc.plugins.contracts import Divided
from pycdc.worker.classes import SINK, connector_class, task_class

if TYPE_CHECKING:
    from pycdc.config.definition import ConfigDef

log = structlog.get_logger(__name__)

#: Longest pause before a source is asked again that could not answer, and limit of an answer, seconds.
_AGAIN: Final = 10.0
_PATIENCE: Final = 60.0

Config = Mapping[str, str]
Tasks = list[dict[str, str]]
#: Name and configuration of a connector -> its parsed settings. Raises ConfigError.
SettingsOf = Callable[[str, Config], "ConfigDef"]


class Divisions:
    """Of one worker, while it leads."""

    def __init__(self, settings_of: SettingsOf, changed: Callable[[str], None]) -> None:
        """`changed` is told the name of a connector whose tasks are to be looked at."""
        self._settings_of, self._changed = settings_of, changed
        #: By connector: the configuration that was asked about, and the answer.
        self._known: dict[str, tuple[Config, Tasks]] = {}
        self._asking: dict[str, tuple[Config, asyncio.Task[None]]] = {}

    def tasks(self, name: str, config: Config) -> Tasks | None:
        """None: it is being found out, and `changed` will be told. Raises ConfigError."""
        source = _divided(config)
        if source is None:
            return task_configs(config)
        asked = self._asking.get(name)
        if asked is None or asked[0] != config:
            self._forget(name)
            self._asking[name] = (config, asyncio.create_task(self._ask(name, config, source)))
        known = self._known.get(name)
        return known[1] if known is not None and known[0] == config else None

    async def _ask(self, name: str, config: Config, source: type[Divided]) -> None:
        plain = task_configs(config)
        while True:
            found, pause = None, _AGAIN
            try:
                settings = self._settings_of(name, config)
                async with asyncio.timeout(_PATIENCE):
                    parts = await source.divided(settings, task_count(config))
                found, pause = [{**plain[0], **part} for part in parts], source.divided_for(settings)
            except (PycdcError, TimeoutError) as error:
                log.warning("a connector's work could not be divided over tasks, trying again", connector=name, cause=str(error))
            known = self._known.get(name)
            answer = found or (plain if known is None else known[1])
            if known is None or known[1] != answer:
                self._known[name] = (config, answer)
                self._changed(name)
            await asyncio.sleep(pause)

    def keep(self, names: Iterable[str]) -> None:
        """Ask no more for others."""
        kept = set(names)
        for name in [n for n in self._asking if n not in kept]:
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        asked = self._asking.pop(name, None)
        if asked is not None:
            asked[1].cancel()


def follow(tasks: Tasks | None, config: Config) -> bool:
    """Whether the tasks are those of this configuration, as far as it can be told without asking. Raises ConfigError."""
    if _divided(config) is None:
        return tasks == task_configs(config)
    return bool(tasks) and all(config.items() <= task.items() for task in tasks or ())


def _divided(config: Config) -> type[Divided] | None:
    found = connector_class(config.get("connector.class", ""))
    if found.type == SINK:
        return None
    plugin = found.load()
    return plugin if isinstance(plugin, Divided) else None


def task_configs(config: Config) -> Tasks:
    """Of a connector whose class does not divide its work. Raises ConfigError."""
    found = connector_class(config.get("connector.class", ""))
    with_class = {**config, "task.class": task_class(found)}
    if found.type != SINK:
        return [with_class]
    return [{**with_class, "task.id": str(i)} for i in range(task_count(config))]


def task_count(config: Config) -> int:
    """tasks.max. Raises ConfigError."""
    text = config.get("tasks.max", "1")
    try:
        return max(1, int(text))
    except ValueError:
        raise ConfigError(faults=(Fault("tasks.max", "must be a whole number of at least 1", text),)) from None
