"""Options that several commands share, and the settings made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pycdc.errors import PycdcError
from pycdc.telemetry.log import LEVELS, Format, configure

F = TypeVar("F", bound=Callable[..., Any])


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from pycdc.runtime.http import parse_address

        try:
            parse_address(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def file_option(name: str, text: str, *, required: bool = True) -> Callable[[F], F]:
    """A configuration file that may be given several times; later ones win key by key."""
    return click.option(
        name, f"{name.strip('-')}_files", multiple=True, required=required, metavar="FILE",
        help=f"{text} JSON, .properties, YAML or TOML; may be repeated, later files win.",
    )


def set_option(name: str, text: str) -> Callable[[F], F]:
    return click.option(
        name, name.strip("-").replace("-", "_") + "_values", multiple=True, metavar="KEY=VALUE", help=f"{text} Beats every file; may be repeated."
    )


worker_option = click.option(
    "--worker", metavar="FILE", help="Worker-level keys, as in Kafka Connect's worker.properties."
)
http_option = click.option(
    "--http", metavar="HOST:PORT", callback=_address, help="Serve /health/live, /health/ready, /health/cdc and /metrics."
)


@dataclass(frozen=True, slots=True)
class Logging:
    """How this process tells things."""

    debug: bool
    as_json: bool


def logging_options(command: F) -> F:
    """--log-format, --log-level and --debug; the command gets them as three arguments."""
    for option in (
        click.option("--debug", is_flag=True, help="Log everything, and print stack traces."),
        click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="Least level that is logged."),
        click.option(
            "--log-format", type=click.Choice(("auto", "json", "text")), default="auto", show_default=True,
            help="auto: readable on a terminal, JSON lines otherwise.",
        ),
    ):
        command = option(command)
    return command


def start_logging(log_format: Format, log_level: str, *, debug: bool) -> Logging:
    as_json = configure(log_format, "debug" if debug else log_level)
    return Logging(debug=debug, as_json=as_json)


class NotBuilt(PycdcError):
    """This build of pycdc does not have that part."""
