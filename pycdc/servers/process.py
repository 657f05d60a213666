"""What every server has in common: a free port, a user to run as, waiting with a limit, the tail of a log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pycdc.errors import PycdcError


class ServerFailed(PycdcError):
    """A server did not start or stop."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on.

    Not one that the kernel gives to outgoing connections: while a server is down its clients call again and
    again, and one whose own port happens to be the server's is connected to itself and keeps the port.
    """
    for port in random.sample(range(10_000, 20_000), 200):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed connection's rest is no obstacle
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("no free TCP port", cause="200 between 10000 and 19999 were tried")


def wait_for(condition: Callable[[], bool], seconds: float, what: str, log: Path | None = None) -> None:
    """Look every 50 ms. Raises ServerFailed with the end of `log`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ServerFailed(what, cause=f"not within {seconds:g} s", hint=tail(log))
        time.sleep(0.05)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone among all processes of this machine that lock the same file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, also when the process is killed
        yield


def tail(log: Path | None, lines: int = 8) -> str:
    """The last lines of a log file."""
    if log is None or not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def accepts(port: int) -> bool:
    """Whether something listens on the loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return not Path("/proc").exists() or Path(f"/proc/{pid}").exists()


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`; empty where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def unprivileged() -> pwd.struct_passwd | None:
    """The user that servers which refuse root run as; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerFailed("PostgreSQL does not run as root", hint="adduser --system --group postgres")


def run(command: Sequence[str | Path], *, user: pwd.struct_passwd | None = None, **options: object) -> None:
    """Run to the end, as `user` when given. Raises ServerFailed with what it printed."""
    kwargs: dict[str, object] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": "/"}
    if user is not None:
        kwargs |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        kwargs["env"] = {**os.environ, "HOME": user.pw_dir, "USER": user.pw_name}
    result = subprocess.run([str(c) for c in command], check=False, **(kwargs | options))  # type: ignore[call-overload]
    if result.returncode:
        output = (result.stdout or b"").decode(errors="replace")[-2000:]
        raise ServerFailed(f"{Path(str(command[0])).name} failed", cause=f"exit code {result.returncode}", hint=output)


def require(program: str, install: str) -> str:
    """The path of a program of the system. Raises ServerFailed with the command that installs it."""
    path = shutil.which(program)
    if path is None:
        raise ServerFailed(f"{program} is not installed", hint=f"install it: {install}")
    return path


def spawn(command: list[str], log: Path) -> int:
    """Start it with a session of its own, its words appended to `log`; its pid.

    Not a Popen: the server may outlive the process that started it, and another one may stop it.
    """
    return os.posix_spawn(
        command[0], command, os.environ, setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )  # fmt: skip


class Spawned:
    """A server that was spawned, known by the file `pid` in its folder, whoever started it."""

    def __init__(self, folder: Path, name: str, log: Path) -> None:
        """`name`: as messages have it."""
        self.folder = folder
        self.log = log
        self._name = name

    @property
    def pid(self) -> int | None:
        """None when there is none."""
        try:
            return int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            return None

    @property
    def running(self) -> bool:
        pid = self.pid
        return pid is not None and alive(pid)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Stop and delete everything."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: int, seconds: float = 30) -> None:
        """By that signal. Raises ServerFailed when it is still there behind the limit."""
        pid = self.pid
        if pid is None or not alive(pid):
            return
        os.kill(pid, number)

        def gone() -> bool:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # takes the zombie away when it is ours
            return not alive(pid) and self._is_gone()

        wait_for(gone, seconds, f"{self._name} does not end", self.log)

    def _is_gone(self) -> bool:
        """What else must be true once the process has ended."""
        return True
