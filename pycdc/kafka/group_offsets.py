"""Positions of a consumer group that nobody is in: read, set and forgotten, as Kafka's administrators can.

Source: Kafka's protocol guide (OffsetCommit with generation -1; OffsetDelete, KIP-496; DeleteGroups).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
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
        async with self._admin() as admin:
            topics = [(topic, [(p, offsets[topic, p], "") for p in parts]) for topic, parts in _by_topic(offsets)]
            answer = await self._ask(admin, OffsetCommitRequest(self._group, -1, "", -1, topics))
            self._must_be_well(code for _topic, parts in answer.topics for _part, code in parts)

    async def forget(self, places: Iterable[Place]) -> None:
        """While nobody is in the group; a place that it has nothing for is no error."""
        async with self._admin() as admin:
            answer = await self._ask(admin, _OffsetDelete(self._group, _by_topic(places)))
            codes = [answer.error_code, *(code for _topic, parts in answer.topics for _part, code in parts)]
            self._must_be_well(code for code in codes if code != _UNKNOWN)

    async def forget_all(self) -> None:
        """The group is gone with all that it had; one that never was is no error."""
        async with self._admin() as admin:
            answer = await self._ask(admin, DeleteGroupsRequest([self._group]))
            self._must_be_well(code for _group, code in answer.results if code != _UNKNOWN)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        async with administration(self._settings) as admin:
            yield admin

    async def _ask(self, admin: AIOKafkaAdminClient, request: Any) -> Any:
        coordinator = await admin.find_coordinator(self._group)
        return await client_of(admin).send(coordinator, request)

    def _must_be_well(self, codes: Iterable[int]) -> None:
        for code in codes:
            error = kafka.for_code(code)
            if error is not kafka.NoError:
                raise ServerError(
                    "the group's positions cannot be changed", where=f"group {self._group}", cause=name_of(error()),
                    hint="its members must have left: stop the connector, and whoever else reads in this group",
                )  # fmt: skip


def _by_topic(places: Iterable[Place]) -> list[tuple[str, list[int]]]:
    return [(topic, [p for _topic, p in grouped]) for topic, grouped in groupby(sorted(places), key=lambda place: place[0])]
