"""Clients of Kafka Connect: which answers each takes, and how strictly it reads them.

From their sources: kafbat/kafka-ui (kafka-connect-api.yaml), cloudhut/connect-client of Redpanda Console, kcctl,
Strimzi's KafkaConnectApiImpl, lensesio/kafka-connect-ui, and ricardo-ch/go-kafka-connect under Mongey's provider for
Terraform. A shape names what the client reads; it may be looser about the rest than this, never stricter.
"""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar, Literal

import msgspec

from pycdc.servers.process import ServerFailed, wait_for
from pycdc.testing.rest import Answer, request


class Refused(Exception):
    """The client shows an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status, self.message = status, message


class Client:
    """What all do. `ask` gives what the client reads, None where it expects no body."""

    #: Seconds that a 409 is tried again; none of them sees one while the group is at rest.
    patience = 1.0
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, url: str) -> None:
        self.url = url

    def sent(self, method: str, path: str, body: object = None) -> Answer:
        given, _, query = path.partition("?")
        found: list[Answer] = []

        def settled() -> bool:
            text = None if body is None else msgspec.json.encode(body).decode()
            found.append(request(self.url, method, given, query, text, self.headers))
            return found[-1].status != 409

        with contextlib.suppress(ServerFailed):
            wait_for(settled, self.patience, "always 409")
        return found[-1]

    def ask(self, shape: Any, method: str, path: str, body: object = None) -> Any:
        answer = self.sent(method, path, body)
        if answer.status >= 400:
            raise self.refused(answer)
        if shape is None or answer.status == 204:
            return None
        assert answer.headers["content-type"].split(";")[0] == "application/json", answer
        return msgspec.json.decode(answer.body, type=shape)

    def refused(self, answer: Answer) -> Refused:
        error = msgspec.json.decode(answer.body, type=Error)
        assert error.error_code == answer.status, answer
        return Refused(answer.status, error.message)

    def until(self, shape: Any, path: str, true: Any) -> Any:
        """What it reads there once it is so."""
        found: list[Any] = []

        def reached() -> bool:
            try:
                found.append(self.ask(shape, "GET", path))
            except Refused as error:
                assert error.status == 404, error  # no status is known yet
                return False
            return bool(true(found[-1]))

        try:
            wait_for(reached, 30, f"{path} is never as the client wants it")
        except ServerFailed as error:
            error.add_note(str(found[-1:]))
            raise
        return found[-1]


# ---- shapes; a name may be null wherever a reader of Java takes null


class Error(msgspec.Struct):
    error_code: int
    message: str


class Root(msgspec.Struct):
    version: str
    commit: str
    kafka_cluster_id: str


class TaskId(msgspec.Struct):
    connector: str
    task: int


class Connector(msgspec.Struct):
    name: str
    config: dict[str, str]
    tasks: list[TaskId]
    type: Literal["source", "sink"]


class Task(msgspec.Struct):
    id: TaskId
    config: dict[str, str]


class TaskStatus(msgspec.Struct):
    """kafbat's list of states has no STOPPED for a task."""

    id: int
    state: Literal["RUNNING", "FAILED", "PAUSED", "RESTARTING", "UNASSIGNED"]
    worker_id: str
    trace: str | None = None


class ConnectorState(msgspec.Struct):
    state: Literal["RUNNING", "FAILED", "PAUSED", "RESTARTING", "UNASSIGNED", "STOPPED"]
    worker_id: str
    trace: str | None = None
    version: str | None = None


class Status(msgspec.Struct):
    name: str
    connector: ConnectorState
    tasks: list[TaskStatus]
    #: Unknown for a moment behind a DELETE; kafbat, which takes no such type of a connector, reads none here.
    type: Literal["source", "sink", "unknown"]

    def is_all(self, state: str, tasks: int = 1) -> bool:
        return self.connector.state == state and [t.state for t in self.tasks] == [state] * tasks


class Expanded(msgspec.Struct):
    info: Connector
    status: Status


class Topics(msgspec.Struct):
    topics: list[str]


class Plugin(msgspec.Struct, rename={"class_": "class"}):
    class_: str
    type: str
    version: str | None


class Definition(msgspec.Struct):
    name: str
    type: Literal["BOOLEAN", "CLASS", "DOUBLE", "INT", "LIST", "LONG", "PASSWORD", "SHORT", "STRING"]
    required: bool
    default_value: str | None
    importance: Literal["LOW", "MEDIUM", "HIGH"]
    documentation: str
    group: str | None
    order: int
    width: Literal["SHORT", "MEDIUM", "LONG", "NONE"]
    display_name: str
    dependents: list[str]


class Value(msgspec.Struct):
    name: str
    value: str | None
    recommended_values: list[str]
    errors: list[str]
    visible: bool


class Config(msgspec.Struct):
    #: Null for a key that nobody defines.
    definition: Definition | None
    value: Value


class Validation(msgspec.Struct):
    name: str
    error_count: int
    groups: list[str]
    configs: list[Config]

    @property
    def errors(self) -> list[str]:
        return [e for c in self.configs for e in c.value.errors]


class Offset(msgspec.Struct):
    partition: dict[str, Any]
    offset: dict[str, Any] | None


class Offsets(msgspec.Struct):
    offsets: list[Offset]


class Message(msgspec.Struct):
    message: str


# ---- the clients


class Kafbat(Client):
    """Spring's WebClient names a content type also where there is none."""

    headers: ClassVar = {"Content-Type": "application/json"}


class Redpanda(Client):
    """An error without a code other than 0 is "unknown" to it."""

    headers: ClassVar = {"Content-Type": "application/json", "User-Agent": "CloudHut-Connect-Client"}


class Kcctl(Client):
    patience = 30.0


class Lenses(Client):
    """A browser's: it takes any 2xx and says what a refusal's JSON says."""

    headers: ClassVar = {"Accept": "application/json, text/plain, */*"}


class Strimzi(Client):
    """Asks for certain codes, whatever else would be as good."""

    patience = 0.0

    def exactly(self, code: int | tuple[int, ...], shape: Any, method: str, path: str, body: object = None) -> Any:
        answer = self.sent(method, path, body)
        if answer.status not in (code if isinstance(code, tuple) else (code,)):
            raise self.refused(answer)
        return None if shape is None else msgspec.json.decode(answer.body, type=shape)


class Terraform(Client):
    """Differs what it has sent and what it reads, text by text."""

    patience = 2.5

    def applied(self, name: str, config: dict[str, str]) -> None:
        """Create or update, then read: nothing may be left to change."""
        try:
            self.ask(Connector, "GET", f"/connectors/{name}")
        except Refused as error:
            assert error.status == 404, error
            self.ask(Connector, "POST", "/connectors", {"name": name, "config": config})
        else:
            self.ask(Connector, "PUT", f"/connectors/{name}/config", config)
        read = self.ask(Connector, "GET", f"/connectors/{name}").config
        assert read == {**config, "name": name}
        assert self.ask(dict[str, str], "GET", f"/connectors/{name}/config") == read
