"""The web server under the endpoints: listeners, TLS, logins, CORS, limits, forwarding, and errors as Connect words them.

No stack trace ever goes to a client; what nobody foresaw is 500 and a line in the log.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web

from pycdc.errors import PycdcError
from pycdc.worker.herder import NotHere
from pycdc.worker.records import dumps
from pycdc.worker.requests import RequestError
from pycdc.worker.rest.endpoints import Answer, Endpoints, Request
from pycdc.worker.rest.forward import Forwarder
from pycdc.worker.rest.guard import Guard
from pycdc.worker.rest.paths import Resource, resource

if TYPE_CHECKING:
    from pycdc.worker.settings import ConnectConfig, Listener

log = structlog.get_logger(__name__)

#: Seconds for one request; fixed in Kafka Connect as well.
_LIMIT: Final = 90.0
_STOP_LIMIT: Final = 2.0
_JSON: Final = "application/json"
_NO_LEADER: Final = "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway."
_CONFLICT: Final = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"
#: Seconds that a write waits for another leader when the known one does not answer.
_PATIENCE: Final = 8.0
_PAUSE: Final = 0.25

#: A resource outside Connect's API, e.g. /metrics: its name -> body, content type and status.
Extra = Callable[[], tuple[bytes, str, int]]


class Server:
    """REST on its listeners. `ready`: "" when the worker answers, else at what stage of its start it is."""

    def __init__(self, config: ConnectConfig, endpoints: Endpoints, extras: dict[str, Extra], ready: Callable[[], str]) -> None:
        self._config, self._endpoints, self._extras, self._ready = config, endpoints, extras, ready
        self._guard = Guard(config)
        self._forwarder = Forwarder(self._guard.client_tls())
        self._opened = AsyncExitStack()
        #: Where it listens, host and port.
        self.addresses: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Raises PycdcError when an address cannot be had."""
        c = self._config
        await self._listen(c.listeners, admin=c.admin_listeners is None)
        if c.admin_listeners:
            await self._listen(c.admin_listeners, admin=True, only_admin=True)

    async def _listen(self, listeners: tuple[Listener, ...], *, admin: bool, only_admin: bool = False) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(request, admin=admin, only_admin=only_admin)

        runner = web.ServerRunner(web.Server(handle, request_factory=self._request, access_log=None))
        await runner.setup()
        self._opened.push_async_callback(runner.cleanup)
        for one in listeners:
            tls = self._guard.server_tls() if one.scheme == "https" else None
            try:
                await web.TCPSite(runner, one.host or None, one.port, ssl_context=tls, shutdown_timeout=_STOP_LIMIT).start()
            except (OSError, ssl.SSLError) as error:
                raise PycdcError(
                    "REST cannot listen", where=one.url, cause=getattr(error, "strerror", None) or str(error), hint="choose others in listeners"
                ) from None
        self.addresses += [(str(a[0]), int(a[1])) for a in runner.addresses]

    def _request(self, *parts: Any) -> web.BaseRequest:
        message, payload, protocol, writer, task = parts
        return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=self._config.body_limit)

    async def stop(self) -> None:
        await self._opened.aclose()
        await self._forwarder.close()

    # ---- one request

    async def _handle(self, request: web.BaseRequest, *, admin: bool, only_admin: bool) -> web.StreamResponse:
        found = resource(request.raw_path)
        if found is not None and not (admin if found.is_admin else not only_admin):
            found = None
        response = await self._answered(request, found)
        self._guard.finish(request, response)
        return response

    async def _answered(self, request: web.BaseRequest, found: Resource | None) -> web.Response:
        try:
            self._guard.admit(request)
            if request.method == "OPTIONS" and found is not None:
                return _response(200, None, {"Allow": found.allowed, "Content-Type": _JSON, **self._guard.preflight(request)})
            extra = self._extras.get(found.methods.get("GET", "")) if found is not None and request.method in ("GET", "HEAD") else None
            if extra is not None:
                body, content_type, status = extra()
                return web.Response(body=body, status=status, headers={"Content-Type": content_type})
            name = self._name(request, found)
            body_bytes = await self._body(request)
            if name == "health":
                return self._health()
            if self._ready() and name != "root":
                raise RequestError(503, f"Worker is still starting up. {self._ready()}")
            async with asyncio.timeout(_LIMIT):
                assert found is not None
                return await self._done(name, request, found, body_bytes)
        except RequestError as error:
            return _error(error.status, error.message)
        except TimeoutError:
            return _error(500, "Request timed out")
        except PycdcError as error:
            return _error(500, error.original or ": ".join(filter(None, (error.what, error.cause))))
        except web.HTTPException as error:
            return _error(error.status, f"HTTP {error.status} {error.reason}")
        except Exception as error:
            log.exception("a request could not be answered", path=request.path, method=request.method, error=type(error).__name__)
            return _error(500, "Internal Server Error")

    def _name(self, request: web.BaseRequest, found: Resource | None) -> str:
        """Which endpoint it is. Raises RequestError."""
        if found is None:
            raise RequestError(404, "HTTP 404 Not Found")
        if found.is_ambiguous and not self._is_there(found):
            raise RequestError(400, "the path is ambiguous: write %2F and the like only in names of connectors that exist")
        name = found.methods.get("GET" if request.method == "HEAD" else request.method)
        if name is None:
            raise RequestError(405, "HTTP 405 Method Not Allowed")
        if request.can_read_body and request.content_type != _JSON and (request.method != "GET"):
            raise RequestError(415, "HTTP 415 Unsupported Media Type")
        if not _accepts_json(request.headers.get("Accept")):
            raise RequestError(406, "HTTP 406 Not Acceptable")
        return name

    def _is_there(self, found: Resource) -> bool:
        """The original's web server refuses such a path, so that its connector can never be reached."""
        return bool(found.names) and self._endpoints.knows(found.names[0])

    async def _body(self, request: web.BaseRequest) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RequestError(413, f"the body is larger than rest.request.max.bytes={self._config.body_limit}") from None

    def _health(self) -> web.Response:
        stage = self._ready()
        if stage:
            return _response(503, {"status": "starting", "message": f"Worker is still starting up. {stage}"})
        return _response(200, {"status": "healthy", "message": "Worker has completed startup and is ready to handle requests."})

    async def _done(self, name: str, request: web.BaseRequest, found: Resource, body: bytes) -> web.Response:
        """Here, or by the worker whose business it is; while nobody answers for it, again for a while."""
        asked = Request(found.names, dict(request.query), request.query.getall("expand", []), body, request.headers)
        until = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return self._shown(await self._endpoints.method(name)(asked), request)
            except NotHere as elsewhere:
                may = asked.query.get("forward", "").lower()
                if "forward" in asked.query and may != "true":
                    raise RequestError(409, _CONFLICT) from None
                if elsewhere.url is None:
                    raise RequestError(409, _NO_LEADER) from None
                try:
                    answer = await self._forwarder.forward(elsewhere.url, request, body, again="forward" not in asked.query)
                except OSError as error:
                    if asyncio.get_running_loop().time() > until:
                        raise RequestError(500, f"IO Error trying to forward REST request: {error}") from None
                    await asyncio.sleep(_PAUSE)
                    continue
                return _relayed(answer.status, answer.body, answer.location and _base(request) + answer.location)

    def _shown(self, answer: Answer, request: web.BaseRequest) -> web.Response:
        headers = {} if answer.location is None else {"Location": _base(request) + answer.location}
        return _response(answer.status, answer.body, headers)


def _base(request: web.BaseRequest) -> str:
    """The URL that the client used."""
    return f"{request.scheme}://{request.host}"


def _accepts_json(header: str | None) -> bool:
    if not header:
        return True
    kinds = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    return bool(kinds & {_JSON, "application/*", "*/*"})


def _response(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(body=dumps(body), status=status, headers={"Content-Type": _JSON, **(headers or {})})


def _relayed(status: int, body: bytes, location: str | None) -> web.Response:
    headers = {"Content-Type": _JSON} if body else {}
    return web.Response(body=body or None, status=status, headers={**headers, **({"Location": location} if location else {})})


def _error(status: int, message: str) -> web.Response:
    return _response(status, {"error_code": status, "message": message})
