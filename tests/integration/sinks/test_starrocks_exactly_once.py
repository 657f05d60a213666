"""exactly.once.enabled=true for StarRocks: a process that ends at any moment leaves each record once, also without a key.

The topic is a list; a runtime of a few lines reads it in polls of random size, as runtime.SinkTask does. It is cut
off at every request to StarRocks in turn, before it and after it, and begun again until all is written.
"""

import asyncio
import contextlib
import random

import pytest
from polls import read

from pycdc.config.layers import Layered
from pycdc.errors import PycdcError, SinkError
from pycdc.model.record import Record
from pycdc.plugins.contracts import PositionedSink, SinkContext
from pycdc.plugins.join import load_sink
from pycdc.sinks.starrocks import load
from pycdc.sinks.starrocks.client import Client
from pycdc.testing.starrocks import Settings, StarRocks

LOG = "CREATE TABLE d.{} (n BIGINT, b VARCHAR(9)) DUPLICATE KEY (n) DISTRIBUTED BY HASH (n)"


pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def starrocks():
    with StarRocks(Settings()) as server:
        server.sql("CREATE DATABASE d")
        yield server


@pytest.fixture
def table(starrocks):
    starrocks.sql(LOG.format("t"))
    return starrocks


def config(server, **more):
    return {
        "name": "sr", "connector.class": "com.starrocks.connector.kafka.StarRocksSinkConnector", "topics": "t", "bootstrap.servers": "x:1",
        "starrocks.http.url": server.http, "starrocks.query.port": str(server.query_port), "starrocks.database.name": "d",
        "starrocks.username": "root", "starrocks.password": "", "bufferflush.intervalms": "0", "exactly.once.enabled": "true", **more,
    }  # fmt: skip


@contextlib.asynccontextmanager
async def opened(server, topic="one", tolerant=False, **more):
    """A sink, open while the block runs. `topic`: the id of the topics' incarnation."""

    async def topic_id(_topic):
        return topic

    sink = load_sink(Layered.of(config(server, **more))).make_sink()
    await sink.open(SinkContext("sr", "0", topic_id, tolerant))
    try:
        yield sink
    finally:
        await sink.close()


def records(topic, partition, count, first=0):
    """Every third has a column more, so that a batch is several loads."""
    return [
        Record(topic=topic, partition=partition, offset=o, value={"n": partition * 1000 + o} | ({"b": "x"} if o % 3 == 0 else {}))
        for o in range(first, first + count)
    ]


def numbers(server, name="t"):
    return [r["n"] for r in server.rows("d", name)]


class KilledError(Exception):
    """The process ended."""


class Calls:
    """Counts the requests to StarRocks, and ends the process around one of them."""

    def __init__(self, monkeypatch):
        self.count, self.at, self.behind, call = 0, -1, False, Client.call

        async def watched(client, *arguments, **named):
            self.count += 1
            ends = self.count == self.at
            if ends and not self.behind:
                raise KilledError
            answer = await call(client, *arguments, **named)
            if ends:
                raise KilledError
            return answer

        monkeypatch.setattr(Client, "call", watched)


class Topic:
    """Two partitions."""

    def __init__(self, count, name="t"):
        self.name, self.records = name, {p: records(name, p, count) for p in (0, 1)}

    def numbers(self):
        return sorted(r.value["n"] for rs in self.records.values() for r in rs)


async def until_written(server, topic, calls, chance, kills, **more):
    """Run again after each kill; how many of them happened."""
    happened = 0
    for at, behind in (*kills, (-1, False)):
        calls.count, calls.at, calls.behind = 0, at, behind
        async with opened(server, **more) as sink:
            try:
                # of its own: a task group that failed leaves its mark on the task it was in
                await asyncio.create_task(read(topic, sink, chance, 20))
            except* KilledError:
                happened += 1
    return happened


@pytest.mark.parametrize("behind", [False, True])
async def test_a_kill_around_any_request_leaves_each_record_once(starrocks, monkeypatch, behind):
    calls, seed, kills = Calls(monkeypatch), random.randrange(1 << 30), 0
    print(f"seed {seed}")
    for at in range(1, 12):
        starrocks.sql(LOG.format(f"t{at}"))
        topic = Topic(24, f"t{at}")
        kills += await until_written(starrocks, topic, calls, random.Random(seed + at), [(at, behind)])
        assert numbers(starrocks, f"t{at}") == topic.numbers(), f"kill {at}"
    assert kills >= 6


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_kills_one_after_another(table, monkeypatch, form):
    calls, chance = Calls(monkeypatch), random.Random(seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    topic = Topic(120)
    kills = [(chance.randint(2, 14), chance.random() < 0.5) for _ in range(12)]
    assert await until_written(table, topic, calls, chance, kills, **{"sink.properties.format": form}) > 3
    assert numbers(table) == topic.numbers()


FAULTS = [
    ("conn_reset_before_commit", {}), ("conn_reset_after_commit", {}), ("conn_reset_before_commit", {"leave_prepare": True}),
    ("publish_timeout", {"visible_after_ms": 100}), ("slow", {"delay_ms": 50}), ("503", {"at": "fe"}), ("503", {"at": "be"}), ("too_many_versions", {}),
    ("txn_limit", {}), ("be_down", {}), ("fail", {"message": "rpc failed, please try again"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "details"), FAULTS, ids=[f"{k}{i}" for i, (k, _) in enumerate(FAULTS)])
@pytest.mark.parametrize("where", ["t", "pycdc_positions"])
async def test_a_fault_loses_and_doubles_nothing(table, monkeypatch, kind, details, where):
    monkeypatch.setattr(load, "CANCEL_AFTER", 0.1)
    for skip in (0, 1, 2):
        table.fault(kind, skip=skip, **({} if kind == "txn_limit" else {"table": where}), **details)
    for _ in range(2):  # the second finds everything written
        async with opened(table) as sink:
            at = (await sink.claim([("t", 0)])).get(("t", 0), 0)
            for first in range(at, 30, 10):
                sink.put(records("t", 0, 10, first))
                await sink.flush_to({("t", 0): first + 10})
    assert table.fired[kind] == 3
    assert numbers(table) == list(range(30))


@pytest.mark.parametrize("kind", ["conn_reset_before_commit", "conn_reset_after_commit", "slow"])
async def test_a_process_that_ends_in_doubt_is_asked_for_by_its_successor(table, monkeypatch, kind):
    """Nobody of the first process hears the answer."""
    monkeypatch.setattr(load, "CANCEL_AFTER", 0.1)
    async with opened(table, **{"sink.maxretries": "0"}) as sink:
        await sink.claim([("t", 0)])
        sink.put(records("t", 0, 10))
        table.fault(kind, table="t", delay_ms=400)
        if kind == "slow":
            write = asyncio.ensure_future(sink.flush_to({("t", 0): 10}))
            async with asyncio.timeout(10):
                while not table.fired.get("slow"):  # noqa: ASYNC110 - the server's state has no event
                    await asyncio.sleep(0.01)
            write.cancel()
            await asyncio.gather(write, return_exceptions=True)
        else:
            with pytest.raises(PycdcError):
                await sink.flush_to({("t", 0): 10})
    async with opened(table) as sink:
        assert await sink.claim([("t", 0)]) == {("t", 0): 0}
        sink.put(records("t", 0, 14))
        await sink.flush_to({("t", 0): 14})
    assert numbers(table) == list(range(14))


async def test_what_was_begun_is_formed_again_first_and_alone(table, monkeypatch):
    calls = Calls(monkeypatch)
    async with opened(table) as sink:
        await sink.claim([("t", 0)])
        sink.put(records("t", 0, 10))
        calls.count, calls.at = 0, 3  # what is begun; the first load; the second
        with pytest.raises(BaseExceptionGroup):
            await asyncio.create_task(sink.flush_to({("t", 0): 10}))
    calls.at = -1
    begun = numbers(table)
    assert 0 < len(begun) < 10
    async with opened(table) as sink:
        assert await sink.claim([("t", 0)]) == {("t", 0): 0}
        sink.put(records("t", 0, 6))
        await sink.flush_to({("t", 0): 6})
        assert numbers(table) == begun, "a part of the range makes other loads: it waits for the rest"
        sink.put(records("t", 0, 8, 6))
        await sink.flush_to({("t", 0): 14})
        assert numbers(table) == list(range(14))
    async with opened(table) as sink:
        assert await sink.claim([("t", 0), ("t", 1)]) == {("t", 0): 14}
    async with opened(table, topic="another") as sink:
        assert await sink.claim([("t", 0)]) == {}, "a topic that was made anew begins at its own start"


PRIMARY = "CREATE TABLE d.{} (n BIGINT NOT NULL, b VARCHAR(9)) PRIMARY KEY (n) DISTRIBUTED BY HASH (n)"


@pytest.mark.parametrize("layout", [LOG, PRIMARY], ids=["log", "primary"])
async def test_forgotten_labels_are_told_where_they_matter(monkeypatch, layout):
    calls = Calls(monkeypatch)
    with StarRocks(Settings(label_keep_seconds=0.3)) as server:
        server.sql("CREATE DATABASE d")
        server.sql(layout.format("t"))
        async with opened(server) as sink:
            await sink.claim([("t", 0), ("t", 1)])
            calls.count, calls.at = 0, 3  # what is begun; the first load; the second
            for partition in (0, 1):
                sink.put([r.replace(key={"n": r.value["n"]}) for r in records("t", partition, 10)])
            with pytest.raises(BaseExceptionGroup):
                await asyncio.create_task(sink.flush_to({("t", 0): 10, ("t", 1): 10}))
        calls.at = -1
        await asyncio.sleep(0.5)  # a load whose client was cut off may still be on its way
        begun = numbers(server)
        async with opened(server) as sink:
            assert await sink.claim([("t", 0), ("t", 1)]) == {("t", 0): 0, ("t", 1): 0}
            for partition in (0, 1):
                sink.put([r.replace(key={"n": r.value["n"]}) for r in records("t", partition, 10)])
            if layout == PRIMARY:
                await sink.flush_to({("t", 0): 10, ("t", 1): 10})
                assert len(numbers(server)) == 20
                return
            with pytest.raises(SinkError, match="nobody can tell") as caught:
                await sink.flush_to({("t", 0): 10, ("t", 1): 10})
            assert numbers(server) == begun, "nothing is written on suspicion"
        assert "t-0, offsets 0 to 9" in caught.value.where
        assert "UPDATE pycdc_positions SET next_offset = 10" in caught.value.hint


async def test_a_writer_that_lost_its_partition_begins_nothing(table):
    async with opened(table) as old, opened(table) as new:
        await old.claim([("t", 0)])
        old.put(records("t", 0, 10))
        await old.flush_to({("t", 0): 10})
        old.put(records("t", 0, 10, 10))
        assert await new.claim([("t", 0)]) == {("t", 0): 10}
        with pytest.raises(SinkError, match="another process writes"):
            await old.flush_to({("t", 0): 20})
        new.put(records("t", 0, 5, 10))
        await new.flush_to({("t", 0): 15})
        with pytest.raises(SinkError, match="another process writes"):
            old.put(records("t", 0, 1, 20))
            await old.flush_to({("t", 0): 21})
    assert numbers(table) == list(range(15))


async def test_a_load_under_way_when_another_takes_over_is_there_once(table):
    """The old writer has begun its range: both give it the same labels, whoever comes first."""
    table.fault("slow", table="t", delay_ms=300)
    async with opened(table) as old, opened(table) as new:
        await old.claim([("t", 0)])
        old.put(records("t", 0, 10))
        write = asyncio.ensure_future(old.flush_to({("t", 0): 10}))
        async with asyncio.timeout(10):
            while not table.fired.get("slow"):  # noqa: ASYNC110 - the server's state has no event
                await asyncio.sleep(0.01)
        assert await new.claim([("t", 0)]) == {("t", 0): 0}
        new.put(records("t", 0, 12))
        outcomes = await asyncio.gather(write, new.flush_to({("t", 0): 12}), return_exceptions=True)
        assert outcomes[1] is None
        assert isinstance(outcomes[0], SinkError), "it learns that another has come"
        assert numbers(table) == list(range(12))
    async with opened(table) as third:
        assert await third.claim([("t", 0)]) == {("t", 0): 12}, "what the old one says of its end does not count"


async def test_of_two_that_claim_at_once_one_writes(table):
    async with opened(table) as first, opened(table) as second:
        outcomes = await asyncio.gather(*(s.claim([("t", 0)]) for s in (first, second)), return_exceptions=True)
        for sink in (first, second):
            sink.put(records("t", 0, 10))
        claimed = [s for s, o in zip((first, second), outcomes, strict=True) if not isinstance(o, Exception)]
        outcomes = await asyncio.gather(*(s.flush_to({("t", 0): 10}) for s in claimed), return_exceptions=True)
        assert [o for o in outcomes if o is not None and not isinstance(o, SinkError)] == []
        assert None in outcomes
    assert numbers(table) == list(range(10))


async def test_a_row_at_fault_does_not_double_the_others(starrocks, monkeypatch):
    calls, kills = Calls(monkeypatch), 0
    for at in range(2, 9):
        name = f"t{at}"
        starrocks.sql(LOG.format(name))
        given = [r if r.offset != 5 else Record(topic=name, partition=0, offset=5, value={"n": 5, "b": "x" * 10}) for r in records(name, 0, 12)]
        for kill in (at, -1):
            calls.at = -1
            async with opened(starrocks, tolerant=True) as sink:
                begin = (await sink.claim([(name, 0)])).get((name, 0), 0)
                calls.count, calls.at, calls.behind = 0, kill, True
                sink.put(given[begin:])
                try:
                    await asyncio.create_task(sink.flush_to({(name, 0): 12}))
                    assert begin == 12 or [r.offset for r in sink.refused] == [5]
                except* KilledError:
                    kills += 1
        assert numbers(starrocks, name) == [n for n in range(12) if n != 5], f"kill {at}"
    assert kills >= 3


async def test_rows_with_a_key_are_written_once_too(starrocks, monkeypatch):
    calls = Calls(monkeypatch)
    starrocks.sql("CREATE TABLE d.t (id BIGINT NOT NULL, v BIGINT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)")
    changes = [("t", o, {"id": o % 5}, None if o % 7 == 0 else {"id": o % 5, "v": o}) for o in range(60)]
    given = [Record(topic=t, partition=0, offset=o, key=k, value=v) for t, o, k, v in changes]
    for at in (*range(1, 8), -1):
        calls.at = -1
        async with opened(starrocks) as sink:
            at_offset = (await sink.claim([("t", 0)])).get(("t", 0), 0)
            calls.count, calls.at, calls.behind = 0, at, at % 2 == 0
            with contextlib.suppress(KilledError, BaseExceptionGroup):
                for first in range(at_offset, 60, 10):
                    sink.put(given[first : first + 10])
                    await asyncio.create_task(sink.flush_to({("t", 0): first + 10}))
    final = {k["id"]: v for _, _, k, v in changes}
    assert starrocks.rows("d", "t") == [final[i] for i in sorted(final) if final[i] is not None]


def test_positions_are_kept_only_when_asked_for(starrocks):
    assert load_sink(Layered.of(config(starrocks))).make_sink().keeps_positions
    usual = load_sink(Layered.of(config(starrocks, **{"exactly.once.enabled": "false"}))).make_sink()
    assert isinstance(usual, PositionedSink)
    assert not usual.keeps_positions
    with pytest.raises(PycdcError) as caught:
        load_sink(Layered.of(config(starrocks, **{"truncate.enabled": "true", "sink.transaction.multi-table.enabled": "true"})))
    assert all(name in str(caught.value) for name in ("truncate.enabled", "sink.transaction.multi-table.enabled"))
