"""A Connect cluster's topics as its workers see them: each reads all, and what others write is told as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pycdc.kafka.compacted import CompactedTopic
from pycdc.kafka.topics import NewTopic
from pycdc.worker import statuses
from pycdc.worker.configs import Configs, Entry, Event
from pycdc.worker.statuses import Status, Statuses, UsedTopic


class Records(Protocol):
    """Where a store keeps its records: a compacted topic, or the memory of a worker that is alone."""

    async def start(self, *, follow: bool = False) -> None: ...

    async def read_to_end(self) -> None: ...

    async def put(self, key: bytes, value: bytes | None) -> None: ...

    async def stop(self) -> None: ...


#: Makes them for whoever is told of each record.
MakeRecords = Callable[[Callable[[bytes, bytes | None], None]], Records]


class InMemory:
    """Records that end with the worker."""

    def __init__(self, told: Callable[[bytes, bytes | None], None]) -> None:
        self._told = told

    async def start(self, *, follow: bool = False) -> None:
        """Nothing was there before."""

    async def read_to_end(self) -> None:
        """All is known."""

    async def put(self, key: bytes, value: bytes | None) -> None:
        self._told(key, value)

    async def stop(self) -> None:
        """Nothing is open."""


def topic(new: NewTopic, settings: Mapping[str, str], *, holds: str) -> MakeRecords:
    """Records in a topic, made when it is missing. `settings`: Kafka's client properties."""
    return lambda told: CompactedTopic(new, settings, told, holds=holds)


class ConfigStore:
    """The config topic. It has one partition: its records have one order for all."""

    def __init__(self, records: MakeRecords, told: Callable[[Event], None]) -> None:
        """`told` hears of what is written after the start, by whomever."""
        self.configs = Configs()
        self._told = told
        self._started = False
        self._topic = records(self._take)

    async def start(self) -> None:
        """Afterwards `configs` has everything that was written before. Raises ServerError."""
        await self._topic.start(follow=True)
        self._started = True

    def _take(self, key: bytes, value: bytes | None) -> None:
        event = self.configs.take(key, value)
        if event is not None and self._started:
            self._told(event)

    async def write(self, entries: Sequence[Entry]) -> None:
        """In order; on return `configs` has them, with what was written before. Raises ServerError."""
        for key, value in entries:
            await self._topic.put(key, value)
        await self._topic.read_to_end()

    async def read_to_end(self) -> None:
        """What others have written is known. Raises ServerError."""
        await self._topic.read_to_end()

    async def stop(self) -> None:
        await self._topic.stop()


class StatusStore:
    """The status topic. What this worker writes it knows at once."""

    def __init__(self, records: MakeRecords, told: Callable[[str], None] = lambda _name: None) -> None:
        """`told` hears the name of each connector whose own state was written."""
        self.known = Statuses()
        self._told = told
        #: Ours that are known and have not come back yet: what comes before them is older.
        self._ahead: dict[bytes, list[bytes | None]] = {}
        self._topic = records(self._take)

    async def start(self) -> None:
        """Raises ServerError."""
        await self._topic.start(follow=True)

    def _take(self, key: bytes, value: bytes | None) -> None:
        ahead = self._ahead.get(key)
        if ahead is None:
            self._know(key, value)
        elif value == ahead[0]:
            self._came_back(key, ahead)

    def _know(self, key: bytes, value: bytes | None) -> None:
        self.known.take(key, value)
        name = statuses.connector_of(key)
        if name is not None:
            self._told(name)

    def _came_back(self, key: bytes, ahead: list[bytes | None]) -> None:
        del ahead[0]
        if not ahead:
            del self._ahead[key]

    async def connector(self, name: str, status: Status, *, safely: bool = False) -> None:
        """`safely`: not over what a worker has said that has it since. Raises ServerError."""
        if not safely or status.may_follow(self.known.connectors.get(name)):
            await self._put(statuses.connector(name, status))

    async def task(self, name: str, number: int, status: Status, *, safely: bool = False) -> None:
        """As `connector`."""
        if not safely or status.may_follow(self.known.tasks.get(name, {}).get(number)):
            await self._put(statuses.task(name, number, status))

    async def used(self, topic: UsedTopic) -> None:
        """Once for each topic of a connector. Raises ServerError."""
        if topic.name not in self.known.topics.get(topic.connector, {}):
            await self._put(statuses.used(topic))

    async def forget_topics(self, name: str) -> None:
        for topic in list(self.known.topics.get(name, {})):
            await self._put(statuses.unused(topic, name))

    async def forget_task(self, name: str, number: int) -> None:
        await self._put(statuses.task(name, number, None))

    async def forget(self, name: str) -> None:
        """The connector is gone: its topics, itself, its tasks. Raises ServerError."""
        await self.forget_topics(name)
        if name in self.known.connectors:
            await self._put(statuses.connector(name, None))
        for number in sorted(self.known.tasks.get(name, {})):
            await self.forget_task(name, number)

    async def _put(self, entry: Entry) -> None:
        key, value = entry
        self._know(key, value)
        self._ahead.setdefault(key, []).append(value)
        try:
            await self._topic.put(key, value)
        except BaseException:
            self._ahead.pop(key, None)
            raise

    async def stop(self) -> None:
        await self._topic.stop()
