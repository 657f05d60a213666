"""`python -m pycdc.testing.clickhouse FOLDER`: ClickHouse's HTTP interface before the embedded engine.

chDB is the real engine without its server. This is as much of the server's HTTP interface as clients need: queries,
data behind an INSERT (plain, or compressed as HTTP knows it: no lz4), parameters, settings, errors with their codes; no
users and no sessions. Prints one JSON line with `port` and `pid` when it is ready; ends on SIGTERM. One process at a
time may have the folder open.

Source: ClickHouse's documentation, "HTTP Interface"; HTTPHandler for the statuses of errors.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from pycdc.testing.process import ServerProcess

#: Parameters of a request that are no settings of the engine.
_OF_HTTP: Final = frozenset((
    "query", "database", "default_format", "user", "password", "quota_key", "role", "query_id", "session_id", "session_timeout", "session_check",
    "compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version", "enable_http_compression",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "http_zlib_compression_level",
))  # fmt: skip
_PARAMETER: Final = "param_"
_CODE: Final = re.compile(r"Code: (\d+)")
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
#: Unknown table, function, identifier, type, database, setting.
_NOT_FOUND: Final = frozenset((46, 47, 50, 60, 81, 115))
#: What cannot be parsed, types that do not fit, syntax.
_BAD: Final = frozenset((6, 26, 27, 33, 34, 38, 41, 43, 53, 62, 69, 70, 72))


class _Engine:
    """The embedded engine; each request has a connection of its own, which costs next to nothing."""

    def __init__(self, folder: str) -> None:
        import chdb

        self._connect, self._folder = chdb.connect, folder
        self._first = self._connect(folder)  # the engine lives as long as one of them

    def run(self, statement: bytes, form: str, parameters: dict[str, str], settings: dict[str, str], database: str) -> Any:
        """Raises RuntimeError with the engine's own text."""
        session = self._connect(self._folder)
        try:
            if database:
                session.query(f"USE `{database}`")
            for name, value in settings.items():
                if not name.isidentifier():
                    raise RuntimeError(f"Code: 115. DB::Exception: Unknown setting {name}. (UNKNOWN_SETTING)")
                session.query("SET {} = '{}'".format(name, value.replace("\\", "\\\\").replace("'", "\\'")))
            return session.query(statement, form, params=parameters)
        finally:
            session.close()

    def close(self) -> None:
        self._first.close()


async def _answer(engine: _Engine, request: web.Request) -> web.Response:
    options, body = dict(request.query), await request.read()
    statement = b"\n".join(filter(None, (options.get("query", "").encode(), body)))
    if not statement:
        return web.Response(text="Ok.\n")
    found = _FORMAT.search(options.get("query") or body[-100:].decode(errors="replace"))
    form = found[1] if found else options.get("default_format", "TabSeparated")
    parameters = {k.removeprefix(_PARAMETER): v for k, v in options.items() if k.startswith(_PARAMETER)}
    settings = {k: v for k, v in options.items() if k not in _OF_HTTP and not k.startswith(_PARAMETER)}
    database = options.get("database", "") or request.headers.get("X-ClickHouse-Database", "")
    try:
        result = await asyncio.to_thread(engine.run, statement, form, parameters, settings, database)
    except RuntimeError as error:
        return _refused(str(error))
    summary = {"read_rows": str(result.rows_read()), "written_rows": str(getattr(result, "rows_written", lambda: 0)())}
    return web.Response(body=result.bytes(), headers={"X-ClickHouse-Format": form, "X-ClickHouse-Summary": json.dumps(summary), "X-ClickHouse-Timezone": "UTC"})


def _refused(text: str) -> web.Response:
    found = _CODE.search(text)
    code = int(found[1]) if found else 1002
    status = 404 if code in _NOT_FOUND else 400 if code in _BAD else 500
    return web.Response(status=status, text=text + "\n", headers={"X-ClickHouse-Exception-Code": str(code)})


async def _serve(folder: str, port: int) -> None:
    engine = await asyncio.to_thread(_Engine, folder)
    app = web.Application(client_max_size=1 << 30)

    async def answer(request: web.Request) -> web.Response:
        return await _answer(engine, request)

    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    sys.stdout.write(json.dumps({"port": runner.addresses[0][1], "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
    engine.close()


class ClickHouseProcess(ServerProcess):
    """`with ClickHouseProcess(folder) as clickhouse: ...`: the interface in a process of its own, at `port` of 127.0.0.1. One that
    was killed starts again on the same port.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("pycdc.testing.clickhouse", str(folder))
        self.port = 0

    def _ready(self, told: dict[str, Any]) -> None:
        if not self.port:
            self.port = told["port"]
            self._arguments = (*self._arguments, "--port", str(self.port))


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(prog="python -m pycdc.testing.clickhouse", description="ClickHouse's HTTP interface before chDB.")
    _parser.add_argument("folder")
    _parser.add_argument("--port", type=int, default=0)
    _chosen = _parser.parse_args()
    asyncio.run(_serve(_chosen.folder, _chosen.port))
