"""A real MariaDB server from the system's packages: what speaks MySQL's protocol in the tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pycdc.servers.process import (
    ServerFailed,
    Spawned,
    accepts,
    alive,
    free_port,
    run,
    spawn,
    tail,
    unprivileged,
    wait_for,
)

#: Without fsync: a killed process loses nothing by it, only a killed machine would.
SETTINGS: Mapping[str, str] = {
    "bind-address": "127.0.0.1",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_general_ci",
    "default-time-zone": "+00:00",
    "innodb-buffer-pool-size": "64M",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-flush-method": "nosync",
    "innodb-log-file-size": "48M",
    "max-allowed-packet": "64M",
    "max-connections": "200",
    "performance-schema": "OFF",
    "skip-log-bin": "1",
    "skip-name-resolve": "1",
}
#: Where Debian puts them, of which not all is in everybody's PATH.
_PACKAGED: Mapping[str, str] = {"mariadbd": "/usr/sbin/mariadbd", "mariadb-install-db": "/usr/bin/mariadb-install-db"}
_HINT = "apt-get install mariadb-server"


def binaries() -> tuple[Path, Path]:
    """The server, and what makes its folder. Raises ServerFailed with the command that installs them."""
    server = _found("mariadbd")
    setup = _found("mariadb-install-db")
    version = subprocess.run([server, "--version"], check=False, capture_output=True, text=True).stdout
    if not re.search(r"Ver (1[1-9]|10\.[6-9]|10\.1\d)", version):
        raise ServerFailed("MariaDB is too old for the tests", cause=version.strip() or "it tells no version", hint=_HINT)
    return server, setup


def _found(program: str) -> Path:
    packaged = _PACKAGED[program]
    path = shutil.which(program) or (packaged if Path(packaged).exists() else None)
    if path is None:
        raise ServerFailed("MariaDB is not installed", cause=f"there is no {program}", hint=_HINT)
    return Path(path)


class MariaDb(Spawned):
    """One server in a folder of its own. As root it runs under an unprivileged user. Its `root` has no password."""

    def __init__(self, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, "MariaDB", folder / "mariadb.log")
        self.data = folder / "data"
        self.port = port or free_port()
        self.host = "127.0.0.1"
        self.user = "root"
        self._user = unprivileged()
        self._settings = dict(SETTINGS) | dict(settings or {})

    def start(self) -> None:
        """Make its data when there are none, start it, wait until it answers. Raises ServerFailed."""
        server, setup = binaries()
        if not self.data.exists():
            self._create(setup)
        pid_file = self.folder / "pid"
        pid_file.unlink(missing_ok=True)
        command = [
            str(server), "--no-defaults", f"--datadir={self.data}", f"--port={self.port}", f"--pid-file={pid_file}", f"--socket={self.folder / 'socket'}",
            self._scratch, *self._as, *(f"--{name}={value}" for name, value in self._settings.items()),
        ]  # fmt: skip
        spawned = spawn(command, self.log)

        def ready() -> bool:
            if not alive(spawned):
                raise ServerFailed("MariaDB ended at its start", hint=tail(self.log))
            return pid_file.exists() and accepts(self.port)

        wait_for(ready, 60, "MariaDB does not answer", self.log)

    def _create(self, setup: Path) -> None:
        for folder in (self.folder, self.folder / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
            if self._user is not None:
                os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        run([
            setup, "--no-defaults", self._scratch, f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", *self._as,
        ])  # fmt: skip

    @property
    def _scratch(self) -> str:
        """Of its own: a server that starts removes every temporary table in its folder, whoever made it."""
        return f"--tmpdir={self.folder / 'tmp'}"

    @property
    def _as(self) -> list[str]:
        return [] if self._user is None else [f"--user={self._user.pw_name}"]

    def stop(self) -> None:
        """An orderly stop."""
        self._end(signal.SIGTERM)

    def _end(self, number: int, seconds: float = 60) -> None:
        super()._end(number, seconds)
        (self.folder / "pid").unlink(missing_ok=True)
