"""A client of Kafka Connect's REST API, as much of it as moving connectors needs.

What passes by itself is tried again with growing pauses: 409 (a rebalance), the 500s that Connect gives while its group
meets, 503 and bodies without `error_code` while a worker starts, lost connections. Everything else is an error of
`pycdc.errors` that names method and address. Configurations are never shown.

Source: reference of the REST API, org.apache.kafka.connect.runtime.rest; captures of 4.1.1.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import quote

import msgspec

from pycdc.errors import ConnectionLost, ProtocolError, ServerError
from pycdc.migrate.endpoint import Endpoint
from pycdc.migrate.observed import About, Info, Listed, Observed, Status
from pycdc.worker.requests import PartitionOffset

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

#: Connect answers within 90 s or says that it timed out.
_ANSWER_LIMIT: Final = 95.0
_CONNECT_LIMIT: Final = 5.0
#: How long what passes by itself may last, seconds: a rebalance has 60 s by default.
PATIENCE: Final = 90.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0

#: Beginnings of a 500's message that speak of the workers' group and not of the request.
_PASSING: Final = (
    "Request cannot be completed because a rebalance is expected",
    "IO Error trying to forward REST request",
    "Request timed out",
)


class RestRefused(ServerError):
    """Kafka Connect refused a request."""

    def __init__(self, what: str, *, status: int, where: str, cause: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, cause=cause, hint=hint)
        self.status = status


class Answer(NamedTuple):
    status: int
    body: bytes


class _Error(msgspec.Struct):
    """Connect's error body. A worker that is still starting gives one without `error_code`."""

    error_code: int | None = None
    message: str = ""


class _Offsets(msgspec.Struct):
    offsets: list[PartitionOffset]


class _Plugin(msgspec.Struct):
    name: str = msgspec.field(name="class")
    type: str = ""
    version: str | None = None


class _Value(msgspec.Struct):
    name: str
    errors: list[str] = []


class _Validated(msgspec.Struct):
    value: _Value


class _Validation(msgspec.Struct):
    error_count: int
    configs: list[_Validated]


class ConnectRest:
    """One cluster's API. `patience`: seconds that a request may be tried again."""

    def __init__(self, endpoint: Endpoint, *, patience: float = PATIENCE) -> None:
        self.endpoint = endpoint
        self.patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp

        where = self.endpoint
        headers = {"Accept": "application/json"} | ({"Authorization": where.authorization} if where.authorization else {})
        context = ssl.create_default_context(cafile=None if where.cacert is None else str(where.cacert)) if where.cacert else True
        self._session = aiohttp.ClientSession(
            headers=headers,
            skip_auto_headers=("Content-Type",),  # Connect answers 415 where an empty body has one
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=_ANSWER_LIMIT, sock_connect=_CONNECT_LIMIT),
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()

    # ---- what there is

    async def about(self) -> About:
        """Who answers. The first call: an address that is wrong is told at once. Raises ServerError, ProtocolError."""
        # a worker may be starting, which takes some seconds; one that is not there will not come
        answer = await self._call("GET", "/", patience=min(self.patience, 5.0))
        return self._read(answer, About, "GET", "/")

    async def connectors(self) -> dict[str, Observed]:
        """All of them by name, in the order of their names."""
        path = "/connectors?expand=info&expand=status"
        found = self._read(await self._call("GET", path), dict[str, Listed], "GET", path)
        return {name: Observed.of(found[name].info, found[name].status) for name in sorted(found)}

    async def connector(self, name: str) -> Observed | None:
        """One of them; None: there is none of that name."""
        info = await self._found(_path(name), Info)
        return None if info is None else Observed.of(info, await self._found(_path(name, "status"), Status))

    async def offsets(self, name: str) -> list[PartitionOffset]:
        """Its positions. Raises RestRefused 404 on releases before 3.5."""
        path = _path(name, "offsets")
        return self._read(await self._call("GET", path), _Offsets, "GET", path).offsets

    async def versions(self) -> dict[str, str]:
        """Connector classes that the cluster has -> their versions."""
        path = "/connector-plugins"
        return {p.name: p.version or "" for p in self._read(await self._call("GET", path), list[_Plugin], "GET", path)}

    async def complaints(self, connector_class: str, config: Mapping[str, str]) -> dict[str, list[str]]:
        """What the cluster's own validation has against a configuration, by key."""
        path = f"/connector-plugins/{quote(connector_class, safe='')}/config/validate"
        validation = self._read(await self._call("PUT", path, dict(config)), _Validation, "PUT", path)
        return {c.value.name: c.value.errors for c in validation.configs if c.value.errors}

    # ---- what is asked of it

    async def create(self, name: str, config: Mapping[str, str]) -> None:
        """A new connector, stopped. RestRefused 409: there is one of that name."""
        body = {"name": name, "config": dict(config), "initial_state": "STOPPED"}
        await self._call("POST", "/connectors", body, exists=name)

    async def configure(self, name: str, config: Mapping[str, str]) -> None:
        """Another configuration; a connector that is stopped stays so."""
        await self._call("PUT", _path(name, "config"), dict(config))

    async def stop(self, name: str) -> None:
        """Ends its tasks; its positions can be written then."""
        await self._call("PUT", _path(name, "stop"))

    async def start(self, name: str, wish: str) -> None:
        """Out of a stop. `wish`: RUNNING, PAUSED or STOPPED."""
        if wish != "STOPPED":
            await self._call("PUT", _path(name, "resume" if wish == "RUNNING" else "pause"))

    async def write_offsets(self, name: str, offsets: Sequence[PartitionOffset]) -> None:
        """Positions of a stopped connector. RestRefused while a sink's consumers are still in their group."""
        await self._call("PATCH", _path(name, "offsets"), msgspec.to_builtins(_Offsets(list(offsets))))

    async def delete(self, name: str) -> None:
        """Its configuration; its positions stay. Nothing when there is none."""
        await self._found(_path(name), None, method="DELETE")

    # ---- requests

    async def _found(self, path: str, kind: type[T] | None, *, method: str = "GET") -> T | None:
        try:
            answer = await self._call(method, path)
        except RestRefused as error:
            if error.status != 404:
                raise
            return None
        return None if kind is None else self._read(answer, kind, method, path)

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patience: float | None = None, exists: str = ""
    ) -> Answer:
        """The answer, 2xx. `exists`: of a POST, the connector that another 409 than a rebalance's speaks of."""
        end = time.monotonic() + (self.patience if patience is None else patience)
        pause = _FIRST_PAUSE
        while True:
            error = await self._once(method, path, body)
            if isinstance(error, Answer):
                return error
            taken = exists and isinstance(error, RestRefused) and error.status == 409 and await self.connector(exists) is not None
            if taken or not error.retriable or time.monotonic() + pause > end:
                raise error
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer | ServerError:
        """One request; an error is given back, not raised."""
        import aiohttp
        from yarl import URL

        assert self._session is not None
        where = f"{method} {self.endpoint}{path}"
        try:
            headers = None if body is None else {"Content-Type": "application/json"}
            url = URL(f"{self.endpoint}{path}", encoded=True)
            # a redirect is not followed: a PUT would become a GET on the way
            async with self._session.request(method, url, json=body, headers=headers, allow_redirects=False) as response:
                answer = Answer(response.status, await response.read())
        except TimeoutError:
            return ConnectionLost("Kafka Connect does not answer", where=where, cause=f"no answer in {_ANSWER_LIMIT:.0f} s")
        except aiohttp.ClientConnectorCertificateError as error:
            return self._refused(0, where, str(error.certificate_error), hint=f"give its authority's certificate: {self._option('cacert')} FILE")
        except (aiohttp.ClientError, OSError) as error:
            hint = f"is {self.endpoint.option} the address of a Connect worker that runs? Try: curl{self.endpoint.curl} {self.endpoint}/"
            return ConnectionLost("Kafka Connect cannot be reached", where=where, cause=str(error) or type(error).__name__, hint=hint)
        return answer if answer.status < 300 else self._judged(answer, where)

    def _judged(self, answer: Answer, where: str) -> ServerError:
        """What a status above 299 means."""
        if answer.status in (401, 403):
            hint = f"give credentials: {self._option('user')} NAME:PASSWORD or {self._option('bearer')} TOKEN"
            return self._refused(answer.status, where, f"HTTP status {answer.status}", hint=hint)
        try:
            told = msgspec.json.decode(answer.body, type=_Error)
        except msgspec.MsgspecError:
            return self._no_connect(where, f"HTTP status {answer.status}, and the body is not Connect's")
        passing = (
            answer.status in (409, 503)
            or (answer.status == 500 and told.message.startswith(_PASSING))
            or told.error_code is None  # a worker that is starting
        )
        return self._refused(answer.status, where, told.message or f"HTTP status {answer.status}", retriable=passing)

    def _refused(self, status: int, where: str, cause: str, *, hint: str = "", retriable: bool = False) -> RestRefused:
        error = RestRefused("Kafka Connect refused a request", status=status, where=where, cause=cause, hint=hint)
        error.retriable = retriable
        return error

    def _no_connect(self, where: str, cause: str) -> ServerError:
        return ServerError(
            "This is not Kafka Connect's REST API", where=where, cause=cause, hint=f"give {self.endpoint.option} as http://HOST:8083, a worker's listener",
        )  # fmt: skip

    def _option(self, name: str) -> str:
        return f"--{name}" if self.endpoint.option == "URL" else f"{self.endpoint.option}-{name}"

    def _read(self, answer: Answer, kind: type[T], method: str, path: str) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.MsgspecError as error:
            where = f"{method} {self.endpoint}{path}"
            if kind is About:
                raise self._no_connect(where, "the answer is not Connect's") from None
            raise ProtocolError("An answer of Kafka Connect cannot be read", where=where, cause=str(error)) from None


def _path(name: str, *rest: str) -> str:
    """Names keep their slash: an encoded one is refused by Connect's web server."""
    return "/".join(("/connectors", quote(name), *rest))
