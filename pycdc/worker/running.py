"""A connector or a task that this worker has: brought to what is wished of it, told how it fares, restarted when it fails.

Each lives in an asyncio task of its own: what goes wrong in one is its status, and nobody else's trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import msgspec
import structlog

from pycdc.errors import ConfigError, ProducerFenced, PycdcError
from pycdc.runtime.job import Job
from pycdc.telemetry.log import bind
from pycdc.worker.configs import Target
from pycdc.worker.statuses import State

log = structlog.get_logger(__name__)

#: A restarted task that runs so long, seconds, is taken for well again.
_WELL: Final = 600.0
#: Seconds between two looks whether a task that was started works.
_LOOK: Final = 0.02
#: Seconds beyond a task's own limit to stop, after which it is cancelled.
_STOP_LIMIT: Final = 8.0


class Wish(msgspec.Struct, frozen=True):
    """What is wanted. Another wish of the same is no reason to begin anew."""

    config: dict[str, str]
    target: Target


#: Told of a new state, with a trace where it failed.
Tell = Callable[[State, str | None], Awaitable[None]]


class Backoff(msgspec.Struct, frozen=True):
    """Pauses before restarts, seconds; `attempts` -1: no limit."""

    first: float = 10.0
    longest: float = 300.0
    attempts: int = 10

    def pause(self, failures: int) -> float | None:
        """Behind the so-many-th failure in a row; None: it is left as it is."""
        if 0 <= self.attempts < failures:
            return None
        return float(min(self.first * 2 ** min(failures - 1, 30), self.longest))


class _Held:
    """What both have in common: a life in which wishes come, and an end."""

    def __init__(self, wish: Wish, tell: Tell) -> None:
        self._wish, self._tell = wish, tell
        self._changed = asyncio.Event()
        self._restart = self._announced = False
        self._life: asyncio.Task[None] | None = None
        #: What was told last.
        self.state: State | None = None
        #: Set whenever what was wished has been brought about, or has failed.
        self._told = asyncio.Event()

    def begin(self, **bound: str) -> None:
        async def live() -> None:
            bind(**bound)
            await self._live()

        self._life = asyncio.create_task(live())

    async def _live(self) -> None:
        raise NotImplementedError

    async def _say(self, state: State, trace: str | None = None) -> None:
        self.state = state
        try:
            await self._tell(state, trace)
        except PycdcError as error:
            log.error("a state could not be stored", state=str(state), cause=error.cause or error.what)

    async def say_again(self, trace: str | None) -> None:
        """The same state, with or without trouble."""
        if self.state is not None:
            await self._say(self.state, trace)

    def wish(self, wish: Wish) -> None:
        """Takes effect by itself; nothing happens when it is the same."""
        if wish != self._wish:
            self._wish = wish
            self._changed.set()

    @property
    def wished(self) -> Wish:
        return self._wish

    def restart(self, *, announced: bool = False) -> None:
        """`announced`: its state says so meanwhile."""
        self._restart, self._announced = True, announced
        self._changed.set()

    async def _say_restart(self) -> None:
        if self._restart:
            await self._say(State.UNASSIGNED)
            if self._announced:
                await self._say(State.RESTARTING)
        self._restart = False

    async def give_up(self) -> None:
        """Ends it in order, its last batch included. Nothing is told."""
        await self._end(cancelled=False)

    async def abandon(self) -> None:
        """Ends it at once: another may have it already."""
        await self._end(cancelled=True)

    async def _end(self, *, cancelled: bool) -> None:
        life, self._life = self._life, None
        if life is None:
            return
        if not cancelled:
            await self._stop_orderly()
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life

    async def _stop_orderly(self) -> None:
        """Whatever runs has ended."""


class RunningConnector(_Held):
    """The connector itself: what all its tasks rest on."""

    def __init__(self, wish: Wish, tell: Tell, look_at: Callable[[Mapping[str, str]], Awaitable[None]]) -> None:
        """`look_at` raises PycdcError when the connector cannot come up."""
        super().__init__(wish, tell)
        self._look_at = look_at

    async def _live(self) -> None:
        up: dict[str, str] | None = None
        while True:
            self._changed.clear()
            if self._restart:
                up = None
            await self._say_restart()
            wish = self._wish
            if wish.target is Target.STOPPED:
                up = None
                await self._say(State.STOPPED)
            elif up == wish.config or (up := await self._come_up(wish.config)) is not None:
                await self._say(State.PAUSED if wish.target is Target.PAUSED else State.RUNNING)
            self._told.set()
            await self._changed.wait()

    async def _come_up(self, config: dict[str, str]) -> dict[str, str] | None:
        try:
            await self._look_at(config)
        except Exception as error:  # a third party's class may fail in any way
            await self._say(State.FAILED, trace_of(error))
            return None
        return config

    async def restarted(self, limit: float) -> bool:
        """Restart it and wait until it is up again; False when it is not."""
        self._told.clear()
        self.restart()
        async with asyncio.timeout(limit):
            await self._told.wait()
        return self.state is not State.FAILED


class RunningTask(_Held):
    """One task."""

    def __init__(
        self, wish: Wish, tell: Tell, launched: Callable[[Mapping[str, str]], AbstractAsyncContextManager[Job]], backoff: Backoff
    ) -> None:
        """`launched` gives the task ready to run, and raises PycdcError when it cannot be had."""
        super().__init__(wish, tell)
        self._launched, self._backoff = launched, backoff
        #: While it runs.
        self.job: Job | None = None
        self._stop: asyncio.Event | None = None
        self._running: asyncio.Task[None] | None = None
        self.failures = 0
        #: Since the worker has it, and why the last one was made.
        self.restarts = 0

    async def _live(self) -> None:
        while True:
            self._changed.clear()
            await self._say_restart()
            wish = self._wish
            if wish.target is not Target.STARTED:
                await self._say(State.PAUSED)
                await self._changed.wait()
                continue
            failed = await self._run_once(wish)
            if failed is not None:
                await self._rest(failed, wish)

    async def _run_once(self, wish: Wish) -> Exception | None:
        """Until it fails, which is answered, or something else is wished."""
        began = time.monotonic()
        try:
            async with self._launched(wish.config) as job:
                self.job, self._stop = job, asyncio.Event()
                await self._watch(job, self._stop)
        except Exception as error:  # whatever it is, it is this task's alone
            if time.monotonic() - began > _WELL:
                self.failures = 0
            return error
        finally:
            self.job = self._stop = self._running = None
        return None

    async def _watch(self, job: Job, stop: asyncio.Event) -> None:
        running = self._running = asyncio.create_task(job.run(stop))
        changed = asyncio.create_task(self._changed.wait())
        try:
            while not (job.begun() or running.done() or changed.done()):
                await asyncio.wait((running, changed), timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            if not (running.done() and running.exception()):
                await self._say(State.RUNNING)
            await asyncio.wait((running, changed), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
                await changed  # all that there was is read: it stays as it is, as in Connect
            else:
                await self._stop_running(running, stop)
        finally:
            for task in (changed, running):
                task.cancel()
            await asyncio.wait((running, changed))

    async def _stop_running(self, running: asyncio.Task[None], stop: asyncio.Event) -> None:
        stop.set()
        await asyncio.wait((running,), timeout=_STOP_LIMIT)
        if not running.done():
            log.warning("a task did not stop in time; what was not confirmed is sent again")
        elif not running.cancelled() and (error := running.exception()) is not None:
            log.warning("a task failed while it was stopped", cause=_line(error))

    async def _stop_orderly(self) -> None:
        running, stop = self._running, self._stop
        if running is not None and stop is not None and not running.done():
            await self._stop_running(running, stop)

    async def _rest(self, error: Exception, wish: Wish) -> None:
        """Until it is time to try again, or something is wished that it is not already."""
        self.failures += 1
        pause = None if isinstance(error, (ConfigError, ProducerFenced)) else self._backoff.pause(self.failures)
        trace = trace_of(error)
        if pause is not None:
            trace += f"\n\tit is restarted in {pause:.0f} s, unless something else is wished (failure {self.failures})"
        log.error("the task failed", cause=_line(error), restart_in=pause)
        await self._say(State.FAILED, trace)
        until = None if pause is None else time.monotonic() + pause
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(None if until is None else asyncio.get_running_loop().time() + until - time.monotonic()):
                    await self._changed.wait()
            self._changed.clear()
            if self._restart or self._wish.config != wish.config:
                self.failures = 0
                return
            if until is not None and time.monotonic() >= until and self._wish.target is Target.STARTED:
                self.restarts += 1
                return


def trace_of(error: BaseException) -> str:
    """What a status shows: class and message in the first line, then what mends it; of what nobody foresaw only the places,
    for its text may quote a row.
    """
    if isinstance(error, PycdcError):
        return f"{type(error).__module__}.{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    places = "".join(f"\n\tat {Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames)
    return f"{type(error).__module__}.{type(error).__name__}: internal error{places}"


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {getattr(error, 'what', '')}"
