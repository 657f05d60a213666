"""HTTP as Stream Load wants it: the FE redirects before the body is sent, and forgets who asks.

Every request is made by hand: `Expect: 100-continue`, no body to the FE, credentials again for the BE that its 307
names. A connection serves one request, and a request is sent once. Nothing here tries again; ConnectionLost means that
nobody knows what became of the request.

Source: fe http/rest/LoadAction and TransactionLoadAction; the documentation of STREAM LOAD.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from pycdc.errors import ConnectionLost, ProtocolError, SinkError
from pycdc.sinks.starrocks.faults import of_status

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

#: Bytes of an error log that are read; the first lines are enough.
_LOG = 16_384
#: Seconds, for requests that load nothing.
_SHORT = 10.0
_REDIRECTS: Final = (301, 302, 307, 308)
#: An FE, the leading one, a BE.
_HOPS: Final = 3


class Server(msgspec.Struct, frozen=True):
    """Where the FEs are, and who we are."""

    urls: tuple[str, ...]
    username: str
    password: str
    #: Seconds.
    connect: float


class Client:
    """One sink's connections."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._authorization = "Basic " + b64encode(f"{server.username}:{server.password}".encode()).decode()
        self._session: aiohttp.ClientSession | None = None
        #: The FE that answered last.
        self._current = 0

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, limit: float) -> dict[str, Any]:
        """The answer, its names in lower case. `limit` in seconds. Raises ConnectionLost, ProtocolError, Busy, SinkError."""
        import aiohttp
        from yarl import URL

        headers = {**headers, "Authorization": self._authorization}
        url = URL(self._server.urls[self._current] + path, encoded=True)
        try:
            async with asyncio.timeout(limit):
                for _ in range(_HOPS):
                    status, location, data = await self._request(method, url, headers, body)
                    if location is None:
                        break
                    url = location
        except TimeoutError:
            self._next()
            raise ConnectionLost("StarRocks does not answer in time", where=_shown(url), cause=f"no answer in {limit:.0f} s") from None
        except (aiohttp.ClientError, OSError, _Lost) as error:
            self._next()
            raise ConnectionLost("the connection to StarRocks was lost", where=_shown(url), cause=_why(error)) from None
        if status != 200 or location is not None:
            self._next()
            raise of_status(status, _shown(url))
        return _answer(data, _shown(url))

    async def ask(self, path: str, query: Mapping[str, str], method: str = "GET") -> dict[str, Any]:
        """A question to the FE, such as a label's state. Raises as `call`."""
        from yarl import URL

        return await self.call(method, str(URL(path).with_query(query)), {}, None, _SHORT)

    async def error_log(self, url: str) -> str:
        """What ErrorURL has, empty when it cannot be had: it only makes an error say more. It quotes rows."""
        import aiohttp
        from yarl import URL

        try:
            async with asyncio.timeout(_SHORT), self._opened().get(URL(url, encoded=True)) as response:
                return (await response.content.read(_LOG)).decode("utf-8", "replace") if response.status == 200 else ""
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return ""

    async def _request(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> tuple[int, URL | None, bytes]:
        """Status, where a redirect leads, the body of the answer."""
        from yarl import URL

        async with self._opened().request(
            method, url, headers=headers, data=body, expect100=method != "GET", allow_redirects=False
        ) as response:
            if response.status in _REDIRECTS:
                location = URL(response.headers.get("Location", ""), encoded=True)
                if not location.host:
                    raise ProtocolError("a redirect of StarRocks leads nowhere", where=_shown(url))
                # older FEs repeat the credentials in it, which come by header here
                return response.status, location.with_user(None), b""
            return response.status, None, await response.read()

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True), middlewares=(_once,),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._server.connect),
            )  # fmt: skip
        return self._session

    def _next(self) -> None:
        self._current = (self._current + 1) % len(self._server.urls)


class _Lost(Exception):
    """A connection that was lost."""


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A PUT whose connection is lost is sent again by aiohttp itself: the second would find its own label taken."""
    import aiohttp

    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Lost(_why(error)) from None


def _answer(data: bytes, where: str) -> dict[str, Any]:
    """StarRocks sends JSON under whatever content type, and its releases differ in the case of names."""
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ProtocolError("StarRocks does not answer with JSON", where=where, hint="starrocks.http.url takes the FE's http_port (8030)") from None
    if not isinstance(parsed, dict):
        raise SinkError("StarRocks does not answer with a result", where=where)
    return {k.lower(): v for k, v in parsed.items()}


def _shown(url: URL) -> str:
    return f"{url.host}:{url.port}{url.path}"


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
