"""`pycdc validate`: what is wrong with a connector's configuration, its connection included, and what it would do."""

from __future__ import annotations

import asyncio

import click

from pycdc.cli.options import file_option, set_option, worker_option
from pycdc.errors import ConfigError, Fault


@click.command(epilog="Exit codes: 0 nothing is wrong, 2 something is to be mended, which is told at its key.")
@file_option("--config", "The connector's configuration, as POSTed to Kafka Connect or flat.")
@worker_option
@set_option("--set", "One property.")
def validate(*, config_files: tuple[str, ...], worker: str | None, set_values: tuple[str, ...]) -> None:
    """Try a connector's configuration without running it: the faults of each key, and the SQL that a JDBC source will run.

    The same checks as PUT /connector-plugins/CLASS/config/validate.
    """
    from pycdc.cli import process
    from pycdc.config.layers import layered

    def work() -> None:
        merged = layered(config_files, worker=worker, settings=set_values)
        wrong, plan = asyncio.run(_look(dict(merged.raw)))
        if wrong:
            raise wrong
        for key, lines in plan.items():
            click.echo(f"{key}:")
            for line in lines:
                click.echo(f"  {line}")
        click.echo("nothing is wrong")

    process.told(work, debug=False, as_json=False)


async def _look(config: dict[str, str]) -> tuple[ConfigError | None, dict[str, list[str]]]:
    """What is wrong, else what would be done, by key."""
    from pycdc.worker.requests import RequestError
    from pycdc.worker.validation import validate as checks

    around = checks.Worker.of(config)
    try:
        form = await checks.checked({"name": "connector", **config}, around)
    except RequestError as error:
        return ConfigError(error.message), {}
    faults = tuple(Fault(entry.name, " ".join(message.split())) for entry in form.entries for message in entry.errors)
    if faults:
        return ConfigError("The configuration is wrong.", faults=faults), {}
    return None, {key: list(lines) for key, lines in (await checks.explained(config, around)).items()}
