"""The command line. `main` is the console script's entry; everything is imported when a command needs it."""

from __future__ import annotations


def main() -> None:
    """Run `pycdc` with the process's arguments and leave with DESIGN's exit codes: 0, 1 or 2."""
    from pycdc.cli.app import pycdc

    pycdc()


__all__ = ["main"]
