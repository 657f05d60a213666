"""What goes between a worker and the process of an isolated task comes over whole."""

import msgspec
import pytest

from pycdc.errors import ConfigError, Fault, PycdcError, SlotLost
from pycdc.runtime.health import Health
from pycdc.runtime.job import Job
from pycdc.telemetry.metrics import SinkMetrics, SourceMetrics
from pycdc.worker.isolated import Child, Order, Report, isolated, raised, report_of, trouble_of

ORDER = Order("c", 0, {"connector.class": "jdbc-sink"}, {"offset.storage.topic": "o"})


def job(health, metrics):
    async def run(stop):
        await stop.wait()

    return Job(health, metrics, run, topics=lambda: {"t": 3}, begun=lambda: True, position=lambda: (1, 2), behind=lambda: True)


@pytest.mark.parametrize("metrics", [SourceMetrics("c", rows=5, confirmed_lsn=1 << 60, tags={"a": "b"}), SinkMetrics("c", rows=5, lag_by_topic={"t": 7})])
def test_health_and_metrics_are_those_of_the_child(metrics):
    health = Health("c", last_error="waits", lsn=1 << 60)
    health.delivering(snapshot=False)
    health.wrote("public.t", 3, at=12.5)
    line = msgspec.json.encode(report_of(job(health, metrics)))
    child = Child(ORDER, Health("c"), type(metrics)("c"))
    child._heard(msgspec.json.decode(line, type=Report))
    assert child.health == health
    assert child._metrics.rows == 5
    assert child.last.topics == {"t": 3}
    assert child.last.begun
    assert child.last.behind
    if isinstance(metrics, SourceMetrics):
        assert (child._metrics.confirmed_lsn, child._metrics.tags) == (1 << 60, {"a": "b"})
    else:
        assert child._metrics.lag_by_topic == {"t": 7}


@pytest.mark.parametrize(
    "error",
    [
        SlotLost("gone", where="slot s", cause="dropped", hint="make it anew", retriable=False),
        PycdcError("something", retriable=True),
        ConfigError("The configuration is wrong.", faults=(Fault("a", "is bad", "x"), Fault("b", "is missing")), hint="look again"),
    ],
)
def test_a_fault_is_the_same_for_who_reads_of_it(error):
    again = raised(msgspec.json.decode(msgspec.json.encode(trouble_of(error)), type=type(trouble_of(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.retriable == error.retriable


async def test_a_file_of_positions_is_refused():
    order = Order("c", 0, {"connector.class": "postgres"}, {"offset.storage.file.filename": "/tmp/x"})
    with pytest.raises(ConfigError, match="isolation"):
        async with isolated(order):
            pass
