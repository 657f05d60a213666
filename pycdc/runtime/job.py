"""A task that is ready to run, and what can be seen of it from outside: by health, metrics and a Connect worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from pycdc.errors import PycdcError
from pycdc.runtime.health import Health
from pycdc.telemetry.metrics import SinkMetrics, SourceMetrics


class Job:
    """Runs once. The functions answer at any time, from memory."""

    def __init__(
        self, health: Health, metrics: SourceMetrics | SinkMetrics, run: Callable[[asyncio.Event], Awaitable[None]], *,
        topics: Callable[[], Mapping[str, int]], begun: Callable[[], bool], position: Callable[[], object], behind: Callable[[], bool],
    ) -> None:  # fmt: skip
        """`topics`: records written to, or read from, each so far. `begun`: it works, or tries to by itself.

        `position`: another value each time something has moved. `behind`: whether there is work to do.
        """
        self.health, self.metrics = health, metrics
        self.topics, self.begun, self.position, self.behind = topics, begun, position, behind
        self._run = run

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, all is done, or a fault ends it (raised)."""
        try:
            await self._run(stop)
        except PycdcError as error:
            self.health.failed(error)
            raise
