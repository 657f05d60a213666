"""One real Kafka broker (KRaft) of the pinned release; its jars come from Maven Central into a cache folder."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

from pycdc.servers.process import ServerFailed, Spawned, accepts, free_port, locked, require, run, spawn, wait_for

_POM = Path(__file__).with_name("pom.xml")
_CLUSTER = "cHljZGMtcHljZGMtcHljZA"
_LOG4J = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""
#: A small, quick start: the broker shares two cores with everything else.
SMALL = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def cache() -> Path:
    """Where downloads are kept: PYCDC_CACHE, else the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pycdc"
    return Path(os.environ.get("PYCDC_CACHE", default))


def jars(*, debezium: bool = False, registry: bool = False) -> Path:
    """The folder with libs/ (plugins/ with Debezium, registry/), downloaded by Maven on first use. Raises ServerFailed."""
    folder = cache() / "kafka-4.1.1"
    folder.mkdir(parents=True, exist_ok=True)
    pins = hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]  # another list of parts is another download
    part = "debezium" if debezium else "registry" if registry else "kafka"
    done = folder / f"{part}-{pins}.done"
    with locked(folder / "lock"):
        if not done.exists():
            require("java", "apt-get install openjdk-17-jre-headless")
            maven = require("mvn", "apt-get install maven")
            profile = [] if part == "kafka" else [f"-P{part}"]
            run([maven, "-q", "-B", "-f", _POM, "package", f"-Dfolder={folder}", *profile])
            done.touch()
    return folder


class Kafka(Spawned):
    """A broker that is its own controller, in a folder of its own."""

    def __init__(self, folder: Path, *, port: int | None = None, java_options: tuple[str, ...] = SMALL) -> None:
        super().__init__(folder, "the Kafka broker", folder / "kafka.log")
        self.port = port or free_port()
        self._controller = free_port()
        self._java_options = java_options

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Format the folder when new, start, wait until clients are answered. Raises ServerFailed."""
        java = require("java", "apt-get install openjdk-17-jre-headless")
        libs = jars() / "libs"
        properties = self.folder / "server.properties"
        if not properties.exists():
            self._create(java, libs, properties)
        command = [java, "-Xms128m", *self._java_options, f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}"]
        pid = spawn([*command, "-cp", f"{libs}/*", "kafka.Kafka", str(properties)], self.log)
        (self.folder / "pid").write_text(str(pid))
        wait_for(self._answers, 90, "the Kafka broker does not start", self.log)

    def _answers(self) -> bool:
        if not self.running:
            raise ServerFailed("the Kafka broker ended at its start", hint=self.log.read_text(errors="replace")[-1500:])
        return accepts(self.port)

    def _create(self, java: str, libs: Path, properties: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j.properties").write_text(_LOG4J)
        properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{self._controller}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}\n"
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}\ncontroller.listener.names=CONTROLLER\n"
            f"log.dirs={self.folder / 'data'}\nnum.partitions=1\n"
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "transaction.state.log.num.partitions=1\nshare.coordinator.state.topic.replication.factor=1\n"
            "share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nfile.delete.delay.ms=100\n"
        )
        run([java, f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}", "-cp", f"{libs}/*",
             "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", properties])  # fmt: skip

    def stop(self) -> None:
        """An orderly stop; killed when it takes longer than half a minute."""
        try:
            self._end(signal.SIGTERM)
        except ServerFailed:
            self.kill()

    def _is_gone(self) -> bool:
        return not accepts(self.port)  # a socket may outlive its process for a moment
