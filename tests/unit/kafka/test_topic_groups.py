from __future__ import annotations

import pytest
from aiokafka import errors as kafka

from pycdc.errors import ConfigError
from pycdc.kafka.topics import Group, NewTopic, _refusal, parse_groups

DEFAULT = {"topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "-1"}


def group_of(groups: list[Group], topic: str) -> str:
    return next(g.name for g in groups if g.matches(topic))


def test_no_default_means_that_the_broker_creates() -> None:
    assert parse_groups({}) == []


def test_a_topic_belongs_to_the_first_group_that_matches_it_whole() -> None:
    groups = parse_groups({
        **DEFAULT, "topic.creation.groups": "big, logs", "topic.creation.big.include": r"shop\.public\.orders.*, shop\.x",
        "topic.creation.big.exclude": ".*_old", "topic.creation.big.partitions": "12", "topic.creation.logs.include": ".*log,.*orders",
    })  # fmt: skip
    assert [g.name for g in groups] == ["big", "logs", "default"]
    assert group_of(groups, "shop.public.orders_2") == "big"
    assert group_of(groups, "shop.public.orders") == "big"
    assert group_of(groups, "shop.public.orders_old") == "default"
    assert group_of(groups, "other.shop.x") == "default"
    assert group_of(groups, "a.log") == "logs"


def test_numbers_come_from_default_and_other_settings_do_not() -> None:
    [compacted, default] = parse_groups({
        **DEFAULT, "topic.creation.groups": "c", "topic.creation.c.include": "x", "topic.creation.c.replication.factor": "2",
        "topic.creation.c.cleanup.policy": "compact", "topic.creation.default.retention.ms": "5",
    })  # fmt: skip
    assert (compacted.partitions, compacted.replication, compacted.configs) == (3, 2, {"cleanup.policy": "compact"})
    assert (default.partitions, default.replication, default.configs) == (3, -1, {"retention.ms": "5"})


@pytest.mark.parametrize("bad", ["0", "-2", "many", ""])
def test_a_wrong_number_is_a_fault(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_groups({**DEFAULT, "topic.creation.default.partitions": bad})
    [fault] = caught.value.faults
    assert (fault.key, fault.value) == ("topic.creation.default.partitions", bad)


def test_all_faults_come_at_once() -> None:
    raw = {"topic.creation.default.partitions": "x", "topic.creation.groups": "g", "topic.creation.g.include": "(", "topic.creation.g.partitions": "1"}
    with pytest.raises(ConfigError) as caught:
        parse_groups(raw)
    assert {f.key for f in caught.value.faults} == {
        "topic.creation.default.partitions", "topic.creation.default.replication.factor", "topic.creation.g.include",
        "topic.creation.g.replication.factor",
    }  # fmt: skip


def test_groups_need_a_default() -> None:
    with pytest.raises(ConfigError, match=r"topic\.creation\.default\.partitions: is required"):
        parse_groups({"topic.creation.groups": "g", "topic.creation.g.include": "a"})


@pytest.mark.parametrize(
    ("error", "mends"),
    [
        (kafka.TopicAuthorizationFailedError, "kafka-acls --add --operation Create --topic t"),
        (kafka.ClusterAuthorizationFailedError, "kafka-acls --add --operation Create --topic t"),
        (kafka.InvalidReplicationFactorError, "replication.factor"),
        (kafka.PolicyViolationError, "create.topic.policy.class.name"),
        (kafka.InvalidConfigurationError, "topic.creation.<group>.*"),
        (kafka.UnknownError, "kafka-topics --create --topic t"),
    ],
)
def test_a_refused_creation_says_what_mends_it(error: type[kafka.KafkaError], mends: str) -> None:
    fault = _refusal(NewTopic("t", 3, 2), error, "the broker's words")
    assert mends in fault.hint
    assert "the broker's words" in fault.cause
    assert not fault.retriable
