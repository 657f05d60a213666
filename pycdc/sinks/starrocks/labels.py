r"""Labels: what StarRocks knows a load by for three days, and refuses to load again.

A label is made from the connector's name, the table, and the ranges of offsets that the load covers, with the id of
the topic's incarnation, so that the same records make the same label in every process, and a topic that was
deleted and made anew makes others. Without offsets a label is random.

Source: StarRocks' FeNameFormat, `^[-\w]{1,128}$`; unique per database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pycdc.model.change import Changes
from pycdc.plugins.contracts import no_topic_id

#: Characters of a connector's and a table's name: what is behind them has its room in 128.
_NAME: Final = 36

#: Topic and partition -> first and last offset. Partition -1: no broker, the offsets are positions.
Ranges = dict[tuple[str, int], tuple[int, int]]


def ranges_of(changes: Iterable[Changes]) -> Ranges | None:
    """What the changes cover; None when one of them has no offset, or one that another run may give to other rows: without
    a broker a snapshot's rows are only numbered.
    """
    found: Ranges = {}
    for c in changes:
        if not c.offsets and not c.rows and not c.truncate:
            continue
        if not c.offsets or c.offsets[0] < 0 or (c.partition is None and not c.offsets[0] >> 64):
            return None
        place = (c.topic, -1 if c.partition is None else c.partition)
        first, last = found.get(place, (c.offsets[0], c.offsets[-1]))
        found[place] = (min(first, c.offsets[0]), max(last, c.offsets[-1]))
    return found


def label(connector: str, table: str, ranges: Ranges | None, incarnations: dict[str, str], part: str = "") -> str:
    """`part` tells the loads of one table and write apart: columns, piece."""
    head = f"pycdc_{_plain(connector)}_{_plain(table)}"
    if not ranges:
        return f"{head}_{secrets.token_hex(12)}"
    whole = [(t, incarnations.get(t, ""), p, *r) for (t, p), r in sorted(ranges.items())]
    digest = hashlib.sha256(repr((connector, table, whole, part)).encode()).hexdigest()[:24]
    (_, partition), (first, last) = next(iter(sorted(ranges.items())))
    # readable where it can be: one partition of Kafka's; positions without a broker are too long to be read
    told = f"_{partition}_{first}_{last}" if len(ranges) == 1 and partition >= 0 else ""
    return f"{head}{told}_{digest}"


def label_of_begun(connector: str, table: str, token: str, part: str) -> str:
    """Of a load whose batch is formed again after a failure. `token`: the batch's; `part` as for `label`."""
    digest = hashlib.sha256(repr((connector, table, token, part)).encode()).hexdigest()[:24]
    return f"pycdc_{_plain(connector)}_{_plain(table)}_{token}_{digest}"


def another(name: str) -> str:
    """A label for the same load, where `name` is taken by one that does not count."""
    return f"{name[:110]}_{secrets.token_hex(6)}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", name)[:_NAME]


class Incarnations:
    """Ids of topics, asked for once, and again when offsets fall: they are read again, or the topic is another."""

    def __init__(self, topic_id: Callable[[str], Awaitable[str]] = no_topic_id) -> None:
        self._topic_id = topic_id
        self._last: dict[tuple[str, int], int] = {}
        self.known: dict[str, str] = {}

    async def learn(self, ranges: Ranges) -> None:
        for (topic, partition), (first, last) in ranges.items():
            if partition < 0:
                continue
            if topic not in self.known or first <= self._last.get((topic, partition), -1):
                self.known[topic] = await self._topic_id(topic)
            self._last[topic, partition] = last
