"""A topic's id: what tells it from a deleted one of the same name. Kafka 2.8 and newer.

Source: Kafka's protocol guide, Metadata version 10 (KIP-516); aiokafka ends at version 5.
"""

from __future__ import annotations

from io import BytesIO
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

_TEXT = CompactString("utf-8")


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _Metadata10(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        ("topics", CompactArray(
            ("error", Int16), ("name", _TEXT), ("id", _Uuid), ("internal", Boolean),
            ("partitions", CompactArray(
                ("error", Int16), ("partition", Int32), ("leader", Int32), ("epoch", Int32), ("replicas", CompactArray(Int32)),
                ("isr", CompactArray(Int32)), ("offline", CompactArray(Int32)), ("tags", TaggedFields),
            )),
            ("operations", Int32), ("tags", TaggedFields),
        )),
        ("operations", Int32),
        ("tags", TaggedFields),
    )  # fmt: skip


class _Request10(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Metadata10
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", _TEXT), ("tags", TaggedFields))),
        ("create", Boolean),
        ("cluster_operations", Boolean),
        ("topic_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicRequest(Request[_Request10]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_Request10]) -> _Request10:
        return request_struct_class([(UUID(int=0), self._topic, {})], False, False, False, {})


async def topic_id(client: AIOKafkaClient, topic: str) -> str:
    """The id as hexadecimal digits; empty when the broker is too old to have one, or has no such topic.

    Raises KafkaError when the broker does not answer.
    """
    try:
        response = await client.send(client.get_random_node(), _TopicRequest(topic))
    except NotImplementedError:
        return ""
    for error, _name, found, *_ in response.topics:
        if not error:
            return str(found.hex)
    return ""
