"""Runs the steps of a capture against one or two workers and keeps the answers.

A session owns its names: `${N}` is unique to the run and part of every connector, slot and topic, `${DB}` is its
database. Worker 2, L and F are worker 1 where there is no second one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rest_capture import Answer, Capture, Step

#: What the original says while its group meets; the same call is right a moment later.
_REBALANCING = ("rebalance is expected", "conflicting operation", "momentarily", "rebalance was underway", "Request timed out")
#: A rebalance takes a session timeout and a delay: more than this and the group is broken. Seconds.
_SETTLED = 40.0
#: Limit of a condition that names none, seconds.
_CONDITION = 45.0
#: The same where a condition is known not to come true.
_HURRY = 3
#: A state that takes longer to come true is another one, seconds.
_SOON = 4.0
#: Connect itself gives up after 90 s.
_ANSWER = 100.0
_TABLES = "CREATE TABLE a(id int PRIMARY KEY, t text); INSERT INTO a VALUES (1,'x'),(2,'y'); CREATE TABLE b(id int PRIMARY KEY, t text)"


class Servers(Protocol):
    """What starts and ends workers; 1 or 2."""

    def kill9(self, worker: int) -> None: ...
    def term(self, worker: int) -> None: ...
    def start(self, worker: int) -> None: ...


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """`${NAME}` replaced in every text, also in keys."""
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"${{{name}}}", text)
        return value
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    if isinstance(value, dict):
        return {filled(k, values): filled(v, values) for k, v in value.items()}
    return value


def restored(text: str, values: Mapping[str, str]) -> str:
    """The reverse of `filled`, so that two runs can be compared. Longer ones first: one value may contain another."""
    host, port = values["PG_HOST"], values["PG_PORT"]
    for name in sorted(set(values) - {"PG_HOST", "PG_PORT"}, key=lambda name: -len(values[name])):
        if values[name]:
            text = text.replace(values[name], f"${{{name}}}")
    # host and port are short and common: only where they are certainly meant
    shapes = ("{h}:{p}", '"{h}"', '"{p}"', "database.hostname={h}", "database.port={p}")
    for shape in shapes:
        text = text.replace(shape.format(h=host, p=port), shape.format(h="${PG_HOST}", p="${PG_PORT}"))
    return text


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


class Session:
    """One run of a capture. `values` are those of `${N}`, `${DB}`, `${PG_HOST}`, `${PG_PORT}` and `${KAFKA}`."""

    def __init__(self, addresses: list[str], values: Mapping[str, str], dsn: str, servers: Servers | None = None) -> None:
        self._addresses = [address.rstrip("/") for address in addresses]
        self._values, self._dsn, self._servers = values, dsn, servers
        self._leader: int | None = None
        #: What went wrong beside the recorded answers: it explains the differences that follow.
        self.notes: list[str] = []

    def run(
        self, capture: Capture, right: Callable[[int, Answer], bool] = lambda at, answer: True, listed: Collection[int] = ()
    ) -> list[Answer | None]:
        """Answers beside the capture's steps. Raises psycopg.Error, RuntimeError.

        `listed` steps are known to differ: what they wait for may never come.
        A state that is not `right` is asked for again for a moment: the capture was made on a quiet machine.
        """
        with psycopg.connect(self._dsn, autocommit=True) as sql:
            for statement in [_TABLES, *capture.sql]:
                sql.execute(filled(statement, self._values).encode())
        return [self._step(at, step, right, hurried=at in listed) for at, step in enumerate(capture.steps)]

    def _step(self, at: int, step: Step, right: Callable[[int, Answer], bool], *, hurried: bool) -> Answer | None:
        time.sleep(step.get("sleep", 0))
        waits = step.get("wait", [])
        for wait in waits if isinstance(waits, list) else [waits]:
            if not self._wait({**wait, "s": _HURRY} if hurried else wait, step.get("w", 1)):
                self.notes.append(f"[{at}] condition not reached: {json.dumps(wait)}")
        if "act" in step:
            self._act(step)
        if "m" not in step:
            return None
        answer = self._settled(step)
        if step.get("rec", True):
            end = time.monotonic() + (_SOON if _of_state(step) else 0)
            while not right(at, answer) and time.monotonic() < end:
                time.sleep(0.25)
                answer = self._settled(step)
            return answer
        if answer.status >= 400 and step["m"] != "DELETE":
            self.notes.append(f"[{at}] preparation {step['m']} {step['p']} answered {answer.status}: {answer.body[:300]}")
        return None

    def _settled(self, step: Step) -> Answer:
        """Asked again while the group meets, unless the step is about that very moment."""
        end = time.monotonic() + _SETTLED
        while True:
            answer = self._call(step)
            busy = answer.status in {409, 500} and any(text in answer.body for text in _REBALANCING)
            if not (busy and step.get("settle", True)) or time.monotonic() > end:
                return answer
            time.sleep(0.25)

    def _call(self, step: Step) -> Answer:
        base, body = self._address(step.get("w", 1)), filled(step.get("b"), self._values)
        text = body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        path, query = filled(step["p"], self._values), filled(step.get("q", ""), self._values)
        try:
            answer = request(base, step["m"], path, query, text, step.get("h"))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, {}, f"no connection ({type(error).__name__})")
        headers = {k: restored(v.replace(base, "${BASE}"), self._values) for k, v in answer.headers.items()}
        return Answer(answer.status, headers, restored(answer.body, self._values))

    def _address(self, worker: int | str) -> str:
        number = self._number(worker)
        return self._addresses[number - 1 if number <= len(self._addresses) else 0]

    def _number(self, worker: int | str) -> int:
        """1 or 2."""
        if isinstance(worker, int):
            return worker
        if self._leader is None:
            self._leader = self._find_leader()
        return self._leader if worker == "L" else 3 - self._leader

    def _find_leader(self) -> int:
        """The leader knows that a connector does not exist; others may not say so themselves, and are told not to ask."""
        end = time.monotonic() + _SETTLED
        while len(self._addresses) > 1 and time.monotonic() < end:
            for number, base in enumerate(self._addresses, 1):
                try:
                    if request(base, "DELETE", "/connectors/no-such-connector", "forward=false").status == 404:
                        return number
                except (OSError, http.client.HTTPException):
                    continue
            time.sleep(0.3)
        if len(self._addresses) > 1:
            raise RuntimeError("none of the workers is the leader")
        return 1

    def _wait(self, wait: dict[str, Any], worker: int | str) -> bool:
        """Whether the condition came true within its limit."""
        end = time.monotonic() + wait.get("s", _CONDITION)
        while time.monotonic() < end:
            try:
                if self._true(wait, wait.get("w", worker)):
                    return True
            except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
                pass  # not yet what the condition looks into
            time.sleep(0.12)
        return False

    def _true(self, wait: dict[str, Any], worker: int | str) -> bool:
        answer = request(self._address(worker), "GET", filled(wait["p"], self._values), filled(wait.get("q", ""), self._values))
        if "status" in wait:
            return bool(answer.status == wait["status"])
        found = json.loads(answer.body) if answer.status == 200 else {}
        for member in filled(wait["path"], self._values):
            found = found[member]
        return any(_holds(found, rule, wait[rule]) for rule in ("is", "in", "count", "exactly") if rule in wait) or (
            "worker" in wait and self._address(wait["worker"]).endswith(f"//{found}")
        )

    def _act(self, step: Step) -> None:
        filling = filled({k: v for k, v in step.items() if k in {"sql", "name", "topic", "records"}}, self._values)
        match step["act"]:
            case "sql":
                with psycopg.connect(self._dsn, autocommit=True) as sql:
                    sql.execute(filling["sql"].encode())
            case "topic":
                asyncio.run(_create(self._values["KAFKA"], filling["name"], step.get("partitions", 1)))
            case "produce":
                asyncio.run(_produce(self._values["KAFKA"], filling["topic"], filling["records"]))
            case "kill9" | "term" | "start" as act:
                self._signal(act, step["w"])
            case other:
                raise RuntimeError(f"there is no act {other}")

    def _signal(self, act: str, worker: int | str) -> None:
        if self._servers is None:
            raise RuntimeError("the session kills workers, and nothing was given that could")
        number = self._number(worker)
        getattr(self._servers, act)(number)
        if worker == "L" and act != "start":
            self._leader = 3 - number

    def clean(self) -> None:
        """Delete what the session left, until no worker lists it: the next session may ask. What REST cannot delete stays."""
        stuck: set[str] = set()
        end = time.monotonic() + _SETTLED
        while (left := self._left() - stuck) and time.monotonic() < end:
            base = next(self._answering())
            for name in left:
                status = request(base, "DELETE", f"/connectors/{urllib.parse.quote(name, safe='')}").status
                if status not in {204, 404, 409, 500}:
                    stuck.add(name)
            time.sleep(0.1)

    def _left(self) -> set[str]:
        listed = [json.loads(request(base, "GET", "/connectors").body) for base in self._answering()]
        return {name for names in listed for name in names if self._values["N"] in name}

    def _answering(self) -> Iterator[str]:
        found = False
        for base in self._addresses:
            try:
                request(base, "GET", "/")
            except (OSError, http.client.HTTPException):
                continue
            found = True
            yield base
        if not found:
            raise RuntimeError("none of the workers answers after the session")


def _holds(found: Any, rule: str, wanted: Any) -> bool:
    match rule:
        case "is":
            return bool(found == wanted)
        case "in":
            return found in wanted
        case "count":
            return bool(len(found) >= wanted)
        case _:
            return bool(len(found) == wanted)


def _of_state(step: Step) -> bool:
    """Whether the answer is of what connectors do, not of what they were told."""
    states = step["p"].rstrip("/").endswith(("/status", "/tasks", "/topics", "/offsets")) or "expand" in step.get("q", "")
    return step["m"] == "GET" and states and step.get("settle", True)


async def _create(bootstrap: str, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()


async def _produce(bootstrap: str, topic: str, records: list[dict[str, Any]]) -> None:
    """Keys and values that are no texts are sent as their JSON."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for record in records:
            headers = [(name, text.encode()) for name, text in record.get("headers", [])]
            key, value = _bytes(record.get("key")), _bytes(record.get("value"))
            await producer.send_and_wait(topic, value, key, record.get("partition", 0), headers=headers)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else (value if isinstance(value, str) else json.dumps(value)).encode()
