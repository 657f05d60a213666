"""The answer to a validation: every key with its definition, its value and what is wrong with it.

Source: Kafka Connect's ConfigInfos and AbstractHerder.generateResult.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pycdc.worker.validation.forms import Fact
from pycdc.worker.validation.kafkatypes import Value

_SEE = "You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"


class Entry(msgspec.Struct, kw_only=True):
    """A key. `fact` None: nobody defines it. `value` is what is shown, `parsed` what the checks go on with."""

    fact: Fact | None
    name: str
    value: str | None = None
    parsed: Value = None
    recommended: tuple[str, ...] = ()
    errors: list[str] = []
    visible: bool = True

    def body(self) -> dict[str, object]:
        """As JSON has it."""
        value = {
            "name": self.name, "value": self.value, "recommended_values": list(self.recommended), "errors": self.errors,
            "visible": self.visible,
        }  # fmt: skip
        return {"definition": None if self.fact is None else self.fact.body(), "value": value}


class Form(msgspec.Struct, frozen=True):
    """`name` is the connector's class as the user wrote it."""

    name: str
    groups: list[str]
    entries: list[Entry]

    @property
    def error_count(self) -> int:
        return sum(len(e.errors) for e in self.entries)

    def body(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "name": self.name, "error_count": self.error_count, "groups": self.groups, "configs": [e.body() for e in self.entries]
        }  # fmt: skip


def errors_text(form: Form) -> str | None:
    """Why a connector of this configuration is not made; None: it is."""
    messages = [message for entry in form.entries for message in entry.errors]
    if not messages:
        return None
    head = f"Connector configuration is invalid and contains the following {len(messages)} error(s):"
    return "\n".join((head, *messages, _SEE))


def groups_of(facts: Iterable[Fact]) -> list[str]:
    """Each once, in the order in which they come."""
    return list(dict.fromkeys(f.group for f in facts if f.group is not None))
