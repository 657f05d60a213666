"""pycdc's commands over connector files, as processes."""

import json
import os
import signal
import subprocess
import sys
import time

from confluent_kafka import Consumer, TopicPartition


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
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": f"check-{self.name}", "enable.auto.commit": False, "log_level": 0})
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
