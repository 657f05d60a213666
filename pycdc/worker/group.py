"""A worker's place among the others: who leads, who has what, and who answers for it.

In a group the leader deals out what the config topic lists; a worker alone has all of it. `Herder` is what both tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import msgspec

from pycdc.kafka.membership import GroupMember
from pycdc.worker.assignment import deal
from pycdc.worker.items import connectors_of, tasks_of
from pycdc.worker.settings import Worker

#: Of the group: never `connect`, whose workers would take us for one of theirs.
PROTOCOL_TYPE: Final = "pycdc"
_PROTOCOL: Final = "worker-1"


class About(msgspec.Struct):
    """What a worker tells the leader of itself."""

    url: str
    worker_id: str
    #: Items that run here, or are about to end.
    held: list[str] = []


class Assignment(msgspec.Struct):
    """What a meeting came to."""

    items: list[str]
    leader_url: str
    #: Everything that was dealt out: another list later is a reason to meet.
    work: list[str] = []
    #: Item -> URL of the worker that has it.
    owners: dict[str, str] = {}
    workers: list[str] = []


class Place(msgspec.Struct, frozen=True):
    """A worker's, behind a meeting."""

    assignment: Assignment
    generation: int
    leads: bool


class Member(Protocol):
    """What a worker asks of its membership."""

    async def start(self) -> None: ...

    def meet_again(self) -> None: ...

    async def confirm(self) -> bool:
        """Whether the group still counts on us."""

    async def leave(self) -> None: ...

    @property
    def task(self) -> asyncio.Task[None] | None:
        """Ends with a fault that no waiting mends."""


class Party:
    """Deals and is dealt to, for a worker whose own things the callbacks are."""

    def __init__(
        self, about: Callable[[], About], work: Callable[[], Collection[str]], refresh: Callable[[], object],
        placed: Callable[[Place], None], lost: Callable[[], object],
    ) -> None:  # fmt: skip
        """`refresh` is awaited: the config topic is read to its end."""
        self._about, self._work, self._refresh, self._placed, self._lost = about, work, refresh, placed, lost

    def metadata(self) -> bytes:
        return msgspec.json.encode(self._about())

    async def deal(self, members: Mapping[str, bytes]) -> Mapping[str, bytes]:
        await self._refresh()  # type: ignore[misc]
        about = {m: msgspec.json.decode(data, type=About) for m, data in members.items()}
        work = sorted(self._work())
        return {m: msgspec.json.encode(a) for m, a in dealt(about, work, self._about().url).items()}

    async def given(self, assignment: bytes, *, generation: int, leads: bool) -> None:
        found = msgspec.json.decode(assignment, type=Assignment) if assignment else Assignment([], "")
        self._placed(Place(found, generation, leads))

    async def lost(self) -> None:
        await self._lost()  # type: ignore[misc]


def dealt(about: Mapping[str, About], work: Collection[str], leader_url: str) -> dict[str, Assignment]:
    """Connectors and tasks each by themselves: a connector weighs nothing beside a task."""
    given: dict[str, list[str]] = {m: [] for m in about}
    leader = next((m for m, a in about.items() if a.url == leader_url), "")
    for kind in (connectors_of, tasks_of):
        for member, items in deal({m: kind(a.held) for m, a in about.items()}, kind(work), first=leader).items():
            given[member] += items
    owners = {item: about[m].url for m, items in given.items() for item in items}
    workers = sorted(a.url for a in about.values())
    return {m: Assignment(items, leader_url, sorted(work), owners, workers) for m, items in given.items()}


def group_member(worker: Worker, party: Party) -> GroupMember:
    c = worker.config
    return GroupMember(
        worker.kafka, c.group_id or "", party, protocol_type=PROTOCOL_TYPE, protocol=_PROTOCOL,
        session=c.session / 1000, rebalance=c.rebalance / 1000, heartbeat=c.heartbeat / 1000,
    )  # fmt: skip


class Alone:
    """A worker without a group: it leads, and has everything."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self._again = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._again.set()
        self._running = asyncio.create_task(self._run())

    @property
    def task(self) -> asyncio.Task[None] | None:
        return self._running

    async def _run(self) -> None:
        generation = 0
        while True:
            await self._again.wait()
            self._again.clear()
            generation += 1
            given = await self._party.deal({"alone": self._party.metadata()})
            await self._party.given(given["alone"], generation=generation, leads=True)

    def meet_again(self) -> None:
        self._again.set()

    async def confirm(self) -> bool:
        return True

    async def leave(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))
