from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from kafka_records import new_topic, properties

from pycdc.errors import ServerError
from pycdc.kafka.topics import Topics, parse_groups
from pycdc.kafka.wire import client_of, topic_settings
from pycdc.testing.plugin import Names

DEFAULT = {"topic.creation.default.partitions": "-1", "topic.creation.default.replication.factor": "-1"}


async def described(kafka: str, topic: str) -> tuple[int, str]:
    """Partitions and retention.ms."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
        settings = await topic_settings(client_of(admin), topic, ["retention.ms"])
    finally:
        await admin.close()
    return len(found["partitions"]), settings["retention.ms"]


async def test_topics_are_made_as_their_group_says(kafka: str, names: Names) -> None:
    groups = parse_groups({
        **DEFAULT, "topic.creation.groups": "big", "topic.creation.big.include": r".*\.orders", "topic.creation.big.partitions": "4",
        "topic.creation.big.retention.ms": "3600000",
    })  # fmt: skip
    topics = Topics(groups, properties(kafka))
    orders, other = f"{names.prefix}.orders", f"{names.prefix}.other"
    for name in (orders, other, orders):
        await topics.ensure_topic(name)
    assert await described(kafka, orders) == (4, "3600000")
    assert await described(kafka, other) == (1, "604800000")  # -1: the broker's own defaults


async def test_a_topic_that_exists_is_left_as_it_is(kafka: str, names: Names) -> None:
    """Also one that somebody else creates after we have looked."""
    topics = Topics(parse_groups({**DEFAULT, "topic.creation.default.partitions": "2"}), properties(kafka))
    await topics.ensure_topic(f"{names.prefix}.first")
    await new_topic(kafka, f"{names.prefix}.second", 3)
    await topics.ensure_topic(f"{names.prefix}.second")
    assert (await described(kafka, f"{names.prefix}.second"))[0] == 3


@pytest.mark.parametrize(
    ("setting", "value", "cause", "mends"),
    [
        ("replication.factor", "3", "InvalidReplicationFactorError", "at most the number of brokers"),
        ("no.such.setting", "1", "InvalidConfigurationError", "no setting of a topic"),
    ],
)
async def test_a_refused_topic_is_told_with_what_mends_it(kafka: str, names: Names, setting: str, value: str, cause: str, mends: str) -> None:
    topics = Topics(parse_groups({**DEFAULT, f"topic.creation.default.{setting}": value}), properties(kafka))
    with pytest.raises(ServerError, match="cannot be created") as caught:
        await topics.ensure_topic(names.prefix)
    assert cause in caught.value.cause
    assert mends in caught.value.hint


async def test_without_groups_creation_is_the_brokers(kafka: str, names: Names) -> None:
    await Topics([], properties(kafka)).ensure_topic(names.prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    found = await admin.list_topics()
    await admin.close()
    assert names.prefix not in found
