"""HTTP as StarRocks' nodes speak it: `Expect: 100-continue`, answers before the body, connections that are cut.

A small server of its own, because libraries answer 100 Continue by themselves and hide the resets that tests ask for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import struct
import traceback
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any, Final

_REASONS: Final = {
    200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip


class Reset(Exception):
    """Cut the connection with a RST."""


class Reply:
    def __init__(
        self, status: int, body: str = "", headers: dict[str, str] | None = None, *, close: bool = False, content_type: str = "application/json"
    ) -> None:
        self.status, self.body, self.headers, self.close, self.content_type = status, body.encode(), headers or {}, close, content_type


class Request:
    """One request; the body is read when somebody asks for it."""

    def __init__(
        self, method: str, target: str, version: str, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self._reader, self._writer = reader, writer
        url = urllib.parse.urlsplit(target)
        self.path = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]]
        self.query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query, keep_blank_values=True).items()}
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self.pending = self._chunked or int(headers.get("content-length") or 0) > 0
        self.expects = headers.get("expect", "").lower() == "100-continue"

    async def body(self) -> bytes:
        if not self.pending:
            return b""
        if self.expects:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._writer.drain()
        self.pending = False
        if not self._chunked:
            return await self._reader.readexactly(int(self.headers["content-length"]))
        parts = []
        while size := int((await self._reader.readline()).split(b";")[0] or b"0", 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readline()
        while (await self._reader.readline()).strip():
            pass
        return b"".join(parts)

    def auth(self) -> tuple[str, str] | None:
        """User and password of Basic authorization."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(token).decode().partition(":")
        except ValueError:
            return None
        return (user, password) if kind.lower() == "basic" and token else None


Handler = Callable[[Request], Awaitable[Reply]]


async def serve(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_fe: bool) -> None:
    """One connection, until either side closes it."""
    try:
        while await _exchange(handler, reader, writer, is_fe=is_fe):
            pass
    except Reset:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        pass
    finally:
        with contextlib.suppress(ConnectionError):
            writer.close()


async def _exchange(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_fe: bool) -> bool:
    """One request and its answer; whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
    first, *lines = head.split("\r\n")
    method, target, version = first.split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
    request = Request(method, target, version, headers, reader, writer)
    try:
        reply = await handler(request)
    except (Reset, asyncio.IncompleteReadError, ConnectionError):
        raise
    except Exception:  # a mistake in the fake itself: make it loud
        reply = Reply(500, traceback.format_exc(), close=True, content_type="text/plain")
    if request.pending and not request.expects:  # the body is on its way: take it, or the client sees a RST
        await request.body()
    close = reply.close or request.pending or version == "HTTP/1.0" or headers.get("connection", "") == "close"
    # the FE's netty sends lower-case names, and JSON as text/html
    content_type = "text/html" if is_fe and not target.startswith("/_fake") else reply.content_type
    out = {"Content-Type": content_type, "Content-Length": str(len(reply.body)), **reply.headers, "Connection": "close" if close else "keep-alive"}
    text = "".join(f"{k.lower() if is_fe else k}: {v}\r\n" for k, v in out.items())
    writer.write(f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}\r\n{text}\r\n".encode() + reply.body)
    await writer.drain()
    return not close


def dumps(value: Any, *, indent: int | None = None, compact: bool = False) -> str:
    return json.dumps(
        value, ensure_ascii=False, indent=indent, separators=(",", ":") if compact else None,
        default=lambda x: x.hex() if isinstance(x, bytes) else str(x),
    )  # fmt: skip


def rest_failed(message: str) -> str:
    """The FE's REST error."""
    return dumps({"status": "FAILED", "code": "1", "msg": message, "message": message}, compact=True)
