"""What a connector reads: its slot, publication and tables, or its topics and group. From keys that hold no secrets."""

from __future__ import annotations

from pycdc.migrate.observed import Observed
from pycdc.plugins.join import Plan, SinkPlan

#: Keys of sources -> the word for them; those of a parsed plan have the class's defaults.
_SOURCE = {
    "slot.name": "slot", "publication.name": "publication", "topic.prefix": "prefix", "schema.include.list": "schemas",
    "table.whitelist": "tables", "table.include.list": "tables", "mode": "mode",
}  # fmt: skip
_SINK = {"topics": "topics", "topics.regex": "topics like"}


def captured(connector: Observed, plan: Plan | None) -> dict[str, str]:
    """What it reads, by the word for it, in the order in which it is told."""
    if connector.kind == "sink":
        found = {word: connector.config[key] for key, word in _SINK.items() if connector.config.get(key)}
        return found | {"group": plan.group if isinstance(plan, SinkPlan) else _group(connector)}
    known = {} if plan is None else {p.name: plan.settings.__dict__[p.attribute] for p in plan.settings.properties()}
    texts = {key: connector.config.get(key) or known.get(key) for key in _SOURCE}
    return {_SOURCE[key]: str(text) for key, text in texts.items() if isinstance(text, str) and text}


def _group(connector: Observed) -> str:
    return connector.config.get("consumer.override.group.id") or f"connect-{connector.name}"
