"""A source with several partitions: of each the newest acknowledged offset is stored, and nothing that is not acknowledged."""

import asyncio

import pytest

from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, ServerError
from pycdc.model.ledger import Ledger
from pycdc.model.record import Record
from pycdc.model.schema import INT32
from pycdc.model.template import Form, Leaf, Reader
from pycdc.plan import Chain, Encoder
from pycdc.plugins.contracts import Batch, Run
from pycdc.plugins.join import load_sink, load_source
from pycdc.runtime.direct import run_direct
from pycdc.runtime.source_task import SourceTask

A, B = {"table": "a"}, {"table": "b"}


class Source:
    """Gives the batches, and waits."""

    conversion_failure = event_failure = "fail"
    queue_bytes = 1000

    def __init__(self, partition, *batches):
        self.partition, self.batches, self.confirmed = partition, list(batches), []
        self.given = asyncio.Event()

    async def open(self, context):
        self.context = context

    async def read(self):
        if self.batches:
            return self.batches.pop(0)
        self.given.set()
        return await asyncio.Future()

    async def confirm(self, offset):
        self.confirmed.append(offset)

    async def close(self):
        pass


class Sender:
    """Acknowledges when it is told."""

    buffered_bytes = 0

    def __init__(self, ledger: Ledger):
        self.ledger, self.tickets, self.acknowledges = ledger, [], False

    async def start(self):
        pass

    async def watch(self):
        await asyncio.Future()

    async def partitions(self, _topic):
        return 1

    def append_run(self, _topic, _partition, _keys, _values, _headers, sequence, _timestamps):
        self.tickets.append(self.ledger.open(sequence[0]))

    def flush_soon(self):
        pass

    def acknowledge(self, count):
        for _ in range(count):
            self.ledger.close(self.tickets.pop(0))

    async def flush(self):
        if self.acknowledges:
            self.acknowledge(len(self.tickets))

    async def stop(self):
        pass


class Store:
    def __init__(self):
        self.puts = []

    async def put(self, name, partition, offset):
        self.puts.append((dict(partition), offset))


class Topics:
    async def ensure_topic(self, _topic):
        pass


def batch(offset, partition):
    template = Record(topic="t", value_schema=INT32, value=Leaf(0, Reader(int, Form.DIGITS)))
    return Batch([Run((template,), [[b"1"]])], offset={"n": offset}, partition=partition)


def task_of(source, store, *, flush_interval=60):
    """Its task, and its senders as they come."""
    plan = load_source(Layered.of({
        "name": "x", "connector.class": "jdbc-source", "mode": "bulk", "topic.prefix": "p", "connection.url": "jdbc:postgresql://h/d",
        "bootstrap.servers": "x:1", "offset.storage.topic": "o",
    }))  # fmt: skip
    encoder = Encoder(plan.key_converter, plan.value_converter, plan.header_converter, Chain())
    senders = []

    def sender(ledger):
        senders.append(Sender(ledger))
        return senders[0]

    return SourceTask("x", lambda: source, encoder, store, sender, Topics(), queue_bytes=1000, flush_interval=flush_interval), senders


async def stored(source, acknowledged):
    """What is stored when so many batches are acknowledged."""
    store = Store()
    task, senders = task_of(source, store)
    running = asyncio.ensure_future(task.run(asyncio.Event()))
    await asyncio.wait_for(source.given.wait(), 10)
    senders[0].acknowledge(acknowledged)
    await source.context.settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return store.puts


async def test_of_each_partition_the_newest():
    source = Source({}, batch(1, A), batch(1, B), batch(2, A), batch(2, B))
    assert await stored(source, 3) == [(A, {"n": 2}), (B, {"n": 1})]
    assert source.confirmed == [{"n": 2}, {"n": 1}]


async def test_nothing_that_is_not_acknowledged():
    source = Source({}, batch(1, A), batch(1, B))
    assert await stored(source, 0) == []
    assert source.confirmed == []


async def test_a_source_with_one_partition_needs_not_name_it():
    source = Source({"server": "s"}, batch(1, None), batch(2, None), batch(3, None))
    assert await stored(source, 2) == [({"server": "s"}, {"n": 2})]


class SlowStore(Store):
    """Takes its time, and bears only one put at once."""

    def __init__(self):
        super().__init__()
        self.began, self.at_once, self.most = asyncio.Event(), 0, 0

    async def put(self, name, partition, offset):
        self.began.set()
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.2)
        self.at_once -= 1
        await super().put(name, partition, offset)


async def test_a_position_whose_storing_is_cut_off_by_the_end_is_stored_then():
    source, store, stop = Source({}, batch(1, A)), SlowStore(), asyncio.Event()
    task, senders = task_of(source, store, flush_interval=0.02)
    running = asyncio.ensure_future(task.run(stop))
    await asyncio.wait_for(source.given.wait(), 10)
    senders[0].acknowledge(1)
    await asyncio.wait_for(store.began.wait(), 10)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert store.puts[-1] == (A, {"n": 1})
    assert source.confirmed == [{"n": 1}]
    assert store.most == 1


class FailingSource(Source):
    """Behind its batches the server fails, as no retry mends."""

    async def read(self):
        if self.batches:
            return await super().read()
        self.given.set()
        raise ServerError("a column is gone")


async def test_a_source_whose_server_fails_keeps_what_was_acknowledged():
    source, store = FailingSource({}, batch(1, A), batch(2, A)), Store()
    task, senders = task_of(source, store)
    running = asyncio.ensure_future(task.run(asyncio.Event()))
    await asyncio.wait_for(source.given.wait(), 10)
    senders[0].acknowledge(2)
    with pytest.raises(ServerError, match="a column is gone"):
        await asyncio.wait_for(running, 10)
    assert store.puts == [(A, {"n": 2})]


async def test_a_sink_alone_cannot_keep_several_positions():
    source = {"name": "s", "bootstrap.servers": "x:1", "connector.class": "jdbc-source", "mode": "bulk", "topic.prefix": "p", "connection.url": "jdbc:postgresql://h/d"}
    sink = {"name": "t", "topics": "t", "connector.class": "jdbc-sink", "connection.url": "jdbc:postgresql://h/d", "connection.username": "u", "connection.password": "x"}
    plans = load_source(Layered.of(source), offsets_file=True), load_sink(Layered.of({"bootstrap.servers": "x:1", **sink}))
    with pytest.raises(ConfigError, match="a position per table"):
        await run_direct(*plans, http=None, stop=asyncio.Event())
