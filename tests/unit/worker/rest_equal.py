"""Recorded answers beside what our functions give, compared as whole sessions are (tests/compat/rest)."""

from __future__ import annotations

import json
from typing import Any

import rest_difference
from rest_capture import GOLDEN, load

from pycdc.testing.rest import Answer


class Step:
    """One call and its recorded answer, of which headers do not matter here."""

    def __init__(self, call: dict[str, Any], recorded: Answer) -> None:
        self.call, self.recorded = call, Answer(recorded.status, {}, recorded.body)
        self.method, self.path, self.body = call["m"], call["p"].rstrip("/"), call.get("b")
        self.query = call.get("q") or ""
        self.status = recorded.status

    @property
    def answer(self) -> Any:
        try:
            return json.loads(self.recorded.body)
        except ValueError:
            return self.recorded.body

    def __repr__(self) -> str:
        return f"{self.method} {self.path}?{self.query} {json.dumps(self.body)[:60]}"


def steps(group: str, **values: str) -> list[Step]:
    """Those of golden/`group`.json that have an answer, with `values` put in."""
    found = load(GOLDEN / f"{group}.json")
    return [Step(_filled(s, values), Answer(a.status, {}, _filled_text(a.body, values))) for s, a in zip(found.steps, found.answers, strict=True) if a is not None]


def _filled(call: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    filled: dict[str, Any] = json.loads(_filled_text(json.dumps(call), values))
    return filled


def _filled_text(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def differences(step: Step, status: int, body: Any) -> list[str]:
    """Empty: equal."""
    return rest_difference.differences(step.call, step.recorded, Answer(status, {}, json.dumps(body)))
