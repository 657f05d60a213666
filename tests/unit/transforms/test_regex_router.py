"""RegexRouter."""

import pytest

from pycdc.model.record import Record
from pycdc.transforms.regex_router import RegexRouter, RegexRouterConfig


@pytest.mark.parametrize(("topic", "routed"), [("dbz.public.orders", "w_orders"), ("other.public.orders", "other.public.orders")])
def test_only_topics_that_match_in_full_are_renamed(topic, routed):
    router = RegexRouter(RegexRouterConfig.of(regex=r"dbz\.public\.(.*)", replacement="w_$1"))
    record = Record(topic=topic, key={"id": 1})
    assert router.apply(record).topic == routed
    assert record.topic == topic


def test_a_broken_pattern_is_a_fault():
    faults = []
    RegexRouterConfig.parse({"regex": "(", "replacement": "x"}, faults)
    assert [f.key for f in faults] == ["regex"]
