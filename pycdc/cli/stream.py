"""`pycdc source`, `pycdc sink` and `pycdc run`: read the configuration, run one task until it is told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import structlog

from pycdc.cli import process
from pycdc.cli.options import file_option, http_option, logging_options, set_option, start_logging, worker_option
from pycdc.telemetry.log import Format, bind

if TYPE_CHECKING:
    from pycdc.plugins.join import Plan

log = structlog.get_logger(__name__)


@click.command(epilog="Every property: `pycdc reference postgres`, and `pycdc reference worker` for Kafka Connect's own.")
@file_option("--config", "The connector's configuration, as POSTed to Kafka Connect or flat.")
@worker_option
@set_option("--set", "One property.")
@click.option("--offsets-file", metavar="FILE", help="Keep positions in this file instead of offset.storage.topic.")
@http_option
@logging_options
def source(
    *,
    config_files: tuple[str, ...],
    worker: str | None,
    set_values: tuple[str, ...],
    offsets_file: str | None,
    http: str | None,
    log_format: Format,
    log_level: str,
    debug: bool,
) -> None:
    """Run one source connector: a database's changes into Kafka topics."""
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.config.layers import layered
        from pycdc.kafka.checks import client_checks
        from pycdc.plugins.join import load_source

        merged = layered(config_files, worker=worker, settings=set_values)
        plan = load_source(merged, offsets_file=offsets_file is not None, checks=client_checks())
        _begin(plan)
        from pycdc.cli.progress import snapshot_bar
        from pycdc.runtime.source_task import run_source

        async def main(stop: asyncio.Event) -> None:
            await run_source(plan, offsets_file=offsets_file, http=http, stop=stop, show=snapshot_bar())

        process.run(main)

    process.told(work, debug=logging.debug, as_json=logging.as_json)


@click.command(epilog="Every property: `pycdc reference jdbc-sink` or `clickhouse`, and `pycdc reference worker`.")
@file_option("--config", "The connector's configuration, as POSTed to Kafka Connect or flat.")
@worker_option
@set_option("--set", "One property.")
@http_option
@logging_options
def sink(
    *,
    config_files: tuple[str, ...],
    worker: str | None,
    set_values: tuple[str, ...],
    http: str | None,
    log_format: Format,
    log_level: str,
    debug: bool,
) -> None:
    """Run one sink connector: Kafka topics into a target. Processes of one name share the work."""
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.config.layers import layered
        from pycdc.kafka.checks import client_checks
        from pycdc.plugins.join import load_sink

        plan = load_sink(layered(config_files, worker=worker, settings=set_values), checks=client_checks())
        _begin(plan)
        from pycdc.runtime.sink_task import run_sink

        async def main(stop: asyncio.Event) -> None:
            await run_sink(plan, http=http, stop=stop)

        process.run(main)

    process.told(work, debug=logging.debug, as_json=logging.as_json)


@click.command(epilog="Positions are kept in the target; the replication slot is the durable log.")
@file_option("--source", "The source connector's configuration.")
@file_option("--sink", "The sink connector's configuration.")
@worker_option
@set_option("--set-source", "One property of the source.")
@set_option("--set-sink", "One property of the sink.")
@http_option
@logging_options
def run(
    *,
    source_files: tuple[str, ...],
    sink_files: tuple[str, ...],
    worker: str | None,
    set_source_values: tuple[str, ...],
    set_sink_values: tuple[str, ...],
    http: str | None,
    log_format: Format,
    log_level: str,
    debug: bool,
) -> None:
    """Run a source straight into a sink, without a broker."""
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.config.layers import layered
        from pycdc.errors import ConfigError, Fault
        from pycdc.plugins.join import SinkPlan, SourcePlan, load_sink, load_source

        plans: list[SourcePlan | SinkPlan] = []
        faults: list[Fault] = []
        for load, files, values, option in (
            (load_source, source_files, set_source_values, "--set-source"),
            (load_sink, sink_files, set_sink_values, "--set-sink"),
        ):
            try:
                merged = layered(files, worker=worker, settings=values, set_option=option)
                plans.append(load(merged, direct=True))
            except ConfigError as error:
                faults.extend(error.faults)
        if faults:
            raise ConfigError("The configuration is wrong.", faults=tuple(faults))
        source_plan, sink_plan = plans
        assert isinstance(source_plan, SourcePlan)
        assert isinstance(sink_plan, SinkPlan)
        _begin(source_plan)
        _begin(sink_plan)
        from pycdc.runtime.direct import run_direct

        async def main(stop: asyncio.Event) -> None:
            await run_direct(source_plan, sink_plan, http=http, stop=stop)

        process.run(main)

    process.told(work, debug=logging.debug, as_json=logging.as_json)


def _begin(plan: Plan) -> None:
    """Warnings of the configuration come first, under the connector's name."""
    bind(connector=plan.name)
    for warning in plan.warnings:
        log.warning(warning)
    log.info("starting", **{"class": plan.connector_class})
