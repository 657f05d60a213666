"""Coroutine tests on uvloop, a second database for sinks, and a report on the captured cases: how many of each area
equal the real Debezium.

Cases tell their area and their differences through `record_property`, so the figures come together whatever
worker ran them. The same text, with what differed, is left in build/differential-report.txt.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
import uvloop
from psycopg import sql as q

#: Limit of one coroutine test, seconds.
_LIMIT = 100
_REPORT = Path("build/differential-report.txt")
#: Outcomes of a case that is equal; a case outside the ratchet is expected to fail, so it passes as `xpassed`.
_EQUAL = ("passed", "xpassed")


@pytest.fixture(autouse=True)
def logs_as_they_were():
    """A command that runs in the test's process sets up its logs, which other tests would look for in vain."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if structlog.is_configured():
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


@pytest.fixture
def target(postgres_db):
    """A second database beside the test's own."""
    name = f"{postgres_db.dbname}_t"
    admin = postgres_db._replace(dbname="postgres").dsn
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(q.SQL("CREATE DATABASE {}").format(q.Identifier(name)))
    yield postgres_db._replace(dbname=name)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(q.SQL("DROP DATABASE {} WITH (FORCE)").format(q.Identifier(name)))


@pytest.fixture(scope="session")
def shared_workers(stack, tmp_path_factory):
    """A Connect cluster of two for all tests that leave it as it was. They are of the xdist group connect-rest; where xdist
    knows no groups each of its workers has a cluster of its own.
    """
    from pycdc.testing.workers import running

    group = f"rest-shared-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    with running(tmp_path_factory.mktemp("connect"), stack.kafka, group, 2, {}) as cluster:
        yield cluster


@pytest.fixture
def connect(shared_workers, postgres_db):
    """The same, all of it alive and with no connectors; those of the test are deleted before its database."""
    shared_workers.revive()
    yield shared_workers
    shared_workers.revive()
    shared_workers.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine tests, on the loop that production runs on."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {n: pyfuncitem.funcargs[n] for n in inspect.signature(pyfuncitem.obj).parameters}
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**wanted), _LIMIT))
    finally:
        with warnings.catch_warnings():
            # a test that was cut off leaves connections, and uvloop never ends if its warning of them is an error
            warnings.simplefilter("default", ResourceWarning)
            runner.close()
    return True


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    cases = _cases(terminalreporter.stats)
    if not cases:
        return
    areas: dict[str, list[bool]] = defaultdict(list)
    totals: dict[str, int] = {}
    for case in cases.values():
        areas[case["area"]].append(case["equal"])
        totals[case["area"]] = case["of"]
    lines = [f"{area:22} {sum(areas[area]):3} equal of {len(areas[area]):3} run, {totals[area]:3} captured" for area in sorted(areas)]
    newly = sorted(name for name, case in cases.items() if case["outcome"] == "xpassed")
    if newly:
        lines.append("newly equal, add to tests/differential/equal.txt: " + " ".join(newly))
    terminalreporter.section("differential cases, equal to Debezium byte for byte")
    terminalreporter.write_line("\n".join(lines))
    for name, case in sorted(cases.items()):
        if not case["equal"]:
            lines += [f"\n{name}", *(f"    {line}" for line in case["differences"])]
    report = Path(config.rootpath) / _REPORT
    report.parent.mkdir(exist_ok=True)
    report.write_text("\n".join(lines) + "\n")


def _cases(stats: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Case -> its area, whether it is equal, and what differs."""
    found = {}
    for outcome in ("passed", "failed", "xfailed", "xpassed"):
        for report in stats.get(outcome, ()):
            told = dict(getattr(report, "user_properties", ()))
            if "differential_case" in told and report.when == "call":
                found[told["differential_case"]] = {
                    "area": told["area"], "of": told["captured"], "outcome": outcome, "equal": outcome in _EQUAL,
                    "differences": told.get("differences") or [str(report.longrepr)[-1500:]],
                }  # fmt: skip
    return found
