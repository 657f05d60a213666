"""Drives the cases through `pycdc source`.

One process per case: create starts it, stop and pause end it with SIGTERM, resume and restart start it
again, update rewrites its configuration. Positions go to a topic of their own, in Connect's format.
"""
import json, os, shlex, shutil, signal, subprocess, sys, tempfile, time

from confluent_kafka import Consumer, Producer, TopicPartition

OFFSETS = "connect-offsets"


class SourceProcess:
    def __init__(self, stack):
        default = f"{shlex.quote(sys.executable)} -m pycdc.cli"
        self.kafka, self.cmd = stack["kafka"], shlex.split(os.environ.get("PYCDC", default))
        self.p, self.paused = {}, set()
        self.dir = tempfile.mkdtemp(prefix="pycdc-differential-")

    def file(self, name, kind):
        return os.path.join(self.dir, f"{name}.{kind}")

    def log(self, name):
        with open(self.file(name, "log"), errors="replace") as file:
            return file.read()[-4000:]

    def start(self, name):
        with open(self.file(name, "log"), "ab") as log:
            self.p[name] = subprocess.Popen(
                [*self.cmd, "source", "--config", self.file(name, "json"),
                 "--set", f"bootstrap.servers={self.kafka}", "--set", f"offset.storage.topic={OFFSETS}",
                 "--set", "offset.storage.replication.factor=1", "--set", "offset.storage.partitions=1",
                 "--set", "offset.flush.interval.ms=200"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.paused.discard(name)

    def halt(self, name):
        p = self.p.get(name)
        if p and p.poll() is None:
            p.send_signal(signal.SIGTERM)
            try:
                p.wait(15)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def create(self, name, config):
        with open(self.file(name, "json"), "w") as file:
            json.dump({"name": name, "config": config}, file)
        self.start(name)
        if self.settled(name) == 2:
            raise RuntimeError(self.log(name))

    def settled(self, name):
        """Exit code of a process that refused its configuration, None once it has got past that."""
        end = time.time() + 5
        while time.time() < end:
            code = self.p[name].poll()
            if code is not None or '"starting"' in self.log(name):
                return code
            time.sleep(0.02)
        return None

    def update(self, name, config):
        self.halt(name)
        self.create(name, config)

    def restart(self, name):
        self.halt(name)
        self.start(name)

    def stop(self, name):
        self.halt(name)
        self.paused.add(name)

    pause = stop

    def resume(self, name):
        self.start(name)

    def status(self, name):
        if name not in self.p:
            return None
        if name in self.paused:
            return {"connector": {"state": "STOPPED"}, "tasks": []}
        code = self.p[name].poll()
        if code in (None, 0):
            return {"connector": {"state": "RUNNING"}, "tasks": [{"state": "RUNNING"}]}
        return {"connector": {"state": "RUNNING"}, "tasks": [{"state": "FAILED", "trace": f"exit {code}\n{self.log(name)}"}]}

    def offsets(self, name):
        c = Consumer({"bootstrap.servers": self.kafka, "group.id": "oracle-offsets", "enable.auto.commit": False})
        out, md = {}, c.list_topics(OFFSETS, timeout=10).topics[OFFSETS]
        for part in md.partitions:
            lo, hi = c.get_watermark_offsets(TopicPartition(OFFSETS, part), timeout=10)
            if hi <= lo:
                continue
            c.assign([TopicPartition(OFFSETS, part, lo)])
            pos, end = lo, time.time() + 10
            while pos < hi and time.time() < end:
                for m in c.consume(500, 0.3):
                    if m.error():
                        continue
                    pos = m.offset() + 1
                    try:
                        k = json.loads(m.key())
                    except (ValueError, TypeError):
                        continue
                    if k[0] == name:
                        out[json.dumps(k[1])] = (k[1], m.value() and json.loads(m.value()))
                if c.position([TopicPartition(OFFSETS, part)])[0].offset >= hi:
                    break
        c.close()
        return {"offsets": [{"partition": k, "offset": v} for k, v in out.values() if v is not None]}

    def delete(self, name):
        self.halt(name)
        self.p.pop(name, None)
        self.paused.discard(name)
        p = Producer({"bootstrap.servers": self.kafka})
        p.produce(OFFSETS, key=json.dumps([name, {"server": name}], separators=(",", ":")), value=None)
        p.flush(10)

    def close(self):
        """End every process and take away what was written for them."""
        for name in list(self.p):
            self.halt(name)
        shutil.rmtree(self.dir, ignore_errors=True)
