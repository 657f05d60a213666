"""The `pycdc` command: its subcommands by name, each module imported when its command is called."""

from __future__ import annotations

import importlib
from typing import Final

import click

#: Command -> module and attribute, and the line that `pycdc --help` shows without importing it.
_COMMANDS: Final = {
    "source": ("pycdc.cli.stream:source", "Run one source connector: PostgreSQL into Kafka."),
    "sink": ("pycdc.cli.stream:sink", "Run one sink connector: Kafka into a target."),
    "run": ("pycdc.cli.stream:run", "Run a source straight into a sink, without a broker."),
    "connect": ("pycdc.cli.connect:connect", "Run a Kafka Connect worker: its REST API, many connectors, a group of workers."),
    "validate": ("pycdc.cli.validate:validate", "Try a connector's configuration: what is wrong, and the SQL that will run."),
    "migrate": ("pycdc.cli.migrate:migrate", "Move connectors from a Kafka Connect cluster, or back."),
    "registry": ("pycdc.cli.registry:registry", "Subjects, schemas and compatibility levels of a schema registry."),
    "demo": ("pycdc.cli.demo:demo", "Show the whole thing on embedded servers."),
    "reference": ("pycdc.cli.reference:reference", "Describe the properties of a class."),
}


class _Lazy(click.Group):
    """Lists commands without importing them: `--help` and `--version` answer at once."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pycdc")
    except PackageNotFoundError:
        return "(not installed: run from a source tree)"


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"pycdc {_version()}")
        ctx.exit()


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 stopped or done, 1 failed at run time, 2 wrong configuration or command line.",
)
@click.option("--version", is_flag=True, callback=_show_version, expose_value=False, is_eager=True, help="Show the version and exit.")
def pycdc() -> None:
    """Change data capture from PostgreSQL: Debezium's events and Kafka Connect's files, in one process."""
