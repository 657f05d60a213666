"""A `pycdc source` over JDBC's protocol of polls, killed again and again while rows are committed out of order."""

import json
import random
import sys
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

sys.path.insert(0, str(Path(__file__).parents[1] / "scenarios"))
from processes import Process, write

from pycdc.servers.process import wait_for

CONFIGS = {
    "incrementing": {"mode": "incrementing", "incrementing.column.name": "id"},
    "timestamp": {"mode": "timestamp", "timestamp.column.name": "at"},
    "timestamp+incrementing": {"mode": "timestamp+incrementing", "timestamp.column.name": "at", "incrementing.column.name": "id"},
}


class OutOfOrder(threading.Thread):
    """Takes numbers, waits, and commits; parts of transactions are undone, others are savepoints. `open_session` gives a context of `execute`, `commit`, `rollback`."""

    def __init__(self, open_session, seed):
        super().__init__()
        self.open_session, self.chance, self.ended = open_session, random.Random(seed), threading.Event()

    def run(self):
        with self.open_session() as conn:
            while not self.ended.is_set():
                for _ in range(self.chance.randint(1, 4)):
                    if self.chance.random() < 0.3:
                        conn.execute("SAVEPOINT s")
                        conn.execute("INSERT INTO t (x) VALUES ('savepoint')")
                        conn.execute("RELEASE SAVEPOINT s")
                    else:
                        conn.execute("INSERT INTO t (x) VALUES ('plain')")
                    time.sleep(self.chance.random() * 0.05)
                conn.rollback() if self.chance.random() < 0.2 else conn.commit()


def killed_again_and_again(mode, open_session, ids, kafka, names, folder, **config):
    """Every committed row arrives, and none that was undone; `ids` gives those that are committed."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    file = write(folder / "source.json", {
        "name": names.base, "connector.class": "jdbc-source", "topic.prefix": names.prefix + "_", "poll.interval.ms": "50", "bootstrap.servers": kafka,
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false", **CONFIGS[mode], **config,
    })  # fmt: skip
    process = Process(["source", "--config", file, "--offsets-file", str(folder / "offsets")], folder / "log")
    writers = [OutOfOrder(open_session, chance.random()) for _ in range(4)]
    process.start()
    for writer in writers:
        writer.start()
    try:
        for _ in range(4):
            time.sleep(1.2 + chance.random())  # a moment of its life, whatever it does
            process.kill()
            process.start()
    finally:
        for writer in writers:
            writer.ended.set()
        for writer in writers:
            writer.join()
    wanted = ids()
    with Topic(kafka, f"{names.prefix}_t") as topic:
        wait_for(lambda: wanted <= set(topic.read()), 40, f"rows are missing, seed {seed}", process.log)
        print(f"{len(wanted)} rows, {len(topic.ids)} records")
        assert set(topic.ids) == wanted, f"rows that were undone, seed {seed}"
    process.stop()
    assert "Traceback" not in process.log.read_text()


class Topic:
    """The ids of its records, from the beginning."""

    def __init__(self, kafka, name):
        self.consumer, self.ids = Consumer({"bootstrap.servers": kafka, "group.id": "check", "enable.auto.commit": False}), []
        self.consumer.assign([TopicPartition(name, 0, 0)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()

    def read(self):
        self.ids += [json.loads(m.value())["id"] for m in self.consumer.consume(1000, 0.3) if m.error() is None]
        return self.ids
