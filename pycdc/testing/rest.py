"""Calls of the REST API of Kafka Connect, as its clients make them, whoever's worker answers."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from pycdc.servers.process import wait_for

#: A worker itself gives up after 90 s.
_ANSWER: Final = 100.0
#: Seconds that states may take to come about; the machine may be busy.
_STATE: Final = 30.0


class Answer(NamedTuple):
    """Header names in lower case; status 0 is no connection."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """None without a body."""
        return json.loads(self.body) if self.body else None


def request(base: str, method: str, path: str, query: str = "", body: str | None = None, headers: Mapping[str, str | None] | None = None) -> Answer:
    """One call, the path sent as it stands. Raises OSError, http.client.HTTPException."""
    address = urllib.parse.urlsplit(base)
    data = None if body is None else body.encode()
    given: dict[str, str | None] = {"Accept": "application/json"}
    if data is not None:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ANSWER)
    try:
        connection.putrequest(method, f"{path}?{query}" if query else path, skip_accept_encoding=True)
        for name, value in (given | dict(headers or {})).items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode(errors="replace"))
    finally:
        connection.close()


class Rest:
    """One worker's API, for what a test does beside what it is about."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Raises OSError, http.client.HTTPException."""
        given, _, query = path.partition("?")
        return request(self.url, method, given, query, None if body is None else json.dumps(body))

    def done(self, method: str, path: str, body: object = None) -> Any:
        """What it answers. Raises AssertionError for a refusal."""
        answer = self.call(method, path, body)
        assert answer.status < 400, f"{method} {path}: {answer.status} {answer.body}"
        return answer.json()

    def status(self, name: str) -> Any:
        """None where there is none."""
        answer = self.call("GET", f"/connectors/{name}/status")
        return answer.json() if answer.status == 200 else None

    def until(self, name: str, true: Callable[[Any], bool], seconds: float = _STATE) -> Any:
        """The status once `true(it)`. Raises ServerFailed with the last one."""
        found: list[Any] = [None]

        def seen() -> bool:
            found[0] = self.status(name)
            return true(found[0])

        try:
            wait_for(seen, seconds, f"the status of {name} never becomes what is waited for")
        except Exception as error:
            error.add_note(f"the last one: {found[0]}")
            raise
        return found[0]

    def until_state(self, name: str, connector: str, tasks: Collection[str], seconds: float = _STATE) -> Any:
        """The status once connector and tasks, by number, have these states."""

        def reached(status: Any) -> bool:
            return status is not None and status["connector"]["state"] == connector and [t["state"] for t in status["tasks"]] == list(tasks)

        return self.until(name, reached, seconds)
