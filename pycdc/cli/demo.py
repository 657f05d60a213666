"""`pycdc demo`: options only; the program is pycdc.demo."""

from __future__ import annotations

import importlib

import click

from pycdc.cli import process
from pycdc.cli.options import NotBuilt, logging_options, start_logging
from pycdc.telemetry.log import Format


@click.command()
@click.option("--kafka", is_flag=True, help="Put a real broker in the middle; needs Java.")
@click.option("--seconds", type=click.IntRange(3, 3600), default=20, show_default=True, help="How long the writer writes.")
@logging_options
def demo(*, kafka: bool, seconds: int, log_format: Format, log_level: str, debug: bool) -> None:
    """Two targets follow a busy PostgreSQL through a kill -9, and are compared row by row."""
    logging = start_logging(log_format, "warning" if log_level == "info" and not debug else log_level, debug=debug)

    def work() -> None:
        try:
            run_demo = importlib.import_module("pycdc.demo").run_demo
        except (ImportError, AttributeError) as error:
            raise NotBuilt(cause=str(error), hint="pip install 'pycdc[demo]'") from error
        if not run_demo(kafka=kafka, seconds=seconds):
            raise SystemExit(1)

    process.told(work, debug=logging.debug, as_json=logging.as_json)
