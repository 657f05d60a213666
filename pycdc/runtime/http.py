"""The health and metrics server: /health/live, /health/ready, /health/cdc, /metrics.

Started only when `--http HOST:PORT` is given; aiohttp and prometheus_client are imported only then. Answers
come from memory: no request waits for a database or a broker. It shows no configuration.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from pycdc.errors import PycdcError
from pycdc.runtime.health import Health
from pycdc.telemetry.metrics import Exposition, SinkMetrics, SourceMetrics

if TYPE_CHECKING:
    from aiohttp import web

#: How long a request that is being answered may hold up an orderly stop, seconds.
_STOP_LIMIT = 1.0


class Address(NamedTuple):
    host: str
    port: int


def parse_address(text: str) -> Address:
    """`HOST:PORT`, `[V6]:PORT` or `:PORT` (every interface); port 0 = any free one. Raises ValueError."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^:\[\]]*):(\d{1,5})", text.strip())
    if match is None or int(match[2]) > 65535:
        raise ValueError("must be HOST:PORT, e.g. 127.0.0.1:8080 or :8080 for every interface")
    return Address(match[1].strip("[]") or "0.0.0.0", int(match[2]))  # noqa: S104 - asked for by `:PORT`


@asynccontextmanager
async def serving(
    http: str | None, healths: Health | tuple[Health, ...], *metrics: SourceMetrics | SinkMetrics
) -> AsyncIterator[Address | None]:
    """Serve while the block runs; nothing happens when `http` is None. Gives the bound address.

    Several healths (source and sink of `pycdc run`) answer as one: ready when all are. Raises PycdcError
    when the address cannot be bound, ValueError when it is none.
    """
    if http is None:
        yield None
        return
    from aiohttp import web

    host, port = parse_address(http)
    app = _application(healths if isinstance(healths, tuple) else (healths,), Exposition(*metrics))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_LIMIT)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PycdcError(
                "The health server cannot listen.",
                where=f"{host}:{port}",
                cause=error.strerror or str(error),
                hint="choose another --http HOST:PORT",
            ) from None
        bound = runner.addresses[0]
        yield Address(str(bound[0]), int(bound[1]))
    finally:
        await runner.cleanup()


def _application(healths: tuple[Health, ...], exposition: Exposition) -> web.Application:
    from aiohttp import web

    async def live(_request: web.Request) -> web.Response:
        return _answer({"status": _word(healths)}, ok=all(h.is_live for h in healths))

    async def ready(_request: web.Request) -> web.Response:
        return _answer({"status": _word(healths)}, ok=all(h.is_ready for h in healths))

    async def cdc(_request: web.Request) -> web.Response:
        return _answer(report(healths), ok=all(h.is_live for h in healths))

    async def metrics(_request: web.Request) -> web.Response:
        body, content_type = exposition.text()
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/health/cdc", cdc)
    app.router.add_get("/metrics", metrics)
    return app


def _word(healths: tuple[Health, ...]) -> str:
    """The status that needs most attention."""
    order = ("failed", "retrying", "starting", "stopping", "snapshot", "streaming")
    return min((h.status for h in healths), key=order.index)


def report(healths: tuple[Health, ...]) -> dict[str, object]:
    """`/health/cdc` of several connectors: the worst one's words, everybody's tables and lags."""
    worst = _word(healths)
    merged = next(h for h in healths if h.status == worst).report()
    for h in healths:
        one = h.report()
        merged["cdc_tables"] = {**merged["cdc_tables"], **one["cdc_tables"]}
        merged["kafka_lag"] = {**merged["kafka_lag"], **one["kafka_lag"]}
    # A position is the source's: take it from whoever has one.
    placed = max(healths, key=lambda h: h.lsn)
    if placed.lsn:
        merged["lsn"], merged["lag_bytes"] = placed.report()["lsn"], placed.lag_bytes
    return merged


def _answer(body: dict[str, object], *, ok: bool) -> web.Response:
    import orjson
    from aiohttp import web

    return web.Response(body=orjson.dumps(body), status=200 if ok else 503, content_type="application/json")
