"""Client settings that a connector gives for itself (`producer.override.*`), and the policy that allows them.

Values are read by the types that Kafka's clients have, and not judged further: what is wrong with them the client will tell.

Source: AbstractHerder.validateClientOverrides and the ConnectorClientConfigOverridePolicy classes of Kafka Connect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pycdc.config.definition import words
from pycdc.errors import ConfigError, Fault
from pycdc.worker.requests import RequestError
from pycdc.worker.validation.form import Entry
from pycdc.worker.validation.forms import Fact, by_name
from pycdc.worker.validation.kafkatypes import Invalid, parse, shown

KEY: Final = "connector.client.config.override.policy"
_LIST: Final = "connector.client.config.override.allowlist"
_SUFFIX: Final = "ConnectorClientConfigOverridePolicy"
_PRINCIPAL: Final = frozenset(("sasl.jaas.config", "sasl.mechanism", "security.protocol"))


class Policy(msgspec.Struct, frozen=True):
    """`allowed` None: everything is."""

    name: str = "All"
    allowed: frozenset[str] | None = None

    @classmethod
    def of(cls, worker: Mapping[str, str]) -> Policy:
        """The one that the worker's properties name, All when they name none. Raises ConfigError."""
        given = worker.get(KEY, "All").strip()
        name = given.rpartition(".")[2].removesuffix(_SUFFIX)
        match name:
            case "All":
                return cls()
            case "None":
                return cls(name, frozenset())
            case "Principal":
                return cls(name, _PRINCIPAL)
            case "Allowlist":
                return cls(name, frozenset(words().parse(worker.get(_LIST, ""))))
        raise ConfigError(faults=(Fault(KEY, "must be All, None, Principal or Allowlist", given),))

    def refusal(self, setting: str) -> list[str]:
        if self.allowed is None or setting in self.allowed:
            return []
        return [f"The '{self.name}' policy does not allow '{setting}' to be overridden in the connector configuration."]


def entries(role: str, texts: Mapping[str, str | None], policy: Policy) -> list[Entry]:
    """What the connector gives to its `role` (producer, consumer, admin). Raises RequestError for a value of another type."""
    prefix = f"{role}.override."
    known = by_name(role, "security")
    return [
        _entry(prefix, name.removeprefix(prefix), text, known.get(name.removeprefix(prefix)), policy)
        for name, text in texts.items() if name.startswith(prefix) and name != prefix
    ]  # fmt: skip


def _entry(prefix: str, setting: str, text: str | None, fact: Fact | None, policy: Policy) -> Entry:
    kind = "STRING" if fact is None else fact.type
    try:
        value = text if fact is None else parse(setting, text, kind)
    except Invalid as error:
        raise RequestError(400, str(error)) from None
    named = None if fact is None else msgspec.structs.replace(fact, name=prefix + setting)
    return Entry(fact=named, name=prefix + setting, value=shown(value, kind), parsed=value, errors=policy.refusal(setting))
