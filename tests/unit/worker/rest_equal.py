"""Is an answer of ours equal to a recorded one? By the rules of the compare tool that came with the captures.

Never compared: words that explain (documentation, labels), order, widths, what is recommended; groups are a set, lines of a
400 stand in any order. Where the recorded text is Java's own, ours may be another; its 500 for a user's mistake may be 400.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "compat" / "golden"
FREE = {"documentation", "display_name", "order", "dependents", "recommended_values", "width", "version"}
JAVA = re.compile(
    r"Cannot invoke|Cannot deserialize|construct instance|Unrecognized (token|field)|PluginDesc|java\.|org\.apache\.|was expecting"
    r"|No enum constant|Unexpected (end|character)|JsonToken|jackson|Unparse?able|ParseException|near index|Error while validating connector config"
)


class Step:
    """One call and its recorded answer."""

    def __init__(self, call: dict[str, Any], status: int, body: Any) -> None:
        self.method, self.path, self.body = call["m"], call["p"].rstrip("/"), call.get("b")
        path, _, query = self.path.partition("?")
        self.path, self.query = path.rstrip("/"), call.get("q") or query
        self.status, self.answer = status, body

    def __repr__(self) -> str:
        return f"{self.method} {self.path}?{self.query} {json.dumps(self.body)[:60]}"


def steps(group: str, **values: str) -> list[Step]:
    """Those of golden/`group`.json that have an answer, with `values` put in."""
    text = (GOLDEN / f"{group}.json").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    found = json.loads(text)
    if "answers" in found:
        return [Step(a["step"], a["status"], _json(a["body"])) for a in found["answers"]]
    return [Step(s, s["answer"]["status"], _body(s["answer"], found.get("defs", {}))) for s in found["steps"] if "answer" in s]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _body(answer: dict[str, Any], defs: dict[str, Any]) -> Any:
    if "json" not in answer:
        return _json(answer["body"])
    found = answer["json"]
    if isinstance(found, list):
        return [defs[d[1:]] for d in found]
    return {**found, "configs": [{**c, "definition": c["definition"] and defs[c["definition"][1:]]} for c in found["configs"]]}


def differences(step: Step, status: int, body: Any) -> list[str]:
    """Empty: equal."""
    java = step.status == 500 and JAVA.search(json.dumps(step.answer))
    if status != step.status and not (java and status == 400):
        return [f"status {status} for {step.status}: {body}"]
    return [] if java else list(_differ(step.answer, body, "body", ""))


def _differ(theirs: Any, ours: Any, at: str, key: str) -> Iterator[str]:
    if key in FREE:
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for k in {*theirs, *ours} - FREE:
            if k in theirs and k in ours:
                yield from _differ(theirs[k], ours[k], f"{at}.{k}", k)
            else:
                yield f"{at}.{k} only in {'theirs' if k in theirs else 'ours'}"
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _differ_lists(theirs, ours, at, key)
    elif theirs != ours and not (key in ("message", "errors") and _same_text(str(theirs), str(ours))):
        yield f"{at}: {ours!r} for {theirs!r}"


def _differ_lists(theirs: list[Any], ours: list[Any], at: str, key: str) -> Iterator[str]:
    if theirs and isinstance(theirs[0], dict):
        named, mine = {_name(t): t for t in theirs}, {_name(o): o for o in ours}
        for name in sorted({*named, *mine}):
            if name in named and name in mine:
                yield from _differ(named[name], mine[name], f"{at}[{name}]", "")
            else:
                yield f"{at}[{name}] only in {'theirs' if name in named else 'ours'}"
    elif len(theirs) != len(ours):
        yield f"{at}: {ours} for {theirs}"
    else:
        for i, (t, o) in enumerate(zip(sorted(theirs), sorted(ours), strict=True)):
            yield from _differ(t, o, f"{at}[{i}]", key)


def _name(item: dict[str, Any]) -> str:
    return str((item.get("value") or item)["name"])


def _same_text(theirs: str, ours: str) -> bool:
    return bool(JAVA.search(theirs)) or sorted(_sorted_maps(theirs).split("\n")) == sorted(_sorted_maps(ours).split("\n"))


def _sorted_maps(text: str) -> str:
    return re.sub(r"\{[^}]*\}", lambda m: str(sorted(m[0][1:-1].split(", "))), text)
