"""A thread for blocking calls, one after another, that never keeps the process from ending.

The executors of the standard library are joined when the interpreter ends: a connection to a host that does not answer would
hold up a shutdown for as long as it is tried.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Call = tuple[Callable[[], Any], asyncio.Future[Any], asyncio.AbstractEventLoop]


class Thread:
    """Starts at once; ends with `end`."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._last: Callable[[], None] | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, act: Callable[[], T]) -> T:
        """What `act` gives or raises. Cancelled: `act` goes on, and what it gives is dropped."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((act, future, loop))
        return await future

    def end(self, last: Callable[[], None]) -> None:
        """Behind the calls made so far; `last` is the thread's last act and raises nothing."""
        self._last = last
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            act, future, loop = call
            if future.cancelled():
                continue
            result, error = None, None
            try:
                result = act()
            except BaseException as raised:  # whoever awaits it gets it
                error = raised
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:  # the loop has ended: nobody waits any more
                break
            del call, act, future, result, error
        if self._last is not None:
            self._last()


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
