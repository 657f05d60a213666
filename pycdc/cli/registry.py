"""`pycdc registry`: what scripts ask a schema registry for, with a connector's own login and TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pycdc.cli import process
from pycdc.cli.options import file_option, logging_options, start_logging
from pycdc.telemetry.log import Format

if TYPE_CHECKING:
    from pycdc.registry.admin import RegistryAdmin

F = TypeVar("F", bound=Callable[..., Any])

_LEVELS = ("BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE", "NONE")


def _place(command: F) -> F:
    """Which registry."""
    for option in (
        file_option("--config", "A connector's file: its registry, login and topic.prefix.", required=False),
        click.option("--url", metavar="URL", help="The registry, or several separated by commas; user:password@ may stand in it."),
    ):
        command = option(command)
    return command


_key = click.option("--key", "is_key", is_flag=True, help="The key's schema, not the value's.")


@click.group()
def registry() -> None:
    """Subjects, schemas and compatibility levels of a schema registry (Confluent's, Karapace's, Apicurio's)."""


@registry.command()
@_place
@logging_options
def subjects(*, url: str | None, config_files: tuple[str, ...], log_format: Format, log_level: str, debug: bool) -> None:
    """List the subjects."""

    async def ask(admin: RegistryAdmin, _prefix: str) -> None:
        for name in await admin.subjects():
            click.echo(name)

    _run(ask, url, config_files, log_format, log_level, debug=debug)


@registry.command()
@click.argument("subject", required=False)
@click.option("--set", "wanted", type=click.Choice(_LEVELS, case_sensitive=False), help="Set it.")
@click.option("--unset", is_flag=True, help="Let the whole registry's hold for the subject again.")
@_place
@logging_options
def level(
    *, subject: str | None, wanted: str | None, unset: bool, url: str | None, config_files: tuple[str, ...], log_format: Format,
    log_level: str, debug: bool,
) -> None:  # fmt: skip
    """Show or set the compatibility level of SUBJECT, or of the whole registry.

    A subject is usually TOPIC-key or TOPIC-value.
    """
    if unset and (wanted is not None or subject is None):
        raise click.UsageError("--unset goes with a SUBJECT, and without --set")

    async def ask(admin: RegistryAdmin, _prefix: str) -> None:
        if wanted is not None:
            await admin.set_level(subject, wanted.upper())
        elif unset and subject is not None:
            await admin.unset_level(subject)
        found, inherited = await admin.level(subject)
        click.echo(f"{found} (of the whole registry)" if inherited else found)

    _run(ask, url, config_files, log_format, log_level, debug=debug)


@registry.command()
@click.argument("name")
@_key
@click.option("--version", default="latest", show_default=True, help="Version of the subject.")
@click.option("--versions", "listed", is_flag=True, help="List the versions instead.")
@_place
@logging_options
def schema(
    *, name: str, is_key: bool, version: str, listed: bool, url: str | None, config_files: tuple[str, ...], log_format: Format,
    log_level: str, debug: bool,
) -> None:  # fmt: skip
    """Show the schema of the values, or keys, of NAME.

    NAME is a topic, or with --config a table as SCHEMA.TABLE; a whole subject's name will do as well.
    """
    if version != "latest" and not version.isdecimal():
        raise click.BadParameter("must be a number or latest", param_hint="--version")

    async def ask(admin: RegistryAdmin, prefix: str) -> None:
        subject = await admin.subject_of(name, is_key=is_key, prefix=prefix)
        if listed:
            for number in await admin.versions(subject):
                click.echo(number)
            return
        found = await admin.schema(subject, version)
        click.echo(f"subject {found['subject']}, version {found['version']}, id {found['id']}, {found.get('schemaType', 'AVRO')}", err=True)
        click.echo(found["schema"])

    _run(ask, url, config_files, log_format, log_level, debug=debug)


def _run(
    ask: Callable[[RegistryAdmin, str], Coroutine[Any, Any, None]], url: str | None, config_files: tuple[str, ...], log_format: Format, log_level: str,
    *, debug: bool,
) -> None:  # fmt: skip
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.registry.admin import of_files

        admin, prefix = of_files(url, config_files)
        asyncio.run(ask(admin, prefix))

    process.told(work, debug=logging.debug, as_json=logging.as_json)
