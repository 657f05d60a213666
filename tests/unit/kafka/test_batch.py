"""Batches as another reader of the format sees them."""

from __future__ import annotations

import os
import random

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from pycdc.kafka.wire import Batch

HEADERS: list[tuple[str, bytes | None]] = [("a", b"1"), ("b", None)]


def sent(batch: Batch, compression: str | None) -> DefaultRecordBatch:
    batch.seal(compression)
    batch._set_producer_state(77, 3, 1234)
    data = bytes(batch._build())
    assert batch.size() == len(data)
    read = DefaultRecordBatch(data)
    assert read.validate_crc()
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == (77, 3, 1234)
    return read


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_what_goes_in_comes_out(compression: str | None) -> None:
    keys = [b"k%d" % i if i % 3 else None for i in range(500)]
    values = [b"value " * (i % 20) if i % 7 else None for i in range(500)]
    batch = Batch(1 << 20)
    assert batch.fill(0, keys, values, [HEADERS] * 500, None, 1000) == 500
    plain = batch.size()
    read = sent(batch, compression)
    assert (batch.size() < plain) is (compression is not None)
    records = list(read)
    assert batch.record_count() == len(records) == 500
    assert [r.key for r in records] == keys
    assert [r.value for r in records] == values
    assert all(r.headers == HEADERS and r.timestamp == 1000 for r in records)


def test_timestamps_are_the_records_own_where_given() -> None:
    batch = Batch(1 << 20)
    batch.fill(0, [b"k"] * 3, [b"v"] * 3, [[]] * 3, [5, None, 0], 9)
    assert [r.timestamp for r in sent(batch, None)] == [5, 9, 0]


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    batch = Batch(1 << 20)
    noise = os.urandom(5000)
    batch.fill(0, [None], [noise], [[]], None, 1)
    read = sent(batch, "zstd")
    assert read.compression_type == 0
    assert [r.value for r in read] == [noise]


def test_a_full_batch_says_where_to_go_on() -> None:
    values = [b"x" * 100] * 50
    batch = Batch(1000)
    taken = batch.fill(0, [None] * 50, values, [[]] * 50, None, 1)
    assert 0 < taken < 50
    assert batch.size() <= 1000
    assert batch.record_count() == taken
    assert batch.fill(taken, [None] * 50, values, [[]] * 50, None, 1) == taken


def test_the_first_record_is_taken_whatever_its_size() -> None:
    batch = Batch(1000)
    assert batch.fill(0, [None], [b"x" * 5000], [[]], None, 1) == 1


@given(st.integers(0, 2**32), st.integers(200, 4000), st.integers(1, 60))
def test_batches_in_sequence_lose_and_repeat_nothing(seed: int, limit: int, count: int) -> None:
    chance = random.Random(seed)
    values = [chance.randbytes(chance.randrange(600)) for _ in range(count)]
    keys = [b"%d" % i for i in range(count)]
    start, seen = 0, []
    while start < count:
        batch = Batch(limit)
        end = batch.fill(start, keys, values, [[]] * count, None, 1)
        assert end > start
        start = end
        seen += [(r.key, r.value) for r in sent(batch, None)]
    assert seen == list(zip(keys, values, strict=True))
