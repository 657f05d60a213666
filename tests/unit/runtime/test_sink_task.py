"""SinkTask: a write holds exactly the records that its positions cover, whenever reading and writing take turns."""

import asyncio

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import SinkError
from pycdc.kafka.consumer import Messages
from pycdc.runtime.health import Health
from pycdc.runtime.refused import Policy, RefusedRecords
from pycdc.runtime.sink_task import SinkTask, Steps
from pycdc.telemetry.metrics import SinkMetrics


class Consumer:
    """Has its records at hand, so that `poll` lets no other task run. Partitions are revoked now and then: the poll in which
    that begins still has records, the next ones wait for its end, as aiokafka's do.
    """

    write_limit = 30.0
    partitions = 2
    topic_id = None

    def __init__(self, records, revoke_every=0):
        self._left = {p: list(range(records)) for p in (0, 1)}
        self._polls, self._revoke_every = 0, revoke_every
        self._settling = None
        self.committed = {}
        self.drained = asyncio.Event()

    async def start(self, revoked, assigned=None):
        self._revoked = revoked

    async def poll(self, most, timeout_ms):
        self._polls += 1
        if self._settling is not None and not self._settling.done():
            await self._settling
        elif self._revoke_every and self._polls % self._revoke_every == 0:
            self._settling = asyncio.ensure_future(self._revoked())
            await asyncio.sleep(0)  # what settles has begun its write, and that has not run yet
        if not any(self._left.values()):
            self.drained.set()
            await asyncio.sleep(0.001)
        out = []
        for partition, left in self._left.items():
            taken, left[: most // 10] = left[: most // 10], []
            if taken:
                n = len(taken)
                out.append(Messages("t", partition, taken, [b"1"] * n, [b"1"] * n, [()] * n, [0] * n, taken[-1] + 1))
        return out

    async def commit(self, positions):
        self.committed |= positions

    async def lag(self):
        return {}

    async def stop(self):
        if self._settling is not None:
            await self._settling


class Sink:
    """A positioned sink that remembers what each write held. Slow, so that much is read beside it."""

    linger = 0.0
    retries = 0

    def __init__(self, keeps_positions=True, seconds=0.002, fails_at=0):
        self.keeps_positions, self._seconds, self._fails_at = keeps_positions, seconds, fails_at
        self.at_once = self.most_at_once = 0
        self.refused, self.written = [], {}
        self._held, self.writes = {}, []

    async def open(self, context): ...

    def put(self, records):
        for r in records:
            self._held[r.topic, r.partition] = r.offset + 1

    async def claim(self, partitions):
        return {}

    async def flush(self, position=None):
        await self.flush_to(None)

    async def flush_to(self, positions):
        held, self._held = self._held, {}
        self.writes.append((positions, held))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._seconds)
        self.at_once -= 1
        if len(self.writes) == self._fails_at:
            raise SinkError("the target is away")

    async def load_position(self): ...

    async def close(self): ...


async def ran(sink, consumer):
    json = JsonConverter(JsonConverterConfig.of(schemas_enable=False), is_key=False)
    metrics = SinkMetrics("s")
    refused = RefusedRecords("s", Policy(), None, metrics)
    task = SinkTask("s", consumer, sink, Steps(json, json), refused, Health("s"), metrics)
    stop = asyncio.Event()
    running = asyncio.create_task(task.run(stop))
    await asyncio.wait([running, asyncio.ensure_future(consumer.drained.wait())], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await running


@pytest.mark.parametrize("revoke_every", [0, 1, 3])
async def test_a_write_covers_no_more_than_its_positions(revoke_every):
    sink, consumer = Sink(), Consumer(30_000, revoke_every)
    await ran(sink, consumer)
    assert len(sink.writes) > 3
    for positions, held in sink.writes:
        assert held == positions
    assert consumer.committed == {("t", 0): 30_000, ("t", 1): 30_000}


@pytest.mark.parametrize("revoke_every", [1, 5, 30])
async def test_a_revocation_waits_for_the_write_that_reading_waits_for(revoke_every):
    """A sink has one connection, and one transaction on it."""
    sink, consumer = Sink(seconds=0.01), Consumer(20_000, revoke_every)
    await ran(sink, consumer)
    assert sink.most_at_once == 1
    assert [p for p, held in sink.writes if held != p] == []
    assert consumer.committed == {("t", 0): 20_000, ("t", 1): 20_000}


@pytest.mark.parametrize("revoke_every", [0, 1, 5])
@pytest.mark.parametrize("fails_at", [1, 2, 4])
async def test_a_write_that_fails_ends_the_task_whoever_waited_for_it(revoke_every, fails_at):
    """Else the next write would commit positions behind records that are not written."""
    sink, consumer = Sink(fails_at=fails_at), Consumer(60_000, revoke_every)
    with pytest.raises(SinkError):
        await ran(sink, consumer)
    assert len(sink.writes) == fails_at
    written = {}
    for _, held in sink.writes[:-1]:
        written |= held
    assert consumer.committed == written
