"""pycdc's commands over connector files, as processes."""

import json
import os
import signal
import subprocess
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

#: What a broker says of a group while the first of its members comes.
_COMING = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR)


def until(true, why, limit=60, processes=()):
    """Wait for `true()`, as long as the processes live."""
    end = time.monotonic() + limit
    while not (found := true()):
        for process in processes:
            assert process.process.poll() is None, process.log.read_text()[-3000:]
        assert time.monotonic() < end, why + "".join(f"\n{p.log.read_text()[-2000:]}" for p in processes)
        time.sleep(0.1)
    return found


def ends(kafka, topics):
    """(topic, partition) -> the offset behind its last record, of the topics that are there."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "check"})
    try:
        known = consumer.list_topics(timeout=10).topics
        places = [(t, p) for t in topics if t in known for p in known[t].partitions]
        return {place: consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)[1] for place in places}
    finally:
        consumer.close()


class Group:
    """The group of a sink: how far it is, where its target cannot be asked."""

    def __init__(self, kafka, name, topics):
        self.kafka, self.id, self.topics, self.admin = kafka, f"connect-{name}", list(topics), AdminClient({"bootstrap.servers": kafka})

    def committed(self, places):
        """(topic, partition) -> the offset that it goes on at; -1001 before the first."""
        asked = ConsumerGroupTopicPartitions(self.id, [TopicPartition(*place) for place in places])
        try:
            answer = self.admin.list_consumer_group_offsets([asked])[self.id].result(10)
        except KafkaException as error:
            if error.args[0].code() not in _COMING:
                raise
            return {}
        return {(tp.topic, tp.partition): tp.offset for tp in answer.topic_partitions}

    def until_written(self, sink, limit=60):
        """Until it has committed everything that is in the topics now."""
        due = {place: end for place, end in ends(self.kafka, self.topics).items() if end}
        until(lambda: self.committed(due) == due, f"the sink is behind {due}", limit, [sink])


def write(file, connector):
    file.write_text(json.dumps(connector))
    return str(file)


class Process:
    """A command that is started, told to end, killed, and started again."""

    def __init__(self, command, log):
        self.command, self.log, self.process = [sys.executable, "-m", "pycdc.cli", *command], log, None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1"})

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0, self.log.read_text()[-2000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Sink(Process):
    """`pycdc sink` over one connector file."""

    def __init__(self, connector, kafka, folder, **more):
        self.name = connector["name"]
        file = write(folder / f"{self.name}.json", {"name": self.name, "config": {k: v for k, v in connector.items() if k != "name"}})
        command = ["sink", "--config", file, "--set", f"bootstrap.servers={kafka}"]
        for key, value in more.items():
            command += ["--set", f"{key}={value}"]
        super().__init__(command, folder / f"{self.name}.log")


class Source(Process):
    """`pycdc source` over one connector file."""

    def __init__(self, connector, db, kafka, names, folder, http=None, **more):
        self.name = names.base
        self.kafka = kafka
        file = write(folder / "connector.json", connector)
        sets = {
            "name": names.base, "database.hostname": db.host, "database.port": db.port, "database.dbname": db.dbname,
            "slot.name": names.slot, "bootstrap.servers": kafka, "offset.storage.topic": f"{names.base}-offsets",
            "offset.storage.replication.factor": 1, "offset.storage.partitions": 1, "offset.flush.interval.ms": 100,
            "topic.prefix": names.prefix, **more,
        }  # fmt: skip
        command = ["source", "--config", file]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        super().__init__(command + ([] if http is None else ["--http", http]), folder / "log")

    def records(self, topic, enough, limit=40):
        """(partition, key, value) of the topic's records once `enough(them)`."""
        told = {"group.id": f"check-{self.name}", "enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 0}
        consumer = Consumer({"bootstrap.servers": self.kafka, **told})
        end, found, assigned = time.monotonic() + limit, [], False
        try:
            while not enough(found):
                assert time.monotonic() < end, f"{found[-5:]} of {len(found)}\n{self.log.read_text()[-3000:]}"
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                if not assigned:
                    known = consumer.list_topics(timeout=10).topics.get(topic)
                    if known is None or known.error or not known.partitions:
                        time.sleep(0.1)
                        continue
                    consumer.assign([TopicPartition(topic, p, 0) for p in known.partitions])
                    assigned = True
                for m in consumer.consume(1000, 0.2):
                    if m.error() is None:
                        found.append((m.partition(), m.key() and json.loads(m.key()), m.value() and json.loads(m.value())))
        finally:
            consumer.close()
        return found

    def partitions(self, topic):
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "check"})
        try:
            return len(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        finally:
            consumer.close()
