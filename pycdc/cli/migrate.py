"""`pycdc migrate`: options only; the programs are those of pycdc.migrate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pycdc.cli import process
from pycdc.cli.options import logging_options, start_logging
from pycdc.telemetry.log import Format

F = TypeVar("F", bound=Callable[..., Any])

_url = click.argument("url")
_json = click.option("--json", "as_json", is_flag=True, help="For machines.")
_worker = click.option(
    "--worker", metavar="FILE", help="The worker-level keys that `pycdc connect` will have, as in connect-distributed.properties."
)


def _credentials(prefix: str, whose: str) -> Callable[[F], F]:
    """Who asks, and by which certificate the server is known."""

    def decorate(command: F) -> F:
        for option in (
            click.option(f"{prefix}cacert", metavar="FILE", help=f"PEM certificates by which {whose} is known."),
            click.option(f"{prefix}bearer", metavar="TOKEN", help=f"Bearer token for {whose}, may be ${{env:NAME}} or ${{file:/path:key}}."),
            click.option(f"{prefix}user", metavar="NAME:PASSWORD", help=f"Basic authentication at {whose}, may be ${{env:NAME}} or ${{file:/path:key}}."),
        ):
            command = option(command)
        return command

    return decorate


_from = _credentials("--", "URL")


def _to(*, required: bool) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        command = _credentials("--to-", "the new side")(command)
        return click.option("--to", required=required, metavar="URL", help="The REST API of the side that takes over.")(command)

    return decorate


@click.group()
def migrate() -> None:
    """Move connectors from a Kafka Connect cluster to pycdc, or back.

    URL is the REST API of the cluster that runs them now, such as http://connect:8083.
    """


@migrate.command()
@_url
@_from
@_worker
@_json
@logging_options
def inspect(
    *, url: str, user: str | None, bearer: str | None, cacert: str | None, worker: str | None, as_json: bool, log_format: Format, log_level: str,
    debug: bool,
) -> None:  # fmt: skip
    """List the connectors and say what pycdc will do with each: the same, something else, or nothing."""
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.migrate.endpoint import endpoint
        from pycdc.migrate.program import finished, inspect_cluster, worker_keys

        side = endpoint(url, user=user, bearer=bearer, cacert=cacert)
        finished(inspect_cluster(side, worker_keys(worker), as_json=as_json, say=click.echo))

    process.told(work, debug=logging.debug, as_json=logging.as_json)


@migrate.command()
@_url
@_from
@_to(required=False)
@click.option("--in-place", is_flag=True, help="pycdc will be started on the cluster's own topics after all its workers have left.")
@_worker
@click.option("--connector", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@logging_options
def plan(
    *, url: str, user: str | None, bearer: str | None, cacert: str | None, to: str | None, to_user: str | None, to_bearer: str | None,
    to_cacert: str | None, in_place: bool, worker: str | None, names: tuple[str, ...], log_format: Format, log_level: str, debug: bool,
) -> None:  # fmt: skip
    """Say for each connector what will differ and why, and how to move it, step by step, also by hand."""
    if in_place == (to is not None):
        raise click.UsageError("give either --to URL or --in-place")
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.migrate.endpoint import endpoint
        from pycdc.migrate.program import finished, plan_in_place, plan_move, worker_keys

        old = endpoint(url, user=user, bearer=bearer, cacert=cacert)
        keys = worker_keys(worker)
        if to is None:
            finished(plan_in_place(old, keys, worker, names, say=click.echo))
        else:
            new = endpoint(to, option="--to", user=to_user, bearer=to_bearer, cacert=to_cacert)
            finished(plan_move(old, new, keys, names, say=click.echo))

    process.told(work, debug=logging.debug, as_json=logging.as_json)


@migrate.command(epilog="It goes on where an interrupted run ended. Slots, publications, topics and groups are never deleted.")
@_url
@_from
@_to(required=True)
@click.option("--connector", "names", multiple=True, metavar="NAME", help="The connector to move; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="All connectors, one after another; the first that fails ends it.")
@click.option("--back", is_flag=True, help="The other way: from --to to URL.")
@click.option("--delete-old", is_flag=True, help="Delete the connector where it came from, after it works on the other side.")
@click.option("--dry-run", is_flag=True, help="Only say what is left to do.")
@click.option("--timeout", type=click.FloatRange(min=1), default=120, show_default=True, help="Limit of each wait, seconds.")
@logging_options
def apply(
    *, url: str, user: str | None, bearer: str | None, cacert: str | None, to: str, to_user: str | None, to_bearer: str | None, to_cacert: str | None,
    names: tuple[str, ...], everything: bool, back: bool, delete_old: bool, dry_run: bool, timeout: float, log_format: Format, log_level: str,
    debug: bool,
) -> None:  # fmt: skip
    """Move connectors: stop there, wait, start here, see that each works and has its positions.

    When a step fails what was done is undone, so that the connector runs where it ran before.
    """
    if everything == bool(names):
        raise click.UsageError("give either --connector NAME or --all")
    logging = start_logging(log_format, log_level, debug=debug)

    def work() -> None:
        from pycdc.migrate.endpoint import endpoint
        from pycdc.migrate.program import apply_moves, finished

        old = endpoint(url, user=user, bearer=bearer, cacert=cacert)
        new = endpoint(to, option="--to", user=to_user, bearer=to_bearer, cacert=to_cacert)
        old, new = (new, old) if back else (old, new)
        finished(apply_moves(old, new, names, delete_old=delete_old, dry_run=dry_run, wait=timeout, say=click.echo))

    process.told(work, debug=logging.debug, as_json=logging.as_json)
