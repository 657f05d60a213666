"""The survey as text for people and as JSON for machines. Configurations are not in it: they hold passwords."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from pycdc.migrate import positions
from pycdc.migrate.byhand import back_by_hand, lines, move_by_hand
from pycdc.migrate.decision import Decision
from pycdc.migrate.endpoint import Endpoint
from pycdc.migrate.judgement import Finding
from pycdc.migrate.survey import Surveyed

_WIDTH = 110
_TITLES = ("NAME", "CLASS", "STATE", "TASKS", "POSITION", "VERDICT", "READS")


def table(found: Sequence[Surveyed]) -> list[str]:
    """One line per connector; what it reads stands last, because it is long."""
    rows = [_TITLES, *(_row(s) for s in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_TITLES) - 1)]
    return ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows]


def _row(s: Surveyed) -> tuple[str, ...]:
    c = s.connector
    running = sum(t.state == "RUNNING" for t in c.tasks)
    connector_class = c.config.get("connector.class", "?").rpartition(".")[2]
    reads = ", ".join(f"{word} {text}" for word, text in s.captured.items())
    return c.name, connector_class, c.state, f"{running}/{len(c.tasks)}", position(s), s.judgement.verdict, reads


def position(s: Surveyed) -> str:
    return "unknown" if s.offsets is None else positions.told(s.offsets)


def as_json(found: Sequence[Surveyed]) -> str:
    return json.dumps([_object(s) for s in found], indent=2)


def _object(s: Surveyed) -> dict[str, Any]:
    c = s.connector
    return {
        "name": c.name, "type": c.kind, "class": c.config.get("connector.class"), "version": c.version, "state": c.state,
        "tasks": [{"id": t.id, "state": t.state} for t in c.tasks], "failure": c.failure, "reads": s.captured,
        "position": position(s), "offsets": msgspec.to_builtins(s.offsets), "verdict": str(s.judgement.verdict),
        "findings": [msgspec.to_builtins(f) for f in s.judgement.findings], "checks": list(s.judgement.checks),
    }  # fmt: skip


def reasons(s: Surveyed, more: Iterable[Finding] = ()) -> Iterator[str]:
    """A connector's paragraph of the plan, without its steps."""
    c, findings = s.connector, [*s.judgement.findings, *more]
    verdict = min((f.verdict for f in findings), key=_ORDER.index, default=s.judgement.verdict)
    yield f"{c.name}: {verdict}"
    yield f"  {c.kind} {c.config.get('connector.class', '?')} {c.version}".rstrip() + f", {c.state}, position {position(s)}"
    yield from _wrapped("reads", ", ".join(f"{word} {text}" for word, text in s.captured.items()))
    if c.failure:
        yield from _wrapped("failed", c.failure)
    for finding in sorted(findings, key=lambda f: _ORDER.index(f.verdict)):
        yield from _wrapped("refused" if finding.verdict == "not possible" else finding.verdict, str(finding))
    for check in s.judgement.checks:
        yield from _wrapped("unknown", check)


_ORDER = ("not possible", "differs", "same")


def _wrapped(word: str, text: str) -> list[str]:
    first = f"  {word}: "
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def steps(s: Surveyed, decision: Decision, old: Endpoint, new: Endpoint) -> Iterator[str]:
    """How to move it: the one command, and by hand there and back."""
    c = s.connector
    if not decision.steps:
        yield f"  moved already: it is {decision.wish} on the new side"
        return
    yield "  to move it:"
    yield f"    pycdc migrate apply {old}{_options(old)} --to {new}{_options(new)} --connector {shlex.quote(c.name)}"
    yield "  and back, while the old side still has it:"
    yield f"    pycdc migrate apply {old}{_options(old)} --to {new}{_options(new)} --connector {shlex.quote(c.name)} --back"
    yield "  by hand:"
    yield from lines(move_by_hand(c, old, new, has_positions=bool(s.offsets)), "    ")
    yield "  and back by hand:"
    yield from lines(back_by_hand(c, old, new), "    ")


def _options(side: Endpoint) -> str:
    """Those of the command line that the side needs; secrets stay where they are."""
    prefix, variable = ("--", "CONNECT") if side.option == "URL" else (f"{side.option}-", "CONNECT_TO")
    user = f" {prefix}user '${{env:{variable}_USER}}'" if side.user is not None else ""
    bearer = f" {prefix}bearer '${{env:{variable}_TOKEN}}'" if side.bearer is not None else ""
    return user + bearer + (f" {prefix}cacert {shlex.quote(str(side.cacert))}" if side.cacert is not None else "")


def left_to_do(name: str, decision: Decision) -> list[str]:
    """What `apply --dry-run` says."""
    if not decision.steps:
        return [f"{name}: moved already, {decision.wish} on the new side"]
    return [f"{name}: {step}" for step in decision.steps]
