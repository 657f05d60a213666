"""The programs behind `pycdc migrate`: inspect, plan, apply. They say lines and raise PycdcError; nothing is printed here."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack

from pycdc.config.files import read_file
from pycdc.errors import ConnectionLost, PycdcError
from pycdc.migrate import inplace, report
from pycdc.migrate.byhand import lines
from pycdc.migrate.decision import MoveRefused, Step, decide
from pycdc.migrate.endpoint import Endpoint, require_two
from pycdc.migrate.judgement import Finding, Verdict
from pycdc.migrate.move import Limits, Move
from pycdc.migrate.observed import About
from pycdc.migrate.preflight import obstacle, obstacles, remark
from pycdc.migrate.rest import ConnectRest
from pycdc.migrate.survey import Surveyed, complaints, survey

Say = Callable[[str], None]


class Interrupted(PycdcError):
    """The move was interrupted."""


def worker_keys(path: str | None) -> dict[str, str] | None:
    """The keys of a worker's file; None without one. Raises ConfigError."""
    return None if path is None else read_file(path)


def finished(program: Coroutine[None, None, None]) -> None:
    """Runs it to its end. A signal cancels it: what was done stays, and the next run goes on."""
    with asyncio.Runner() as runner:
        task = runner.get_loop().create_task(program)
        for number in (signal.SIGTERM, signal.SIGINT):
            runner.get_loop().add_signal_handler(number, task.cancel)
        try:
            runner.get_loop().run_until_complete(task)
        except asyncio.CancelledError:
            raise Interrupted(
                cause="a signal", hint="a connector may be stopped on both sides: the same command goes on, with --back the other way"
            ) from None


async def inspect_cluster(side: Endpoint, worker: Mapping[str, str] | None, *, as_json: bool, say: Say) -> None:
    """The table, or its JSON."""
    async with ConnectRest(side) as cluster:
        about = await cluster.about()
        found = await survey(cluster, worker)
    if as_json:
        say(report.as_json(found))
        return
    say(f"{side}: Kafka Connect {about.version}, {len(found)} connectors")
    _tell(report.table(found), say)
    if any(s.judgement.checks for s in found):
        say("Verdicts are without the worker's keys, on which some of these connectors rest: give its file with --worker.")


async def plan_in_place(side: Endpoint, worker: Mapping[str, str] | None, path: str | None, names: Collection[str], *, say: Say) -> None:
    """What each connector will be, and how pycdc's workers take the place of those that run."""
    inplace.require_worker(worker, path)
    assert worker is not None
    assert path is not None
    async with ConnectRest(side) as cluster:
        await cluster.about()
        for found in await survey(cluster, worker, names):
            _tell(report.reasons(found), say)
    say("To take over all of them at once:")
    _tell(lines(inplace.take_over(worker, path, side), "  "), say)
    say("To go back:")
    _tell(lines(inplace.go_back(path), "  "), say)
    say("Shared, and left as it is:")
    _tell((f"  {line}" for line in inplace.shared(worker)), say)


def _tell(texts: Iterable[str], say: Say) -> None:
    for line in texts:
        say(line)


async def plan_move(old: Endpoint, new: Endpoint, worker: Mapping[str, str] | None, names: Collection[str], *, say: Say) -> None:
    """What each connector will be on the new side, and how it gets there."""
    require_two(old, new)
    async with ConnectRest(old) as here, ConnectRest(new) as there:
        about = await here.about()
        try:
            other: About | None = await there.about()
        except ConnectionLost as error:
            other = None
            say(f"{new} does not answer ({error.cause}): what it says itself is not in this plan")
        old_releases = [] if other is None else list(obstacles(about, other))
        for why in old_releases:
            say(f"nothing can be moved by REST: {why}; see docs/how-to/migrate-from-kafka-connect.md for older releases")
        for found in await survey(here, worker, names):
            more = [] if other is None else [*_of_clusters(found, about, other), *await complaints(there, found.connector)]
            _tell(report.reasons(found, more), say)
            if old_releases or any(f.verdict == Verdict.IMPOSSIBLE for f in (*found.judgement.findings, *more)):
                continue
            try:
                decision = decide(found.connector.name, found.connector, None if other is None else await there.connector(found.connector.name))
            except MoveRefused as error:
                say(f"  {error.what} {error.cause}\n    {error.hint}")
                continue
            _tell(report.steps(found, decision, old, new), say)


def _of_clusters(found: Surveyed, old: About, new: About) -> list[Finding]:
    why, known = obstacle(found.connector, old, new), remark(found.connector, old, new)
    refused = [Finding(Verdict.IMPOSSIBLE, "", why)] if why else []
    return [*refused, *([Finding(Verdict.DIFFERS, "", known)] if known else [])]


async def apply_moves(
    old: Endpoint, new: Endpoint, names: Collection[str], *, delete_old: bool, dry_run: bool, wait: float, say: Say
) -> None:
    """The moves, one after another. `names` empty: all that the old side has. Raises MoveRefused, MoveFailed."""
    require_two(old, new)
    async with AsyncExitStack() as stack:
        here, there = await stack.enter_async_context(ConnectRest(old)), await stack.enter_async_context(ConnectRest(new))
        about, other = await here.about(), await there.about()
        for why in obstacles(about, other):
            raise MoveRefused("Nothing can be moved.", cause=why, hint="`pycdc migrate plan` shows the way by hand")
        refused: list[MoveRefused] = []
        for name in dict.fromkeys(names or await here.connectors()):
            move = Move(name, here, there, say, Limits(wait=wait))
            try:
                await _apply(move, about, other, delete_old=delete_old, dry_run=dry_run, say=say)
            except MoveRefused as error:
                refused.append(error)
        if refused:
            raise ExceptionGroup("some connectors were not moved", refused)


async def _apply(move: Move, old: About, new: About, *, delete_old: bool, dry_run: bool, say: Say) -> None:
    decision = await move.decide(delete_old=delete_old)
    seen = await move.old.connector(move.name)
    why = obstacle(seen, old, new) if seen is not None and decision.steps else None
    # what only validation sees would fail behind the stop: some of it is no reason to refuse a creation
    told = await complaints(move.new, seen) if seen is not None and Step.CREATE in decision.steps else []
    if why is not None or told:
        cause = "; ".join(([why] if why else []) + [str(finding) for finding in told])
        raise MoveRefused(f"The connector {move.name} cannot be moved.", cause=cause, hint="`pycdc migrate plan` has everything that it needs")
    if dry_run or not decision.steps:
        _tell(report.left_to_do(move.name, decision), say)
        return
    await move.run(delete_old=delete_old)
