"""`pycdc reference`: what a class can be told, printed or written as docs/reference."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from pycdc.config.definition import ConfigDef

_INTRO_WORKER = (
    "Keys of Kafka Connect itself. They may stand in the connector's file, in `--worker FILE`, or in the "
    "environment (`CONNECT_BOOTSTRAP_SERVERS` or `BOOTSTRAP_SERVERS`)."
)

_INTRO_CONNECT = (
    "Keys of a worker that runs many connectors, `pycdc connect --config FILE`: Kafka Connect's own, and a few that it has no "
    "word for. The environment gives them as well (`CONNECT_GROUP_ID`)."
)

_USE = {
    "transform": "Given as `transforms=a,...`, `transforms.a.type=CLASS` and `transforms.a.OPTION=...`; with "
    "`transforms.a.predicate=p` it applies where the predicate `p` is true, with `transforms.a.negate=true` where it is not.",
    "predicate": "Given as `predicates=p,...`, `predicates.p.type=CLASS` and `predicates.p.OPTION=...`.",
}

_WRITTEN = "<!-- Written by `pycdc reference --write docs/reference`: change the definition, not this page. -->"


class Page(NamedTuple):
    """One reference page; `names` are the class names it stands for."""

    title: str
    file: str
    names: tuple[str, ...]
    definition: type[ConfigDef]
    intro: str = ""


@click.command()
@click.argument("name", required=False)
@click.option("--write", "folder", metavar="FOLDER", help="Write every page into this folder as Markdown.")
def reference(name: str | None, folder: str | None) -> None:
    """Describe the properties of NAME: a class, its short name, or `worker`. Without NAME: list what there is."""
    from pycdc.config.reference import markdown

    if folder is not None:
        for page in pages():
            path = Path(folder) / f"{page.file}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            text = markdown(page.title, page.definition, page.names, page.intro) + _older(page.definition)
            path.write_text(f"{_WRITTEN}\n\n{text}", encoding="utf-8")
            click.echo(path)
    elif name is None:
        for page in pages():
            click.echo(f"{page.file:<18} {', '.join(page.names) or page.title}")
    else:
        found = [p for p in pages() if name == p.file or any(name in (n, n.rpartition(".")[2]) for n in p.names)]
        if not found:
            raise click.BadParameter(f"no page {name!r}; there are: {', '.join(p.file for p in pages())}")
        for page in found:
            click.echo(markdown(page.title, page.definition, page.names, page.intro))


def _older(definition: type[ConfigDef]) -> str:
    """Values of older releases that are mapped; renamed keys stand beside their property."""
    from pycdc.plugins.legacy import REWRITES

    names = {p.name for p in definition.properties()}
    rows = [f"| `{r.key}={r.value}` | `{r.new_key}={r.new_value}` |" for r in REWRITES if r.new_key in names]
    if not rows:
        return ""
    return "\n".join(["", "Values of older releases, taken with a warning:", "", "| given | taken as |", "|---|---|", *rows, ""])


def pages() -> Iterator[Page]:
    """Every class that can be loaded here, names of one class and definition together."""
    from pycdc.config.worker import ConnectorConfig, SinkConnectorConfig, SourceConnectorConfig, WorkerConfig
    from pycdc.plugins import registry
    from pycdc.plugins.join import config_of

    from pycdc.worker.settings import ConnectConfig

    yield Page("Worker", "worker", (), WorkerConfig, _INTRO_WORKER)
    yield Page("Connect worker", "connect", (), ConnectConfig, _INTRO_CONNECT)
    yield Page("Every connector", "connector", (), ConnectorConfig)
    yield Page("Every source connector", "source-connector", (), SourceConnectorConfig)
    yield Page("Every sink connector", "sink-connector", (), SinkConnectorConfig)
    files: set[str] = set()
    for kind in (registry.SOURCE, registry.SINK, registry.CONVERTER, registry.TRANSFORM, registry.PREDICATE):
        grouped: dict[type[ConfigDef], list[str]] = {}
        intros: dict[type[ConfigDef], str] = {}
        for name in registry.available(kind):
            try:
                plugin = registry.load(kind, name)
            except registry.UnknownClass:
                continue  # a plugin whose own dependency is not installed has nothing to say here
            definition = config_of(plugin, name)
            grouped.setdefault(definition, []).append(name)
            intros[definition] = _intro(kind, plugin)
        for definition, names in grouped.items():
            file = _file(names)
            if file in files:  # Kafka and Debezium both have a Filter
                file = f"{names[0].split('.')[1]}-{file}"
            files.add(file)
            yield Page(_title(names), file, tuple(names), definition, intros[definition])


def _intro(kind: str, plugin: type) -> str:
    """How a transform or predicate is named in a configuration, and what its module says it does."""
    if kind not in _USE:
        return ""
    about = (sys.modules[plugin.__module__].__doc__ or "").strip().partition("\n\n")[0]
    return f"{about}\n\n{_USE[kind]}"


def _title(names: list[str]) -> str:
    return names[0].rpartition(".")[2].partition("$")[0]


def _file(names: list[str]) -> str:
    """The short name, or the class's last part in lower case with hyphens."""
    short = [n for n in names if "." not in n]
    if short:
        return short[0]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", _title(names)).lower()
