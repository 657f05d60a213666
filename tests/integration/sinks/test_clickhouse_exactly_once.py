"""exactlyOnce=true: a process that ends at any moment of a write leaves each record once, also in tables without key.

The topic is a list; a runtime of a few lines reads it in polls of random size, as runtime.SinkTask does. It is cut
off at every call of ClickHouse in turn, before the call and after it, and begun again until all is written.
"""

import asyncio
import contextlib
import json
import random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from polls import read

from pycdc.config.layers import Layered
from pycdc.errors import TargetSchemaError
from pycdc.model.record import Record
from pycdc.plugins.join import load_sink
from pycdc.runtime.sink_task import run_sink
from pycdc.sinks.clickhouse.client import Session

ONCE = {"exactlyOnce": "true"}
LOG = "(n Int32, b Nullable(String), _version UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000"


class KilledError(Exception):
    """The process ended."""


class Calls:
    """Counts the calls that change something at the server, and ends the process around one of them."""

    def __init__(self, monkeypatch):
        self.count, self.at, self.behind = 0, -1, False
        for name in ("insert", "command"):
            monkeypatch.setattr(Session, name, self._watched(getattr(Session, name)))

    def _watched(self, call):
        def watched(session, *arguments, **named):
            self.count += 1
            if self.count == self.at and not self.behind:
                raise KilledError
            call(session, *arguments, **named)
            if self.count == self.at:
                raise KilledError

        return watched


class Topic:
    """Two partitions of unwrapped records; every third has a column more, so that a batch is several blocks."""

    def __init__(self, count, name="t"):
        self.name = name
        self.records = {
            p: [Record(topic=name, partition=p, offset=o, value={"n": p * 1000 + o} | ({"b": "x"} if o % 3 == 0 else {})) for o in range(count)]
            for p in (0, 1)
        }  # fmt: skip


async def until_written(clickhouse, topic, calls, chance, kills):
    """Run again after each kill. The number of calls of the last run."""
    for at, behind in (*kills, (-1, False)):
        calls.count, calls.at, calls.behind = 0, at, behind
        async with clickhouse.opened("id", **ONCE) as sink:
            try:
                await read(topic, sink, chance, 20)
            except KilledError:
                continue
            return calls.count
    raise AssertionError("it was to end")


@pytest.mark.parametrize("behind", [False, True])
async def test_a_kill_around_any_call_leaves_each_record_once(clickhouse, monkeypatch, behind):
    calls, seed = Calls(monkeypatch), random.randrange(1 << 30)
    print(f"seed {seed}")
    for at in range(1, 14):
        clickhouse.command(f"CREATE TABLE t{at} {LOG}")
        topic = Topic(60, f"t{at}")
        await until_written(clickhouse, topic, calls, random.Random(seed + at), [(at, behind)])
        assert calls.count > 0
        assert clickhouse.rows(f"SELECT n FROM t{at} ORDER BY n") == sorted((r.value["n"],) for rs in topic.records.values() for r in rs), f"kill {at}"


async def test_kills_one_after_another(clickhouse, monkeypatch):
    calls, chance = Calls(monkeypatch), random.Random(seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    clickhouse.command(f"CREATE TABLE t {LOG}")
    clickhouse.command("CREATE TABLE counted (n UInt64) ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 1000")
    clickhouse.command("CREATE MATERIALIZED VIEW v TO counted AS SELECT count() AS n FROM t")
    await until_written(clickhouse, Topic(300), calls, chance, [(chance.randint(2, 12), chance.random() < 0.5) for _ in range(25)])
    assert clickhouse.rows("SELECT count(), uniqExact(n) FROM t") == [(600, 600)]
    assert clickhouse.rows("SELECT sum(n) FROM counted") == [(600,)], "what views made of the blocks is there once, too"


async def test_what_was_begun_is_formed_again_first_and_alone(clickhouse, monkeypatch):
    clickhouse.command(f"CREATE TABLE t {LOG}")
    calls, topic = Calls(monkeypatch), Topic(30)
    async with clickhouse.opened("id", **ONCE) as sink:
        await sink.claim([("t", 0)])
        sink.put(topic.records[0][:10])
        calls.count, calls.at = 0, 5  # versions, base, begin; the first block; before the second
        with pytest.raises(KilledError):
            await sink.flush_to({("t", 0): 10})
    calls.at = -1
    async with clickhouse.opened("id", **ONCE) as sink:
        assert await sink.claim([("t", 0)]) == {("t", 0): 0}
        sink.put(topic.records[0][:6])
        await sink.flush_to({("t", 0): 6})
        held = clickhouse.rows("SELECT count() FROM t")
        sink.put(topic.records[0][6:14])
        await sink.flush_to({("t", 0): 14})
    assert held[0][0] < 10, "a part of the range has other tokens: it waits for the rest"
    assert clickhouse.rows("SELECT count(), uniqExact(n) FROM t") == [(14, 14)]
    async with clickhouse.opened("id", **ONCE) as sink:
        assert await sink.claim([("t", 0), ("t", 1)]) == {("t", 0): 14}
    async with clickhouse.opened("another", **ONCE) as sink:
        assert await sink.claim([("t", 0)]) == {}, "a topic that was made anew begins at its own start"


async def test_a_row_at_fault_does_not_double_the_others(clickhouse, monkeypatch):
    calls = Calls(monkeypatch)
    for at in range(4, 14):
        clickhouse.command(f"CREATE TABLE t{at} {LOG}".replace("Nullable(String)", "Nullable(Enum8('x' = 1))"))
        rows = [{"n": o, "b": "no" if o == 5 else "x"} if o % 2 else {"n": o} for o in range(12)]
        records = [Record(topic=f"t{at}", partition=0, offset=o, value=row) for o, row in enumerate(rows)]
        for kill in (at, -1):
            calls.at = -1
            async with clickhouse.opened("id", tolerant=True, **ONCE) as sink:
                begin = (await sink.claim([(f"t{at}", 0)])).get((f"t{at}", 0), 0)
                calls.count, calls.at, calls.behind = 0, kill, True
                sink.put(records[begin:])
                with contextlib.suppress(KilledError):
                    await sink.flush_to({(f"t{at}", 0): 12})
        assert clickhouse.rows(f"SELECT n FROM t{at} ORDER BY n") == [(n,) for n in range(12) if n != 5], f"kill {at}"


async def test_a_table_that_does_not_remember_blocks_is_refused(clickhouse):
    clickhouse.command(f"CREATE TABLE t {LOG.partition(' SETTINGS')[0]}")
    async with clickhouse.opened("id", **ONCE) as sink:
        await sink.claim([("t", 0)])
        sink.put(Topic(3).records[0])
        with pytest.raises(TargetSchemaError, match="MODIFY SETTING non_replicated_deduplication_window") as error:
            await sink.flush_to({("t", 0): 3})
    clickhouse.command(error.value.hint.partition(", if it")[0])
    async with clickhouse.opened("id", **ONCE) as sink:
        sink.put(Topic(3).records[0][(await sink.claim([("t", 0)])).get(("t", 0), 0) :])
        await sink.flush_to({("t", 0): 3})
    assert clickhouse.rows("SELECT count() FROM t") == [(3,)]


async def test_tables_that_are_made_remember_blocks(clickhouse):
    from pycdc.model.schema import INT32, struct

    row = struct([("n", INT32)])
    async with clickhouse.opened("id", **ONCE, **{"auto.create": "true"}) as sink:
        await sink.claim([("t", 0)])
        sink.put([Record(topic="t", partition=0, offset=o, value={"n": o}, value_schema=row) for o in range(3)])
        await sink.flush_to({("t", 0): 3})
    assert clickhouse.rows("SELECT engine_full LIKE '%non_replicated_deduplication_window = 1000%' FROM system.tables WHERE database = currentDatabase() AND name = 't'") == [(1,)]
    assert clickhouse.rows("SELECT n FROM t ORDER BY n") == [(0,), (1,), (2,)]


async def test_positions_are_kept_only_when_asked_for(clickhouse):
    assert not clickhouse.sink().keeps_positions
    assert load_sink(Layered.of(clickhouse.config(**ONCE))).make_sink().keeps_positions


async def test_through_kafka_each_record_is_there_once(clickhouse, kafka, names, monkeypatch):
    """The task itself, ended around random calls: what it commits to Kafka does not say where reading goes on."""
    topic, chance = names.base, random.Random(seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    clickhouse.command(f"CREATE TABLE t {LOG}")
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics([NewTopic(topic, 3, 1)]).values():
        made.result()
    producer = Producer({"bootstrap.servers": kafka})
    for n in range(6000):
        producer.produce(topic, json.dumps({"n": n} | ({"b": "x"} if n % 3 == 0 else {})), None if n % 2 else "a key", partition=n % 3)
    producer.flush(10)
    json_converter, string = "org.apache.kafka.connect.json.JsonConverter", "org.apache.kafka.connect.storage.StringConverter"
    config = clickhouse.config(
        **ONCE, name=topic, topics=topic, topic2TableMap=f"{topic}=t", **{"bootstrap.servers": kafka, "key.converter": string, "value.converter": json_converter,
        "value.converter.schemas.enable": "false", "consumer.override.group.instance.id": "one"},
    )  # fmt: skip

    def settled():
        if not clickhouse.rows("SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'pycdc_positions'"):
            return 0
        last = "SELECT written * next AS reached FROM pycdc_positions ORDER BY n DESC LIMIT 1 BY topic, partition"
        return clickhouse.rows(f"SELECT sum(reached) FROM ({last})")[0][0]

    calls, kills = Calls(monkeypatch), 0
    for at in (4, 5, 6, 7, 9, -1):
        calls.count, calls.at, calls.behind, stop = 0, at, chance.random() < 0.5, asyncio.Event()
        task = asyncio.ensure_future(run_sink(load_sink(Layered.of(config)), http=None, stop=stop))
        try:
            async with asyncio.timeout(60):
                while not task.done() and await asyncio.to_thread(settled) < 6000:  # noqa: ASYNC110 - another thread's state has no event
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
        try:
            await task
        except KilledError:
            kills += 1
    assert kills >= 3
    assert clickhouse.rows("SELECT count(), uniqExact(n) FROM t") == [(6000, 6000)]
