"""A server of the test kit in a process of its own, for tests that kill processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self


class ServerProcess:
    """`python -m MODULE ARGUMENTS`, which prints one JSON line when it is ready; `with` starts and ends it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module, self._arguments = module, arguments
        self._process: subprocess.Popen[str] | None = None

    def _ready(self, told: dict[str, Any]) -> None:
        """What it printed."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-m", self._module, *self._arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._ready(json.loads(self._process.stdout.readline()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._ended(self._process)

    def kill(self) -> None:
        """As `kill -9`; entering again starts it."""
        assert self._process is not None
        self._process.kill()
        self._ended(self._process)

    @staticmethod
    def _ended(process: subprocess.Popen[str]) -> None:
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
