"""Runs a task in this process: event loop, signals, deadlines, and how an error is told.

SIGTERM or SIGINT sets the stop event; the task has 8 s to finish its batch and commit (Docker kills at 10).
A second signal, or the deadline, cancels it, which loses nothing: what was not confirmed is sent again.
Errors are printed as what, where, cause and hint; a stack trace only with --debug.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import structlog

from pycdc.errors import ConfigError, PycdcError

#: What the task has after the first signal, and what cancelling it may take, seconds: together below 10.
STOP_LIMIT: Final = 8.0
CANCEL_LIMIT: Final = 1.0

#: Objects made and not yet freed before the youngest are looked through for cycles, and how often the older ones are.
#: A batch of rows is many objects and no cycle: by Python's own numbers (700, 10, 10) a sink spends a fifth of its time looking.
_COLLECT: Final = (50_000, 10, 10)

Main = Callable[[asyncio.Event], Awaitable[None]]

log = structlog.get_logger(__name__)


def run(main: Main) -> None:
    """Run `main(stop)` to its end under uvloop. Raises what it raised."""
    import uvloop

    gc.freeze()  # what is imported stays
    gc.set_threshold(*_COLLECT)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_supervised(main))


async def _supervised(main: Main) -> None:
    stop = asyncio.Event()
    again = asyncio.Event()
    loop = asyncio.get_running_loop()

    def signalled() -> None:
        (again if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    task = asyncio.ensure_future(main(stop))
    stopping = asyncio.ensure_future(stop.wait())
    hurry = asyncio.ensure_future(again.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            log.info("stopping")
            await asyncio.wait((task, hurry), timeout=STOP_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            log.warning("stopped before everything in flight was confirmed; it is sent again at the next start")
            task.cancel()
            await asyncio.wait((task,), timeout=CANCEL_LIMIT)
            if not task.done() or task.cancelled():
                # Closing the loop would wait for threads that are stuck in a client.
                sys.stderr.flush()
                os._exit(0)
        if not task.cancelled():
            task.result()
    finally:
        stopping.cancel()
        hurry.cancel()


def told(work: Callable[[], None], *, debug: bool, as_json: bool) -> NoReturn:
    """Do `work` and leave the process with its exit code, having told what went wrong."""
    before = signal.signal(signal.SIGTERM, _nothing_to_finish)
    try:
        work()
    except BaseException as error:
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise
        faults = list(_leaves(error))
        if debug:
            traceback.print_exception(error, file=sys.stderr)
        for fault in dict.fromkeys(faults):
            _tell(fault, as_json=as_json)
        sys.exit(max((f.exit_code if isinstance(f, PycdcError) else 1 for f in faults), default=1))
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(0)


def _nothing_to_finish(_number: int, _frame: object) -> NoReturn:
    """SIGTERM while the configuration is read: nothing is in flight yet."""
    sys.exit(0)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a task group's error; cancellations in it only followed from them."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _tell(error: BaseException, *, as_json: bool) -> None:
    if as_json:
        event, fields = _fields(error)
        log.error(event, **fields)
        return
    sys.stderr.write(f"error: {error if isinstance(error, PycdcError) else _internal(error)}\n")
    sys.stderr.flush()


def _fields(error: BaseException) -> tuple[str, dict[str, Any]]:
    if not isinstance(error, PycdcError):
        return _internal(error), {}
    fields: dict[str, Any] = {k: v for k in ("where", "cause", "hint") if (v := getattr(error, k))}
    if isinstance(error, ConfigError):
        fields["faults"] = [{k: v for k, v in f._asdict().items() if v} for f in error.faults]
    return error.what, fields


def _internal(error: BaseException) -> str:
    """Type and place only: the text of an unforeseen error may quote a row."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"internal error: {type(error).__name__}{place}\n  hint: run again with --debug for the stack trace"
