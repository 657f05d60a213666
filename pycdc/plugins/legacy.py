"""Keys and values of older releases, put into today's words, each with a warning.

A plain renaming stands at the property (`old_names`, `old_values`); what needs both a key and its value is
a row of REWRITES. Sources: the release notes of Debezium 1.x to 3.3, whose 3.6 refuses or ignores these.
A new name that is given too wins over the old one. Warnings name keys, never values of the user's.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Final, NamedTuple

from pycdc.config.definition import ConfigDef


class Rewrite(NamedTuple):
    """`key = value` of an older release (any letter case) is today's `new_key = new_value`."""

    key: str
    value: str
    new_key: str
    new_value: str


REWRITES: Final = (
    Rewrite("snapshot.mode", "never", "snapshot.mode", "no_data"),
    Rewrite("snapshot.mode", "schema_only", "snapshot.mode", "no_data"),
    Rewrite("snapshot.mode", "schema_only_recovery", "snapshot.mode", "no_data"),
    Rewrite("snapshot.mode", "exported", "snapshot.mode", "initial"),
    Rewrite("plugin.name", "wal2json", "plugin.name", "pgoutput"),
    Rewrite("plugin.name", "wal2json_streaming", "plugin.name", "pgoutput"),
    Rewrite("plugin.name", "wal2json_rds", "plugin.name", "pgoutput"),
    Rewrite("plugin.name", "wal2json_rds_streaming", "plugin.name", "pgoutput"),
    Rewrite("truncate.handling.mode", "include", "skipped.operations", "none"),
    Rewrite("truncate.handling.mode", "skip", "skipped.operations", "t"),
    Rewrite("sanitize.field.names", "true", "field.name.adjustment.mode", "avro"),
    Rewrite("sanitize.field.names", "false", "field.name.adjustment.mode", "none"),
)


def modernize(texts: MutableMapping[str, str], definition: type[ConfigDef]) -> Iterator[tuple[str, str, str]]:
    """Change `texts` in place; yields (old key, today's key, warning). Other keys are left alone."""
    properties = {p.name: p for p in definition.properties()}
    for p in properties.values():
        for old in p.old_names:
            if old in texts:
                yield old, p.name, _renamed(texts, old, p.name)
        now = texts.get(p.name)
        if now is not None and now.strip().lower() in p.old_values:
            texts[p.name] = p.old_values[now.strip().lower()]
            yield p.name, p.name, f"{p.name}={now.strip().lower()} is of an older release: taken as {texts[p.name]}"
    for r in REWRITES:
        given = texts.get(r.key)
        if r.new_key in properties and given is not None and given.strip().lower() == r.value:
            yield r.key, r.new_key, _rewritten(texts, r)


def _renamed(texts: MutableMapping[str, str], old: str, new: str) -> str:
    value = texts.pop(old)
    if new in texts:
        return f"{old} is the old name of {new}, which is given too: {old} is ignored"
    texts[new] = value
    return f"{old} is the old name of {new}: taken as such"


def _rewritten(texts: MutableMapping[str, str], r: Rewrite) -> str:
    if r.key == r.new_key:
        texts[r.key] = r.new_value
        return f"{r.key}={r.value} is of an older release: taken as {r.new_value}"
    del texts[r.key]
    if r.new_key in texts:
        return f"{r.key} is of an older release, and {r.new_key} is given too: {r.key} is ignored"
    texts[r.new_key] = r.new_value
    return f"{r.key}={r.value} is of an older release: taken as {r.new_key}={r.new_value}"
