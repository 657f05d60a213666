"""Asks one resource again and again over kept connections, and prints how often it was answered: a process of its own.

    python benchmarks/keep_asking.py HOST PORT PATH CONNECTIONS SECONDS

As little as can be done for an answer, so that the server is the limit: it is told what CPU this took.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Asking(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the one before is whole."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request, self.until = request, until
        self.answers = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self.done.set_exception(RuntimeError(f"no plain answer: {head!r}"))
            self._transport.close()
            return
        if len(body) < int(length[1]):
            return
        self._got = b""
        self.answers += 1
        if time.perf_counter() < self.until:
            self._transport.write(self.request)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed by the server"))


async def ask(host: str, port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n".encode()
    start, cpu = time.perf_counter(), time.process_time()
    loop = asyncio.get_running_loop()
    asking = [(await loop.create_connection(lambda: Asking(request, start + seconds), host, port))[1] for _ in range(connections)]
    await asyncio.gather(*(a.done for a in asking))
    took = time.perf_counter() - start
    return {"answers": sum(a.answers for a in asking) / took, "cpu": (time.process_time() - cpu) / took}


if __name__ == "__main__":
    host, port, path, connections, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(ask(host, int(port), path, int(connections), float(seconds)))))
