"""Least, most, mean and quantiles of a stream of measurements."""

import random
import statistics

import pytest

from pycdc.telemetry.statistics import Statistics


def test_nothing_is_known_before_the_first_value():
    s = Statistics()
    assert (s.count, s.least, s.most, s.mean, s.quantile(0.5)) == (0, None, None, None, None)


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_within_one_percent(seed):
    rng = random.Random(seed)
    values = [int(rng.lognormvariate(4, 2)) for _ in range(5000)]
    s = Statistics()
    for value in values:
        s.add(value)
    values.sort()
    assert (s.least, s.most, s.count) == (values[0], values[-1], 5000)
    assert s.mean == pytest.approx(statistics.mean(values))
    for q in (0, 0.01, 0.5, 0.95, 0.99, 1):
        assert s.quantile(q) == pytest.approx(values[int(q * 4999)], rel=0.011), q


def test_a_value_measured_many_times_weighs_as_many():
    s = Statistics()
    s.add(10, times=99)
    s.add(1000)
    assert s.mean == pytest.approx(19.9)
    assert s.quantile(0.5) == pytest.approx(10, rel=0.01)
    assert s.quantile(1) == pytest.approx(1000, rel=0.01)
