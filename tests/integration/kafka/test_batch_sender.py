"""BatchSender against a real broker that works."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from kafka_records import NONE, append, new_topic, numbers, properties, read, sender, until

from pycdc.errors import ConnectionLost, ProduceError, RecordError, ServerError
from pycdc.kafka.producer import SMALL_BATCH_BYTES, BatchSender
from pycdc.model.ledger import Ledger
from pycdc.servers.process import free_port
from pycdc.testing.plugin import Names


@pytest.mark.parametrize("compression", ["none", "zstd", "lz4"])
async def test_every_record_arrives_once_in_its_partitions_order(kafka: str, names: Names, compression: str) -> None:
    await new_topic(kafka, names.prefix, 3)
    ledger: Ledger[int] = Ledger()
    to = await sender(kafka, ledger, compression_type=compression)
    assert await to.partitions(names.prefix) == 3
    chance, first = random.Random(7), 0
    lanes: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for _ in range(400):
        run = range(first, first + chance.randint(1, 200))
        first = run.stop
        lane = chance.randrange(3)
        lanes[lane] += run
        append(to, names.prefix, lane, run, size=chance.randrange(300))
        ledger.mark(first, first)
        to.flush_soon()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await to.flush()
    assert to.buffered_bytes == 0
    assert ledger.settled() == first
    await to.stop()
    found = await read(kafka, names.prefix, 3)
    assert {p: numbers(r) for p, r in found.items()} == lanes


async def test_keys_headers_timestamps_and_tombstones_are_kept(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix)
    to = await sender(kafka)
    await to.partitions(names.prefix)
    before = time.time_ns() // 1_000_000
    headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("ü", b"\x00"), ("none", None)]
    to.append_run(names.prefix, 0, [b"k", None, b"k"], [b"v", b"", None], [headers, [], []], range(3), [1234, None, 0])
    await to.flush()
    after = time.time_ns() // 1_000_000
    await to.stop()
    one, two, three = (await read(kafka, names.prefix))[0]
    assert (one.key, one.value, one.timestamp) == (b"k", b"v", 1234)
    assert list(one.headers) == headers
    assert (two.key, two.value) == (None, b"")
    assert before <= two.timestamp <= after
    assert (three.key, three.value, three.timestamp) == (b"k", None, 0)


async def test_the_ledger_settles_only_what_is_acknowledged_everywhere(kafka: str, names: Names) -> None:
    """Lane 1 holds event 0 back in an open batch while lane 0 is acknowledged far beyond it."""
    await new_topic(kafka, names.prefix, 2)
    ledger: Ledger[str] = Ledger()
    to = await sender(kafka, ledger)
    await to.partitions(names.prefix)
    append(to, names.prefix, 1, [0])
    for first in range(1, 4001, 400):
        append(to, names.prefix, 0, range(first, first + 400), size=1000)
    ledger.mark(4001, "all")
    await until(lambda: ledger.pending <= 2)  # the open batches of both lanes
    assert ledger.settled() is None
    await to.flush()
    assert ledger.settled() == "all"
    await to.stop()


async def test_a_single_event_leaves_at_once(kafka: str, names: Names) -> None:
    """With nothing in flight an event waits for no timer: also not for a long linger.ms."""
    await new_topic(kafka, names.prefix)
    to = await sender(kafka, linger_ms="5000")
    await to.partitions(names.prefix)
    append(to, names.prefix, 0, [0])
    to.flush_soon()
    await until(lambda: to.buffered_bytes == 0, 3)
    await to.stop()
    assert numbers((await read(kafka, names.prefix))[0]) == [0]


async def test_a_busy_partition_gathers_for_linger_ms(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix)
    to = await sender(kafka, linger_ms="300")
    await to.partitions(names.prefix)
    began = time.monotonic()
    sent = 0
    while time.monotonic() - began < 1:
        append(to, names.prefix, 0, [sent])
        sent += 1
        to.flush_soon()
        await asyncio.sleep(0.005)
    assert 2 <= to.batches <= 6  # one at once, then about three a second
    await until(lambda: to.buffered_bytes == 0, 3)
    await to.stop()
    assert numbers((await read(kafka, names.prefix))[0]) == list(range(sent))


async def test_room_bounds_what_is_buffered_though_no_batch_is_full(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix, 8)
    to = await sender(kafka)
    await to.partitions(names.prefix)
    limit, peak = 200_000, 0
    for first in range(0, 4000, 20):
        append(to, names.prefix, first // 20 % 8, range(first, first + 20), size=500)
        peak = max(peak, to.buffered_bytes)
        if to.buffered_bytes > limit:
            await to.room(limit)
            assert to.buffered_bytes <= limit
    assert limit < peak < limit + 20_000
    await to.flush()
    await to.stop()


async def test_a_topic_that_takes_little_gets_small_batches(kafka: str, names: Names) -> None:
    """Debezium's producer sends 16 KiB: a topic that works with it must work here, and without a refusal."""
    await new_topic(kafka, names.prefix, max_message_bytes="20000")
    to = await sender(kafka)
    await to.partitions(names.prefix)
    append(to, names.prefix, 0, range(500), size=1000)
    await to.flush()
    await to.stop()
    assert numbers((await read(kafka, names.prefix))[0]) == list(range(500))


async def test_a_refused_batch_size_is_learnt_and_the_next_sender_succeeds(kafka: str, names: Names) -> None:
    """Where the settings of a topic may not be read, or have changed since."""
    await new_topic(kafka, names.prefix, max_message_bytes="20000")
    to = await sender(kafka)
    append(to, names.prefix, 0, range(500), size=1000)  # without asking for its partitions, nothing is known
    with pytest.raises(ProduceError) as caught:
        await to.flush()
    assert caught.value.retriable
    await to.stop()
    assert BatchSender._limits[kafka, names.prefix] == SMALL_BATCH_BYTES
    again = await sender(kafka)
    append(again, names.prefix, 0, range(500), size=1000)
    await again.flush()
    await again.stop()
    assert numbers((await read(kafka, names.prefix))[0]) == list(range(500))


async def test_a_record_larger_than_its_topic_allows_is_named(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix, max_message_bytes="20000")
    ledger: Ledger[str] = Ledger()
    to = await sender(kafka, ledger)
    await to.partitions(names.prefix)
    append(to, names.prefix, 0, [0], size=30_000)
    ledger.mark(1, "lost")
    with pytest.raises(RecordError) as caught:
        await to.flush()
    assert names.prefix in caught.value.where
    assert "max.message.bytes" in caught.value.hint
    assert not caught.value.retriable
    with pytest.raises(RecordError):
        append(to, names.prefix, 0, [1])
    assert ledger.settled() is None
    await to.stop()


async def test_a_record_larger_than_max_request_size_is_refused_before_it_is_sent(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix)
    to = await sender(kafka, max_request_size="50000")
    await to.partitions(names.prefix)
    append(to, names.prefix, 0, range(10), size=40_000)
    with pytest.raises(RecordError, match="too large") as caught:
        append(to, names.prefix, 0, [10], size=60_000)
    assert "max.request.size" in caught.value.hint
    await to.stop()


async def test_a_record_without_key_is_refused_by_a_compacted_topic_for_good(kafka: str, names: Names) -> None:
    """Replaying could never mend it, so it may not look like a passing failure."""
    await new_topic(kafka, names.prefix, cleanup_policy="compact")
    to = await sender(kafka)
    await to.partitions(names.prefix)
    to.append_run(names.prefix, 0, [None], [b"v"], [NONE], [0])
    with pytest.raises(RecordError, match="refuses a record") as caught:
        await to.flush()
    assert "without a key" in caught.value.hint
    await to.stop()


async def test_large_records_pass_when_both_settings_allow_them(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix, max_message_bytes="4000000")
    to = await sender(kafka, max_request_size="4000000")
    await to.partitions(names.prefix)
    append(to, names.prefix, 0, [0, 1, 2], size=2_000_000)
    await to.flush()
    await to.stop()
    assert numbers((await read(kafka, names.prefix))[0]) == [0, 1, 2]


async def test_asking_for_partitions_makes_the_broker_create_the_topic(kafka: str, names: Names) -> None:
    to = await sender(kafka)
    assert await to.partitions(names.prefix) == 1
    await to.stop()


async def test_an_impossible_topic_name_is_told_at_once(kafka: str) -> None:
    to = await sender(kafka)
    with pytest.raises(ServerError, match="cannot have this name"):
        await to.partitions("shop.public.größe")
    await to.stop()


async def test_an_unreachable_broker_is_one_quick_error() -> None:
    to = BatchSender(properties(f"127.0.0.1:{free_port()}"), Ledger())
    began = time.monotonic()
    with pytest.raises(ConnectionLost, match="cannot reach Kafka") as caught:
        await to.start()
    assert time.monotonic() - began < 10
    assert "Connect call failed" in caught.value.cause or "refused" in caught.value.cause
    assert caught.value.retriable
    await to.stop()


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Something listens, but it is no broker: the limit ends it."""
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    to = BatchSender(properties(f"127.0.0.1:{port}", request_timeout_ms="1000"), Ledger())
    with pytest.raises(ConnectionLost):
        await to.start()
    await to.stop()
    for writer in held:
        writer.close()
    server.close()


async def test_nothing_is_taken_after_the_stop(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.prefix)
    to = await sender(kafka)
    await to.stop()
    with pytest.raises(ProduceError):
        to.append_run(names.prefix, 0, [b"k"], [b"v"], [NONE], [0])
