from __future__ import annotations

import json

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from pycdc.kafka.murmur2 import PrefixHash, murmur2, partition_for


@given(st.binary(max_size=70))
def test_equals_another_implementation(data: bytes) -> None:
    assert murmur2(data) == reference(data) & 0xFFFFFFFF


def test_partitions_are_those_of_kafkas_own_test_vectors() -> None:
    """The signed hashes that Kafka's UtilsTest gives for these texts."""
    signed = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    for text, value in signed.items():
        assert murmur2(text) == value & 0xFFFFFFFF
        assert partition_for(text, 7) == (value & 0x7FFFFFFF) % 7


@given(st.lists(st.binary(max_size=40), max_size=12), st.binary(max_size=40), st.integers(1, 30))
def test_a_learnt_prefix_changes_no_partition(tails: list[bytes], prefix: bytes, count: int) -> None:
    """Keys with and without a common beginning, in any mixture and of any length."""
    hashed = PrefixHash(count)
    for key in [prefix + t for t in tails] + tails + [prefix, b""]:
        assert hashed.partition(key) == partition_for(key, count)


@given(st.lists(st.lists(st.binary(max_size=40), max_size=40), max_size=4), st.binary(max_size=40), st.integers(1, 30))
def test_many_keys_at_once_go_where_they_go_one_by_one(runs: list[list[bytes]], prefix: bytes, count: int) -> None:
    """Runs with and without a common beginning; the lanes of one long integer must not touch each other."""
    hashed = PrefixHash(count)
    for tails in runs:
        for keys in ([prefix + t for t in tails], tails):
            assert hashed.partitions(keys) == [partition_for(k, count) for k in keys]


def test_the_prefix_is_what_keys_with_a_schema_share() -> None:
    """Otherwise every key would be hashed whole: the gain is that only its tail is."""
    schema = json.dumps({"schema": {"type": "struct", "fields": [{"type": "int64", "field": "id"}]}})[:-1]
    hashed = PrefixHash(6)
    for i in range(2000):
        hashed.partition(f'{schema}, "payload": {{"id": {i}}}}}'.encode())
    assert hashed._prefix is not None
    assert len(schema) <= len(hashed._prefix) <= len(schema) + 20
