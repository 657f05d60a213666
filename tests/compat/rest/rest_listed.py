"""Deliberate differences, differences.toml: where pycdc answers otherwise than Kafka Connect, and why.

    [[difference]]
    capture = "cluster/bodies"     # file under golden/
    step = 7                       # counted from 0
    original = "500, a null pointer"   # for the reader
    status = 400                   # with a status, `body` is the whole body; without `body` only the status counts
    body = { error_code = 400, message = "..." }
    headers = { location = "..." } # lower case; "" = there is none
    why = "..."

Without a `status` the body is merged into the original's: only the keys given are other ones, positions are the keys
of a list (`body.tasks.0.state = "RUNNING"`). All else must be equal, and the step must differ from the original: a
row that is no longer true fails.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from rest_capture import Answer, Step
from rest_difference import differences

LIST = Path(__file__).parents[1] / "differences.toml"
_KEYS = {"capture", "step", "original", "why"}

Row = dict[str, Any]


def rows(path: Path = LIST) -> dict[tuple[str, int], Row]:
    """By capture and step. Raises ValueError on a row that is incomplete, unknown or there twice."""
    found: dict[tuple[str, int], Row] = {}
    for row in tomllib.loads(path.read_text()).get("difference", []):
        if not row.keys() >= _KEYS or not _KEYS < row.keys() <= _KEYS | {"status", "body", "headers"}:
            raise ValueError(f"each row has {sorted(_KEYS)} and one of status, body, headers: {row}")
        if (row["capture"], row["step"]) in found:
            raise ValueError(f"twice: {row['capture']} step {row['step']}")
        found[row["capture"], row["step"]] = row
    return found


def judged(row: Row | None, step: Step, original: Answer, here: Answer, *, soft: bool) -> list[str]:
    """What differs from the original, or from what the list says instead of it."""
    if row is None:
        return differences(step, original, here, soft=soft)
    if not differences(step, original, here, soft=soft):
        return ["listed in differences.toml, and equal to the original: take it off the list"]
    instead = _instead(row, original)
    return [f"not as listed: {text}" for text in differences(_step(row, step), instead, here, soft=soft)]


def _step(row: Row, step: Step) -> Step:
    """A status alone says nothing of the body."""
    return {**step, "loose": ("status" in row and "body" not in row) or step.get("loose", False), "either": []}


def _instead(row: Row, original: Answer) -> Answer:
    headers = {k: v for k, v in (original.headers | row.get("headers", {})).items() if v}
    if "status" in row:
        return Answer(row["status"], headers, json.dumps(row["body"]) if "body" in row else "")
    body = json.dumps(_merged(json.loads(original.body), row["body"])) if "body" in row else original.body
    return original._replace(headers=headers, body=body)


def _merged(original: Any, part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if isinstance(original, list):
        return [_merged(item, part[str(at)]) if str(at) in part else item for at, item in enumerate(original)]
    if not isinstance(original, dict):
        return part
    return original | {key: _merged(original.get(key), value) for key, value in part.items()}
