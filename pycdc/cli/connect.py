"""`pycdc connect`: a Kafka Connect worker."""

from __future__ import annotations

import asyncio

import click

from pycdc.cli import process
from pycdc.cli.options import file_option, logging_options, set_option, start_logging
from pycdc.telemetry.log import Format


@click.command(epilog="Every property of a worker: `pycdc reference connect`.")
@file_option("--config", "The worker's configuration, as Kafka Connect's worker.properties.", required=False)
@click.option(
    "--standalone", "connector_files", multiple=True, metavar="CONNECTOR",
    help="Run alone, with the connector of this file, and keep nothing but positions; may be repeated.",
)  # fmt: skip
@click.option("--alone", is_flag=True, help="Run alone, without a connector to begin with.")
@set_option("--set", "One property of the worker.")
@click.option("--forbid-plain-secrets", is_flag=True, help="Refuse connectors whose passwords are not given as ${provider:...}.")
@logging_options
def connect(
    *,
    config_files: tuple[str, ...],
    connector_files: tuple[str, ...],
    alone: bool,
    set_values: tuple[str, ...],
    forbid_plain_secrets: bool,
    log_format: Format,
    log_level: str,
    debug: bool,
) -> None:
    """Run a Kafka Connect worker: connectors over REST, shared with the other workers of its group."""
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.config.layers import layered
        from pycdc.kafka.checks import client_checks
        from pycdc.worker.program import run_worker
        from pycdc.worker.settings import read_worker
        from pycdc.worker.standalone import connectors

        values = (*set_values, "forbid.plain.secrets=true") if forbid_plain_secrets else set_values
        solo = alone or bool(connector_files)
        worker = read_worker(layered(config_files, settings=values), standalone=solo)
        given = connectors(connector_files) if solo else None

        async def main(stop: asyncio.Event) -> None:
            await run_worker(worker, client_checks(), stop=stop, standalone=given)

        process.run(main)

    process.told(work, debug=logging.debug, as_json=logging.as_json)
