"""What REST asks about classes and configurations, for one worker's settings; and passwords that lie open."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pycdc.config.late import without_references
from pycdc.errors import ConfigError, Fault
from pycdc.worker.requests import Config, RequestError
from pycdc.worker.validation import plugins
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.frame import Worker as Rules
from pycdc.worker.validation.validate import checked, errors_text, named, validate

if TYPE_CHECKING:
    from pycdc.worker.settings import Worker


#: Of keys that are handed on unseen: clients' overrides, converters, JDBC properties.
_NAMED: Final = re.compile(r"(^|\.)(password|passphrase|secret|token|sasl\.jaas\.config|basic\.auth\.user\.info|ssl\.keystore\.key)$")
#: A password in a URL: of its user, or as a parameter.
_IN_URL: Final = re.compile(r"://[^/?#@\s:]+:[^/?#@\s]+@|[?&;]\s*password=[^&;\s]", re.IGNORECASE)
_OPEN: Final = (
    "lies open in the configuration, which this worker forbids: write ${file:/path/to/secrets.properties:key}, ${dir:/path:file} or ${env:NAME}"
)


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

    async def must_hide_its_secrets(self, config: Mapping[str, str]) -> None:
        """Of a connector from a file, which is not looked at otherwise before it runs. Raises ConfigError."""
        if not self._forbids:
            return
        with contextlib.suppress(RequestError):  # it fails when it runs
            open_ = _open_secrets((await checked(dict(config), self._rules)).entries, config)
            if open_:
                faults = tuple(Fault(key, _OPEN, origin=f"connector {config.get('name', '')}") for key in open_)
                raise ConfigError("The configuration of a connector is wrong.", faults=faults)

    def _find_open_secrets(self, entries: list[Entry], config: Mapping[str, str | None]) -> None:
        if not self._forbids:
            return
        known = {entry.name: entry for entry in entries}
        for key in _open_secrets(entries, config):
            if key not in known:
                entries.append(Entry(fact=None, name=key, errors=[]))
                known[key] = entries[-1]
            known[key].errors.append(f"{key} {_OPEN}")


def _open_secrets(entries: Iterable[Entry], config: Mapping[str, str | None]) -> list[str]:
    """Keys of passwords, by what the connector says, by names that clients and converters have, and in URLs."""
    passwords = {e.name for e in entries if e.fact is not None and e.fact.type == "PASSWORD"}
    return [key for key, text in config.items() if text and _is_open(text, named=key in passwords or _NAMED.search(key) is not None)]


def _is_open(text: str, *, named: bool) -> bool:
    left = without_references(text)
    return (named and left == text) or _IN_URL.search(left) is not None
