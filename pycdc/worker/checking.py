"""What REST asks about classes and configurations, for one worker's settings; and passwords that lie open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pycdc.worker.requests import Config, RequestError
from pycdc.worker.validation import plugins
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.frame import Worker as Rules
from pycdc.worker.validation.validate import checked, errors_text, named, validate

if TYPE_CHECKING:
    from pycdc.worker.settings import Worker


class Checking:
    """Of one worker."""

    def __init__(self, worker: Worker) -> None:
        """Raises ConfigError."""
        self._rules = Rules.of(worker.raw)
        self._forbids = worker.config.forbid_plain_secrets

    def listed(self, *, connectors_only: bool) -> list[dict[str, Any]]:
        return [dict(p) for p in plugins.listed(connectors_only=connectors_only)]

    def definition(self, plugin: str, version: str | None) -> list[dict[str, Any]]:
        """Raises RequestError."""
        return [dict(d) for d in plugins.definition(plugin, version)]

    async def form(self, plugin: str, config: Config) -> dict[str, Any]:
        """Raises RequestError."""
        form = await validate(plugin, config, self._rules)
        self._find_open_secrets(form.entries, config)
        return dict(form.body())

    async def must_be_valid(self, name: str, config: Config, *, renamed: bool = False) -> None:
        """`renamed`: the configuration may call itself otherwise than the connector. Raises RequestError."""
        form = await checked(config if renamed else named(name, config), self._rules)
        self._find_open_secrets(form.entries, config)
        text = errors_text(form)
        if text is not None:
            raise RequestError(400, text)

    def _find_open_secrets(self, entries: list[Entry], config: Mapping[str, str | None]) -> None:
        if not self._forbids:
            return
        for entry in entries:
            written = config.get(entry.name)
            if entry.fact is not None and entry.fact.type == "PASSWORD" and written and "${" not in written:
                entry.errors.append(
                    f"{entry.name} lies open in the configuration, which this worker forbids: "
                    "write ${file:/path/to/secrets.properties:key}, ${dir:/path:file} or ${env:NAME}"
                )
