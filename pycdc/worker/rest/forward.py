"""Requests that another worker has to answer, handed on to it.

Source: Kafka Connect's HerderRequestHandler: `forward=true` may be handed on once more, `forward=false` never; of the
client's headers only its login goes along.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

#: Seconds for the other worker's answer, below the limit of a request.
_LIMIT: Final = 85.0


class Forwarded(msgspec.Struct, frozen=True):
    """Another worker's answer; `location` without its host."""

    status: int
    body: bytes
    location: str | None


class Forwarder:
    """`tls`: how workers trust each other where they are reached by https."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def forward(self, url: str, request: web.BaseRequest, body: bytes, *, again: bool) -> Forwarded:
        """`again`: that worker may hand it on once more. Raises OSError when it does not answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LIMIT, sock_connect=5))
        path, _, query = request.raw_path.partition("?")
        rest = [q for q in query.split("&") if q and not q.startswith("forward=")]
        target = f"{url}{path}?{'&'.join([*rest, f'forward={str(again).lower()}'])}"
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        if "Authorization" in request.headers:
            headers["Authorization"] = request.headers["Authorization"]
        try:
            async with self._session.request(
                request.method, URL(target, encoded=True), data=body or None, headers=headers, ssl=self._tls or True, allow_redirects=False
            ) as answer:
                location = answer.headers.get("Location")
                return Forwarded(answer.status, await answer.read(), None if location is None else _path(location))
        except aiohttp.ClientError as error:
            raise OSError(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _path(location: str) -> str:
    return location.removeprefix(f"{urlsplit(location).scheme}://{urlsplit(location).netloc}")
