"""A snapshot's progress bar on a terminal; elsewhere the runtime logs lines instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycdc.plugins.contracts import Progress


def snapshot_bar() -> Callable[[Progress], None] | None:
    """What shows progress, or None when standard error is no terminal."""
    return SnapshotBar() if sys.stderr.isatty() else None


class SnapshotBar:
    """One bar for the table being read, drawn while the snapshot runs."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._table = ""

    def __call__(self, progress: Progress) -> None:
        if progress.phase != "snapshot":
            self._stop()
            return
        if self._bar is None:
            self._start()
        if progress.table != self._table:
            self._table = progress.table
            self._bar.reset(self._task, total=progress.rows_expected or None)
        label = f"{progress.table} ({progress.tables_done + 1} of {progress.tables})"
        self._bar.update(self._task, completed=progress.rows, description=label)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        class Rate(ProgressColumn):
            """Rows per second."""

            def render(self, task: Any) -> Text:
                return Text(f"{task.speed or 0:,.0f} rows/s")

        self._bar = Bar(
            TextColumn("[bold]snapshot[/] {task.description}"), BarColumn(), MofNCompleteColumn(),
            Rate(), TimeElapsedColumn(), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None, start=True)
        self._bar.start()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
