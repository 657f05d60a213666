"""A database at work: rows that go on being inserted while something happens to those who read them."""

from __future__ import annotations

import threading
from typing import LiteralString, Self

import psycopg


class Load:
    """Runs `statement` with 1, 2, 3 ..., a transaction each, until it is stopped. `count`: the last one."""

    def __init__(self, dsn: str, statement: LiteralString, *, pause: float = 0.005) -> None:
        """`pause`: seconds between two."""
        self.count = 0
        self._dsn, self._statement, self._pause = dsn, statement, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as sql:
            while not self._stop.wait(self._pause):
                sql.execute(self._statement, [self.count + 1])
                self.count += 1

    def stop(self) -> None:
        """Everything up to `count` is committed."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
