"""Producers as pycdc uses them: idempotent, acknowledged by all, and gone without a trace when they cannot start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from pycdc.kafka.faults import unreachable
from pycdc.kafka.wire import abandon


async def started_producer(options: Mapping[str, Any], bootstrap: str, limit: float) -> AIOKafkaProducer:
    """Connected within `limit` seconds. Raises ConnectionLost when no broker answers, ServerError when one refuses us."""
    producer = AIOKafkaProducer(enable_idempotence=True, acks="all", **options)
    try:
        async with asyncio.timeout(limit):
            await producer.start()
    except (kafka.KafkaError, OSError, TimeoutError) as error:
        fault = await unreachable(bootstrap, error, producer.client)
        await abandon(producer)
        raise fault from None
    except BaseException:
        await abandon(producer)
        raise
    return producer
