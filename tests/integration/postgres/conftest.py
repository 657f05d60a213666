"""A PostgreSQL of these tests' own: they stop, kill and reconfigure it, and hold writing transactions open."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from private_server import Database, Server, until


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine tests on uvloop, as the product does."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {n: pyfuncitem.funcargs[n] for n in inspect.signature(pyfuncitem.obj).parameters}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**wanted), 60))
    return True


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="pycdc-pg-"))
    server = Server(folder)
    try:
        yield server
    finally:
        with contextlib.suppress(AssertionError):
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _name(request: pytest.FixtureRequest) -> str:
    return "t_" + "".join(c if c.isalnum() else "_" for c in request.node.name.lower())[:50]


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> Iterator[Database]:
    made = Database(server, _name(request))
    yield made
    made.drop()


@pytest.fixture
def latin_database(server: Server, request: pytest.FixtureRequest) -> Iterator[Database]:
    made = Database(server, _name(request), "LATIN1")
    yield made
    made.drop()


@pytest.fixture
def wait() -> Callable[[Callable[[], Awaitable[Any]], str], Awaitable[Any]]:
    return until
