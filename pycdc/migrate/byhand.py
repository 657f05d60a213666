"""The commands that do by hand what `pycdc migrate` does: curl and jq, to be run in a shell as they are.

Credentials are never written into them: variables of the environment stand for them, CONNECT_USER (name:password) and
CONNECT_TOKEN, of the side given by --to CONNECT_TO_USER and CONNECT_TO_TOKEN.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from pycdc.migrate.endpoint import Endpoint
from pycdc.migrate.observed import Observed

_JSON = "-H 'Content-Type: application/json'"


class Manual(NamedTuple):
    """A step and the lines of its command."""

    what: str
    lines: tuple[str, ...]


def move_by_hand(connector: Observed, old: Endpoint, new: Endpoint, *, has_positions: bool = True) -> list[Manual]:
    """From the old side to the new one, in this order."""
    here, there = _at(old, connector.name), _at(new, connector.name)
    curl, curl_new = _curl(old), _curl(new)
    end = {"PAUSED": "pause", "STOPPED": ""}.get(connector.wish, "resume")
    create = (
        f"{curl} {here('/config')} |",
        "  jq '{name, config: ., initial_state: \"STOPPED\"}' |",
        f"  {curl_new} -X POST {_JSON} --data-binary @- {shlex.quote(f'{new}/connectors')}",
    )
    copy = (f"{curl} {here('/offsets')} |", f"  {curl_new} -X PATCH {_JSON} --data-binary @- {there('/offsets')}")
    steps = [
        Manual("create it on the new side, stopped; the new side checks its configuration", create),
        Manual("stop it on the old side", (f"{curl} -X PUT {here('/stop')}",)),
        Manual("wait until its tasks are gone", (_at_rest(curl, here("/status")), "sleep 5")),
    ]
    if has_positions:
        steps.append(Manual("copy its positions", copy))
    if end:
        steps.append(Manual("start it on the new side", (f"{curl_new} -X PUT {there('/' + end)}",)))
    look = (f"{curl_new} {there('/status')}", f"{curl_new} {there('/offsets')}")
    return [*steps, Manual("see that it works there and that its positions grow", look)]


def back_by_hand(connector: Observed, old: Endpoint, new: Endpoint) -> list[Manual]:
    """Back again, while the old side still has the connector, stopped."""
    here, there = _at(old, connector.name), _at(new, connector.name)
    curl, curl_new = _curl(old), _curl(new)
    copy = (f"{curl_new} {there('/offsets')} |", f"  {curl} -X PATCH {_JSON} --data-binary @- {here('/offsets')}")
    return [
        Manual("stop it on the new side", (f"{curl_new} -X PUT {there('/stop')}",)),
        Manual("wait until its tasks are gone", (_at_rest(curl_new, there("/status")), "sleep 5")),
        Manual("copy its positions", copy),
        Manual("start it on the old side", (f"{curl} -X PUT {here('/resume')}",)),
    ]


def _at(side: Endpoint, name: str) -> Callable[[str], str]:
    """A connector's paths -> their addresses as words of the shell."""
    return lambda path: shlex.quote(f"{side}/connectors/{quote(name)}{path}")


def _curl(side: Endpoint) -> str:
    return f"curl -fsS{side.curl}"


def _at_rest(curl: str, status: str) -> str:
    condition = '.connector.state == "STOPPED" and .tasks == []'
    return f"until {curl} {status} | jq -e '{condition}' >/dev/null; do sleep 1; done"


def lines(steps: Sequence[Manual], indent: str) -> list[str]:
    """Numbered, each with its command below."""
    found = []
    for number, (what, commands) in enumerate(steps, 1):
        found.append(f"{indent}{number}. {what}")
        found += [f"{indent}   {line}" for line in commands]
    return found
