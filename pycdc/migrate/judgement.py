"""What pycdc will do with a connector that runs elsewhere: the same, the same with differences, or nothing at all.

The words come from where a configuration is read anyway: every fault of `load_source` and `load_sink` is a reason why not,
every warning a difference. Added are only what a move brings: values that must be there on the new machines, providers of
secrets, and the release that wrote the events so far. Nothing here connects to anything; no value of a configuration is
told that the parsers would hide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from pycdc.config.layers import Entry, Layer, Layered
from pycdc.config.worker import WorkerConfig
from pycdc.debezium.source import VERSION
from pycdc.errors import ConfigError
from pycdc.migrate.observed import Observed
from pycdc.plugins.join import ClientChecks, Plan, load_sink, load_source

POSTGRES: Final = "io.debezium.connector.postgresql.PostgresConnector"

#: What stands for a worker that was not given: a connector is not to blame for it.
_STAND_INS: Final = {"bootstrap.servers": "unknown:9092", "offset.storage.topic": "unknown"}
#: Most parsers take it, for a number or for a text.
_SOME: Final = "1"
_CONVERTERS: Final = ("key.converter", "value.converter")


class Verdict(StrEnum):
    """In one word, two at most."""

    SAME = "same"
    DIFFERS = "differs"
    IMPOSSIBLE = "not possible"


class Finding(msgspec.Struct, frozen=True):
    """One reason. `key`: the property it is about, empty when it is about none; `value` as written, never a secret."""

    verdict: Verdict
    key: str
    text: str
    value: str | None = None

    def __str__(self) -> str:
        about = self.key if self.value is None else f"{self.key} = {self.value}"
        return f"{about}: {self.text}" if about else self.text


class Judgement(msgspec.Struct, frozen=True):
    """The verdict with its reasons, the weightiest first. `checks`: what nobody can know from here."""

    findings: tuple[Finding, ...] = ()
    checks: tuple[str, ...] = ()
    #: Absent where the configuration is refused.
    plan: Plan | None = None

    @property
    def verdict(self) -> Verdict:
        return self.findings[0].verdict if self.findings else Verdict.SAME


def judge(connector: Observed, worker: Mapping[str, str] | None = None, *, checks: ClientChecks | None = None) -> Judgement:
    """`worker`: the keys of the worker's file, None when it is not given."""
    config = connector.plain_config
    resolution = _layered(config, worker).resolve()
    findings = [*_foreign_providers(resolution.foreign, worker), *_release(config, connector.version)]
    told = {f.key for f in findings} | {f.key for f in resolution.faults}
    # what cannot be looked up here has some value there: the rest of the configuration is judged as if it were
    config |= {f.key: _SOME for f in resolution.faults if f.key in config}
    plan: Plan | None = None
    try:
        plan = (load_sink if connector.kind == "sink" else load_source)(_layered(config, worker), checks=checks)
        findings += (Finding(Verdict.DIFFERS, *_split(w)) for w in plan.warnings)
    except ConfigError as error:
        findings += (Finding(Verdict.IMPOSSIBLE, f.key, f.message, f.value) for f in error.faults if f.key not in told)
        if error.hint:
            findings.append(Finding(Verdict.DIFFERS, "", error.hint))
    findings += (Finding(Verdict.DIFFERS, f.key, f"{f.message}; it must be there where pycdc runs", f.value) for f in resolution.faults)
    order = (Verdict.IMPOSSIBLE, Verdict.DIFFERS)
    return Judgement(tuple(sorted(dict.fromkeys(findings), key=lambda f: order.index(f.verdict))), tuple(_unknown(connector, worker)), plan)


def _layered(config: Mapping[str, str], worker: Mapping[str, str] | None) -> Layered:
    """The connector's keys above the worker's, which `pycdc connect` will have in its file; of those what connectors see."""
    below = _STAND_INS if worker is None else {k: v for k, v in worker.items() if WorkerConfig.reads(k)}
    entries = {k: Entry(v, "the worker's file", Layer.WORKER) for k, v in below.items()}
    return Layered(entries | {k: Entry(v, "", Layer.CONFIG) for k, v in config.items()})


def _split(warning: str) -> tuple[str, str]:
    """Key and text of a warning that begins with its key."""
    match = re.match(r"([\w.${}-]+(?:\.[\w-]+)+|[a-z]\w*)(?::\s+|\s+(?=has no effect|is not a key))", warning)
    return (match[1], warning[match.end() :]) if match else ("", warning)


def _foreign_providers(foreign: Mapping[str, str], worker: Mapping[str, str] | None) -> Iterator[Finding]:
    """References that a provider of the old worker resolves and none of ours. Without such a provider there it is plain text."""
    aliases = None if worker is None else {a.strip() for a in worker.get("config.providers", "").split(",")}
    for key, provider in foreign.items():
        if aliases is None or provider in aliases:
            unless = "" if aliases is not None else " (plain text if the old worker has no such provider: give its --worker FILE)"
            text = f"refers to the config provider {provider!r}; here are env, file and dir{unless}"
            yield Finding(Verdict.IMPOSSIBLE, key, text)


def _release(config: Mapping[str, str], version: str) -> Iterator[Finding]:
    """Events are those of one release of Debezium; another one's defaults and fields are other ones."""
    if config.get("connector.class") not in (POSTGRES, POSTGRES.rpartition(".")[2]) or not version:
        return
    if version.split(".")[:2] != VERSION.split(".")[:2]:
        yield Finding(
            Verdict.DIFFERS, "connector.class",
            f"Debezium {version} runs there; events will be those of {VERSION}, with its defaults, and source.version says so",
        )  # fmt: skip


def _unknown(connector: Observed, worker: Mapping[str, str] | None) -> Iterator[str]:
    """What the answer depends on and nobody said."""
    if worker is not None:
        return
    without = [c for c in _CONVERTERS if c not in connector.config]
    if without:
        yield f"{' and '.join(without)} come from the worker: give its file with --worker"
    if any("${" in v for v in connector.config.values()):
        yield "it has references to secrets: give --worker, which says what config.providers there are"
