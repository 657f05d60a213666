"""Writes: a sink's writes one after the other. A sink has one connection, and one transaction on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

#: Takes what the sink has buffered before its first await, and with it the positions that cover just that.
Write = Callable[[], Coroutine[Any, Any, None]]


class Writes:
    """At most one at a time. Whoever needs its end waits for it: reading that is too far ahead, a revocation, a stop."""

    def __init__(self) -> None:
        #: The write under way, or one that has ended and that nobody has waited for.
        self.task: asyncio.Task[None] | None = None

    def begin(self, write: Write) -> None:
        """To be called when `task` is None."""
        self.task = asyncio.ensure_future(write())

    async def finish(self) -> None:
        """Wait for the write under way. Raises its fault, to all who wait."""
        task = self.task
        if task is None:
            return
        try:
            await task
        finally:
            if self.task is task:
                self.task = None

    async def run(self, write: Write) -> None:
        """Begin it behind the one under way, and wait for its end."""
        while self.task is not None:
            await self.finish()
        self.begin(write)
        await self.finish()

    async def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(BaseException):
                await self.task
