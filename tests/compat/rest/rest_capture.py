"""Recorded REST sessions of the real Kafka Connect, read into one shape.

golden/cluster/ holds sessions with two workers, golden/single/ an older format of sessions with one. A step is
the JSON object of the file: `m` a call with path `p`, query `q`, body `b`, headers `h` and worker `w` (1, 2, L leader,
F follower); `act` something done beside REST; `wait` and `sleep` before either; `rec` false: the answer is not kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

GOLDEN = Path(__file__).parents[1] / "golden"

Step = dict[str, Any]


class Answer(NamedTuple):
    """Header names in lower case, unique to the run put back as ${N} and the like; status 0 is no connection."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Capture:
    """`answers` stands beside `steps`, with None for a step whose answer was not kept."""

    name: str
    steps: list[Step]
    answers: list[Answer | None]
    #: Statements for the session's database, after its two tables.
    sql: list[str]
    #: What the server side must be able to: two, kill, kafka, worker (settings of its own), last, file, mirror.
    needs: frozenset[str]
    #: Worker settings that the session was recorded with, besides those of all.
    worker: dict[str, str]
    #: States change while these sessions ask for them.
    soft: bool

    @property
    def recorded(self) -> int:
        return sum(answer is not None for answer in self.answers)


def names() -> list[str]:
    """`single/life` and the like, of all captures."""
    return sorted(str(path.relative_to(GOLDEN).with_suffix("")) for path in GOLDEN.glob("*/*.json"))


def load(path: Path) -> Capture:
    """Either format; the file's place names the capture."""
    found = json.loads(path.read_text())
    name = f"{path.parent.name}/{path.stem}"
    return _single(name, found) if "answers" in found else _cluster(name, found)


def _cluster(name: str, found: dict[str, Any]) -> Capture:
    definitions = found.get("defs", {})
    answers = [_answer(step.pop("answer"), definitions) if "answer" in step else None for step in found["steps"]]
    return Capture(name, found["steps"], answers, found["sql"], frozenset(found["needs"]), found.get("worker", {}), soft=False)


def _answer(found: dict[str, Any], definitions: dict[str, Any]) -> Answer:
    body = json.dumps(_unfolded(found["json"], definitions)) if "json" in found else found["body"]
    return Answer(found["status"], {k.lower(): v for k, v in found["headers"].items()}, body)


def _unfolded(found: Any, definitions: dict[str, Any]) -> Any:
    """`§name` stands for a definition that many answers share."""
    if isinstance(found, list):
        return [definitions[text[1:]] for text in found]
    configs = [{**c, "definition": c["definition"] and definitions[c["definition"][1:]]} for c in found["configs"]]
    return {**found, "configs": configs}


def _single(name: str, found: dict[str, Any]) -> Capture:
    steps = [_as_in_a_cluster(step) for step in found["steps"]]
    kept = iter(found["answers"])
    answers = [_single_answer(next(kept)) if "m" in step and step.get("rec", True) else None for step in steps]
    return Capture(name, steps, answers, [], frozenset(), {}, soft=True)


def _as_in_a_cluster(step: Step) -> Step:
    """Here the path holds the query."""
    path, _, query = step.get("p", "").partition("?")
    return {**step, "p": path, "q": query} if "p" in step else step


def _single_answer(found: dict[str, Any]) -> Answer:
    headers = {"content-type": found["content_type"]} if found["content_type"] else {}
    if found["location"]:
        headers["location"] = "${BASE}" + found["location"]
    return Answer(found["status"], headers, found["body"])
