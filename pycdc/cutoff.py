"""Work that must not be left half done, also when whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(work: Awaitable[T], *, limit: float | None = None, cut: Callable[[], None] = lambda: None) -> T:
    """What `work` gives. Cancelled meanwhile, this calls `cut`, waits for `work`, `limit` seconds at most, and then ends; what
    `work` gave or raised is lost then. A thread cannot be stopped, and what comes next would meet it in the middle.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cut()
        await asyncio.wait([task], timeout=limit)
        if not task.cancel() and not task.cancelled():
            task.exception()  # seen, so that nobody complains that it was not
        raise
