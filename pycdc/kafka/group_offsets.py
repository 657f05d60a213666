"""Positions of a consumer group that nobody is in: read, set and forgotten, as Kafka's administrators can.

Source: Kafka's protocol guide (OffsetCommit with generation -1; OffsetDelete, KIP-496; DeleteGroups).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, Final

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

from pycdc.errors import ServerError
from pycdc.kafka.faults import name_of
from pycdc.kafka.topics import administration
from pycdc.kafka.wire import client_of

#: Topic and partition.
Place = tuple[str, int]

#: There is nothing to forget.
_UNKNOWN: Final = 69
#: Somebody is in the group; a task that was stopped just now may take a moment to leave it.
_USED: Final = frozenset((kafka.NonEmptyGroup.errno, kafka.UnknownMemberIdError.errno, kafka.RebalanceInProgressError.errno, 86))
#: Who coordinates the group is just changing.
_MOVES: Final = frozenset((
    kafka.GroupCoordinatorNotAvailableError.errno, kafka.GroupLoadInProgressError.errno, kafka.NotCoordinatorForGroupError.errno,
))  # fmt: skip
#: Both are asked again for so long, seconds.
_PATIENCE: Final = 5.0
_PAUSE: Final = 0.1


class UsedGroupError(ServerError):
    """A group's positions cannot be changed: somebody is in it."""


class _OffsetDeleteResponse(Response):  # type: ignore[misc]
    API_KEY = 47
    API_VERSION = 0
    SCHEMA = Schema(
        ("error_code", Int16),
        ("throttle_time_ms", Int32),
        ("topics", Array(("topic", String("utf-8")), ("partitions", Array(("partition", Int32), ("error_code", Int16))))),
    )


class _OffsetDelete0(RequestStruct):  # type: ignore[misc]
    API_KEY = 47
    API_VERSION = 0
    RESPONSE_TYPE = _OffsetDeleteResponse
    SCHEMA = Schema(("group", String("utf-8")), ("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _OffsetDelete(Request[_OffsetDelete0]):  # type: ignore[misc]
    API_KEY = 47

    def __init__(self, group: str, topics: list[tuple[str, list[int]]]) -> None:
        self._group, self._topics = group, topics

    def build(self, request_struct_class: type[_OffsetDelete0]) -> _OffsetDelete0:
        return request_struct_class(self._group, self._topics)


class GroupOffsets:
    """Of one group. Every call raises ServerError."""

    def __init__(self, settings: Mapping[str, str], group: str) -> None:
        """`settings`: Kafka's admin properties."""
        self._settings, self._group = settings, group

    async def committed(self) -> dict[Place, int]:
        """Next offset by partition, in order."""
        async with self._admin() as admin:
            found = await admin.list_consumer_group_offsets(self._group)
        return {(part.topic, part.partition): held.offset for part, held in sorted(found.items()) if held.offset >= 0}

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        """While nobody is in the group."""
        topics = [(topic, [(p, offsets[topic, p], "") for p in parts]) for topic, parts in _by_topic(offsets)]
        await self._change(
            OffsetCommitRequest(self._group, -1, "", -1, topics), lambda answer: [code for _topic, parts in answer.topics for _part, code in parts]
        )

    async def forget(self, places: Iterable[Place]) -> None:
        """While nobody is in the group; a place that it has nothing for is no error."""
        await self._change(
            _OffsetDelete(self._group, _by_topic(places)),
            lambda answer: [answer.error_code, *(code for _topic, parts in answer.topics for _part, code in parts)],
        )

    async def forget_all(self) -> None:
        """The group is gone with all that it had; one that never was is no error."""
        await self._change(DeleteGroupsRequest([self._group]), lambda answer: [code for _group, code in answer.results])

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        async with administration(self._settings) as admin:
            yield admin

    async def _change(self, request: Any, codes: Callable[[Any], Iterable[int]]) -> None:
        """Raises UsedGroupError, ServerError."""
        until = time.monotonic() + _PATIENCE
        async with self._admin() as admin:
            while True:
                coordinator = await admin.find_coordinator(self._group)
                wrong = {code for code in codes(await client_of(admin).send(coordinator, request)) if code not in (0, _UNKNOWN)}
                if not wrong:
                    return
                if not wrong <= _USED | _MOVES or time.monotonic() > until:
                    break
                await asyncio.sleep(_PAUSE)
        code = min(wrong)
        raise (UsedGroupError if code in _USED else ServerError)(
            "the group's positions cannot be changed", where=f"group {self._group}", cause=name_of(kafka.for_code(code)()),
            hint="its members must have left: stop the connector, and whoever else reads in this group",
        )  # fmt: skip


def _by_topic(places: Iterable[Place]) -> list[tuple[str, list[int]]]:
    return [(topic, [p for _topic, p in grouped]) for topic, grouped in groupby(sorted(places), key=lambda place: place[0])]
