"""A schema registry that is away is waited for, by sources and sinks; what it refuses is told, or left out where that is tolerated."""

import asyncio

import pytest

from pycdc.errors import RecordError, RegistryError
from pycdc.kafka.consumer import Messages
from pycdc.plan import Encoded
from pycdc.plan.encoder import Outcome
from pycdc.plugins.contracts import NotReady, Run
from pycdc.runtime import fetching as module
from pycdc.runtime.fetching import Fetching, ReadyEncoder
from pycdc.runtime.health import Health
from pycdc.runtime.refused import Policy, RefusedRecords
from pycdc.runtime.sink_task import SinkTask, Steps
from pycdc.telemetry.metrics import SinkMetrics

AWAY = RegistryError("the schema registry does not answer", where="http://r", cause="refused", retriable=True)
UNKNOWN = RegistryError("the registry does not know the schema", where="http://r", cause="HTTP 404")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.002)


class Registry:
    """Answers for each name what `answers` holds for it, one after the other, and then always well."""

    def __init__(self, **answers):
        self.answers = {name: list(faults) for name, faults in answers.items()}
        self.known, self.asked = set(), []

    def need(self, name):
        if name not in self.known:
            raise NotReady(f"schema {name}", lambda: self._fetch(name))

    async def _fetch(self, name):
        self.asked.append(name)
        await asyncio.sleep(0)
        if self.answers.get(name):
            raise self.answers[name].pop(0)
        self.known.add(name)


async def test_a_registry_that_is_away_is_waited_for_and_told():
    told, registry = [], Registry(a=[AWAY, AWAY])
    waited = Fetching(told.append)
    with pytest.raises(NotReady) as waiting:
        registry.need("a")
    await waited(waiting.value)
    assert told == [AWAY, AWAY, None]
    assert waited.fault is None
    registry.need("a")


async def test_a_refusal_is_raised_at_once():
    registry = Registry(a=[UNKNOWN])
    with pytest.raises(NotReady) as waiting:
        registry.need("a")
    with pytest.raises(RegistryError, match="does not know"):
        await Fetching()(waiting.value)
    assert registry.asked == ["a"]


class Rows:
    """An encoder of which each row needs the schema that it names; its own bytes are the value."""

    def __init__(self, registry, tolerant):
        self.registry, self.tolerant, self.outcome, self.left_out = registry, tolerant, Outcome(), []

    def encode(self, run):
        for row in run.rows:
            self.registry.need(row[0].decode())
        return [Encoded("t", None, [None], [row[0]], [[]]) for row in run.rows for _ in run.templates]

    def tolerate(self, error):
        self.left_out.append(error)
        return self.tolerant


def values(encoded):
    return [v for e in encoded for v in e.values]


async def test_a_source_goes_on_behind_the_wait_with_nothing_lost():
    registry = Registry(a=[AWAY], b=[AWAY])
    rows = Rows(registry, tolerant=False)
    out = await ReadyEncoder(rows, Fetching()).encode(Run((None,), [(b"a",), (b"b",), (b"a",)]))
    assert values(out) == [b"a", b"b", b"a"]


@pytest.mark.parametrize("tolerant", [True, False])
async def test_a_refused_schema_leaves_out_its_records_only_where_that_is_tolerated(tolerant):
    registry = Registry(bad=[UNKNOWN, UNKNOWN])
    rows = Rows(registry, tolerant)
    encoding = ReadyEncoder(rows, Fetching()).encode(Run((None,), [(b"a",), (b"bad",), (b"b",), (b"bad",)]))
    if not tolerant:
        with pytest.raises(RegistryError, match="does not know"):
            await encoding
        return
    assert values(await encoding) == [b"a", b"b"]
    assert [type(e) for e in rows.left_out] == [RecordError] * 2
    assert registry.asked == ["a", "bad", "b", "bad"], "each record asks once, as Connect's do"


# ---- sinks


class Converter:
    """Reads a message as the name of a schema that it needs."""

    def __init__(self, registry):
        self.registry = registry

    def read(self, _topic, data):
        self.registry.need(data.decode())
        return None, data.decode()


class Consumer:
    """Hands out each batch once. `revoke` runs while the second one is being decoded."""

    write_limit, partitions, topic_id = 30.0, 1, None

    def __init__(self, *batches):
        self.batches, self.committed = list(batches), {}
        self.drained = asyncio.Event()

    async def start(self, revoked, assigned=None):
        self.revoked = revoked

    async def poll(self, _most, _timeout_ms):
        if not self.batches:
            self.drained.set()
            await asyncio.sleep(0.001)
            return []
        first, names = self.batches.pop(0)
        n = len(names)
        offsets = list(range(first, first + n))
        return [Messages("t", 0, offsets, [b"key"] * n, names, [()] * n, [0] * n, first + n)]

    async def commit(self, positions):
        self.committed |= positions

    async def lag(self):
        return {}

    async def stop(self): ...


class Sink:
    linger, retries, keeps_positions = 0.0, 0, False

    def __init__(self):
        self.refused, self.written, self.held, self.values = [], {}, [], []

    async def open(self, context): ...

    def put(self, records):
        self.held += records

    async def flush(self, position=None):
        held, self.held = self.held, []
        self.values += [(r.offset, r.value) for r in held]

    async def close(self): ...


def task(consumer, sink, registry, *, tolerant=False):
    converter, metrics, health = Converter(registry), SinkMetrics("s"), Health("s")
    refused = RefusedRecords("s", Policy(tolerant), None, metrics)
    made = SinkTask("s", consumer, sink, Steps(converter, converter), refused, health, metrics)
    return made, health


async def drained(made, consumer):
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    waiting = asyncio.ensure_future(consumer.drained.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    waiting.cancel()
    await running


async def test_a_sink_waits_writes_what_it_has_and_goes_on():
    registry = Registry(a=[], b=[AWAY] * 20)
    sink, consumer = Sink(), Consumer((0, [b"a", b"a"]), (2, [b"a", b"b"]), (4, [b"a"]))
    made, health = task(consumer, sink, registry)
    statuses = set()
    tell = made._fetching._tell
    made._fetching._tell = lambda fault: (tell(fault), statuses.add((health.status, health.last_error != "")))
    await drained(made, consumer)
    assert sink.values == [(0, "a"), (1, "a"), (2, "a"), (3, "b"), (4, "a")]
    assert consumer.committed == {("t", 0): 5}
    assert statuses == {("retrying", True), ("streaming", False)}


async def test_an_unknown_id_stops_a_sink_and_names_the_record():
    sink, consumer = Sink(), Consumer((0, [b"a", b"bad", b"a"]))
    made, _health = task(consumer, sink, Registry(bad=[UNKNOWN]))
    with pytest.raises(RecordError, match="does not know") as error:
        await drained(made, consumer)
    assert error.value.where == "topic t, partition 0, offset 1"
    assert consumer.committed == {}


async def test_an_unknown_id_is_left_out_where_that_is_tolerated_and_asked_for_once():
    registry = Registry(bad=[UNKNOWN] * 9)
    sink, consumer = Sink(), Consumer((0, [b"a", b"bad", b"bad", b"a"]))
    made, _health = task(consumer, sink, registry, tolerant=True)
    await drained(made, consumer)
    assert sink.values == [(0, "a"), (3, "a")]
    assert consumer.committed == {("t", 0): 4}
    assert registry.asked.count("bad") == 1


async def test_a_stop_ends_the_wait():
    sink, consumer = Sink(), Consumer((0, [b"a"]))
    made, _health = task(consumer, sink, Registry(key=[AWAY] * 10_000))
    stop, tell = asyncio.Event(), made._fetching._tell

    def stop_at_first_wait(fault):
        tell(fault)
        stop.set()

    made._fetching._tell = stop_at_first_wait
    async with asyncio.timeout(5):
        await made.run(stop)
    assert (sink.values, consumer.committed) == ([], {})


async def test_messages_of_partitions_that_went_meanwhile_are_not_taken():
    """They are read again, by whoever has the partition then: this consumer hands them out a second time."""
    registry = Registry(a=[AWAY] * 5)
    sink, consumer = Sink(), Consumer((0, [b"a"]), (0, [b"a"]))
    made, health = task(consumer, sink, registry)
    tell = made._fetching._tell
    revocations = []

    def revoke_once(fault):
        tell(fault)
        if not revocations:
            revocations.append(asyncio.ensure_future(consumer.revoked()))

    made._fetching._tell = revoke_once
    await drained(made, consumer)
    assert sink.values == [(0, "a")]
    assert health.last_error == ""


async def test_cancelling_ends_the_wait():
    sink, consumer = Sink(), Consumer((0, [b"a"]))
    made, _health = task(consumer, sink, Registry(key=[AWAY] * 10_000))
    told, tell = asyncio.Event(), made._fetching._tell
    made._fetching._tell = lambda fault: (tell(fault), told.set())
    running = asyncio.create_task(made.run(asyncio.Event()))
    await told.wait()
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
