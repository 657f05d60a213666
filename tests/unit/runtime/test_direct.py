"""DirectPipeline: the positions that records are given, from which ClickHouse's versions are made."""

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
