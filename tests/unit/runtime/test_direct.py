"""DirectPipeline: the positions that records are given, from which ClickHouse's versions are made."""

import asyncio

import pytest

from pycdc.model.record import Record
from pycdc.plan import Chain
from pycdc.plugins.contracts import Batch, Run
from pycdc.runtime.direct import DirectPipeline
from pycdc.runtime.health import Health
from pycdc.telemetry.metrics import SourceMetrics


class Sink:
    def __init__(self):
        self.offsets = []

    def put(self, records):
        self.offsets += [divmod(r.offset, 1 << 64) for r in records]


@pytest.fixture
def pipeline():
    sink = Sink()
    made = DirectPipeline("p", None, sink, Chain([]), Health("p"), SourceMetrics("p"))
    return made, sink


def run(rows, templates=1):
    return Run(tuple(Record(topic="t") for _ in range(templates)), [()] * rows)


def test_each_transaction_counts_from_nought(pipeline):
    made, sink = pipeline
    made._take(Batch([run(3), run(1, 2)], begins=[(-1, 0, 100), (0, 2, 200)]))
    assert sink.offsets == [(100, 0), (100, 1), (200, 0), (200, 1), (200, 2)]


def test_a_transaction_may_begin_in_one_batch_and_have_its_rows_in_the_next(pipeline):
    made, sink = pipeline
    made._take(Batch([], begins=[(-1, 0, 100)]))
    made._take(Batch([run(2)]))
    made._take(Batch([run(1)], begins=[(0, 1, 200)]))
    made._take(Batch([run(1)]))
    assert sink.offsets == [(100, 0), (100, 1), (100, 2), (200, 0)]


class SlowSink:
    linger = 0.0

    def __init__(self):
        self.refused, self.written, self.positions = [], {}, []
        self.at_once = self.most_at_once = 0

    async def flush(self, position=None):
        self.positions.append(position)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1


class QuietSource:
    async def confirm(self, position): ...


async def test_what_the_source_asks_for_waits_for_the_write_under_way():
    sink = SlowSink()
    made = DirectPipeline("p", QuietSource(), sink, Chain([]), Health("p"), SourceMetrics("p"))
    made._position, made._buffered = {"lsn": 1}, 1
    await made._write_when_due()
    await asyncio.gather(made._settle(), made._store({}, {"lsn": 2}), made._settle())
    assert sink.most_at_once == 1
    assert sink.positions == [{"lsn": 1}, None, {"lsn": 2}, None]
