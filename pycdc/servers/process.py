"""What every server has in common: a free port, a user to run as, waiting with a limit, the tail of a log."""

from __future__ import annotations

import fcntl
import os
import pwd
import random
import shutil
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
