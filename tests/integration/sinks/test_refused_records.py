"""Records that a sink cannot take, beside captures of real Kafka Connect with Debezium's JDBC sink (sink_errors.json).

Dead letters have to be equal, header by header but for the stack trace. Where the original's task dies because a
row is refused by the target, pycdc leaves that row out: those cases say here what is due instead.
"""

import asyncio
import base64
import json
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql as q

from pycdc.config.layers import Layered
from pycdc.errors import PycdcError
from pycdc.plugins.join import load_sink
from pycdc.runtime.sink_task import run_sink

CAPTURED = json.loads((Path(__file__).parent / "sink_errors.json").read_text())
STACK = "__connect.errors.exception.stacktrace"


def by_the_target(offset, message):
    """Headers of a row that the target, or the sink before it, refuses."""
    return {"offset": str(offset), "stage": "TASK_PUT", "class.name": "org.apache.kafka.connect.sink.SinkTask",
            "exception.class.name": "java.sql.SQLException", "exception.message": message}  # fmt: skip


#: Rows and refused records (offset, message) where the original's task dies of them.
BETTER = {
    "put_all_dlq": ([[1, 11], [3, 13]], [by_the_target(1, 'ERROR: invalid input syntax for type integer: "notanumber"')]),
    "put_all_constraint": ([[1, "x"], [3, "x"]], [by_the_target(1, 'ERROR: new row for relation "${T}" violates check constraint "${T}_t_check"')]),
    "put_batch_size_1": ([[1, "x"], [3, "x"]], [by_the_target(1, 'ERROR: new row for relation "${T}" violates check constraint "${T}_t_check"')]),
    "put_null_key_all": ([[1, "x"], [3, "x"]], [by_the_target(1, "a record has no key: primary.key.mode is record_key")]),
    "put_schemaless": ([[1, "x"], [3, "x"], [5, None]], []),
    "put_schemaless_header": ([[1, "x"], [2, "x"]], []),
    "put_text_for_int": ([[1, "x"], [3, "x"]], [by_the_target(1, "a record's value is no struct: it is a str")]),
}
#: The capture has no such case: tolerance none stops at the row, which the dead letter queue has all the same.
STOPS = ("put_none", "put_table_missing")


def raw(data):
    if data is None:
        return None
    return base64.b64decode(data["$b64"]) if isinstance(data, dict) else data.encode()


class Case:
    def __init__(self, name, db, kafka, names):
        self.captured = CAPTURED["cases"][name]
        self.topic, self.table, self.kafka, self.db = names.base, names.base[:40].lower(), kafka, db
        config = CAPTURED["base"] | self.captured["config"]
        places = {"${N}": self.topic, "${T}": self.table, "${PG_HOST}": db.host, "${PG_PORT}": str(db.port), "${DB}": db.dbname}
        self.places = places
        self.config = {k: self.filled(v) for k, v in config.items()} | {"name": self.topic, "bootstrap.servers": kafka}
        self.dlq = self.config.get("errors.deadletterqueue.topic.name")
        self.admin = AdminClient({"bootstrap.servers": kafka})

    def filled(self, text):
        for place, value in self.places.items():
            text = text.replace(place, value)
        return text

    def prepare(self):
        with psycopg.connect(self.db.dsn, autocommit=True) as conn:
            if statement := (self.captured["options"] or {}).get("sql"):
                conn.execute(self.filled(statement))
        topics = [NewTopic(self.topic, 1, 1)]
        if partitions := (self.captured["options"] or {}).get("dlq_partitions"):
            topics.append(NewTopic(self.dlq, partitions, 1))
        for made in self.admin.create_topics(topics).values():
            made.result()
        producer = Producer({"bootstrap.servers": self.kafka})
        for record in self.captured["input"]:
            headers = [(k, None if v is None else v.encode()) for k, v in record.get("headers") or []]
            producer.produce(self.topic, key=raw(record.get("key")), value=raw(record.get("value")), headers=headers, partition=0, timestamp=1700000000000)
        producer.flush(10)

    def rows(self):
        with psycopg.connect(self.db.dsn, autocommit=True) as conn:
            try:
                return [list(r) for r in conn.execute(q.SQL("SELECT id, t FROM {} ORDER BY id").format(q.Identifier(self.table)))]
            except psycopg.errors.UndefinedTable:
                return "UndefinedTable"

    def letters(self):
        """What is in the dead letter queue, as the capture has it."""
        if self.dlq is None or self.dlq not in self.admin.list_topics(timeout=10).topics:
            return None
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": f"{self.dlq}-reader", "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        found = []
        try:
            for p in consumer.list_topics(self.dlq, timeout=10).topics[self.dlq].partitions:
                at, end = consumer.get_watermark_offsets(TopicPartition(self.dlq, p), timeout=10)
                consumer.assign([TopicPartition(self.dlq, p, at)])
                while at < end:
                    for m in consumer.consume(end - at, 1.0):
                        at = m.offset() + 1
                        headers = [[k, None if v is None else v.decode()] for k, v in m.headers() or [] if k != STACK]
                        found.append([p, m.offset(), m.timestamp()[1], m.key(), m.value(), headers])
        finally:
            consumer.close()
        return found

    def due_letters(self):
        return [
            [d["partition"], d["offset"], d["timestamp"], raw(d["key"]), raw(d["value"]),
             [[k, v if v is None else self.filled(v)] for k, v in d["headers"] if k != STACK]]
            for d in self.captured["dlq"] or []
        ]  # fmt: skip

    async def run(self, enough):
        """Until `enough()`, or until the sink ends, whose error is returned."""
        stop = asyncio.Event()
        task = asyncio.ensure_future(run_sink(load_sink(Layered.of(self.config)), http=None, stop=stop))
        try:
            async with asyncio.timeout(30):
                while not task.done() and not await asyncio.to_thread(enough):  # noqa: ASYNC110 - Kafka's state has no event
                    await asyncio.sleep(0.05)
            if not task.done():
                await asyncio.sleep(0.3)  # what must not come has time to
        finally:
            stop.set()
        try:
            await task
        except PycdcError as error:
            return error
        return None

    def committed(self):
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": f"connect-{self.topic}"})
        try:
            return consumer.committed([TopicPartition(self.topic, 0)], timeout=10)[0].offset
        except KafkaException:  # the group has just got its coordinator
            return -1
        finally:
            consumer.close()


@pytest.fixture
def case(request, postgres_db, kafka, names):
    made = Case(request.param, postgres_db, kafka, names)
    made.prepare()
    return made


def placed(letters):
    """Without the place of a letter that has no key, which any partition may have; in the order of their offsets."""
    found = [[p if key is not None else None, timestamp, key, value, headers] for p, _, timestamp, key, value, headers in letters]
    return sorted(found, key=lambda f: dict(f[-1]).get("__connect.errors.offset", ""))


EQUAL = [n for n in CAPTURED["cases"] if n not in BETTER and n not in STOPS]


@pytest.mark.parametrize("case", EQUAL, indirect=True)
async def test_as_captured(case):
    captured, due = case.captured, case.due_letters()
    end = len(captured["input"])
    error = await case.run(lambda: case.committed() == end)
    if captured["task"] == "RUNNING":
        assert error is None, str(error)
    assert placed(case.letters() or []) == placed(due)
    if captured["task"] == "RUNNING":
        assert case.rows() == captured["rows"]
        return
    assert error is not None
    assert case.committed() < end
    assert case.rows() in (captured["rows"], [], "UndefinedTable")


@pytest.mark.parametrize("case", BETTER, indirect=True)
async def test_a_row_that_cannot_be_written_goes_to_the_queue_and_the_others_are_written(case, request):
    rows, letters = BETTER[request.node.callspec.params["case"]]
    end = len(case.captured["input"])
    assert await case.run(lambda: case.committed() == end) is None
    assert case.rows() == rows
    found = [{k.removeprefix("__connect.errors."): v for k, v in headers} for *_, headers in case.letters()]
    common = {"topic": case.topic, "partition": "0", "connector.name": case.topic, "task.id": "0"}
    if case.config.get("errors.deadletterqueue.context.headers.enable") == "true":
        assert found == [common | {k: case.filled(v) for k, v in letter.items()} for letter in letters]
    for letter, (_, _, _, key, value, _) in zip(letters, case.letters(), strict=True):
        of = case.captured["input"][int(letter["offset"])]
        assert (key, value) == (raw(of.get("key")), raw(of.get("value")))


@pytest.mark.parametrize("case", STOPS, indirect=True)
async def test_without_tolerance_the_task_ends_at_the_row_and_commits_nothing(case):
    case.config |= {"errors.tolerance": "none", "errors.deadletterqueue.topic.name": f"{case.topic}-dlq",
                    "errors.deadletterqueue.topic.replication.factor": "1"}  # fmt: skip
    case.dlq = f"{case.topic}-dlq"
    error = await case.run(lambda: False)
    assert error is not None
    assert case.rows() in ([], "UndefinedTable")
    assert case.committed() < 0
    assert "notanumber" not in str(error)
