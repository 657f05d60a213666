"""The one place that touches aiokafka's private names; pinned by the version range in pyproject.toml.

`Batch` stands where aiokafka's own BatchBuilder would: appending skips its per-record wrapper (half of the
cost), and compression happens in `seal`, which may run in a thread, instead of on the event loop. The rest
closes a producer whose broker is gone, spares a consumer an object per record, and asks a broker what
aiokafka has no method for.
"""

from __future__ import annotations

import asyncio
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.conn import create_conn
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.record import default_records
from aiokafka.record.util import calc_crc32c

from pycdc.errors import PycdcError

# Where a record batch of format 2 keeps what is known only when it leaves (Kafka docs, "Record Batch").
_LENGTH_AT: Final = 8
_CRC_AT: Final = 17
_ATTRIBUTES_AT: Final = 21
_PRODUCER_AT: Final = 43
_HEADER: Final = 61
_PRODUCER = struct.Struct(">qhi")

#: compression.type -> its number in a batch's attributes, and the function; levels are Kafka's defaults.
_CODECS: Final[dict[str, tuple[int, Callable[[bytes], bytes]]]] = {
    "gzip": (1, lambda data: gzip_encode(data, 6)),
    "snappy": (2, snappy_encode),
    "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
}
_TOPIC_RESOURCE: Final = 2


class InvalidRecord(kafka.BrokerResponseError):  # type: ignore[misc]
    """A code newer than aiokafka: without a class of its own it could not be told from a passing failure."""

    errno = 87
    message = "INVALID_RECORD"
    description = "the broker's validation refused a record of the batch"


kafka.kafka_errors[InvalidRecord.errno] = InvalidRecord


def require_extension() -> None:
    """Refuse aiokafka without its C extension instead of crawling: it is fifty times slower."""
    if default_records.DefaultRecordBatchBuilder is default_records._DefaultRecordBatchBuilderPy:
        raise PycdcError(
            "aiokafka runs without its C extension",
            cause="it was installed without a wheel, or AIOKAFKA_NO_EXTENSIONS is set",
            hint="pip install --force-reinstall --only-binary :all: aiokafka",
        )


class Batch:
    """Records of one partition, given to `AIOKafkaProducer.send_batch` once sealed."""

    __slots__ = ("_builder", "_count", "_data", "_size")

    def __init__(self, limit: int) -> None:
        """`limit`: bytes before compression; the first record is taken whatever its size."""
        self._builder: Any = default_records.DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, limit)
        self._count = 0
        self._data: bytearray = bytearray()
        self._size = _HEADER

    def fill(
        self,
        start: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[list[tuple[str, bytes | None]]],
        timestamps: Sequence[int | None] | None,
        now_ms: int,
    ) -> int:
        """Append records from `start` on; returns the index of the first that does not fit, or their count.

        A record's timestamp (ms) is `now_ms` where none is given.
        """
        append = self._builder.append
        offset = self._count
        index = start
        for index in range(start, len(values)):
            stamp = now_ms
            if timestamps is not None and timestamps[index] is not None:
                stamp = timestamps[index]  # type: ignore[assignment]
            if append(offset, stamp, keys[index], values[index], headers[index]) is None:
                break
            offset += 1
        else:
            index = len(values)
        self._count = offset
        self._size = self._builder.size()
        return index

    def seal(self, compression: str | None) -> None:
        """No more records. Compresses, which for big batches is done in a thread: the codecs free the GIL."""
        if compression is None:
            return
        data = self._builder.build()
        self._builder = None
        number, encode = _CODECS[compression]
        packed = encode(bytes(data[_HEADER:]))
        if len(packed) < len(data) - _HEADER:
            data = data[:_HEADER] + packed
            struct.pack_into(">i", data, _LENGTH_AT, len(data) - _LENGTH_AT - 4)
            struct.pack_into(">h", data, _ATTRIBUTES_AT, number)
        self._data = data
        self._size = len(data)

    # ---- what aiokafka asks of a builder

    def record_count(self) -> int:
        return self._count

    def size(self) -> int:
        """Bytes, as they lie in memory."""
        return self._size

    def closed(self) -> bool:
        return True

    def close(self) -> None:
        """Sealed before it is given away."""

    def append(self, **_: Any) -> None:
        """Full, for anyone who calls `producer.send` to the same partition."""

    def _set_producer_state(self, producer_id: int, epoch: int, sequence: int) -> None:
        """Called once, when the batch gets its place in the partition's sequence; retries keep it."""
        if self._builder is not None:
            self._builder.set_producer_state(producer_id, epoch, sequence)
            self._data = self._builder.build()
            self._builder = None
            return
        _PRODUCER.pack_into(self._data, _PRODUCER_AT, producer_id, epoch, sequence)
        struct.pack_into(">I", self._data, _CRC_AT, calc_crc32c(memoryview(self._data)[_ATTRIBUTES_AT:]))

    def _build(self) -> bytearray:
        return self._data


async def abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer without delivering what it still holds, also when its broker never answers again.

    Its own `stop` waits for every batch, and its sockets for the last byte: here they are cut. A connection
    that is just being opened is the one thing left to end by itself, within request.timeout.ms.
    """
    client = producer.client
    producer._closed = True
    # nobody answers it any more, and a failed request waits for it before it ends
    client.force_metadata_update = _no_metadata
    if client._md_update_fut is not None and not client._md_update_fut.done():
        client._md_update_fut.set_result(False)
    for connection in client._conns.values():
        transport = connection._writer.transport if connection._writer is not None else None
        connection.close()
        if transport is not None:
            transport.abort()
    await client.close()
    task = producer._sender.sender_task
    if task is not None:
        task.cancel()
        await asyncio.wait([task], timeout=2)
    accumulator = producer._message_accumulator
    left = [batch for batches in accumulator._batches.values() for batch in batches] + list(accumulator._pending_batches)
    accumulator.fail_all(kafka.ProducerClosed())
    for batch in left:
        for future in (batch.future, batch._drain_waiter):
            if future.done() and not future.cancelled():
                future.exception()  # retrieved, or the loop would complain of what is meant


def bare_records(consumer: AIOKafkaConsumer) -> None:
    """From now on `getmany` gives the decoder's own records (offset, timestamp, key, value, headers as attributes)
    in place of ConsumerRecord, whose making costs as much as all the rest of reading. After `start`.
    """
    consumer._fetcher._records = _BareRecords(consumer._fetcher._records)


class _BareRecords(OrderedDict[Any, Any]):
    """Results of fetches by partition, told as they come in to leave their records as they are."""

    def __setitem__(self, part: Any, result: Any) -> None:
        if isinstance(result, FetchResult):
            result._partition_records._consumer_record = _itself
        super().__setitem__(part, result)


def _itself(_part: Any, record: Any) -> Any:
    return record


def _no_metadata() -> asyncio.Future[bool]:
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    future.set_result(False)
    return future


def client_of(admin: AIOKafkaAdminClient) -> AIOKafkaClient:
    """The client below an administrator, for questions that it has no method for."""
    return admin._client


def rejoin(consumer: AIOKafkaConsumer) -> None:
    """Ask the group for a new assignment."""
    consumer._coordinator.request_rejoin()


def client_of_consumer(consumer: AIOKafkaConsumer) -> AIOKafkaClient:
    """The same below a consumer."""
    return consumer._client


async def topic_settings(client: AIOKafkaClient, topic: str, names: list[str]) -> dict[str, str]:
    """Settings of a topic as they are in force; empty where the user may not read them.

    Raises KafkaError when the broker does not answer.
    """
    request = DescribeConfigsRequest([(_TOPIC_RESOURCE, topic, names)])
    response = await client.send(client.get_random_node(), request)
    found: dict[str, str] = {}
    for code, _message, _type, _name, entries in response.resources:
        if code == 0:
            found.update({entry[0]: entry[1] for entry in entries})
    return found


async def why_unreachable(client: AIOKafkaClient) -> BaseException | None:
    """Bootstrapping tells only that it failed: try each server once more and return the last reason, or None."""
    reason: BaseException | None = None
    for host, port, _ in client.hosts:
        try:
            connection = await create_conn(
                host,
                port,
                client_id=client._client_id,
                request_timeout_ms=5000,
                ssl_context=client._ssl_context,
                security_protocol=client._security_protocol,
                sasl_mechanism=client._sasl_mechanism,
                sasl_plain_username=client._sasl_plain_username,
                sasl_plain_password=client._sasl_plain_password,
                sasl_kerberos_service_name=client._sasl_kerberos_service_name,
                sasl_kerberos_domain_name=client._sasl_kerberos_domain_name,
                sasl_oauth_token_provider=client._sasl_oauth_token_provider,
            )
        except (OSError, kafka.KafkaError, TimeoutError) as error:
            reason = error
        else:
            connection.close()
    return reason
